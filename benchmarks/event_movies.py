"""Short movies in which nothing rearranges, filmed by the twin's camera and tracked; kept so that detectors can be run
on them again and again.

Three kinds: a crystal that does not move at all, so that noise of localisation is all there is; a solid that vibrates
and shears (the physics of the twin's quiet_solid); and crystals and packings that rotate, stretch and shear without
vibrating. Each at three levels of noise, given as the error of localisation over the diameter of a particle.

    python -m benchmarks.event_movies [--movies 70]

renders and tracks what is missing in benchmarks/checkpoint/events.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from colloid_cg.provenance import sha256_of_json
from colloid_cg.records import FrameStack, Trajectories
from colloid_cg.seeding import generator, integer_seed
from colloid_cg.store import read_trajectories
from colloid_cg.store.trajectories import write_trajectories
from colloid_cg.tracking import TrackConfig, track
from colloid_cg.twin import CameraConfig, TwinConfig, TwinTruth
from colloid_cg.twin.camera import pixel_type
from colloid_cg.twin.glass import disc_diameters
from colloid_cg.twin.movie import TwinReader
from colloid_cg.twin.solid import packing, shear, sheared, vibrations

KEPT = Path(__file__).parent / "checkpoint" / "events"
KINDS = ("crystal", "quiet_solid", "affine")
LEVELS = {"low": 0.01, "middle": 0.03, "high": 0.06}
"""Error of localisation over the diameter, about."""
AMPLITUDES = {"low": 115.0, "middle": 38.0, "high": 22.0}
"""Height of the spots in grey levels, on a background of 100."""
MOVIES = 70
DIAMETER, PIXEL = 9.0, 0.1
"""Mean diameter in px; um per px."""
WIDTHS = {"low": 0.211, "middle": 0.211, "high": 0.25}
"""Standard deviation of a spot over its diameter; narrower ones could hardly be seen where the noise is high."""
SMALL = 7.5
"""Diameter of the small discs in px; the large ones are 1.4 times as large."""
SPACING = 9.5
"""Of the crystal, px."""
FRAMES, VIEW, INTERVAL = 36, 132, 0.01
SEARCH = 4.0
"""Search range of the links, px."""
PACKINGS, PACKED_VIEW = 7, 240
VERSION = 2
"""Counted up when a change of the code below changes movies."""


@dataclass(frozen=True, kw_only=True)
class Movie:
    """One movie to be made, tracked and kept."""

    kind: str
    level: str
    seed: int
    frames: int = FRAMES
    view: int = VIEW

    @property
    def name(self) -> str:
        return f"{self.kind}_{self.level}_{self.seed:03d}"

    @property
    def rng_seed(self) -> int:
        return integer_seed(self.seed, "benchmarks", "events", self.kind, self.level)


def camera(level: str, *, crystal: bool) -> CameraConfig:
    """Return the camera of a level of noise."""
    width = WIDTHS[level]
    widths = (width * DIAMETER,) if crystal else (width * SMALL, width * SMALL * 1.4)
    return CameraConfig(amplitude=AMPLITUDES[level], psf_sigma=widths, exposure=0.3)


def twin_config(movie: Movie, *, crystal: bool) -> TwinConfig:
    """Return the settings of a twin of this size; rattling of a fiftieth of the diameter, as in quiet_solid."""
    return TwinConfig(
        n_frames=movie.frames, frame_interval=INTERVAL, pixel_size=PIXEL, width=movie.view, height=movie.view,
        contact=SMALL * PIXEL, area_fraction=0.9, margin=2.0, equilibration=0.0, drive="none",
        site_stiffness=2700.0, diffusion_coefficient=0.027, strain_amplitude=0.05, drive_period=20 * INTERVAL,
        seed=movie.rng_seed % 2**31, camera=camera(movie.level, crystal=crystal),
    )  # fmt: skip


@lru_cache(maxsize=PACKINGS)
def packed(index: int) -> tuple[np.ndarray, np.ndarray]:
    """Return species and sites (um, about their middle) of one of a few large amorphous packings."""
    config = TwinConfig(
        width=PACKED_VIEW, height=PACKED_VIEW, pixel_size=PIXEL, contact=SMALL * PIXEL, area_fraction=0.9, margin=2.0,
        drive="none", seed=index,
    )  # fmt: skip
    species, sites = packing(config, disc_diameters(config))
    return species, sites - 0.5 * PACKED_VIEW * PIXEL


def triangular(reach: float) -> np.ndarray:
    """Return the sites of a triangular crystal within ``reach`` (um) of the origin."""
    spacing = SPACING * PIXEL
    n = int(1.3 * reach / spacing) + 2
    a, b = (each.ravel() for each in np.meshgrid(np.arange(-2 * n, 2 * n + 1), np.arange(-n, n + 1)))
    sites = spacing * np.column_stack([a + 0.5 * (b % 2), np.sqrt(0.75) * b])
    return sites[np.linalg.norm(sites, axis=1) < reach]


def placed(movie: Movie, *, crystal: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return species, sites and the middle of the view (um): turned and shifted at random."""
    rng = generator(movie.rng_seed, "sites")
    half = 0.5 * movie.view * PIXEL
    if crystal:
        sites = triangular(2.0 * half + 2.0)
        species = np.zeros(len(sites), dtype=np.int64)
    else:
        species, sites = packed(movie.seed % PACKINGS)
    angle = rng.uniform(0.0, 2.0 * np.pi)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = np.full(2, half - 0.5 * PIXEL)
    sites = sites @ turn.T + rng.uniform(-0.5, 0.5, 2) * SPACING * PIXEL + middle
    near = (np.abs(sites - middle) < half + 3.0).all(axis=1)
    return species[near], sites[near], middle


