"""Joint errors of noise, pair force and fields, and the stiffness of every single trap."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_array

from colloid_cg.dynamics import External
from colloid_cg.learn.config import FitConfig
from colloid_cg.learn.coupled import coupled_influence, score_slopes
from colloid_cg.learn.field_fit import FieldEquation, field_equation, settled, terms
from colloid_cg.learn.fields import Fields
from colloid_cg.learn.forces import ForceData, force_data
from colloid_cg.learn.problem import Block, Candidate
from colloid_cg.learn.sandwich import covariance_of, quantile
from colloid_cg.learn.series import particle_clusters, time_blocks
from colloid_cg.learn.stride import influence_by_cluster

_FEWEST_PARTICLES = 8
_SHARE = 0.02
"""Step of the numerical derivatives, as a share of the parameter."""


def field_influence(
    block: Block, candidate: Candidate, fields: Fields, config: FitConfig, *, seed: int
) -> list[np.ndarray]:
    """Return the influence on (D.., s2, force.., k, q, flow..), summed over time blocks and over particles.

    D and s2 depend on the fields and the fields on them: see :mod:`colloid_cg.learn.coupled`.
    """
    model, strengths = candidate.model, candidate.acting
    block = settled(block, fields, strengths)
    data = block.residuals(model)
    noise = block.noise(data, candidate.noise.parameters, scores=True)
    if candidate.forces is None:
        return influence_by_cluster(noise.influence, block.series, data.row, config.time_blocks)
    forces = force_data(
        block.series, block.neighbours, targets=block.targets, drift=block.drift, rng=np.random.default_rng(seed)
    )
    parameters = candidate.noise.parameters
    here = _equation(block, candidate, forces, fields, parameters, exact=True)
    stiffness = here.slope + (candidate.forces.stiffness - candidate.forces.equation.slope)
    by_strength, by_diffusion = score_slopes(block, model, noise)
    flow = np.zeros((len(parameters), len(stiffness) - by_strength.shape[1]))
    by_noise = _by_noise(block, candidate, forces, fields, parameters, here)
    return [
        coupled_influence(
            _summed(noise.scores, data.row, clusters),
            _summed(here.rows, forces.rows, clusters),
            information=noise.information,
            stiffness=stiffness,
            score_slopes=(np.concatenate([by_strength, flow], axis=1), by_diffusion),
            force_slope=by_noise,
        )
        for clusters in _clusterings(block, config, np.union1d(data.row, forces.rows))
    ]


def _equation(
    block: Block,
    candidate: Candidate,
    forces: ForceData,
    fields: Fields,
    parameters: np.ndarray,
    *,
    exact: bool = False,
) -> FieldEquation:
    model = replace(candidate.model, diffusion=parameters[:-1])
    return field_equation(
        model, candidate.acting, forces, fields, localisation_variance=block.noise_of_rows(float(parameters[-1])),
        exact_slope=exact,
    )  # fmt: skip


def _by_noise(
    block: Block, candidate: Candidate, forces: ForceData, fields: Fields, parameters: np.ndarray, here: FieldEquation
) -> np.ndarray:
    """Return dg/d(D.., s2), shape (p, n): the weight of the equation changes too; at its root that does not matter."""
    interval = forces.series.frame_interval
    columns = []
    for k, value in enumerate(parameters):
        scale = value if k < len(parameters) - 1 else max(abs(value), 0.2 * parameters[:-1].min() * interval)
        moved = parameters + _SHARE * scale * (np.arange(len(parameters)) == k)
        shifted = _equation(block, candidate, forces, fields, moved).rows.sum(axis=0) - here.rows.sum(axis=0)
        columns.append(shifted / (_SHARE * scale))
    return np.stack(columns, axis=1)


def _clusterings(block: Block, config: FitConfig, rows: np.ndarray) -> list[np.ndarray]:
    """Return cluster numbers of all rows (-1 where unused) by time, and by particle where there are enough."""
    found = []
    for numbers in (time_blocks(block.series, config.time_blocks), particle_clusters(block.series)):
        renamed = np.full(len(numbers), -1)
        renamed[rows] = np.unique(numbers[rows], return_inverse=True)[1]
        found.append(renamed)
    return found if found[1].max(initial=-1) + 1 >= _FEWEST_PARTICLES else found[:1]


def _summed(values: np.ndarray | csr_array, rows: np.ndarray, clusters: np.ndarray) -> np.ndarray:
    """Return sums of ``values`` (m, k) at ``rows`` over clusters, shape (c, k)."""
    count = int(clusters.max()) + 1
    gather = csr_array((np.ones(len(rows)), (clusters[rows], np.arange(len(rows)))), shape=(count, len(rows)))
    summed = gather @ values
    return np.asarray(summed.toarray() if isinstance(summed, csr_array) else summed)


@dataclass(frozen=True, kw_only=True, eq=False)
class TrapFits:
    """Stiffness of every trap that has enough rows: number of the trap, k and half its 90 % interval (k_B T0/um2)."""

    trap: np.ndarray
    stiffness: np.ndarray
    half_width: np.ndarray
    rows: np.ndarray


def fit_traps(
    block: Block, candidate: Candidate, fields: Fields, config: FitConfig, *, seed: int, diffusion_half_width: float
) -> TrapFits:
    """Solve each trap's own equation for its k by Newton, all at once; every other number is the shared one.

    Errors are clustered over time blocks; that of D (relative, since k D is what a trap fixes) is added in quadrature.
    """
    data = force_data(
        block.series, block.neighbours, targets=block.targets, drift=block.drift, rng=np.random.default_rng(seed)
    )
    number = fields.trap[data.rows]
    count = int(fields.trap.max()) + 1
    data = replace(data, rows=data.rows[number >= 0])
    number = number[number >= 0]
    per_trap = np.full(count, candidate.acting.stiffness)
    variance = block.noise_of_rows(candidate.noise.localisation_variance)
    for _ in range(12):
        score, slope = _well_rows(candidate, data, fields, per_trap, variance)
        total, curvature = (np.bincount(number, weights=values, minlength=count) for values in (score, slope))
        usable = curvature > 0
        change = np.where(usable, total / np.where(usable, curvature, 1.0), 0.0)
        limit = 0.5 * np.maximum(np.abs(per_trap), 0.1 * candidate.acting.stiffness)
        per_trap = per_trap + np.clip(change, -limit, limit)
        if np.abs(change).max() < 1e-4 * candidate.acting.stiffness:
            break
    blocks = time_blocks(block.series, config.time_blocks)[data.rows]
    joint = np.bincount(number * (blocks.max() + 1) + blocks, weights=score, minlength=count * (blocks.max() + 1))
    present = np.bincount(number * (blocks.max() + 1) + blocks, minlength=count * (blocks.max() + 1)) > 0
    size = np.bincount(number, minlength=count)
    trap = np.flatnonzero(usable & (present.reshape(count, -1).sum(axis=1) >= 2))
    half = [
        quantile(int(seen.sum())) * np.sqrt(covariance_of(sums[seen][:, None])[0, 0]) / curvature[k]
        for k, sums, seen in ((k, joint.reshape(count, -1)[k], present.reshape(count, -1)[k]) for k in trap)
    ]
    relative = diffusion_half_width / float(candidate.noise.diffusion.mean())
    return TrapFits(
        trap=trap,
        stiffness=per_trap[trap],
        half_width=np.hypot(half, per_trap[trap] * relative),
        rows=size[trap],
    )


def _well_rows(
    candidate: Candidate, data: ForceData, fields: Fields, per_trap: np.ndarray, variance: float | np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return every row's term of the equation for k, and its slope, shape (m,)."""
    external = fields.external(data.series, candidate.acting, per_trap=per_trap)
    column = candidate.model.coefficients.size

    def at(acting: External) -> tuple[np.ndarray, np.ndarray]:
        found = terms(candidate.model, acting, data, noisy=fields.noisy, localisation_variance=variance)
        instrument = found.instrument[:, :, column]
        return (instrument * found.residual).sum(axis=1), (instrument * found.slope[:, :, column]).sum(axis=1)

    score, slope = at(external)
    if fields.halves is None:
        return score, slope
    other, bent = at(external.around(fields.halves))
    return 2.0 * score - other, 2.0 * slope - bent
