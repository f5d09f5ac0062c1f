"""Brownian worlds whose every curve is known."""

from __future__ import annotations

import numpy as np
import pandas as pd

from colloid_cg.records import Box, Ledger, ModelBundle, Rollout, Trajectories
from colloid_cg.states import rollout_trajectories

PIXEL, INTERVAL, DIFFUSION, SIGMA, SIDE, PARTICLES = 0.2, 0.05, 0.4, 0.03, 40.0, 150


def free_rollout(
    seed: int, *, diffusion: float = DIFFUSION, frames: int = 100, replicas: int = 4, start: np.ndarray | None = None
) -> Rollout:
    """Free diffusion in a periodic square of 40 um, seen with a localisation error of 30 nm."""
    rng = np.random.default_rng(seed)
    if start is None:
        start = rng.uniform(0.0, SIDE, size=(PARTICLES, 2))
    steps = rng.normal(scale=np.sqrt(2 * diffusion * INTERVAL), size=(replicas, frames - 1, *start.shape))
    begin = np.broadcast_to(start, (replicas, 1, *start.shape))
    positions = np.concatenate([begin, begin + np.cumsum(steps, axis=1)], axis=1)
    energy = np.zeros((replicas, frames))
    return Rollout(
        positions=positions,
        observed=positions + rng.normal(scale=SIGMA, size=positions.shape),
        species=np.zeros(len(start), dtype=int),
        box=Box(lower=(0.0, 0.0), upper=(SIDE, SIDE), periodic=(True, True)),
        frame_interval=INTERVAL,
        ledger=Ledger(energy=energy, work=energy, bath_entropy=energy),
    )


def experiment(seed: int, *, frames: int = 120) -> tuple[Trajectories, np.ndarray]:
    """Trajectories of one free run, and its starting positions in um."""
    run = free_rollout(seed, frames=frames, replicas=1)
    return rollout_trajectories(run, 0, pixel_size=PIXEL), run.positions[0, 0]


def empty_force() -> pd.DataFrame:
    columns = ("r", "force", "low90", "high90", "species_a", "species_b")
    return pd.DataFrame({name: pd.Series(dtype=float) for name in columns})


def bundle(pair_force: pd.DataFrame | None = None, **diagnostics: object) -> ModelBundle:
    table = empty_force() if pair_force is None else pair_force
    return ModelBundle(config={}, weights={}, metrics={}, pair_force=table, diagnostics=dict(diagnostics))
