"""The second look as a pass of tracking: particles missed though visible, and particles that were really not there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.spatial import KDTree

from colloid_cg.errors import ConfigError
from colloid_cg.records import FLAG_AFTER_GAP, FLAG_REFOUND, FrameStack, Trajectories
from colloid_cg.tracking import TrackConfig, assemble, camera_positions, estimate_image_model, locate, track
from colloid_cg.tracking.linking import gaps_by_part, measured_step_variance
from colloid_cg.tracking.rings import ring_model
from tests.tracking.pictures import brownian, lattice, paint, stack_of
from tests.tracking.ring_pictures import paint_rings

EDGE, FRAMES, NOISE = 288, 24, 4.0


def config_for(**values: Any) -> TrackConfig:
    complete: dict[str, Any] = {
        "diameter": 11, "invert": False, "shape": "spot", "refine": "likelihood", "size_classes": 1, "minmass": 600.0,
        "separation": 12.0, "threshold": 5.0, "search_range": 4.5, "minimum_length": 2, "refind": True,
    }  # fmt: skip
    return TrackConfig(**(complete | values))


class World:
    """Diffusing spots that drift; some are not there in some frames, and detections of others are taken away."""

    def __init__(self, *, gone: float = 0.03, deleted: float = 0.08) -> None:
        rng = np.random.default_rng(3)
        self.at = brownian(rng, lattice(rng, edge=EDGE, spacing=28.0), n_frames=FRAMES, step=0.5, drift=(0.2, -0.1))
        self.gone = rng.random(self.at.shape[:2]) < gone
        self.deleted = (rng.random(self.at.shape[:2]) < deleted) & ~self.gone
        frames = [
            paint(at[~gone], edge=EDGE, noise=NOISE, rng=rng) for at, gone in zip(self.at, self.gone, strict=True)
        ]
        self.stack: FrameStack = stack_of(np.stack(frames).astype(np.float32))

    def owners(self, frame: np.ndarray, places: np.ndarray) -> np.ndarray:
        owner = np.empty(len(frame), dtype=np.int64)
        for number in np.unique(frame):
            rows = frame == number
            owner[rows] = KDTree(self.at[number]).query(places[rows])[1]
        return owner

    def seen(self, detections: pd.DataFrame) -> pd.DataFrame:
        frame = detections["frame"].to_numpy()
        owner = self.owners(frame, detections[["x", "y"]].to_numpy())
        return detections[~self.deleted[frame, owner]].reset_index(drop=True)


@pytest.fixture(scope="module")
def world() -> World:
    return World()


def looked_again(world: World, config: TrackConfig) -> Trajectories:
    model = estimate_image_model(world.stack, config)
    return assemble(world.seen(locate(world.stack, config, model)), world.stack, config, model)


def refound(world: World, tracks: Trajectories) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Rows found on the second look, the truth (frame, owner) of each, and their errors in px."""
    table = tracks.table.assign(**dict(zip(("seen_x", "seen_y"), camera_positions(tracks).T, strict=True)))
    rows = table[(table["flags"] & FLAG_REFOUND) != 0]
    places = rows[["seen_x", "seen_y"]].to_numpy()
    frame = rows["frame"].to_numpy()
    owner = world.owners(frame, places)
    return rows, np.column_stack([frame, owner]), places - world.at[frame, owner]


@pytest.mark.parametrize("refine", ["centroid", "likelihood", "joint"])
def test_visible_ones_are_found_where_they_are_and_absent_ones_are_not_invented(refine: str, world: World) -> None:
    tracks = looked_again(world, config_for(refine=refine))
    rows, truth, error = refound(world, tracks)
    assert not world.gone[tuple(truth.T)].any()
    assert world.deleted[tuple(truth.T)].all()
    # those at the ends of the movie, or missing for longer than the memory, are in no gap
    counts = tracks.metadata["counts"]
    assert counts["n_refound"] == len(rows)
    missing = world.gone | world.deleted
    between = missing[1:-1].sum()
    assert len(rows) > 0.97 * (world.deleted[1:-1].sum() / between) * counts["n_missing"]
    z = error / rows[["sigma_x", "sigma_y"]].to_numpy()
    assert np.sqrt((z**2).mean()) == pytest.approx(1.0, abs=0.12)
    assert np.abs(z).max() < 4.5
    # they are found by the track that lost them
    table = tracks.table
    owner = world.owners(table["frame"].to_numpy(), camera_positions(tracks))
    assert (table.assign(owner=owner).groupby("particle")["owner"].nunique() == 1).all()


