"""Explicit derivatives of the published functions against automatic differentiation, and the signs they promise."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.autograd import grad

from colloid_cg.dynamics.metriplectic.published.networks import Layers, PublishedEnergy
from colloid_cg.dynamics.metriplectic.published.reader import PublishedModel, read_published


@pytest.fixture(params=[1, 2, 3], ids=lambda hidden: f"{hidden} hidden layers")
def model(request: pytest.FixtureRequest, published_folder: Callable[..., Path]) -> PublishedModel:
    return read_published(published_folder(hidden=request.param))


def draws(n: int, low: float, high: float, *, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (low + (high - low) * torch.rand(n, generator=generator, dtype=torch.float64)).requires_grad_()


def test_energy(model: PublishedModel) -> None:
    S, V = draws(40, -2, 2, seed=1), draws(40, 0, 4, seed=2)
    U, U_S, U_SS, U_V, U_SV = model.energy.evaluate(S, V)
    by_S, by_V = grad(U.sum(), (S, V), create_graph=True)
    torch.testing.assert_close(U_S, by_S, rtol=1e-12, atol=0)
    torch.testing.assert_close(U_V, by_V, rtol=1e-12, atol=0)
    by_SS, by_SV = grad(by_S.sum(), (S, V))
    torch.testing.assert_close(U_SS, by_SS, rtol=1e-10, atol=1e-13)
    torch.testing.assert_close(U_SV, by_SV, rtol=1e-10, atol=1e-13)
    assert float(by_SS.detach().abs().max()) > 0.1
    assert float(by_SV.detach().abs().max()) > 0.1


def test_energy_is_monotone_and_convex(model: PublishedModel) -> None:
    S, V = draws(500, -3, 3, seed=3), draws(500, 0, 6, seed=4)
    fields = model.energy.evaluate(S, V)
    (by_VV,) = grad(fields.U_V.sum(), V)
    assert (fields.U_S > 0).all()
    assert (fields.U_V < 0).all()
    assert (fields.U_SS > 0).all()
    assert (fields.U_SS * by_VV >= fields.U_SV**2 * (1 - 1e-9)).all()


def test_energy_far_from_the_data() -> None:
    """U = ln(1 + e^(S - V)): arguments of +-800 overflow neither way, and the curvature keeps its digits."""
    weights = (torch.tensor([[1.0, -1.0]]), torch.tensor([[-1.0]]))
    layers = Layers(
        weights=tuple(weight.double() for weight in weights), biases=(torch.zeros(1).double(), torch.zeros(1).double())
    )
    S = torch.tensor([-800.0, -30.0, 0.0, 30.0, 800.0], dtype=torch.float64, requires_grad=True)
    U, U_S, U_SS, U_V, U_SV = PublishedEnergy(layers=layers).evaluate(S, torch.zeros_like(S))
    small = torch.exp(torch.tensor(-30.0, dtype=torch.float64))
    expected = torch.stack([0 * small, small - small**2 / 2, torch.log(0 * small + 2), 30 + small, 0 * small + 800])
    torch.testing.assert_close(U, expected, rtol=1e-12, atol=0)
    torch.testing.assert_close(U_SS[[1, 3]], (small - 2 * small**2).expand(2), rtol=1e-12, atol=0)
    torch.testing.assert_close(U_S, -U_V, rtol=0, atol=0)
    torch.testing.assert_close(U_SS, -U_SV, rtol=0, atol=0)
    (by_S,) = grad(U.sum(), S)
    torch.testing.assert_close(by_S, U_S, rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("name", ["shear", "bulk", "heat"])
def test_pair_function(model: PublishedModel, name: str) -> None:
    s, T = draws(40, 0, 1, seed=5), draws(40, 0.2, 9, seed=6)
    value, slope = getattr(model, name).evaluate(s, T)
    (by_T,) = grad(value.sum(), T)
    torch.testing.assert_close(slope, by_T, rtol=1e-11, atol=1e-12)
    assert float(by_T.abs().max()) > 0.01


def test_kernel(model: PublishedModel) -> None:
    s = draws(40, 0, 1.4, seed=7)
    W, W_s = model.kernel.evaluate(s)
    (by_s,) = grad(W.sum(), s)
    torch.testing.assert_close(W_s, by_s, rtol=1e-11, atol=1e-12)
    inside = s < 1
    assert inside.any()
    assert (W[inside] > 0).all()
    assert (~inside).any()
    assert (W[~inside] == 0).all()
    assert (W_s[~inside] == 0).all()


def test_networks_are_trainable(model: PublishedModel) -> None:
    """Derivatives by the weights flow through the explicit slopes."""
    weight = model.energy.layers.weights[0].requires_grad_()
    slope = model.energy.evaluate(torch.tensor([0.3]).double(), torch.tensor([0.7]).double()).U_S.sum()
    (by_weight,) = grad(slope, weight)
    step = torch.zeros_like(weight)
    step[0, 1] = 1e-6
    moved = [
        PublishedEnergy(
            layers=Layers(
                weights=((weight + sign * step).detach(), *model.energy.layers.weights[1:]),
                biases=model.energy.layers.biases,
            )
        ).evaluate(torch.tensor([0.3]).double(), torch.tensor([0.7]).double())
        for sign in (1, -1)
    ]
    assert float(by_weight[0, 1]) == pytest.approx(float(moved[0].U_S - moved[1].U_S) / 2e-6, rel=1e-6, abs=1e-9)


def test_single_precision(model: PublishedModel) -> None:
    """Single-precision inputs give single-precision values, whichever precision the weights have."""
    s, T = draws(40, 0, 1, seed=8).detach(), draws(40, 0.2, 2, seed=9).detach()
    narrow = model.to(dtype=torch.float32, device=torch.device("cpu"))
    assert narrow.shear.layers.weights[0].dtype == torch.float32
    assert (narrow.k_B, narrow.cutoff) == (model.k_B, model.cutoff)
    for chosen in (model, narrow):
        for exact, rounded in [
            (model.energy.evaluate(s, T), chosen.energy.evaluate(s.float(), T.float())),
            (model.kernel.evaluate(s), chosen.kernel.evaluate(s.float())),
            (model.shear.evaluate(s, T), chosen.shear.evaluate(s.float(), T.float())),
            (model.bulk.evaluate(s, T), chosen.bulk.evaluate(s.float(), T.float())),
            (model.heat.evaluate(s, T), chosen.heat.evaluate(s.float(), T.float())),
        ]:
            for wanted, found in zip(exact, rounded, strict=True):
                assert found.dtype == torch.float32
                torch.testing.assert_close(found.double(), wanted, rtol=1e-4, atol=1e-4)
