"""Links, gaps and filters."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from colloid_cg.errors import DataError
from colloid_cg.records import FLAG_AFTER_GAP, FLAG_EDGE
from colloid_cg.tracking import TrackConfig, keep_good, keep_long, link
from tests.tracking.pictures import brownian, lattice


@pytest.fixture(params=["native", "trackpy"])
def config(request: pytest.FixtureRequest) -> TrackConfig:
    """The same settings for both engines."""
    return CONFIG.model_copy(update={"engine": request.param})


CONFIG = TrackConfig(
    diameter=11,
    invert=False,
    minmass=1.0,
    separation=12,
    threshold=1.0,
    search_range=4.0,
    memory=2,
    minimum_length=2,
)


def detections(positions: np.ndarray) -> pd.DataFrame:
    """Table of detections from positions of shape (frames, n, 2), with the true id in ``truth``."""
    n_frames, n, _ = positions.shape
    return pd.DataFrame(
        {
            "frame": np.repeat(np.arange(n_frames), n),
            "truth": np.tile(np.arange(n), n_frames),
            "x": positions[..., 0].ravel(),
            "y": positions[..., 1].ravel(),
            "mass": 100.0,
            "size": 2.0,
            "ecc": 0.1,
            "flags": np.int32(0),
        }
    )


@pytest.fixture
def moving() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    return detections(brownian(rng, lattice(rng, edge=200, spacing=20.0), n_frames=12, step=0.6))


def test_links_are_the_true_ones_whatever_the_order_of_the_rows(moving: pd.DataFrame, config: TrackConfig) -> None:
    linked = link(moving.sample(frac=1.0, random_state=1), config)
    assert (linked.groupby("truth")["particle"].nunique() == 1).all()
    assert (linked.groupby("particle")["truth"].nunique() == 1).all()
    assert sorted(linked["particle"].unique()) == list(range(moving["truth"].nunique()))
    assert linked["frame"].is_monotonic_increasing


def test_ids_count_up_in_order_of_first_appearance(moving: pd.DataFrame, config: TrackConfig) -> None:
    late = moving[~((moving["truth"] < 5) & (moving["frame"] < 4))]
    linked = link(late, config)
    first = linked.groupby("particle")["frame"].min()
    assert first.is_monotonic_increasing
    assert linked.equals(link(late, config))


def test_gaps_are_flagged_and_never_filled(moving: pd.DataFrame, config: TrackConfig) -> None:
    edge = moving.assign(flags=np.where(moving["truth"] == 0, FLAG_EDGE, 0).astype("int32"))
    missing = ((edge["truth"] == 7) & edge["frame"].isin([4, 5])) | ((edge["truth"] == 0) & (edge["frame"] == 3))
    linked = link(edge[~missing], config)
    assert len(linked) == len(edge) - 3
    flagged = linked[(linked["flags"] & FLAG_AFTER_GAP) != 0]
    assert sorted(zip(flagged["truth"], flagged["frame"], strict=True)) == [(0, 4), (7, 6)]
    assert (linked.loc[linked["truth"] == 0, "flags"] & FLAG_EDGE != 0).all()
    assert (linked.groupby("truth")["particle"].nunique() == 1).all()


def test_a_gap_longer_than_the_memory_begins_a_new_track(moving: pd.DataFrame, config: TrackConfig) -> None:
    missing = (moving["truth"] == 7) & moving["frame"].isin([4, 5, 6])
    linked = link(moving[~missing], config)
    assert linked.loc[linked["truth"] == 7, "particle"].nunique() == 2
    assert not (linked["flags"] & FLAG_AFTER_GAP).any()


def test_filters_keep_long_and_good_tracks(moving: pd.DataFrame) -> None:
    short = moving[~((moving["truth"] == 3) & (moving["frame"] > 4))]
    linked = link(short, CONFIG)
    kept = keep_long(linked, 6)
    assert 3 not in set(kept["truth"])
    assert kept["truth"].nunique() == moving["truth"].nunique() - 1
    assert 3 in set(keep_long(linked, 5)["truth"])
    bad = linked.assign(mass=np.where(linked["truth"] == 1, 40.0, 100.0), size=np.where(linked["truth"] == 2, 9.0, 2.0))
    bad["ecc"] = np.where(bad["truth"] == 4, 0.9, 0.1)
    config = CONFIG.model_copy(update={"minimum_mass_linked": 50.0, "max_size": 3.0, "max_eccentricity": 0.5})
    assert set(linked["truth"]) - set(keep_good(bad, config)["truth"]) == {1, 2, 4}


def test_too_strict_filters_name_the_setting(moving: pd.DataFrame, config: TrackConfig) -> None:
    linked = link(moving, config)
    with pytest.raises(DataError, match=r"no track of 13 .*longest has 12.*track\.minimum_length"):
        keep_long(linked, 13)
    with pytest.raises(DataError, match=r"track\.minimum_mass_linked"):
        keep_good(linked, config.model_copy(update={"minimum_mass_linked": 1e9}))
    with pytest.raises(DataError, match=r"no detections.*track\.minmass"):
        link(moving.iloc[:0], config)


def test_a_crowd_is_linked_with_a_shrinking_range_and_refused_when_hopeless() -> None:
    rng = np.random.default_rng(4)
    start = lattice(rng, edge=80, spacing=4.0, jitter=0.3)
    crowd = detections(brownian(rng, start, n_frames=3, step=0.2))
    greedy = CONFIG.model_copy(update={"engine": "trackpy", "search_range": 6.0, "memory": 0})
    linked = link(crowd, greedy)
    assert (linked.groupby("truth")["particle"].nunique() == 1).mean() > 0.95
    hopeless = greedy.model_copy(update={"search_range": 30.0})
    with pytest.raises(DataError, match=r"within 30 px.*lower track\.search_range \(for example to 15\)"):
        link(crowd, hopeless)
