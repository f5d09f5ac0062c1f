"""Separation: close pairs of particles are found, particles with two maxima are not doubled."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import KDTree

from colloid_cg.tracking import TrackConfig, locate, resolve, suggest
from colloid_cg.tracking.close_pairs import Pairs, choose_separation, close_pairs
from colloid_cg.tracking.filters import bandpass, centred
from tests.tracking.pictures import lattice, paint, stack_of

EDGE = 300
DIAMETER = 11


def pairs_at(rng: np.random.Generator, distance: float, *, every: int = 6) -> np.ndarray:
    """A lattice of spots, some of them with a second one at a distance."""
    places = lattice(rng, edge=EDGE, spacing=30.0)
    chosen = places[::every]
    angle = rng.uniform(0.0, 2.0 * np.pi, len(chosen))
    return np.concatenate([places, chosen + distance * np.column_stack([np.cos(angle), np.sin(angle)])])


@pytest.mark.parametrize("noise", [3.0, 12.0])
def test_rare_close_pairs_are_two_particles_each(noise: float) -> None:
    rng = np.random.default_rng(1)
    frames, truth = [], []
    for _ in range(4):
        truth.append(pairs_at(rng, 8.7, every=20))  # one particle in ten has such a neighbour
        frames.append(paint(truth[-1], edge=EDGE, width=1.9, amplitude=90.0, noise=noise, rng=rng))
    stack = stack_of(np.stack(frames))
    found = suggest(stack)
    assert found.separation < 8.7
    table = locate(stack, resolve(TrackConfig(), found), found.image_model, stop=1)
    assert len(table) == len(truth[0])
    assert KDTree(truth[0]).query(table[["x", "y"]])[0].max() < 12.0 * noise / 90.0


def test_a_particle_with_two_maxima_stays_one() -> None:
    # Discs with a flat, textured top: two humps eight px apart with hardly a dip between them, the same in each frame.
    rng = np.random.default_rng(2)
    places = lattice(rng, edge=EDGE, spacing=30.0)
    humps = places[::3]
    clean = paint(places, edge=EDGE, width=1.9, amplitude=90.0)
    for side in (-1.0, 0.0, 1.0):
        clean += paint(humps + np.array([3.9 * side, 0.0]), edge=EDGE, width=1.9, amplitude=75.0, background=0.0)
    stack = stack_of(np.stack([clean + rng.normal(0.0, 4.0, clean.shape) for _ in range(3)]))
    found = suggest(stack, TrackConfig(diameter=DIAMETER, invert=False))
    table = locate(stack, resolve(TrackConfig(diameter=DIAMETER), found), found.image_model, stop=1)
    assert len(table) == len(places)


def test_two_profiles_are_told_from_one_by_the_dip() -> None:
    rng = np.random.default_rng(3)
    points = pairs_at(rng, 8.0)
    frame = paint(points, edge=EDGE, width=2.0, amplitude=80.0, background=0.0)
    filtered = bandpass(centred(frame, level=0.0, invert=False), noise_size=1.0, smoothing=DIAMETER)
    judged = close_pairs(filtered, points, nearer=12.0)
    assert len(judged.distance) == len(points) - len(lattice(rng, edge=EDGE, spacing=30.0))
    assert judged.genuine.all()
    # The same detections on a picture in which a bridge fills the dip.
    bridge = np.sort(KDTree(points).query_pairs(12.0, output_type="ndarray"), axis=1)
    frame += paint(points[bridge].mean(axis=1), edge=EDGE, width=2.0, amplitude=65.0, background=0.0)
    filtered = bandpass(centred(frame, level=0.0, invert=False), noise_size=1.0, smoothing=DIAMETER)
    assert not close_pairs(filtered, points, nearer=12.0).genuine.any()


def test_the_separation_makes_the_fewest_mistakes() -> None:
    def chosen(genuine: list[float], doubled: list[float]) -> float:
        distance = np.array(genuine + doubled)
        judged = np.arange(len(distance)) < len(genuine)
        return choose_separation([Pairs(distance=distance, genuine=judged, nearest=nearest)], 11).value

    nearest = np.full(100, 12.5)
    assert chosen([], [8.0, 9.0]) == 12.0
    assert chosen([10.0] * 50, []) == 9.0  # a tenth less than the nearest
    assert chosen([10.0] * 50, [9.5] * 3) == pytest.approx(10.0)  # there are particles that could be doubled
    assert chosen([8.0] * 2 + [11.8] * 48, [11.5] * 5) == pytest.approx(11.8)  # two lost cost less than five doubled
    assert chosen([8.0] * 48, [11.5] * 2) == pytest.approx(8.0)
    # Many pairs that are none: what seems one may be a wall, unless many particles have so near a neighbour.
    assert chosen([8.0] * 9, [11.5] * 2) == 12.0
    nearest = np.full(100, 11.0)
    assert chosen([8.0] * 9, [11.5] * 2) == pytest.approx(10.0)
