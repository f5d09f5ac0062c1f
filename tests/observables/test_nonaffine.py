"""D2min against the published value, affine motion, a plain re-implementation and its noise law."""

from __future__ import annotations

import numpy as np
import pytest

from colloid_cg.errors import InputError
from colloid_cg.neighbors import within
from colloid_cg.observables import bond_statistics, d2min, d2min_noise_floor, deformation_gradient, local_strain
from colloid_cg.records import Box, NeighborGraph


def open_box(positions):
    return Box(
        lower=tuple(positions.min(axis=0) - 1),
        upper=tuple(positions.max(axis=0) + 1),
        periodic=(False,) * positions.shape[1],
    )


def by_least_squares(before, after, graph):
    """D2min summed over bonds, one numpy.linalg.lstsq per particle."""
    centre, neighbor, _ = graph.directed()
    total = np.full(len(before), np.nan)
    for i in range(len(before)):
        j = neighbor[centre == i]
        if len(j) > before.shape[1]:
            fit = np.linalg.lstsq(before[j] - before[i], after[j] - after[i], rcond=None)[0]
            total[i] = ((after[j] - after[i] - (before[j] - before[i]) @ fit) ** 2).sum()
    return total


@pytest.mark.data
def test_published_value_of_six_grains(data):
    before, after = (
        np.loadtxt(data / "d2min_reference" / f"test{name}State.txt", delimiter=",", skiprows=1)[:, :2]
        for name in ("Initial", "Final")
    )
    pairs = np.array([[0, j] for j in range(1, 6)])
    graph = NeighborGraph(pairs=pairs, vectors=before[pairs[:, 1]] - before[0], n_particles=6)
    assert d2min(before, after, graph)[0] == pytest.approx(45.17664958207952, rel=1e-12)
    assert d2min(before, after, graph, normalise="sum")[0] == pytest.approx(5 * 45.17664958207952, rel=1e-12)
    published = np.array([[0.85612563, 0.16744188], [-0.12802889, 1.01981877]])
    np.testing.assert_allclose(deformation_gradient(before, after, graph)[0], published, rtol=0, atol=5e-9)
    # The five others have one neighbour each: no affine map can be told.
    assert np.isnan(d2min(before, after, graph)[1:]).all()


@pytest.mark.parametrize("dimension", [2, 3])
@pytest.mark.parametrize("reference", ["before", "after"])
def test_equals_least_squares(dimension, reference):
    rng = np.random.default_rng(dimension)
    before = rng.uniform(0, 10, (300, dimension))
    after = before @ (np.eye(dimension) + rng.normal(0, 0.1, (dimension, dimension))) + rng.normal(0, 0.2, before.shape)
    first, second = (before, after) if reference == "before" else (after, before)
    graph = within(first, 1.4 if dimension == 2 else 2.4, open_box(first))
    expected = by_least_squares(first, second, graph)
    assert np.isfinite(expected).sum() > 200
    found = d2min(before, after, graph, normalise="sum", reference=reference)
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("dimension", [2, 3])
@pytest.mark.parametrize("seed", range(10))
def test_zero_for_any_affine_motion(dimension, seed):
    rng = np.random.default_rng(seed)
    before = rng.uniform(0, 100, (500, dimension))
    stretch = np.eye(dimension) + rng.normal(0, 0.3, (dimension, dimension))
    rotation = np.linalg.qr(rng.normal(size=(dimension, dimension)))[0]
    after = before @ (rotation @ stretch).T + rng.uniform(-1000, 1000, dimension)
    graph = within(before, 9.0 if dimension == 2 else 20.0, open_box(before))
    for reference in ("before", "after"):
        value = d2min(before, after, graph, normalise="sum", reference=reference)
        assert np.isfinite(value).mean() > 0.9
        assert np.nanmax(value) < 1e-12


@pytest.mark.parametrize("dimension", [2, 3])
@pytest.mark.parametrize("thin", [1.0, 1e-3, 1e-5])
def test_zero_for_affine_motion_of_thin_shells_far_from_the_origin(dimension, thin):
    """Neighbours almost on a line (plane) leave half the digits to Y^-1; D2min must stay 0 to 1e-12 of a bond^2."""
    rng = np.random.default_rng(9)
    n_shells, n_bonds = 200, 8
    shells = rng.normal(size=(n_shells, n_bonds + 1, dimension))
    shells[..., -1] *= thin
    shells = shells @ np.linalg.qr(rng.normal(size=(n_shells, dimension, dimension)))[0]
    before = shells.reshape(-1, dimension)
    after = before @ rng.normal(size=(dimension, dimension)).T
    centre = np.repeat(np.arange(n_shells) * (n_bonds + 1), n_bonds)
    pairs = np.stack([centre, centre + np.tile(np.arange(1, n_bonds + 1), n_shells)], axis=1)
    graph = NeighborGraph(pairs=pairs, vectors=before[pairs[:, 1]] - before[pairs[:, 0]], n_particles=len(before))
    value = d2min(before, after, graph)[:: n_bonds + 1]
    bonds = after[pairs[:, 1]] - after[pairs[:, 0]]
    square = (bonds**2).sum(axis=1).reshape(n_shells, n_bonds).mean(axis=1)
    assert np.isfinite(value).mean() > 0.9
    assert np.nanmax(value / square) < 1e-12
    box = Box(lower=(0.0,) * dimension, upper=(500.0,) * dimension, periodic=(True,) * dimension)
    there = box.wrap(before + 250.0)
    moved = box.wrap(before * 1.1 + 490.0)
    wrapped = d2min(there, moved, graph, box=box)[:: n_bonds + 1]
    assert np.nanmax(wrapped) < 1e-12


