"""Where external fields and data disagree: whole sentences on what was found, what was expected and what to do."""

from __future__ import annotations

import numpy as np
from scipy.stats import chi2

from colloid_cg.learn.config import FitConfig
from colloid_cg.learn.field_plan import FieldPlan, FieldResult
from colloid_cg.learn.sandwich import cluster_sums, half_width
from colloid_cg.learn.series import frame_of_rows, particle_clusters, time_blocks

_SHORT, _FREE = 20.0, 6.0
"""Relaxation times a track should last for its mean to stand for the centre of its well; below the second, the tracks
of free particles would look the same."""
_FEWEST, _ROOT = 10, 0.1
"""Rows of a trap, and 1 - 8 w/(D T), below which nothing is said of its centre: w/(D T) is 1/3 for free particles."""
_CHANCE = 1e-4
_OFF_CENTRE, _OFF_VIRIAL, _OFF_FLOW = 2.0, 0.25, 0.15
"""Largest chi square per degree of freedom (beyond it the tracks' means are the better centres), relative error of the
virial and of the speed along the flow."""


def field_warnings(plan: FieldPlan, result: FieldResult) -> list[str]:
    """Return a sentence for everything that the model of the fields does not fit, or that the data do not support."""
    found = unsettled(result, plan.config)
    if result.fields.columns:
        found += _trap_warnings(plan, result)
    if plan.prescribed is not None:
        found += _prescribed_warnings(result)
    if plan.flow is not None:
        found += _flow_warnings(plan, result)
    return found


def unsettled(result: FieldResult, config: FitConfig) -> list[str]:
    """Return a sentence where the root of the estimating equation was not reached."""
    if result.final.forces is None or result.final.forces.converged:
        return []
    return [
        f"The estimating equation of force and fields did not settle in {config.iterations} iterations: the values may "
        "be wrong; raise fit.iterations, or give fewer knots or splines."
    ]


def _trap_warnings(plan: FieldPlan, result: FieldResult) -> list[str]:
    """Return what is odd about the wells as a whole and about their centres."""
    series, fields = result.block.series, result.fields
    rows = np.flatnonzero(fields.trap >= 0)
    count = np.bincount(fields.trap[rows])
    stiffness, half, virial = _effective_stiffness(result, rows)
    rate = stiffness * float(result.final.noise.diffusion.mean())
    lasting = float(np.median(count[count > 0])) * series.frame_interval * rate
    found = []
    if stiffness - half <= 0:
        found.append(
            f"No confinement was found: stiffness {stiffness:.3g} k_B T/um2, 90 % interval {stiffness - half:.3g} to "
            f"{stiffness + half:.3g}; the particles are free, or the centres in fit.traps are not theirs "
            "(x and y in px, as tracked)."
        )
    if fields.columns == 1 and rate * series.frame_interval > 0.5:
        found.append(
            f"The traps relax at {rate * series.frame_interval:.2g} per frame: above 0.5 blur is only treated to first "
            "order and D errs by several per cent; record faster."
        )
    if fields.halves is not None and 0 < lasting < _SHORT:
        found.append(
            f"Half of the tracks last fewer than {lasting:.2g} relaxation times of their trap: their means are poor "
            "centres and the stiffness may be too large; give the centres in a table (fit.traps)."
            + (" Free particles would look the same: nothing shows that these are trapped." if lasting < _FREE else "")
        )
    left = np.setdiff1d(series.particle[fields.mobile], series.particle[rows])
    if len(left) and fields.halves is None:
        found.append(
            f"{len(left)} of {len(left) + len(np.unique(series.particle[rows]))} particles have no row in fit.traps "
            "and were taken as free; leave the column particle out to put each into the nearest well."
        )
    if fields.halves is None:
        found += _shared_wells(result, rows) + _off_centre(result, rows)
        if stiffness - half > 0 and plan.flow is None and not result.final.model.n_knots:
            found += _not_held(result, rows, virial)
    return found


def _effective_stiffness(result: FieldResult, rows: np.ndarray) -> tuple[float, float, np.ndarray]:
    """Return k + q <u^4>/<u^2> with half its 90 % interval, and the virial (k u^2 + q u^4)/d of every row.

    Of the powers of u what the localisation noise adds is taken off; <u . F> = -d k_B T in a well at rest.
    """
    fields, strengths, noise = result.fields, result.final.acting, result.final.noise.localisation_variance
    series = result.block.series
    d = series.positions.shape[1]
    seen = ((series.positions - fields.centre)[rows] ** 2).sum(axis=1)
    square = seen - d * noise
    fourth = seen**2 - 2.0 * (d + 2.0) * noise * seen + d * (d + 2.0) * noise**2
    virial = (strengths.stiffness * square + strengths.quartic * fourth) / d
    share = float(max(fourth.mean(), 0.0) / max(square.mean(), 1e-300)) if fields.columns == 2 else 0.0
    direction = np.zeros((1, result.influences[0].shape[1]))
    first = len(result.final.noise.parameters) + result.final.model.coefficients.size
    direction[0, first : first + fields.columns] = (1.0, share)[: fields.columns]
    half = float(half_width(result.influences, direction)[0])
    return strengths.stiffness + share * strengths.quartic, half, virial


