"""Tables count frames of the movie: blocks that begin later, thinned ones, particles with gaps, axes of the grid."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from colloid_cg.errors import DataError
from colloid_cg.learn import FieldTables, FitConfig, fit
from colloid_cg.learn.field_tables import grid_flow
from colloid_cg.learn.fields import Fields, Strengths, fields_of
from colloid_cg.learn.prescribed import inserted, parted
from colloid_cg.learn.series import every_nth_frame, frame_of_rows
from colloid_cg.records import StateSeries, Trajectories
from colloid_cg.states import from_trajectories
from tests.learn.field_worlds import DT, stabilised, wells
from tests.learn.worlds import tracks


def _later(first: int = 30, frames: int = 8) -> Trajectories:
    """Three particles at (3, 4), (6, 5) and (9, 2) um that move by 0.01 um a frame along y, cut at ``first``."""
    start = np.array([[3.0, 4.0], [6.0, 5.0], [9.0, 2.0]])
    path = start + 0.01 * np.arange(first + frames)[:, None, None] * [0, 1]
    return tracks(path, side=12.0, dt=DT).between(first, first + frames)


def _flow(frames: int = 60) -> pd.DataFrame:
    """u_x = 10 + t + 2 x, u_y = 100 y (x, y in um, t in frames) on nodes given in px, in no particular order."""
    rows = [
        (t, 10.0 * x, 10.0 * y, 10.0 + t + 2.0 * x, 100.0 * y)
        for t in range(frames)
        for y in (0.0, 6.0, 12.0)
        for x in (0.0, 4.0, 8.0, 12.0)
    ]
    table = pd.DataFrame(rows, columns=["frame", "x", "y", "u_x", "u_y"])
    return table.sample(frac=1.0, random_state=0)


def _fields(series: StateSeries, **changes: object) -> Fields:
    settings = {"traps": None, "quartic": False, "flow": None, "n_species": 1, "exact": True}
    return fields_of(series, pixel_size=0.1, frame_interval=DT, **(settings | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_flow_of_a_later_and_thinned_block(stride: int) -> None:
    series = every_nth_frame(from_trajectories(_later()), stride)
    fields = _fields(series, flow=grid_flow(_flow(), pixel_size=0.1))
    x, y = series.positions.T
    frame = 30 + stride * frame_of_rows(series)
    np.testing.assert_allclose(fields.velocity[:, 0], 10.0 + frame + (stride - 1) / 2 + 2.0 * x)  # mean over the step
    np.testing.assert_allclose(fields.velocity[:, 1], 100.0 * y)
    np.testing.assert_allclose(fields.gradient, np.tile([[2.0, 0.0], [0.0, 100.0]], (len(x), 1, 1)), atol=1e-9)


BEADS = pd.DataFrame(
    [(t, bead, 10.0 + t, 50.0 + bead - 2.0 * t, kind) for t in range(60) for bead, kind in ((4, 7), (2, 3))],
    columns=["frame", "particle", "x", "y", "species"],
)


@pytest.mark.parametrize("stride", [1, 3])
def test_prescribed_particles_of_a_later_and_thinned_block(stride: int) -> None:
    series = every_nth_frame(from_trajectories(_later(frames=9)), stride)
    both = inserted(series, BEADS, n_species=1, pixel_size=0.1, frame_interval=DT)
    assert np.diff(both.offsets).tolist() == [5] * series.n_frames
    frame = 30 + stride * frame_of_rows(both)
    for bead, species in ((4, 2), (2, 1)):  # 3 comes before 7
        rows = np.flatnonzero(both.particle == -1 - bead)
        np.testing.assert_allclose(both.positions[rows, 0], 0.1 * (10.0 + frame[rows]))
        assert set(both.species[rows]) == {species}
        assert (both.following[rows[:-1]] == rows[1:]).all()
        assert both.following[rows[-1]] == -1
        assert (both.edge_distance[rows] < 0).all()
    for particle in np.unique(series.particle):  # those that were tracked keep places and links
        rows, before = np.flatnonzero(both.particle == particle), np.flatnonzero(series.particle == particle)
        np.testing.assert_allclose(both.positions[rows], series.positions[before])
        assert (both.previous[rows[1:]] == rows[:-1]).all()
    fields = _fields(both, flow=grid_flow(_flow(), pixel_size=0.1))
    driven = both.species > 0
    np.testing.assert_allclose(fields.velocity[driven], np.tile([10.0, -20.0], (driven.sum(), 1)))  # the last row too
    assert not fields.gradient[driven].any()
    assert (fields.mobile == ~driven).all()
    assert (fields.noisy == ~driven).all()
    assert _fields(both, exact=False).noisy.all()
    moved = fields.external(both, Strengths(flow=np.ones((1, 1, 2)))).velocity - fields.velocity
    np.testing.assert_allclose(moved, np.repeat(~driven[:, None], 2, axis=1))


def test_tracked_prescribed_particles_have_their_gaps_filled() -> None:
    whole = _later()
    table = whole.table
    gap = (table["particle"] == 1) & table["frame"].isin([33, 34])
    rest, path = parted(whole.with_table(table[~gap]), (1,))
    assert set(rest.table["particle"]) == {0, 2}
    assert path["frame"].tolist() == list(range(30, 38))
    np.testing.assert_allclose(path["y"], 50.0 + 0.1 * np.arange(30, 38))
    late = (table["particle"] == 1) & (table["frame"] == 30)
    with pytest.raises(DataError, match=r"particle 1 .* not in all of frames 30 to 37"):
        parted(whole.with_table(table[~late]), (1,))


def test_wells_go_by_particle_or_by_the_nearest_centre() -> None:
    series = from_trajectories(_later())
    centres = pd.DataFrame({"x": [91.0, 29.0, 61.0], "y": [21.0, 43.0, 52.0]})
    nearest = _fields(series, traps=centres)
    assert [set(nearest.trap[series.particle == p]) for p in (0, 1, 2)] == [{1}, {2}, {0}]
    np.testing.assert_allclose(nearest.centre[series.particle == 0], np.tile([2.9, 4.3], (8, 1)))
    named = _fields(series, traps=centres.assign(particle=[0, 5, 2]))
    assert [set(named.trap[series.particle == p]) for p in (0, 1, 2)] == [{0}, {-1}, {2}]
    assert (nearest.columns, _fields(series, traps=centres, quartic=True).columns) == (1, 2)
    both = inserted(series, BEADS, n_species=1, pixel_size=0.1, frame_interval=DT)
    held = _fields(both, traps=centres)
    assert (held.trap[both.species > 0] == -1).all()  # what is prescribed sits in no well
    assert (held.trap[both.species == 0] >= 0).all()


def test_strengths_in_one_vector() -> None:
    flow = np.arange(8.0).reshape(2, 2, 2)
    strengths = Strengths(stiffness=3.0, quartic=5.0, flow=flow)
    vector = strengths.vector(2)
    assert vector.tolist() == [3.0, 5.0, 0.0, 2.0, 4.0, 6.0, 1.0, 3.0, 5.0, 7.0]
    twice = strengths.moved(vector, 2)
    assert (twice.stiffness, twice.quartic) == (6.0, 10.0)
    np.testing.assert_allclose(twice.flow, 2.0 * flow)
    half = strengths.scaled(0.5)
    assert (half.stiffness, half.quartic) == (1.5, 2.5)
    np.testing.assert_allclose(half.flow, flow)  # the flow is no force


def test_tables_mean_places_in_the_video_whatever_drift_was_removed() -> None:
    whole, centres = wells(3, n=25, frames=120, k=10.0, ratio=0.1)
    config, tables = FitConfig(traps="t.csv", knots=(0,), stride=1), FieldTables(traps=centres)
    seen, moved = (
        fit(tracks.between(0, 100), tracks.between(100, 120), config, rng=1, fields=tables)
        for tracks in (whole, stabilised(whole, 6.0))
    )
    for name in ("diffusion_coefficient", "localisation_variance", "trap_stiffness"):
        for one, other in zip(seen.metrics[name], moved.metrics[name], strict=True):
            for key in ("value", "low90", "high90"):
                assert one[key] == pytest.approx(other[key], rel=1e-6)


def test_drift_that_was_removed_is_put_back_once() -> None:
    whole, _ = wells(4, n=9, frames=40, k=10.0, ratio=0.0)
    back = stabilised(whole, 5.0).as_seen()
    np.testing.assert_allclose(back.table[["x", "y"]], whole.table[["x", "y"]], atol=1e-9)
    assert back.as_seen() is back
    assert not back.metadata["drift"]["removed"]
    np.testing.assert_allclose(back.camera_positions, whole.positions, atol=1e-9)
