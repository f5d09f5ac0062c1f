"""The published weights give the published numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import softplus

from colloid_cg.dynamics.metriplectic.published import networks
from colloid_cg.dynamics.metriplectic.published.reader import PublishedModel, read_published
from tests.dynamics.metriplectic.published_reference import brute_force_pairs, evaluate

pytestmark = pytest.mark.data

MODELS = ["star_polymer_11", "taylor_green"]
ARRAYS = ["density", "U", "T", "P", "Cv", "dvdt", "dSdt"]
BLOCKS = {"vv": (slice(0, 3), slice(0, 3)), "vS": (slice(0, 3), 3), "Sv": (3, slice(0, 3)), "SS": (3, 3)}


@pytest.fixture(params=MODELS)
def published(request: pytest.FixtureRequest, data: Path) -> tuple[PublishedModel, dict[str, Tensor]]:
    folder = data / "published_models" / request.param
    with np.load(folder / "reference.npz") as content:
        return read_published(folder), {name: torch.as_tensor(content[name]) for name in content}


def largest_differences(model: PublishedModel, reference: dict[str, Tensor]) -> dict[str, float]:
    """Largest deviation of every array, in units of that array's largest value."""
    state = {"r": reference["r"], "v": reference["v"], "S": reference["S"][:, 0]}
    found = evaluate(model, **state, box=float(reference["box"]))
    pairs = {name: (found[name], reference[name]) for name in ARRAYS}
    for name, (rows, columns) in BLOCKS.items():
        pairs[name] = tuple(array[:, rows, columns] for array in (found["covariance"], reference["covariance"]))
    assert all(ours.shape == theirs.shape for ours, theirs in pairs.values())
    return {name: float((ours - theirs).abs().max() / theirs.abs().max()) for name, (ours, theirs) in pairs.items()}


def torch_softplus(z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Torch's softplus, which is z itself above 20, and its derivatives."""
    slope = torch.where(z > 20, torch.ones_like(z), torch.sigmoid(z))
    return softplus(z), slope, slope * (1 - slope)


def test_constants(published: tuple[PublishedModel, dict[str, Tensor]]) -> None:
    model, reference = published
    for name in ("k_B", "mass", "cutoff", "dt"):
        assert getattr(model, name) == pytest.approx(float(reference[name]), rel=1e-14)
    # The settings round the edge of the box (30.18 for 30.184).
    assert model.box_size == pytest.approx(float(reference["box"]), rel=2e-4)
    assert reference["r"].shape[1] == model.dimension


def test_pairs(published: tuple[PublishedModel, dict[str, Tensor]]) -> None:
    model, reference = published
    pairs = brute_force_pairs(reference["r"], box=float(reference["box"]), cutoff=model.cutoff)
    assert set(map(tuple, pairs.tolist())) == set(map(tuple, reference["pairs"].tolist()))


def test_agreement(published: tuple[PublishedModel, dict[str, Tensor]]) -> None:
    differences = largest_differences(*published)
    # What is left (1.0e-9 in Cv of the star polymers, where some arguments exceed 20) is the published softplus, which
    # switches to the identity at 20: an error of ln(1 + e^-20) = 2e-9.
    assert all(value < 2e-9 for value in differences.values()), differences


def test_agreement_to_round_off_with_the_same_softplus(
    published: tuple[PublishedModel, dict[str, Tensor]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(networks, "_softplus", torch_softplus)
    differences = largest_differences(*published)
    assert all(value < 1e-13 for value in differences.values()), differences
