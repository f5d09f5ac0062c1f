"""Curves that tell whether the fit can be trusted."""

from __future__ import annotations

from typing import Any

import numpy as np

from colloid_cg.errors import DataError
from colloid_cg.learn.banded import Residuals, innovations
from colloid_cg.learn.config import FitConfig
from colloid_cg.learn.problem import Block, Candidate, edge_margin, prepare
from colloid_cg.learn.sandwich import block_bootstrap_error, cluster_sums, covariance_of, mean_interval
from colloid_cg.learn.series import every_nth_frame, frame_of_rows, time_blocks
from colloid_cg.learn.stride import intervals
from colloid_cg.records import StateSeries

_LAGS = 10
LARGEST_RATE = 0.3
"""Relaxation over an interval up to which D under a known force was found right within 2 % (docs/fit_errors.md)."""

NOT_MODELLED = [
    "hydrodynamic coupling between particles and with walls",
    "non-conservative, many-body and anisotropic forces",
    "external fields and confinement (traps, walls, gravity)",
    "active motion and flow other than one common drift",
    "differences between particles of one species (size, charge)",
    "forces of particles the tracking missed or lost in a gap",
]


def diffusion_against_lag(
    series: StateSeries, candidate: Candidate, config: FitConfig, drift: np.ndarray, *, noise_half_width: float
) -> dict[str, Any]:
    """Return (MSD(lag) - 2 d w) / (2 d lag): flat for free diffusion, falling in confinement, rising with flow.

    Only displacements that start so far from the edge of the view that they cannot end outside are used. The
    uncertainty of the fitted noise (its 90 % half width in um2) is added in quadrature.
    """
    blocks = time_blocks(series, config.time_blocks)
    noise = candidate.noise.effective_noise.mean()
    unsure = float(noise_half_width)
    result: dict[str, Any] = {"lag_s": [], "value": [], "low90": [], "high90": []}
    later = np.arange(len(series.positions))
    for lag in range(1, _LAGS + 1):
        later = np.where(later >= 0, series.following[later], -1)
        rows = np.flatnonzero((later >= 0) & (series.edge_distance > edge_margin(series, lag)))
        if len(rows) < 20:
            break
        time = lag * series.frame_interval
        square = ((series.positions[later[rows]] - series.positions[rows] - drift * time) ** 2).mean(axis=1)
        mean, half = mean_interval(square, blocks[rows])
        value = (mean - 2.0 * noise) / (2.0 * time)
        half = float(np.hypot(half, 2.0 * unsure))
        result["lag_s"].append(time)
        result["value"].append(value)
        result["low90"].append(value - half / (2.0 * time))
        result["high90"].append(value + half / (2.0 * time))
    return result


def half_rate(block: Block, candidate: Candidate, config: FitConfig, drift: np.ndarray) -> dict[str, Any]:
    """Return D refitted on every second frame under the same force: a right model gives the same D.

    Only where the moment closure still holds over two frames: in dense systems, or far apart in time, it does not, and
    a difference would accuse the closure, not the noise or the motion.
    """
    full = block.residuals(candidate.model)
    rate = relaxation(full)
    if 2.0 * rate > LARGEST_RATE:
        return too_fast_for_half_rate(rate)
    series = every_nth_frame(block.series, 2)
    cutoff = candidate.model.cutoff if candidate.model.n_knots else None
    fastest = float(candidate.model.diffusion.max())
    form = "constant" if block.detection is None else block.detection.form
    thinned = prepare(
        series, n_species=block.n_species, drift_velocity=drift, cutoff=cutoff, diffusion=fastest, noise_form=form
    )
    data = thinned.residuals(candidate.model)
    if data.joined.sum() < 50:
        return _no_half_rate("too few frames to thin")
    try:
        noise = thinned.noise(data, scores=True)
    except DataError as error:
        return _no_half_rate(f"no fit at half the rate: {error}")
    value, width = float(noise.diffusion[0]), float(intervals(noise, series, data.row, config.time_blocks)[0])
    found = float(candidate.noise.diffusion[0])
    agrees = abs(value - found) <= width + 0.02 * found
    note = (
        "agrees with the full rate" if agrees else "differs from the full rate: the noise or motion model is not right"
    )
    return {"value": value, "low90": value - width, "high90": value + width, "note": note}


