"""The supervised peer: ridge regression from the descriptors of a neighbourhood to what becomes of the particle."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from colloid_cg.assessment.reading.ranking import area_under_curve
from colloid_cg.records import Trajectories
from colloid_cg.structure import StructureModel, describe

PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Penalties per training row that the selection block chooses from."""


def descriptors(tracks: Trajectories, model: StructureModel, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of the table that lie in ``frames`` (m,) and their descriptors (m, q), NaN where not valid."""
    offsets, positions = tracks.frame_offsets(), tracks.camera_positions
    species, box, neighbourhood = tracks.table["species"].to_numpy(), tracks.box, model.neighbourhood
    rows, values = [], []
    for frame in np.unique(frames):
        part = slice(offsets[frame], offsets[frame + 1])
        if part.stop > part.start:
            rows.append(np.arange(part.start, part.stop))
            values.append(describe(positions[part], species[part], box, neighbourhood=neighbourhood).values)
    if not rows:
        return np.zeros(0, dtype=np.int64), np.zeros((0, len(model.metadata["descriptors"])))
    return np.concatenate(rows), np.concatenate(values)


@dataclass(frozen=True, kw_only=True, eq=False)
class Ridge:
    """Linear prediction from standardised descriptors."""

    mean: np.ndarray
    inverse: np.ndarray
    weights: np.ndarray

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Return the prediction, shape (m,), for descriptors (m, q)."""
        return np.asarray(((values - self.mean) * self.inverse) @ self.weights)


def fit_ridge(values: np.ndarray, target: np.ndarray, held: np.ndarray, positive: np.ndarray) -> Ridge:
    """Fit the ranks of ``target`` (m,) on the training block and choose the penalty on the selection block.

    Parameters
    ----------
    values, target : arrays, shapes (m, q) and (m,)
        Training block. Ranks are fitted, so that a few long hops do not decide.
    held, positive : arrays, shapes (k, q) and (k,)
        Selection block: descriptors, and who rearranged. The penalty with the largest area under the curve wins, the
        strongest where nobody did.
    """
    mean, scale = values.mean(axis=0), values.std(axis=0)
    inverse = np.where(scale > 1e-9, 1.0 / np.where(scale > 1e-9, scale, 1.0), 0.0)
    x, y = (values - mean) * inverse, rankdata(target) / len(target)
    square, cross = x.T @ x / len(x), x.T @ (y - y.mean()) / len(x)
    candidates = [
        Ridge(mean=mean, inverse=inverse, weights=np.linalg.solve(square + penalty * np.eye(len(cross)), cross))
        for penalty in PENALTIES
    ]
    areas = [area_under_curve(candidate(held), positive) for candidate in candidates]
    best = int(np.argmax(areas)) if np.isfinite(areas).all() else len(candidates) - 1
    return candidates[best]
