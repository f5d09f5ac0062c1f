"""Laws of the friction operator: symmetric, positive, blind to energy; the drift and the noise that go with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch

from colloid_cg.dynamics.metriplectic.friction import Channel
from colloid_cg.dynamics.metriplectic.model import MetriplecticModel
from colloid_cg.dynamics.metriplectic.pairs import pairs_from
from colloid_cg.dynamics.metriplectic.state import PhaseState
from colloid_cg.dynamics.metriplectic.steps.euler_maruyama import drift, noise
from colloid_cg.dynamics.metriplectic.steps.reinjection import Normals, draw
from colloid_cg.testing.dense import DenseFriction, dense_force, dense_friction, nearest_images, value_of
from colloid_cg.testing.verdicts import TOLERANCE, largest, require_close

CHANNELS = ("par", "perp", "heat")


def assert_friction_symmetric(model: MetriplecticModel, state: PhaseState, *, tolerance: float = TOLERANCE) -> None:
    """Require M = M^T: g_ab(s, T_i, T_j) = g_ba(s, T_j, T_i) for both frictions and the heat exchange.

    The law is asked about every pair twice, the second time with the particles exchanged.
    """
    dense = dense_friction(model, state)
    indices, cells = nearest_images(state)
    swapped = pairs_from(indices[:, ::-1].copy(), -cells, len(state.positions), state.positions)
    temperature, forward = dense.coefficients(state.entropy)
    backward = model.law.at(dense.radial, temperature, swapped, model.kinds(state.species))
    for name in CHANNELS:
        values = [value_of(getattr(found, name), temperature, len(indices)) for found in (forward, backward)]
        require_close(
            f"M is not symmetric: {name} changes when the particles of a pair are exchanged",
            values[1],
            expected=values[0],
            tolerance=tolerance,
            where=lambda index: dense.pairs.name(index[0]),
        )
    matrix = dense.matrix(dense.start)
    require_close("M is not symmetric", matrix.T, expected=matrix, tolerance=tolerance, where=_entries(dense))


def assert_friction_positive(model: MetriplecticModel, state: PhaseState, *, tolerance: float = TOLERANCE) -> None:
    """Require g_par, g_perp, C2 >= 0 for every pair and x.M.x >= 0 for every x: entropy is made, never destroyed."""
    dense = dense_friction(model, state)
    _, found = dense.coefficients(state.entropy)
    for name in CHANNELS:
        values = value_of(getattr(found, name), state.entropy, len(dense.pairs.pairs))
        require_close(
            f"M is not positive semi-definite: negative {name}",
            values.clamp(max=0.0),
            expected=torch.zeros_like(values),
            tolerance=tolerance,
            scale=largest(values),
            where=lambda index: dense.pairs.name(index[0]),
        )
    values, vectors = torch.linalg.eigh(dense.matrix(dense.start))
    worst = _entry(dense)((int(vectors[:, 0].abs().argmax()),))
    require_close(
        "M is not positive semi-definite: lowest eigenvalue",
        values[:1].clamp(max=0.0),
        expected=torch.zeros_like(values[:1]),
        tolerance=tolerance,
        scale=largest(values),
        where=lambda index: f"a direction that is mostly {worst}",
    )


def assert_friction_degenerate(model: MetriplecticModel, state: PhaseState, *, tolerance: float = TOLERANCE) -> None:
    """Require M gradE = 0, gradE = (m_i v_i, dU/dS_i) with dU/dS by automatic differentiation: friction keeps energy.

    In a sheared cell friction across the sliding faces does work, M gradE = sum G gamma u with u the velocity of the
    faces; this is required there.
    """
    dense = dense_friction(model, state)
    outer, gamma, _, _ = dense.factors(dense.start)
    gradient = dense.energy_gradient()
    matrix = dense.matrix(dense.start)
    require_close(
        "M gradE is not zero (the work of sliding faces apart)",
        matrix @ gradient,
        expected=torch.einsum("pxa,pab,pb->x", outer, gamma, dense.pairs.face_velocity),
        tolerance=tolerance,
        scale=largest(matrix.abs() @ gradient.abs()),
        where=_entry(dense),
    )


def assert_drift(model: MetriplecticModel, state: PhaseState, *, tolerance: float = TOLERANCE) -> None:
    """Require dx/dt = L gradE + M gradS + k_B div M in (v, S), with dE/dr and div M by automatic differentiation.

    The drift is linear in k_B: its k_B-dependent part is held against div M by itself as well, so that it counts in
    full even where k_B is tiny.
    """
    dense = dense_friction(model, state)
    matrix, divergence = dense.matrix(dense.start), dense.divergence()
    ones = torch.ones_like(state.entropy)[:, None]
    entropy_gradient = torch.cat([torch.zeros_like(state.velocities), ones], dim=1).flatten()
    mean_v, mean_s = dense.split(matrix @ entropy_gradient)
    mean_v = mean_v + model.inverse_mass(state.species) * dense_force(model, state)
    velocity_divergence, entropy_divergence = dense.split(divergence)
    k_b, dv_ds = model.boltzmann, drift(model, state)
    rows = (
        ("v", dv_ds[0], mean_v, velocity_divergence),
        ("S", dv_ds[1], mean_s, entropy_divergence),
    )
    for name, found, mean, ito in rows:
        require_close(
            f"d{name}/dt is not L gradE + M gradS + k_B div M",
            found,
            expected=mean + k_b * ito,
            tolerance=tolerance,
            scale=largest(mean, k_b * ito),
        )
    for place, (name, found, mean, ito) in enumerate(rows):
        size = largest(ito)
        more = max(largest(mean) / size, k_b) if size > 0 else 1.0
        risen = drift(replace(model, boltzmann=k_b + more), state)[place]
        require_close(
            f"the part of d{name}/dt that goes with k_B is not div M", (risen - found) / more,
            expected=ito, tolerance=tolerance, scale=size if size > 0 else largest(mean),
        )  # fmt: skip


def assert_noise_covariance(model: MetriplecticModel, state: PhaseState, *, tolerance: float = TOLERANCE) -> None:
    """Require B B^T = 2 k_B M dt for the linear map B from standard normals to the noise of (v, S), by columns."""
    dense = dense_friction(model, state)
    columns = noise_columns(model, state, dt=1.0)
    expected = 2.0 * model.boltzmann * dense.matrix(dense.start)
    n, width = state.velocities.shape[0], state.velocities.shape[1] + 1
    on_v, on_s = slice(0, -1), slice(-1, None)
    blocks = (("v-v", on_v, on_v), ("v-S", on_v, on_s), ("S-S", on_s, on_s))
    found = (columns @ columns.T).reshape(n, width, n, width)
    right = expected.reshape(n, width, n, width)
    for name, rows, others in blocks:
        require_close(
            f"the covariance of the {name} noise is not 2 k_B M dt",
            found[:, rows, :, others],
            expected=right[:, rows, :, others],
            tolerance=tolerance,
            where=lambda index: f"particles {index[0]} and {index[2]}",
        )


def noise_columns(model: MetriplecticModel, state: PhaseState, *, dt: float) -> torch.Tensor:
    """Return B, shape (n (d + 1), k): the noise of (v, S) for each of the k normals alone equal to one."""
    normals = draw(model, state, torch.Generator(device=state.positions.device).manual_seed(0))
    impulse = torch.zeros_like(normals.impulse)
    heat = None if normals.heat is None else torch.zeros_like(normals.heat)
    found = []
    for place in range(impulse.numel() + (0 if heat is None else heat.numel())):
        unit = Normals(
            impulse=impulse.clone(), heat=None if heat is None else heat.clone(), bath_impulse=None, bath_heat=None
        )
        if place < impulse.numel():
            unit.impulse.view(-1)[place] = 1.0
        elif unit.heat is not None:
            unit.heat[place - impulse.numel()] = 1.0
        dv, ds = noise(model, state, unit, dt)
        found.append(torch.cat([dv, ds[:, None]], dim=1).flatten())
    return torch.stack(found, dim=1) if found else state.velocities.new_zeros(dense_length(state), 0)


def dense_length(state: PhaseState) -> int:
    """Return n (d + 1), the length of (v, S)."""
    return state.velocities.numel() + len(state.entropy)


def assert_law_slopes(model: MetriplecticModel, state: PhaseState, *, tolerance: float = TOLERANCE) -> None:
    """Require that the law's derivatives by T_i and T_j are those of its values, by automatic differentiation."""
    dense = dense_friction(model, state)
    start, _ = dense.coefficients(state.entropy)
    kinds, count = model.kinds(state.species), len(dense.pairs.pairs)
    for name in CHANNELS:
        temperature = start.detach().clone().requires_grad_(True)
        channel: Channel | None = getattr(model.law.at(dense.radial, temperature, dense.pairs.pairs, kinds), name)
        if channel is None or not count:
            continue
        slopes = torch.zeros(count, len(start), dtype=start.dtype, device=start.device)
        if channel.value.requires_grad:
            rows = [torch.autograd.grad(value, temperature, retain_graph=True)[0] for value in channel.value]
            slopes = torch.stack(rows)
        for end, given in (("first", channel.first), ("second", channel.second)):
            right = slopes[torch.arange(count), getattr(dense.pairs.pairs, end)]
            require_close(
                f"the derivative of {name} by the temperature of the {end} particle is not that of its value",
                torch.zeros_like(right) if given is None else given.detach(),
                expected=right,
                tolerance=tolerance,
                where=lambda index: dense.pairs.name(index[0]),
            )


def _entry(dense: DenseFriction) -> Callable[[tuple[int, ...]], str]:
    width = len(dense.start) // max(len(dense.species), 1)

    def name(index: tuple[int, ...]) -> str:
        particle, part = divmod(index[0], width)
        return f"{'S' if part == width - 1 else 'xyz'[part].join(('v_', ''))} of particle {particle}"

    return name


def _entries(dense: DenseFriction) -> Callable[[tuple[int, ...]], str]:
    one = _entry(dense)
    return lambda index: f"{one(index[:1])} and {one(index[1:])}"
