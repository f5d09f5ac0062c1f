"""How much of a rollout is outside what the training data covered."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from colloid_cg.records import Box, ModelBundle, Rollout


def pair_distances(positions: np.ndarray, cutoff: float, box: Box) -> np.ndarray:
    """Return the distances below ``cutoff`` of all pairs, each once, shortest image; positions shape (n, d), um."""
    lengths = np.where(box.periodic, box.lengths, 0.0)
    shifted = box.wrap(positions) - np.asarray(box.lower)
    shifted = np.where(np.asarray(box.periodic) & (shifted >= lengths), 0.0, shifted)
    tree = cKDTree(shifted, boxsize=lengths if any(box.periodic) else None)
    pairs = tree.query_pairs(cutoff, output_type="ndarray")
    difference = Box.shortest(box, shifted[pairs[:, 0]] - shifted[pairs[:, 1]])
    return np.asarray(np.linalg.norm(difference, axis=1))


def force_is_used(bundle: ModelBundle) -> bool:
    """Return whether rollouts of the model feel a pair force."""
    return bool(bundle.config.get("pair_force_used", True)) and len(bundle.pair_force) > 0


def extrapolation(rollout: Rollout, bundle: ModelBundle, *, frames: int = 60) -> dict[str, Any]:
    """Return the share of rollout pair distances within the range of the force that training never saw.

    Only pairs below the largest training distance count: beyond it the force is zero by construction. The true
    positions are used, since they are what the force is evaluated at. ``fraction`` is None where the fit recorded
    no range of training distances or no pair came that close; ``applies`` is False where the model has no force.
    """
    samples = bundle.diagnostics.get("force_samples") or {}
    low, high = samples.get("r_min"), samples.get("r_max")
    result: dict[str, Any] = {
        "r_min": low,
        "r_max": high,
        "applies": force_is_used(bundle),
        "fraction": None,
        "pairs": 0,
        "smallest": None,
    }
    if low is None or high is None or not result["applies"]:
        return result
    chosen = np.unique(np.linspace(0, rollout.positions.shape[1] - 1, frames).round().astype(int))
    distances = np.concatenate(
        [pair_distances(run[frame], float(high), rollout.box) for run in rollout.positions for frame in chosen]
    )
    if len(distances):
        result |= {
            "fraction": float(np.mean(distances < low)),
            "pairs": len(distances),
            "smallest": float(distances.min()),
        }
    return result
