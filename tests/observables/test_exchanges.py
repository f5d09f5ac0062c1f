"""T1 exchanges against triangles of scipy, frame by frame, and against planted ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import Delaunay

from colloid_cg.errors import InputError
from colloid_cg.neighbors import delaunay
from colloid_cg.observables.exchanges import bond_code, bonds_of, ends_of, flips, lasting, t1_exchanges
from colloid_cg.records import Box, NeighborGraph

VIEW = Box(lower=(0.0, 0.0), upper=(20.0, 20.0), periodic=(False, False))


def frame(positions, ids=None, box=VIEW, **settings):
    ids = np.arange(len(positions)) if ids is None else ids
    return bonds_of(delaunay(positions, box), ids, box.edge_distance(positions), **settings)


def corners(positions):
    """Third corners of the triangles on each bond, from scipy's simplices."""
    found = {}
    for triangle in Delaunay(positions).simplices:
        for k in range(3):
            bond = tuple(sorted(int(c) for c in np.delete(triangle, k)))
            found.setdefault(bond, set()).add(int(triangle[k]))
    return found


def test_bonds_know_their_triangles_and_who_is_inside():
    positions = np.random.default_rng(0).uniform(0, 20, (300, 2))
    ids = np.sort(np.random.default_rng(1).choice(2**31 - 1, 300, replace=False))
    bonds = bonds_of(delaunay(positions, VIEW, longest=np.inf), ids, longest=np.inf)
    truth, hull = corners(positions), set(Delaunay(positions).convex_hull.ravel().tolist())
    assert len(truth) == len(bonds.code)
    for code, opposite in zip(bonds.code, bonds.opposite, strict=True):
        a, b = np.searchsorted(ids, [int(e) for e in ends_of(code)])
        assert {int(ids[c]) for c in truth[int(a), int(b)]} == {int(c) for c in opposite} - {-1}
    assert set(np.flatnonzero(~bonds.sound).tolist()) == hull
    np.testing.assert_array_equal(bonds.degree, np.bincount(np.array(list(truth)).ravel()))


def test_flips_equal_those_of_the_triangles():
    rng = np.random.default_rng(2)
    positions = rng.uniform(0, 20, (400, 2))
    n_found = 0
    for _ in range(10):
        moved = positions + rng.normal(0, 0.08, positions.shape)
        first, second = (frame(p, longest=np.inf) for p in (positions, moved))
        before, after = corners(positions), corners(moved)
        sound = first.sound & second.sound
        expected = set()
        for bond, across in before.items():
            new = tuple(sorted(across))
            if bond not in after and new in after and new not in before and after[new] == set(bond):
                quad = (*bond, *new)
                if sound[list(quad)].all():
                    expected.add(quad)
        found = flips(first, second)
        assert {tuple(int(i) for i in quad) for quad in found} == expected
        assert len(found) == len(expected)
        n_found += len(found)
        positions = moved
    assert n_found > 100


def rhombus(angle):
    """A hexagonal crystal with one rhombus in its middle whose diagonals are exchanged by a sliding ``angle``."""
    column, row = np.meshgrid(np.arange(14), np.arange(16))
    places = np.stack([column + 0.5 * (row % 2) + 2.5, np.sqrt(0.75) * row + 3.5], axis=-1).reshape(-1, 2)
    i, j = 8 * 14 + 6, 8 * 14 + 7
    k, m = 7 * 14 + 6, 9 * 14 + 6
    places = places + np.random.default_rng(3).normal(0, 0.02, places.shape)
    for a, b, sign in ((i, j, 1.0), (k, m, -1.0)):
        middle = 0.5 * (places[a] + places[b])
        places[[a, b]] = middle + (places[[a, b]] - middle) * (1.0 + sign * angle)
    return places, tuple(sorted((i, j))) + tuple(sorted((k, m)))


def movie(states, seed=4):
    rng = np.random.default_rng(seed)
    return [rhombus(0.45 if state else 0.0)[0] + rng.normal(0, 0.02, (224, 2)) for state in states]


def found_in(positions, **settings):
    return [
        (t, tuple(int(i) for i in quad))
        for t, quads in t1_exchanges(map(frame, positions), **settings)
        for quad in quads
    ]


def test_a_planted_exchange_is_found_in_its_frame_and_a_flash_is_not():
    quad = rhombus(0.0)[1]
    assert found_in(movie([0] * 8 + [1] * 8), persistence=4) == [(8, quad)]
    assert found_in(movie([0] * 8 + [1] * 3 + [0] * 8), persistence=4) == []
    # One frame of the old state between the new ones: lasting for two thirds of the frames, not for all.
    late = movie([0] * 8 + [1, 1, 1, 0, 1, 1, 1, 1])
    assert found_in(late, persistence=6) == []
    assert found_in(late, persistence=6, share=0.8) == [(8, quad)]
    back = found_in(movie([0] * 6 + [1] * 6 + [0] * 6), persistence=5)
    assert back == [(6, quad), (12, (*quad[2:], *quad[:2]))]