def test_rigid_rotation_has_no_strain_and_shear_has_the_known_one():
    rng = np.random.default_rng(5)
    before = rng.uniform(0, 10, (200, 2))
    graph = within(before, 2.0, open_box(before))
    angle = 0.7
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    np.testing.assert_allclose(local_strain(before, before @ rotation.T + 5.0, graph), 0.0, atol=1e-12)
    shear = np.array([[1.0, 0.2], [0.0, 1.0]])
    np.testing.assert_allclose(
        deformation_gradient(before, before @ shear.T, graph), np.tile(shear, (200, 1, 1)), atol=1e-12
    )
    expected = np.tile([[0.0, 0.1], [0.1, 0.02]], (200, 1, 1))
    np.testing.assert_allclose(local_strain(before, before @ (rotation @ shear).T, graph), expected, atol=1e-12)


def test_periodic_bonds_are_shortest_images():
    rng = np.random.default_rng(6)
    box = Box(lower=(0.0, 0.0), upper=(10.0, 10.0), periodic=(True, True))
    before = rng.uniform(0, 10, (200, 2))
    graph = within(before, 1.5, box)
    after = box.wrap(before + 3.3)
    assert np.nanmax(d2min(before, after, graph, box=box)) < 1e-20
    assert np.nanmax(d2min(before, after, graph)) > 1.0


def test_neighbours_on_a_line_or_too_few_give_nan():
    before = np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [3.0, 0.0], [50.0, 50.0]])
    graph = within(before, 10.0, open_box(before))
    assert np.isnan(d2min(before, before + 0.1, graph)).all()


def test_wrong_shapes_are_refused():
    graph = NeighborGraph(pairs=np.array([[0, 1]]), vectors=np.zeros((1, 2)), n_particles=2)
    with pytest.raises(InputError, match="same particles"):
        d2min(np.zeros((2, 2)), np.zeros((3, 2)), graph)
    with pytest.raises(InputError, match="graph of 2"):
        d2min(np.zeros((3, 2)), np.zeros((3, 2)), graph)


def test_noise_floor_and_its_distribution():
    """Mean (2 sigma^2 d / n)(n - d + c), and the stated generalised chi-square: its variance is checked too."""
    rng = np.random.default_rng(7)
    before = rng.uniform(0, 20, (400, 2))
    sigma = 1e-3
    graph = within(before, 2.2, open_box(before))
    count, shared = bond_statistics(before, graph)
    usable = count >= 4
    draws = np.array(
        [
            d2min(before + rng.normal(0, sigma, before.shape), before + rng.normal(0, sigma, before.shape), graph)
            for _ in range(1500)
        ]
    )[:, usable]
    floor = d2min_noise_floor(sigma, count, shared)[usable]
    ratio = draws.mean(axis=0) / floor
    # 1500 draws of a law with relative standard deviation below .7: 5 standard errors are .09.
    assert np.abs(ratio - 1).max() < 0.1
    assert ratio.mean() == pytest.approx(1.0, abs=0.004)
    n, c = count[usable], shared[usable]
    variance = 4 * (2 * (n - 3) + 2 * (1 + c) ** 2) * 2 * sigma**4 / n**2 * 1.0
    assert (draws.var(axis=0) / variance).mean() == pytest.approx(1.0, abs=0.03)
    # A shell with inversion symmetry: c = n, floor 8 sigma^2 (1 - 1/n).
    angle = np.arange(6) * np.pi / 3
    shell = np.r_[np.zeros((1, 2)), np.c_[np.cos(angle), np.sin(angle)]]
    count, shared = bond_statistics(shell, within(shell, 1.01, open_box(shell)))
    assert shared[0] == pytest.approx(6.0)
    assert d2min_noise_floor(0.5, count, shared)[0] == pytest.approx(8 * 0.25 * (1 - 1 / 6))
