"""Removal of the motion all particles share: an affine map from each frame to the next."""

from __future__ import annotations

import numpy as np

from colloid_cg.observables.displacements import pairs_at_lag
from colloid_cg.records import Trajectories

_FEWEST = 20


def without_affine_motion(tracks: Trajectories) -> np.ndarray:
    """Return positions (um) carried back to the first frame by the affine maps between frames, shape (n, d).

    Each map is a least-squares fit to all particles seen in both frames, repeated without those whose residual
    exceeds four times the median, so that rearranging regions do not bend it. With fewer than 20 particles only
    the median translation is removed; without any, nothing. Translation, rotation, strain and drift of the view
    disappear; motion that differs from place to place does not.

    Along periodic axes a strain cannot be told from the wrap, so only the translation is removed there.
    """
    positions, frame = tracks.positions, tracks.table["frame"].to_numpy()
    d, box = tracks.dimension, tracks.box
    start, end = pairs_at_lag(frame, tracks.table["particle"].to_numpy(), 1)
    borders = np.searchsorted(frame[start], np.arange(tracks.n_frames + 1))
    offsets = tracks.frame_offsets()
    origin = np.asarray(box.lower) + 0.5 * box.lengths
    matrix, shift = np.eye(d), np.zeros(d)
    carried = positions - origin
    for t in range(1, tracks.n_frames):
        rows = slice(borders[t - 1], borders[t])
        before = positions[start[rows]] - origin
        after = before + box.displacement(positions[start[rows]], positions[end[rows]])
        step, jump = _map_back(before, after, translation_only=any(box.periodic))
        # x_0 = M (S x_t + j) + s for positions x_t of this frame.
        matrix, shift = matrix @ step, matrix @ jump + shift
        here = slice(offsets[t], offsets[t + 1])
        carried[here] = carried[here] @ matrix.T + shift
    return np.asarray(carried + origin)


def _map_back(before: np.ndarray, after: np.ndarray, *, translation_only: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return matrix and shift that take positions of the later frame back to the earlier one."""
    d = before.shape[1]
    if len(before) < _FEWEST or translation_only:
        shift = np.median(before - after, axis=0) if len(before) else np.zeros(d)
        return np.eye(d), shift
    design = np.column_stack([after, np.ones(len(after))])
    kept = np.ones(len(after), dtype=bool)
    solution = np.zeros((d + 1, d))
    for _ in range(3):
        solution = np.linalg.lstsq(design[kept], before[kept], rcond=None)[0]
        residual = np.linalg.norm(before - design @ solution, axis=1)
        kept = residual <= 4 * np.median(residual) + 1e-12 * np.abs(before).max()
    return solution[:d].T, solution[d]
