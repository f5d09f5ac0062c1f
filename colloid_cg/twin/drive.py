"""Particles on a prescribed path, the solvent they drag along, and the motion of the others between them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from colloid_cg.shapes import Positions, Scalars, Vectors
from colloid_cg.twin.forces import Force
from colloid_cg.twin.motion import mean_over_step


@dataclass(frozen=True, kw_only=True, eq=False)
class Oscillation:
    """Prescribed particles on the path x(t) = x_0 + sign A sin(2 pi t/T), y(t) = y_0.

    Parameters
    ----------
    sites : array, shape (m, 2)
        x_0, y_0 in um.
    signs : array, shape (m,)
        +1 or -1.
    amplitude, period : float
        um, s.
    """

    sites: np.ndarray
    signs: np.ndarray
    amplitude: float
    period: float

    def positions(self, time: float) -> Positions:
        """Return the positions at ``time`` (s)."""
        return self._moved(self.amplitude * math.sin(2.0 * math.pi * time / self.period))

    def mean_positions(self, time: float, dt: float) -> Positions:
        """Return the average of the positions from ``time`` to ``time + dt``: the integral of the sine over dt."""
        rate = 2.0 * math.pi / self.period
        return self._moved(self.amplitude * (math.cos(rate * time) - math.cos(rate * (time + dt))) / (rate * dt))

    def speed(self, time: float) -> float:
        """Return the velocity V(t) along x of the particles of sign +1, um/s."""
        rate = 2.0 * math.pi / self.period
        return self.amplitude * rate * math.cos(rate * time)

    def _moved(self, offset: float) -> Positions:
        moved = self.sites.copy()
        moved[:, 0] += self.signs * offset
        return moved


class Flow(Protocol):
    """Velocity of the solvent, um/s."""

    def velocity(self, positions: Positions, time: float) -> Vectors:
        """Return the velocity at ``positions`` (um) and ``time`` (s), shape (n, 2)."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class FlowRoundPoint:
    """Solvent dragged by one particle: u = share V(t) exp(-|r - r_p(t)|/l), along x, nearest periodic image."""

    path: Oscillation
    share: float
    decay: float
    lengths: np.ndarray

    def velocity(self, positions: Positions, time: float) -> Vectors:
        """Return the velocity at ``positions`` (um) and ``time`` (s), shape (n, 2)."""
        away = shortest(positions - self.path.positions(time), self.lengths)
        nearness = np.exp(-np.hypot(away[:, 0], away[:, 1]) / self.decay)
        return _along_x(self.share * self.path.speed(time) * nearness)


@dataclass(frozen=True, kw_only=True, eq=False)
class FlowRoundRow:
    """Solvent dragged by one row of particles at y_w: u = share V(t) exp(-|y - y_w|/l), nearest periodic image."""

    path: Oscillation
    share: float
    decay: float
    lengths: np.ndarray

    def velocity(self, positions: Positions, time: float) -> Vectors:
        """Return the velocity at ``positions`` (um) and ``time`` (s), shape (n, 2)."""
        away = shortest(positions - self.path.sites[0], self.lengths)[:, 1]
        return _along_x(self.share * self.path.speed(time) * np.exp(-np.abs(away) / self.decay))


@dataclass(frozen=True, kw_only=True, eq=False)
class FlowBetweenRows:
    """Solvent between rows at y_- < y_+ moving with -V and +V: u is linear in y, from row to row and round the cell."""

    path: Oscillation
    share: float
    lengths: np.ndarray

    def velocity(self, positions: Positions, time: float) -> Vectors:
        """Return the velocity at ``positions`` (um) and ``time`` (s), shape (n, 2)."""
        rows = np.array([self.path.sites[self.path.signs == sign][0, 1] for sign in (-1.0, 1.0)])
        profile = np.interp(positions[:, 1], rows, [-1.0, 1.0], period=float(self.lengths[1]))
        return _along_x(self.share * self.path.speed(time) * profile)


@dataclass(frozen=True, kw_only=True, eq=False)
class Driven:
    """Overdamped particles, followed in every array by prescribed ones, in a solvent that may move.

    dx = [u(x, t) + D F] dt + sqrt(2 D) dW for the free particles, by the stochastic Heun scheme of
    :func:`~colloid_cg.twin.motion.brownian_step`; the prescribed ones are put on their path after every step, push the
    others and are never pushed.

    Parameters
    ----------
    force : callable
        Of all n + m particles.
    diffusion : array, shape (n,)
        Of the free particles, um2/s.
    path : Oscillation or None
        Of the m prescribed particles.
    flow : Flow or None
        None: the solvent is at rest.
    """

    force: Force
    diffusion: Scalars
    path: Oscillation | None
    flow: Flow | None

    def step(self, positions: Positions, *, time: float, dt: float, rng: np.random.Generator) -> Positions:
        """Return the positions after ``dt`` (s)."""
        free = len(self.diffusion)
        noise = np.sqrt(2.0 * self.diffusion * dt)[:, None] * rng.standard_normal((free, 2))
        guess, after = positions.copy(), positions.copy()
        if self.path is not None:
            guess[free:] = after[free:] = self.path.positions(time + dt)
        first = self._drift(positions, time)
        guess[:free] += first * dt + noise
        after[:free] += 0.5 * dt * (first + self._drift(guess, time + dt)) + noise
        return after

    def mean(
        self, before: Positions, after: Positions, *, time: float, dt: float, rng: np.random.Generator
    ) -> Positions:
        """Return the time average over a step: exact for the prescribed particles."""
        free = len(self.diffusion)
        mean = np.empty_like(before)
        mean[:free] = mean_over_step(before[:free], after[:free], diffusion=self.diffusion, dt=dt, rng=rng)
        if self.path is not None:
            mean[free:] = self.path.mean_positions(time, dt)
        return mean

    def _drift(self, positions: Positions, time: float) -> Vectors:
        free = len(self.diffusion)
        drift = self.diffusion[:, None] * self.force(positions)[:free]
        if self.flow is not None:
            drift += self.flow.velocity(positions[:free], time)
        return np.asarray(drift)


def shortest(difference: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return the shortest of the periodic images of ``difference``, shape (..., 2)."""
    return np.asarray(difference - lengths * np.round(difference / lengths))


def _along_x(speed: np.ndarray) -> Vectors:
    return np.stack([speed, np.zeros_like(speed)], axis=1)
