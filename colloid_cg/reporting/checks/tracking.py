"""Checks on the recording and on tracking."""

from __future__ import annotations

from typing import Any

import numpy as np

from colloid_cg.records import CommonMotion
from colloid_cg.reporting.checks.check import BAD, GOOD, LOOK, NOT_RUN, Check, judged
from colloid_cg.reporting.checks.localisation import localisation_check
from colloid_cg.reporting.content import ReportContent
from colloid_cg.reporting.numbers import percent, plain, short
from colloid_cg.video import doubts

LOCKING_GOOD, LOCKING_LOOK = 0.1, 0.3
DRIFT_GOOD, DRIFT_LOOK = 0.1, 0.5
STEP_GOOD, STEP_LOOK = 0.3, 0.5
COUNT_GOOD, COUNT_LOOK = 0.1, 0.3
SIGNIFICANT = 3.0
FAULT_WORDS = {
    "repeated": "repeated:",
    "missing": "missing before:",
    "jump": "the field jumps:",
    "dip": "few detections:",
}


def tracking_checks(content: ReportContent, quality: dict[str, Any] | None) -> list[Check]:
    """Return the checks on recording and tracking."""
    checks = [*scale_check(content), exposure_check(content), *completeness_check(content)]
    if quality is None:
        missing = "no trajectories yet"
        return [
            *checks,
            Check(question="Is tracking sound?", found=missing, expected="", verdict=NOT_RUN, section="tracking"),
        ]
    return [
        *checks,
        locking_check(quality),
        count_check(quality),
        *step_check(content, quality),
        drift_check(quality),
        *strain_check(quality),
        *image_check(quality),
        *frames_check(quality),
        *fits_check(quality),
        *sizes_check(quality),
        *localisation_check(quality),
    ]


def recording_warnings(content: ReportContent) -> list[str]:
    """Return what is hard to believe of the recording: its scales, the numbers of its files."""
    length, time = _scale_warnings(content)
    return list(dict.fromkeys([*length, *time, *(_metadata(content).get("warnings") or ())]))


def _scale_warnings(content: ReportContent) -> tuple[list[str], list[str]]:
    source = str(_metadata(content).get("frame_interval_source") or "")
    length = [] if content.tracks is None else doubts(content.tracks.pixel_size, "")
    return length, doubts(None, source)


def _metadata(content: ReportContent) -> dict[str, Any]:
    """Return what the movie said of itself when it was opened."""
    return ((content.run or {}).get("input") or {}).get("metadata") or {}


def scale_check(content: ReportContent) -> list[Check]:
    """Are the scales of length and time those of the recording?"""
    tracks, (length, time) = content.tracks, _scale_warnings(content)
    if tracks is None:
        return []
    scales = f"{short(tracks.pixel_size)} µm per pixel, one frame every {short(1e3 * tracks.frame_interval)} ms"
    return [
        Check(
            question="Are the scales of length and time those of the recording?",
            found="; ".join([scales, *length, *time]),
            expected="the pixel of a microscope, and the frame rate of the camera rather than of a player",
            verdict=BAD if length else LOOK if time else GOOD,
            section="movie",
        )
    ]


def completeness_check(content: ReportContent) -> list[Check]:
    """Did opening the recording warn of anything but its scales, such as missing images?"""
    length, time = _scale_warnings(content)
    left = [sentence for sentence in recording_warnings(content) if sentence not in (*length, *time)]
    if not left:
        return []
    return [
        Check(
            question="Is the recording complete?",
            found="; ".join(left),
            expected="no warning when it was opened",
            verdict=LOOK,
            section="movie",
        )
    ]


def exposure_check(content: ReportContent) -> Check:
    """Is the exposure known? From one camera, localisation variance and blur cannot be told apart."""
    question, expected = "Is the exposure time known?", "known: else blur and localisation error cannot be told apart"
    source = content.tracks.exposure if content.tracks is not None else (content.run or {}).get("exposure")
    if source is not None:
        found = f"{plain(1e3 * float(source))} ms"
        return Check(question=question, found=found, expected=expected, verdict=GOOD, section="movie")
    found = "unknown: an assumption stands in for it"
    return Check(question=question, found=found, expected=expected, verdict=LOOK, section="movie")


