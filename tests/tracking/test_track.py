"""From a movie to trajectories in one call."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.spatial import KDTree

from colloid_cg.errors import DataError, InputError
from colloid_cg.records import Trajectories
from colloid_cg.tracking import TrackConfig, assemble, camera_positions, link, locate, quality, resolve, suggest, track
from tests.tracking.pictures import brownian, lattice, movie, stack_of

EDGE = 192
STEP, DRIFT = 0.4, (0.3, -0.15)


@pytest.fixture(scope="module")
def truth() -> np.ndarray:
    rng = np.random.default_rng(11)
    return brownian(rng, lattice(rng, edge=EDGE, spacing=22.0), n_frames=14, step=STEP, drift=DRIFT)


@pytest.fixture(scope="module")
def frames(truth: np.ndarray) -> np.ndarray:
    picture = movie(np.random.default_rng(12), truth, edge=EDGE, noise=4.0)
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def tracks(frames: np.ndarray) -> Trajectories:
    return track(stack_of(frames, exposure=0.004))


def test_every_particle_is_followed_without_any_setting(tracks: Trajectories, truth: np.ndarray) -> None:
    camera = camera_positions(tracks)
    frame = tracks.table["frame"].to_numpy()
    owners = []
    for index, positions in enumerate(truth):
        distance, owner = KDTree(positions).query(camera[frame == index])
        assert distance.max() < 0.6
        owners.append(owner)
    assert len(tracks) > 0.97 * truth.shape[0] * truth.shape[1]
    table = tracks.table.assign(owner=np.concatenate(owners))
    assert (table.groupby("particle")["owner"].nunique() == 1).all()
    error = np.concatenate([camera[frame == k] - truth[k][owners[k]] for k in range(len(truth))])
    assert np.sqrt((error**2).mean()) < 1.3 * 4.0 / 80.0 * np.sqrt(2 / np.pi)


def test_the_record_carries_what_was_done(tracks: Trajectories) -> None:
    assert (tracks.pixel_size, tracks.frame_interval, tracks.exposure) == (0.1, 0.01, 0.004)
    assert tracks.field_of_view.lower == (-0.5, -0.5)
    assert tracks.field_of_view.upper == (EDGE - 0.5, EDGE - 0.5)
    assert tracks.n_frames == 14
    metadata = json.loads(json.dumps(tracks.metadata))
    counts = metadata["counts"]
    assert counts["n_detections"] >= counts["n_detections_kept"] == len(tracks)
    assert counts["n_tracks_before"] >= counts["n_tracks_after"] >= counts["n_tracks_kept"] == tracks.n_particles
    assert TrackConfig.parse(metadata["settings"]).diameter == metadata["suggestion"]["choices"]["diameter"]["value"]


def test_drift_is_recovered_and_removed(tracks: Trajectories) -> None:
    drift = tracks.metadata["drift"]
    assert drift["removed"] is True
    for name, error, value in (("dx", "se_x", DRIFT[0]), ("dy", "se_y", DRIFT[1])):
        z = (np.array(drift[name]) - value * np.array(drift["frame"]))[1:] / np.array(drift[error])[1:]
        assert np.abs(z).max() < 3.0
    kept = assemble(link(*_detections(tracks)), stack_of(np.zeros((14, EDGE, EDGE))), _config(tracks, drift="none"))
    assert kept.metadata["drift"]["removed"] is False
    assert kept.metadata["drift"]["reason"] == "track.drift = 'none'"
    wide = kept.table.pivot(index="frame", columns="particle", values="x")
    assert np.nanmean(wide.iloc[-1] - wide.iloc[0]) == pytest.approx(13 * DRIFT[0], abs=0.6)


def _config(tracks: Trajectories, **changes: object) -> TrackConfig:
    return TrackConfig(**(tracks.metadata["settings"] | changes))


def _detections(tracks: Trajectories) -> tuple:
    table = tracks.table.drop(columns="particle")
    return table.assign(**dict(zip("xy", camera_positions(tracks).T, strict=True))), _config(tracks)


def test_the_same_movie_gives_the_same_bytes(tracks: Trajectories, frames: np.ndarray) -> None:
    again = track(stack_of(frames, exposure=0.004))
    assert again.table.equals(tracks.table)
    assert again.metadata == tracks.metadata


def test_steps_by_hand_are_the_one_call(tracks: Trajectories, frames: np.ndarray) -> None:
    stack = stack_of(frames, exposure=0.004)
    config = resolve(TrackConfig(), suggest(stack))
    by_hand = assemble(locate(stack, config), stack, config)
    assert by_hand.table.equals(tracks.table)


def test_quality_figures(tracks: Trajectories) -> None:
    figures = json.loads(json.dumps(quality(tracks)))
    assert figures["n_detections"] == len(tracks) == sum(figures["detections_per_frame"]["count"])
    assert sum(figures["track_length"]["counts"]) == tracks.n_particles
    assert sum(figures["subpixel"]["y"]) == len(tracks)
    n = len(tracks)
    assert figures["subpixel"]["locking_x"] < 5 * np.sqrt(20 / n)  # fractional parts are even up to counting noise
    assert figures["stated_sigma"]["mean"] == pytest.approx(tracks.table[["sigma_x", "sigma_y"]].to_numpy().mean())
    locked = tracks.with_table(
        tracks.table.assign(x=np.round(tracks.table["x"]) + 0.01), metadata={"drift": {"removed": False}}
    )
    assert quality(locked)["subpixel"]["locking_x"] == pytest.approx(19.0)


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ("pixel_size", r"missing pixel size in spots.*--pixel-size.*video\.pixel_size"),
        ("frame_interval", r"missing frame interval in spots.*--frame-interval.*video\.frame_interval"),
    ],
)
def test_a_movie_without_calibration_is_refused(frames: np.ndarray, missing: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        track(stack_of(frames, **{missing: None}))


def test_limits_that_nothing_passes_are_named(frames: np.ndarray, tracks: Trajectories) -> None:
    found = locate(stack_of(frames), _config(tracks))
    with pytest.raises(DataError, match=r"passes the limits after linking.*track\.minimum_mass_linked"):
        assemble(found, stack_of(frames), _config(tracks, minimum_mass_linked=1e9))
    # a fit that measures no eccentricity is not judged by it
    unknown = found.assign(ecc=np.nan)
    kept = assemble(unknown, stack_of(frames), _config(tracks, max_eccentricity=0.3))
    assert len(kept) == len(assemble(unknown, stack_of(frames), _config(tracks)))


def test_nothing_found_names_the_settings(frames: np.ndarray, tracks: Trajectories) -> None:
    with pytest.raises(DataError, match=r"no bright particles.*track\.minmass.*track\.invert = true"):
        track(stack_of(frames), _config(tracks, minmass=1e9))
    with pytest.raises(DataError, match=r"track\.minimum_length"):
        track(stack_of(frames), _config(tracks, minimum_length=99))
