"""p_hop, bond order and Voronoi areas against closed forms and freud."""

from __future__ import annotations

import freud
import numpy as np
import pytest

from colloid_cg.errors import DataError, InputError
from colloid_cg.neighbors import delaunay, within
from colloid_cg.observables import bond_order, p_hop, p_hop_noise_floor, p_hop_of_rows, voronoi
from colloid_cg.records import Box


def test_p_hop_of_a_clean_jump_is_its_square():
    positions = np.zeros((20, 3, 2)) + 1e4
    positions[10:, 1] += [3.0, 4.0]
    value = p_hop(positions, half_window=4)
    assert value[10, 1] == pytest.approx(25.0)
    assert np.nanargmax(value[:, 1]) == 10
    np.testing.assert_array_equal(value[4:17, [0, 2]], 0.0)
    assert np.isnan(value[:4]).all()
    assert np.isnan(value[17:]).all()


def test_p_hop_equals_its_definition():
    rng = np.random.default_rng(1)
    positions = rng.normal(size=(30, 5, 2)).cumsum(axis=0) + 100
    h = 3
    value = p_hop(positions, half_window=h)
    for t in (3, 12, 27):
        a, b = positions[t - h : t], positions[t : t + h]
        left = ((a - b.mean(axis=0)) ** 2).sum(axis=-1).mean(axis=0)
        right = ((b - a.mean(axis=0)) ** 2).sum(axis=-1).mean(axis=0)
        np.testing.assert_allclose(value[t], np.sqrt(left * right), rtol=1e-10)


def test_p_hop_needs_every_detection_of_the_window():
    rng = np.random.default_rng(2)
    positions = rng.normal(size=(20, 2, 2))
    positions[9, 0] = np.nan
    value = p_hop(positions, half_window=3)
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(value[3:18, 0])) + 3, np.arange(7, 13))
    assert np.isfinite(value[3:18, 1]).all()
    # The same as a shuffled table with the row missing.
    frame, particle = (index.ravel() for index in np.meshgrid(np.arange(20), np.arange(2), indexing="ij"))
    rows = rng.permutation(np.flatnonzero(~np.isnan(positions.reshape(-1, 2)[:, 0])))
    table = p_hop_of_rows(positions.reshape(-1, 2)[rows], frame[rows], particle[rows], half_window=3)
    np.testing.assert_array_equal(table, value[frame[rows], particle[rows]])


def in_long_double(track, h):
    """p_hop of one track from its definition in extended precision, at every t with both windows complete."""
    track = track.astype(np.longdouble)
    windows = np.lib.stride_tricks.sliding_window_view(track, 2 * h, axis=0).swapaxes(1, 2)
    a, b = windows[:, :h], windows[:, h:]
    left = ((a - b.mean(axis=1, keepdims=True)) ** 2).sum(axis=2).mean(axis=1)
    right = ((b - a.mean(axis=1, keepdims=True)) ** 2).sum(axis=2).mean(axis=1)
    return np.sqrt(left * right).astype(float)


@pytest.mark.parametrize("h", [1, 3, 40, 150])
@pytest.mark.parametrize("kind", ["caged", "diffusing", "flowing", "leaping", "flights"])
def test_p_hop_keeps_its_digits_along_long_tracks(h, kind):
    """Running sums must not drift, nor lose digits where a particle goes far from where they started."""
    rng = np.random.default_rng(h)
    n = 20_000
    still = rng.normal(0, 0.1, (n, 3)) + np.array([1000.0, -500.0, 20.0])
    track = {
        "caged": still,
        "diffusing": rng.normal(size=(n, 3)).cumsum(axis=0) + 500.0,
        "flowing": still + np.arange(n)[:, None] * [3.0, -1.0, 0.01],
        "leaping": still + 1e4 * (rng.random((n, 3)) < 0.002).cumsum(axis=0),
        "flights": rng.standard_cauchy((n, 3)).cumsum(axis=0),
    }[kind]
    value = p_hop(track[:, None], half_window=h)[:, 0]
    np.testing.assert_allclose(value[h : n - h + 1], in_long_double(track, h), rtol=1e-10)
    assert np.isnan(value[:h]).all()
    assert np.isnan(value[n - h + 1 :]).all()


def test_p_hop_of_many_particles_at_once_and_of_single_axes():
    rng = np.random.default_rng(8)
    positions = rng.normal(size=(3000, 60, 2)).cumsum(axis=0)
    value = p_hop(positions, half_window=4)
    for particle in (0, 21, 22, 59):
        np.testing.assert_allclose(value[4:-3, particle], in_long_double(positions[:, particle], 4), rtol=1e-10)
    line = p_hop(positions[:, :3, :1], half_window=4)
    np.testing.assert_allclose(line[4:-3, 1], in_long_double(positions[:, 1, :1], 4), rtol=1e-10)
    short = p_hop(positions[:5], half_window=4)
    assert short.shape == (5, 60)
    assert np.isnan(short).all()
    assert p_hop(positions[:, :0], half_window=4).shape == (3000, 0)
    assert p_hop_of_rows(np.empty((0, 2)), np.empty(0, int), np.empty(0, int), half_window=2).shape == (0,)


