from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.special import eval_legendre

from colloid_cg.records import Box
from colloid_cg.structure import Neighbourhood, describe, descriptor_names
from colloid_cg.structure.bonds import SOFTENING, bond_order
from colloid_cg.structure.windows import window, window_volume

PLANE = Neighbourhood(
    cutoff=2.2,
    bond_cutoff=1.54,
    first_shell=0.8,
    shell_width=0.2,
    radial_functions=7,
    generations=1,
    n_species=2,
    dimension=2,
)
SPACE = replace(PLANE, dimension=3)
FAR = Box(lower=(-500.0, -500.0), upper=(500.0, 500.0), periodic=(False, False))
FAR3 = Box(lower=(-500.0,) * 3, upper=(500.0,) * 3, periodic=(False,) * 3)


def spread(seed: int, *, n: int = 80, dimension: int = 2, least: float = 0.5, side: float = 9.0) -> np.ndarray:
    """Return random points at least ``least`` apart: no two particles overlap, as in an experiment."""
    rng, points = np.random.default_rng(seed), np.empty((0, dimension))
    while len(points) < n:
        point = rng.uniform(0, side, size=(1, dimension))
        if len(points) == 0 or np.linalg.norm(points - point, axis=1).min() > least:
            points = np.concatenate([points, point])
    return points


def turn(angle: float) -> np.ndarray:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    angle=st.floats(0, 2 * np.pi),
    shift=hnp.arrays(float, 2, elements=st.floats(-2, 2)),
    mirror=st.booleans(),
)
def test_plane_descriptors_are_unchanged_by_motion_reflection_and_relabelling(seed, angle, shift, mirror):
    points, species = spread(seed), np.random.default_rng(seed).integers(0, 2, 80)
    order = np.random.default_rng(seed + 1).permutation(80)
    moved = ((points - 4.5) * ([1, -1] if mirror else [1, 1])) @ turn(angle).T + shift
    before = describe(points, species, FAR, neighbourhood=PLANE)
    after = describe(moved[order], species[order], FAR, neighbourhood=PLANE)
    assert before.valid.all()
    np.testing.assert_allclose(after.values, before.values[order], rtol=0, atol=1e-12)
    np.testing.assert_allclose(after.local_density, before.local_density[order], rtol=0, atol=1e-12)
    known = np.isfinite(before.voronoi_area[order]) & np.isfinite(after.voronoi_area)
    compact = known & (before.voronoi_area[order] < 4)
    np.testing.assert_allclose(after.voronoi_area[compact], before.voronoi_area[order][compact], rtol=1e-10)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_space_descriptors_are_unchanged_by_rotation_and_relabelling(seed):
    rng = np.random.default_rng(seed)
    points, species, order = spread(seed, n=60, dimension=3, side=4.0), rng.integers(0, 2, 60), rng.permutation(60)
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    before = describe(points, species, FAR3, neighbourhood=SPACE)
    after = describe((points @ rotation.T + 1.5)[order], species[order], FAR3, neighbourhood=SPACE)
    np.testing.assert_allclose(after.values, before.values[order], rtol=0, atol=1e-12)


def test_every_column_has_a_name_and_species_matter():
    points, species = spread(1), np.arange(80) % 2
    found = describe(points, species, FAR, neighbourhood=PLANE)
    names = descriptor_names(PLANE)
    assert found.values.shape == (80, len(names)) == (80, 2 * (2 * 7 + 14 + 1))
    assert len(set(names)) == len(names)
    swapped = describe(points, 1 - species, FAR, neighbourhood=PLANE)
    np.testing.assert_array_equal(swapped.values[:, :7], found.values[:, 7:14])
    assert not np.allclose(swapped.values[:, :7], found.values[:, :7])


def test_radial_functions_equal_the_double_loop():
    points, species = spread(2), np.arange(80) % 2
    found = describe(points, species, FAR, neighbourhood=PLANE).values
    for i in (0, 17, 60):
        expected = np.zeros((2, 7))
        for j in range(80):
            r = np.linalg.norm(points[j] - points[i])
            if j != i and r < 2.2:
                expected[species[j]] += (1 - (r / 2.2) ** 2) ** 2 * np.exp(-((r - PLANE.shells) ** 2) / (2 * 0.2**2))
        np.testing.assert_allclose(found[i, :14], expected.ravel(), rtol=1e-12, atol=1e-14)


