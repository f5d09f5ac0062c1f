"""Rows of free particles whose mobility depends on a given structural variable and on a hidden one."""

from __future__ import annotations

import numpy as np

from colloid_cg.learn.latent.law import LatentLaw
from colloid_cg.learn.latent.rows import LatentRows


def ornstein_uhlenbeck(shape: tuple[int, int], persistence: float, rng: np.random.Generator) -> np.ndarray:
    """Return N(0, 1) processes, shape (tracks, frames)."""
    memory = np.exp(-1.0 / persistence)
    values = np.empty(shape)
    values[:, 0] = rng.standard_normal(shape[0])
    for t in range(1, shape[1]):
        values[:, t] = memory * values[:, t - 1] + np.sqrt(1.0 - memory**2) * rng.standard_normal(shape[0])
    return values


def simulated_rows(
    law: LatentLaw, *, tracks: int, frames: int, rng: np.random.Generator, stiffness: float = 0.0,
    structure_persistence: float = 20.0,
) -> tuple[LatentRows, np.ndarray]:  # fmt: skip
    """Return what the filter reads (dt = 1, true localisation noise) and the true z, shape (tracks frames,).

    With ``stiffness`` k every particle sits in a harmonic well of its own at the origin: dr = -lambda D k r dt + noise.
    """
    n_species, k = law.structure_slope.shape
    species = np.repeat(np.arange(tracks) % n_species, frames).reshape(tracks, frames)
    f = np.stack([ornstein_uhlenbeck((tracks, frames), structure_persistence, rng) for _ in range(k)], axis=-1)
    z = (
        ornstein_uhlenbeck((tracks, frames), law.persistence, rng)
        if law.persistence > 0
        else rng.standard_normal((tracks, frames))
    )
    mobility = np.exp(law.log_mobility(f.reshape(-1, k), z.ravel(), species.ravel())).reshape(tracks, frames)
    diffusion = law.diffusion[species] * mobility
    x = np.zeros((tracks, frames + 1, 2))
    for t in range(frames):
        own = diffusion[:, t, None]
        noise = rng.standard_normal((tracks, 2))
        if stiffness:
            gain = np.exp(-own * stiffness)
            x[:, t + 1] = gain * x[:, t] + np.sqrt((1.0 - gain**2) / stiffness) * noise
        else:
            x[:, t + 1] = x[:, t] + np.sqrt(2.0 * own) * noise
    y = x + np.sqrt(law.localisation_variance) * rng.standard_normal(x.shape)
    step = (y[:, 1:] - y[:, :-1]).reshape(-1, 2)
    rate = law.diffusion[species].ravel()[:, None] * stiffness * np.ones(2)
    ones, zeros = np.ones_like(step), np.zeros_like(step)
    spread = 2.0 * ones if not stiffness else (1.0 - np.exp(-2.0 * rate)) / (rate)
    rows = LatentRows(
        step=step, phi=-(1.0 - np.exp(-rate)) * y[:, :-1].reshape(-1, 2), rate=rate, own=spread, noise=ones,
        fixed=zeros, coupling_own=zeros, share=ones, fixed_share=zeros,
        joined=np.tile(np.arange(frames) > 0, tracks), gap=np.tile((np.arange(frames) > 0).astype(int), tracks),
        detection=np.arange(tracks * frames), species=species.ravel(),
        frame=np.tile(np.arange(frames), tracks), particle=np.repeat(np.arange(tracks), frames),
        structure=f.reshape(-1, k), reference=law.diffusion,
    )  # fmt: skip
    return rows, z.ravel()


def law_of(*, slope: float = 0.5, memory: float = 0.6, persistence: float = 15.0, noise: float = 0.02) -> LatentLaw:
    """Return the law of one species with D = .1."""
    return LatentLaw(
        diffusion=np.array([0.1]), localisation_variance=noise, structure_slope=np.array([[slope]]),
        memory_slope=np.array([memory]), persistence=persistence,
    )  # fmt: skip
