"""The true structure of a particle, followed through its errors along the track.

The encoder makes f = sqrt(R) phi + e of true structure phi (variance 1) and of the noise of localisation, which gives e
its variance 1 - R. With phi_t+1 = rho phi_t + noise the correlation of f over a frame is C = R rho. A mobility is
regressed on E[phi_t | f before t], a Kalman filter for each particle (Kalman 1960, doi:10.1115/1.3662552): on f itself
the slope would be too small (errors in variables), and far too small beside a memory variable, which takes what is
steady in phi and leaves the errors (Griliches and Hausman 1986, doi:10.1016/0304-4076(86)90058-8). The f of the frame
in which a step begins is left out: its error moves the step as well, and would pass for a hidden variable.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from colloid_cg.records import StateSeries, Trajectories
from colloid_cg.states import from_trajectories
from colloid_cg.structure import StructureModel, encode_positions

_NOISE_FRAMES = 40
LEAST_SHARE, LONGEST = 0.1, 0.999
"""Least R, and largest correlation of phi over a frame."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Reliability:
    """R = 1 - variance of the error of f, and C = correlation of f with itself a frame later; shape (n_species, k)."""

    share: np.ndarray
    kept: np.ndarray

    @property
    def steadiness(self) -> np.ndarray:
        """Return rho, the correlation of phi over a frame."""
        return np.asarray(np.clip(self.kept / self.share, 0.0, LONGEST))

    def true(self, f: np.ndarray, species: np.ndarray) -> np.ndarray:
        """Return phi of the f (n, k) of true positions."""
        return np.asarray(f / np.sqrt(self.share)[species])


@dataclass(frozen=True, kw_only=True, eq=False)
class Followed:
    """Mean and variance of phi of every detection, (n, k), without and with the f of its frame.

    NaN where the last f that counts, of the frame before or its own, is hidden.
    """

    before: np.ndarray
    before_variance: np.ndarray
    now: np.ndarray
    now_variance: np.ndarray


def followed(f: np.ndarray, series: StateSeries, known: Reliability) -> Followed:
    """Return what the f (n, k) of a series, NaN where hidden, say of the true structure of its particles."""
    root, rho = np.sqrt(known.share)[series.species], known.steadiness[series.species]
    error = (1.0 - known.share)[series.species]
    before, before_variance = np.zeros_like(f), np.ones_like(f)
    now, now_variance, told = np.zeros_like(f), np.ones_like(f), np.zeros(len(f), dtype=bool)
    seen = np.isfinite(f).all(axis=1)
    for frame in range(series.n_frames):
        rows = np.arange(series.offsets[frame], series.offsets[frame + 1])
        went_on = rows[series.previous[rows] >= 0]
        last = series.previous[went_on]
        before[went_on] = rho[went_on] * now[last]
        before_variance[went_on] = rho[went_on] ** 2 * now_variance[last] + 1.0 - rho[went_on] ** 2
        told[went_on] = seen[last]
        surprise = np.where(seen[rows, None], f[rows] - root[rows] * before[rows], 0.0)
        spread = root[rows] ** 2 * before_variance[rows] + error[rows]
        gain = np.where(seen[rows, None], before_variance[rows] * root[rows] / np.maximum(spread, 1e-12), 0.0)
        now[rows] = before[rows] + gain * surprise
        now_variance[rows] = (1.0 - gain * root[rows]) * before_variance[rows]
    return Followed(
        before=np.where(told[:, None], before, np.nan), before_variance=before_variance,
        now=np.where(seen[:, None], now, np.nan), now_variance=now_variance,
    )  # fmt: skip


def reliability(
    encoder: StructureModel, tracks: Trajectories, f: np.ndarray, *, localisation_variance: float, n_species: int,
    rng: np.random.Generator,
) -> Reliability:  # fmt: skip
    """Return how well the structural variables of a block are known.

    The error of f is that of f(y + eta) - f(y), eta with the fitted variance: to first order that of f(y) - f(x), x the
    true positions (simulation-extrapolation: Cook and Stefanski 1994, doi:10.1080/01621459.1994.10476871).

    Parameters
    ----------
    encoder : StructureModel
    tracks : Trajectories
    f : array, shape (n, k)
        Structural variables of the rows of ``tracks``.
    localisation_variance : float
        um2.
    n_species : int
    rng : numpy.random.Generator

    Returns
    -------
    Reliability
        1 for species without an encoder.
    """
    series = from_trajectories(tracks)
    error, camera = np.sqrt(max(localisation_variance, 0.0)), tracks.camera_positions
    moved: list[list[np.ndarray]] = [[] for _ in range(n_species)]
    for frame in np.unique(np.linspace(0, series.n_frames - 1, _NOISE_FRAMES).round().astype(int)):
        rows = series.rows(int(frame))
        positions, species = series.box.wrap(camera[rows]), series.species[rows]
        shaken = series.box.wrap(positions + error * rng.standard_normal(positions.shape))
        here, there = (encode_positions(encoder, place, species, series.box) for place in (positions, shaken))
        for kind in range(n_species):
            moved[kind].append((there - here)[species == kind])
    share, kept = np.ones((n_species, encoder.latents)), np.ones((n_species, encoder.latents))
    before, seen = series.previous, np.isfinite(f).all(axis=1)
    linked = np.flatnonzero((before >= 0) & seen & seen[before])
    for kind in range(n_species):
        change = np.concatenate(moved[kind])
        change = change[np.isfinite(change).all(axis=1)]
        own = linked[series.species[linked] == kind]
        if len(change) < 2 or len(own) < 2:
            continue
        a, b = f[own] - f[own].mean(axis=0), f[before[own]] - f[before[own]].mean(axis=0)
        variance = np.maximum(np.sqrt((a**2).mean(axis=0) * (b**2).mean(axis=0)), 1e-300)
        share[kind] = 1.0 - change.var(axis=0) / variance
        kept[kind] = (a * b).mean(axis=0) / variance
    # The error cannot be more than what is forgotten within a frame.
    share = np.clip(share, np.maximum(kept, LEAST_SHARE), 1.0)
    return Reliability(share=share, kept=np.clip(kept, 0.0, 1.0))
