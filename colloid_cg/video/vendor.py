"""Camera and microscope formats: Phantom .cine and NorPix .seq through pims, Nikon .nd2 through nd2."""

from __future__ import annotations

import importlib
import threading
from pathlib import Path
from typing import Any

import numpy as np

from colloid_cg.video.axes import AxisPlan, plan_axes
from colloid_cg.video.calibration import Calibration, typical_interval
from colloid_cg.video.config import VideoConfig
from colloid_cg.video.source import RawMovie, extra_needed, native, no_frames, truncated, wrapped

VENDOR_SUFFIXES = (".cine", ".seq", ".nd2")
_PIMS = {
    ".cine": ("pims.cine", "Cine", "a Phantom .cine file"),
    ".seq": ("pims.norpix_reader", "NorpixSeq", "a NorPix .seq file"),
}
_TIMED_FRAMES = 2000


class PimsReader:
    """Frames of a .cine or .seq file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._frames: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def read(self, index: int) -> np.ndarray:
        """Return one frame."""
        with wrapped(self.path, _PIMS[self.path.suffix.lower()][2]), self._lock:
            if self._frames is None:
                self._frames = open_pims(self.path)
            frame = np.array(self._frames.get_frame(index))
            return frame.astype(native(frame.dtype, self.path.name), copy=False)


class Nd2Reader:
    """Frames of a .nd2 file."""

    def __init__(self, path: Path, sequence: list[int], channel: int | None, n_channels: int) -> None:
        self.path, self.sequence, self.channel, self.n_channels = path, sequence, channel, n_channels
        self._lock = threading.Lock()
        self._file: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "sequence": self.sequence, "channel": self.channel, "n_channels": self.n_channels}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def __del__(self) -> None:
        if getattr(self, "_file", None) is not None:
            self._file.close()

    def read(self, index: int) -> np.ndarray:
        """Return one frame, channels last."""
        with wrapped(self.path, "a Nikon .nd2 file"), self._lock:
            if self._file is None:
                self._file = _nd2(self.path).ND2File(self.path)
            # stored as (channels, height, width[, colours]), the first axis only where there are several
            frame = np.array(self._file.read_frame(self.sequence[index]))
            if self.n_channels > 1:
                frame = frame[self.channel] if self.channel is not None else np.moveaxis(frame, 0, -1)
            return np.ascontiguousarray(frame)


def open_vendor(path: Path, *, config: VideoConfig) -> RawMovie:
    """Open a .cine, .seq or .nd2 file.

    Raises
    ------
    InputError
        If the optional package is missing, or the file is damaged or cut off.
    """
    return _open_nd2(path, config=config) if path.suffix.lower() == ".nd2" else _open_pims(path)


def open_pims(path: Path) -> Any:
    """Return the pims reader of a .cine or .seq file."""
    module, kind, _ = _PIMS[path.suffix.lower()]
    try:
        reader = getattr(importlib.import_module(module), kind)
    except ImportError as error:
        raise extra_needed(path, "pims") from error
    return reader(str(path))


def _open_pims(path: Path) -> RawMovie:
    suffix = path.suffix.lower()
    with wrapped(path, _PIMS[suffix][2]):
        frames = open_pims(path)
        if len(frames) == 0:
            raise no_frames(path.name)
        calibration, said = _cine(frames, path) if suffix == ".cine" else _seq(frames, path)
        first = np.asarray(frames.get_frame(0))
        return RawMovie(
            reader=PimsReader(path),
            n_frames=len(frames),
            shape=first.shape,
            dtype=native(first.dtype, path.name),
            calibration=calibration,
            metadata=said,
        )


def _cine(frames: Any, path: Path) -> tuple[Calibration, dict[str, Any]]:
    """Return calibration and description of a .cine file; recorded times win over the set rate.

    Saving every n-th frame of a recording keeps the camera's rate in the header: only the times tell.
    """
    size = path.stat().st_size
    frame_bytes = int(frames.bitmapinfo_dict["bi_image_size"])
    if max(frames.image_locations) + frame_bytes > size:
        raise truncated(path, f"its last frame would end past byte {size}")
    setup = frames.setup_fields_dict
    rate = float(frames.frame_rate)
    stamps = (frames.frame_time_stamps or [])[:_TIMED_FRAMES]
    found = Calibration()
    times = [(day - stamps[0][0]).total_seconds() + fraction for day, fraction in stamps]
    measured, note = typical_interval(times)
    if measured is not None:
        found = found.with_interval(measured, "s", source="cine time stamps (median difference)")
        if rate > 0 and abs(measured * rate - 1) > 0.01:
            found = found.with_note(f"the camera was set to {rate:.6g} frames/s, the saved frames are not consecutive")
    elif rate > 0:
        found = found.with_interval(1 / rate, "s", source="cine setup frame rate")
    if note:
        found = found.with_note(note)
    exposures = frames.all_exposures
    if exposures:
        found = found.with_exposure(float(np.median(exposures)), "s", source="cine exposure of each frame (median)")
    else:
        found = found.with_exposure(float(setup.get("shutter_ns", 0)) * 1e-9, "s", source="cine setup shutter")
    said = {
        "format": "Phantom cine",
        "bits": int(setup.get("real_bpp", 0)),
        "camera_frame_rate": rate,
        "camera_serial": int(setup.get("serial", 0)),
    }
    return found, said


def _seq(frames: Any, path: Path) -> tuple[Calibration, dict[str, Any]]:
    header = frames.header_dict
    if len(frames) < int(header["allocated_frames"]):
        raise truncated(path, f"{len(frames)} of {header['allocated_frames']} stated frames")
    times = [frames.get_time_float(index) for index in range(min(len(frames), _TIMED_FRAMES))]
    # seconds since 1970 in double precision resolve 0.2 us; subtract the first before differences
    measured, note = typical_interval(np.asarray(times) - times[0])
    rate = float(frames.frame_rate)
    found = Calibration()
    if measured is not None:
        found = found.with_interval(measured, "s", source="seq time stamps (median difference)")
        if rate > 0 and abs(measured * rate - 1) > 0.05:
            found = found.with_note(f"the header suggests {rate:.6g} frames/s")
    elif rate > 0:
        found = found.with_interval(1 / rate, "s", source="seq header frame rate")
    if note:
        found = found.with_note(note)
    return found, {"format": "NorPix seq", "bits": int(header["bit_depth_real"]), "header_frame_rate": rate}


def _nd2(path: Path) -> Any:
    try:
        return importlib.import_module("nd2")
    except ImportError as error:
        raise extra_needed(path, "nd2") from error


def _open_nd2(path: Path, *, config: VideoConfig) -> RawMovie:
    nd2 = _nd2(path)
    with wrapped(path, "a Nikon .nd2 file"), nd2.ND2File(path) as file:
        sizes = dict(file.sizes)
        colours = sizes.pop("S", 1)
        height, width = sizes.pop("Y"), sizes.pop("X")
        axes = "".join(sizes)
        names = tuple(str(channel.channel.name) for channel in (file.metadata.channels or []))
        n_channels = sizes.get("C", 1)
        if isinstance(config.channel, str) and config.channel in names and n_channels > 1:
            config = config.model_copy(update={"channel": names.index(config.channel)})
        plan = plan_axes(axes, tuple(sizes.values()), config=config, name=path.name)
        sequence = _sequence(file, axes, plan)
        if not sequence:
            raise no_frames(path.name)
        chosen = None
        if "C" in axes and not plan.n_channels:
            chosen = plan.index(0)[axes.index("C")]
        shape: tuple[int, ...] = (height, width)
        if plan.n_channels or colours > 1:
            shape = (height, width, plan.n_channels or colours)
        said: dict[str, Any] = {"format": "Nikon nd2", "axes": axes + "YX", "channels": list(names)}
        said |= plan.said()
        if chosen is not None:
            said["channel"] = f"{names[chosen]} ({chosen})"
        return RawMovie(
            reader=Nd2Reader(path, sequence, chosen, n_channels),
            n_frames=len(sequence),
            shape=shape,
            dtype=native(np.dtype(file.dtype), path.name),
            calibration=_nd2_calibration(file, sequence),
            channels=names if plan.n_channels else (),
            metadata=said,
        )


def _sequence(file: Any, axes: str, plan: AxisPlan) -> list[int]:
    """Return the number in the file of every frame; channels of one time and plane share a number."""
    by_place = {tuple(sorted(place.items())): number for number, place in enumerate(file.loop_indices)}
    numbers = []
    for frame in range(plan.n_frames):
        place = dict(zip(axes, plan.index(frame), strict=True))
        place.pop("C", None)
        numbers.append(by_place[tuple((axis, place[axis]) for axis, _ in next(iter(by_place)))])
    return numbers


def _nd2_calibration(file: Any, sequence: list[int]) -> Calibration:
    voxel = file.voxel_size()
    volume = file.metadata.channels[0].volume
    found = Calibration()
    if volume.axesCalibrated[0]:
        found = found.with_pixel(voxel.x, voxel.y, "um", source="nd2 voxel size")
    times = [_nd2_time(file, number) for number in sequence[:_TIMED_FRAMES]]
    interval, note = typical_interval([time for time in times if time is not None])
    found = found.with_interval(interval, "s", source="nd2 time stamps (median difference)")
    if note:
        found = found.with_note(note)
    flags = file.metadata.channels[0].microscope.modalityFlags or []
    if any("laserScan" in flag for flag in flags):
        return found.with_note("a scanned image has no single exposure time; set video.exposure if one is meant")
    exposures = [event[key] for event in file.events()[:1] for key in event if key.endswith("Exposure Time [ms]")]
    return found.with_exposure(exposures[0] if exposures else None, "ms", source="nd2 camera exposure")


def _nd2_time(file: Any, number: int) -> float | None:
    metadata = file.frame_metadata(number)
    channels = getattr(metadata, "channels", None)
    return float(channels[0].time.relativeTimeMs) / 1000 if channels else None