def test_frames_without_one_of_the_four_do_not_count():
    quad = rhombus(0.0)[1]
    positions = movie([0] * 6 + [1] * 6)
    frames = [frame(p) for p in positions]
    for t in (3, 8):
        kept = np.delete(np.arange(224), quad[1])
        frames[t] = frame(positions[t][kept], kept)
    assert [(t, len(q)) for t, q in t1_exchanges(frames, persistence=5) if len(q)] == [(6, 1)]
    # Missing at the flip itself: nobody can tell.
    kept = np.delete(np.arange(224), quad[2])
    frames[6] = frame(positions[6][kept], kept)
    assert [t for t, q in t1_exchanges(frames, persistence=5) if len(q)] == []


def test_lasting_counts_shares_of_the_frames_in_which_all_four_are_seen():
    quad = np.array([rhombus(0.0)[1]])
    old, new = (frame(rhombus(angle)[0]) for angle in (0.0, 0.45))
    kept = np.delete(np.arange(224), quad[0, 0])
    blind = frame(rhombus(0.0)[0][kept], kept)
    assert lasting(quad, [old, blind, old], [new, new, new], share=1.0)
    assert not lasting(quad, [blind], [new, new, new], share=1.0)
    assert not lasting(quad, [old, old, old], [new, old, new], share=0.8)
    assert lasting(quad, [old, old, old], [new, old, new], share=0.6)
    assert not lasting(quad, [new, old, old], [new, new, new], share=0.8)
    # Both bonds at once are neither the old state nor the new one.
    both = replace(new, code=np.sort(np.append(new.code, bond_code(*quad[0, :2]))))
    assert not lasting(quad, [old, old, old], [both, both, both], share=0.6)
    assert not lasting(quad, [both, both, both], [new, new, new], share=0.6)


def test_the_edge_of_the_view_and_voids_give_no_exchange():
    quad = rhombus(0.0)[1]
    positions = movie([0] * 5 + [1] * 5)
    centre = positions[0][list(quad)].mean(axis=0)
    # The same frames with a view that ends just beside the quad.
    narrow = Box(lower=(0.0, 0.0), upper=(float(centre[0] + 1.2), 20.0), periodic=(False, False))
    seen = [p[:, 0] < narrow.upper[0] for p in positions]
    frames = [frame(p[s], np.flatnonzero(s), narrow) for p, s in zip(positions, seen, strict=True)]
    assert [q for _, q in t1_exchanges(frames, persistence=4) if len(q)] == []
    assert found_in(positions, persistence=4) == [(5, quad)]
    # Both diagonals are about one bond long: with less allowed, neither can flip.
    assert not len(flips(frame(positions[4], longest=0.9), frame(positions[5], longest=0.9)))


def test_periodic_cell_finds_the_exchange_across_its_face():
    rng = np.random.default_rng(5)
    side = 12
    box = Box(lower=(0.0, 0.0), upper=(float(side), side * np.sqrt(0.75)), periodic=(True, True))
    column, row = np.meshgrid(np.arange(side), np.arange(side))
    places = np.stack([column + 0.5 * (row % 2), np.sqrt(0.75) * row], axis=-1).reshape(-1, 2)
    moved = places.copy()
    i, j, k, m = 0, side - 1, side * (side - 1) + side - 1, side + side - 1
    moved[i, 0], moved[j, 0] = 0.25, side - 1.25
    moved[k, 1] += 0.25
    moved[m, 1] -= 0.25
    frames = [
        bonds_of(delaunay(box.wrap(p + rng.normal(0, 0.01, p.shape)), box), np.arange(side**2))
        for p in [places] * 4 + [moved] * 4
    ]
    assert all(bonds.sound.all() for bonds in frames)
    found = [(t, q.tolist()) for t, q in t1_exchanges(frames, persistence=3) if len(q)]
    assert found == [(4, [[0, side - 1, *sorted((k, m))]])]


def test_what_has_no_meaning_is_refused():
    rng = np.random.default_rng(6)
    box = Box(lower=(0.0,) * 3, upper=(9.0,) * 3, periodic=(False,) * 3)
    with pytest.raises(InputError, match="in the plane"):
        bonds_of(delaunay(rng.uniform(0, 9, (50, 3)), box), np.arange(50))
    with pytest.raises(InputError, match="ascending"):
        frame(rng.uniform(0, 20, (50, 2)), np.arange(50)[::-1])
    with pytest.raises(InputError, match="share"):
        list(t1_exchanges([], share=0.5))
    empty = NeighborGraph(pairs=np.empty((0, 2), int), vectors=np.empty((0, 2)), n_particles=0)
    nothing = bonds_of(empty, np.empty(0, int))
    assert len(flips(nothing, frame(rng.uniform(0, 20, (50, 2))))) == 0
    assert len(flips(frame(rng.uniform(0, 20, (50, 2))), nothing)) == 0
    np.testing.assert_array_equal(
        np.stack(ends_of(bond_code(np.array([5, 2]), np.array([3, 2**31 - 1])))).T, [[3, 5], [2, 2**31 - 1]]
    )
