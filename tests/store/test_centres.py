"""Archives of centre-of-mass trajectories."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from colloid_cg.errors import InputError
from colloid_cg.store.centres import read_centres

RNG = np.random.default_rng(3)
FIELDS: dict[str, Any] = {
    "pos": RNG.normal(size=(4, 3, 3)).astype(np.float32),
    "vel": RNG.normal(size=(4, 3, 3)).astype(np.float32),
    "dt": 0.04,
    "box": np.array([5.0, 6.0, 7.0]),
    "mass": 51.0,
    "kT": 1.5,
    "n_beads": np.int64(51),
}


def save(folder: Path, **changes: Any) -> Path:
    fields = {name: value for name, value in (FIELDS | changes).items() if value is not None}
    np.savez(folder / "star.npz", **fields)
    return folder / "star.npz"


def test_fields(tmp_path: Path) -> None:
    frames = read_centres(save(tmp_path))
    np.testing.assert_array_equal(frames.positions, FIELDS["pos"])
    np.testing.assert_array_equal(frames.velocities, FIELDS["vel"])
    assert frames.positions.dtype == np.float64
    assert frames.box.upper == (5.0, 6.0, 7.0)
    assert frames.box.periodic == (True, True, True)
    assert (frames.frame_interval, frames.thermal_energy, frames.units) == (0.04, 1.5, "reduced")
    assert frames.masses is not None
    assert frames.masses.tolist() == [51.0] * 3
    assert frames.stated == {"n_beads": 51}


def test_what_may_be_absent(tmp_path: Path) -> None:
    frames = read_centres(save(tmp_path, vel=None, mass=None, kT=None, box=8.0, species=np.array([0, 2, 0])))
    assert (frames.velocities, frames.masses, frames.thermal_energy) == (None, None, None)
    assert frames.box.upper == (8.0, 8.0, 8.0)
    assert frames.types.tolist() == [0, 2, 0]


def test_wrapped_positions_are_unwrapped_with_a_warning(tmp_path: Path) -> None:
    path = np.cumsum(RNG.uniform(-1.0, 2.0, size=(40, 3, 3)), axis=0) + 2.5
    edges = FIELDS["box"]
    wrapped = np.mod(path, edges)
    changes = {"pos": wrapped, "vel": None}
    frames = read_centres(save(tmp_path, **changes))
    np.testing.assert_allclose(frames.positions, path - path[0] + wrapped[0], atol=1e-9)
    assert "unwrapped by the shortest image" in frames.warnings[0]
    centred = read_centres(save(tmp_path, **changes | {"pos": wrapped - edges / 2.0}))
    np.testing.assert_allclose(centred.positions, frames.positions - edges / 2.0, atol=1e-9)
    assert read_centres(save(tmp_path, **changes | {"pos": path})).warnings == ()
    assert read_centres(save(tmp_path, **changes | {"pos": path[:0]})).positions.shape == (0, 3, 3)
    # Long steps out of the cell are no jumps back into it.
    np.testing.assert_array_equal(read_centres(save(tmp_path, **changes | {"pos": 9.0 * path})).positions, 9.0 * path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"pos": None}, "no pos among vel, dt"),
        ({"dt": None, "box": None}, "no dt, box among"),
        ({"pos": np.zeros((4, 3))}, r"pos of shape (4, 3)"),
        ({"pos": np.zeros((4, 3, 4))}, r"pos of shape (4, 3, 4)"),
        ({"vel": np.zeros((4, 2, 3))}, r"vel of shape (4, 2, 3)"),
        ({"box": np.ones(2)}, "box of shape (2,)"),
        ({"box": np.array([5.0, 0.0, 7.0])}, "box = [5.0, 0.0, 7.0]"),
        ({"dt": np.array([0.1, 0.1])}, "dt of shape (2,)"),
        ({"dt": np.nan}, "dt = nan"),
        ({"mass": np.array([1.0, -1.0, 1.0])}, "mass = [1.0, -1.0, 1.0]"),
        ({"mass": np.ones(4)}, "mass of shape (4,)"),
        ({"kT": 0.0}, "kT = 0.0"),
        ({"species": np.array([0.5, 1.0, 1.0])}, "species of type float64"),
        ({"pos": np.zeros((4, 3, 3), dtype=complex)}, "pos of type complex128"),
        ({"pos": np.full((4, 3, 3), "a")}, "pos of type <U1"),
        ({"note": np.array({"run": "code"}, dtype=object)}, "star.npz with pickled objects"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError) as error:
        read_centres(save(tmp_path, **changes))
    assert words in str(error.value)
    assert "star.npz" in str(error.value)


def test_pickles_are_not_opened(tmp_path: Path) -> None:
    (tmp_path / "trap.npz").write_bytes(b"\x80\x04\x95\x11\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix")
    with pytest.raises(InputError, match="pickled objects"):
        read_centres(tmp_path / "trap.npz")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_truncated_archives(tmp_path: Path, share: float) -> None:
    path = save(tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match=r"star\.npz, which cannot be read"):
        read_centres(path)


def test_a_bare_array(tmp_path: Path) -> None:
    with (tmp_path / "star.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(InputError, match=r"star\.npz, which cannot be read"):
        read_centres(tmp_path / "star.npz")
