"""Overdamped Brownian motion: dx = D F dt + sqrt(2 D) dW, with F in k_B T/um, and what an exposure sees of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from colloid_cg.shapes import Positions, Scalars
from colloid_cg.twin.forces import Force


@dataclass(frozen=True, kw_only=True)
class Clock:
    """How one frame interval is divided.

    Parameters
    ----------
    frame_interval, exposure : float
        s; the exposure begins with the frame.
    parts : int
        Parts of the exposure.
    longest_step : float
        Longest time step, s.
    """

    frame_interval: float
    exposure: float
    parts: int
    longest_step: float

    @property
    def part_steps(self) -> tuple[int, float]:
        """Number and length (s) of the time steps in one part of the exposure."""
        return self._steps(self.exposure / self.parts)

    @property
    def dark_steps(self) -> tuple[int, float]:
        """Number and length (s) of the time steps between the end of an exposure and the next frame."""
        return self._steps(self.frame_interval - self.exposure)

    def _steps(self, duration: float) -> tuple[int, float]:
        count = math.ceil(duration / self.longest_step - 1e-9) if duration > 0.0 else 0
        return count, duration / max(count, 1)


def brownian_step(
    force: Force, positions: Positions, *, diffusion: Scalars, dt: float, rng: np.random.Generator
) -> Positions:
    """Return positions after ``dt`` by the stochastic Heun scheme.

    x* = x + D F(x) dt + g, x' = x + D [F(x) + F(x*)] dt/2 + g, g ~ N(0, 2 D dt): weak order 2 for additive noise
    (Kloeden and Platen, DOI 10.1007/978-3-662-12616-5, section 15.1). In a harmonic trap with a = k D dt its
    stationary variance is (1 - a^2/4 + O(a^3)) k_B T/k, against 1 + a/2 of the Euler scheme.
    """
    noise = np.sqrt(2.0 * diffusion * dt)[:, None] * rng.standard_normal(positions.shape)
    mobility = diffusion[:, None]
    first = force(positions)
    second = force(positions + mobility * first * dt + noise)
    return np.asarray(positions + 0.5 * dt * mobility * (first + second) + noise)


def mean_over_step(
    before: Positions, after: Positions, *, diffusion: Scalars, dt: float, rng: np.random.Generator
) -> Positions:
    """Return the time average over a step with known ends: (x + x')/2 plus the bridge, of variance D dt/6.

    The mean of a Brownian bridge of duration dt has variance 2 D dt/12; without it the blur of an exposure in n
    steps would be too strong by a factor 1 + 1/(2 n^2).
    """
    bridge = np.sqrt(diffusion * dt / 6.0)[:, None] * rng.standard_normal(before.shape)
    return np.asarray(0.5 * (before + after) + bridge)


def quench(
    force: Force, positions: Positions, *, diffusion: Scalars, dt: float, longest_move: float, steps: int = 300
) -> Positions:
    """Return positions after noiseless relaxation in which no coordinate moves more than ``longest_move`` (um) a step.

    Takes the overlaps out of a random start, whose forces no time step could follow.
    """
    for _ in range(steps):
        positions = positions + np.clip(diffusion[:, None] * force(positions) * dt, -longest_move, longest_move)
    return positions


def equilibrate(
    force: Force, positions: Positions, *, diffusion: Scalars, dt: float, duration: float, rng: np.random.Generator
) -> Positions:
    """Return positions after ``duration`` (s) in steps of ``dt``."""
    for _ in range(math.ceil(duration / dt)):
        positions = brownian_step(force, positions, diffusion=diffusion, dt=dt, rng=rng)
    return positions


def film(
    force: Force, positions: Positions, *, diffusion: Scalars, clock: Clock, n_frames: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Run ``n_frames`` frame intervals and return what an exposure in each of them sees.

    Returns
    -------
    instants : array, shape (n_frames, n, 2)
        Positions (um) at the frame times, when exposures begin.
    means : array, shape (n_frames, parts, n, 2)
        Positions averaged over each part of the exposure; for an exposure of zero, the instants.
    """
    instants = np.empty((n_frames, *positions.shape))
    means = np.empty((n_frames, clock.parts, *positions.shape))
    (part_steps, part_dt), (dark_steps, dark_dt) = clock.part_steps, clock.dark_steps
    for frame in range(n_frames):
        instants[frame] = positions
        for part in range(clock.parts):
            total = np.zeros_like(positions)
            for _ in range(part_steps):
                after = brownian_step(force, positions, diffusion=diffusion, dt=part_dt, rng=rng)
                total += mean_over_step(positions, after, diffusion=diffusion, dt=part_dt, rng=rng)
                positions = after
            means[frame, part] = total / part_steps if part_steps else positions
        for _ in range(dark_steps):
            positions = brownian_step(force, positions, diffusion=diffusion, dt=dark_dt, rng=rng)
    return instants, means
