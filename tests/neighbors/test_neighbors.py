"""Neighbour graphs against brute force, freud and known lattices."""

from __future__ import annotations

from itertools import combinations

import freud
import numpy as np
import pytest
from scipy.spatial import Delaunay

from colloid_cg.errors import DataError, InputError
from colloid_cg.neighbors import delaunay, within
from colloid_cg.records import Box


def make_box(lengths, periodic, lower=None):
    lower = (0.0,) * len(lengths) if lower is None else lower
    return Box(lower=lower, upper=tuple(a + b for a, b in zip(lower, lengths, strict=True)), periodic=periodic)


def brute_force(positions, cutoff, box):
    difference = box.shortest(positions[None, :, :] - positions[:, None, :])
    close = np.linalg.norm(difference, axis=-1) <= cutoff
    i, j = np.nonzero(np.triu(close, 1))
    return np.stack([i, j], axis=1), difference[i, j]


@pytest.mark.parametrize(
    ("lengths", "periodic"),
    [
        ((10.0, 7.0), (False, False)),
        ((10.0, 7.0), (True, True)),
        ((10.0, 7.0), (True, False)),
        ((10.0, 7.0), (False, True)),
        ((6.0, 7.0, 8.0), (True, False, True)),
    ],
)
def test_within_equals_brute_force(lengths, periodic):
    rng = np.random.default_rng(1)
    box = make_box(lengths, periodic, lower=(-3.0, 2.0, 1.0)[: len(lengths)])
    # Unfolded positions on purpose: the graph must not depend on the image a particle is given in.
    positions = np.asarray(box.lower) + rng.uniform(-0.5, 1.5, (300, len(lengths))) * box.lengths
    graph = within(positions, 1.3, box)
    pairs, vectors = brute_force(positions, 1.3, box)
    assert len(pairs) > 300
    np.testing.assert_array_equal(graph.pairs, pairs)
    np.testing.assert_allclose(graph.vectors, vectors, atol=1e-12)


def test_within_equals_freud_in_a_periodic_cell():
    rng = np.random.default_rng(2)
    box = make_box((20.0, 30.0), (True, True), lower=(-10.0, -15.0))
    positions = rng.uniform(-0.5, 0.5, (800, 2)) * box.lengths
    flat = np.c_[positions, np.zeros(800)]
    query = freud.locality.AABBQuery(freud.box.Box(Lx=20, Ly=30, is2D=True), flat)
    found = query.query(flat, {"r_max": 2.0, "exclude_ii": True}).toNeighborList()
    expected = {(int(i), int(j)) for i, j in np.asarray(found[:]) if i < j}
    assert {tuple(pair) for pair in within(positions, 2.0, box).pairs.tolist()} == expected


@pytest.mark.parametrize("dimension", [2, 3])
@pytest.mark.parametrize("cutoff", [5.0, 2.6, 1.7, 0.4])
def test_within_in_small_periodic_cells_finds_every_pair_once(dimension, cutoff):
    """One to many cells per axis: with two, the cell before and the cell after are the same one."""
    rng = np.random.default_rng(int(10 * cutoff))
    box = make_box((10.0,) * dimension, (True,) * dimension)
    positions = rng.uniform(-20, 20, (150, dimension))
    graph = within(positions, cutoff, box)
    pairs, vectors = brute_force(positions, cutoff, box)
    np.testing.assert_array_equal(graph.pairs, pairs)
    np.testing.assert_allclose(graph.vectors, vectors, atol=1e-12)


def test_within_of_clumps_far_apart_and_of_particles_in_one_place():
    rng = np.random.default_rng(12)
    positions = np.concatenate([rng.uniform(0, 3, (60, 2)), rng.uniform(0, 3, (60, 2)) + 1e7, np.full((20, 2), 1e3)])
    box = make_box((3e7, 3e7), (False, False), lower=(-1e7, -1e7))
    graph = within(positions, 0.7, box)
    np.testing.assert_array_equal(graph.pairs, brute_force(positions, 0.7, box)[0])
    assert len(graph.pairs) > 190 + 100


def test_within_includes_the_cutoff_itself_and_positions_on_the_faces():
    box = make_box((4.0, 4.0), (True, True))
    grid = np.stack(np.meshgrid(np.arange(4.0), np.arange(4.0)), axis=-1).reshape(-1, 2)
    grid[0] = [-1e-17, 4.0]
    graph = within(grid, 1.0, box)
    assert len(graph.pairs) == 32
    np.testing.assert_allclose(graph.distances, 1.0)


def test_within_refuses_what_it_cannot_answer():
    box = make_box((4.0, 4.0), (True, False))
    with pytest.raises(InputError, match="half of every periodic edge"):
        within(np.zeros((2, 2)), 2.1, box)
    with pytest.raises(InputError, match="finite"):
        within(np.full((2, 2), np.nan), 1.0, box)
    with pytest.raises(InputError, match="shape"):
        within(np.zeros((2, 3)), 1.0, box)
    assert len(within(np.zeros((0, 2)), 1.0, box).pairs) == 0


@pytest.mark.parametrize("n_particles", [6, 40, 1000])
def test_periodic_delaunay_equals_freud_voronoi(n_particles):
    rng = np.random.default_rng(n_particles)
    box = make_box((20.0, 30.0), (True, True), lower=(-10.0, -15.0))
    positions = rng.uniform(-0.5, 0.5, (n_particles, 2)) * box.lengths
    voronoi = freud.locality.Voronoi()
    voronoi.compute((freud.box.Box(Lx=20, Ly=30, is2D=True), np.c_[positions, np.zeros(n_particles)]))
    listed = np.asarray(voronoi.nlist[:])
    # freud stores single precision: edges of (almost) zero length may differ, so leave them out of the comparison.
    solid = voronoi.nlist.weights > 1e-3
    expected = {(int(i), int(j)) for i, j in listed[solid] if i < j}
    found = {tuple(pair) for pair in delaunay(positions, box).pairs.tolist()}
    assert expected <= found
    assert len(found - expected) <= (~solid).sum() / 2
    if n_particles == 1000:
        # Euler: 3 n edges on a torus.
        assert len(found) == 3 * n_particles


