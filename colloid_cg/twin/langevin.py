"""Motion with inertia: Newton's equation with bath and pair friction, and noise at one temperature.

dv_i = theta F_i dt - gamma_b v_i dt - sum_j [g_par(r) e e^T + g_perp(r) (1 - e e^T)] (v_i - v_j) dt + noise, where
theta = k_B T/m (um2/s2), F is in k_B T/um and e = r_ij/|r_ij|. Friction of a pair acts on its relative velocity alone
and conserves momentum; g_perp without spins does not conserve angular momentum.

One step is the palindrome kick, drift, bath, pairs, pairs in reverse, bath, drift, kick (BAOAB: Leimkuhler and
Matthews, DOI 10.1093/amrx/abs010) with every friction an exact Ornstein-Uhlenbeck update, that of the pairs one after
the other (Shardlow, DOI 10.1137/S1064827501392879). Each update leaves the Maxwell distribution as it is, so that only
the splitting of force and drift errs: in a well of frequency w, <v^2> is low by (w dt)^2/4.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numba
import numpy as np

from colloid_cg.shapes import Positions, Vectors
from colloid_cg.twin.forces import Force, neighbour_pairs
from colloid_cg.twin.motion import Clock


def friction_kernel(r: np.ndarray, *, amplitude: float, reach: float) -> np.ndarray:
    """Return g(r) = amplitude (1 - r/reach)^2 for r < reach, else 0; unit of the amplitude."""
    return np.asarray(amplitude * np.square(np.clip(1.0 - np.asarray(r, dtype=float) / reach, 0.0, None)))


@dataclass(frozen=True, kw_only=True)
class PairFriction:
    """Friction between two particles: rates (1/s) at r = 0 along and across their connection, range in um."""

    parallel: float
    perpendicular: float
    reach: float


class FrictionPairs:
    """Pairs within the range of the friction in a periodic cell; listed with a skin, like those of PairForces."""

    def __init__(self, *, reach: float, lengths: np.ndarray) -> None:
        self._reach, self._skin, self._lengths = reach, 0.3 * reach, lengths
        self._listed = np.zeros((0, 2))
        self._pairs = np.zeros((0, 2), dtype=np.int64)

    def __call__(self, positions: Positions) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return pairs (p, 2), unit vectors from the first to the second (p, 2) and distances (p,) in um."""
        same = self._listed.shape == positions.shape
        if not same or np.square(positions - self._listed).sum(axis=1).max() >= 0.25 * self._skin**2:
            self._pairs = neighbour_pairs(positions, self._reach + self._skin, lengths=self._lengths)
            self._listed = positions.copy()
        away = positions[self._pairs[:, 1]] - positions[self._pairs[:, 0]]
        away -= self._lengths * np.round(away / self._lengths)
        r = np.hypot(away[:, 0], away[:, 1])
        near = (r < self._reach) & (r > 0.0)
        return self._pairs[near], away[near] / r[near, None], r[near]


