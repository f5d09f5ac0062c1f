"""The cell of a rollout: the field of view made periodic, with the overlaps this creates at the seams relaxed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from colloid_cg.dynamics import OverdampedModel, forces
from colloid_cg.errors import DataError
from colloid_cg.records import Box, State, StateSeries

_STEPS = 200
_SOFT_LANDING = 0.02
"""Largest move of one relaxation step, as a fraction of the first knot's distance."""


def starting_state(series: StateSeries, model: OverdampedModel) -> State:
    """Return the first frame with particles in a periodic cell of the size of the view.

    A camera's particles come and go; a periodic cell keeps their number density, at the price of an unphysical seam.
    Particles closer across the seam than the closest pair of the frame are pushed apart by capped steepest descent.
    """
    frames = np.flatnonzero(np.diff(series.offsets) > 0)
    if len(frames) == 0:
        raise DataError("no particles to start from", expected="a frame with particles", action="use another block")
    rows = series.rows(int(frames[0]))
    box = Box(lower=series.box.lower, upper=series.box.upper, periodic=(True,) * series.dimension)
    species = series.species[rows]
    if species.size and int(species.max()) >= model.n_species:
        raise DataError(
            f"species {int(species.max())} in the starting frame",
            expected=f"the {model.n_species} species of the model",
            action="fit the model to a block with every species",
        )
    state = State(positions=box.wrap(series.positions[rows]), species=species, box=box)
    return _relaxed(state, model) if model.n_knots and len(species) > 1 else state


def _relaxed(state: State, model: OverdampedModel) -> State:
    """Steepest descent until no force exceeds the largest one within the frame itself (seam excluded)."""
    open_box = replace(state.box, periodic=(False,) * state.box.dimension)
    allowed = np.abs(forces(model, replace(state, box=open_box))).max(initial=0.0)
    cap = _SOFT_LANDING * model.lower
    for _ in range(_STEPS):
        force = forces(model, state)
        strong = np.abs(force).max(axis=1) > max(allowed, 1e-9)
        if not strong.any():
            break
        move = np.where(strong[:, None], cap * force / np.abs(force).max(), 0.0)
        state = replace(state, positions=state.box.wrap(state.positions + move))
    return state