def test_averaged_columns_equal_the_weighted_mean_over_first_neighbours():
    points = spread(3)
    values = describe(points, np.zeros(80, dtype=int), FAR, neighbourhood=PLANE).values
    q = values.shape[1] // 2
    distance = np.linalg.norm(points[:, None] - points[None], axis=2)
    weight = np.where(distance < 1.54, (1 - (distance / 1.54) ** 2) ** 2, 0.0)  # 1 on the diagonal: the particle itself
    np.testing.assert_allclose(values[:, q:], weight @ values[:, :q] / weight.sum(axis=1, keepdims=True), rtol=1e-11)


@pytest.mark.parametrize("order", [2, 4, 6])
def test_bond_order_in_space_equals_the_addition_theorem(order):
    rng = np.random.default_rng(4)
    vectors, weights = rng.normal(size=(9, 3)), rng.uniform(0.1, 1, 9)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    square = weights @ eval_legendre(order, np.clip(unit @ unit.T, -1, 1)) @ weights
    found = bond_order(vectors, weights, np.zeros(9, dtype=int), n_particles=1, order=order)
    assert found[0] == pytest.approx(np.sqrt(square) / (weights.sum() + SOFTENING), rel=1e-12)


@pytest.mark.parametrize("sides", [4, 5, 6])
def test_regular_polygons_have_their_own_order_only(sides):
    angle = 2 * np.pi * np.arange(sides) / sides + 0.3
    vectors, centre = np.stack([np.cos(angle), np.sin(angle)], axis=1), np.zeros(sides, dtype=int)
    orders = {k: bond_order(vectors, np.ones(sides), centre, n_particles=1, order=k)[0] for k in range(2, 9)}
    for k, value in orders.items():
        perfect = sides / (sides + SOFTENING)
        assert value == pytest.approx(perfect if k % sides == 0 else 0.0, abs=1e-12)


@pytest.mark.parametrize("dimension", [2, 3])
def test_window_volume_is_the_integral_of_the_window(dimension):
    r = (np.arange(200_000) + 0.5) / 200_000 * 1.7
    shell = 2 * np.pi * r if dimension == 2 else 4 * np.pi * r**2
    assert (window(r, 1.7) * shell).sum() * 1.7 / 200_000 == pytest.approx(window_volume(1.7, dimension), rel=1e-9)


def test_nothing_jumps_when_a_neighbour_crosses_a_cutoff():
    points = np.concatenate([spread(5), [[20.0, 4.5]]])
    target = int(np.argmin(np.linalg.norm(points[:-1] - [6.5, 4.5], axis=1)))
    steps = np.arange(2.4, 1.4, -0.01)
    course = []
    for distance in steps:
        points[-1] = points[target] + [distance, 0.0]
        course.append(describe(points, np.zeros(81, dtype=int), FAR, neighbourhood=PLANE).values[target])
    change = np.abs(np.diff(course, axis=0)).max(axis=1)
    assert change.max() > 0
    assert change.max() < 0.05
    # Halving the step halves the change: no finite jump hides in it.
    coarse = np.abs(np.diff(course[::2], axis=0)).max(axis=1)
    assert coarse.max() == pytest.approx(2 * change.max(), rel=0.1)


def test_particles_beyond_the_edge_of_the_view_change_no_valid_value():
    points = spread(6, n=500, side=24.0)
    species = np.arange(500) % 2
    view = Box(lower=(4.0, 4.0), upper=(20.0, 20.0), periodic=(False, False))
    seen = ((points > 4) & (points < 20)).all(axis=1)
    whole = describe(points, species, FAR, neighbourhood=PLANE)
    cropped = describe(points[seen], species[seen], view, neighbourhood=PLANE)
    assert 40 < cropped.valid.sum() < seen.sum()
    np.testing.assert_allclose(cropped.values[cropped.valid], whole.values[seen][cropped.valid], rtol=0, atol=1e-12)
    assert np.isnan(cropped.values[~cropped.valid]).all()
    for name in ("psi6", "voronoi_area", "local_density"):
        field, truth = getattr(cropped, name), getattr(whole, name)[seen]
        stated = np.isfinite(field)
        assert 60 < stated.sum() < seen.sum()
        np.testing.assert_allclose(field[stated], truth[stated], rtol=1e-10)


