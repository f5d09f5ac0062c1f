"""What is summed up window by window is what the whole table gives."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from colloid_cg.errors import DataError, InputError
from colloid_cg.observables import MsdSums, TrackLengths, msd, streamed_msd
from colloid_cg.records import Box, Trajectories

LAGS = (1, 2, 5, 13)


def walks(*, periodic: bool = False, n_frames: int = 60, n: int = 40, seed: int = 0) -> Trajectories:
    """Random walks with gaps, late beginnings, early ends, and one frame without any particle."""
    rng = np.random.default_rng(seed)
    paths = rng.uniform(0, 50, (n, 2)) + np.cumsum(rng.normal(0, 0.7, (n_frames, n, 2)), axis=0)
    if periodic:
        paths = np.mod(paths, 50.0)
    frame, particle = np.divmod(np.arange(n_frames * n), n)
    first, last = rng.integers(0, 20, n), rng.integers(30, n_frames, n)
    seen = (rng.random(n_frames * n) > 0.1) & (frame >= first[particle]) & (frame <= last[particle]) & (frame != 33)
    table = pd.DataFrame({"frame": frame, "particle": particle, "x": paths[..., 0].ravel(), "y": paths[..., 1].ravel()})
    return Trajectories(
        table=table[seen],
        pixel_size=0.2,
        frame_interval=0.05,
        field_of_view=Box(lower=(0.0, 0.0), upper=(50.0, 50.0), periodic=(periodic, periodic)),
        n_frames=n_frames,
    )


def windows(tracks: Trajectories, length: int, overlap: int = 0) -> list[Trajectories]:
    parts = []
    for start in range(0, tracks.n_frames, length):
        rows = tracks.table["frame"].between(max(0, start - overlap), start + length - 1)
        parts.append(tracks.with_table(tracks.table[rows]))
    return parts


@pytest.mark.parametrize("periodic", [False, True])
@pytest.mark.parametrize(("length", "overlap"), [(1, 0), (7, 0), (7, 3), (100, 0)])
def test_the_mean_square_displacement_is_that_of_the_whole_table(periodic: bool, length: int, overlap: int) -> None:
    tracks = walks(periodic=periodic)
    whole, summed = msd(tracks, LAGS), streamed_msd(windows(tracks, length, overlap), LAGS)
    np.testing.assert_array_equal(summed.count, whole.count)
    for name in ("x", "value", "standard_error"):
        np.testing.assert_allclose(getattr(summed, name), getattr(whole, name), rtol=1e-12)


def test_lags_without_pairs_are_nan() -> None:
    tracks = walks(n_frames=40)
    curve = streamed_msd(windows(tracks, 9), (1, 45))
    assert curve.count[1] == 0
    assert np.isnan(curve.value[1])
    assert np.isfinite(curve.value[0])


def test_lengths_of_tracks() -> None:
    tracks = walks()
    lengths = TrackLengths()
    for window in windows(tracks, 11, 4):
        lengths.add(window)
    np.testing.assert_array_equal(lengths.result(), tracks.table.groupby("particle").size())


def test_lags_must_be_positive_and_something_must_be_seen() -> None:
    with pytest.raises(InputError, match="positive lags"):
        MsdSums([0, 1])
    with pytest.raises(DataError, match="no detections"):
        MsdSums([1]).result()
