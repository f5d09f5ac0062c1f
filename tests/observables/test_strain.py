"""Local rotation, strain invariants and cage-relative displacement against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from colloid_cg.errors import InputError
from colloid_cg.neighbors import within
from colloid_cg.observables import (
    cage_relative_displacement,
    cage_relative_noise_floor,
    deformation_gradient,
    local_rotation,
    max_shear_strain,
    volumetric_strain,
)
from colloid_cg.records import Box, NeighborGraph


def cloud(dimension, seed=0):
    rng = np.random.default_rng(seed)
    positions = rng.uniform(0, 10, (400, dimension))
    box = Box(lower=(-1.0,) * dimension, upper=(11.0,) * dimension, periodic=(False,) * dimension)
    return positions, within(positions, 1.6 if dimension == 2 else 3.0, box)


@pytest.mark.parametrize("angle", [-3.1, -1.0, -1e-9, 0.0, 0.3, 2.0, 3.1])
def test_rigid_rotation_in_the_plane_gives_the_angle_and_no_strain(angle):
    positions, graph = cloud(2)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    fit = deformation_gradient(positions, positions @ turn.T + [3.0, -7.0], graph)
    known = np.isfinite(fit).all(axis=(1, 2))
    assert known.sum() > 350
    np.testing.assert_allclose(local_rotation(fit)[known], angle, rtol=0, atol=1e-12)
    np.testing.assert_allclose(max_shear_strain(fit)[known], 0.0, atol=1e-11)
    np.testing.assert_allclose(volumetric_strain(fit)[known], 0.0, atol=1e-11)
    assert np.isnan(max_shear_strain(fit)[~known]).all()
    assert np.isnan(local_rotation(fit)[~known]).all()


@pytest.mark.parametrize("angle", [0.0, 1e-7, 0.4, 3.1, np.pi - 1e-9])
@pytest.mark.parametrize("seed", range(3))
def test_rigid_rotation_in_space_gives_the_rotation_vector(angle, seed):
    axis = np.random.default_rng(seed).normal(size=3)
    vector = angle * axis / np.linalg.norm(axis)
    positions, graph = cloud(3)
    fit = deformation_gradient(positions, Rotation.from_rotvec(vector).apply(positions) + 5.0, graph)
    known = np.isfinite(fit).all(axis=(1, 2))
    assert known.sum() > 350
    np.testing.assert_allclose(local_rotation(fit)[known], np.tile(vector, (known.sum(), 1)), atol=1e-10)
    np.testing.assert_allclose(max_shear_strain(fit)[known], 0.0, atol=1e-11)


@pytest.mark.parametrize("dimension", [2, 3])
def test_rotation_is_that_of_the_polar_decomposition_whatever_the_strain(dimension):
    rng = np.random.default_rng(1)
    stretch = np.eye(dimension) + 0.2 * (lambda a: a + a.T)(rng.normal(size=(dimension, dimension)))
    assert np.linalg.eigvalsh(stretch).min() > 0
    turn = Rotation.from_rotvec([0.0, 0.0, 0.7] if dimension == 2 else [0.5, -0.2, 0.7]).as_matrix()
    fit = (turn[:dimension, :dimension] @ stretch)[None]
    expected = [0.7] if dimension == 2 else [[0.5, -0.2, 0.7]]
    np.testing.assert_allclose(local_rotation(fit), expected, atol=1e-12)
    # A map that turns space inside out is a reflection times a rotation; the rotation stays proper.
    assert np.isfinite(local_rotation(-fit)).all()


@pytest.mark.parametrize("shear", [0.01, 0.5, 2.0])
@pytest.mark.parametrize("dimension", [2, 3])
def test_simple_shear_closed_form(shear, dimension):
    fit = np.eye(dimension)[None].copy()
    fit[0, 0, 1] = shear
    assert max_shear_strain(fit)[0] == pytest.approx(0.5 * shear * np.sqrt(1 + shear**2 / 4), rel=1e-12)
    assert volumetric_strain(fit)[0] == pytest.approx(0.0, abs=1e-15)
    # Polar decomposition: tan(angle) = (F_yx - F_xy) / (F_xx + F_yy) = -shear / 2.
    angle = local_rotation(fit)[0] if dimension == 2 else local_rotation(fit)[0, 2]
    assert angle == pytest.approx(-np.arctan(shear / 2), rel=1e-12)


def test_expansion_changes_the_volume_alone():
    for d in (2, 3):
        fit = 1.1 * np.eye(d)[None]
        assert volumetric_strain(fit)[0] == pytest.approx(1.1**d - 1)
        assert max_shear_strain(fit)[0] == pytest.approx(0.0, abs=1e-15)
    with pytest.raises(InputError, match="deformation_gradient"):
        max_shear_strain(np.eye(2))


@pytest.mark.parametrize("dimension", [2, 3])
def test_cage_relative_displacement_equals_its_definition_and_ignores_common_motion(dimension):
    positions, graph = cloud(dimension, seed=3)
    rng = np.random.default_rng(4)
    after = positions + rng.normal(size=positions.shape)
    found = cage_relative_displacement(positions, after, graph)
    centre, neighbor, _ = graph.directed()
    for i in range(0, 400, 17):
        mine = neighbor[centre == i]
        expected = (after - positions)[i] - (after - positions)[mine].mean(axis=0)
        np.testing.assert_allclose(found[i], expected, atol=1e-12)
    np.testing.assert_allclose(cage_relative_displacement(positions, after + 100.0, graph), found, atol=1e-11)
    empty = NeighborGraph(pairs=np.empty((0, 2), int), vectors=np.empty((0, dimension)), n_particles=400)
    assert np.isnan(cage_relative_displacement(positions, after, empty)).all()
    with pytest.raises(InputError, match="both frames"):
        cage_relative_displacement(positions[1:], after[1:], graph)


def test_cage_relative_displacement_takes_the_shortest_image():
    rng = np.random.default_rng(5)
    box = Box(lower=(0.0, 0.0), upper=(10.0, 10.0), periodic=(True, True))
    positions = rng.uniform(0, 10, (300, 2))
    moved = rng.normal(0, 0.3, positions.shape)
    graph = within(positions, 1.5, box)
    found = cage_relative_displacement(positions, box.wrap(positions + moved), graph, box=box)
    np.testing.assert_allclose(found, cage_relative_displacement(positions, positions + moved, graph), atol=1e-12)


def test_noise_floor_of_the_cage_relative_displacement():
    rng = np.random.default_rng(6)
    positions, _ = cloud(2, seed=7)
    view = Box(lower=(0.0, 0.0), upper=(10.0, 10.0), periodic=(False, False))
    graph = within(positions, 0.7, view)
    count = np.bincount(graph.pairs.ravel(), minlength=400)
    square = np.zeros(400)
    for _ in range(600):
        before, after = (positions + rng.normal(0, 0.2, positions.shape) for _ in range(2))
        square += (cage_relative_displacement(before, after, graph) ** 2).mean(axis=1) / 600
    expected = cage_relative_noise_floor(2 * 0.2**2, count)
    some = count > 0
    # 1200 squares each: a relative error of sqrt(2 / 1200) = .041.
    assert np.nanmax(np.abs(square / expected - 1)[some]) < 5 * 0.041
    for n in (2, 5, 8):
        assert (square / expected)[count == n].mean() == pytest.approx(1.0, abs=4 * 0.041 / np.sqrt((count == n).sum()))