def locking_check(quality: dict[str, Any]) -> Check:
    """Pixel locking: modulation of the sub-pixel histograms, against what chance gives."""
    locking = quality.get("locking") or {}
    worst = max(float(locking.get("x") or 0.0), float(locking.get("y") or 0.0))
    noise = 1.5 * float(locking.get("noise") or 0.0)
    return Check(
        question="Are positions drawn to pixel centres (pixel locking)?",
        found=f"sub-pixel modulation {percent(worst)}",
        expected=f"below {percent(max(LOCKING_GOOD, noise))}",
        verdict=judged(worst, good=max(LOCKING_GOOD, noise), look=max(LOCKING_LOOK, 2.0 * noise)),
        section="tracking",
    )


def count_check(quality: dict[str, Any]) -> Check:
    """Do detections appear and vanish together, as they do when the light or the focus changes?"""
    counts = np.asarray(quality.get("detections_per_frame") or [0], dtype=float)
    middle = float(np.median(counts))
    # Particles come and go at random: a spread of about the square root of the count is no fault.
    spread = float(np.percentile(np.abs(counts - middle), 95)) / max(middle, 1.0)
    chance = 2.0 / np.sqrt(max(middle, 1.0))
    return Check(
        question="Is the number of detections steady?",
        found=f"median {short(middle)} per frame; 95 % of frames within {percent(spread)}",
        expected=f"within {percent(max(COUNT_GOOD, chance))}",
        verdict=judged(spread, good=max(COUNT_GOOD, chance), look=max(COUNT_LOOK, 2.0 * chance)),
        section="tracking",
    )


def sizes_check(quality: dict[str, Any]) -> list[Check]:
    """Do the tracks of one population fall into two widths?"""
    sizes = quality.get("sizes")
    if not sizes:
        return []
    each = " and ".join(
        f"{plain(size, 3)} px ({percent(share)})" for size, share in zip(sizes["sizes"], sizes["shares"], strict=True)
    )
    return [
        Check(
            question="Is there one population of particles?",
            found=f"the tracks fall into two widths, {each}; D and forces are averages over both",
            expected="one width; else track.size_classes = 2, or a larger minmass if the wide ones are out of focus",
            verdict=LOOK,
            section="tracking",
        )
    ]


def step_check(content: ReportContent, quality: dict[str, Any]) -> list[Check]:
    """Is the frame rate high enough to tell particles apart: displacement per frame against spacing?"""
    step, tracks = quality.get("rms_step"), content.tracks
    counts = quality.get("detections_per_frame") or []
    if step is None or tracks is None or not counts:
        return []
    density = float(np.median(counts)) / tracks.field_of_view.volume
    spacing = density ** (-1.0 / tracks.dimension) if density > 0 else np.inf
    ratio = np.sqrt(tracks.dimension) * float(step) / spacing
    found = f"root-mean-square displacement per frame {percent(ratio)} of the mean spacing"
    verdict, warning = judged(ratio, good=STEP_GOOD, look=STEP_LOOK), linking_warning(content)
    return [
        Check(
            question="Is linking unambiguous?",
            found=f"{found}; {warning}" if warning else found,
            expected=f"below {percent(STEP_GOOD)}, and no warning of the linker",
            verdict=LOOK if warning and verdict == GOOD else verdict,
            section="tracking",
        )
    ]


def linking_warning(content: ReportContent) -> str:
    """Return what the linker warned of, an empty text if of nothing."""
    counts = {} if content.tracks is None else content.tracks.metadata.get("counts") or {}
    return str(counts.get("warning") or "")