Pairs = Callable[[Positions], tuple[np.ndarray, np.ndarray, np.ndarray]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Inertial:
    """The motion of this module.

    Parameters
    ----------
    force : callable
        k_B T/um.
    thermal : float
        theta = k_B T/m, um2/s2.
    bath_friction : float
        gamma_b, 1/s.
    pairs : callable or None
        From positions to the pairs with friction (see :class:`FrictionPairs`).
    friction : PairFriction or None
    """

    force: Force
    thermal: float
    bath_friction: float
    pairs: Pairs | None = None
    friction: PairFriction | None = None

    def step(
        self, positions: Positions, velocities: Vectors, pull: Vectors, *, dt: float, rng: np.random.Generator
    ) -> tuple[Positions, Positions, Vectors, Vectors]:
        """Return the positions half way and after ``dt`` (s), the velocities and the force after it.

        ``pull`` is the force at ``positions``.
        """
        velocities = velocities + 0.5 * dt * self.thermal * pull
        middle = positions + 0.5 * dt * velocities
        velocities = self.rubbed(middle, velocities, dt=dt, rng=rng)
        after = middle + 0.5 * dt * velocities
        pull = self.force(after)
        return middle, after, velocities + 0.5 * dt * self.thermal * pull, pull

    def rubbed(self, positions: Positions, velocities: Vectors, *, dt: float, rng: np.random.Generator) -> Vectors:
        """Return the velocities after all friction and noise of ``dt`` at fixed positions."""
        velocities = bathed(velocities, rate=self.bath_friction, thermal=self.thermal, dt=0.5 * dt, rng=rng)
        if self.pairs is not None and self.friction is not None:
            listed, e, r = self.pairs(positions)
            rates = np.stack(
                [
                    friction_kernel(r, amplitude=self.friction.parallel, reach=self.friction.reach),
                    friction_kernel(r, amplitude=self.friction.perpendicular, reach=self.friction.reach),
                ],
                axis=1,
            )
            # the relative velocity of a pair is lost at twice the rate of either particle, here over dt/2
            kept = np.exp(-rates * dt)
            noise = np.sqrt(2.0 * self.thermal * (1.0 - kept**2)) * rng.standard_normal((2, *rates.shape))
            _rub_pairs(velocities, listed, e, kept, noise)
        return bathed(velocities, rate=self.bath_friction, thermal=self.thermal, dt=0.5 * dt, rng=rng)


def bathed(velocities: Vectors, *, rate: float, thermal: float, dt: float, rng: np.random.Generator) -> Vectors:
    """Return v exp(-rate dt) + sqrt(theta (1 - exp(-2 rate dt))) xi: friction against the bath, exactly."""
    if rate == 0.0:
        return velocities.copy()
    spread = math.sqrt(-thermal * math.expm1(-2.0 * rate * dt))
    return np.asarray(math.exp(-rate * dt) * velocities + spread * rng.standard_normal(velocities.shape))


def film_inertial(
    motion: Inertial,
    positions: Positions,
    velocities: Vectors,
    *,
    clock: Clock,
    n_frames: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Run ``n_frames`` frame intervals.

    Returns
    -------
    instants, means, velocities : arrays, shape (n_frames, n, 2), (n_frames, parts, n, 2), (n_frames, n, 2)
        As :func:`~colloid_cg.twin.motion.film_motion`, and the velocities (um/s) at the frame times.
    """
    (part_steps, part_dt), (dark_steps, dark_dt) = clock.part_steps, clock.dark_steps
    instants, speeds = np.empty((2, n_frames, *positions.shape))
    means = np.empty((n_frames, clock.parts, *positions.shape)) if part_steps else instants[:, None]
    pull = motion.force(positions)
    for frame in range(n_frames):
        instants[frame], speeds[frame] = positions, velocities
        for part in range(clock.parts if part_steps else 0):
            total = np.zeros_like(positions)
            for _ in range(part_steps):
                before = positions
                middle, positions, velocities, pull = motion.step(positions, velocities, pull, dt=part_dt, rng=rng)
                # the path of a step has two straight halves
                total += 0.25 * before + 0.5 * middle + 0.25 * positions
            means[frame, part] = total / part_steps
        for _ in range(dark_steps):
            _, positions, velocities, pull = motion.step(positions, velocities, pull, dt=dark_dt, rng=rng)
    return instants, means, speeds


def settle(
    motion: Inertial, positions: Positions, *, dt: float, duration: float, rng: np.random.Generator
) -> tuple[Positions, Vectors]:
    """Return positions and velocities after ``duration`` (s), started with Maxwell's velocities."""
    velocities = math.sqrt(motion.thermal) * rng.standard_normal(positions.shape)
    velocities -= velocities.mean(axis=0)
    pull = motion.force(positions)
    for _ in range(math.ceil(duration / dt)):
        _, positions, velocities, pull = motion.step(positions, velocities, pull, dt=dt, rng=rng)
    return positions, velocities


def _rub_pairs_loop(
    velocities: np.ndarray, pairs: np.ndarray, e: np.ndarray, kept: np.ndarray, noise: np.ndarray
) -> None:
    """Update the relative velocity of every pair in place, in order and then in reverse: u' = kept u + noise."""
    count = pairs.shape[0]
    for sweep in range(2):
        for step in range(count):
            k = step if sweep == 0 else count - 1 - step
            i, j = pairs[k, 0], pairs[k, 1]
            ux, uy = velocities[j, 0] - velocities[i, 0], velocities[j, 1] - velocities[i, 1]
            along = ux * e[k, 0] + uy * e[k, 1]
            across = uy * e[k, 0] - ux * e[k, 1]
            # half of the change of u to either particle
            a = 0.5 * ((kept[k, 0] - 1.0) * along + noise[sweep, k, 0])
            b = 0.5 * ((kept[k, 1] - 1.0) * across + noise[sweep, k, 1])
            dx, dy = a * e[k, 0] - b * e[k, 1], a * e[k, 1] + b * e[k, 0]
            velocities[i, 0] -= dx
            velocities[i, 1] -= dy
            velocities[j, 0] += dx
            velocities[j, 1] += dy


_rub_pairs = numba.njit(cache=True)(_rub_pairs_loop)
