"""Errors of two sets of estimating equations that depend on each other's estimates.

D and s2 maximise the banded likelihood given the force; the force solves its own equation given D and s2. Near the root

    [I - E, -C; -N, A] (estimate - truth) = (sum of scores; sum of force equations),

I information and A stiffness of each alone, C = d score/d force, E = d score/d D through the drift D F, N = d force
equation/d (D, s2). Leaving C and E out gives D the error it would have if the drift were known: in dense systems too
small.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from colloid_cg.dynamics import External, FramePairs, OverdampedModel
from colloid_cg.learn.noise import NoiseFit, total_score
from colloid_cg.learn.problem import Block
from colloid_cg.learn.series import chains, first_rows

_STEP = 0.02
"""Of the largest force coefficient, or of the stiffness: step of the numerical derivative."""
_ROWS = 60_000


def score_slopes(block: Block, model: OverdampedModel, noise: NoiseFit) -> tuple[np.ndarray, np.ndarray]:
    """Return how the total score of (D.., s2) answers to the force coefficients (C) and to D in the drift D F (E).

    The columns of C for the strengths of wells follow those of the force; a background flow moves no score in the mean.

    Shapes (p, k) and (p, p); the likelihood of given residuals alone knows nothing of E. Its column of s2 is zero. Both
    are slopes in an error, not estimates: the leading rows stand for all.
    """
    whole = int(block.targets.sum())
    block = leading(block, _ROWS)
    share = whole / max(int(block.targets.sum()), 1)
    coefficients, diffusion = model.coefficients, model.diffusion
    step = _STEP * max(float(np.abs(coefficients).max(initial=0.0)), 1e-300)
    by_force = [
        (
            replace(model, coefficients=coefficients + change.reshape(coefficients.shape))
            for change in (step * row, -step * row)
        )
        for row in np.eye(coefficients.size)
    ]
    by_diffusion = [
        (replace(model, diffusion=diffusion * (1.0 + change)) for change in (_STEP * row, -_STEP * row))
        for row in np.eye(len(diffusion))
    ]

    def difference(pair: Iterable[OverdampedModel]) -> np.ndarray:
        upper, lower = (total_score(block.residuals(moved), noise) for moved in pair)
        return np.asarray(upper - lower)

    columns = [difference(pair) / (2.0 * step) for pair in by_force] + _by_wells(block, model, noise)
    c = share * np.stack(columns, axis=1) if columns else np.zeros((len(noise.parameters), 0))
    own = share * np.stack([difference(pair) for pair in by_diffusion], axis=1) / (2.0 * _STEP * diffusion)
    return c, np.concatenate([own, np.zeros((len(own), 1))], axis=1)


def _by_wells(block: Block, model: OverdampedModel, noise: NoiseFit) -> list[np.ndarray]:
    """Return how the total score answers to each strength of the wells that act in the block."""
    if block.external is None:
        return []
    found = []
    for name in ("stiffness", "quartic")[: block.external.columns]:
        strength = getattr(block.external, name)
        held = block.external.stiffness != 0.0
        step = _STEP * max(float(np.abs(strength).max()), 1e-6 * float(np.abs(block.external.stiffness).max()))
        upper, lower = (
            total_score(
                replace(block, external=replace(block.external, **{name: strength + sign * step * held})).residuals(
                    model
                ),
                noise,
            )
            for sign in (1, -1)
        )
        found.append((upper - lower) / (2.0 * step))
    return found


def _first_fields(external: External, rows: int) -> External:
    names = ("origin", "velocity", "gradient", "centre", "stiffness", "quartic")
    return replace(external, **{name: getattr(external, name)[:rows] for name in names})


def leading(block: Block, limit: int) -> Block:
    """Return the leading frames of a block that hold at most ``limit`` rows."""
    series = first_rows(block.series, limit)
    frames, rows = series.n_frames, len(series.positions)
    offsets = block.neighbours.offsets[: frames + 1]
    detection = block.detection
    if detection is not None:
        detection = replace(detection, share=detection.share[:rows], fixed=detection.fixed[:rows])
    return replace(
        block,
        series=series,
        links=chains(series),
        neighbours=FramePairs(
            pairs=block.neighbours.pairs[: offsets[-1]], offsets=offsets, images=block.neighbours.images[: offsets[-1]]
        ),
        targets=block.targets[:rows],
        detection=detection,
        external=None if block.external is None else _first_fields(block.external, rows),
    )


def coupled_influence(
    noise_rows: np.ndarray,
    force_rows: np.ndarray,
    *,
    information: np.ndarray,
    stiffness: np.ndarray,
    score_slopes: tuple[np.ndarray, np.ndarray],
    force_slope: np.ndarray,
) -> np.ndarray:
    """Return the influence of every row on (noise parameters, force coefficients), shape (n, p + k).

    Parameters
    ----------
    noise_rows, force_rows : arrays, shape (n, p) and (n, k)
        Contributions of every row to the scores and to the force equation.
    information, stiffness : arrays, shape (p, p) and (k, k)
        I and A.
    score_slopes : pair of arrays, shape (p, k) and (p, p)
        C and E of :func:`score_slopes`.
    force_slope : array, shape (k, p)
        N.
    """
    by_force, by_diffusion = score_slopes
    matrix = np.block([[information - by_diffusion, -by_force], [-force_slope, stiffness]])
    # rows and columns on very different scales: balance before inverting
    scale = np.sqrt(np.maximum(np.abs(np.diag(matrix)), 1e-300))
    inverse = np.linalg.pinv(matrix / np.outer(scale, scale)) / np.outer(scale, scale)
    return np.asarray(np.concatenate([noise_rows, force_rows], axis=1) @ inverse.T)
