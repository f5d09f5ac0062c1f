"""From a movie to trajectories: suggest, locate, link, filter, remove drift, assemble."""

from __future__ import annotations

from typing import Any

import pandas as pd

from colloid_cg.errors import DataError, InputError
from colloid_cg.progress import Progress, silent
from colloid_cg.records import Box, FrameStack, Trajectories
from colloid_cg.tracking.config import SUGGESTED, TrackConfig, check_against
from colloid_cg.tracking.drift import remove_common_motion
from colloid_cg.tracking.linking import keep_good, keep_long, link_reported, mark_gaps, renumbered
from colloid_cg.tracking.locate import locate
from colloid_cg.tracking.suggest import Suggestion, resolve, suggest


def track(stack: FrameStack, config: TrackConfig | None = None, *, progress: Progress = silent) -> Trajectories:
    """Track a movie: what the settings leave open is decided from the movie.

    Parameters
    ----------
    stack : FrameStack
        With known pixel size and frame interval.
    config : TrackConfig, optional
    progress : callable
        Called with (done, total) frames located.

    Returns
    -------
    Trajectories
        ``metadata`` holds the resolved settings, the counts, the drift and, where something was suggested, why.
    """
    config = config or TrackConfig()
    check_against(config, stack)
    require_calibration(stack)
    suggestion: Suggestion | None = None
    if any(getattr(config, name) is None for name in SUGGESTED):
        suggestion = suggest(stack, config)
        config = resolve(config, suggestion)
    detections = locate(stack, config, suggestion.image_model if suggestion else None, progress=progress)
    if detections.empty:
        raise _no_particles(stack, config)
    tracks = assemble(detections, stack, config)
    if suggestion is None:
        return tracks
    return tracks.with_table(tracks.table, metadata=tracks.metadata | {"suggestion": suggestion.as_dict()})


def assemble(detections: pd.DataFrame, stack: FrameStack, config: TrackConfig) -> Trajectories:
    """Link detections (unless they carry ``particle`` already), filter, remove the drift and build the record.

    Raises
    ------
    InputError
        If pixel size or frame interval are unknown.
    """
    require_calibration(stack)
    counts: dict[str, Any] = {"n_detections": len(detections)}
    if "particle" in detections.columns:
        linked = detections
    else:
        linked, report = link_reported(detections, config)
        counts["adaptive_stop"] = report.adaptive_stop
    counts["n_tracks_before"] = int(linked["particle"].nunique())
    table = keep_long(linked, config.minimum_length or 1)
    counts["n_tracks_after"] = int(table["particle"].nunique())
    table = mark_gaps(renumbered(keep_good(table, config)))
    counts |= {"n_tracks_kept": int(table["particle"].nunique()), "n_detections_kept": len(table)}
    table, motion = remove_common_motion(table, config)
    box = Box(lower=(-0.5, -0.5), upper=(stack.width - 0.5, stack.height - 0.5), periodic=(False, False))
    return Trajectories(
        table=table,
        pixel_size=float(stack.pixel_size or 0.0),
        frame_interval=float(stack.frame_interval or 0.0),
        exposure=stack.exposure,
        field_of_view=box,
        n_frames=stack.n_frames,
        metadata={
            "source": stack.source,
            "engine": config.engine,
            "settings": config.as_dict(),
            "counts": counts,
            "drift": motion.as_dict(),
        },
    )


def require_calibration(stack: FrameStack) -> None:
    """Refuse a movie without pixel size or frame interval: trajectories carry both.

    Raises
    ------
    InputError
        Naming the missing value and how to give it.
    """
    for name, words, example in (
        ("pixel_size", "pixel size", "0.108 um"),
        ("frame_interval", "frame interval", "10 ms"),
    ):
        if getattr(stack, name) is None:
            option = "--" + name.replace("_", "-")
            raise InputError(
                f"a missing {words} in {stack.source or 'the movie'}",
                expected=f"the {words} in the file or in the settings",
                action=f"pass {option} '{example}' or set video.{name}",
            )


def _no_particles(stack: FrameStack, config: TrackConfig) -> DataError:
    kind = "dark" if config.invert else "bright"
    return DataError(
        f"no {kind} particles in {stack.n_frames} frames of {stack.source or 'the movie'}",
        expected=f"particles about {config.diameter} px across with a mass above {config.minmass:g}",
        action=f"lower track.minmass, or set track.invert = {str(not config.invert).lower()}, or change track.diameter",
    )
