"""Sections on the movie, the suggested settings, tracking and drift."""

from __future__ import annotations

from typing import Any

import pandas as pd

from colloid_cg.records import CommonMotion
from colloid_cg.reporting.checks.tracking import linking_warning, listed, recording_warnings
from colloid_cg.reporting.content import ReportContent
from colloid_cg.reporting.figures.inspection import choice, figure_evidence
from colloid_cg.reporting.figures.movie import figure_frame, figure_frames
from colloid_cg.reporting.figures.tracking import (
    FAULTS,
    figure_detections,
    figure_drift,
    figure_faults,
    figure_image_check,
    figure_mass_and_size,
    figure_subpixel,
    figure_subpixel_bias,
    figure_turning,
)
from colloid_cg.reporting.numbers import percent, plain, short
from colloid_cg.reporting.sections.section import Picture, Section, Table, warning_line
from colloid_cg.reporting.stated import of_both_axes, resolved_root

STATED = "localisation error of one coordinate (root mean square)"


def movie_section(content: ReportContent) -> Section:
    """Show a frame with its detections, and how the picture changes over the movie."""
    if not content.frames:
        return Section(anchor="movie", title="The movie", missing="colloid-cg run VIDEO -o RUN")
    index, frame = content.frames[0]
    tracks = content.tracks
    detections = pd.DataFrame({"x": [], "y": []}) if tracks is None else on_the_camera(content, index)
    pixel_size = None if tracks is None else tracks.pixel_size
    pictures = [
        Picture(
            name="movie_frame",
            figure=figure_frame(frame, index, detections, pixel_size=pixel_size, diameter=diameter_of(content)),
            caption="A frame as recorded, with every detection that became part of a track circled. Particles without "
            "a circle were missed or belong to tracks that were too short.",
            wide=True,
        )
    ]
    if len(content.frames) > 1:
        pictures.append(
            Picture(
                name="movie_frames",
                figure=figure_frames(list(content.frames)[:4]),
                caption="Frames over the movie on one grey scale: a change of light or focus shows here.",
                wide=True,
            )
        )
    text = tuple(warning_line(f"{sentence}.") for sentence in recording_warnings(content))
    return Section(anchor="movie", title="The movie", text=text, pictures=tuple(pictures))


def on_the_camera(content: ReportContent, frame: int) -> pd.DataFrame:
    """Return x and y (px) of the detections of one frame where the camera saw them: removed drift is put back."""
    if content.tracks is None:
        return pd.DataFrame({"particle": [], "x": [], "y": []})
    found = content.tracks.at(frame)[["particle", "x", "y"]]
    motion = CommonMotion.parse(content.tracks.metadata.get("drift"))
    if not motion.removed or frame not in motion.frame:
        return found
    seen = motion.restored(found[["x", "y"]].to_numpy(dtype=float), frame)
    return found.assign(x=seen[:, 0], y=seen[:, 1])


def suggestion_of(content: ReportContent) -> dict[str, Any] | None:
    """Return what ``inspect`` or, failing that, ``track`` suggested."""
    stored = {} if content.tracks is None else content.tracks.metadata
    return content.suggestion or stored.get("suggestion")


def diameter_of(content: ReportContent) -> float | None:
    """Return the diameter that was used to locate particles, in px."""
    settings = {} if content.tracks is None else content.tracks.metadata.get("settings") or {}
    value = settings.get("diameter") or choice(suggestion_of(content) or {}, "diameter").get("value")
    return None if value is None else float(value)


def suggestion_section(content: ReportContent) -> Section:
    """Show why diameter, minmass and search range are what they are."""
    title = "Why these tracking settings"
    suggestion = suggestion_of(content)
    if not suggestion:
        return Section(anchor="settings", title=title, missing="colloid-cg inspect VIDEO")
    rows = tuple(
        (name, _shown(found.get("value")), str(found.get("reason", "")))
        for name, found in (suggestion.get("choices") or {}).items()
    )
    picture = Picture(
        name="suggestion",
        figure=figure_evidence(suggestion),
        caption="Left: at which size of blob the picture has its contrast. Middle: brightness of all candidates; those "
        "left of the line are taken for noise. Right: how far particles move between frames; links end at the line.",
        wide=True,
    )
    table = Table(head=("setting", "value", "reason"), rows=rows)
    found = (choice(suggestion, name).get("warning") for name in suggestion.get("choices") or {})
    warnings = tuple(warning_line(str(sentence)) for sentence in found if sentence)
    return Section(anchor="settings", title=title, text=warnings, pictures=(picture,), tables=(table,))


def _shown(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "–"}[value]
    return short(value) if isinstance(value, (int, float)) else str(value)


def tracking_section(content: ReportContent, quality: dict[str, Any] | None) -> Section:
    """Show the quality of tracking, and the drift."""
    if quality is None:
        return Section(anchor="tracking", title="Tracking quality", missing="colloid-cg track VIDEO -o RUN")
    pictures = [
        Picture(
            name="tracking_detections",
            figure=figure_detections(quality),
            caption="Left: detections that belong to a track, frame by frame. Right: how long tracks last.",
            wide=True,
        ),
        Picture(
            name="tracking_subpixel",
            figure=figure_subpixel(quality),
            caption="Positions modulo one pixel. Peaks or valleys mean that positions are drawn to pixel centres or "
            "edges (pixel locking), most often by too small a diameter.",
        ),
        Picture(
            name="tracking_mass_size",
            figure=figure_mass_and_size(quality),
            caption="Brightness and size of the detections. A second peak is a second kind of particle, or noise.",
        ),
    ]
    pictures += [*_fault_pictures(quality), *_drift_pictures(quality.get("drift"))]
    warning = linking_warning(content)
    return Section(
        anchor="tracking",
        title="Tracking quality",
        text=(warning_line(f"{warning}."),) if warning else (),
        pictures=tuple(pictures),
        tables=(_tracking_table(quality),),
    )


