"""Opening a movie or a table for a run: calibrated, identified by its content, checked before anything is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from colloid_cg.errors import DataError, InputError
from colloid_cg.pipeline.study import Study
from colloid_cg.progress import Progress, silent
from colloid_cg.provenance import sha256_of_tree
from colloid_cg.records import FrameStack
from colloid_cg.video import VideoConfig, corrected, open_video

MINIMUM_FRAMES = 2


def open_source(path: Path, study: Study, *, calibrated: bool = True) -> FrameStack:
    """Open a movie with the study's video settings.

    Raises
    ------
    InputError
        If it cannot be read, or pixel size or frame interval are not known and ``calibrated`` asks for them.
    DataError
        If it has fewer than two frames.
    """
    settings = study.section(VideoConfig)
    stack = corrected(open_video(path, config=settings), settings)
    if stack.n_frames < MINIMUM_FRAMES:
        raise DataError(
            f"{stack.n_frames} frame in {stack.source}",
            expected="a movie of at least two frames",
            action="give the whole movie: motion cannot be measured in one picture",
        )
    if calibrated:
        _require(stack.pixel_size, "pixel size", "pixel-size", "0.108 um", stack.source)
        _require(stack.frame_interval, "frame interval", "frame-interval", "10 ms", stack.source)
    return stack


def _require(value: float | None, name: str, option: str, example: str, source: str) -> None:
    if value is None:
        raise InputError(
            f"no {name} in {source}",
            expected=f"a movie that states its {name}, or the value from you",
            action=f"add --{option} '{example}' or set video.{option.replace('-', '_')} in the configuration",
        )


def describe(path: Path, stack: FrameStack | None = None, progress: Progress = silent) -> dict[str, Any]:
    """Return what run.json says about the input: name, place, sha256, shape and calibration."""
    if path.is_file():
        progress(0, 1)
    entry: dict[str, Any] = {"name": path.name, "path": str(path.resolve()), "sha256": sha256_of_tree(path)}
    if stack is not None:
        entry |= {
            "n_frames": stack.n_frames,
            "height": stack.height,
            "width": stack.width,
            "dtype": str(stack.dtype),
            "pixel_size_um": stack.pixel_size,
            "frame_interval_s": stack.frame_interval,
            "exposure_s": stack.exposure,
            "metadata": _plain(stack.metadata),
        }
    return entry


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
