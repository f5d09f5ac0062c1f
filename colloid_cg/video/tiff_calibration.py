"""Pixel size, frame interval and exposure from OME-XML, ImageJ tags and the plain TIFF resolution."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

from colloid_cg.video.calibration import Calibration, duration, typical_interval

_PER_CENTIMETRE = 3


def tiff_calibration(file: Any, *, position: int = 0) -> Calibration:
    """Return what an open ``tifffile.TiffFile`` says, best source first: OME-XML, ImageJ, resolution per centimetre."""
    if file.is_ome and file.ome_metadata:
        return ome_calibration(file.ome_metadata, position=position)
    if file.is_imagej and file.imagej_metadata:
        return _imagej_calibration(file)
    return _resolution_calibration(file)


def ome_calibration(xml: str, *, position: int = 0) -> Calibration:
    """Return what the Pixels element of one image of an OME-XML text says.

    Plane times (DeltaT) give the frame interval where TimeIncrement is missing.
    """
    found = Calibration()
    try:
        root = ElementTree.fromstring(xml)
    except ElementTree.ParseError:
        return found.with_note("the OME-XML of the file is damaged and was not used")
    pixels = [element for element in root.iter() if _name(element) == "Pixels"]
    if position >= len(pixels):
        return found
    image = pixels[position]
    found = found.with_pixel(
        image.get("PhysicalSizeX"),
        image.get("PhysicalSizeY", image.get("PhysicalSizeX")),
        image.get("PhysicalSizeXUnit", "um"),
        source="OME-XML PhysicalSizeX",
    )
    increment = image.get("TimeIncrement")
    found = found.with_interval(increment, image.get("TimeIncrementUnit", "s"), source="OME-XML TimeIncrement")
    planes = [element for element in image if _name(element) == "Plane"]
    if found.frame_interval is None:
        found = _from_plane_times(found, planes)
    for plane in planes[:1]:
        exposure = plane.get("ExposureTime")
        found = found.with_exposure(exposure, plane.get("ExposureTimeUnit", "s"), source="OME-XML ExposureTime")
    return found


def ome_channels(xml: str, *, position: int = 0) -> tuple[str, ...]:
    """Return the channel names of one image of an OME-XML text ("" where a channel has none)."""
    try:
        root = ElementTree.fromstring(xml)
    except ElementTree.ParseError:
        return ()
    pixels = [element for element in root.iter() if _name(element) == "Pixels"]
    if position >= len(pixels):
        return ()
    return tuple(element.get("Name", "") for element in pixels[position] if _name(element) == "Channel")


def _name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _from_plane_times(found: Calibration, planes: list[ElementTree.Element]) -> Calibration:
    first = [plane for plane in planes if plane.get("TheC", "0") == "0" and plane.get("TheZ", "0") == "0"]
    times = {
        int(plane.get("TheT", "0")): time
        for plane in first
        if (time := _plane_time(plane.get("DeltaT"), plane.get("DeltaTUnit", "s"))) is not None
    }
    if sorted(times) != list(range(len(times))):
        return found
    interval, note = typical_interval([times[index] for index in range(len(times))])
    found = found.with_interval(interval, "s", source="OME-XML DeltaT of the planes (median difference)")
    return found.with_note(note) if note else found


def _plane_time(value: str | None, unit: str) -> float | None:
    return 0.0 if value is not None and re.fullmatch(r"0*\.?0*", value) else duration(value, unit)


def _imagej_calibration(file: Any) -> Calibration:
    said = file.imagej_metadata
    x, y = _resolution(file)
    found = Calibration()
    if x and y:
        unit = str(said.get("unit", ""))
        found = found.with_pixel(1 / x, 1 / y, unit, source=f"ImageJ resolution ({unit})")
    return found.with_interval(said.get("finterval"), str(said.get("tunit", "s")), source="ImageJ finterval")


def _resolution_calibration(file: Any) -> Calibration:
    """Return the pixel size where the resolution is per centimetre; per inch it is a print or screen default."""
    x, y = _resolution(file)
    tag = file.pages.first.tags.get("ResolutionUnit")
    if not x or not y or tag is None or int(tag.value) != _PER_CENTIMETRE:
        return Calibration()
    return Calibration().with_pixel(1 / x, 1 / y, "cm", source="TIFF resolution per centimetre")


def _resolution(file: Any) -> tuple[float, float]:
    tags = file.pages.first.tags
    values = []
    for name in ("XResolution", "YResolution"):
        numerator, denominator = tags[name].value if name in tags else (0, 1)
        values.append(numerator / denominator if denominator else 0.0)
    return values[0], values[1]
