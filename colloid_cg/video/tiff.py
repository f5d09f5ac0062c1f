"""TIFF, BigTIFF, OME-TIFF and ImageJ stacks through tifffile, one page or one memory-mapped frame at a time."""

from __future__ import annotations

import math
import re
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from colloid_cg.errors import InputError
from colloid_cg.video.axes import AxisPlan, plan_axes
from colloid_cg.video.config import VideoConfig
from colloid_cg.video.source import RawMovie, frame_size_changes, native, no_frames, truncated, wrapped
from colloid_cg.video.tiff_calibration import ome_channels, tiff_calibration
from colloid_cg.video.tiff_chain import page_offsets

TIFF_SUFFIXES = (".tif", ".tiff", ".btf", ".tf8", ".stk", ".lsm")
_PLAIN_KINDS = ("uniform", "generic", "shaped")


@dataclass(frozen=True, kw_only=True)
class _Layout:
    """Axes of the planes in a file; ``pages`` False means one contiguous block starting at ``data_offset``."""

    axes: str
    shape: tuple[int, ...]
    plane_axes: str
    plane_shape: tuple[int, ...]
    dtype: np.dtype[Any]
    series: int | None
    data_offset: int | None


class TiffReader:
    """Reads planes of a TIFF file on demand; opens the file again after pickling.

    Parameters
    ----------
    path : Path
        The file.
    layout : _Layout
        How planes are stored.
    plan : AxisPlan
        Which plane belongs to which frame.
    """

    def __init__(self, path: Path, layout: _Layout, plan: AxisPlan) -> None:
        self.path, self.layout, self.plan = path, layout, plan
        self._lock = threading.Lock()
        self._pages: Any = None
        self._file: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "layout": self.layout, "plan": self.plan}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def __del__(self) -> None:
        if getattr(self, "_file", None) is not None:
            self._file.close()

    def read(self, index: int) -> np.ndarray:
        """Return one frame, channels last."""
        with wrapped(self.path, "a TIFF file"), self._lock:
            if not self.plan.n_channels:
                return self._plane(self.plan.index(index))
            planes = [self._plane(self.plan.index(index, channel)) for channel in range(self.plan.n_channels)]
            return np.stack(planes, axis=-1)

    def _plane(self, place: tuple[int, ...]) -> np.ndarray:
        flat = int(np.ravel_multi_index(place, self.layout.shape)) if place else 0
        plane = self._mapped(flat) if self.layout.data_offset is not None else self._decoded(flat)
        if self.layout.plane_axes == "SYX":
            plane = np.moveaxis(plane, 0, -1)
        return np.ascontiguousarray(plane, dtype=native(plane.dtype, self.path.name))

    def _mapped(self, flat: int) -> np.ndarray:
        layout = self.layout
        if self._pages is None:
            n_planes = int(np.prod(layout.shape, dtype=np.int64))
            self._pages = np.memmap(
                self.path,
                dtype=layout.dtype,
                mode="r",
                offset=layout.data_offset or 0,
                shape=(n_planes, *layout.plane_shape),
            )
        return np.array(self._pages[flat])

    def _decoded(self, flat: int) -> np.ndarray:
        import tifffile

        if self._pages is None:
            self._file = tifffile.TiffFile(self.path)
            self._pages = _pages(self._file, self.layout.series)
        page = self._pages[flat]
        # past the end of the file the library pads with zeros: look before reading
        _check_page(page, flat, self.path)
        if page.parent.filehandle.closed:
            # a sister file of a multi-file movie, opened once to learn its pages
            page.parent.filehandle.open()
        return np.asarray(page.asarray())


def open_tiff(path: Path, *, config: VideoConfig, by_page: bool = False) -> RawMovie:
    """Open a TIFF file lazily.

    Parameters
    ----------
    path : Path
        The file.
    config : VideoConfig
        Chooses channel, plane and position.
    by_page : bool
        Take the pages of this one file in order, whatever the OME-XML says of sister files (folders of TIFF files).

    Raises
    ------
    InputError
        If the file is truncated, empty, damaged, or its frames change size.
    """
    import tifffile

    page_offsets(path)
    with wrapped(path, "a TIFF file"), tifffile.TiffFile(path) as file:
        layout = _layout(file, path, config=config, by_page=by_page)
        position = layout.series or 0
        plan = plan_axes(layout.axes, layout.shape, config=config, name=path.name)
        _check_data(file, path, layout)
        shape = layout.plane_shape
        if layout.plane_axes == "SYX":
            shape = (*shape[1:], shape[0])
        channels: tuple[str, ...] = ()
        if plan.n_channels:
            shape = (*shape, plan.n_channels)
            names = ome_channels(file.ome_metadata, position=position) if file.is_ome else ()
            channels = tuple(
                (names[k] if k < len(names) and names[k] else f"channel {k}") for k in range(plan.n_channels)
            )
        return RawMovie(
            reader=TiffReader(path, layout, plan),
            n_frames=plan.n_frames,
            shape=shape,
            dtype=native(layout.dtype, path.name),
            calibration=tiff_calibration(file, position=position),
            channels=channels,
            metadata=_said(file, layout, plan),
        )


