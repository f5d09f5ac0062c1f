"""The same observable of experiment and rollouts side by side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

from colloid_cg.assessment.agreement import STATIONARY_Z, root_mean_square, rrmse, tolerance, verdict, z_scores
from colloid_cg.assessment.settings import AssessConfig
from colloid_cg.observables import Curve, msd, rdf, van_hove
from colloid_cg.records import Trajectories

MOST_LAGS = 30

Motion = TypeVar("Motion")
"""Trajectories of a video, or positions and velocities of a simulation."""

Observable = Callable[[Trajectories], Curve]


@dataclass(frozen=True, kw_only=True, eq=False)
class Series(Generic[Motion]):
    """What is compared: the test block, its halves, and every replica of the model through the same view."""

    experiment: Motion
    halves: tuple[Motion, Motion]
    replicas: tuple[Motion, ...]


def halves_of(tracks: Trajectories) -> tuple[Trajectories, Trajectories]:
    """Return the first and the second half (in time) of a block."""
    first, last = int(tracks.table["frame"].iloc[0]), int(tracks.table["frame"].iloc[-1])
    middle = (first + last + 1) // 2
    return tracks.between(first, middle), tracks.between(middle, last + 1)


def compare(
    series: Series[Motion], observable: Callable[[Motion], Curve], config: AssessConfig, *, floor: float | None = None
) -> dict[str, Any]:
    """Compute one observable of experiment and rollouts with the same function, and judge their agreement.

    ``floor`` is the RRMSE that is good whatever the reference says, in place of that of the settings.

    The model's value is the mean over replicas (see :func:`mean_of` for its error). ``reference_rrmse`` compares the
    halves of the experiment with each other; :func:`tolerance` allows for each having half the data only.
    Where the halves differ by more than their errors say (structure that lives longer than the blocks behind the
    errors), the errors of the experiment are enlarged by ``error_scale`` so that the halves agree;
    ``reference_rms_z`` is their difference before that.
    """
    experiment = observable(series.experiment)
    first, second = (observable(half) for half in series.halves)
    model, model_error = mean_of([observable(replica) for replica in series.replicas])
    own = root_mean_square(z_scores(first.value, first.standard_error, second.value, second.standard_error))
    scale = max(1.0, own or 1.0)
    experiment_error = scale * experiment.standard_error
    scores = z_scores(model, model_error, experiment.value, experiment_error)
    error, reference = rrmse(model, experiment.value), rrmse(first.value, second.value)
    allowed = tolerance(reference, floor=floor or config.rrmse_floor, factor=config.reference_factor)
    rms_z = root_mean_square(scores)
    return {
        "x": experiment.x,
        "x_unit": experiment.x_unit,
        "value_unit": experiment.value_unit,
        "experiment": experiment.value,
        "experiment_error": experiment_error,
        "error_scale": scale,
        "model": model,
        "model_error": model_error,
        "z": scores,
        "rms_z": rms_z,
        "rrmse": error,
        "reference_rrmse": reference,
        "reference_rms_z": own,
        "allowed_rrmse": allowed,
        "verdict": verdict(error, allowed=allowed, rms_z=rms_z, stationary=(own or 0.0) <= STATIONARY_Z),
    }


def mean_of(curves: list[Curve]) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard error over replicas.

    The error is the larger of the spread between replicas and of their own errors added up: the spread of a handful
    of replicas is itself uncertain, and alone would make too much of small differences.
    """
    values = np.stack([curve.value for curve in curves])
    known = np.isfinite(values).sum(axis=0)
    total = np.nansum(values, axis=0)
    mean = np.divide(total, known, out=np.full(total.shape, np.nan), where=known > 0)
    if len(curves) == 1:
        return mean, curves[0].standard_error
    square = np.nansum((values - mean) ** 2, axis=0)
    spread = np.full(total.shape, np.nan)
    several = known > 1
    spread[several] = np.sqrt(square[several] / (known[several] - 1) / known[several])
    own = np.stack([curve.standard_error for curve in curves])
    pooled = np.sqrt(np.nansum(own**2, axis=0)) / np.maximum(known, 1)
    return mean, np.fmax(spread, np.where(np.isfinite(own).any(axis=0), pooled, np.nan))


def rdf_of(edges: np.ndarray, frames: int) -> Observable:
    """Return the pair correlation function on fixed bins (um) from at most ``frames`` frames."""
    return lambda tracks: rdf(tracks, bins=edges, max_frames=frames)


def msd_of(lags: np.ndarray) -> Observable:
    """Return the mean squared displacement at fixed lags (frames)."""
    return lambda tracks: msd(tracks, [int(lag) for lag in lags])


def van_hove_of(lag: int, edges: np.ndarray) -> Observable:
    """Return the self van Hove function at one lag (frames) on fixed bins (um)."""
    return lambda tracks: van_hove(tracks, lag, edges)


def displacement_edges(tracks: Trajectories, lag: int, bins: int) -> np.ndarray:
    """Return bins over four standard deviations of the displacement along one axis either way, um."""
    spread = float(np.sqrt(msd(tracks, [lag]).value[0] / tracks.dimension))
    reach = 4.0 * spread if np.isfinite(spread) and spread > 0.0 else tracks.pixel_size
    return np.linspace(-reach, reach, bins + 1)


def comparable_lags(block: int, half: int, rollout: int, config: AssessConfig) -> np.ndarray:
    """Return the lags in frames: up to a tenth of the shorter series, at least five where the halves allow it."""
    last = max(int(config.lag_fraction * min(block, rollout)), config.minimum_lags)
    last = max(1, min(last, half - 2, rollout - 2))
    if last <= MOST_LAGS:
        return np.arange(1, last + 1)
    return np.unique(np.round(np.geomspace(1, last, MOST_LAGS)).astype(int))


def distance_edges(tracks: Trajectories, replicas: tuple[Trajectories, ...], config: AssessConfig) -> np.ndarray:
    """Return the bins of g(r), in um, that fit into the view of experiment and rollouts alike."""
    frames = max(tracks.table["frame"].nunique(), 1)
    density = len(tracks) / frames / tracks.box.volume
    side = min(float(view.box.lengths.min()) for view in (tracks, *replicas))
    reach = config.r_max or 4.0 * density ** (-1.0 / tracks.dimension)
    return np.linspace(0.0, min(reach, 0.5 * side), config.rdf_bins + 1)
