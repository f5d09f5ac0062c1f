"""Symmetries of the drift: names of particles, images, place, orientation and uniform motion must not matter."""

from __future__ import annotations

from dataclasses import replace

import torch

from colloid_cg.dynamics.metriplectic.cell import Cell
from colloid_cg.dynamics.metriplectic.model import MetriplecticModel
from colloid_cg.dynamics.metriplectic.state import PhaseState, phase_state
from colloid_cg.dynamics.metriplectic.steps.euler_maruyama import drift
from colloid_cg.records import Box
from colloid_cg.testing.verdicts import SYMMETRY_TOLERANCE, require_close


def assert_relabelling(
    model: MetriplecticModel, state: PhaseState, *, rng: torch.Generator, tolerance: float = SYMMETRY_TOLERANCE
) -> None:
    """Require that particles listed in another order move as before."""
    order = torch.randperm(len(state.positions), generator=rng)
    other = rebuilt(
        model, state, positions=state.positions[order], velocities=state.velocities[order],
        entropy=state.entropy[order], species=state.species[order],
    )  # fmt: skip
    dv, ds = drift(model, state)
    _same("relabelling particles", drift(model, other), (dv[order], ds[order]), tolerance)


def assert_orientation(
    model: MetriplecticModel, state: PhaseState, *, rng: torch.Generator, tolerance: float = SYMMETRY_TOLERANCE
) -> None:
    """Require that a turned and reflected system moves as before, turned and reflected.

    Any rotation and reflection in an open cell. In a cell with periodic axes: permutations and sign flips of axes,
    the cell turned along; in a sheared one, flips of the first and second axis together and of the third.
    """
    if model.external is not None:
        return
    for turn in _turns(state.cell.box, rng, like=state.positions):
        cell, centre = _turned_cell(state, turn)
        places = (state.positions - centre) @ turn.T + (0.0 if any(state.cell.box.periodic) else centre)
        other = rebuilt(model, state, positions=places, velocities=state.velocities @ turn.T, cell=cell)
        dv, ds = drift(model, state)
        name = "reflecting the system" if torch.linalg.det(turn) < 0 else "rotating the system"
        _same(name, drift(model, other), (dv @ turn.T, ds), tolerance)


def assert_translation(
    model: MetriplecticModel, state: PhaseState, *, rng: torch.Generator, tolerance: float = SYMMETRY_TOLERANCE
) -> None:
    """Require that a system put elsewhere moves as before (the cell goes along on open axes only)."""
    if model.external is not None:
        return
    box = state.cell.box
    shift = torch.as_tensor(box.lengths.copy(), dtype=state.positions.dtype) * torch.rand(
        box.dimension, generator=rng, dtype=state.positions.dtype
    )
    moved = [0.0 if wraps else float(by) for wraps, by in zip(box.periodic, shift, strict=True)]
    lower = tuple(corner + by for corner, by in zip(box.lower, moved, strict=True))
    upper = tuple(corner + by for corner, by in zip(box.upper, moved, strict=True))
    cell = Cell(box=replace(box, lower=lower, upper=upper))
    other = rebuilt(model, state, positions=state.positions + shift.to(state.positions.device), cell=cell)
    _same("moving the system", drift(model, other), drift(model, state), tolerance)


def assert_images(
    model: MetriplecticModel, state: PhaseState, *, rng: torch.Generator, tolerance: float = SYMMETRY_TOLERANCE
) -> None:
    """Require that every particle may be replaced by any of its periodic images.

    In a sheared cell the image n_y cells up stands n_y g L_y t further along the first axis and is faster by n_y g L_y
    (Lees and Edwards 1972, doi:10.1088/0022-3719/5/15/006). A relative velocity that is not shifted across the sliding
    faces is found here.
    """
    box, like = state.cell.box, state.positions
    if model.external is not None or not any(box.periodic):
        return
    wraps = torch.as_tensor(box.periodic, device=like.device)
    cells = torch.randint(-2, 3, like.shape, generator=rng).to(like.device, like.dtype) * wraps
    places = like + cells * torch.as_tensor(box.lengths.copy(), dtype=like.dtype, device=like.device)
    speeds = state.velocities.clone()
    places[:, 0] += cells[:, 1] * (state.cell.face_speed * state.time)
    speeds[:, 0] += cells[:, 1] * state.cell.face_speed
    other = rebuilt(model, state, positions=places, velocities=speeds)
    _same("replacing particles by their images", drift(model, other), drift(model, state), tolerance)


