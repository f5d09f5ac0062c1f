"""Linking: speed, equality with trackpy wherever trackpy succeeds, and the truth where it is known."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pandas as pd
import trackpy
from trackpy.linking.utils import SubnetOversizeException

from benchmarks import synthetic
from benchmarks.locating import TRACKPY, by_trackpy, located, settings
from benchmarks.record import Record
from benchmarks.timing import cpu
from colloid_cg.tracking import (
    TrackConfig,
    link,
    links_by_step,
    locate,
    score_links_of_rows,
    score_tracks,
)
from colloid_cg.tracking.linking import Linker
from colloid_cg.video import open_video

PUBLISHED = {"diameter": 11, "minmass": 20, "invert": True, "separation": 12, "threshold": 1}
SMALL_DISC, LARGE_DISC = 20.0, 29.0  # radii in px


def link_settings(search_range: float, *, memory: int, like_trackpy: bool = True) -> TrackConfig:
    """Return settings for linking alone; like trackpy: no prediction, and a search range that ignores gaps."""
    rules = {"prediction": "none", "gap_growth": 0.0} if like_trackpy else {}
    return TrackConfig(
        search_range=search_range, memory=memory, diameter=9, invert=False, minmass=0.0, separation=9.0,
        threshold=0.0, minimum_length=1, **rules,
    )  # fmt: skip


def link_all(table: pd.DataFrame, config: TrackConfig) -> np.ndarray:
    """Return the track of each row of a table sorted by frame."""
    linker = Linker(config)
    start = np.flatnonzero(np.diff(table["frame"].to_numpy(), prepend=-1))
    frames, points = table["frame"].to_numpy()[start], table[["x", "y"]].to_numpy()
    parts = np.split(points, start[1:])
    return np.concatenate([linker.add(int(frame), part).particle for frame, part in zip(frames, parts, strict=True)])


def peer_links(table: pd.DataFrame, search_range: float, memory: int) -> np.ndarray:
    """Return the track of each row by trackpy."""
    linked = trackpy.link(table[["frame", "x", "y"]], search_range, memory=memory)
    return linked["particle"].sort_index().to_numpy()


def links_of(table: pd.DataFrame, particle: np.ndarray) -> set[tuple[int, int]]:
    """Return the links as pairs of rows."""
    order = np.lexsort((table["frame"].to_numpy(), particle))
    joined = np.diff(particle[order]) == 0
    return set(zip(order[:-1][joined].tolist(), order[1:][joined].tolist(), strict=True))


def compare(record: Record, label: str, table: pd.DataFrame, *, search_range: float, memory: int) -> None:
    """Record speed and equality of links and tracks."""
    table = table.reset_index(drop=True)
    config = link_settings(search_range, memory=memory)
    n, own = len(table), link_all(table, config)
    # The slow one once, after a few frames that compile it, and between the runs of the other.
    peer_links(table[table["frame"] < 3], search_range, memory)
    seconds = cpu(lambda: link_all(table, config), repeats=4)
    started = time.process_time()
    peer = peer_links(table, search_range, memory)
    theirs = time.process_time() - started
    seconds = min(seconds, cpu(lambda: link_all(table, config), repeats=4))
    whole = cpu(lambda: link(table, config), repeats=2)
    record.add(f"linking {label}", n / seconds / 1e3, unit="1000 detections/s", target=700.0, better="higher",
               peer=TRACKPY, peer_value=n / theirs / 1e3,
               note=f"{n} detections, search range {search_range:g} px, memory {memory}; with the table around it "
               f"{n / whole / 1e3:.0f}")  # fmt: skip
    differing = len(links_of(table, own) ^ links_of(table, peer))
    record.add(f"linking {label}: links that differ from trackpy's", differing, target=[0, 0],
               note=f"of {len(links_of(table, peer))}")  # fmt: skip
    tracks, expected = len(np.unique(own)), len(np.unique(peer))
    record.add(f"linking {label}: tracks", tracks, target=[expected] * 2, peer=TRACKPY, peer_value=expected)


def synthetic_links(record: Record) -> None:
    """Small and large steps against the distance of neighbours, missed and false detections included."""
    easy, hard = synthetic.easy_links(), synthetic.hard_links()
    compare(record, "easy", easy, search_range=4.0, memory=2)
    compare(record, "hard", hard, search_range=5.0, memory=2)
    frame, truth = hard["frame"].to_numpy(), hard["truth"].to_numpy()
    for search_range in (7.0, 9.0, 12.0):
        linked = link(hard, link_settings(search_range, memory=2, like_trackpy=False))
        scores = score_links_of_rows(
            linked["frame"].to_numpy(), linked["truth"].to_numpy(), linked["particle"].to_numpy()
        )
        peer = recall_of_trackpy(hard, frame, truth, search_range)
        confidence = float(linked["link_confidence"].mean())
        note = f"precision {scores.precision:.4f}, mean stated confidence of a link {confidence:.4f}, true share "
        note += f"{(scores.n_correct + scores.n_correct_gaps) / (scores.n_found + scores.n_found_gaps):.4f}"
        note += "" if peer is not None else "; trackpy gives up (subnetwork too large)"
        record.add(f"linking hard, search range {search_range:g} px: recall of links", scores.recall,
                   peer=TRACKPY if peer is not None else None, peer_value=peer, note=note)  # fmt: skip


def recall_of_trackpy(table: pd.DataFrame, frame: np.ndarray, truth: np.ndarray, search_range: float) -> float | None:
    """Return the share of true links that trackpy finds; None where it gives up."""
    try:
        return score_links_of_rows(frame, truth, peer_links(table, search_range, 2)).recall
    except SubnetOversizeException:
        return None


def real_links(record: Record, data: Path) -> None:
    """Link the detections of the published bulk_water walkthrough."""
    config = TrackConfig(engine="trackpy", precision="trackpy", search_range=5, minimum_length=1, **PUBLISHED)
    stack = open_video(data / "bulk_water/bulk_water_green.tif", pixel_size=100 / 285.0, frame_interval=1 / 24)
    compare(record, "bulk_water", locate(stack, config)[["frame", "x", "y"]], search_range=5.0, memory=3)


def jammed_shear(record: Record, data: Path) -> None:
    """Shuffle the discs of every step and find their ids again."""
    files = sorted((data / "jammed_shear").glob("*ParticleData.dlm"))
    steps = [np.loadtxt(file, delimiter=",", usecols=(0, 1, 2)) for file in files]
    rng = np.random.default_rng(0)
    table = pd.concat(
        [
            pd.DataFrame(rng.permutation(step), columns=["truth", "x", "y"]).assign(frame=number)
            for number, step in enumerate(steps)
        ],
        ignore_index=True,
    )
    for reach, words in ((SMALL_DISC, "radius of a small disc"), (2 * SMALL_DISC, "diameter of a small disc")):
        linked = link(table, link_settings(reach, memory=0, like_trackpy=False))
        arrays = [linked[name].to_numpy() for name in ("frame", "truth", "particle")]
        scores, by_step = score_links_of_rows(*arrays), links_by_step(*arrays)
        recall = ", ".join(f"{value:.4f}" for value in by_step["recall"])
        precision = ", ".join(f"{value:.4f}" for value in by_step["precision"])
        label = f"jammed_shear, search range {reach:g} px ({words})"
        record.add(f"{label}: recall of links", scores.recall, target=0.999, better="higher",
                   note=f"{len(files)} steps of {len(steps[0])} discs; per step {recall}")  # fmt: skip
        record.add(f"{label}: precision of links", scores.precision, target=0.999, better="higher",
                   note=f"per step {precision}")  # fmt: skip


def whole_tracks(record: Record) -> None:
    """Track frames A from pixels to tracks and score with the measures of the particle-tracking challenge."""
    scene = synthetic.sparse_scene(500, 512, 40, seed=3)
    theirs = by_trackpy(scene)
    theirs = theirs.assign(particle=peer_links(theirs, 4.5, 3))
    for words, given in (("", {"separation": 7.0}), (", separation suggested", {})):
        started = time.process_time()
        config, model = settings(scene, search_range=4.5, **given)
        own = link(located(scene, config, model), config)
        seconds = time.process_time() - started
        for gate in ("5 px", "d/4"):
            found, peer = (score_tracks(scene.truth, table, gate=gate, diameter=9) for table in (own, theirs))
            for name in ("alpha", "beta", "jsc", "jsc_theta", "rmse"):
                note = f"40 frames of 500 particles, refine {config.refine}, separation {config.separation:g} px, "
                note += f"{seconds:.1f} s; trackpy with separation 7 px"
                record.add(f"tracks A{words}, gate {gate}: {name}", getattr(found, name),
                           unit="px" if name == "rmse" else "", peer=TRACKPY, peer_value=getattr(peer, name),
                           note=note if name == "alpha" else "")  # fmt: skip
