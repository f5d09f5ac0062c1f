"""Two populations taken for one are told apart by the mean widths of tracks; a spread of sizes is no second one."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from colloid_cg.records import FLAG_EDGE, Box, Trajectories
from colloid_cg.reporting.checks.check import LOOK
from colloid_cg.reporting.checks.tracking import sizes_check
from colloid_cg.tracking.track_sizes import track_sizes

FRAMES, N, NOISE = 60, 90, 0.25


def tracks_of(
    widths: np.ndarray,
    *,
    seed: int = 1,
    noise: float = NOISE,
    flags: np.ndarray | int = 0,
    species: int | np.ndarray = 0,
) -> Trajectories:
    """Tracks whose every detection measures the width of its particle with an error that hides two sizes."""
    rng = np.random.default_rng(seed)
    frame, particle = (index.ravel() for index in np.meshgrid(np.arange(FRAMES), np.arange(N), indexing="ij"))
    table = pd.DataFrame({"frame": frame, "particle": particle, "species": species, "flags": flags})
    table["x"], table["y"] = rng.uniform(0.0, 200.0, (2, len(table)))
    table["size"] = widths[particle] + rng.normal(0.0, noise, len(table))
    box = Box(lower=(-0.5, -0.5), upper=(199.5, 199.5), periodic=(False, False))
    return Trajectories(table=table, pixel_size=0.1, frame_interval=0.01, field_of_view=box, n_frames=FRAMES)


def two_sizes(small: float = 1.83, large: float = 2.16) -> np.ndarray:
    return np.where(np.arange(N) < N // 3, small, large)


def test_two_populations_that_overlap_frame_by_frame_are_named() -> None:
    found = track_sizes(tracks_of(two_sizes()))
    assert found is not None
    # the error of a track's mean is 0.25/sqrt(60), that of a population's 30 times less in square
    assert found["sizes"] == pytest.approx([1.83, 2.16], abs=4 * NOISE / np.sqrt(FRAMES * N / 3))
    assert found["shares"] == pytest.approx([1 / 3, 2 / 3], abs=0.02)
    (check,) = sizes_check({"sizes": found})
    assert check.verdict == LOOK
    assert f"{found['sizes'][0]:.2f}" in str(check.found)
    assert "(67" in str(check.found)


@pytest.mark.parametrize("spread", [0.0, 0.05, 0.15])
def test_one_population_however_wide_is_one(spread: float) -> None:
    for seed in range(8):
        widths = np.random.default_rng(seed).normal(2.0, 2.0 * spread, N)
        assert track_sizes(tracks_of(widths, seed=seed)) is None
    assert sizes_check({"sizes": None}) == []


def test_a_small_difference_or_a_few_odd_tracks_are_no_population() -> None:
    assert track_sizes(tracks_of(two_sizes(2.0, 2.06), noise=0.05)) is None
    few = np.where(np.arange(N) < N // 12, 1.5, 2.2)
    assert track_sizes(tracks_of(few)) is None


def test_populations_that_tracking_told_apart_are_not_named_again() -> None:
    particle = np.tile(np.arange(N), FRAMES)
    assert track_sizes(tracks_of(two_sizes(), species=(particle >= N // 3).astype(int))) is None


def test_detections_at_the_edge_do_not_make_a_population() -> None:
    particle = np.tile(np.arange(N), FRAMES)
    cut = np.where(particle < N // 3, FLAG_EDGE, 0)
    assert track_sizes(tracks_of(two_sizes(), flags=cut)) is None
