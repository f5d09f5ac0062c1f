"""Pixel size and times: read where stated, refused where meaningless, overridden where set, and always explained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from colloid_cg.errors import ConfigError
from colloid_cg.video import VideoConfig, open_video
from colloid_cg.video.calibration import Calibration, length, typical_interval
from colloid_cg.video.tiff_calibration import ome_calibration

MOVIE = np.arange(3 * 8 * 9, dtype=np.uint16).reshape(3, 8, 9)


def imagej(path: Path, unit: str | None, per_unit: float | tuple[float, float], **metadata) -> Path:
    pair = per_unit if isinstance(per_unit, tuple) else (per_unit, per_unit)
    said = {"axes": "TYX", **metadata} | ({"unit": unit} if unit else {})
    tifffile.imwrite(path, MOVIE, imagej=True, resolution=pair, metadata=said)
    return path


@pytest.mark.parametrize(
    ("unit", "per_unit", "expected"),
    [("um", 10.0, 0.1), ("micron", 4.0, 0.25), ("\\u00B5m", 8.0, 0.125), ("nm", 0.01, 0.1), ("mm", 2000.0, 0.5)],
)
def test_imagej_lengths(tmp_path: Path, unit: str, per_unit: float, expected: float) -> None:
    stack = open_video(imagej(tmp_path / "m.tif", unit, per_unit, finterval=0.02))
    assert stack.pixel_size == pytest.approx(expected, rel=1e-6)
    assert stack.metadata["pixel_size_source"].startswith("ImageJ resolution")
    assert stack.frame_interval == pytest.approx(0.02)
    assert stack.metadata["frame_interval_source"] == "ImageJ finterval"


@pytest.mark.parametrize(
    ("unit", "per_unit"),
    [("inch", 72.0), ("inch", 25400.0), (None, 1.0), ("pixel", 1.0), ("cm", 28.35), ("furlongs", 3.0)],
)
def test_print_resolutions_are_no_pixel_size(tmp_path: Path, unit: str | None, per_unit: float) -> None:
    stack = open_video(imagej(tmp_path / "m.tif", unit, per_unit))
    assert stack.pixel_size is None
    assert stack.metadata["pixel_size_source"] == "unknown"


def test_pixels_that_are_not_square_are_left_to_the_user(tmp_path: Path) -> None:
    stack = open_video(imagej(tmp_path / "m.tif", "um", (10.0, 5.0)))
    assert stack.pixel_size is None
    assert any("not square" in note for note in stack.metadata["notes"])


@pytest.mark.parametrize(
    ("unit", "per_unit", "expected"),
    [
        ("CENTIMETER", 28500.0, 1 / 2.85),
        ("CENTIMETER", 28.35, None),
        ("INCH", 72.0, None),
        ("INCH", 25400.0, None),
        ("NONE", 5.0, None),
    ],
)
def test_plain_tiff_resolution(tmp_path: Path, unit: str, per_unit: float, expected: float | None) -> None:
    tifffile.imwrite(
        tmp_path / "m.tif", MOVIE, resolution=(per_unit, per_unit), resolutionunit=unit, photometric="minisblack"
    )
    assert open_video(tmp_path / "m.tif").pixel_size == (None if expected is None else pytest.approx(expected))


def test_ome_of_another_writer(tmp_path: Path) -> None:
    metadata = {
        "axes": "TYX",
        "PhysicalSizeX": 120.0,
        "PhysicalSizeXUnit": "nm",
        "PhysicalSizeY": 120.0,
        "PhysicalSizeYUnit": "nm",
        "TimeIncrement": 20.0,
        "TimeIncrementUnit": "ms",
        "Plane": {"ExposureTime": [5.0] * 3, "ExposureTimeUnit": ["ms"] * 3},
    }
    tifffile.imwrite(tmp_path / "m.ome.tif", MOVIE, metadata=metadata)
    stack = open_video(tmp_path / "m.ome.tif")
    assert (stack.pixel_size, stack.frame_interval, stack.exposure) == pytest.approx((0.12, 0.02, 0.005))
    assert stack.metadata["exposure_source"] == "OME-XML ExposureTime"


def test_ome_plane_times_stand_in_for_the_increment(tmp_path: Path) -> None:
    metadata = {"axes": "TYX", "Plane": {"DeltaT": [0.0, 0.04, 0.08]}}
    tifffile.imwrite(tmp_path / "m.ome.tif", MOVIE, metadata=metadata)
    stack = open_video(tmp_path / "m.ome.tif")
    assert stack.frame_interval == pytest.approx(0.04)
    assert "DeltaT" in stack.metadata["frame_interval_source"]


def test_damaged_ome_xml_is_noted() -> None:
    assert any("damaged" in note for note in ome_calibration("<OME><Image>").notes)


def test_settings_override_the_file_and_keywords_override_settings(tmp_path: Path) -> None:
    path = imagej(tmp_path / "m.tif", "um", 10.0, finterval=0.02)
    config = VideoConfig(pixel_size="108 nm", frame_interval="5 ms")
    stack = open_video(path, config=config)
    assert (stack.pixel_size, stack.frame_interval) == pytest.approx((0.108, 0.005))
    assert stack.metadata["pixel_size_source"] == "setting"
    stack = open_video(path, config=config, pixel_size=0.2, exposure="1 ms")
    assert (stack.pixel_size, stack.frame_interval, stack.exposure) == pytest.approx((0.2, 0.005, 0.001))


def test_exposure_longer_than_the_interval_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="exposure"):
        VideoConfig(exposure="20 ms", frame_interval="10 ms")
    path = imagej(tmp_path / "m.tif", "um", 10.0, finterval=0.02)
    with pytest.raises(ConfigError, match="ImageJ finterval"):
        open_video(path, exposure="30 ms")


@pytest.mark.parametrize(
    "values", [{"pixel_size": "3 s"}, {"frame_interval": -1.0}, {"exposure": "soon"}, {"pixel_size": 0}]
)
def test_impossible_settings_are_refused_at_once(values: dict) -> None:
    with pytest.raises(ConfigError):
        VideoConfig(**values)


def test_interval_is_the_median_and_gaps_are_noted() -> None:
    times = [0.0, 0.1, 0.2, 0.3, 0.9, 1.0, 1.1]
    interval, note = typical_interval(times)
    assert interval == pytest.approx(0.1)
    assert note.startswith("1 of 6")
    assert typical_interval([1.0]) == (None, "")
    assert typical_interval([1.0, 1.0, 1.0]) == (None, "")


@pytest.mark.parametrize("exposure", [0.0, -1.0, float("nan"), 0.5])
def test_exposure_of_a_file_must_make_sense(exposure: float) -> None:
    found = Calibration().with_interval(0.1, "s", source="file").with_exposure(exposure, "s", source="file")
    assert found.exposure is None


@pytest.mark.parametrize("unit", ["um", "µm", "μm", "micron", "microns", "\\u00B5m"])
def test_every_spelling_of_micrometre(unit: str) -> None:
    assert length(0.4, unit) == pytest.approx(0.4)
