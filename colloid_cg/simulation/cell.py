"""The cell of a rollout: the field of view, made periodic, with the first frame of a block in it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from colloid_cg.dynamics import OverdampedModel, forces
from colloid_cg.errors import DataError
from colloid_cg.records import Box, State, Trajectories

_DESCENT_STEPS = 500
_LARGEST_MOVE = 0.01  # of the cutoff, per step of the descent


def periodic_view(tracks: Trajectories) -> Box:
    """Return the field of view as a periodic cell in um: an open one would empty under repulsion."""
    view = tracks.box
    return Box(lower=view.lower, upper=view.upper, periodic=(True,) * view.dimension)


def initial_state(model: OverdampedModel, tracks: Trajectories) -> State:
    """Return the first frame of ``tracks`` in its periodic cell, overlaps across the seams relaxed.

    Raises
    ------
    DataError
        If the first frame holds no particle, or a species the model does not know.
    """
    first = int(tracks.table["frame"].min())
    rows = tracks.at(first)
    box = periodic_view(tracks)
    species = rows["species"].to_numpy()
    if species.max(initial=0) >= model.n_species:
        raise DataError(
            f"species {species.max()} in the first frame of the test block",
            expected=f"the {model.n_species} species the model was fitted to",
            action="fit the model to a block that holds every species",
        )
    positions = box.wrap(rows[list(tracks.axes)].to_numpy(dtype=float) * tracks.pixel_size)
    return relaxed(model, State(positions=positions, species=species, box=box), view=tracks.box)


def relaxed(model: OverdampedModel, state: State, *, view: Box) -> State:
    """Move particles near the seams down their forces until none feels more than the particles inside do.

    Two particles at opposite edges of the view become neighbours in the periodic cell without having avoided each
    other; the steepest descent with capped steps separates them before the run starts.
    """
    if not model.n_knots:
        return state
    seam = view.edge_distance(state.positions) < model.cutoff
    if seam.all() or not seam.any():
        usual = np.inf if not seam.any() else 0.0
    else:
        usual = float(np.linalg.norm(forces(model, state)[~seam], axis=1).max())
    cap = _LARGEST_MOVE * model.cutoff
    for _ in range(_DESCENT_STEPS):
        force = forces(model, state)
        strength = np.linalg.norm(force, axis=1)
        if strength[seam].max(initial=0.0) <= usual:
            break
        scale = np.where(seam, cap / np.maximum(strength.max(), 1e-300), 0.0)
        state = replace(state, positions=state.positions + scale[:, None] * force)
    return replace(state, positions=state.box.wrap(state.positions))
