"""The interval of the fit: the shortest at which steps are Brownian, however slowly D rises below it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from colloid_cg.learn.stride import Stride, choose_stride
from colloid_cg.records import Box, Trajectories
from colloid_cg.states import from_trajectories

D, DT, N, FRAMES = 0.3, 0.02, 150, 400
"""um2/s and s."""


def chosen(x: np.ndarray, *, wanted: int | None = None) -> Stride:
    """Return the interval for positions (frames, n, 2) in um."""
    frames, n, _ = x.shape
    frame, particle = (index.ravel() for index in np.meshgrid(np.arange(frames), np.arange(n), indexing="ij"))
    table = pd.DataFrame({"frame": frame, "particle": particle, "species": 0})
    table["x"], table["y"] = x.reshape(-1, 2).T / 0.1
    view = Box(lower=(-1e3, -1e3), upper=(1e3, 1e3), periodic=(False, False))
    tracks = Trajectories(
        table=table, pixel_size=0.1, frame_interval=DT, exposure=0.0, field_of_view=view, n_frames=frames
    )
    series = from_trajectories(tracks)
    return choose_stride(series, n_species=1, drift_velocity=np.zeros(2), wanted=wanted, wanted_blocks=20)


def brownian(rng: np.random.Generator) -> np.ndarray:
    return np.cumsum(np.sqrt(2 * D * DT) * rng.standard_normal((FRAMES, N, 2)), axis=0)


def noisy(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return x + np.sqrt(0.25 * 2 * D * DT) * rng.standard_normal(x.shape)


def test_noisy_brownian_steps_are_used_at_every_frame() -> None:
    rng = np.random.default_rng(1)
    found = chosen(noisy(brownian(rng), rng))
    assert found.frames == 1
    assert found.reason == "steps are Brownian"
    for entry in found.scan:
        assert entry["diffusion"] == pytest.approx(D, abs=3.0 * entry["half_width"] / 1.645)


def test_a_recording_that_mixes_frames_is_thinned_until_d_is_right() -> None:
    """Each frame shows .4 of itself and .6 of what was shown before: steps of single frames give D far too low."""
    rng = np.random.default_rng(2)
    x = brownian(rng)
    seen = x.copy()
    for frame in range(1, FRAMES):
        seen[frame] = 0.4 * x[frame] + 0.6 * seen[frame - 1]
    found = chosen(seen)
    scan = {int(entry["frames"]): entry for entry in found.scan}
    assert found.frames > 1
    assert abs(scan[found.frames]["diffusion"] / D - 1.0) < 0.05
    assert all(abs(scan[shorter]["diffusion"] / D - 1.0) > 0.05 for shorter in scan if 2 * shorter <= found.frames)
    given = chosen(seen[:60], wanted=2)
    assert (given.frames, given.reason) == (2, "given")


def test_a_rise_too_slow_for_one_doubling_is_seen() -> None:
    """Particles that also swim, straight for longer than the longest interval: D grows in proportion to it."""
    rng = np.random.default_rng(3)
    speed = np.sqrt(0.024 * D / DT)  # raises D of one frame by 1 % and of k frames by k %
    direction = rng.uniform(0.0, 2 * np.pi, N)
    swim = speed * DT * np.stack([np.cos(direction), np.sin(direction)], axis=1)
    found = chosen(brownian(rng) + np.arange(FRAMES)[:, None, None] * swim)
    scan = {int(entry["frames"]): entry["diffusion"] for entry in found.scan}
    assert scan[2] < 1.03 * scan[1]
    assert found.reason.startswith("D still rises")
