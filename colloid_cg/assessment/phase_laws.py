"""What the ledger of rollouts with velocities says about the laws: first law, momentum, temperature, entropy."""

from __future__ import annotations

from typing import Any

import numpy as np

from colloid_cg.errors import InputError
from colloid_cg.records import Rollout

ABSORBED_PER = 10_000
"""Steps over which the absorbed energy is quoted."""
_BLOCKS = 5
"""Parts of a rollout whose spread gives errors, beside that between replicas."""


def phase_ledger(rollout: Rollout, masses: np.ndarray) -> dict[str, Any]:
    """Return the figures of the laws, over replicas: energies relative to the kinetic energy at the start.

    Never relative to the total energy, whose zero is arbitrary. ``absorbed`` is the error of the conservative steps
    that went into the internal energy: energy is conserved to round-off with it, so it has to be looked at on its own.
    """
    ledger, (replicas, frames, particles, _) = rollout.ledger, rollout.positions.shape
    steps = int(np.asarray(rollout.metadata.get("steps", frames - 1)))
    kinetic, absorbed, redrawn = _given(rollout, "kinetic"), _given(rollout, "absorbed"), _given(rollout, "redrawn")
    internal, entropy = _given(rollout, "internal"), _given(rollout, "entropy")
    residual = np.abs(ledger.residual())
    gained, gained_error = _absorbed_rate(absorbed / kinetic[:, :1], steps)
    temperature, error = temperature_of(rollout)
    return {
        "first_law_residual_over_kinetic": (residual / kinetic[:, :1]).max(),
        "first_law_residual_per_particle": residual.max() / particles,
        "momentum_drift": _momentum_drift(rollout, masses),
        "absorbed_per_10000_steps_over_kinetic": gained,
        "absorbed_per_10000_steps_over_kinetic_error": gained_error,
        "absorbed_over_kinetic_largest": np.abs(absorbed / kinetic[:, :1]).max(),
        "redrawn": int(redrawn[:, -1].sum()),
        "redrawn_share": redrawn[:, -1].sum() / (replicas * max(steps, 1) * particles),
        "kinetic_temperature_over_k_B_T": temperature,
        "kinetic_temperature_error": error,
        "internal_energy_change_per_particle": (internal[:, -1] - internal[:, 0]).mean() / particles,
        "entropy_change_per_particle": (entropy[:, -1] - entropy[:, 0]).mean() / particles,
        "work_per_particle": (ledger.work[:, -1] - ledger.work[:, 0]).mean() / particles,
        "bath_entropy_change_per_particle": (ledger.bath_entropy[:, -1] - ledger.bath_entropy[:, 0]).mean() / particles,
        "energy_unit": "k_B T0",
        "entropy_unit": "k_B",
        "steps": steps,
        "replicas": replicas,
        "particles": particles,
        "duration": (frames - 1) * rollout.frame_interval,
    }


def _absorbed_rate(absorbed: np.ndarray, steps: int) -> tuple[float, float]:
    """Return the energy absorbed in 10 000 steps and its standard error, from the gains of parts of each replica.

    The error of velocity Verlet goes to and fro and only drifts slowly: a short run cannot tell the drift.
    """
    _, frames = absorbed.shape
    ends = np.unique(np.linspace(0, frames - 1, _BLOCKS + 1).round().astype(int))
    rates = np.diff(absorbed[:, ends], axis=1) / np.diff(ends) * (frames - 1) * ABSORBED_PER / max(steps, 1)
    error = rates.std(ddof=1) / np.sqrt(rates.size) if rates.size > 1 else np.nan
    return float(rates.mean()), float(error)


def temperature_of(rollout: Rollout) -> tuple[float, float]:
    """Return 2 K/(d (N - 1)) in k_B T0, mean over frames (less the first fifth) and replicas, and its standard error.

    At rest N particles have d (N - 1) degrees of freedom. A beginning that was scaled to k_B T0 says nothing.
    """
    kinetic = _given(rollout, "kinetic")
    _, frames, particles, dimension = rollout.positions.shape
    skipped = 0 if rollout.metadata.get("velocity_scale") == 1.0 else frames // 5
    later = 2.0 * kinetic[:, skipped:] / (dimension * max(particles - 1, 1))
    parts = np.concatenate([[block.mean() for block in np.array_split(run, _BLOCKS) if len(block)] for run in later])
    error = parts.std(ddof=1) / np.sqrt(len(parts)) if len(parts) > 1 else np.nan
    return float(later.mean()), float(error)


def scatter_of_one_run(rollout: Rollout) -> float:
    """Return the standard error of the kinetic temperature of a single run against the mean of all, relative to it.

    A test block is one run: from the same start its kinetic energy scatters as much as those of the replicas. A single
    replica does not tell by how much: the canonical scatter of one instant, sqrt(2/(d N)), is the most there is.
    """
    means = _given(rollout, "kinetic").mean(axis=1)
    _, _, particles, dimension = rollout.positions.shape
    if len(means) < 2:
        return float(np.sqrt(2.0 / (dimension * particles)))
    return float(means.std(ddof=1) / means.mean() * np.sqrt(1.0 + 1.0 / len(means)))


def _momentum_drift(rollout: Rollout, masses: np.ndarray) -> float:
    """Return the largest change of sum m v over sum m |v| at the start."""
    if rollout.ledger.momentum is None or rollout.velocities is None:
        return float("nan")
    moved = np.linalg.norm(rollout.ledger.momentum - rollout.ledger.momentum[:, :1], axis=2)
    scale = (masses * np.linalg.norm(rollout.velocities[:, 0], axis=2)).sum(axis=1)
    return float((moved / scale[:, None]).max())


def _given(rollout: Rollout, name: str) -> np.ndarray:
    values = getattr(rollout.ledger, name)
    if values is None:
        raise InputError(
            f"a ledger without {name}", expected="the ledger of a rollout with velocities", action="simulate again"
        )
    return np.asarray(values)
