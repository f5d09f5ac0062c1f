"""A soft glass from video, at two levels of noise: events of the tracks against those of the true positions.

The truth is the same detector's D2min on noise-free positions at the frame times, cut at an amplitude A, the realised
threshold of the detector on the tracks. Recall is over true events of at least 1.5 A; an event is false if no true
event of at least .67 A lies within 2 d and 3 frames. Bare cuts of D2min stand beside it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from benchmarks.event_movies import KEPT
from benchmarks.event_scores import (
    BARE,
    FDR,
    GATE_DIAMETERS,
    GATE_FRAMES,
    detected,
    pairs,
    wilson,
)
from benchmarks.inference_video import command
from benchmarks.record import Record
from colloid_cg.events import event_fields
from colloid_cg.records import Trajectories
from colloid_cg.store import read_trajectories

SEEDS = (41, 42, 43)
SURE, FAINT = 1.5, 0.67
DIAMETER = 16.0
"""Of the small discs, px."""
STUDY = """
[twin]
n_frames = 500
width = 600
height = 600
frame_interval = "100 ms"
repulsion = 3000.0
area_fraction = 0.88
drive = "none"
"""
LEVELS = {
    "bright": "[track]\nsize_classes = 2\n",
    "faint": """[twin.camera]
amplitude = 21.0
psf_sigma = 4.0
[track]
shape = "spot"
refine = "joint"
size_classes = 2
diameter = 17
invert = false
separation = 11.0
threshold = 3.0
minmass = 150.0
search_range = 7.0
minimum_length = 10
""",
}
"""Errors of .004 and .03 diameters."""


def glass_run(seed: int, level: str) -> tuple[Path, Path]:
    """Film and track one glass, unless that was done before; return the folders of the twin and the run."""
    folder = KEPT / f"glass_{level}{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "study.toml").write_text(f"seed = {seed}\n{STUDY}{LEVELS[level]}")
    if not (folder / "run" / "trajectories.parquet").is_file():
        if not (folder / "twin" / "movie.ome.tif").is_file():
            command("twin", "soft_glass", "-o", "twin", "--config", "study.toml", folder=folder)
        command("track", "twin/movie.ome.tif", "-o", "run", "--config", "study.toml", "--workers", "1", folder=folder)
    return folder / "twin", folder / "run"


def true_tracks(twin: Path, like: Trajectories) -> Trajectories:
    """Return the noise-free positions at the frame times as trajectories."""
    table = pd.read_parquet(twin / "truth.parquet", columns=["frame", "particle", "x_start", "y_start", "species"])
    table = table.rename(columns={"x_start": "x", "y_start": "y"})
    view = like.field_of_view
    inside = np.logical_and.reduce(
        [table[axis].between(view.lower[k], view.upper[k]) for k, axis in enumerate(("x", "y"))]
    )
    return Trajectories(
        table=table[inside], pixel_size=like.pixel_size, frame_interval=like.frame_interval, n_frames=like.n_frames,
        field_of_view=view,
    )  # fmt: skip


def glass_figures(levels: tuple[str, ...] = tuple(LEVELS), seeds: tuple[int, ...] = SEEDS) -> list[dict[str, Any]]:
    """Return recall and share of false events, of the detector and of bare cuts."""
    record = Record("events")
    for level in levels:
        sums = pd.DataFrame([row for seed in seeds for row in _scored(seed, level)])
        for method, rows in sums.groupby("method", sort=False):
            k, n = int(rows["recalled"].sum()), int(rows["sure"].sum())
            false, called = int(rows["false"].sum()), int(rows["called"].sum())
            ours = method == "detector"
            amplitude = ", ".join(f"{each:.3f}" for each in rows["amplitude"] / DIAMETER / 0.1)
            record.add(f"soft glass from video, {level}, {method}: recall of true events from {SURE:g} A",
                       k / max(n, 1), target=0.9 if ours else None, better="higher", interval=wilson(k, n),
                       note=f"of {n} in seeds {seeds}; A = {amplitude} d")  # fmt: skip
            record.add(f"soft glass from video, {level}, {method}: share of events that are true",
                       1.0 - false / max(called, 1), target=0.9 if ours else None, better="higher",
                       interval=wilson(called - false, called),
                       note=f"of {called}; false: no true event from {FAINT:g} A within {GATE_DIAMETERS:g} d and "
                       f"{GATE_FRAMES} frames")  # fmt: skip
    return record.figures


def _scored(seed: int, level: str) -> list[dict[str, Any]]:
    twin, run = glass_run(seed, level)
    tracks = read_trajectories(run / "trajectories.parquet")
    fields, events = detected(tracks)
    called = events[FDR[0]]
    true = true_tracks(twin, tracks)
    ideal = event_fields(true)
    amplitude = _threshold(called, fields)
    scores = []
    choices: list[tuple[str, pd.DataFrame, float]] = [("detector", called, amplitude)]
    for name, cut in (("usual", BARE * (DIAMETER * tracks.pixel_size) ** 2), ("same", amplitude**2)):
        bare = peaks(tracks, fields["d2min"].to_numpy(), cut)
        choices.append((f"bare cut, {name} threshold", bare, float(np.sqrt(cut))))
    for method, found, level_of in choices:
        truth = peaks(true, ideal["d2min"].to_numpy(), (FAINT * level_of) ** 2)
        near = pairs(found, truth, distance=GATE_DIAMETERS * DIAMETER)[1]
        sure = truth[truth["amplitude"] >= SURE * level_of]
        partner = pairs(found, sure, distance=GATE_DIAMETERS * DIAMETER)[0]
        scores.append({
            "method": method, "amplitude": level_of, "sure": len(sure), "recalled": int((partner >= 0).sum()),
            "called": len(found), "false": int((~near).sum()), "seed": seed,
        })  # fmt: skip
        print(scores[-1], flush=True)
    return scores


def _threshold(called: pd.DataFrame, fields: pd.DataFrame) -> float:
    """Return the square root of the D2min per bond (um) that has the largest p-value called, half of it for D2min."""
    tested = fields.dropna(subset=["d2min_p"]).sort_values("d2min_p")
    cut = float(called["p_value"].max()) / 2.0 if len(called) else 1e-6
    # The middle of the hundred values with p-values nearest to the cut: neighbourhoods differ.
    place = int(np.searchsorted(tested["d2min_p"], cut))
    return float(np.sqrt(tested["d2min"].iloc[max(place - 50, 0) : place + 50].median()))


def peaks(tracks: Trajectories, value: np.ndarray, cut: float) -> pd.DataFrame:
    """Return particle-frames with D2min above a cut and no larger value within the gates.

    Columns x, y (px), frame, t_peak, duration, amplitude (um); the largest is taken first, and what lies within the
    gates of one that was taken belongs to it.
    """
    rows = np.flatnonzero(np.nan_to_num(value) >= cut)
    rows = rows[np.argsort(-value[rows], kind="stable")]
    table = tracks.table.iloc[rows][["frame", "x", "y"]].assign(amplitude=np.sqrt(value[rows]))
    places, frame = table[["x", "y"]].to_numpy(), table["frame"].to_numpy()
    scaled = np.column_stack([places / (GATE_DIAMETERS * DIAMETER), frame / GATE_FRAMES])
    near = cKDTree(scaled).query_ball_point(scaled, np.sqrt(2.0) + 1e-9) if len(table) else []
    taken, chosen = np.zeros(len(table), dtype=bool), []
    for one, others in enumerate(near):
        if taken[one]:
            continue
        chosen.append(one)
        close = np.asarray(others)
        apart = np.linalg.norm(places[close] - places[one], axis=1)
        gates = (apart <= GATE_DIAMETERS * DIAMETER) & (np.abs(frame[close] - frame[one]) <= GATE_FRAMES)
        taken[close[gates]] = True
    return table.iloc[chosen].assign(t_peak=frame[chosen], duration=1).reset_index(drop=True)
