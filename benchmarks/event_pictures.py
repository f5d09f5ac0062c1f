"""Events of real recordings drawn on what was recorded, for a person to judge.

hydrogel.mp4 (a swelling monolayer of hydrogel beads, 50 frames): the strongest events before, at and after their peak,
with four times the displacement from before to after that the neighbourhood does not share. jammed_shear (826 discs
in 14 steps of pure shear): D2min of the four steps with most events, particles of events circled. Writes
docs/pictures/events_hydrogel.png and docs/pictures/events_jammed.png.

    python -m benchmarks.event_pictures
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.record import data_folder
from benchmarks.structure_shear import shear
from colloid_cg.events import EventConfig, detect_events, event_fields
from colloid_cg.records import FrameStack, Trajectories
from colloid_cg.tracking import TrackConfig, track
from colloid_cg.video import open_video

PICTURES = Path(__file__).resolve().parents[1] / "docs" / "pictures"
REACH, APART, LONGER, SHOWN = 110.0, 5, 4.0, 4
"""Half the width of a crop (px), frames before onset and after the end, lengthening of arrows, events shown."""
CUTOFF = 130.0


def crop(axes: Axes, movie: FrameStack, places: pd.DataFrame, event: pd.Series, frame: int) -> None:
    """Draw a part of one frame, its detections as dots and those of the event as circles."""
    axes.imshow(np.asarray(movie[frame]), cmap="gray")
    axes.plot(places["x"], places["y"], ".", color="cyan", markersize=3)
    own = places[places.index.isin(event["particles"])]
    axes.plot(own["x"], own["y"], "o", markerfacecolor="none", markeredgecolor="red", markersize=15)
    axes.set(xlim=(event["x"] - REACH, event["x"] + REACH), ylim=(event["y"] + REACH, event["y"] - REACH))
    axes.set_title(f"{event['id']}, frame {frame} {event['flags']}", fontsize=9)
    axes.set_axis_off()


def arrows(axes: Axes, before: pd.DataFrame, after: pd.DataFrame, event: pd.Series) -> None:
    """Draw displacements less their median around the event."""
    start, end = before.align(after, join="inner")
    near = np.hypot(start["x"] - event["x"], start["y"] - event["y"]) < REACH
    start, moved = start[near], (end - start)[near]
    moved = LONGER * (moved - moved.median())
    axes.quiver(start["x"], start["y"], moved["x"], moved["y"], angles="xy", scale_units="xy", scale=1.0, color="gold")


def hydrogel() -> None:
    movie = open_video(data_folder() / "videos" / "hydrogel.mp4", pixel_size=1.0, frame_interval=1.0)
    tracks = track(movie, TrackConfig())
    events = detect_events(tracks).table.nsmallest(SHOWN, "p_value")
    seen = tracks.as_seen()
    figure = Figure(figsize=(8.4, 2.9 * len(events)), layout="constrained")
    grid = figure.subplots(len(events), 3, squeeze=False)
    for row, (_, event) in zip(grid, events.iterrows(), strict=True):
        times = (event["t_on"] - APART, event["t_peak"], event["t_off"] + APART)
        frames = [int(np.clip(t, 0, tracks.n_frames - 1)) for t in times]
        places = [seen.at(frame).set_index("particle")[["x", "y"]] for frame in frames]
        for axes, frame, at in zip(row, frames, places, strict=True):
            crop(axes, movie, at, event, frame)
        arrows(row[0], places[0], places[2], event)
    figure.savefig(PICTURES / "events_hydrogel.png", dpi=80)
    print(events[["id", "t_on", "t_off", "n_particles", "amplitude", "p_value", "q_value", "flags"]].to_string())


def jammed() -> None:
    tracks: Trajectories = shear()
    config = EventConfig(cutoff=CUTOFF, lag=1)
    fields = event_fields(tracks, config)
    events = detect_events(tracks, config, fields=fields).table
    most = events["t_peak"].value_counts().index[:4].sort_values()
    figure = Figure(figsize=(11, 10), layout="constrained")
    for axes, frame in zip(figure.subplots(2, 2).ravel(), most, strict=True):
        here = tracks.at(frame).merge(fields[fields["frame"] == frame], on="particle")
        size = np.where(here["species"] == here["species"].max(), 60, 30)
        axes.scatter(here["x"], here["y"], s=size, color="lightgrey")
        known = here["d2min"].notna()
        points = axes.scatter(
            here["x"][known], here["y"][known], s=size[known], c=np.log10(here["d2min"][known]), cmap="plasma"
        )
        own = events[events["t_peak"] == frame]
        moved = here[here["particle"].isin({k for group in own["particles"] for k in group})]
        axes.scatter(moved["x"], moved["y"], s=110, facecolors="none", edgecolors="black")
        for _, event in own.iterrows():
            axes.annotate(event["id"], (event["x"], event["y"]), color="black", fontsize=9, weight="bold")
        axes.set(title=f"step {frame}: {len(own)} events", aspect="equal", xlabel="x (px)", ylabel="y (px)")
        axes.invert_yaxis()
        figure.colorbar(points, ax=axes, label="log10 D2min (px2)")
    figure.savefig(PICTURES / "events_jammed.png", dpi=80)
    print(events[["id", "n_particles", "amplitude", "p_value", "q_value"]].to_string())


def main() -> None:
    jammed()
    hydrogel()


if __name__ == "__main__":
    main()
