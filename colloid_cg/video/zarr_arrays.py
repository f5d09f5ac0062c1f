"""Zarr arrays and groups, OME-Zarr axes and scales included."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np

from colloid_cg.errors import InputError
from colloid_cg.video.arrays import chosen_array
from colloid_cg.video.axes import AxisPlan, plan_axes
from colloid_cg.video.calibration import Calibration
from colloid_cg.video.config import VideoConfig
from colloid_cg.video.source import RawMovie, native, no_frames, wrapped

_CACHE_BYTES = 64 << 20
_DEFAULT_AXES = {2: "YX", 3: "TYX", 5: "TCZYX"}


class ZarrReader:
    """Frames of a Zarr array; the frames of the last chunk stay in memory where they fit in 64 MB."""

    def __init__(self, path: Path, array: str, plan: AxisPlan, colours: bool) -> None:
        self.path, self.array, self.plan, self.colours = path, array, plan, colours
        self._lock = threading.Lock()
        self._opened: Any = None
        self._block: tuple[int, np.ndarray] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "array": self.array, "plan": self.plan, "colours": self.colours}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def read(self, index: int) -> np.ndarray:
        """Return one frame, channels last."""
        with wrapped(self.path, "a Zarr array"), self._lock:
            if self._opened is None:
                root = _open(self.path)
                self._opened = root[self.array] if self.array else root
            frame = self._from_block(index)
            return np.array(frame, dtype=native(frame.dtype, self.path.name), order="C")

    def _from_block(self, index: int) -> np.ndarray:
        time = self.plan.time
        length = 1 if time is None else int(self._opened.chunks[time])
        frame_bytes = int(np.prod(self._opened.shape[len(self.plan.shape) :])) * self._opened.dtype.itemsize
        if time is None or length * frame_bytes * max(1, self.plan.n_channels) > _CACHE_BYTES:
            return np.asarray(self._frames(index, index + 1)[0])
        start = index - index % length
        if self._block is None or self._block[0] != start:
            self._block = (start, self._frames(start, start + length))
        return np.asarray(self._block[1][index - start])

    def _frames(self, start: int, stop: int) -> np.ndarray:
        """Return frames (frames, height, width[, channels]); the index keeps time, and channel as the last axis."""
        place: list[Any] = list(self.plan.index(0))
        kept = []
        if self.plan.time is not None:
            place[self.plan.time] = slice(start, stop)
            kept.append((self.plan.time, "T"))
        if self.plan.channel is not None:
            place[self.plan.channel] = slice(None)
            kept.append((self.plan.channel, "C"))
        block = np.asarray(self._opened[tuple(place)])
        order = [axis for _, axis in sorted(kept)]
        if "C" in order:
            block = np.moveaxis(block, order.index("C"), -1)
        return block if self.plan.time is not None else block[None]


def is_zarr(path: Path) -> bool:
    """Whether a folder is a Zarr array or group."""
    return path.is_dir() and any((path / name).is_file() for name in ("zarr.json", ".zarray", ".zgroup"))


def open_zarr(path: Path, *, config: VideoConfig) -> RawMovie:
    """Open a Zarr array, the only movie of a group, the first resolution of an OME-Zarr, or ``config.array``.

    Raises
    ------
    InputError
        If no array, or more than one, could be meant.
    """
    import zarr

    with wrapped(path, "a Zarr array or group"):
        root = _open(path)
        name = ""
        scales: dict[str, Any] = {}
        array = root
        if isinstance(root, zarr.Group):
            name, scales = _member(root, path, config)
            array = root[name]
        axes = _axes(array, scales, path)
        colours = len(axes) > 3 and axes[-1] in "SC" and axes[-3:-1] == "YX"
        n_plane = 3 if colours else 2
        if axes[-n_plane:][:2] != "YX":
            raise _unclear_axes(path, axes)
        plan = plan_axes(axes[:-n_plane], tuple(array.shape[:-n_plane]), config=config, name=path.name)
        shape = tuple(array.shape[-n_plane:])
        channels: tuple[str, ...] = ()
        if plan.n_channels:
            shape = (*shape, plan.n_channels)
            channels = tuple(f"channel {k}" for k in range(plan.n_channels))
        if plan.n_frames == 0 or 0 in array.shape:
            raise no_frames(path.name)
        return RawMovie(
            reader=ZarrReader(path, name, plan, colours),
            n_frames=plan.n_frames,
            shape=shape,
            dtype=native(np.dtype(array.dtype), path.name),
            calibration=_calibration(scales),
            channels=channels,
            metadata={"format": "Zarr", "array": name, "axes": axes, **plan.said()},
        )


def _open(path: Path) -> Any:
    import zarr

    return zarr.open(str(path), mode="r")


def _member(group: Any, path: Path, config: VideoConfig) -> tuple[str, dict[str, Any]]:
    import zarr

    attributes = dict(group.attrs)
    multiscales = attributes.get("ome", attributes).get("multiscales")
    if multiscales and config.array is None:
        return str(multiscales[0]["datasets"][0]["path"]), multiscales[0]
    arrays = {key: value for key, value in group.members(max_depth=None) if isinstance(value, zarr.Array)}
    candidates = [key for key, value in arrays.items() if value.ndim >= 3]
    return chosen_array(candidates, list(arrays), config=config, name=path.name), {}


def _axes(array: Any, scales: dict[str, Any], path: Path) -> str:
    named = [axis["name"] for axis in scales.get("axes", []) if isinstance(axis, dict)]
    named = named or list(getattr(array.metadata, "dimension_names", None) or [])
    if named and all(isinstance(name, str) and name for name in named):
        short = {"time": "t", "frame": "t", "height": "y", "width": "x", "channel": "c"}
        return "".join(short.get(name.lower(), name.lower()[:1]) for name in named).upper()
    if array.ndim == 4 and array.shape[-1] in (3, 4):
        return "TYXS"
    if array.ndim not in _DEFAULT_AXES:
        raise _unclear_axes(path, str(tuple(array.shape)))
    return _DEFAULT_AXES[array.ndim]


def _calibration(scales: dict[str, Any]) -> Calibration:
    """Return the scale of the first resolution, https://ngff.openmicroscopy.org (multiscales metadata)."""
    found = Calibration()
    axes = [axis for axis in scales.get("axes", []) if isinstance(axis, dict)]
    steps = {axis["name"]: (1.0, str(axis.get("unit", ""))) for axis in axes}
    for transforms in (scales.get("datasets", [{}])[0], scales):
        for transform in transforms.get("coordinateTransformations", []):
            if transform.get("type") == "scale" and len(transform["scale"]) == len(axes):
                for axis, factor in zip(axes, transform["scale"], strict=True):
                    steps[axis["name"]] = (steps[axis["name"]][0] * float(factor), steps[axis["name"]][1])
    if "x" in steps and "y" in steps and steps["x"][1] == steps["y"][1]:
        found = found.with_pixel(steps["x"][0], steps["y"][0], steps["x"][1], source="OME-Zarr scale")
    if "t" in steps:
        found = found.with_interval(*steps["t"], source="OME-Zarr scale")
    return found


def _unclear_axes(path: Path, axes: str) -> InputError:
    return InputError(
        f"an array with axes {axes} in {path.name}",
        expected="(frames, height, width), named axes ending in height and width, or five axes in the order TCZYX",
        action="name the axes (dimension_names) or reorder the array",
    )
