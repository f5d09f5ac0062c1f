"""Rotation, strain and cage-relative displacement of detections: right frame, right rows, edges and gaps left out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from colloid_cg.events import EventConfig, event_fields
from colloid_cg.neighbors import within
from colloid_cg.observables import cage_relative_displacement
from colloid_cg.records import Box, Trajectories
from tests.events.movies import crystal


def sheared(step, *, n_frames=6):
    """A still crystal turned and sheared by the same map in every step."""
    tracks = crystal(1, noise=0.0, n_frames=n_frames)
    places = tracks.at(0)[["x", "y"]].to_numpy() - 100.0
    frames = []
    for t in range(n_frames):
        seen = places @ np.linalg.matrix_power(step, t).T + 100.0
        frames.append(pd.DataFrame({"frame": t, "particle": np.arange(len(seen)), "x": seen[:, 0], "y": seen[:, 1]}))
    return tracks.with_table(pd.concat(frames))


@pytest.mark.parametrize("lag", [1, 2])
def test_rotation_and_strain_of_a_movie_are_those_of_the_map(lag):
    turn = np.array([[np.cos(0.02), -np.sin(0.02)], [np.sin(0.02), np.cos(0.02)]])
    fields = event_fields(sheared(turn), EventConfig(lag=lag))
    inside = fields["rotation"].notna()
    assert inside.sum() > 500
    np.testing.assert_allclose(fields["rotation"][inside], 0.02 * lag, atol=1e-12)
    np.testing.assert_allclose(fields["shear_strain"][inside], 0.0, atol=1e-12)
    shear = event_fields(sheared(np.array([[1.0, 0.03], [0.0, 1.0]])), EventConfig(lag=lag))
    g = 0.03 * lag
    np.testing.assert_allclose(shear["shear_strain"].dropna(), 0.5 * g * np.sqrt(1 + g**2 / 4), rtol=1e-9)
    np.testing.assert_allclose(shear["volume_strain"].dropna(), 0.0, atol=1e-12)


@pytest.mark.parametrize("neighbors", ["cutoff", "delaunay"])
def test_known_exactly_where_d2min_is(neighbors):
    tracks = crystal(2, n_frames=8)
    rng = np.random.default_rng(0)
    holed = tracks.with_table(tracks.table[rng.uniform(size=len(tracks)) < 0.9])
    config = EventConfig(lag=3, neighbors=neighbors)
    fields, reference = event_fields(holed, config), event_fields(holed, config)
    known = reference["d2min"].notna()
    assert 0.1 < known.mean() < 0.9
    for name in ("rotation", "shear_strain", "volume_strain", "cage_x", "cage_y", "neighbors"):
        assert (fields[name].notna() == known).all()


def test_cage_relative_displacement_is_filed_at_the_middle_frame():
    tracks = crystal(3, n_frames=7)
    fields = event_fields(tracks, EventConfig(lag=3, cutoff=1.3))
    before, after = (tracks.positions[(tracks.table["frame"] == frame).to_numpy()] for frame in (2, 5))
    graph = within(before, 1.3, tracks.box)
    expected = cage_relative_displacement(before, after, graph)
    found = fields.loc[fields["frame"] == 4, ["cage_x", "cage_y"]].to_numpy()
    inside = np.isfinite(found[:, 0])
    assert inside.sum() > 250
    np.testing.assert_allclose(found[inside], expected[inside], rtol=1e-12)
    count = np.bincount(graph.pairs.ravel(), minlength=400)
    np.testing.assert_array_equal(fields.loc[fields["frame"] == 4, "neighbors"][inside], count[inside])


def test_periodic_cell_has_no_edge_and_wrapped_positions_do_not_matter():
    rng = np.random.default_rng(4)
    side, periodic = 16, Box(lower=(0.0, 0.0), upper=(160.0, 160.0), periodic=(True, True))
    grid = 10.0 * np.stack(np.meshgrid(np.arange(side), np.arange(side)), axis=-1).reshape(-1, 2)
    path = grid + np.cumsum(rng.normal(0, 1.5, (6, side**2, 2)), axis=0)
    ids = {"frame": np.repeat(np.arange(6), side**2), "particle": np.tile(np.arange(side**2), 6)}
    free, folded = (
        Trajectories(
            table=pd.DataFrame({**ids, "x": p[..., 0].ravel(), "y": p[..., 1].ravel()}),
            pixel_size=0.1,
            frame_interval=1.0,
            field_of_view=periodic,
            n_frames=6,
        )
        for p in (path, periodic.wrap(path))
    )
    fields = event_fields(free, EventConfig(lag=1))
    assert fields["rotation"][side**2 :].notna().all()
    pd.testing.assert_frame_equal(fields, event_fields(folded, EventConfig(lag=1)), atol=1e-9, check_exact=False)


def test_three_dimensions_have_a_rotation_vector():
    rng = np.random.default_rng(5)
    places = rng.uniform(0, 30, (600, 3))
    angle = 0.1
    turn = np.array([[np.cos(angle), -np.sin(angle), 0.0], [np.sin(angle), np.cos(angle), 0.0], [0.0, 0.0, 1.0]])
    seen = np.concatenate([places, (places - 15) @ turn.T + 15])
    table = pd.DataFrame(seen, columns=["x", "y", "z"]).assign(
        frame=np.repeat([0, 1], 600), particle=np.tile(np.arange(600), 2)
    )
    view = Box(lower=(0.0,) * 3, upper=(30.0,) * 3, periodic=(False,) * 3)
    tracks = Trajectories(table=table, pixel_size=0.1, frame_interval=1.0, field_of_view=view, n_frames=2)
    fields = event_fields(tracks, EventConfig(lag=1, edge_margin=0.0)).dropna(subset="d2min")
    assert len(fields) > 50
    np.testing.assert_allclose(fields[["rotation_x", "rotation_y"]], 0.0, atol=1e-12)
    np.testing.assert_allclose(fields["rotation_z"], angle, atol=1e-12)
    np.testing.assert_allclose(fields["shear_strain"], 0.0, atol=1e-12)
