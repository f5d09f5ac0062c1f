"""g(r): one for the ideal gas at every distance, equal to freud in periodic cells, honest errors."""

from __future__ import annotations

import freud
import numpy as np
import pandas as pd
import pytest

from colloid_cg.errors import InputError
from colloid_cg.observables import rdf
from colloid_cg.observables.paircorrelation import expected_pairs
from colloid_cg.records import Box, Trajectories


def tracks_of(frames, box, pixel_size=0.5, species=None):
    table = pd.concat(
        pd.DataFrame(dict(zip("xyz", (points / pixel_size).T, strict=False))).assign(
            frame=t, particle=np.arange(len(points)), species=0 if species is None else species
        )
        for t, points in enumerate(frames)
    )
    return Trajectories(
        table=table,
        pixel_size=pixel_size,
        frame_interval=0.1,
        field_of_view=box.scaled(1 / pixel_size),
        n_frames=len(frames),
    )


@pytest.mark.parametrize("periodic", [(False, False), (True, False), (True, True), (False, True, False)])
def test_ideal_gas_is_one_at_every_distance(periodic):
    rng = np.random.default_rng(1)
    lengths = np.array([20.0, 12.0, 15.0][: len(periodic)])
    box = Box(lower=(0.0,) * len(lengths), upper=tuple(lengths), periodic=periodic)
    frames = [rng.uniform(0, lengths, (rng.poisson(200), len(lengths))) for _ in range(400)]
    r_max = float(np.min(np.where(periodic, 0.5, 1.0) * lengths))
    curve = rdf(tracks_of(frames, box), r_max=r_max, bins=24)
    score = (curve.value - 1) / curve.standard_error
    assert np.abs(score).max() < 4.0
    # The stated errors are those of the scatter, and small: a missing edge term would be tens of them.
    assert 0.6 < np.sqrt(np.mean(score**2)) < 1.6
    assert curve.standard_error[-1] < 0.01


def test_set_covariance_equals_monte_carlo():
    rng = np.random.default_rng(2)
    for periodic in ((False, False), (False, True), (False, False, False), (False, False, True)):
        d = len(periodic)
        box = Box(lower=(0.0,) * d, upper=(1.0, 2.0, 1.5)[:d], periodic=periodic)
        edges = np.array([0.0, 0.1, 0.4, 0.5, 0.74])
        points = rng.uniform(0, box.upper, (2, 1_000_000, d))
        # Distances of two points drawn in the window, not wrapped on open axes.
        distance = np.linalg.norm(box.displacement(points[0], points[1]), axis=1)
        fraction, _ = np.histogram(distance, edges)
        expected = expected_pairs(edges, box) / box.volume**2
        error = np.sqrt(expected * (1 - expected) / 1e6)
        assert np.abs((fraction / 1e6 - expected) / error).max() < 4.0


@pytest.mark.parametrize("dimension", [2, 3])
def test_equals_freud_in_a_periodic_cell(dimension):
    rng = np.random.default_rng(3)
    box = Box(lower=(-8.0,) * dimension, upper=(8.0,) * dimension, periodic=(True,) * dimension)
    # Clustered points, so that g differs much from one.
    centres = rng.uniform(-8, 8, (60, dimension))
    frames = [
        box.wrap(
            np.repeat(centres + rng.normal(0, 0.3, centres.shape), 4, axis=0) + rng.normal(0, 0.5, (240, dimension))
        )
        for _ in range(5)
    ]
    curve = rdf(tracks_of(frames, box), r_max=7.5, bins=40)
    peer = freud.density.RDF(bins=40, r_max=7.5, normalization_mode="finite_size")
    cell = freud.box.Box(Lx=16, Ly=16, Lz=0 if dimension == 2 else 16, is2D=dimension == 2)
    for points in frames:
        flat = np.c_[points, np.zeros((240, 3 - dimension))] if dimension == 2 else points
        peer.compute((cell, flat), reset=False)
    assert curve.value.max() > 1.5
    # freud works in single precision: a pair at a bin edge may fall on the other side.
    np.testing.assert_allclose(curve.value, peer.rdf, rtol=2e-2)
    assert np.abs(curve.value / peer.rdf - 1).mean() < 2e-3


def test_species_pairs_and_the_exact_count_of_a_known_pair():
    rng = np.random.default_rng(4)
    box = Box(lower=(0.0, 0.0), upper=(30.0, 30.0), periodic=(False, False))
    frames, species = [], np.r_[np.zeros(50, dtype=int), np.ones(50, dtype=int)]
    for _ in range(200):
        first = rng.uniform(1, 29, (50, 2))
        angle = rng.uniform(0, 2 * np.pi, 50)
        frames.append(np.r_[first, first + 0.95 * np.c_[np.cos(angle), np.sin(angle)]])
    tracks = tracks_of(frames, box, species=species)
    cross = rdf(tracks, r_max=10.0, bins=20, species_pair=(0, 1))
    same = rdf(tracks, r_max=10.0, bins=20, species_pair=(0, 0))
    # Bin 0.5-1.0: one partner among 50 each; expectation 50 * 50 shell/area per frame without correlation.
    shell = expected_pairs(np.array([0.5, 1.0]), box)[0] / 900**2
    excess = cross.value[1] - 50 / (2500 * shell)
    assert abs(excess - 1) < 0.3
    assert cross.value[1] > 5
    assert same.value[1] == pytest.approx(1.0, abs=5 * same.standard_error[1] + 0.1)
    np.testing.assert_array_equal(cross.count, rdf(tracks, r_max=10.0, bins=20, species_pair=(1, 0)).count)


def test_one_frame_has_no_error_and_a_long_range_is_refused():
    rng = np.random.default_rng(5)
    box = Box(lower=(0.0, 0.0), upper=(10.0, 8.0), periodic=(False, False))
    curve = rdf(tracks_of([rng.uniform(0, 8, (50, 2))], box))
    assert np.isnan(curve.standard_error).all()
    assert curve.x[-1] < 4.0
    with pytest.raises(InputError, match="at most 8 um"):
        rdf(tracks_of([rng.uniform(0, 8, (50, 2))], box), r_max=8.1)
