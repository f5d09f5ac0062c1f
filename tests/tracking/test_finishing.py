"""Finishing part by part against the same done with pandas on the whole table."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from colloid_cg.errors import DataError
from colloid_cg.tracking import TrackConfig
from colloid_cg.tracking.finishing import Finisher, survey, survey_joined, surveyed
from colloid_cg.tracking.link_parts import attempts, frames_of, link_whole, with_links
from colloid_cg.tracking.linking import keep_good, keep_long, link, mark_gaps, renumbered

CONFIG = TrackConfig(
    diameter=9,
    invert=False,
    minmass=1.0,
    separation=10.0,
    threshold=1.0,
    search_range=4.0,
    minimum_length=4,
    minimum_mass_linked=20.0,
)


def linked(seed: int = 0, n_frames: int = 30) -> pd.DataFrame:
    """Ids as a linker gives them, with gaps, tracks of any length and masses that fail in the middle of a track."""
    rng = np.random.default_rng(seed)
    rows = []
    for particle in range(60):
        first = rng.integers(0, n_frames - 1)
        frames = np.arange(first, min(n_frames, first + rng.integers(1, 15)))
        rows += [(frame, particle) for frame in frames[rng.random(len(frames)) > 0.2]]
    table = pd.DataFrame(rows, columns=["frame", "particle"]).sample(frac=1.0, random_state=seed)
    table = table[table["frame"] != 17].sort_values("frame", kind="stable").reset_index(drop=True)
    n = len(table)
    flags = rng.integers(0, 4, n).astype("int32")
    return table.assign(x=rng.random(n), y=rng.random(n), mass=rng.uniform(15, 100, n), flags=flags)


@pytest.mark.parametrize("length", [1, 4, 100])
def test_parts_come_out_as_the_whole_table_does(length: int) -> None:
    table = linked()
    expected = mark_gaps(renumbered(keep_good(keep_long(table, 4), CONFIG)))
    expected = expected.sort_values(["frame", "particle"], kind="stable").reset_index(drop=True)
    parts = [table[table["frame"].between(start, start + length - 1)] for start in range(0, 30, length)]
    tracks = survey(parts)
    finisher = Finisher(tracks, CONFIG)
    found = pd.concat([finisher.finish(part) for part in parts], ignore_index=True)
    pd.testing.assert_frame_equal(found[expected.columns.tolist()], expected)
    assert (found["flags"] & 2).any()
    assert (finisher.n_tracks, finisher.n_detections) == (expected["particle"].nunique(), len(expected))
    assert finisher.n_long == keep_long(table, 4)["particle"].nunique()
    assert (tracks.n_tracks, tracks.n_detections) == (table["particle"].nunique(), len(table))


def test_what_nothing_passes_names_the_setting() -> None:
    table = linked()
    tracks = survey([table])
    with pytest.raises(DataError, match=r"no track of 99 .*the longest has .*track\.minimum_length"):
        Finisher(tracks, CONFIG.model_copy(update={"minimum_length": 99}))
    finisher = Finisher(tracks, CONFIG.model_copy(update={"minimum_mass_linked": 1e9}))
    finisher.finish(table)
    with pytest.raises(DataError, match=r"median mass .*track\.minimum_mass_linked"):
        finisher.require_some()


@pytest.mark.parametrize("engine", ["native", "trackpy"])
def test_linking_in_parts_gives_the_links_of_the_whole(engine: str) -> None:
    rng = np.random.default_rng(2)
    config = CONFIG.model_copy(update={"engine": engine, "memory": 2})
    paths = rng.uniform(0, 60, (80, 2)) + np.cumsum(rng.normal(0, 0.8, (30, 80, 2)), axis=0)
    frame = np.repeat(np.arange(30), 80)
    table = pd.DataFrame({"frame": frame, "x": paths[..., 0].ravel(), "y": paths[..., 1].ravel(), "mass": 50.0})
    table = table[(rng.random(len(table)) > 0.1) & (frame != 5) & (frame > 0)].reset_index(drop=True)
    whole, _ = link_whole(table, config)
    attempt = next(attempts(config))
    linker, pieces = attempt.start(), []
    for start in range(0, 30, 7):
        part = table[table["frame"].between(start, start + 6)]
        pieces.append(with_links(part, linker.add(part)))
        state = linker.state()
        if state is not None:
            linker = attempt.start(state)
    pd.testing.assert_frame_equal(pd.concat(pieces), whole)


def test_frames_of_a_part() -> None:
    table = pd.DataFrame({"frame": [3, 3, 5, 9, 9, 9]})
    assert [(frame, rows.start, rows.stop) for frame, rows in frames_of(table)] == [(3, 0, 2), (5, 2, 3), (9, 3, 6)]
    assert list(frames_of(table.iloc[:0])) == []


@pytest.mark.parametrize("length", [1, 6, 100])
def test_gaps_closed_over_the_whole_movie_are_those_closed_in_parts(length: int) -> None:
    rng = np.random.default_rng(4)
    config = CONFIG.model_copy(update={"engine": "native", "memory": 0, "close_gaps": 4, "minimum_mass_linked": None})
    paths = 20.0 * np.arange(100)[:, None] % (200, 160) + np.cumsum(rng.normal(0, 0.4, (40, 100, 2)), axis=0)
    frame = np.repeat(np.arange(40), 100)
    table = pd.DataFrame({"frame": frame, "x": paths[..., 0].ravel(), "y": paths[..., 1].ravel(), "mass": 50.0})
    table = table[rng.random(len(table)) > 0.04].reset_index(drop=True)
    whole = mark_gaps(renumbered(keep_long(link(table, config), 4)))
    whole = whole.sort_values(["frame", "particle"], kind="stable").reset_index(drop=True)
    linker, parts = next(attempts(config)).start(), []
    for start in range(0, 40, length):
        part = table[table["frame"].between(start, start + length - 1)]
        parts.append(with_links(part, linker.add(part)))
    tracks = survey_joined(parts, config)
    finisher = Finisher(tracks, config)
    found = pd.concat([finisher.finish(part) for part in parts], ignore_index=True)
    pd.testing.assert_frame_equal(found[whole.columns.tolist()], whole)
    assert tracks.n_joins > 50
    assert tracks.n_tracks == survey(parts).n_tracks


@pytest.mark.parametrize("length", [1, 4, 100])
def test_a_particle_keeps_its_size_class(length: int) -> None:
    rng = np.random.default_rng(3)
    truth = rng.random(60) < 0.4
    table = linked()
    own = truth[table["particle"]].astype("int32")
    # a class is mistaken the more often the worse the position: one time in three at 1 px, never below .1 px
    sigma = rng.choice([0.05, 0.3, 1.0], len(table))
    mistaken = rng.random(len(table)) < np.select([sigma < 0.1, sigma < 0.5], [0.0, 0.15], 0.34)
    species = np.where(mistaken, 1 - own, own).astype("int32")
    table = table.assign(species=species, sigma_x=sigma, sigma_y=sigma, flags=np.int32(0))
    # at the edge of the frame anything may look like anything, however sure
    edge = (table["particle"] % 5 == 0) & (table["frame"] % 3 == 0)
    table.loc[edge, ["flags", "sigma_x", "sigma_y"]] = [1, 1e-3, 1e-3]
    table.loc[edge, "species"] = 1 - own[edge]
    config = CONFIG.model_copy(update={"refine": "joint", "minimum_length": 5, "minimum_mass_linked": None})
    parts = [table[table["frame"].between(start, start + length - 1)] for start in range(0, 30, length)]
    tracks = surveyed(parts, config)
    finisher = Finisher(tracks, config)
    found = pd.concat([finisher.finish(part) for part in parts], ignore_index=True)
    assert (found.groupby("particle")["species"].nunique() == 1).all()
    assert found["species"].dtype == np.int32
    kept = table[tracks.length[table["particle"]] >= 5]
    right = tracks.species[kept["particle"].unique()] == truth[kept["particle"].unique()]
    assert right.mean() > 0.95
    assert surveyed(parts, config.model_copy(update={"size_classes": 1})).species is None
    assert surveyed(parts, config.model_copy(update={"refine": "likelihood"})).species is None
    assert surveyed([part.assign(species=0) for part in parts], config).species is None


def test_lengths_of_more_tracks_than_foreseen() -> None:
    ids = np.repeat(np.arange(5000), np.arange(5000) % 3 + 1)
    parts = [pd.DataFrame({"particle": piece}) for piece in np.array_split(ids, 7)]
    np.testing.assert_array_equal(survey(parts).length, np.arange(5000) % 3 + 1)
