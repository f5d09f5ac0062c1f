"""What the ledger of a rollout says about the laws."""

from __future__ import annotations

from typing import Any

import numpy as np

from colloid_cg.records import Rollout


def ledger_summary(rollout: Rollout) -> dict[str, Any]:
    """Return the first-law residual, the energy and the entropy given to the bath, over replicas.

    The residual is energy - energy[0] + bath entropy - work (k_B T0); for an overdamped model it tests the
    bookkeeping alone, since Psi is a free energy: the physics is in detailed balance. Energies are quoted per
    particle, in k_B T0, never relative to an arbitrary offset.
    """
    ledger, particles = rollout.ledger, rollout.positions.shape[2]
    duration = (rollout.positions.shape[1] - 1) * rollout.frame_interval
    residual = np.abs(ledger.residual())
    per_particle = ledger.energy / particles
    means = per_particle.mean(axis=1)
    spread = means.std(ddof=1) / np.sqrt(len(means)) if len(means) > 1 else np.nan
    bath = ledger.bath_entropy[:, -1] - ledger.bath_entropy[:, 0]
    return {
        "first_law_residual_max": residual.max(),
        "first_law_residual_per_particle": residual.max() / particles,
        "unit": "k_B T0",
        "mean_energy_per_particle": means.mean(),
        "mean_energy_standard_error": spread,
        "energy_change_per_particle": (per_particle[:, -1] - per_particle[:, 0]).mean(),
        "work_per_particle": (ledger.work[:, -1] - ledger.work[:, 0]).mean() / particles,
        "bath_entropy_rate_per_particle": bath.mean() / particles / duration if duration > 0 else np.nan,
        "bath_entropy_rate_unit": "k_B/s",
        "replicas": rollout.n_replicas,
        "particles": particles,
        "duration_s": duration,
    }
