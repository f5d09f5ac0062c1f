"""Faults that were put into simulated recordings are found, and nothing else."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from colloid_cg.records import FLAG_POOR_FIT, Box, Trajectories
from colloid_cg.tracking import estimate_motion, quality, tracking_faults
from colloid_cg.tracking.faults import confidence, gap_share, localisation_error, lost_tracks

N, FRAMES, NOISE = 120, 200, 0.25


def recording(seed: int = 0, *, blur: bool = False, noise: float = NOISE) -> np.ndarray:
    """Observed positions of diffusing particles, (frames, n, 2); with blur, averaged over the whole interval."""
    rng = np.random.default_rng(seed)
    parts = 20 if blur else 1
    steps = rng.normal(0.0, 0.5 / np.sqrt(parts), (FRAMES * parts, N, 2))
    path = rng.uniform(20, 280, (N, 2)) + np.cumsum(steps, axis=0)
    return path.reshape(FRAMES, parts, N, 2).mean(axis=1) + rng.normal(0.0, noise, (FRAMES, N, 2))


def tracks_of(x: np.ndarray, *, keep: np.ndarray | None = None, motion: bool = True, **fields: object) -> Trajectories:
    frames, n, _ = x.shape
    table = pd.DataFrame({"frame": np.repeat(np.arange(frames), n), "particle": np.tile(np.arange(n), frames)})
    table = table.assign(x=x[..., 0].ravel(), y=x[..., 1].ravel(), sigma_x=0.2, sigma_y=0.3)
    if keep is not None:
        table = table[keep.ravel()]
    drift = estimate_motion([table], kind="none", minimum_particles=10).as_dict() if motion else None
    box = Box(lower=(-0.5, -0.5), upper=(299.5, 299.5), periodic=(False, False))
    return Trajectories(
        table=table, pixel_size=0.1, frame_interval=0.01, field_of_view=box, n_frames=frames,
        metadata={"drift": drift}, **fields,
    )  # fmt: skip


def test_a_sound_recording_has_no_faults() -> None:
    rng = np.random.default_rng(5)
    found = tracking_faults(tracks_of(recording(), keep=rng.random((FRAMES, N)) > 0.05))
    assert found["dropped_frames"] == {"repeated": [], "missing": [], "jump": [], "dip": []}
    assert found["lost_tracks"]["many"] == []
    assert found["poor_fits"] == []
    assert found["link_confidence"] is None
    assert found["subpixel_bias"] is None
    json.dumps(found, allow_nan=False)


def test_repeated_missing_and_jumping_frames_are_named() -> None:
    x = recording()
    x[50] = x[49]
    x[90:] += (4.0, 0.0)
    x = np.delete(x, [120, 121], axis=0)
    keep = np.ones(x.shape[:2], dtype=bool)
    keep[150, 30:] = False
    found = tracking_faults(tracks_of(x, keep=keep))["dropped_frames"]
    assert found == {"repeated": [50], "missing": [120], "jump": [90], "dip": [150]}


def test_frames_of_poor_fits_are_named_where_some_are_usual() -> None:
    rng = np.random.default_rng(2)
    poor = rng.random((FRAMES, N)) < 0.15
    poor[60, :] = True
    poor[140, : int(0.7 * N)] = True
    tracks = tracks_of(recording())
    tracks = tracks.with_table(tracks.table.assign(flags=np.where(poor.ravel(), FLAG_POOR_FIT, 0).astype("int32")))
    assert tracking_faults(tracks)["poor_fits"] == [60, 140]


def test_tracks_that_end_together_are_noticed() -> None:
    keep = np.ones((FRAMES, N), dtype=bool)
    keep[81:, :20] = False
    keep[10:, 30] = False
    found = lost_tracks(tracks_of(recording(), keep=keep))
    assert found["many"] == [80]
    assert (found["count"][80], found["count"][9], sum(found["count"])) == (20, 1, 21)
    assert found["share"] == pytest.approx(21 / keep.sum())


def test_ends_at_the_edge_are_told_from_others() -> None:
    x = recording()
    x[:, :5, 0] = 3.0
    x[:, 5:10] = 150.0
    keep = np.ones((FRAMES, N), dtype=bool)
    keep[100:, :10] = False
    assert lost_tracks(tracks_of(x, keep=keep))["share_at_edge"] == pytest.approx(0.5)


def test_share_of_missed_frames() -> None:
    keep = np.ones((FRAMES, N), dtype=bool)
    keep[5:7] = False  # two frames of each track
    keep[-1, 0] = False  # an end is not a gap
    table = tracks_of(recording(), keep=keep).table
    assert gap_share(table) == pytest.approx(2 * N / (FRAMES * N - 1))


@pytest.mark.parametrize("blur", [False, True])
def test_localisation_error_from_displacements(blur: bool) -> None:
    tracks = tracks_of(recording(3, blur=blur), exposure=0.01 if blur else 0.0)
    found = localisation_error(tracks)
    assert found is not None
    assert found["blur"] == pytest.approx(1 / 6 if blur else 0.0)
    for axis, stated in (("x", 0.2), ("y", 0.3)):
        assert abs(found[axis]["variance"] - NOISE**2) < 3.0 * found[axis]["standard_error"]
        assert found[axis]["standard_error"] < 0.1 * NOISE**2
        assert found[axis]["stated"] == pytest.approx(stated)


def test_the_standard_error_of_the_localisation_variance_is_its_scatter() -> None:
    runs = [localisation_error(tracks_of(recording(seed)[:40], motion=False)) for seed in range(60)]
    values = np.array([[run[axis]["variance"] for axis in "xy"] for run in runs if run])
    stated = np.mean([[run[axis]["standard_error"] ** 2 for axis in "xy"] for run in runs if run])
    assert 0.7 < values.var() / stated < 1.4  # 120 samples: standard error .13


def test_confidence_of_links() -> None:
    table = pd.DataFrame({"link_confidence": [0.97, 0.99, 0.5, np.nan]})
    found = confidence(table)
    assert found is not None
    assert sum(found["counts"]) == 3
    assert found["share_below_90"] == pytest.approx(1 / 3)
    assert confidence(table.iloc[3:]) is None


def test_quality_carries_the_faults() -> None:
    tracks = tracks_of(recording())
    assert quality(tracks)["faults"] == tracking_faults(tracks)
