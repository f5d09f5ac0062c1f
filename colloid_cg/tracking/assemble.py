"""From a movie to trajectories: suggest, locate, link, filter, remove drift, assemble."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from colloid_cg.errors import DataError, InputError
from colloid_cg.progress import Progress, silent
from colloid_cg.records import Box, CommonMotion, FrameStack, Trajectories
from colloid_cg.tracking.config import SUGGESTED, TrackConfig, check_against
from colloid_cg.tracking.drift import check_with_images, estimate_motion
from colloid_cg.tracking.finishing import NEEDED, Finisher, Parts, Survey, surveyed
from colloid_cg.tracking.image_model import ImageModel
from colloid_cg.tracking.link_parts import link_whole
from colloid_cg.tracking.linking import renumbered
from colloid_cg.tracking.locate import locate
from colloid_cg.tracking.noise_model import estimate_image_model
from colloid_cg.tracking.second_look import look_again, missing_by_part, surveyed_again, with_refound
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
    model = suggestion.image_model if suggestion else None
    if model is None and config.engine == "native":
        model = estimate_image_model(stack, config)
    detections = locate(stack, config, model, progress=progress)
    if detections.empty:
        raise _no_particles(stack, config)
    tracks = assemble(detections, stack, config, model)
    if suggestion is None:
        return tracks
    return tracks.with_table(tracks.table, metadata=tracks.metadata | {"suggestion": suggestion.as_dict()})


def assemble(
    detections: pd.DataFrame,
    stack: FrameStack,
    config: TrackConfig,
    model: ImageModel | None = None,
    *,
    metadata: Mapping[str, Any] | None = None,
) -> Trajectories:
    """Link detections (unless they carry ``particle`` already), filter, remove the drift and build the record.

    The passes are those that a movie too long for memory goes through part by part, here over one part.

    Parameters
    ----------
    detections : pandas.DataFrame
        From :func:`locate`.
    stack : FrameStack
        Its frames are read for ``config.refind`` and ``config.drift_images`` alone.
    config : TrackConfig
        Complete settings.
    model : ImageModel, optional
        The one the movie was located with, for ``config.refind``; estimated from the movie where it is not given.
    metadata : mapping, optional
        JSON-able; goes into the metadata of the record beside what tracking says itself.

    Raises
    ------
    InputError
        If pixel size or frame interval are unknown.
    DataError
        If nothing is left.
    """
    require_calibration(stack)
    table = detections.sort_values("frame", kind="stable").reset_index(drop=True)
    counts: dict[str, Any] = {}
    if "particle" in table.columns:
        linked = renumbered(table)
        tracks = surveyed([linked], config.model_copy(update={"close_gaps": 0}))
    else:
        require_detections(len(table))
        linked, counts = link_whole(table, config)
        tracks = surveyed([linked], config)
    if config.refind:
        linked, tracks, seen_again = _looked_again(linked, tracks, stack, config, model)
        counts = counts | seen_again

    def parts(columns: Sequence[str] | None = None) -> Iterator[pd.DataFrame]:
        yield linked

    assembly = finish(parts, tracks, stack, config, counts, metadata)
    return assembly.header.with_table(pd.concat(list(assembly.tables(parts)), ignore_index=True))


def _looked_again(
    linked: pd.DataFrame, tracks: Survey, stack: FrameStack, config: TrackConfig, model: ImageModel | None
) -> tuple[pd.DataFrame, Survey, dict[str, int]]:
    """Add what a second look finds to linked detections and to their survey; also returns the counts."""

    def parts(columns: Sequence[str] | None = None) -> Iterator[pd.DataFrame]:
        yield linked

    missing = pd.concat(list(missing_by_part(parts, tracks, config)), ignore_index=True)
    model = estimate_image_model(stack, config) if model is None else model
    found = look_again(missing, linked, stack, config, model=model, tracks=tracks)
    counts = {"n_missing": len(missing), "n_refound": len(found)}
    return with_refound(linked, found), surveyed_again(tracks, [found]), counts


@dataclass(frozen=True, eq=False)
class Assembly:
    """Trajectories whose rows are made on demand.

    Parameters
    ----------
    header : Trajectories
        Calibration, settings, counts and drift; no rows.
    tables : callable
        Goes through the linked parts it is given and yields the finished tables; may be called again.
    """

    header: Trajectories
    tables: Callable[[Parts], Iterator[pd.DataFrame]]


def finish(
    parts: Parts,
    tracks: Survey,
    stack: FrameStack,
    config: TrackConfig,
    counts: dict[str, Any],
    metadata: Mapping[str, Any] | None = None,
) -> Assembly:
    """Go through linked parts once to measure the drift and to count; the rows follow on demand.

    Parameters
    ----------
    parts : callable
        Linked detections part by part.
    tracks : Survey
        Of the same parts.
    stack : FrameStack
        Gives calibration, size and length of the movie; its frames are read for ``config.drift_images`` alone.
    config : TrackConfig
    counts : dict
        What linking counted; goes into the metadata with the counts of the filters.
    metadata : mapping, optional
        More metadata, JSON-able.
    """
    finisher = Finisher(tracks, config)

    def finished() -> Iterator[pd.DataFrame]:
        for part in parts(NEEDED):
            yield finisher.finish(part)
        finisher.require_some()

    motion = common_motion(finished(), config)
    drift = motion.as_dict()
    if config.drift_images:
        drift["check"] = check_with_images(stack, motion, diameter=float(config.diameter or 9))
    counts = {
        "n_detections": tracks.n_detections,
        **counts,
        "n_tracks_before": tracks.n_tracks,
        "n_gaps_closed": tracks.n_joins,
        "n_tracks_after": int(finisher.n_long),
        "n_tracks_kept": finisher.n_tracks,
        "n_detections_kept": finisher.n_detections,
    }

    def tables(parts: Parts) -> Iterator[pd.DataFrame]:
        again = Finisher(tracks, config)
        for part in parts():
            yield motion.remove(again.finish(part))

    box = Box(lower=(-0.5, -0.5), upper=(stack.width - 0.5, stack.height - 0.5), periodic=(False, False))
    header = Trajectories(
        table=pd.DataFrame({name: np.empty(0) for name in ("frame", "particle", "x", "y")}),
        pixel_size=float(stack.pixel_size or 0.0),
        frame_interval=float(stack.frame_interval or 0.0),
        exposure=stack.exposure,
        field_of_view=box,
        n_frames=stack.n_frames,
        metadata={
            **(metadata or {}),
            "source": stack.source,
            "engine": config.engine,
            "settings": config.as_dict(),
            "counts": counts,
            "drift": drift,
        },
    )
    return Assembly(header=header, tables=tables)


def common_motion(parts: Iterator[pd.DataFrame], config: TrackConfig) -> CommonMotion:
    """Return the common motion of finished parts, of which ``config.drift`` is to be taken off."""
    motion = estimate_motion(
        parts,
        kind=config.drift,
        minimum_particles=config.drift_minimum_particles,
        smoothing=config.drift_smoothing,
    )
    return motion.kept("track.drift = 'none'") if config.drift == "none" else motion


def require_detections(count: int) -> None:
    """Refuse to link nothing.

    Raises
    ------
    DataError
        Naming the settings to change.
    """
    if not count:
        raise DataError(
            "no detections to link",
            expected="at least one particle in the movie",
            action="lower track.minmass, or check track.invert and track.diameter",
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
