from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import ConvexHull, Voronoi, cKDTree

from colloid_cg.records import Box
from colloid_cg.structure.cells import voronoi_cells

OPEN = Box(lower=(0.0, 0.0), upper=(20.0, 20.0), periodic=(False, False))
PERIODIC = Box(lower=(0.0, 0.0), upper=(20.0, 20.0), periodic=(True, True))


@pytest.fixture
def points() -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 20, size=(400, 2))


def test_periodic_cells_fill_the_box(points):
    cells = voronoi_cells(points, PERIODIC, clip=1.0)
    assert cells.area.sum() == pytest.approx(400.0, rel=1e-12)


@pytest.mark.parametrize(("count", "clip"), [(400, 1.0), (400, 0.05), (6, 1.0)])
def test_periodic_cells_are_those_among_all_images(points, count, clip):
    """Few particles or a short clip: a strip of images is not enough, and that must be seen."""
    own = points[:count]
    tiles = [own + 20.0 * np.array([a, b]) for a in (0, -1, 1, 2, -2) for b in (0, -1, 1, 2, -2)]
    wide = Box(lower=(-40.0, -40.0), upper=(60.0, 60.0), periodic=(False, False))
    among, cells = voronoi_cells(np.concatenate(tiles), wide, clip=clip), voronoi_cells(own, PERIODIC, clip=clip)
    np.testing.assert_allclose(cells.area, among.area[:count], rtol=1e-9)
    np.testing.assert_allclose(cells.psi6, among.psi6[:count], rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(cells.clipped, among.clipped[:count], rtol=1e-9)


def test_areas_equal_the_convex_hulls_of_scipys_voronoi_regions(points):
    areas = voronoi_cells(points, OPEN, clip=1.0).area
    diagram = Voronoi(points)
    inside = np.flatnonzero(np.isfinite(areas))
    assert len(inside) > 250
    expected = [ConvexHull(diagram.vertices[diagram.regions[diagram.point_region[i]]]).volume for i in inside]
    np.testing.assert_allclose(areas[inside], expected, rtol=1e-9)


def test_particles_beyond_the_edge_change_no_stated_cell(points):
    view = Box(lower=(5.0, 5.0), upper=(15.0, 15.0), periodic=(False, False))
    seen = ((points > 5) & (points < 15)).all(axis=1)
    cropped, whole = voronoi_cells(points[seen], view, clip=1.0), voronoi_cells(points, OPEN, clip=1.0)
    stated = np.isfinite(cropped.area)
    assert 20 < stated.sum() < seen.sum()
    np.testing.assert_allclose(cropped.area[stated], whole.area[seen][stated], rtol=1e-12)
    np.testing.assert_allclose(cropped.psi6[stated], whole.psi6[seen][stated], rtol=1e-12)
    # ... and cells that were not stated do differ: the rule is not merely cautious.
    wrong = np.abs(areas_blind_to_the_edge(points[seen])[~stated] / whole.area[seen][~stated] - 1) > 1e-6
    assert wrong.mean() > 0.5


def areas_blind_to_the_edge(points: np.ndarray) -> np.ndarray:
    diagram, areas = Voronoi(points), np.full(len(points), np.inf)
    for i, region in enumerate(diagram.point_region):
        corners = diagram.regions[region]
        if corners and -1 not in corners:
            areas[i] = ConvexHull(diagram.vertices[corners]).volume
    return areas


def test_clipped_area_equals_a_count_of_grid_points(points):
    clip = 0.9
    cells = voronoi_cells(points, OPEN, clip=clip)
    axis = (np.arange(-300, 300) + 0.5) / 300
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    grid = clip * grid[(grid**2).sum(axis=1) < 1]
    for i in (3, 50, 117):
        nearest = cKDTree(points).query(points[i] + grid)[1]
        assert cells.clipped[i] == pytest.approx((nearest == i).mean() * np.pi * clip**2, rel=2e-3)


def test_lone_particle_fills_its_disc_and_has_no_area():
    cells = voronoi_cells(np.array([[10.0, 10.0]]), OPEN, clip=2.0)
    assert cells.clipped[0] == pytest.approx(4 * np.pi, rel=1e-12)
    assert np.isnan(cells.area[0])


def test_hexagonal_lattice_has_its_area_and_perfect_order():
    i, j = np.meshgrid(np.arange(16), np.arange(18))
    lattice = np.stack([i + 0.5 * (j % 2), np.sqrt(3) / 2 * j], axis=-1).reshape(-1, 2)
    box = Box(lower=(0.0, 0.0), upper=(16.0, 9 * np.sqrt(3)), periodic=(True, True))
    cells = voronoi_cells(lattice, box, clip=2.0)
    np.testing.assert_allclose(cells.area, np.sqrt(3) / 2, rtol=1e-12)
    np.testing.assert_allclose(cells.clipped, np.sqrt(3) / 2, rtol=1e-12)
    np.testing.assert_allclose(cells.psi6, 1.0, rtol=1e-12)


def test_square_lattice_has_no_sixfold_order():
    lattice = np.stack(np.meshgrid(np.arange(10.0), np.arange(10.0)), axis=-1).reshape(-1, 2)
    cells = voronoi_cells(lattice, Box(lower=(0.0, 0.0), upper=(10.0, 10.0), periodic=(True, True)), clip=2.0)
    np.testing.assert_allclose(cells.area, 1.0, rtol=1e-12)
    np.testing.assert_allclose(cells.psi6, 0.0, atol=1e-12)


def test_coincident_particles_and_empty_frames_give_nan_not_a_crash(points):
    doubled = np.concatenate([points, points[:1]])
    cells = voronoi_cells(doubled, PERIODIC, clip=1.0)
    assert np.isnan(cells.clipped[[0, 400]]).sum() == 1
    assert len(voronoi_cells(np.empty((0, 2)), OPEN, clip=1.0).area) == 0


@pytest.mark.parametrize(("points", "area"), [([[5.0, 5.0]], 100.0), ([[2.5, 5.0], [7.5, 5.0]], 50.0)])
def test_a_particle_alone_in_a_periodic_cell_has_all_of_it(points: list[list[float]], area: float):
    box = Box(lower=(0.0, 0.0), upper=(10.0, 10.0), periodic=(True, True))
    np.testing.assert_allclose(voronoi_cells(np.array(points), box, clip=1.0).area, area)
