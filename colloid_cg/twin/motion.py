"""Overdamped Brownian motion: dx = D F dt + sqrt(2 D) dW, with F in k_B T/um, and what an exposure sees of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

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


class Motion(Protocol):
    """How particles move; ``time`` (s) is that of the beginning of the step, 0 at the first frame."""

    def step(self, positions: Positions, *, time: float, dt: float, rng: np.random.Generator) -> Positions:
        """Return the positions after ``dt`` (s)."""
        ...

    def mean(
        self, before: Positions, after: Positions, *, time: float, dt: float, rng: np.random.Generator
    ) -> Positions:
        """Return the time average over a step from ``before`` to ``after``."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class Overdamped:
    """The motion of :func:`brownian_step` under a force that does not change in time."""

    force: Force
    diffusion: Scalars

    def step(self, positions: Positions, *, time: float, dt: float, rng: np.random.Generator) -> Positions:
        """Return the positions after ``dt`` (s)."""
        return brownian_step(self.force, positions, diffusion=self.diffusion, dt=dt, rng=rng)

    def mean(
        self, before: Positions, after: Positions, *, time: float, dt: float, rng: np.random.Generator
    ) -> Positions:
        """Return the time average over a step."""
        return mean_over_step(before, after, diffusion=self.diffusion, dt=dt, rng=rng)


def film(
    force: Force, positions: Positions, *, diffusion: Scalars, clock: Clock, n_frames: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Film overdamped motion: :func:`film_motion` of :class:`Overdamped`."""
    motion = Overdamped(force=force, diffusion=diffusion)
    return film_motion(motion, positions, clock=clock, n_frames=n_frames, rng=rng)


def film_motion(
    motion: Motion, positions: Positions, *, clock: Clock, n_frames: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Run ``n_frames`` frame intervals and return what an exposure in each of them sees.

    Returns
    -------
    instants : array, shape (n_frames, n, 2)
        Positions (um) at the frame times, when exposures begin.
    means : array, shape (n_frames, parts, n, 2)
        Positions averaged over each part of the exposure; for an exposure of zero a view of the instants, which
        takes no memory of its own.
    """
    instants = np.empty((n_frames, *positions.shape))
    exposed = clock.part_steps[0] > 0
    means = np.empty((n_frames, clock.parts, *positions.shape)) if exposed else instants[:, None]
    (part_steps, part_dt), (dark_steps, dark_dt) = clock.part_steps, clock.dark_steps
    for frame in range(n_frames):
        instants[frame] = positions
        start = frame * clock.frame_interval
        for part in range(clock.parts if exposed else 0):
            total = np.zeros_like(positions)
            for step in range(part_steps):
                time = start + (part * part_steps + step) * part_dt
                after = motion.step(positions, time=time, dt=part_dt, rng=rng)
                total += motion.mean(positions, after, time=time, dt=part_dt, rng=rng)
                positions = after
            means[frame, part] = total / part_steps
        for step in range(dark_steps):
            time = start + clock.exposure + step * dark_dt
            positions = motion.step(positions, time=time, dt=dark_dt, rng=rng)
    return instants, means