def too_fast_for_half_rate(rate: float) -> dict[str, Any]:
    """Return the entry of a check that does not apply: ``rate`` is the mean k dt."""
    return _no_half_rate(
        f"not applicable: displacements relax by {2.0 * rate:.2g} over two frames, and beyond {LARGEST_RATE:g} "
        "the motion cannot be predicted over them"
    )


def relaxation(data: Residuals) -> float:
    """Return the mean k dt over the targets, k = -ln J/dt the rate at which a displacement relaxes."""
    return float(-np.log(np.clip(data.gain, 0.05, None)).mean()) if len(data.row) else 0.0


def _no_half_rate(note: str) -> dict[str, Any]:
    return {"value": None, "low90": None, "high90": None, "note": note}


def innovation_autocorrelation(block: Block, candidate: Candidate) -> dict[str, Any]:
    """Return the autocorrelation of the standardised innovations at lags 1 to 10 with its 90 % band for white noise."""
    data = block.residuals(candidate.model)
    noise = candidate.noise
    white = innovations(data, diffusion=noise.diffusion, localisation_variance=noise.localisation_variance)[1]
    index = np.arange(len(white))
    return autocorrelation(white, index - np.maximum.accumulate(np.where(data.joined, 0, index)))


def autocorrelation(white: np.ndarray, place: np.ndarray) -> dict[str, Any]:
    """Return the autocorrelation of innovations (m, d) that stand at ``place`` (m,) of their runs, and the kurtosis."""
    values, bands, lags = [], [], []
    for lag in range(1, _LAGS + 1):
        later = np.flatnonzero(place >= lag)
        if len(later) < 20:
            break
        lags.append(lag)
        values.append(float((white[later] * white[later - lag]).mean() / (white**2).mean()))
        bands.append(1.645 / float(np.sqrt(later.size * white.shape[1])))
    fourth = float((white**4).mean() / (white**2).mean() ** 2) if len(white) else 3.0
    return {"lags": lags, "autocorrelation": values, "band": bands, "kurtosis": fourth}


def stated_sigma(series: StateSeries, fitted: float) -> dict[str, Any]:
    """Return the mean stated localisation variance beside the fitted one (um2), and the factor between them."""
    stated = series.localisation_variance[np.isfinite(series.localisation_variance)]
    mean = float(stated.mean()) if stated.size else None
    return {"stated_variance": mean, "fitted_variance": fitted, "factor": fitted / mean if mean else None}


def bootstrap(block: Block, candidate: Candidate, config: FitConfig, *, seed: int) -> dict[str, Any]:
    """Return standard errors of (D.., s2) by resampling blocks of frames, over those of the sandwich clustered in time.

    Clusters of the sandwich have fixed borders; here blocks of the same length begin anywhere. Far from one, errors
    hang on where the borders fall: too few blocks, or correlations longer than one.
    """
    data = block.residuals(candidate.model)
    noise = block.noise(data, candidate.noise.parameters, scores=True)
    frame = frame_of_rows(block.series)[data.row]
    per_frame = np.zeros((block.series.n_frames, noise.influence.shape[1]))
    np.add.at(per_frame, frame, noise.influence)
    blocks = time_blocks(block.series, config.time_blocks)
    length = max(1, block.series.n_frames // int(blocks.max() + 1))
    resampled = block_bootstrap_error(per_frame, length=length, rng=np.random.default_rng(seed))
    sandwich = np.sqrt(np.diag(covariance_of(cluster_sums(noise.influence, blocks[data.row]))))
    names = [f"diffusion_coefficient[{species}]" for species in range(block.n_species)] + ["localisation_variance"]
    return {
        "block_frames": length,
        "names": names,
        "ratio": [float(value) for value in resampled / np.maximum(sandwich, 1e-300)],
        "note": "force held fixed",
    }