def assert_galilean(
    model: MetriplecticModel, state: PhaseState, *, rng: torch.Generator, tolerance: float = SYMMETRY_TOLERANCE
) -> None:
    """Require that a velocity added to all particles changes neither dv/dt nor dS/dt."""
    size = state.velocities.abs().max() if state.velocities.numel() else 1.0
    boost = size * torch.randn(state.velocities.shape[1], generator=rng, dtype=state.velocities.dtype)
    other = rebuilt(model, state, velocities=state.velocities + boost.to(state.velocities.device))
    _same("a velocity added to all particles", drift(model, other), drift(model, state), tolerance)


def rebuilt(
    model: MetriplecticModel, state: PhaseState, *, cell: Cell | None = None, **changes: torch.Tensor
) -> PhaseState:
    """Return the state made anew with some of positions, velocities, entropy and species changed."""
    parts = {name: changes.get(name, getattr(state, name)) for name in ("entropy", "species")}
    return phase_state(
        model,
        changes.get("positions", state.positions),
        changes.get("velocities", state.velocities),
        cell=state.cell if cell is None else cell,
        time=state.time,
        **parts,
    )


def _turns(box: Box, rng: torch.Generator, *, like: torch.Tensor) -> list[torch.Tensor]:
    """Return a rotation and a reflection that the cell allows, shape (d, d) each."""
    d = box.dimension
    if not any(box.periodic):
        turn = torch.linalg.qr(torch.randn(d, d, generator=rng, dtype=torch.float64)).Q
        mirrored = turn * torch.tensor([-1.0] + [1.0] * (d - 1), dtype=torch.float64)
        return [one.to(like) for one in (turn, mirrored)]
    if box.shear_rate:
        turns = [torch.diag(torch.tensor([-1.0, -1.0] + [sign] * (d - 2))) for sign in (1.0, -1.0)]
        return [one.to(like) for one in turns[: d - 1]]
    axes = torch.eye(d)[torch.roll(torch.arange(d), 1)]
    flip = torch.diag(torch.tensor([-1.0] + [1.0] * (d - 1)))
    return [one.to(like) for one in (axes, flip, flip @ axes)]


def _turned_cell(state: PhaseState, turn: torch.Tensor) -> tuple[Cell, torch.Tensor]:
    """Return the cell that belongs to the turned system, and the point it is turned about."""
    box, like = state.cell.box, state.positions
    if any(box.periodic):
        corners = [torch.as_tensor(corner, dtype=torch.float64).to(like) @ turn.T for corner in (box.lower, box.upper)]
        lower, upper = torch.minimum(*corners), torch.maximum(*corners)
        periodic = (turn.abs() @ torch.as_tensor(box.periodic).to(like)) > 0.5
        turned = replace(
            box, lower=tuple(lower.tolist()), upper=tuple(upper.tolist()), periodic=tuple(periodic.tolist())
        )
        return Cell(box=turned), torch.zeros_like(lower)
    centre = like.mean(dim=0)
    reach = 2.0 * float((like - centre).abs().sum(dim=1).max()) + float(max(box.lengths))
    wide = replace(box, lower=tuple((centre - reach).tolist()), upper=tuple((centre + reach).tolist()))
    return Cell(box=wide), centre


def _same(
    change: str,
    found: tuple[torch.Tensor, torch.Tensor],
    expected: tuple[torch.Tensor, torch.Tensor],
    tolerance: float,
) -> None:
    for name, one, other in zip(("dv/dt", "dS/dt"), found, expected, strict=True):
        require_close(f"{change} changes {name}", one, expected=other, tolerance=tolerance)
