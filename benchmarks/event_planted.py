"""Movies of a vibrating, shearing solid in which known particles rearrange at known frames.

Three kinds: one particle hops; four particles exchange neighbours (T1): two that touch part, two that do not meet; a
disc of 1.5 diameters shears and the material round it follows as an incompressible elastic medium does (Eshelby's
transformation). Each is over within one frame interval or two; they are far apart in space and time.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.spatial import Delaunay, cKDTree

from benchmarks.event_movies import (
    DIAMETER,
    LEVELS,
    PIXEL,
    Movie,
    errors,
    kept,
    placed,
    rattle,
    rattling,
    twin_config,
)
from colloid_cg.neighbors import within
from colloid_cg.observables import bond_statistics, d2min
from colloid_cg.records import Box, Trajectories
from colloid_cg.seeding import generator
from colloid_cg.twin import TwinTruth
from colloid_cg.twin.solid import shear

TYPES = ("hop", "t1", "shear")
MOVIES = {"middle": 40, "low": 8, "high": 8}
"""Per type."""
FRAMES, VIEW = 54, 168
SLOTS = (10, 21, 32, 43)
"""Frames in which events begin, less a random one of 0 to 2."""
CORE = 1.5 * DIAMETER * PIXEL
CUTOFF = 1.7
"""Distance (um) of neighbours in the noise-free D2min, twice the mean spacing."""
RATIOS = (0.5, 3.5)
"""Planted amplitudes over the expected threshold."""
LARGEST = 4.0
"""Largest displacement, px."""
ROOM = 1.15
"""Smallest distance (um) of two particles that an exchange brings together: their spots must not merge."""
RATTLE = 0.19
"""Standard deviation of the vibration, px."""
EXPECTED = 7.2, 5.3
"""Signal over the standard deviation where p is 1e-6, of D2min with sixteen neighbours and of a hop."""
HALF_WINDOW = 5
MEMORY = 2.2
"""By how much the variance of a mean over the half window exceeds that of independent vibrations."""
SEARCH = 5.0
"""Search range of the links, px: those that hop must be found again."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Planted:
    """Truth of a planted movie.

    ``table``: type, frame (the first in which something has moved), duration (frames), x, y (px), amplitude (largest
    displacement, um), d2min (largest noise-free sum over bonds, um2) with count and shared of that particle.
    ``rattle``: displacement from the moving, rearranged sites over an exposure, shape (frames, n, 2), um.
    """

    truth: TwinTruth
    table: pd.DataFrame
    rattle: np.ndarray


def planted_movies(counts: dict[str, int] | None = None) -> Iterator[Movie]:
    """Yield the movies, types by turns."""
    for level, count in (counts or MOVIES).items():
        for seed in range(count):
            for kind in TYPES:
                yield Movie(kind=kind, level=level, seed=seed, frames=FRAMES, view=VIEW)


def planted(movie: Movie) -> Planted:
    """Return the truth of one movie: that of the quiet solid with displacements added from a frame on."""
    base = rattling(movie)
    _, sites, middle = placed(movie, crystal=False)
    rng = generator(movie.rng_seed, "planted")
    jumps, rows = np.zeros((movie.frames, *sites.shape)), []
    diagonal = bool(rng.integers(2))
    for slot in SLOTS:
        diagonal = not diagonal
        for place in _places(rng, diagonal):
            now = sites + jumps[-1]
            unit, centre = unit_displacement(movie.kind, now, place * PIXEL, rng)
            graph = within(now, CUTOFF, _open_box(now))
            count, shared = bond_statistics(now, graph)
            total = np.nan_to_num(d2min(now, now + 1e-3 * unit, graph) * count * 1e6)
            amplitude = _amplitude(movie.level, unit, total, rng)
            first, duration = slot + int(rng.integers(0, 3)), int(rng.integers(1, 3))
            ramp = np.clip((np.arange(movie.frames) - first + 1) / duration, 0.0, 1.0)
            jumps += ramp[:, None, None] * amplitude * unit
            best = int(np.argmax(total))
            rows.append({
                "type": movie.kind, "frame": first, "duration": duration, "x": centre[0], "y": centre[1],
                "amplitude": amplitude * float(np.linalg.norm(unit, axis=1).max()),
                "d2min": amplitude**2 * float(total[best]), "count": float(count[best]), "shared": float(shared[best]),
            })  # fmt: skip
    table = pd.DataFrame(rows)
    # The centre is carried along by the shear.
    config = twin_config(movie, crystal=False)
    strain = shear(config.frame_interval * table["frame"].to_numpy(), 0.0, config)
    table["x"] += strain * (table["y"] - middle[1])
    table[["x", "y"]] /= PIXEL
    truth = replace(base, instants=base.instants + jumps, means=base.means + jumps[:, None])
    return Planted(truth=truth, table=table, rattle=rattle(movie, base))


def kept_planted(movie: Movie) -> Trajectories:
    """Return the tracks of a planted movie."""
    return kept(movie, lambda each: planted(each).truth, *RATIOS, *EXPECTED, MEMORY, search_range=SEARCH)


def _open_box(sites: np.ndarray) -> Box:
    return Box(lower=tuple(sites.min(axis=0) - 1.0), upper=tuple(sites.max(axis=0) + 1.0), periodic=(False, False))


