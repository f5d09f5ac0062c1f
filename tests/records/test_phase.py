"""Points in phase space are validated when they are made."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from colloid_cg.errors import ColloidError, DataError, InputError
from colloid_cg.records import Box, PhaseSeries

RNG = np.random.default_rng(2)
SERIES = PhaseSeries(
    positions=RNG.normal(size=(6, 4, 3)) * 9.0,
    velocities=RNG.normal(size=(6, 4, 3)),
    species=np.array([0, 0, 1, 1]),
    masses=np.array([1.0, 1.0, 2.0, 2.0]),
    box=Box(lower=(0.0,) * 3, upper=(5.0,) * 3, periodic=(True,) * 3),
    frame_interval=0.1,
    thermal_energy=1.5,
    first_frame=10,
)


def with_value(name: str, index: tuple[int, ...], value: float) -> dict[str, np.ndarray]:
    array = np.array(getattr(SERIES, name), dtype=float)
    array[index] = value
    return {name: array}


def test_counts() -> None:
    assert (SERIES.n_frames, SERIES.n_particles, SERIES.dimension) == (6, 4, 3)
    assert repr(SERIES) == "<PhaseSeries: 4 particles in 6 frames, one every 0.1, k_B T = 1.5>"
    assert "k_B T unknown" in repr(replace(SERIES, thermal_energy=None))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"positions": SERIES.positions[0]}, "positions of shape (4, 3)"),
        (
            {"positions": SERIES.positions[..., :2]},
            "positions of shape (6, 4, 2); expected shape (frames, particles, 3)",
        ),
        ({"positions": SERIES.positions[:, :0]}, "positions of shape (6, 0, 3)"),
        ({"velocities": SERIES.velocities[:5]}, "velocities of shape (5, 4, 3); expected shape (6, 4, 3)"),
        ({"species": np.zeros(3)}, "species of shape (3,)"),
        ({"masses": np.ones((4, 1))}, "masses of shape (4, 1)"),
        (with_value("velocities", (2, 1, 0), np.nan), "velocities in frame 12, particle 1"),
        (with_value("positions", (5, 3, 2), np.inf), "positions in frame 15, particle 3"),
        (with_value("masses", (3,), 0.0), "masses = 0"),
        (with_value("masses", (0,), np.nan), "masses = nan"),
        ({"frame_interval": -0.1}, "frame_interval = -0.1"),
        ({"thermal_energy": 0.0}, "thermal_energy = 0"),
    ],
)
def test_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError) as error:
        replace(SERIES, **changes)
    assert words in str(error.value)


def test_one_frame_is_no_series() -> None:
    with pytest.raises(DataError, match="1 frame of positions"):
        replace(SERIES, positions=SERIES.positions[:1], velocities=SERIES.velocities[:1])


def test_blocks_count_as_the_recording() -> None:
    block = SERIES.between(12, 15)
    assert (block.first_frame, block.n_frames) == (12, 3)
    np.testing.assert_array_equal(block.positions, SERIES.positions[2:5])
    np.testing.assert_array_equal(block.velocities, SERIES.velocities[2:5])
    assert SERIES.between(0, 99).n_frames == 6
    assert SERIES.between(12, 15).between(13, 15).first_frame == 13


@pytest.mark.parametrize(("first", "last"), [(0, 10), (0, 11), (15, 20), (16, 30), (13, 13), (14, 12), (-9, -2)])
def test_blocks_that_are_not_there(first: int, last: int) -> None:
    with pytest.raises(ColloidError, match=f"of the frames {first} to {last - 1} in a series from frame 10 to 15"):
        SERIES.between(first, last)
