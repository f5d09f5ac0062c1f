"""What the page shows of events: the right pixels under the right arrows, and numbers with what they mean."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from colloid_cg.events import before_events, event_exposure, rate_over_time
from colloid_cg.records import Box, EventTable, FrameStack, Trajectories
from colloid_cg.reporting.checks.comparison import flag_check
from colloid_cg.reporting.event_evidence import EventEvidence, event_views, frames_to_show, strongest, surveyed
from colloid_cg.reporting.figures.event_gallery import exaggeration
from colloid_cg.reporting.sections.event_pictures import event_pictures
from colloid_cg.reporting.sections.findings import events_section
from tests.events.tables import event_table
from tests.reporting.synthetic import FRAMES

PIXEL, SIDE, SPACING, N_FRAMES = 0.1, 12, 10.0, 12
HOP, HOPPER = np.array([3.0, -2.0]), 65
STRAIN = np.array([[0.004, 0.01], [-0.01, 0.0]])


def hopping(drift: float = 0.7) -> Trajectories:
    """A grid that is sheared and turned a little with time while the stage drifts; one particle hops in frame 6."""
    grid = SPACING * (1.5 + np.arange(SIDE))
    sites = np.column_stack([part.ravel() for part in np.meshgrid(grid, grid)])
    tables = []
    for frame in range(N_FRAMES):
        places = sites + 0.1 * frame * (sites - sites.mean(axis=0)) @ STRAIN.T
        places[HOPPER] += HOP if frame >= 6 else 0.0
        tables.append(pd.DataFrame({"particle": np.arange(len(sites)), "x": places[:, 0], "y": places[:, 1]}))
    table = pd.concat([part.assign(frame=frame) for frame, part in enumerate(tables)])
    moved = (drift * np.arange(N_FRAMES)).tolist()
    motion = {"removed": True, "frame": list(range(N_FRAMES)), "dx": moved, "dy": [-0.5 * value for value in moved]}
    return Trajectories(
        table=table, pixel_size=PIXEL, frame_interval=0.5, n_frames=N_FRAMES, metadata={"drift": motion},
        field_of_view=Box(lower=(0.0, 0.0), upper=(150.0, 140.0), periodic=(False, False)),
    )  # fmt: skip


def hop_event(tracks: Trajectories, particle: int = HOPPER, **more: object) -> EventTable:
    ((x, y),) = tracks.at(6).loc[lambda rows: rows["particle"] == particle, ["x", "y"]].to_numpy()
    return event_table(np.array([6]), [x], [y], particles=[[particle]], **more)


class Points:
    """Frames in which the pixel that a particle is seen in holds its number, and a list of those that were read."""

    def __init__(self, tracks: Trajectories) -> None:
        self.seen, self.asked = tracks.as_seen(), []

    def read(self, index: int) -> np.ndarray:
        self.asked.append(index)
        frame, rows = np.zeros((140, 150), dtype=np.uint16), self.seen.at(index)
        column, row = rows[["x", "y"]].round().astype(int).to_numpy().T
        frame[row, column] = rows["particle"] + 1
        return frame


def film(points: Points) -> FrameStack:
    return FrameStack(reader=points, n_frames=N_FRAMES, height=140, width=150, dtype=np.dtype(np.uint16))


@pytest.mark.parametrize("particle", [HOPPER, 0, SIDE**2 - 1])
def test_pixels_and_places_of_the_gallery_agree_though_the_stage_drifts(particle):
    tracks = hopping()
    points = Points(tracks)
    (view,) = event_views(hop_event(tracks, particle), tracks, film(points))
    assert [moment.frame for moment in view.moments] == [5, 6, 7] == points.asked
    for moment in view.moments:
        row, column = np.nonzero(moment.picture)
        where = np.array(moment.corner) + (np.column_stack([column, row]) + 0.5) * PIXEL
        shown = pd.DataFrame(where, index=moment.picture[row, column].astype(int) - 1, columns=["x", "y"])
        places = moment.places.set_index("particle")
        assert particle in shown.index
        assert len(shown) >= 12
        assert np.abs(shown - places.loc[shown.index]).to_numpy().max() <= 0.5 * PIXEL + 1e-9


def test_arrows_are_the_displacements_that_no_affine_map_explains():
    tracks = hopping()
    (view,) = event_views(hop_event(tracks), tracks)
    arrows = view.arrows.set_index("particle")
    np.testing.assert_allclose(arrows.loc[HOPPER, ["dx", "dy"]].astype(float), HOP * PIXEL, atol=0.02 * PIXEL)
    others = arrows.drop(index=HOPPER)
    assert len(others) > 30
    assert np.abs(others[["dx", "dy"]].to_numpy()).max() < 1e-9
    # one bystander that was linked wrongly does not tilt the others
    table = tracks.table.copy()
    table.loc[(table["frame"] == 7) & (table["particle"] == HOPPER + 1), "x"] += 5.0
    wrong = tracks.with_table(table)
    arrows = event_views(hop_event(tracks), wrong)[0].arrows.set_index("particle").drop(index=[HOPPER, HOPPER + 1])
    assert np.abs(arrows[["dx", "dy"]].to_numpy()).max() < 1e-9


def test_the_gallery_crosses_periodic_faces():
    tracks = hopping(drift=0.0)
    view = Box(lower=(0.0, 0.0), upper=(150.0, 140.0), periodic=(True, True))
    tracks = replace(tracks, field_of_view=view, metadata={})
    (shown,) = event_views(event_table(np.array([6]), [2.0], [70.0], particles=[[0]]), tracks)
    places = shown.moments[0].places
    assert (places["x"] < -1.0).any()
    assert (places["x"] > 1.0).any()


def test_frames_end_where_the_movie_ends_and_none_is_read_twice():
    tracks, n = hopping(), 4
    events = event_table(np.array([0, 0, N_FRAMES - 1, 5]), np.full(n, 70.0), np.full(n, 70.0), p_value=[1e-4] * n)
    points = Points(tracks)
    views = event_views(events, tracks, film(points))
    assert [[moment.frame for moment in view.moments] for view in views] == [
        [0, 0, 1], [0, 0, 1], [4, 5, 6], [10, 11, 11],
    ]  # fmt: skip
    assert points.asked == [0, 1, 4, 5, 6, 10, 11] == frames_to_show(events, (0, N_FRAMES - 1))
    some = tracks.with_table(pd.concat([tracks.at(frame) for frame in points.asked]))
    again = event_views(events, some, film(Points(tracks)), frames=(0, N_FRAMES - 1))
    for first, second in zip(views, again, strict=True):
        pd.testing.assert_frame_equal(first.arrows, second.arrows)


def test_events_with_suspected_errors_come_last():
    n = 4
    events = event_table(
        np.arange(n) + 3, np.zeros(n), np.zeros(n), p_value=[1e-9, 1e-5, 1e-7, 1e-7], amplitude=[1.0, 1.0, 0.2, 0.3],
        flags=["swap", "", "", ""],
    )  # fmt: skip
    assert strongest(events, 10)["event"].tolist() == [3, 2, 1, 0]
    assert strongest(events, 2)["event"].tolist() == [3, 2]
    plain = EventTable(table=events.table.drop(columns=["flags", "amplitude"]))
    assert strongest(plain, 2)["event"].tolist() == [0, 2]


def test_short_arrows_are_drawn_longer_and_long_ones_as_they_are():
    tracks = hopping()
    (view,) = event_views(hop_event(tracks), tracks)
    longest = 0.4 * view.spacing
    for length, factor in ((1.01 * longest, 1.0), (0.99 * longest, 2.0), (0.1 * longest, 10.0), (0.5 * longest, 3.0)):
        own = view.arrows["particle"] == HOPPER
        for arrows in (np.where(own, length, 0.0), np.where(own, 0.001, length)):
            assert exaggeration(replace(view, arrows=view.arrows.assign(dx=arrows, dy=0.0))) == factor
    assert exaggeration(replace(view, row=view.row | {"particles": []})) == 1.0


def test_windows_of_the_movie_add_up(content):
    tracks, events = content.tracks, content.events
    fields = content.event_fields.assign(s0=content.fields["s0"], p_hop_p=np.nan)
    fields.loc[fields["frame"] < 30, "d2min_p"] = np.nan
    parts = []
    for first in range(0, FRAMES, 37):
        window = tracks.between(first, min(first + 37, FRAMES))
        parts.append((window, fields[fields["frame"].between(first, first + 36)]))
    exposure, before = surveyed(events, parts, lead=3)
    fields.attrs = {"events": {"tests": ["d2min"]}}
    np.testing.assert_allclose(exposure.particles, event_exposure(tracks, fields).particles)
    assert exposure.particles[:30].sum() == 0
    assert exposure.particles.sum() > 0
    assert set(before) == {"s0", "shear_strain"}
    whole = before_events(events, tracks, fields["s0"].to_numpy(), lead=3)
    assert len(whole) > 20
    pd.testing.assert_frame_equal(before["s0"].sort_values("event").reset_index(drop=True), whole)
    assert surveyed(events, [(tracks, fields.iloc[1:])], lead=3) == (None, {})


def test_the_section_says_what_its_numbers_mean(content):
    section = events_section(content)
    text = " ".join(str(line) for line in section.text)
    assert "30 events were found in 12,000 tests" in text
    assert "of the events at least as significant, at most this share is expected to be false" in text
    assert "6 of 30 (20\u202f%) carry a mark of a suspected tracking error" in text
    assert "exchanged identities (6), merged particles (3)" in text
    assert "Their rate, per particle and second, is" in text
    assert "2 frames before the onset, the particles of events differ from the others of their species by" in text
    (table,) = section.tables
    assert table.head[0] == "event"
    assert table.head[-1] == "suspected"
    first = strongest(content.events, 1).iloc[0]
    assert table.rows[0][0] == first["id"]
    assert [row[-1] for row in table.rows].count("") == 20
    names = [picture.name for picture in section.pictures]
    assert names == [f"events_{name}" for name in ("gallery", "timeline", "map", "rate", "sizes", "before", "p_values")]
    assert "one grey scale" in section.pictures[0].caption


def test_what_is_not_known_is_said(content):
    tracks, events = content.tracks, content.events
    bare = EventEvidence(views=event_views(events, tracks), no_pictures="m.tif is no longer where it was")
    section = events_section(replace(content, event_evidence=bare))
    assert "positions alone: m.tif is no longer where it was" in section.pictures[0].caption
    assert "events_rate" not in [picture.name for picture in section.pictures]
    assert any("How often they happen is not told" in str(line) for line in section.text)
    old = EventTable(table=events.table.drop(columns=["id", "amplitude", "flags", "s0_before", "strain_before"]))
    section = events_section(replace(content, events=old, event_evidence=None))
    names = [picture.name for picture in section.pictures]
    assert names == [f"events_{name}" for name in ("timeline", "map", "sizes", "p_values")]
    assert not any("suspected" in str(line) for line in section.text)
    assert section.tables[0].head[-1] == "q"


def test_the_map_puts_events_where_the_camera_saw_them(content):
    shifted = replace(content, frames=content.frames[1:])
    pictures = {p.name: p for p in event_pictures(shifted, content.events, EventEvidence())}
    circles = pictures["events_map"].figure.axes[0].collections[0].get_offsets()
    expected = content.events.table[["x", "y"]].to_numpy() + np.array([0.02, -0.01]) * (FRAMES // 2)
    np.testing.assert_allclose(circles, expected)


def test_the_rate_is_drawn_with_its_band(content):
    pictures = {p.name: p for p in event_pictures(content, content.events, content.event_evidence)}
    axes = pictures["events_rate"].figure.axes[0]
    table = rate_over_time(content.events, content.event_evidence.exposure, bins=5)
    band, rate = axes.patches[:2]
    np.testing.assert_allclose(band.get_data().values, table["high"])
    np.testing.assert_allclose(band.get_data().baseline, table["low"])
    np.testing.assert_allclose(rate.get_data().values, table["rate"])
    assert 25 < table["events"].sum() <= len(content.events)


def test_many_suspected_errors_are_a_bad_sign(content):
    (check,) = flag_check(content.events)
    assert check.verdict == "look"
    assert "20\u202f% of 30" in check.found
    table = content.events.table
    for share, verdict in ((0.0, "good"), (0.5, "bad")):
        flags = np.where(np.arange(len(table)) < share * len(table), "swap", "")
        assert flag_check(EventTable(table=table.assign(flags=flags)))[0].verdict == verdict
    assert flag_check(EventTable(table=table.drop(columns="flags"))) == []
