"""Each law is broken once on purpose, and the kit must say so: tests of the tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch

from colloid_cg import testing as kit
from colloid_cg.dynamics.metriplectic import cell as cells
from colloid_cg.dynamics.metriplectic import dissipative, loops, reversible
from colloid_cg.dynamics.metriplectic.friction import Channel
from colloid_cg.dynamics.metriplectic.model import MetriplecticModel
from colloid_cg.dynamics.metriplectic.state import PhaseState
from colloid_cg.dynamics.metriplectic.steps import euler_maruyama, reinjection
from colloid_cg.testing import dense
from tests.laws.systems import ChangedLaw, scaled, system

Patch = pytest.MonkeyPatch


def check(law: str, model: MetriplecticModel, state: PhaseState) -> None:
    symmetries = ("relabelling", "orientation", "translation", "images", "galilean")
    options = {"rng": torch.Generator().manual_seed(0)} if law in symmetries else {}
    getattr(kit, f"assert_{law}")(model, state, **options)


def must_find(law: str, model: MetriplecticModel, state: PhaseState, match: str) -> None:
    with pytest.raises(AssertionError, match=match):
        check(law, model, state)


def wrap(patch: Patch, module: Any, name: str, change: Callable[..., Any]) -> None:
    """Replace ``module.name`` by ``change(original, *arguments, **options)``."""
    original = getattr(module, name)
    patch.setattr(module, name, lambda *arguments, **options: change(original, *arguments, **options))


def one_mass(original: Any, *arguments: Any, **options: Any) -> Any:
    """tr(gamma)/m, right for equal masses only: 1/m of the light species for both."""
    return original(*arguments, **{**options, "inverse_masses": torch.full_like(options["inverse_masses"], 2.0)})


def no_ito_of_i(original: Any, coefficients: Any, ends: Any, **options: Any) -> Any:
    """Without the terms in 1/(T_i C_i)."""
    return original(coefficients, replace(ends, ito_i=torch.zeros_like(ends.ito_i)), **options)


def no_ito(original: Any, state: Any, coefficients: Any, velocities: Any, thermal: Any, **options: Any) -> Any:
    """Without the terms in 1/(T C) of both."""
    return original(state, coefficients, velocities, replace(thermal, curvature=0.0 * thermal.curvature), **options)


def stronger(original: Any, *arguments: Any, **options: Any) -> Any:
    return 1.001 * original(*arguments, **options)


def isotropic(original: Any, par: Any, perp: Any, direction: Any, vector: Any) -> Any:
    return par * vector


def uneven_axes(original: Any, par: Any, perp: Any, direction: Any, vector: Any) -> Any:
    return original(par, perp, direction, torch.cat([1.01 * vector[:1], vector[1:]]))


def unshifted(original: Any, self: Any, differences: Any, image: Any) -> Any:
    """A relative velocity without the speed of the sliding faces."""
    return differences


def favoured(original: Any, state: Any, thermal: Any) -> Any:
    force = original(state, thermal).clone()
    force[0] *= 1.01
    return force


def at_home(original: Any, state: Any, thermal: Any) -> Any:
    return original(state, thermal) - 0.01 * state.positions


def at_rest(original: Any, state: Any, thermal: Any) -> Any:
    return original(state, thermal) - 0.01 * state.velocities


def by_energy(original: Any, state: Any, thermal: Any) -> Any:
    return original(state, thermal) * (1.0 + 1e-6 * thermal.energy[:, None])


def heat_from_nowhere(original: Any, *arguments: Any, **options: Any) -> Any:
    first, second = original(*arguments, **options)
    return first + 1e-6, second


def own_boltzmann(original: Any, *arguments: Any, **options: Any) -> Any:
    return original(*arguments, **{**options, "boltzmann": 0.41})


@dataclass(frozen=True)
class Mutation:
    law: str
    module: Any
    name: str
    change: Callable[..., Any]
    match: str
    cell: str = "periodic"
    functions: tuple[str, ...] = ("force", "kernel", "par", "perp", "heat")


LONGITUDINAL = ("force", "kernel", "par", "heat")
MUTATIONS = [
    Mutation("drift", euler_maruyama, "entropy_drift", one_mass, "dS/dt is not L gradE"),
    Mutation("drift", euler_maruyama, "entropy_drift", no_ito_of_i, "dS/dt is not L gradE"),
    Mutation("drift", euler_maruyama, "mean_impulse", no_ito, "dv/dt is not L gradE"),
    Mutation("drift", cells.Cell, "relative", unshifted, "dv/dt is not L gradE", cell="sheared"),
    Mutation("images", cells.Cell, "relative", unshifted, "by their images changes dv/dt", cell="sheared"),
    Mutation("noise_covariance", euler_maruyama, "impulse_noise", stronger, "covariance of the v-v noise"),
    Mutation("noise_covariance", euler_maruyama, "heat_noise", stronger, "covariance of the S-S noise"),
    Mutation("noise_covariance", cells.Cell, "relative", unshifted, "covariance of the v-S noise", cell="sheared"),
    Mutation("force", reversible, "energy_per_density", stronger, "the force is not -dE/dr"),
    Mutation("density_gauge", reversible, "energy_per_density", stronger, "the gauge phi - 2 a W"),
    Mutation("entropy_gauge", euler_maruyama, "mean_impulse", own_boltzmann, "scaling S, k_B, T, gamma"),
    Mutation("offset_gauge", euler_maruyama, "pair_forces", by_energy, "offsets of U and S changes dv/dt"),
    Mutation("reversible", euler_maruyama, "entropy_drift", heat_from_nowhere, "L gradS is not zero"),
    Mutation("momentum", euler_maruyama, "pair_forces", favoured, "momentum is not conserved by the drift"),
    Mutation(
        "angular_momentum",
        dissipative,
        "tensor_times",
        isotropic,
        "not conserved by the drift",
        "open",
        LONGITUDINAL,
    ),
    Mutation("relabelling", euler_maruyama, "pair_forces", favoured, "relabelling particles changes dv/dt"),
    Mutation("orientation", dissipative, "tensor_times", uneven_axes, "rotating the system changes dv/dt", "open"),
    Mutation("orientation", dissipative, "tensor_times", uneven_axes, "rotating|reflecting", "periodic"),
    Mutation("translation", euler_maruyama, "pair_forces", at_home, "moving the system changes dv/dt"),
    Mutation("images", euler_maruyama, "pair_forces", at_home, "by their images changes dv/dt"),
    Mutation("galilean", euler_maruyama, "pair_forces", at_rest, "velocity added to all particles changes dv/dt"),
]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda m: f"{m.law}-{m.name}-{m.change.__name__}-{m.cell}")
def test_broken_code_is_found(mutation: Mutation, monkeypatch: Patch) -> None:
    model, state = system(mutation.cell, dimension=3, functions=mutation.functions)
    assert mutation.cell != "sheared" or bool((state.pairs.image[1] != 0).any())
    check(mutation.law, model, state)
    # The formulas are broken, not the compiled loops that stand in for them: those are held to the formulas elsewhere.
    monkeypatch.setattr(loops, "usable", lambda *_: False)
    check(mutation.law, model, state)
    wrap(monkeypatch, mutation.module, mutation.name, mutation.change)
    must_find(mutation.law, model, state, mutation.match)


def test_energy_that_does_not_close_is_found(monkeypatch: Patch) -> None:
    model, state = system()

    def too_warm(original: Any, *arguments: Any) -> Any:
        after = original(*arguments)
        return replace(after, internal=after.internal * (1 + 1e-7))

    wrap(monkeypatch, reinjection, "reinjected", too_warm)
    with pytest.raises(AssertionError, match=r"first law is broken at step \d"):
        kit.assert_first_law(model, state, steps=50, dt=1e-2, rng=torch.Generator().manual_seed(0))


def of_i_alone(channel: Channel, pairs: Any, temperature: torch.Tensor) -> Channel:
    factor = temperature[pairs.first]
    zero = torch.zeros_like(factor)
    return Channel(value=channel.value.detach() * factor, first=channel.value.detach(), second=zero)


def by_number(channel: Channel, pairs: Any, temperature: torch.Tensor) -> Channel:
    return scaled(channel, 1.0 + 0.01 * (pairs.first + pairs.second))


def negative(channel: Channel, pairs: Any, temperature: torch.Tensor) -> Channel:
    return scaled(channel, torch.where(channel.value == channel.value.max(), -1.0, 1.0).double())


def without_slopes(channel: Channel, pairs: Any, temperature: torch.Tensor) -> Channel:
    return Channel(value=channel.value)


@pytest.mark.parametrize(
    ("law", "name", "change", "match"),
    [
        ("friction_symmetric", "par", of_i_alone, r"par changes when the particles .* at pair \(\d, \d\)"),
        ("friction_symmetric", "heat", of_i_alone, r"heat changes when the particles .* at pair \(\d, \d\)"),
        ("friction_positive", "par", negative, r"negative par.* at pair \(\d, \d\)"),
        ("friction_positive", "heat", negative, r"negative heat.* at pair \(\d, \d\)"),
        ("law_slopes", "perp", without_slopes, r"derivative of perp by the temperature of the first"),
        ("drift", "par", without_slopes, "dv/dt is not L gradE"),
        ("drift", "heat", without_slopes, "dS/dt is not L gradE"),
        ("relabelling", "par", by_number, "relabelling particles changes dv/dt"),
    ],
)
def test_a_broken_law_is_found(law: str, name: str, change: Any, match: str) -> None:
    model, state = system()
    check(law, model, state)
    must_find(law, replace(model, law=ChangedLaw(inner=model.law, name=name, change=change)), state, match)


@dataclass(frozen=True, kw_only=True)
class ChangedEnergy:
    """An energy of which one derivative is 1e-6 too large, or negative."""

    inner: Any
    name: str
    factor: float

    def at(self, entropy: Any, volume: Any, species: Any) -> Any:
        thermal = self.inner.at(entropy, volume, species)
        return replace(thermal, **{self.name: self.factor * getattr(thermal, self.name)})

    def lowest(self, volume: Any, species: Any) -> Any:
        return self.inner.lowest(volume, species)


@pytest.mark.parametrize(
    ("law", "name", "factor", "match"),
    [
        ("energy_function", "temperature", 1 + 1e-6, "T is not dU/dS"),
        ("energy_function", "temperature", -1.0, r"temperature is not positive: -.* at particle \d"),
        ("energy_function", "curvature", 1 + 1e-6, "curvature is not d2U/dS2"),
        ("energy_function", "curvature", -1.0, r"d2U/dS2 is not positive"),
        ("energy_function", "pressure", 1 + 1e-6, "P is not -dU/dV"),
        ("friction_degenerate", "temperature", 1 + 1e-6, r"M gradE is not zero .* at (v_[xy]|S) of particle \d"),
        ("force", "pressure", 1 + 1e-6, "the force is not -dE/dr"),
        ("drift", "curvature", 1 + 1e-6, "d[vS]/dt is not L gradE"),
    ],
)
def test_a_broken_energy_is_found(law: str, name: str, factor: float, match: str) -> None:
    model, state = system("open")
    check(law, model, state)
    wrong = replace(model, energy=ChangedEnergy(inner=model.energy, name=name, factor=factor))
    must_find(law, wrong, kit.symmetry.rebuilt(wrong, state), match)


def test_an_asymmetric_matrix_is_found(monkeypatch: Patch) -> None:
    model, state = system()
    wrap(monkeypatch, dense.DenseFriction, "matrix", lambda f, *rest: f(*rest).triu())
    must_find("friction_symmetric", model, state, r"M is not symmetric: broken by .* at \w+ of particle \d and")


def test_nan_is_found() -> None:
    model, state = system()
    state.velocities[2, 0] = torch.nan
    must_find("noise_covariance", model, state, "inf of the largest|covariance")
    must_find("drift", model, state, "is not L gradE")


def test_reverse_mode_stands_in_for_functions_without_forward_derivatives() -> None:
    model, state = system(powers=("par",))  # heat exchange by the distance alone

    class Square(torch.autograd.Function):
        @staticmethod
        def forward(context: Any, values: torch.Tensor) -> torch.Tensor:
            context.save_for_backward(values)
            return values**2

        @staticmethod
        def backward(context: Any, slope: torch.Tensor) -> torch.Tensor:
            return 2.0 * slope * context.saved_tensors[0]

    def with_square(channel: Channel, pairs: Any, temperature: torch.Tensor) -> Channel:
        (part_i, part_j), (t_i, t_j) = pairs.ends(Square.apply(temperature)), pairs.ends(temperature)
        first, second = 2.0 * channel.value * t_i * part_j, 2.0 * channel.value * part_i * t_j
        return Channel(value=channel.value * part_i * part_j, first=first, second=second)

    own = replace(model, law=ChangedLaw(inner=model.law, name="heat", change=with_square))
    with pytest.raises(RuntimeError):
        torch.func.jacfwd(Square.apply)(state.entropy)
    check("drift", own, state)
