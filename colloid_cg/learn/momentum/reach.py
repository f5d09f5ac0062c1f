"""How far force and friction reach: the distance beyond which neither can be told from zero."""

from __future__ import annotations

import numpy as np

from colloid_cg.errors import DataError
from colloid_cg.learn.momentum.contacts import find_contacts
from colloid_cg.learn.momentum.friction import PairData
from colloid_cg.records import PhaseSeries

_SIGNIFICANT = 4.0
"""Standard errors by which a curve must differ from zero."""
_PER_NEIGHBOUR = 1.8
"""First trial range, in distances to the nearest neighbour: holds the first shell of a dense liquid."""
GROWTH = 1.5
"""Factor by which the trial range grows while the curves are resolved to its end."""


def largest_reach(series: PhaseSeries) -> float:
    """Return half the shortest periodic edge; infinite in an open box."""
    return float(0.5 * np.where(series.box.periodic, series.box.lengths, np.inf).min())


def first_reach(series: PhaseSeries) -> float:
    """Return a first trial range, from the distance to nearest neighbours in a few frames."""
    spacing = float((series.box.volume / series.n_particles) ** (1.0 / series.dimension))
    sample = slice(None, None, max(series.n_frames // 5, 1))
    few = _frames(series, sample)
    found = find_contacts(few, min(2.0 * spacing, largest_reach(series)))
    return min(_PER_NEIGHBOUR * found.nearest, largest_reach(series))


def _frames(series: PhaseSeries, sample: slice) -> PhaseSeries:
    positions, velocities = series.positions[sample], series.velocities[sample]
    return PhaseSeries(
        positions=positions, velocities=velocities, species=series.species, masses=series.masses, box=series.box,
        frame_interval=series.frame_interval,
    )  # fmt: skip


def resolved_range(data: PairData, coefficients: np.ndarray, replicates: np.ndarray) -> float:
    """Return the cutoff that holds all that is resolved, or infinity where the curves are resolved to their end.

    From the shortest distance outwards, up to the first stretch of one knot spacing over which no curve of any species
    pair differs from zero by four standard errors; two spacings are added, over which the curves go smoothly to zero.

    Parameters
    ----------
    coefficients, replicates : arrays, shapes (3, n_kinds, n_knots) and (n_blocks, 3, n_kinds, n_knots)

    Raises
    ------
    DataError
        If nothing is resolved anywhere.
    """
    knots, per_width = data.knots, 10
    distances = np.linspace(knots.lower, knots.cutoff, per_width * knots.count, endpoint=False)
    design = knots.design(distances)
    curves, refits = coefficients @ design.T, replicates @ design.T
    errors = np.sqrt((len(refits) - 1) * refits.var(axis=0))
    resolved = (np.abs(curves) > _SIGNIFICANT * errors).any(axis=(0, 1)) & (np.abs(curves) > 0).any(axis=(0, 1))
    if not resolved.any():
        raise DataError(
            f"neither force nor friction between particles up to a distance of {knots.cutoff:.4g}",
            expected="one of them above four standard errors",
            action="use more frames, or set momentum.cutoff",
        )
    first = int(np.argmax(resolved))
    last = first
    for place in np.flatnonzero(resolved):
        if place - last > per_width:
            break
        last = int(place)
    if last >= len(distances) - 2 * per_width:
        return np.inf
    return float(distances[last] + 2.0 * knots.width)
