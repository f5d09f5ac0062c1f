"""The published trackpy walkthrough of the bulk_water movie, reproduced digit by digit through this package."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
import trackpy

from colloid_cg.records import FrameStack, Trajectories
from colloid_cg.tracking import TrackConfig, assemble, locate, quality, suggest
from tests.tracking.pictures import stack_of

pytestmark = [pytest.mark.data, pytest.mark.slow]

PUBLISHED = TrackConfig(
    engine="trackpy",
    precision="trackpy",
    diameter=11,
    invert=True,
    minmass=20,
    separation=12,
    threshold=1,
    search_range=5,
    memory=3,
    minimum_length=25,
    minimum_mass_linked=50,
    max_size=2.6,
    max_eccentricity=0.3,
    drift="translation",
)


@pytest.fixture(scope="session")
def bulk_water(data: Path) -> FrameStack:
    frames = tifffile.imread(data / "bulk_water" / "bulk_water_green.tif")
    return stack_of(frames, pixel_size=100 / 285.0, frame_interval=1 / 24, source="bulk_water_green.tif")


@pytest.fixture(scope="session")
def detections(bulk_water: FrameStack) -> pd.DataFrame:
    return locate(bulk_water, PUBLISHED)


@pytest.fixture(scope="session")
def tracks(bulk_water: FrameStack, detections: pd.DataFrame) -> Trajectories:
    return assemble(detections, bulk_water, PUBLISHED)


def independent_displacements(length: int, lags: np.ndarray) -> np.ndarray:
    """Equation B4 of Qian, Sheetz and Elson, Biophys. J. 60, 910 (1991), as trackpy evaluates it."""
    n, t = float(length), lags.astype(float)
    short = 6 * (n - t) ** 2 * t / (2 * n - t + 4 * n * t**2 - 5 * t**3)
    long = 1 / (1 + ((n - t) ** 3 + 5 * t - 4 * (n - t) ** 2 * t - n) / (6 * (n - t) * t**2))
    return np.where(t > n / 2, long, short)


def ensemble_msd(tracks: Trajectories, longest: int) -> np.ndarray:
    """MSD in um2 at lags 1 .. longest: per track over pairs of detections, tracks weighted as trackpy.emsd does."""
    total, weights = np.zeros(longest), np.zeros(longest)
    for _, part in tracks.table.groupby("particle"):
        frame = part["frame"].to_numpy() - part["frame"].iloc[0]
        positions = np.full((frame[-1] + 1, 2), np.nan)
        positions[frame] = part[["x", "y"]].to_numpy() * tracks.pixel_size
        lags = np.arange(1, min(longest, len(positions) - 1) + 1)
        squares = [((positions[lag:] - positions[:-lag]) ** 2).sum(axis=1) for lag in lags]
        known = np.array([np.isfinite(square).any() for square in squares], dtype=bool)
        value = np.array([np.nanmean(square) if ok else 0.0 for square, ok in zip(squares, known, strict=True)])
        wanted = independent_displacements(len(positions), lags) * len(part) / len(positions)
        weight = np.where(known, wanted, 0.0)
        weight *= wanted.sum() / weight.sum() if known.any() else 0.0
        total[: len(lags)] += weight * value
        weights[: len(lags)] += weight
    return total / weights


def test_counts_are_the_published_ones(tracks: Trajectories) -> None:
    counts = tracks.metadata["counts"]
    assert counts["n_tracks_before"] == 13715
    assert counts["n_tracks_after"] == 1505
    assert counts["n_detections"] == 183514
    assert counts["adaptive_stop"] is None


def test_power_law_of_the_mean_squared_displacement_is_the_published_one(tracks: Trajectories) -> None:
    times = np.arange(1, 101) * tracks.frame_interval
    exponent, intercept = np.polyfit(np.log(times), np.log(ensemble_msd(tracks, 100)), 1)
    assert f"{exponent:.5f}" == "1.08024"
    assert f"{np.exp(intercept):.6f}" == "1.602365"


def test_drift_is_that_of_trackpy(tracks: Trajectories) -> None:
    drift = tracks.metadata["drift"]
    assert drift["removed"]
    camera = tracks.table.assign(
        x=tracks.table["x"] + np.asarray(drift["dx"])[tracks.table["frame"]],
        y=tracks.table["y"] + np.asarray(drift["dy"])[tracks.table["frame"]],
    )
    reference = trackpy.compute_drift(camera)
    assert np.allclose(drift["dx"][1:], reference["x"], atol=1e-9)
    assert np.allclose(drift["dy"][1:], reference["y"], atol=1e-9)


def test_quality_of_the_published_tracks(tracks: Trajectories) -> None:
    figures = quality(tracks)
    assert figures["n_detections"] == len(tracks)
    assert sum(figures["detections_per_frame"]["count"]) == len(tracks)
    assert sum(figures["subpixel"]["x"]) == len(tracks)
    assert 0.02 < figures["stated_sigma"]["mean"] < 0.5


def test_suggested_settings_are_near_the_published_ones(bulk_water: FrameStack) -> None:
    found = suggest(bulk_water)
    assert found.invert is True
    assert found.diameter in (9, 11, 13)  # published: 11
    assert 1.5 < found.search_range < 5.5  # published: 5; steps have a standard deviation of about .5 px
    assert not found.warnings