def drift_check(quality: dict[str, Any]) -> Check:
    """How large is the drift, how well is it known, was it removed?"""
    question = "Does the whole field drift?"
    drift, step = quality.get("drift"), quality.get("rms_step")
    if not drift:
        found = "not estimated"
        return Check(question=question, found=found, expected="small or removed", verdict=LOOK, section="tracking")
    total, error = final_drift(drift)
    removed = bool(drift.get("removed"))
    found = f"{plain(total)} ± {plain(error, 2)} px over {len(drift['frame'])} frames, "
    found += "removed" if removed else "not removed"
    per_frame = total / max(len(drift["frame"]) - 1, 1)
    ratio = per_frame / step if step else np.inf
    verdict = GOOD if removed else judged(ratio, good=DRIFT_GOOD, look=DRIFT_LOOK)
    if total <= 2.0 * error:
        verdict = GOOD
    bias = drift.get("diffusion_bias")
    if removed and bias:
        found += f"; this takes {percent(abs(bias))} of D, which the fit gives back"
        verdict = judged(abs(bias), good=0.05, look=0.1)
    return Check(
        question=question,
        found=found,
        expected="removed, or below a tenth of the displacement per frame",
        verdict=verdict if verdict != BAD or not removed else LOOK,
        section="tracking",
    )


def strain_check(quality: dict[str, Any]) -> list[Check]:
    """Does the field turn (the stage) or get sheared (the sample)?"""
    motion = CommonMotion.parse(quality.get("drift"))
    parts = {name: part for name, part in motion.components().items() if name not in ("dx", "dy")}
    if not any(np.isfinite(part["z"]) for part in parts.values()):
        return []
    moved = {name: part for name, part in parts.items() if abs(part["z"]) > SIGNIFICANT}
    taken = {"rigid": ("rotation",), "affine": tuple(parts)}.get(motion.kind, ())
    left = [name for name in moved if name not in taken]
    words = [f"{name.replace('_', ' ')} {part['value']:.2g} ± {part['error']:.1g}" for name, part in moved.items()]
    found = ", ".join(words) if moved else "neither, within three standard errors"
    found += ", removed" if moved and not left else ""
    return [
        Check(
            question="Does the field turn, or is the sample strained?",
            found=found,
            expected="neither, or removed (track.drift = 'rigid' or 'affine')",
            verdict=LOOK if left else GOOD,
            section="tracking",
        )
    ]


def image_check(quality: dict[str, Any]) -> list[Check]:
    """Do the pictures move as the tracks do?"""
    check = (quality.get("drift") or {}).get("check") or {}
    if check.get("agree") is None:
        return []
    return [
        Check(
            question="Do the pictures move as the tracks do?",
            found=str(check["verdict"]),
            expected="within three joint standard errors",
            verdict=GOOD if check["agree"] else LOOK,
            section="tracking",
        )
    ]


def frames_check(quality: dict[str, Any]) -> list[Check]:
    """Are frames missing or twice there?"""
    dropped = quality.get("dropped_frames")
    if dropped is None:
        return []
    words = [f"{label} {listed(dropped[name])}" for name, label in FAULT_WORDS.items() if dropped.get(name)]
    serious = bool(dropped.get("repeated") or dropped.get("missing"))
    return [
        Check(
            question="Are frames missing or repeated?",
            found="; ".join(words) or "none seen",
            expected="none: times and diffusion depend on it",
            verdict=BAD if serious else LOOK if words else GOOD,
            section="tracking",
        )
    ]


def fits_check(quality: dict[str, Any]) -> list[Check]:
    """Are there frames in which the fits do not explain the pixels?"""
    poor = quality.get("poor_fits")
    if not poor:
        return []
    return [
        Check(
            question="Do the fits explain every frame?",
            found=f"not frames {listed(poor)}: far more poor fits than usual",
            expected="as few as in the other frames; else positions there are not to be believed: look at the pictures",
            verdict=LOOK,
            section="tracking",
        )
    ]


def listed(frames: list[int], most: int = 6) -> str:
    """Return frame numbers as words, the first few of many."""
    if not frames:
        return "none"
    shown = ", ".join(str(frame) for frame in frames[:most])
    return shown if len(frames) <= most else f"{shown} and {len(frames) - most} more"


def final_drift(drift: dict[str, Any]) -> tuple[float, float]:
    """Return the length of the drift at the last frame and its standard error along that direction, in px."""
    total = np.array([drift["dx"][-1], drift["dy"][-1]], dtype=float)
    error = np.array([(drift.get(name) or [0.0])[-1] or 0.0 for name in ("se_x", "se_y")], dtype=float)
    length = float(np.hypot(*total))
    if length == 0.0:
        return 0.0, float(error.max())
    return length, float(np.hypot(*(error * total / length)))