def still(movie: Movie, *, crystal: bool) -> TwinTruth:
    """Particles that never move."""
    species, sites, _ = placed(movie, crystal=crystal)
    instants = np.broadcast_to(sites, (movie.frames, *sites.shape))
    return truth_of(movie, instants, instants[:, None], species, crystal=crystal)


def rattling(movie: Movie) -> TwinTruth:
    """The physics of the twin's quiet_solid: vibration about sites that shear to and fro."""
    config = twin_config(movie, crystal=False)
    species, sites, middle = placed(movie, crystal=False)
    parts = config.exposure_parts
    instants, means = vibrations(
        config.site_stiffness * config.diffusion_coefficient / np.where(species == 0, 1.0, 1.4),
        variance=1.0 / config.site_stiffness,
        durations=(config.exposure / parts, config.frame_interval - config.exposure),
        shape=(movie.frames, parts), rng=generator(movie.rng_seed, "film"),
    )  # fmt: skip
    times = config.frame_interval * np.arange(movie.frames)
    starts = times[:, None] + config.exposure / parts * np.arange(parts)
    instants = instants + sheared(sites, shear(times, 0.0, config), centre=middle)
    means = means + sheared(sites, shear(starts, config.exposure / parts, config), centre=middle)
    return truth_of(movie, instants, means, species, crystal=False)


def rattle(movie: Movie, true: TwinTruth) -> np.ndarray:
    """Return the displacements from the moving sites over an exposure, shape (frames, n, 2), um; 0 but in solids."""
    if movie.kind in ("crystal", "affine"):
        return np.zeros((movie.frames, len(true.species), 2))
    config = twin_config(movie, crystal=False)
    _, sites, middle = placed(movie, crystal=False)
    part = config.exposure / config.exposure_parts
    starts = config.frame_interval * np.arange(movie.frames)[:, None] + part * np.arange(config.exposure_parts)
    return np.asarray((true.means - sheared(sites, shear(starts, part, config), centre=middle)).mean(axis=1))


def affine(movie: Movie) -> TwinTruth:
    """Crystals (odd seeds) and packings under an oscillating affine map of random kind and phase, no vibration."""
    crystal = bool(movie.seed % 2)
    species, sites, middle = placed(movie, crystal=crystal)
    rng = generator(movie.rng_seed, "map")
    phase = 2.0 * np.pi * (np.arange(movie.frames) / rng.uniform(15.0, 40.0) + rng.random())
    gradient = rng.normal(0.0, 0.03, (2, 2)) + rng.normal(0.0, 0.05) * np.array([[0.0, -1.0], [1.0, 0.0]])
    shift = np.sin(phase)[:, None] * rng.normal(0.0, 0.3, 2)
    moved = np.sin(phase)[:, None, None] * ((sites - middle) @ gradient.T)
    instants = sites + moved + shift[:, None]
    return truth_of(movie, instants, instants[:, None], species, crystal=crystal)


def truth_of(movie: Movie, instants: np.ndarray, means: np.ndarray, species: np.ndarray, *, crystal: bool) -> TwinTruth:
    return TwinTruth(
        instants=instants, means=means, species=species, cell=None, config=twin_config(movie, crystal=crystal),
        parameters={},
    )  # fmt: skip


def truth(movie: Movie) -> TwinTruth:
    """Return the truth of a movie of one of KINDS."""
    if movie.kind == "crystal":
        return still(movie, crystal=True)
    return rattling(movie) if movie.kind == "quiet_solid" else affine(movie)