def test_flags_counts_and_confidence_are_those_of_complete_tracks(world: World) -> None:
    tracks = looked_again(world, config_for())
    without = looked_again(world, config_for(refind=False))
    table = tracks.table.sort_values(["particle", "frame"], kind="stable")
    same = table["particle"].diff() == 0
    gap = (same & (table["frame"].diff() > 1)).to_numpy()
    np.testing.assert_array_equal((table["flags"] & FLAG_AFTER_GAP).to_numpy() != 0, gap)
    found = (table["flags"] & FLAG_REFOUND).to_numpy() != 0
    after = np.flatnonzero(found[:-1] & ~found[1:]) + 1
    # the link to what a second look found is as sure as the one across the gap
    confidence = table["link_confidence"].to_numpy()
    assert np.isfinite(confidence[found]).all()
    np.testing.assert_array_equal(confidence[after - 1], confidence[after])
    assert not (gap[after] & (table["frame"].diff().to_numpy()[after] == 1)).any()
    counts, before = tracks.metadata["counts"], without.metadata["counts"]
    assert counts["n_detections_kept"] == before["n_detections_kept"] + counts["n_refound"]
    assert "n_missing" not in before
    assert tracks.n_particles == without.n_particles


def test_a_track_is_as_long_as_with_what_was_found(world: World) -> None:
    full = config_for(minimum_length=FRAMES)
    complete = looked_again(world, full)
    whole = (complete.table.groupby("particle").size() == FRAMES).sum()
    assert whole == complete.n_particles
    assert complete.n_particles > looked_again(world, full.model_copy(update={"refind": False})).n_particles


def test_gaps_that_only_the_second_pass_closes_are_looked_at() -> None:
    world = World(gone=0.0, deleted=0.0)
    world.deleted[8:13, ::4] = True
    # tracks that begin after others were joined have another number before than after joining
    world.deleted[:14, 1::8] = world.deleted[17:22, 1::8] = True
    config = config_for(memory=1, close_gaps=6)
    tracks = looked_again(world, config)
    rows, truth, _ = refound(world, tracks)
    assert tracks.metadata["counts"]["n_gaps_closed"] > 20
    assert tracks.metadata["counts"]["n_missing"] == 5 * tracks.metadata["counts"]["n_gaps_closed"]
    assert len(rows) > 0.97 * tracks.metadata["counts"]["n_missing"]
    assert world.deleted[tuple(truth.T)].all()
    assert rows["link_confidence"].between(0.5, 1.0).all()
    unchanged = looked_again(world, config.model_copy(update={"close_gaps": 0}))
    assert unchanged.metadata["counts"]["n_missing"] == 0


def test_dim_frames_are_found_again_in_one_call() -> None:
    rng = np.random.default_rng(8)
    at = brownian(rng, lattice(rng, edge=160, spacing=24.0), n_frames=10, step=0.4)
    light = np.where(np.arange(10) % 4 == 2, 35.0, 80.0)
    frames = [paint(places, edge=160, amplitude=a, noise=NOISE, rng=rng) for places, a in zip(at, light, strict=True)]
    stack = stack_of(np.stack(frames).astype(np.float32))
    tracks = track(stack, config_for(minmass=700.0))
    counts = tracks.metadata["counts"]
    # frames 2 and 6: every particle is too dim for minmass, and is found all the same
    assert counts["n_missing"] == counts["n_refound"] == 2 * at.shape[1]
    assert len(tracks) == 10 * at.shape[1]


