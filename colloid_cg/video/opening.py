"""Open any supported movie as a lazy FrameStack with calibration and its sources."""

from __future__ import annotations

import glob
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from colloid_cg.errors import ConfigError, InputError
from colloid_cg.records import FrameReader, FrameStack
from colloid_cg.units import micrometres, seconds
from colloid_cg.video.arrays import open_array, open_npy, open_npz
from colloid_cg.video.calibration import Calibration, doubts
from colloid_cg.video.channels import grey
from colloid_cg.video.codec import VIDEO_SUFFIXES, open_codec
from colloid_cg.video.config import VideoConfig
from colloid_cg.video.images import IMAGE_SUFFIXES, image_files, one_kind, open_images
from colloid_cg.video.source import RawMovie
from colloid_cg.video.tiff import TIFF_SUFFIXES, open_tiff
from colloid_cg.video.vendor import VENDOR_SUFFIXES, open_vendor
from colloid_cg.video.zarr_arrays import is_zarr, open_zarr

_KNOWN = (*TIFF_SUFFIXES, *IMAGE_SUFFIXES, *VIDEO_SUFFIXES, *VENDOR_SUFFIXES, ".npy", ".npz", ".zarr")


@dataclass(frozen=True)
class PartOfReader:
    """Frames of another reader from ``first`` on."""

    source: FrameReader
    first: int

    def read(self, index: int) -> np.ndarray:
        """Return one frame, counted from the first of the part."""
        return self.source.read(self.first + index)


def open_video(
    source: str | Path | np.ndarray,
    *,
    config: VideoConfig | None = None,
    pixel_size: str | float | None = None,
    frame_interval: str | float | None = None,
    exposure: str | float | None = None,
    channel: str | int | None = None,
) -> FrameStack:
    """Open a movie; frames are decoded on demand and never requantised.

    Parameters
    ----------
    source : str, Path or numpy.ndarray
        A file, a folder of images, a pattern such as ``"folder/*.png"``, a Zarr folder, or an array
        (frames, height, width[, colours]).
    config : VideoConfig, optional
        Settings; None stands for the defaults.
    pixel_size, frame_interval, exposure : str or float, optional
        Override the settings and the file: ``"0.108 um"``, ``"10 ms"``; plain numbers are um and s.
    channel : str or int, optional
        Overrides ``config.channel``.

    Returns
    -------
    FrameStack
        Its metadata say where each value came from: ``pixel_size_source``, ``frame_interval_source``,
        ``exposure_source``, ``notes`` on what was found but not used, and ``warnings`` of what is hard to believe.

    Raises
    ------
    InputError, ConfigError
        If the source is missing, of unknown type, damaged, cut off, empty, or needs a choice; if a setting is unusable.
    """
    stated = {"pixel_size": pixel_size, "frame_interval": frame_interval, "exposure": exposure, "channel": channel}
    settings = (config or VideoConfig()).as_dict()
    config = VideoConfig(**{**settings, **{key: value for key, value in stated.items() if value is not None}})
    if isinstance(source, np.ndarray):
        return _stack("array", open_array(source), config)
    return _stack(*_open_path(str(source), config), config)


def _stack(name: str, movie: RawMovie, config: VideoConfig) -> FrameStack:
    """Choose channel and part of a movie and put the user's values over those of the file."""
    reader, dtype, said = grey(movie, config.channel, name=name)
    first, last = _part(config, movie.n_frames, name)
    calibration = _overridden(movie.calibration, config)
    metadata: dict[str, Any] = {
        **movie.metadata,
        **said,
        "pixel_size_source": calibration.pixel_size_source,
        "frame_interval_source": calibration.frame_interval_source,
        "exposure_source": calibration.exposure_source,
        "notes": list(calibration.notes),
        "warnings": [*_warned(movie), *doubts(calibration.pixel_size, calibration.frame_interval_source)],
        "frames_in_file": movie.n_frames,
        "first_frame": first,
    }
    return FrameStack(
        reader=PartOfReader(reader, first) if first else reader,
        n_frames=last - first,
        height=movie.shape[0],
        width=movie.shape[1],
        dtype=dtype,
        pixel_size=calibration.pixel_size,
        frame_interval=calibration.frame_interval,
        exposure=calibration.exposure,
        source=name,
        metadata=metadata,
    )


def _warned(movie: RawMovie) -> list[str]:
    return [str(sentence) for sentence in movie.metadata.get("warnings") or ()]


def _open_path(source: str, config: VideoConfig) -> tuple[str, RawMovie]:
    path = Path(source)
    if not path.exists() and glob.has_magic(source):
        name = path.parent.name or path.name
        files = one_kind([Path(file) for file in glob.glob(source)], name=source)
        return name, open_images(files, config=config, name=source)
    if not path.exists():
        raise InputError(
            f"no file or folder {source}", expected="an existing movie", action="check the path and its spelling"
        )
    if is_zarr(path) or (path.is_dir() and path.suffix.lower() == ".zarr"):
        return path.name, open_zarr(path, config=config)
    if path.is_dir():
        return path.name, open_images(image_files(path), config=config, name=path.name)
    return path.name, _open_file(path, config)


def _open_file(path: Path, config: VideoConfig) -> RawMovie:
    suffix = path.suffix.lower()
    if suffix in TIFF_SUFFIXES:
        return open_tiff(path, config=config)
    if suffix in IMAGE_SUFFIXES:
        return open_images([path], config=config, name=path.name)
    if suffix in VIDEO_SUFFIXES:
        return open_codec(path)
    if suffix in VENDOR_SUFFIXES:
        return open_vendor(path, config=config)
    if suffix == ".npy":
        return open_npy(path)
    if suffix == ".npz":
        return open_npz(path, config=config)
    raise InputError(
        f"{path.name} of the unknown type {suffix or '(no ending)'!r}",
        expected=f"one of {', '.join(_KNOWN)}, or a folder of images",
        action="convert the movie, for example to a TIFF stack",
    )


def _part(config: VideoConfig, n_frames: int, name: str) -> tuple[int, int]:
    first = config.first_frame or 0
    last = n_frames if config.last_frame is None else config.last_frame
    if first >= n_frames or last > n_frames:
        raise InputError(
            f"frames {first} to {last} asked of {name}, which has {n_frames}",
            expected=f"first_frame below {n_frames} and last_frame at most {n_frames}",
            action="correct video.first_frame or video.last_frame",
        )
    return first, last


def _overridden(found: Calibration, config: VideoConfig) -> Calibration:
    if config.pixel_size is not None:
        found = replace(found, pixel_size=micrometres(config.pixel_size), pixel_size_source="setting")
    if config.frame_interval is not None:
        interval = seconds(config.frame_interval)
        found = replace(found, frame_interval=interval, frame_interval_source="setting")
        if config.exposure is None and found.exposure is not None and found.exposure > interval:
            # what the file says contradicts what the user says: neither value can be trusted for the blur
            found = replace(found, exposure=None, exposure_source="unknown").with_note(
                f"an exposure of {found.exposure:.6g} s ({found.exposure_source}) is longer than the frame interval"
            )
    if config.exposure is not None:
        exposure = seconds(config.exposure)
        if found.frame_interval is not None and exposure > found.frame_interval:
            raise ConfigError(
                f"an exposure of {config.exposure} with a frame interval of {found.frame_interval:.6g} s "
                f"({found.frame_interval_source})",
                expected="an exposure no longer than the frame interval",
                action="correct video.exposure or set video.frame_interval",
            )
        found = replace(found, exposure=exposure, exposure_source="setting")
    return found