def _places(rng: np.random.Generator, diagonal: bool) -> np.ndarray:
    """Return two places (px) in opposite corners of the part of the view where all neighbours are seen."""
    low, high = 45.0, VIEW - 45.0
    first = np.array([low, low if diagonal else high])
    return np.stack([first, low + high - first]) + rng.uniform(-8.0, 8.0, (2, 2))


def _amplitude(level: str, unit: np.ndarray, total: np.ndarray, rng: np.random.Generator) -> float:
    """Return the displacement (um) that brings the event to a random multiple of the expected threshold.

    The threshold is the lower one of D2min, sqrt(sum / v) = 7.2, and of the hop of the particle that moves most,
    length / sqrt(w) = 5.3, w the variance of the difference of two means over the half window.
    """
    noise = (LEVELS[level] * DIAMETER) ** 2 + RATTLE**2
    v = 2.0 * noise * PIXEL**2
    w = 2.0 * (noise + (MEMORY - 1.0) * RATTLE**2) * PIXEL**2 / HALF_WINDOW
    of_one = max(np.sqrt(total.max() / v) / EXPECTED[0], np.linalg.norm(unit, axis=1).max() / np.sqrt(w) / EXPECTED[1])
    return float(min(rng.uniform(*RATIOS) / of_one, LARGEST * PIXEL / np.linalg.norm(unit, axis=1).max()))


def unit_displacement(
    kind: str, sites: np.ndarray, place: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return the displacement of every particle, largest about 1, and the centre of the event (um)."""
    if kind == "hop":
        return _hop(sites, place)
    return _exchange(sites, place) if kind == "t1" else _eshelby(sites, place, rng)


def _hop(sites: np.ndarray, place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Move the particle next to the place towards where there is most room."""
    one = int(cKDTree(sites).query(place)[1])
    angle = np.linspace(0.0, 2.0 * np.pi, 48, endpoint=False)
    way = np.column_stack([np.cos(angle), np.sin(angle)])
    others = cKDTree(np.delete(sites, one, axis=0))
    moved = np.zeros_like(sites)
    moved[one] = way[np.argmax(others.query(sites[one] + LARGEST * PIXEL * way)[0])]
    return moved, sites[one]


def _exchange(sites: np.ndarray, place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Part two neighbours along their bond and bring the two beside it together, where both are equally far apart."""
    near = np.flatnonzero(np.linalg.norm(sites - place, axis=1) < 3.0)
    mesh = Delaunay(sites[near])
    best, chosen = np.inf, None
    for one, three in enumerate(mesh.simplices):
        for side, other in enumerate(mesh.neighbors[one]):
            if other <= one:
                continue
            a, b = (point for k, point in enumerate(three) if k != side)
            c, d = three[side], next(point for point in mesh.simplices[other] if point not in (a, b))
            quad = sites[near[[a, b, c, d]]]
            lengths = np.linalg.norm(quad[1] - quad[0]), np.linalg.norm(quad[3] - quad[2])
            if max(lengths) < ROOM:
                continue
            score = abs(lengths[1] / lengths[0] - 1.0) + np.linalg.norm(quad.mean(axis=0) - place) / 1.5
            if score < best:
                best, chosen = score, near[[a, b, c, d]]
    assert chosen is not None
    a, b, c, d = chosen
    moved = np.zeros_like(sites)
    along, across = (sites[b] - sites[a], sites[d] - sites[c])
    along, across = along / np.linalg.norm(along), across / np.linalg.norm(across)
    # The pair that is closer parts.
    sign = 1.0 if np.linalg.norm(sites[b] - sites[a]) <= np.linalg.norm(sites[d] - sites[c]) else -1.0
    moved[a], moved[b], moved[c], moved[d] = -sign * along, sign * along, sign * across, -sign * across
    return moved, sites[chosen].mean(axis=0)


def _eshelby(sites: np.ndarray, place: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Shear a disc; outside u_r = cos 2t (2 R / r - R^3 / r^3), u_t = - sin 2t R^3 / r^3, without any divergence."""
    turn = rng.uniform(0.0, np.pi)
    away = sites - place
    r, angle = np.linalg.norm(away, axis=1), np.arctan2(away[:, 1], away[:, 0]) - turn
    x = CORE / np.maximum(r, CORE)
    inside = np.minimum(r / CORE, 1.0)
    radial, along = (2.0 * x - x**3) * np.cos(2.0 * angle), -(x**3) * np.sin(2.0 * angle)
    outward = away / np.maximum(r, 1e-12)[:, None]
    sideways = np.column_stack([-outward[:, 1], outward[:, 0]])
    return inside[:, None] * (radial[:, None] * outward + along[:, None] * sideways), place


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--movies", type=int, help="of each type and level")
    chosen = parser.parse_args()
    counts = MOVIES if chosen.movies is None else dict.fromkeys(MOVIES, chosen.movies)
    for movie in planted_movies(counts):
        began = time.process_time()
        print(movie.name, errors(kept_planted(movie)), f"{time.process_time() - began:.1f} s", flush=True)


if __name__ == "__main__":
    main()