def test_periodic_delaunay_reaches_across_a_cell_that_is_mostly_empty():
    rng = np.random.default_rng(11)
    box = make_box((20.0, 20.0), (True, True), lower=(-10.0, -10.0))
    positions = rng.uniform(-1.0, 1.0, (200, 2))
    found = {tuple(pair) for pair in delaunay(positions, box).pairs.tolist()}
    shifts = np.stack(np.meshgrid(*[np.arange(-2, 3)] * 2), axis=-1).reshape(-1, 2)
    shifts = shifts[np.argsort(np.abs(shifts).sum(axis=1), kind="stable")]
    cells = Delaunay((positions + shifts[:, None, :] * 20.0).reshape(-1, 2)).simplices
    edges = np.concatenate([cells[:, [a, b]] for a, b in combinations(range(3), 2)])
    edges = np.sort(edges[(edges < 200).any(axis=1)] % 200, axis=1)
    assert found == {tuple(pair) for pair in edges[edges[:, 0] != edges[:, 1]].tolist()}


def test_periodic_delaunay_vectors_join_the_particles():
    rng = np.random.default_rng(3)
    box = make_box((9.0, 11.0), (True, False))
    positions = rng.uniform(0, 1, (200, 2)) * box.lengths
    graph = delaunay(positions, box)
    np.testing.assert_allclose(
        graph.vectors, box.displacement(positions[graph.pairs[:, 0]], positions[graph.pairs[:, 1]]), atol=1e-9
    )
    across = np.abs(positions[graph.pairs[:, 0], 0] - positions[graph.pairs[:, 1], 0]) > 4.5
    assert across.sum() > 10


def test_open_delaunay_of_a_lattice_has_six_neighbours_inside_and_no_long_hull_edge():
    rng = np.random.default_rng(4)
    column, row = np.meshgrid(np.arange(15), np.arange(14))
    lattice = np.stack([column + 0.5 * (row % 2), np.sqrt(0.75) * row], axis=-1).reshape(-1, 2)
    positions = lattice + rng.normal(0, 0.02, lattice.shape)
    box = make_box((16.0, 13.0), (False, False), lower=(-0.5, -0.5))
    graph = delaunay(positions, box)
    inside = (np.abs(lattice - [7.5, 5.6]) < [5.5, 4.0]).all(axis=1)
    count = np.bincount(graph.directed()[0], minlength=len(lattice))
    np.testing.assert_array_equal(count[inside], 6)
    assert graph.distances.max() < 2.5
    # The zigzag sides and the noisy straight sides do have long hull edges when they are not removed.
    assert delaunay(positions, box, longest=np.inf).distances.max() > 2.5


def test_delaunay_keeps_the_edges_across_an_inner_void():
    grid = np.stack(np.meshgrid(np.arange(13.0), np.arange(13.0)), axis=-1).reshape(-1, 2)
    grid += np.random.default_rng(5).normal(0, 0.05, grid.shape)
    hole = np.linalg.norm(grid - 6.0, axis=1) < 2.5
    graph = delaunay(grid[~hole], make_box((14.0, 14.0), (False, False), lower=(-1.0, -1.0)))
    assert graph.distances.max() > 3.5


def test_delaunay_in_three_dimensions_equals_all_images_and_contains_freud():
    rng = np.random.default_rng(6)
    box = make_box((8.0, 9.0, 10.0), (True, True, True), lower=(-4.0, -4.5, -5.0))
    positions = rng.uniform(-0.5, 0.5, (300, 3)) * box.lengths
    found = {tuple(pair) for pair in delaunay(positions, box).pairs.tolist()}
    # 125 images of everything: slow, without any choice of margin.
    shifts = np.stack(np.meshgrid(*[np.arange(-2, 3)] * 3), axis=-1).reshape(-1, 3)
    shifts = shifts[np.argsort(np.abs(shifts).sum(axis=1), kind="stable")]
    cells = Delaunay((positions + shifts[:, None, :] * box.lengths).reshape(-1, 3)).simplices
    edges = np.concatenate([cells[:, [a, b]] for a, b in combinations(range(4), 2)])
    edges = np.sort(edges[(edges < 300).any(axis=1)] % 300, axis=1)
    assert found == {tuple(pair) for pair in edges[edges[:, 0] != edges[:, 1]].tolist()}
    # freud leaves out facets of negligible area, so it finds a few pairs less.
    voronoi = freud.locality.Voronoi()
    voronoi.compute((freud.box.Box(8, 9, 10), positions))
    solid = voronoi.nlist.weights > 1e-4
    listed = {(int(i), int(j)) for i, j in np.asarray(voronoi.nlist[:])[solid] if i < j}
    assert listed <= found
    assert len(listed) > 0.99 * len(found)


def test_delaunay_refuses_collinear_particles():
    box = make_box((10.0, 10.0), (False, False))
    with pytest.raises(DataError, match="span no area"):
        delaunay(np.c_[np.arange(5.0), np.arange(5.0)], box)
    with pytest.raises(DataError, match="span no area"):
        delaunay(np.ones((2, 2)), box)