def _layout(file: Any, path: Path, *, config: VideoConfig, by_page: bool) -> _Layout:
    if _written_one_by_one(file):
        return _page_layout(file, path)
    all_series = file.series
    if not all_series:
        raise no_frames(path.name, "no images")
    series = all_series[0]
    if (by_page and series.dataoffset is None) or (series.kind in _PLAIN_KINDS and len(all_series) > 1):
        return _page_layout(file, path)
    number = 0
    if len(all_series) > 1:
        number = _position(config, len(all_series), path)
        series = all_series[number]
    page = series.keyframe
    axes, shape = series.get_axes(squeeze=False), series.get_shape(squeeze=False)
    n_plane = 3 if page.axes in ("YXS", "SYX") else 2
    if n_plane == 2 and page.axes != "YX":
        raise InputError(
            f"pages with axes {page.axes} in {path.name}",
            expected="one image per page",
            action="export the movie as a plain stack of images",
        )
    while "S" in axes and n_plane == 2:
        axes, shape = _without_single(axes, shape, "S")
    return _Layout(
        axes=axes[:-n_plane],
        shape=tuple(shape[:-n_plane]),
        plane_axes=page.axes,
        plane_shape=tuple(page.shape),
        # the library states types in native order, the block on disk is in that of the file
        dtype=np.dtype(series.dtype).newbyteorder(file.byteorder),
        series=number,
        data_offset=series.dataoffset,
    )


def _written_one_by_one(file: Any) -> bool:
    """Whether each page claims to be a movie of its own (frames written in a loop); grouping those takes minutes."""
    said = re.search(r'^(?:shape=\(|\{"shape": \[)([\d, ]+)', file.pages.first.shaped_description or "")
    if said is None or file.is_imagej or file.is_ome or len(file.pages) == 1:
        return False
    stated = math.prod(int(size) for size in said[1].split(",") if size.strip())
    return bool(stated == math.prod(file.pages.first.shape))


def _without_single(axes: str, shape: tuple[int, ...], axis: str) -> tuple[str, tuple[int, ...]]:
    place = axes.index(axis)
    return axes[:place] + axes[place + 1 :], (*shape[:place], *shape[place + 1 :])


def _page_layout(file: Any, path: Path) -> _Layout:
    """Return the layout of a file whose pages are the frames, in file order; all must be alike."""
    pages = _pages(file, None)
    first = pages[0]
    for index, page in enumerate(pages):
        if page.shape != first.shape:
            raise frame_size_changes(path.name, index, tuple(page.shape), tuple(first.shape))
    return _Layout(
        axes="T",
        shape=(len(pages),),
        plane_axes=first.axes,
        plane_shape=tuple(first.shape),
        dtype=np.dtype(first.dtype),
        series=None,
        data_offset=None,
    )


def _pages(file: Any, series: int | None) -> Any:
    if series is not None:
        return file.series[series].pages
    # previews of reduced size are no frames
    return [page for page in file.pages if not page.is_reduced]


def _position(config: VideoConfig, n_series: int, path: Path) -> int:
    if config.position is None or config.position >= n_series:
        stated = "no choice" if config.position is None else f"position = {config.position}"
        raise InputError(
            f"{n_series} image series in {path.name} and {stated}",
            expected=f"one series, an index from 0 to {n_series - 1}",
            action="set video.position",
        )
    return config.position


def _check_data(file: Any, path: Path, layout: _Layout) -> None:
    """Look for data beyond the end of the file: the whole block if contiguous, else the last page of each series."""
    if layout.data_offset is not None:
        end = layout.data_offset + int(np.prod((*layout.shape, *layout.plane_shape), dtype=np.int64)) * (
            layout.dtype.itemsize
        )
        if end > file.filehandle.size:
            raise truncated(path, f"its frames would end at byte {end} of {file.filehandle.size}")
        return
    pages = _pages(file, layout.series)
    n_planes = int(np.prod(layout.shape, dtype=np.int64))
    if len(pages) != n_planes:
        raise truncated(path, f"{len(pages)} of {n_planes} stated pages")
    for index in sorted({0, n_planes // 2, n_planes - 1}):
        _check_page(pages[index], index, path)


def _check_page(page: Any, index: int, path: Path) -> None:
    if page is None:
        raise InputError(
            f"no data for plane {index} of {path.name}",
            expected="every file of a multi-file movie next to the first, under its original name",
            action="copy the missing files beside it",
        )
    pieces = zip(page.dataoffsets, page.databytecounts, strict=True)
    end = max((offset + count for offset, count in pieces), default=0)
    size = page.parent.filehandle.size
    if end > size:
        raise truncated(path, f"the data of page {index} would end at byte {end} of {size}")


def _said(file: Any, layout: _Layout, plan: AxisPlan) -> dict[str, Any]:
    kind = "OME-TIFF" if file.is_ome else "ImageJ TIFF" if file.is_imagej else "TIFF"
    said: dict[str, Any] = {
        "format": f"{kind} (BigTIFF)" if file.is_bigtiff else kind,
        "axes": layout.axes + layout.plane_axes,
        "compression": str(file.pages.first.compression.name).lower(),
    }
    said |= plan.said()
    if str(getattr(file.pages.first.photometric, "name", "")) == "MINISWHITE":
        said["photometric_note"] = "the file asks to be shown inverted (0 is white); values are as stored"
    return said
