"""Suspensions without a hidden variable: how often one is found all the same. Parts of benchmarks/structure.py."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from benchmarks.record import Record
from colloid_cg.learn import FitConfig, fit
from colloid_cg.records import Box, ModelBundle, Trajectories
from colloid_cg.states import split_by_time
from colloid_cg.structure import StructureConfig
from colloid_cg.twin import TwinConfig, make_twin

NULLS, CRYSTALS = 20, 5
_FRACTIONS = (0.6, 0.2, 0.2)


def null_figures() -> list[dict[str, Any]]:
    """Return in how many dilute suspensions the method finds no hidden variable worth having."""
    record = Record("structure")
    used, gains = _used([dilute(seed) for seed in range(1, NULLS + 1)], (0,))
    record.add("dilute Brownian twin: seeds without a hidden variable worth having", NULLS - used, target=19,
               better="higher", note=f"of {NULLS}; gains {min(gains):.2g} to {max(gains):.2g} nats")  # fmt: skip
    return record.figures


def crystal_figures() -> list[dict[str, Any]]:
    """Return the same of crystals, where noise of localisation moves neighbourhoods as much as it moves steps."""
    record = Record("structure")
    used, gains = _used([crystal(seed) for seed in range(1, CRYSTALS + 1)], (0, 5))
    record.add("crystal with noise of localisation: seeds without a hidden variable worth having", CRYSTALS - used,
               target=CRYSTALS, better="higher",
               note=f"of {CRYSTALS}; gains {min(gains):.2g} to {max(gains):.2g} nats")  # fmt: skip
    return record.figures


def _used(movies: list[Trajectories], knots: tuple[int, ...]) -> tuple[int, list[float]]:
    used, gains = 0, []
    for seed, tracks in enumerate(movies, start=1):
        bundle = fitted(tracks, seed, knots)
        used += bool(bundle.config["hidden_variable"]["used"])
        gains.append(float(bundle.metrics["latent_gain"][0]["value"]))
        print(f"null {seed}: {gains[-1]:.2g}, used {used} so far", flush=True)
    return used, gains


def fitted(tracks: Trajectories, seed: int, knots: tuple[int, ...]) -> ModelBundle:
    """Fit overdamped dynamics with a hidden variable."""
    train, select, _ = split_by_time(tracks, fractions=_FRACTIONS)
    settings = FitConfig(hidden_variables=1, knots=knots, regime="overdamped")
    return fit(train, select, settings, rng=seed, structure=StructureConfig())


def dilute(seed: int) -> Trajectories:
    """Return true tracks of a dilute suspension with noise of localisation of half a step."""
    config = TwinConfig(n_frames=250, width=600, height=600, seed=seed, frame_interval=0.1)
    table = make_twin("brownian", config).truth_table[["frame", "particle", "x", "y", "species"]].copy()
    rng, error = np.random.default_rng(seed), 0.5 * np.sqrt(2.0 * config.diffusion_coefficient * 0.1)
    for axis in "xy":
        table[axis] += rng.normal(0.0, error / config.pixel_size, len(table))
    return Trajectories(
        table=table, pixel_size=config.pixel_size, frame_interval=config.frame_interval, exposure=config.exposure,
        field_of_view=Box(lower=(-0.5, -0.5), upper=(599.5, 599.5), periodic=(False, False)), n_frames=config.n_frames,
    )  # fmt: skip


def crystal(
    seed: int, *, side: int = 20, frames: int = 200, spacing: float = 1.5, diffusion: float = 0.02,
    stiffness: float = 50.0, noise: float = 0.04, interval: float = 0.1, substeps: int = 20,
) -> Trajectories:  # fmt: skip
    """Return a triangular crystal of linear springs (um, s, k_B T), seen with an error of a third of its vibration."""
    rng, dt, settling = np.random.default_rng(seed), interval / substeps, 100
    column, row = (each.ravel() for each in np.meshgrid(np.arange(side), np.arange(side)))
    sites = np.stack([(column + 0.5 * (row % 2)) * spacing, row * np.sqrt(0.75) * spacing], axis=1)
    cell = np.array([side * spacing, side * np.sqrt(0.75) * spacing])
    a, b = cKDTree(np.mod(sites, cell), boxsize=cell).query_pairs(1.1 * spacing, output_type="ndarray").T
    apart = sites[b] - sites[a]
    unit = (apart - cell * np.round(apart / cell)) / spacing
    moved, seen = np.zeros_like(sites), np.empty((frames, *sites.shape))
    for frame in range(frames + settling):
        for _ in range(substeps):
            force, pull = np.zeros_like(moved), stiffness * ((moved[b] - moved[a]) * unit).sum(axis=1)[:, None] * unit
            np.add.at(force, a, pull)
            np.add.at(force, b, -pull)
            moved = moved + diffusion * dt * force + np.sqrt(2.0 * diffusion * dt) * rng.standard_normal(moved.shape)
        seen[max(frame - settling, 0)] = sites + moved - moved.mean(axis=0)
    seen += noise * rng.standard_normal(seen.shape)
    n, low, high = len(sites), seen.min(axis=(0, 1)) - 0.5, seen.max(axis=(0, 1)) + 0.5
    table = pd.DataFrame({"frame": np.repeat(np.arange(frames), n), "particle": np.tile(np.arange(n), frames)})
    table[["x", "y"]] = seen.reshape(-1, 2)
    return Trajectories(
        table=table, pixel_size=1.0, frame_interval=interval, n_frames=frames,
        field_of_view=Box(lower=tuple(low), upper=tuple(high), periodic=(False, False)),
    )  # fmt: skip