def test_rings_are_found_again() -> None:
    rng = np.random.default_rng(4)
    at = brownian(rng, lattice(rng, edge=200, spacing=36.0), n_frames=8, step=0.5)
    gone = rng.random(at.shape[:2]) < 0.06
    frames = []
    for places, out in zip(at, gone, strict=True):
        circles = np.column_stack([places, np.full(len(places), 8.0)])[~out]
        picture = paint_rings(circles, edge=200, width=1.5, amplitude=60.0)
        frames.append(picture + rng.normal(0.0, 3.0, picture.shape))
    stack = stack_of(np.stack(frames).astype(np.float32))
    config = config_for(shape="ring", diameter=23, separation=20.0, minmass=0.0)
    model = ring_model([stack[0], stack[4]], config, estimate_image_model(stack, config))
    detections = locate(stack, config, model)
    frame = detections["frame"].to_numpy()
    places = detections[["x", "y"]].to_numpy()
    owner = np.array([KDTree(at[k]).query(place)[1] for k, place in zip(frame, places, strict=True)])
    taken = rng.random(len(detections)) < 0.1
    tracks = assemble(detections[~taken], stack, config, model)
    counts = tracks.metadata["counts"]
    rows = tracks.table[(tracks.table["flags"] & FLAG_REFOUND) != 0]
    found = camera_positions(tracks)[(tracks.table["flags"] & FLAG_REFOUND).to_numpy() != 0]
    hidden = set(zip(frame[taken], owner[taken], strict=True))
    nearest = [int(KDTree(at[k]).query(place)[1]) for k, place in zip(rows["frame"], found, strict=True)]
    assert set(zip(rows["frame"], nearest, strict=True)) <= hidden
    assert counts["n_missing"] > counts["n_refound"] == len(rows) > 10
    inside = {key for key in hidden if 0 < key[0] < 7}
    assert len(rows) > 0.9 * len(inside) - 3
    z = (found - at[rows["frame"], nearest]) / rows[["sigma_x", "sigma_y"]].to_numpy()
    assert np.sqrt((z**2).mean()) == pytest.approx(1.0, abs=0.35)


def test_settings_that_cannot_look_again_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"track\.engine = 'trackpy'.*track\.refind = false"):
        config_for(engine="trackpy")
    with pytest.raises(ConfigError, match=r"rings that are not fitted.*track\.refine = 'likelihood'"):
        config_for(shape="ring", refine="centroid")


def wanderers(n: int = 400, n_frames: int = 30) -> pd.DataFrame:
    rng = np.random.default_rng(6)
    at = np.cumsum(rng.normal(0.0, 0.6, (n_frames, n, 2)), axis=0) + 1.5 * np.arange(n_frames)[:, None, None]
    at += rng.normal(0.0, 0.2, at.shape)
    columns = {"frame": np.repeat(np.arange(n_frames), n), "particle": np.tile(np.arange(n), n_frames)}
    table = pd.DataFrame(columns | {"x": at[..., 0].ravel(), "y": at[..., 1].ravel(), "mass": 1.0, "size": 1.0})
    return table[rng.random(len(table)) > 0.05].reset_index(drop=True)


def test_how_far_particles_stray_is_measured_whatever_the_drift() -> None:
    table = wanderers()
    # s^2 / 2 of the bridge, and the errors of three positions with weights 1, 1/2, 1/2
    expected = 0.6**2 + 3.0 * 0.2**2
    assert measured_step_variance([table]) == pytest.approx(expected, rel=0.05)
    wrong = table.assign(x=table["x"] + np.where(np.random.default_rng(0).random(len(table)) < 0.01, 30.0, 0.0))
    assert measured_step_variance([wrong]) < 1.6 * expected
    for length in (1, 4):
        parts = [table[table["frame"] // length == k] for k in range(30 // length + 1)]
        assert measured_step_variance(parts) == measured_step_variance([table])
    assert np.isnan(measured_step_variance([table[table["frame"] % 3 > 0]]))


def test_gaps_are_told_as_soon_as_they_are_known() -> None:
    table = wanderers(n=40)
    taken = []

    def parts() -> Any:
        for frame in range(30):
            taken.append(frame)
            yield table[table["frame"] == frame]

    tables = []
    for gaps in gaps_by_part(parts(), longest=2, step_variance=1.0):
        tables.append(gaps)
        assert (gaps["frame"] == len(tables) - 1).all()
        assert len(taken) <= len(tables) + 3
    assert len(tables) == 30
    whole = next(gaps_by_part([table], longest=2, step_variance=1.0))
    assert len(whole) > 30
    pd.testing.assert_frame_equal(pd.concat(tables, ignore_index=True), whole)
