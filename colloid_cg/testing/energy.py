"""Laws of energy, entropy and momentum: derivatives of U, forces, L gradE, the first law in discrete time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch

from colloid_cg.dynamics.metriplectic.friction import PairCoefficients
from colloid_cg.dynamics.metriplectic.model import MetriplecticModel
from colloid_cg.dynamics.metriplectic.pairs import Pairs
from colloid_cg.dynamics.metriplectic.radial import RadialValues
from colloid_cg.dynamics.metriplectic.reversible import pair_forces
from colloid_cg.dynamics.metriplectic.state import PhaseState, kinetic_energy, total_energy
from colloid_cg.dynamics.metriplectic.steps.euler_maruyama import drift
from colloid_cg.dynamics.metriplectic.steps.reinjection import reinjection_step
from colloid_cg.testing.dense import check_size, dense_force, energy_slope
from colloid_cg.testing.friction import noise_columns
from colloid_cg.testing.verdicts import SYMMETRY_TOLERANCE, TOLERANCE, largest, require_close

Step = Callable[[MetriplecticModel, PhaseState, float, torch.Generator], PhaseState]


def assert_energy_function(model: MetriplecticModel, state: PhaseState, *, tolerance: float = TOLERANCE) -> None:
    """Require T = dU/dS > 0, d2U/dS2 > 0 and P = -dU/dV, by automatic differentiation of U and T."""
    kinds, thermal = model.kinds(state.species), state.thermal
    for name, values in (("temperature", thermal.temperature), ("d2U/dS2", thermal.curvature)):
        if not bool((values > 0).all()):
            particle = int(values.argmin())
            raise AssertionError(f"{name} is not positive: {float(values[particle]):.6g} at particle {particle}")
    slope = energy_slope(model, state.entropy, state.volume, state.species)
    require_close("T is not dU/dS", thermal.temperature, expected=slope, tolerance=tolerance)
    entropy = state.entropy.detach().clone().requires_grad_(True)
    temperature = model.energy.at(entropy, state.volume, kinds).temperature
    (curvature,) = torch.autograd.grad(temperature.sum(), entropy)
    require_close("curvature is not d2U/dS2", thermal.curvature, expected=curvature, tolerance=tolerance)
    if state.volume is None:
        return
    volume = state.volume.detach().clone().requires_grad_(True)
    energy = model.energy.at(state.entropy, volume, kinds).energy
    slope = torch.zeros_like(volume)
    if energy.requires_grad:
        (slope,) = torch.autograd.grad(energy.sum(), volume)
    pressure = torch.zeros_like(volume) if thermal.pressure is None else thermal.pressure
    require_close("P is not -dU/dV", pressure, expected=-slope, tolerance=tolerance)


def assert_force(model: MetriplecticModel, state: PhaseState, *, tolerance: float = TOLERANCE) -> None:
    """Require F_i = -dE/dr_i at fixed S, the energy summed over all pairs and differentiated automatically."""
    check_size(model, state)
    force = pair_forces(state, state.thermal)
    if model.external is not None:
        force = force + model.external.at(state.positions, model.kinds(state.species))[1]
    require_close("the force is not -dE/dr", force, expected=dense_force(model, state), tolerance=tolerance)


class _NoDissipation:
    """A law without any: what is left of the dynamics is L gradE."""

    def at(
        self, radial: RadialValues, temperature: torch.Tensor, pairs: Pairs, species: torch.Tensor | None
    ) -> PairCoefficients:
        return PairCoefficients(par=None, perp=None, heat=None)


def assert_reversible(model: MetriplecticModel, state: PhaseState, *, tolerance: float = SYMMETRY_TOLERANCE) -> None:
    """Require L gradS = 0: without dissipation no entropy changes, and dv/dt is the force alone."""
    dv, ds = drift(replace(model, law=_NoDissipation()), state)
    rate = largest(drift(model, state)[1])
    require_close(
        "L gradS is not zero: entropy changes without dissipation",
        ds, expected=torch.zeros_like(ds), tolerance=tolerance, scale=rate,
    )  # fmt: skip
    right = model.inverse_mass(state.species) * dense_force(model, state)
    require_close(
        "without dissipation dv/dt is not the force over the mass",
        dv,
        expected=right,
        tolerance=max(tolerance, TOLERANCE),
    )


def assert_momentum(model: MetriplecticModel, state: PhaseState, *, tolerance: float = SYMMETRY_TOLERANCE) -> None:
    """Require sum_i m_i dv_i = 0 in the drift and in every column of the noise; not for models in a potential."""
    if model.external is not None:
        return
    for name, pushes in _pushes(model, state):
        total = pushes.sum(dim=0)
        require_close(
            f"momentum is not conserved by the {name}", total, expected=torch.zeros_like(total), tolerance=tolerance,
            scale=float(pushes.abs().sum(dim=0).max()) if pushes.numel() else 0.0,
            where=lambda index: f"axis {'xyz'[index[0]]}",
        )  # fmt: skip


def assert_angular_momentum(
    model: MetriplecticModel, state: PhaseState, *, tolerance: float = SYMMETRY_TOLERANCE
) -> None:
    """Require sum_i r_i x m_i dv_i = 0 in drift and noise: for open cells and models with g_perp = 0 only.

    Friction across the line of centres takes angular momentum as long as particles cannot spin; such models, and
    periodic cells, where angular momentum is not defined, pass unexamined.
    """
    kinds = model.kinds(state.species)
    perp = model.law.at(state.radial, state.thermal.temperature, state.pairs, kinds).perp
    twisting = perp is not None and bool((perp.value != 0).any())
    if model.external is not None or any(state.cell.box.periodic) or twisting:
        return
    places = state.positions - state.positions.mean(dim=0)
    axes = [(a, b) for a in range(places.shape[1]) for b in range(a + 1, places.shape[1])]
    for name, pushes in _pushes(model, state):
        arms = places[..., None] if pushes.ndim == 3 else places
        products = [(arms[:, a] * pushes[:, b], arms[:, b] * pushes[:, a]) for a, b in axes]
        torque = torch.stack([(left - right).sum(dim=0) for left, right in products])
        size = max(float((left.abs() + right.abs()).sum(dim=0).max()) for left, right in products)
        require_close(
            f"angular momentum is not conserved by the {name}", torque, expected=torch.zeros_like(torque),
            tolerance=tolerance, scale=size, where=lambda index: f"plane {axes[index[0]]}",
        )  # fmt: skip


def _pushes(model: MetriplecticModel, state: PhaseState) -> list[tuple[str, torch.Tensor]]:
    """Return m_i dv_i of the drift (n, d) and of every column of the noise (n, d, k)."""
    masses = model.masses[state.species]
    n, d = state.velocities.shape
    columns = noise_columns(model, state, dt=1.0).reshape(n, d + 1, -1)[:, :d]
    found = [("drift", masses[:, None] * drift(model, state)[0])]
    return [*found, ("noise", masses[:, None, None] * columns)] if columns.shape[2] else found


def assert_first_law(
    model: MetriplecticModel,
    state: PhaseState,
    *,
    steps: int,
    dt: float,
    rng: torch.Generator,
    step: Step = reinjection_step,
    tolerance: float = TOLERANCE,
) -> None:
    """Require E - E(0) = work - heat to the bath after every step, to ``tolerance`` of the first kinetic energy.

    Parameters
    ----------
    steps : int
    dt : float
    rng : torch.Generator
    step : callable
        ``step(model, state, dt, rng)``; default :func:`reinjection_step` with two stages. Of one stage:
        ``functools.partial(reinjection_step, stages=1)``.
    tolerance : float
        1e-10 of the kinetic energy at the start (acceptance figure P1).

    Examples
    --------
    >>> import torch
    >>> from colloid_cg.testing import assert_first_law, example_system
    >>> model, state = example_system()
    >>> assert_first_law(model, state, steps=10, dt=0.01, rng=torch.Generator().manual_seed(1))

    Euler-Maruyama does not hold it:

    >>> from colloid_cg.dynamics.metriplectic.steps.euler_maruyama import euler_maruyama_step
    >>> rng = torch.Generator().manual_seed(1)
    >>> try:
    ...     assert_first_law(model, state, steps=10, dt=0.01, rng=rng, step=euler_maruyama_step)
    ... except AssertionError as broken:
    ...     print(str(broken)[:30])
    the first law is broken at ste
    """
    start, kinetic = _balance(model, state), float(kinetic_energy(model, state).sum())
    if kinetic == 0.0:  # a state at rest: what it would have in equilibrium
        kinetic = 0.5 * state.positions.shape[1] * model.boltzmann * float(state.thermal.temperature.sum())
    for count in range(1, steps + 1):
        state = step(model, state, dt, rng)
        error = abs(_balance(model, state) - start) / kinetic
        if not error <= tolerance:
            raise AssertionError(
                f"the first law is broken at step {count}: energy is off by {error:.3g} of the kinetic energy"
                f" {kinetic:.3g}, allowed {tolerance:.1g}"
            )


def _balance(model: MetriplecticModel, state: PhaseState) -> float:
    """Return E - work + heat to the bath, which nothing may change."""
    return float(total_energy(model, state) - state.account.work + state.account.bath)