def test_p_hop_of_rows_does_not_depend_on_the_order_or_the_names():
    rng = np.random.default_rng(9)
    frame, particle = (index.ravel() for index in np.meshgrid(np.arange(40), np.arange(30), indexing="ij"))
    kept = rng.random(1200) > 0.05
    frame, particle = frame[kept], particle[kept]
    places = rng.normal(size=(kept.sum(), 2))
    value = p_hop_of_rows(places, frame, particle, half_window=2)
    assert 0.3 < np.isfinite(value).mean() < 0.95
    for names in (particle * 10**9, -particle):
        order = rng.permutation(len(frame))
        np.testing.assert_array_equal(
            p_hop_of_rows(places[order], frame[order], names[order], half_window=2), value[order]
        )


def test_p_hop_noise_floor():
    rng = np.random.default_rng(3)
    h, sigma = 5, 0.2
    positions = rng.normal(0, sigma, (10, 200_000, 2))
    a, b = positions[:h], positions[h:]
    factor = ((a - b.mean(axis=0)) ** 2).sum(axis=-1).mean()
    assert factor == pytest.approx(p_hop_noise_floor(sigma, h), rel=0.01)
    level = p_hop(positions, half_window=h)[h].mean()
    assert 0.85 < level / p_hop_noise_floor(sigma, h) < 1.0
    with pytest.raises(InputError, match="half window"):
        p_hop(positions[:, :1], half_window=0)


def test_bond_order_of_lattices_and_freud():
    column, row = np.meshgrid(np.arange(10), np.arange(10))
    box = Box(lower=(0.0, 0.0), upper=(10.0, 10 * np.sqrt(0.75)), periodic=(True, True))
    hexagonal = np.stack([column + 0.5 * (row % 2), np.sqrt(0.75) * row], axis=-1).reshape(-1, 2)
    graph = within(hexagonal, 1.1, box)
    np.testing.assert_allclose(np.abs(bond_order(hexagonal, graph, 6)), 1.0, atol=1e-12)
    np.testing.assert_allclose(np.abs(bond_order(hexagonal, graph, 5)), 0.0, atol=1e-12)
    rng = np.random.default_rng(4)
    box = Box(lower=(-5.0, -5.0), upper=(5.0, 5.0), periodic=(True, True))
    points = rng.uniform(-5, 5, (300, 2))
    graph = within(points, 1.0, box)
    peer = freud.order.Hexatic(k=6)
    peer.compute(
        (freud.box.Box.square(10), np.c_[points, np.zeros(300)]),
        neighbors={"r_max": 1.0, "exclude_ii": True},
    )
    np.testing.assert_allclose(bond_order(points, graph, 6), peer.particle_order, atol=1e-4)
    lonely = bond_order(np.array([[0.0, 0.0], [4.0, 4.0]]), within(np.array([[0.0, 0.0], [4.0, 4.0]]), 0.5, box), 6)
    assert np.isnan(lonely).all()


def test_voronoi_areas_fill_a_periodic_cell_and_equal_freud():
    rng = np.random.default_rng(5)
    for n_particles in (3, 12, 500):
        box = Box(lower=(-10.0, -7.0), upper=(10.0, 7.0), periodic=(True, True))
        points = rng.uniform(-0.5, 0.5, (n_particles, 2)) * box.lengths
        area = voronoi(points, box)
        assert area.sum() == pytest.approx(280.0, rel=1e-9)
        peer = freud.locality.Voronoi()
        peer.compute((freud.box.Box(Lx=20, Ly=14, is2D=True), np.c_[points, np.zeros(n_particles)]))
        np.testing.assert_allclose(area, peer.volumes, rtol=1e-3)


def test_voronoi_cells_open_at_the_edge_are_nan_and_inner_ones_are_right():
    rng = np.random.default_rng(6)
    periodic = Box(lower=(0.0, 0.0), upper=(20.0, 20.0), periodic=(True, True))
    points = rng.uniform(0, 20, (400, 2))
    whole = voronoi(points, periodic)
    for flags in ((False, False), (True, False)):
        area = voronoi(points, Box(lower=(0.0, 0.0), upper=(20.0, 20.0), periodic=flags))
        closed = np.isfinite(area)
        assert 0.6 < closed.mean() < 0.97
        # Well inside, the cell does not depend on what is beyond the edge.
        inside = (np.abs(points - 10)[:, ~np.asarray(flags)] < 7).all(axis=1)
        assert closed[inside].all()
        np.testing.assert_allclose(area[inside], whole[inside], rtol=1e-9)
    with pytest.raises(DataError, match="no area"):
        voronoi(np.array([[1.0, 1.0], [2.0, 2.0]]), Box(lower=(0.0, 0.0), upper=(3.0, 3.0), periodic=(False, False)))


def test_number_of_delaunay_neighbours_is_the_number_of_voronoi_sides():
    rng = np.random.default_rng(7)
    box = Box(lower=(0.0, 0.0), upper=(20.0, 20.0), periodic=(True, True))
    graph = delaunay(rng.uniform(0, 20, (300, 2)), box)
    assert np.bincount(graph.directed()[0]).mean() == 6.0
