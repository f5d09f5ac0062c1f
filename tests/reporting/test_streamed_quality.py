"""Quality counted window by window is the quality of the whole table."""

from __future__ import annotations

import numpy as np
import pytest

from colloid_cg.records import FLAG_POOR_FIT, Trajectories
from colloid_cg.reporting import quality, streamed_quality, tracking_quality
from tests.observables.test_streamed import walks, windows


@pytest.fixture
def tracks() -> Trajectories:
    tracks = walks(n=60)
    rng = np.random.default_rng(1)
    n = len(tracks)
    table = tracks.table.assign(mass=rng.normal(100, 9, n), size=2.0, sigma_x=0.1, sigma_y=rng.uniform(0.1, 0.2, n))
    table["flags"] = np.where(table["frame"] == 50, FLAG_POOR_FIT, 0).astype("int32")
    drift = {"frame": list(range(60)), "dx": np.linspace(0, 3, 60).tolist(), "dy": [0.0] * 60, "removed": True}
    drift |= {"scatter": [None, *rng.uniform(0.9, 1.1, 59)], "n": [0, *[30] * 59]}
    return tracks.with_table(table, metadata={"drift": drift})


@pytest.mark.parametrize("length", [1, 7, 100])
def test_windows_give_what_the_whole_gives(length: int, tracks: Trajectories) -> None:
    whole, found = tracking_quality(tracks), streamed_quality(windows(tracks, length), n_rows=len(tracks))
    assert found.pop("rms_step") == pytest.approx(whole.pop("rms_step"), rel=1e-12)
    assert found == whole


def test_counts_against_pandas(tracks: Trajectories) -> None:
    table = tracks.table.sort_values(["particle", "frame"])
    same, gap = np.diff(table["particle"]) == 0, np.diff(table["frame"])
    steps = np.diff(table[["x", "y"]].to_numpy(), axis=0)[same & (gap == 1)]
    found = tracking_quality(tracks)
    assert found["rms_step"] == pytest.approx(np.sqrt(np.mean(steps**2)), rel=1e-12)
    assert found["after_gap_fraction"] == pytest.approx(np.mean(gap[same] > 1), rel=1e-12)
    assert found["median_track_length"] == table.groupby("particle").size().median()
    assert found["detections_per_frame"] == np.bincount(table["frame"] - found["first_frame"]).tolist()
    assert found["median_stated_sigma"] == pytest.approx(table[["sigma_x", "sigma_y"]].stack().median(), rel=1e-12)


def test_of_a_long_movie_only_distributions_are_sampled(tracks: Trajectories, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = tracking_quality(tracks)
    monkeypatch.setattr(quality, "MOST_ROWS", 700)
    found = streamed_quality(windows(tracks, 9), n_rows=len(tracks))
    assert found["distributions_from"] < 0.6 * len(tracks)
    for name in ("n_detections", "n_tracks", "track_lengths", "detections_per_frame", "after_gap_fraction"):
        assert found[name] == whole[name]
    assert found["dropped_frames"] == whole["dropped_frames"]
    assert found["poor_fits"] == whole["poor_fits"] == [50]
    assert found["faults_before"] < whole["faults_before"]
    assert len(found["lost_tracks"]["frame"]) < len(whole["lost_tracks"]["frame"])
    assert found["median_stated_sigma"] == pytest.approx(whole["median_stated_sigma"], rel=0.05)