def _fault_pictures(quality: dict[str, Any]) -> list[Picture]:
    pictures = [
        Picture(
            name="tracking_faults",
            figure=figure_faults(quality),
            caption="Left: tracks that end, frame by frame; marked are frames that do not fit between their "
            "neighbours. Right: how much more likely each link is than the alternatives, as the linker saw it.",
            wide=True,
        )
    ]
    if quality.get("subpixel_bias"):
        pictures.append(
            Picture(
                name="tracking_subpixel_bias",
                figure=figure_subpixel_bias(quality["subpixel_bias"]),
                caption="Mean error of the position against where in its pixel the particle is, with a 90 % band: "
                "measured on spots painted with the width, height and noise of this movie.",
            )
        )
    return pictures


def _drift_pictures(drift: dict[str, Any] | None) -> list[Picture]:
    if not drift:
        return []
    pictures = [Picture(name="drift", figure=figure_drift(drift), caption=_drift_caption(drift))]
    if any(value for value in drift.get("rotation") or ()):
        removed = {"rigid": "The rotation was taken off.", "affine": "Both were taken off."}
        pictures.append(
            Picture(
                name="drift_rotation",
                figure=figure_turning(drift),
                caption="Rotation and uniform strain since the first frame, with 90 % bands that take particles as "
                f"independent. {removed.get(str(drift.get('kind')), 'Both were left in the positions.')}",
                wide=True,
            )
        )
    if (drift.get("check") or {}).get("images"):
        pictures.append(
            Picture(
                name="drift_images",
                figure=figure_image_check(drift),
                caption=f"The same drift from the tracks and from the pictures alone. {drift['check']['verdict']}",
                wide=True,
            )
        )
    return pictures


def _drift_caption(drift: dict[str, Any]) -> str:
    did = "It was taken off the positions" if drift.get("removed") else "It was left in the positions"
    reason = f" ({drift['reason']})" if drift.get("reason") else ""
    return f"Mean motion of all particles since the first frame, with its 90 % band. {did}{reason}."


def _tracking_table(quality: dict[str, Any]) -> Table:
    rows = [
        ("detections in tracks", f"{quality.get('n_detections', 0):,}"),
        ("tracks", f"{quality.get('n_tracks', 0):,}"),
        ("median track", f"{short(quality.get('median_track_length') or 0.0)} detections"),
        ("links that bridge a gap", percent(quality.get("after_gap_fraction"))),
        ("frames missed within tracks", percent(quality.get("gap_share"))),
        *_fault_rows(quality),
        ("displacement per frame and axis (root mean square)", f"{plain(quality.get('rms_step'))} px"),
        *_localisation_rows(quality),
    ]
    return Table(head=("quantity", "value"), rows=tuple(rows))


def _fault_rows(quality: dict[str, Any]) -> list[tuple[str, str]]:
    rows = []
    lost = quality.get("lost_tracks") or {}
    if lost.get("count"):
        where = "" if lost["share_at_edge"] is None else f", {percent(lost['share_at_edge'])} of them at the edge"
        rows.append(("tracks that end before the movie", f"{sum(lost['count']):,}{where}"))
        rows.append(("frames where many tracks end", listed(lost["many"])))
    for name, label in FAULTS.items():
        frames = (quality.get("dropped_frames") or {}).get(name)
        if frames:
            rows.append((label, listed(frames)))
    if quality.get("poor_fits"):
        rows.append(("frames with far more poor fits than usual", listed(quality["poor_fits"])))
    again = quality.get("second_look")
    if again:
        seen = f"{again['found']:,} of {again['missing']:,}"
        rows.append(("found on a second look, of those missing within tracks", seen))
    sure = quality.get("link_confidence")
    if sure:
        rows.append(("links with a confidence below 90 %", percent(sure["share_below_90"])))
    bias = quality.get("subpixel_bias")
    if bias:
        shown = f"{plain(bias['largest'])} px; {plain(bias['standard_error'])} px"
        rows.append(("sub-pixel bias (root mean square; what chance gives)", shown))
    return rows


def _localisation_rows(quality: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the stated and the observed error as the checklist compares them, each axis beside their mean."""
    found, both = quality.get("localisation") or {}, of_both_axes(quality.get("localisation"))
    rows: list[tuple[str, str]] = []
    if both is not None:
        by_axis = ", ".join(f"{axis} {plain(found[axis]['stated'])}" for axis in "xy" if axis in found)
        without = found.get("stated_left_out")
        beside = f"; {percent(without)} left out: infinite or absurdly large" if without else ""
        rows.append((f"{STATED}, stated by tracking", f"{plain(both['stated'])} px ({by_axis}{beside})"))
    elif quality.get("median_stated_sigma") is not None:
        rows.append(("localisation error of one coordinate, stated by tracking (median)",
                     f"{plain(quality['median_stated_sigma'])} px"))  # fmt: skip
    axes = [axis for axis in "xy" if axis in found]
    if axes:
        by_axis = ", ".join(f"{axis} {_observed(found[axis])}" for axis in axes)
        mean = f"{_observed(both)} ({by_axis})" if both is not None else by_axis
        rows.append((f"{STATED}, from displacements", mean))
    return rows


def _observed(part: dict[str, Any]) -> str:
    root = resolved_root(part["variance"], part["standard_error"])
    return "not resolved" if root is None else f"{plain(root)} px"