def _shared_wells(result: FieldResult, rows: np.ndarray) -> list[str]:
    """More than one particle in a well at a time: in a wrong unit they may all fall to one centre."""
    trap, frame = result.fields.trap[rows], frame_of_rows(result.block.series)[rows]
    pairs, count = np.unique(np.stack([trap, frame]), axis=1, return_counts=True)
    crowded = np.unique(pairs[0, count > 1])
    if not len(crowded):
        return []
    return [
        f"In {len(crowded)} of {len(np.unique(trap))} wells more than one particle was seen at a time, up to "
        f"{count.max()}; expected one each: check that the centres in fit.traps are in px and that none is missing."
    ]


def _off_centre(result: FieldResult, rows: np.ndarray) -> list[str]:
    """Where the particles stay, against the given centres: judged by the spread about their own means, whatever k is.

    That spread w is V - 2 V^2/(D T) for a variance V = 1/k, the share of the means being 2 V^2/(D T).
    """
    series, fields, noise = result.block.series, result.fields, result.final.noise
    trap, d = fields.trap[rows], series.positions.shape[1]
    count = np.bincount(trap)
    u = (series.positions - fields.centre)[rows]
    mean = np.stack([np.bincount(trap, weights=u[:, a]) for a in range(d)], axis=1) / np.maximum(count, 1)[:, None]
    judged = count >= _FEWEST
    inside = judged[trap]
    if not inside.any():
        return []
    own = float(((u - mean[trap])[inside] ** 2).mean()) - noise.localisation_variance
    per_time = 1.0 / (float(noise.diffusion.mean()) * series.frame_interval * count[judged])
    mean_rate = float(np.average(per_time, weights=count[judged]))
    root = 1.0 - 8.0 * own * mean_rate
    if root < _ROOT or own <= 0:  # not seen for long enough to tell a well from free motion
        return []
    variance = (1.0 - np.sqrt(root)) / (4.0 * mean_rate)
    chance, off = 2.0 * variance**2 * per_time, (mean[judged] ** 2).sum(axis=1)
    freedom, score = d * int(judged.sum()), float((off / chance).sum())
    if score <= max(_OFF_CENTRE * freedom, float(chi2.isf(_CHANCE, freedom))):
        return []
    return [
        f"The particles' means lie {np.sqrt(off.mean()):.2g} um from the given centres (rms of {judged.sum()} wells; "
        f"chance explains {np.sqrt(d * chance.mean()):.2g} um) and the stiffness is wrong by that; check the table "
        '(x and y in px, as tracked, pixel centres at integers), or use fit.traps = "each".'
    ]


def _not_held(result: FieldResult, rows: np.ndarray, virial: np.ndarray) -> list[str]:
    """The virial of particles at rest in wells is one; of free or stuck ones, and of wrong centres, it is not."""
    series = result.block.series
    ratio, half = _mean_with_width(virial, [time_blocks(series, 20)[rows], particle_clusters(series)[rows]])
    if abs(ratio - 1.0) <= max(_OFF_VIRIAL, 2.0 * half):
        return []
    return [
        f"The particles are spread {ratio:.2g}({half:.1g}) times as far (mean square) about the given centres as wells "
        "of this strength hold them at rest: they are not in equilibrium in these wells, or free."
    ]


def _mean_with_width(values: np.ndarray, clusterings: list[np.ndarray]) -> tuple[float, float]:
    mean = float(values.mean())
    influences = [cluster_sums((values - mean)[:, None] / len(values), clusters) for clusters in clusterings]
    wide = [each for each in influences if len(each) >= 2]
    return mean, float(half_width(wide, np.ones((1, 1)))[0])


def _prescribed_warnings(result: FieldResult) -> list[str]:
    """Prescribed particles that never come near a tracked one push nothing."""
    block = result.force_block
    pairs, mobile = block.neighbours.pairs, block.series.species < block.n_species
    met = (mobile[pairs[:, 0]] != mobile[pairs[:, 1]]) & block.targets[pairs].any(axis=1)
    if met.any():
        return []
    return [
        "No prescribed particle came within the range of the pair force of a tracked one: it has no effect; check that "
        "fit.prescribed gives x and y in px and frames of the movie, or use a larger fit.cutoff."
    ]


def _flow_warnings(plan: FieldPlan, result: FieldResult) -> list[str]:
    """How fast the particles move along the given flow, in units of it: one plus sum v r / sum v^2 dt."""
    block, fields = result.block, result.fields
    series = block.series
    rows = np.flatnonzero((series.following >= 0) & block.targets & fields.mobile)
    v = fields.velocity[rows] * series.frame_interval
    power = float((v**2).sum())
    if not power > 0:
        return ["The table fit.flow is zero wherever there are particles: no flow acts."]
    moved = series.positions[series.following[rows]] - series.positions[rows] - block.drift
    left = moved - block.flow(result.final.model).displacement[rows]
    excess = (v * left).sum(axis=1) / power
    ratio = 1.0 + float(excess.sum())
    clusters = time_blocks(series, plan.config.time_blocks)[rows]
    spread = cluster_sums((excess - (v**2).sum(axis=1) / power * (ratio - 1.0))[:, None], clusters)
    half = float(half_width([spread], np.ones((1, 1)))[0])
    if abs(ratio - 1.0) <= max(_OFF_FLOW, 2.0 * half):
        return []
    return [
        f"The particles move {ratio:.2g}({half:.1g}) times as fast along the flow of fit.flow as the table says, "
        "expected 1: check its unit (um/s), signs, axes and frame numbers, or whether the particles follow it."
    ]
