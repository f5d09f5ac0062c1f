"""What open_video says when it cannot open."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from colloid_cg.errors import ConfigError, InputError
from colloid_cg.video import VideoConfig, open_video


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no\.tif") as caught:
        open_video(tmp_path / "no.tif")
    assert caught.value.expected
    assert caught.value.action


@pytest.mark.parametrize("name", ["notes.docx", "movie"])
def test_an_unknown_type_lists_the_known_ones(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("x")
    with pytest.raises(InputError, match=r"\.nd2"):
        open_video(tmp_path / name)


@pytest.mark.parametrize(("name", "package"), [("m.nd2", "nd2"), ("m.cine", "pims"), ("m.seq", "pims")])
def test_missing_packages_are_named_with_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, package: str
) -> None:
    (tmp_path / name).write_bytes(bytes(1000))
    for module in [known for known in sys.modules if known.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=r'pip install "colloid-cg\[video\]"'):
        open_video(tmp_path / name)


def test_settings_refuse_what_makes_no_sense() -> None:
    with pytest.raises(ConfigError, match="half open"):
        VideoConfig(first_frame=5, last_frame=5)
    with pytest.raises(ConfigError, match=r"did you mean 'video\.pixel_size'"):
        VideoConfig(pixelsize=0.1)
    with pytest.raises(ConfigError, match="background"):
        VideoConfig(background="median")


def test_part_of_an_array() -> None:
    movie = np.arange(10 * 4 * 5).reshape(10, 4, 5)
    stack = open_video(movie, config=VideoConfig(first_frame=3))
    assert len(stack) == 7
    np.testing.assert_array_equal(stack[0], movie[3])
    np.testing.assert_array_equal(stack[-1], movie[9])
    stack = open_video(movie, config=VideoConfig(last_frame=2))
    np.testing.assert_array_equal(np.stack(list(stack)), movie[:2])


def test_importing_is_light() -> None:
    heavy = {"cv2", "skimage", "tifffile", "zarr", "pims", "nd2", "torch"}
    code = f"import sys, colloid_cg.video; print(sorted({heavy} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