def stack(true: TwinTruth) -> FrameStack:
    """Return the movie, rendered when it is read."""
    config = true.config
    return FrameStack(
        reader=TwinReader(true), n_frames=config.n_frames, height=config.height, width=config.width,
        dtype=pixel_type(config.camera), pixel_size=config.pixel_size, frame_interval=config.frame_interval,
        exposure=config.exposure, source="benchmarks.event_movies",
    )  # fmt: skip


def track_settings(level: str, *, crystal: bool) -> TrackConfig:
    """Return settings as one would choose them by looking at the faintest spots; joint fits need more light."""
    return TrackConfig(
        shape="spot", refine="likelihood" if level == "high" else "joint", size_classes=1 if crystal else 2,
        diameter=9, invert=False, separation=6.0, threshold=5.0, minmass=150.0 if level == "low" else 60.0,
        search_range=SEARCH, memory=2, minimum_length=5,
    )  # fmt: skip


def is_crystal(movie: Movie) -> bool:
    return movie.kind == "crystal" or (movie.kind == "affine" and bool(movie.seed % 2))


def tracked(movie: Movie, true: TwinTruth, config: TrackConfig) -> Trajectories:
    """Return the tracks with two more columns: the true particle (-1: none) and the errors of its place, px."""
    tracks = track(stack(true), config)
    seen = tracks.as_seen().table
    found = np.full(len(seen), -1)
    error = np.full((len(seen), 2), np.nan)
    frame, places = seen["frame"].to_numpy(), seen[["x", "y"]].to_numpy()
    for number in range(movie.frames):
        rows = np.flatnonzero(frame == number)
        exposed = true.in_image(number)[1].mean(axis=0)
        away, nearest = cKDTree(exposed).query(places[rows])
        near = away < 0.5 * SMALL
        found[rows[near]] = nearest[near]
        error[rows] = np.where(near[:, None], places[rows] - exposed[nearest], np.nan)
    table = tracks.table.assign(true_particle=found, error_x=error[:, 0], error_y=error[:, 1])
    return tracks.with_table(table)


def key(movie: Movie, config: TrackConfig, *more: float) -> str:
    """Return a digest of all that a kept movie depends on; ``more`` are numbers of those who make the truth."""
    settings = twin_config(movie, crystal=is_crystal(movie)).as_dict()
    return sha256_of_json([VERSION, movie.__dict__, settings, config.as_dict(), SPACING, PACKINGS, PACKED_VIEW, *more])[
        :16
    ]


def kept(
    movie: Movie, make: Callable[[Movie], TwinTruth] = truth, *more: float, search_range: float = SEARCH
) -> Trajectories:
    """Return the tracks of a movie, made now or kept from before; ``more`` are numbers that ``make`` depends on."""
    config = track_settings(movie.level, crystal=is_crystal(movie)).model_copy(update={"search_range": search_range})
    path = KEPT / f"{movie.name}_{key(movie, config, *more)}.parquet"
    if not path.is_file():
        KEPT.mkdir(parents=True, exist_ok=True)
        write_trajectories(path, tracked(movie, make(movie), config))
    return read_trajectories(path)


def null_movies(count: int = MOVIES, kinds: tuple[str, ...] = KINDS) -> Iterator[Movie]:
    """Yield the movies, kinds and levels by turns, so that a part of them says something of each."""
    for seed in range(count):
        for level in LEVELS:
            for kind in kinds:
                yield Movie(kind=kind, level=level, seed=seed)


def errors(tracks: Trajectories) -> dict[str, Any]:
    """Return how well a movie was tracked: errors in px, detections of nothing, links between different particles."""
    table: pd.DataFrame = tracks.table.sort_values(["particle", "frame"])
    error = table[["error_x", "error_y"]].to_numpy()
    sigma = table[["sigma_x", "sigma_y"]].to_numpy()
    same = table["particle"].to_numpy()[1:] == table["particle"].to_numpy()[:-1]
    changed = same & (table["true_particle"].to_numpy()[1:] != table["true_particle"].to_numpy()[:-1])
    good = np.isfinite(error).all(axis=1)
    return {
        "error_px": float(np.sqrt(np.mean(error[good] ** 2))),
        "median_error_px": float(1.4826 * np.median(np.abs(error[good]))),
        "stated_px": float(np.sqrt(np.nanmean(sigma**2))),
        "false": int((~good).sum()),
        "wrong_links": int(changed.sum()),
        "detections": len(table),
        "tracks": tracks.n_particles,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--movies", type=int, default=MOVIES)
    chosen = parser.parse_args()
    for movie in null_movies(chosen.movies):
        began = time.process_time()
        print(movie.name, errors(kept(movie)), f"{time.process_time() - began:.1f} s", flush=True)


if __name__ == "__main__":
    main()
