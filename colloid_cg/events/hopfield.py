"""p_hop of every detection with the probability that a trajectory without a jump gives as much."""

from __future__ import annotations

from typing import Any

import numpy as np

from colloid_cg.events.calibrate import frame_levels, particle_levels
from colloid_cg.events.config import Scales
from colloid_cg.events.deformation import doubtful, stated_errors
from colloid_cg.events.hopnull import HopTable, hop_table, variogram, window_covariance
from colloid_cg.events.nulls import dispersed_tail
from colloid_cg.events.scale import check, fit_scale
from colloid_cg.observables import p_hop_of_rows
from colloid_cg.observables.affine import without_affine_motion
from colloid_cg.records import Trajectories
from colloid_cg.seeding import generator

FEWEST_TESTS = 100
ROUNDING = 1e-7
_DRAWS = 100_000
_SMALLEST_SHARE = 0.1


def hop_fields(tracks: Trajectories, classes: np.ndarray, used: Scales) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return ``p_hop`` (um2) and ``p_hop_p`` of every detection, and the null law with its checks.

    Every class has the law of Gaussian trajectories with its own mean square displacement. Values are first divided
    by what the stated errors of their window have more than is typical, and by the particle's own level.
    """
    frame, particle = tracks.table["frame"].to_numpy(), tracks.table["particle"].to_numpy()
    still = _unwrapped(without_affine_motion(tracks), frame, particle, tracks)
    trusted = np.where(doubtful(tracks)[:, None], np.nan, still)
    value = p_hop_of_rows(trusted, frame, particle, half_window=used.half_window)
    value[tracks.edge_distance < used.edge_margin] = np.nan
    rows = np.flatnonzero(np.isfinite(value))
    p_value = np.full(len(value), np.nan)
    small = value[rows] <= (ROUNDING * used.spacing) ** 2
    if len(rows) < FEWEST_TESTS or np.median(small) > 0:
        p_value[rows[small]] = 1.0
        return {"p_hop": value, "p_hop_p": p_value}, {
            "n_tests": 0, "null_fit": False, "warnings": [
                f"only {len(rows)} values, {np.mean(small) if len(rows) else 0:.0%} of them zero: too few to learn the "
                "null from the movie, so no p-values are given"
            ],
        }  # fmt: skip
    rng = generator(0, "events", "p_hop")
    laws = _laws(tracks, classes, still, used, rng)
    own_class = classes[rows]
    errors = _window_errors(tracks, classes, used.half_window)[rows]
    expected = np.array([np.exp(law.median) for law, _ in laws])[own_class]
    steps = np.array([spread[1] for _, spread in laws])[own_class]
    ratio = value[rows] / (expected * np.maximum(1.0 + errors / steps, _SMALLEST_SHARE))
    with np.errstate(divide="ignore"):
        levels = particle_levels(np.log(ratio), particle[rows], frame[rows], lag=2 * used.half_window)
        frames = frame_levels(np.log(ratio) - levels.log_level, frame[rows], still[rows])
    ratio = ratio / np.exp(levels.log_level + frames.log_level)
    tails, checks = np.empty(len(rows)), []
    for k, (law, _) in enumerate(laws):
        own = own_class == k
        if own.any():
            tails[own], fitted = _tail(law, ratio[own], ~small[own], rng)
            checks.append(fitted)
    tails[small] = 1.0
    p_value[rows] = tails
    widest = max(checks, key=lambda each: each.dispersion)
    null = check(tails, widest)
    null.pop("scale")
    null["displacement_variance_um2"] = [spread[1:].tolist() for _, spread in laws]
    null |= {"spread_between_particles": levels.spread, "spread_between_frames": frames.spread}
    return {"p_hop": value, "p_hop_p": p_value}, null


def _unwrapped(positions: np.ndarray, frame: np.ndarray, particle: np.ndarray, tracks: Trajectories) -> np.ndarray:
    """Return positions that go on across periodic faces, from the place where each track begins."""
    if not any(tracks.box.periodic):
        return positions
    order = np.lexsort((frame, particle))
    ordered, first = positions[order], np.flatnonzero(np.diff(particle[order], prepend=-1))
    step = np.zeros_like(ordered)
    step[1:] = tracks.box.displacement(ordered[:-1], ordered[1:])
    step[first] = ordered[first]
    total = np.cumsum(step, axis=0)
    begin = np.repeat(first, np.diff(np.append(first, len(order))))
    unwrapped = np.empty_like(positions)
    unwrapped[order] = total - total[begin] + ordered[begin]
    return unwrapped


def _laws(
    tracks: Trajectories, classes: np.ndarray, positions: np.ndarray, used: Scales, rng: np.random.Generator
) -> list[tuple[HopTable, np.ndarray]]:
    """Return the law of p_hop and the variance of displacements over 0, 1, .. frames for every class."""
    laws = []
    for k in range(int(classes.max(initial=0)) + 1):
        own = classes == k
        table = tracks.table[own]
        spread = variogram(
            table["frame"].to_numpy(), table["particle"].to_numpy(), positions[own], 2 * used.half_window - 1
        )
        laws.append((hop_table(window_covariance(spread), rng, dimension=tracks.dimension), spread))
    return laws


def _tail(law: HopTable, ratio: np.ndarray, moving: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, Any]:
    """Return P(p_hop > value) for values over the median of the law, and the scale and dispersion that were fitted."""
    quantile = rng.uniform(size=_DRAWS)
    drawn = np.exp(np.interp(-np.log(quantile), -law.log_tail, law.log_value) - law.median)
    seen = ratio[moving] if moving.any() else drawn
    fitted = fit_scale(seen, drawn, rng)
    centre = np.exp(law.median) / fitted.scale
    return dispersed_tail(lambda x, _: law.tail(x), ratio * centre, fitted.dispersion), fitted


def _window_errors(tracks: Trajectories, classes: np.ndarray, half_window: int) -> np.ndarray:
    """Return 2 sigma^2 (um2) averaged over the window of p_hop less what is typical of the class.

    Right where the window is complete, which is where p_hop is known.
    """
    squares, typical = stated_errors(tracks, classes)
    excess = 2.0 * (squares - np.nan_to_num(typical)[classes])
    order = np.lexsort((tracks.table["frame"].to_numpy(), tracks.table["particle"].to_numpy()))
    running = np.concatenate([[0.0], np.cumsum(excess[order])])
    place = np.arange(len(order))
    low, high = np.maximum(place - half_window, 0), np.minimum(place + half_window, len(order))
    mean = np.empty(len(order))
    mean[order] = (running[high] - running[low]) / np.maximum(high - low, 1)
    return mean