def test_everything_within_one_cutoff_of_the_edge_is_nan():
    points = spread(7, n=200, side=14.0)
    view = Box(lower=(0.0, 0.0), upper=(14.0, 14.0), periodic=(False, False))
    found = describe(points, np.zeros(200, dtype=int), view, neighbourhood=replace(PLANE, n_species=1))
    near = view.edge_distance(points) < 2.2
    assert near.any()
    assert not found.valid[near].any()
    assert np.isnan(found.values[near]).all()
    for field in (found.psi6, found.voronoi_area, found.local_density):
        assert np.isnan(field[near]).all()


@pytest.mark.parametrize("dimension", [2, 3])
def test_periodic_cell_equals_an_open_one_with_its_images(dimension):
    side, n = (9.0, 80) if dimension == 2 else (6.0, 90)
    nearby = replace(PLANE, dimension=dimension, n_species=1)
    points = spread(8, n=n, dimension=dimension, side=side, least=0.4)
    cell = Box(lower=(0.0,) * dimension, upper=(side,) * dimension, periodic=(True,) * dimension)
    shifts = np.stack(np.meshgrid(*[[0.0, -side, side]] * dimension, indexing="ij"), axis=-1).reshape(-1, dimension)
    images = (points[None] + shifts[:, None]).reshape(-1, dimension)
    far = FAR if dimension == 2 else FAR3
    tiled = describe(images, np.zeros(len(images), dtype=int), far, neighbourhood=nearby)
    periodic = describe(points, np.zeros(n, dtype=int), cell, neighbourhood=nearby)
    assert periodic.valid.all()
    np.testing.assert_allclose(periodic.values, tiled.values[:n], rtol=0, atol=1e-12)


@pytest.mark.parametrize("dimension", [2, 3])
def test_bond_order_of_shells_equals_that_of_the_weighted_neighbours(dimension):
    nearby = replace(PLANE, dimension=dimension, n_species=1, generations=0, bond_shells=3)
    points = spread(9, n=60, dimension=dimension, side=8.0 if dimension == 2 else 4.0)
    found = describe(points, np.zeros(60, dtype=int), FAR if dimension == 2 else FAR3, neighbourhood=nearby)
    names = descriptor_names(nearby)
    assert found.values.shape == (60, len(names))
    assert len(set(names)) == len(names)
    width = (2.2 - 0.8) / 3 / 2
    letter = "psi" if dimension == 2 else "q"
    for i in (0, 25):
        away = np.delete(points, i, axis=0) - points[i]
        distance = np.linalg.norm(away, axis=1)
        for radius in nearby.bond_radii:
            weight = window(distance, 2.2) * np.exp(-((distance - radius) ** 2) / (2 * width**2))
            near = weight > 0
            expected = bond_order(
                away[near], weight[near], np.zeros(near.sum(), dtype=int), n_particles=1, order=4
            )  # fmt: skip
            column = names.index(f"{letter}4_{radius:.3g}")
            assert found.values[i, column] == pytest.approx(expected[0], rel=1e-9)


def test_wider_averaging_hides_a_wider_strip_at_the_edge():
    wide = replace(PLANE, averaging_cutoff=2.2)
    assert (PLANE.reach, wide.reach) == (pytest.approx(2.2 + 1.54), pytest.approx(4.4))
    points = spread(6, n=500, side=24.0)
    view = Box(lower=(0.0, 0.0), upper=(24.0, 24.0), periodic=(False, False))
    found = describe(points, np.arange(500) % 2, view, neighbourhood=wide)
    np.testing.assert_array_equal(found.valid, view.edge_distance(points) >= 4.4)


def test_lone_particle_is_described_by_zeros_and_its_own_density():
    found = describe(np.array([[0.0, 0.0]]), np.array([0]), FAR, neighbourhood=PLANE)
    assert found.valid.all()
    assert found.local_density[0] == pytest.approx(3 / (np.pi * 2.2**2))
    np.testing.assert_allclose(found.values[0, : 2 * 7 + 14], 0.0)
