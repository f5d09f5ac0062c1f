"""The moment closure against an ensemble of fine Brownian paths."""

from __future__ import annotations

import numpy as np

from colloid_cg.dynamics import FramePairs, OverdampedModel, close_pairs, closure_flow, pair_force
from colloid_cg.records import Box

OPEN = Box(lower=(-50.0, -50.0), upper=(50.0, 50.0), periodic=(False, False))
MODEL = OverdampedModel(
    diffusion=np.array([1.0, 0.6]),
    coefficients=np.array(
        [[40.0, 20.0, 9.0, 4.0, 1.5, 0.5], [30.0, 14.0, 7.0, 3.0, 1.0, 0.2], [35.0, 16, 8, 3, 1, 0.3]]
    ),
    lower=0.6,
    cutoff=2.4,
)
START = np.array([[0.0, 0.0], [1.0, 0.2], [-0.3, 1.1], [0.9, 1.3], [-1.0, -0.2], [0.2, -1.0], [1.2, -0.9]])
SPECIES = np.array([0, 1, 0, 1, 0, 1, 0])
DT = 0.006


def _flow(positions: np.ndarray, model: OverdampedModel = MODEL, *, dt: float = DT, sensitivity: bool = False):  # type: ignore[no-untyped-def]
    pairs = close_pairs(positions, 3.2, OPEN)
    return closure_flow(
        model,
        positions,
        species=SPECIES,
        frame_offsets=np.array([0, len(positions)]),
        neighbours=FramePairs(
            pairs=pairs, offsets=np.array([0, len(pairs)]), images=np.zeros((len(pairs), positions.shape[1]))
        ),
        dt=dt,
        sensitivity=sensitivity,
    )


def _ensemble(copies: int, substeps: int) -> np.ndarray:
    """Displacements of independent Euler-Maruyama paths, written out without the package's kernels."""
    rng = np.random.default_rng(0)
    x = np.repeat(START[None], copies, axis=0)
    grid = np.linspace(0.05, 2.4, 4000)
    table = np.array([[pair_force(MODEL, grid, species=(a, b)) for b in (0, 1)] for a in (0, 1)])
    diffusion, h = MODEL.diffusion[SPECIES][:, None], DT / substeps
    for _ in range(substeps):
        force = np.zeros_like(x)
        for i in range(len(START)):
            for j in range(i):
                vector = x[:, i] - x[:, j]
                r = np.linalg.norm(vector, axis=1)
                size = np.interp(r, grid, table[SPECIES[i], SPECIES[j]], right=0.0)
                force[:, i] += (size / r)[:, None] * vector
                force[:, j] -= (size / r)[:, None] * vector
        x = x + diffusion * force * h + np.sqrt(2 * diffusion * h) * rng.standard_normal(x.shape)
    return x - START


def test_mean_and_spread_over_one_frame() -> None:
    moved, flow = _ensemble(40000, 24), _flow(START)
    mean, variance = moved.mean(axis=0), moved.var(axis=0)
    slope = (mean * flow.displacement).sum() / (flow.displacement**2).sum()
    assert abs(slope - 1.0) < 0.01
    assert abs((variance / flow.variance).mean() - 1.0) < 0.01
    assert (variance / (2 * DT * MODEL.diffusion[SPECIES][:, None])).mean() < 0.95  # free spread would fail


def test_jacobian_and_sensitivity_are_derivatives_of_the_flow() -> None:
    base, step = _flow(START, dt=0.002), 1e-5
    for axis in (0, 1):
        moved = START.copy()
        moved[2, axis] += step
        change = (_flow(moved, dt=0.002).displacement - base.displacement) / step
        assert abs(1.0 + change[2, axis] - base.gain[2, axis]) < 5e-3
        assert abs(base.gain[2, axis] - 1.0) > 0.012  # more than twice the tolerance
    sensitivity = _flow(START, dt=0.002, sensitivity=True).sensitivity
    coefficients = MODEL.coefficients.copy()
    coefficients[1, 2] += 1e-3
    other = OverdampedModel(diffusion=MODEL.diffusion, coefficients=coefficients, lower=0.6, cutoff=2.4)
    change = (_flow(START, other, dt=0.002).displacement - base.displacement) / 1e-3
    column = sensitivity[:, :, MODEL.n_knots + 2]
    assert np.abs(change - column).max() < 0.06 * np.abs(column).max()
