"""How well structure is known, and what that makes of its part in the mobility.

The structural variable f of a step is taken one frame of the movie before the step begins: an error of localisation
that moves f does not move the step too, and cannot pass for a hidden variable. What the likelihood fits is therefore
the slope b on f as measured, one frame late. In terms of the true structure phi = f_true/sqrt(R) at the time of the
step, R = 1 - variance of the error of f, it is B = b sqrt(R)/C, C the correlation of f with itself one frame later:
f a frame earlier as an instrument (errors in variables: Fuller 1987, doi:10.1002/9780470316665). Rollouts have phi.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from colloid_cg.learn.latent.law import LatentLaw
from colloid_cg.records import Trajectories
from colloid_cg.states import from_trajectories
from colloid_cg.structure import StructureModel, encode_positions

_NOISE_FRAMES = 40
LEAST_RELIABILITY = 0.2
"""R and C are held above this: structure that is mostly error has no slope worth correcting."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Reliability:
    """R = 1 - variance of the error of f, and C = correlation of f with itself a frame later; shape (n_species, k)."""

    share: np.ndarray
    kept: np.ndarray

    def living(self, law: LatentLaw) -> LatentLaw:
        """Return the law of the true structure phi that has ``law`` of f as measured a frame before."""
        return replace(law, structure_slope=law.structure_slope * np.sqrt(self.share) / self.kept)

    def estimate(self, f: np.ndarray, species: np.ndarray) -> np.ndarray:
        """Return the expected phi of measured f (n, k): its variance about that is 1 - R."""
        return np.asarray(f * np.sqrt(self.share)[species])

    def true(self, f: np.ndarray, species: np.ndarray) -> np.ndarray:
        """Return phi of the f (n, k) of true positions."""
        return np.asarray(f / np.sqrt(self.share)[species])


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
    """
    series, latents = from_trajectories(tracks), encoder.latents
    error, camera = np.sqrt(max(localisation_variance, 0.0)), tracks.camera_positions
    shape = (n_species, latents)
    moved: list[list[np.ndarray]] = [[] for _ in range(n_species)]
    for frame in np.unique(np.linspace(0, series.n_frames - 1, _NOISE_FRAMES).round().astype(int)):
        rows = series.rows(int(frame))
        positions, species = series.box.wrap(camera[rows]), series.species[rows]
        shaken = series.box.wrap(positions + error * rng.standard_normal(positions.shape))
        here, there = (encode_positions(encoder, place, species, series.box) for place in (positions, shaken))
        for kind in range(n_species):
            moved[kind].append((there - here)[species == kind])
    share, kept = np.ones(shape), np.ones(shape)
    before = series.previous
    linked = np.flatnonzero((before >= 0) & np.isfinite(f).all(axis=1))
    linked = linked[np.isfinite(f[before[linked]]).all(axis=1)]
    for kind in range(n_species):
        change = np.concatenate(moved[kind])
        change = change[np.isfinite(change).all(axis=1)]
        own = linked[series.species[linked] == kind]
        if len(change) < 2 or len(own) < 2:
            continue
        share[kind] = 1.0 - change.var(axis=0)
        a, b = f[own] - f[own].mean(axis=0), f[before[own]] - f[before[own]].mean(axis=0)
        kept[kind] = (a * b).mean(axis=0) / np.maximum(np.sqrt((a**2).mean(axis=0) * (b**2).mean(axis=0)), 1e-300)
    return Reliability(share=np.clip(share, LEAST_RELIABILITY, 1.0), kept=np.clip(kept, LEAST_RELIABILITY, 1.0))
