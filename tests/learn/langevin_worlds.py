"""Inertial particles with known friction and force, written without the package.

Free particles follow the exact law of the integrated Ornstein-Uhlenbeck velocity. With pair friction every sub-step
splits into kicks, drifts, the exact relaxation of each velocity by the bath, and the exact relaxation of the relative
velocity of one pair after the other (Shardlow 2003, doi:10.1137/S1064827501392879), which keeps the temperature at any
step.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

RANGE = 1.5
"""Range of pair friction and pair force, um."""


@dataclass(frozen=True, kw_only=True)
class Fluid:
    """Truth of an interacting world: rates in 1/s, theta in um2/s2, force in k_B T/um at contact, time in s."""

    bath: float = 2.0
    parallel: float = 3.0
    perpendicular: float = 1.5
    force: float = 25.0
    theta: float = 1.0
    dt: float = 0.05
    density: float = 0.8
    n_side: int = 12

    @property
    def side(self) -> float:
        """Edge of the periodic cell in um."""
        return float(self.n_side / np.sqrt(self.density))

    def force_at(self, r: np.ndarray) -> np.ndarray:
        """Force in k_B T/um."""
        return self.force * window(r)

    def friction_at(self, r: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """g_par and g_perp in 1/s."""
        return self.parallel * window(r), self.perpendicular * window(r)


def window(r: np.ndarray) -> np.ndarray:
    """(1 - (r/R)^2)^2 up to the range R."""
    s = np.minimum(np.asarray(r) / RANGE, 1.0)
    return np.asarray((1.0 - s * s) ** 2)


def free_particles(
    rng: np.random.Generator,
    *,
    n: int,
    frames: int,
    theta: float,
    friction: float,
    dt: float,
    exposure_share: float = 0.0,
    parts: int = 40,
) -> np.ndarray:
    """Return exact positions (frames, n, 2) in um, averaged over the exposure by ``parts`` exact sub-steps of it."""
    shutter = exposure_share * dt
    pieces = [shutter / parts] * parts + [dt - shutter] if shutter > 0 else [dt]
    moves = [_exact_move(friction, theta, h) if h > 0 else None for h in pieces]
    v, x = np.sqrt(theta) * rng.standard_normal((n, 2)), 60.0 * rng.random((n, 2))
    path = np.empty((frames, n, 2))
    for t in range(frames):
        seen = x * (0.5 if shutter > 0 else 1.0)
        for number, move in enumerate(moves):
            if move is not None:
                x, v = _moved(rng, x, v, move)
            if shutter > 0 and number < parts:
                seen = seen + (0.5 if number == parts - 1 else 1.0) * x
        path[t] = seen / (parts if shutter > 0 else 1)
    return path


def _exact_move(friction: float, theta: float, h: float) -> tuple[float, float, np.ndarray]:
    """Decay of v, reach of x per v, and the factor of the joint covariance of (x, v) over h (Chandrasekhar 1943)."""
    decay = np.exp(-friction * h)
    reach = (1 - decay) / friction
    var_v = theta * (1 - decay**2)
    cov = theta / friction * (1 - decay) ** 2
    var_x = theta / friction**2 * (2 * friction * h - 3 + 4 * decay - decay**2)
    return decay, reach, np.linalg.cholesky(np.array([[var_v, cov], [cov, var_x]]))


def _moved(
    rng: np.random.Generator, x: np.ndarray, v: np.ndarray, move: tuple[float, float, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    decay, reach, factor = move
    kick = rng.standard_normal((2, *x.shape))
    shift = factor[1, 0] * kick[0] + factor[1, 1] * kick[1]
    return x + reach * v + shift, decay * v + factor[0, 0] * kick[0]


def interacting(
    seed: int, fluid: Fluid, *, frames: int, blurred: bool = False, substeps: int = 16, settle: int = 100
) -> np.ndarray:
    """Return unwrapped positions (frames, n, 2) in um of the fluid at equilibrium; full-frame exposure if blurred."""
    n = fluid.n_side**2
    spacing = fluid.side / fluid.n_side
    grid = np.stack(np.meshgrid(np.arange(fluid.n_side), np.arange(fluid.n_side)), axis=-1).reshape(-1, 2) + 0.5
    rng = np.random.default_rng(seed)
    x = grid * spacing + 0.1 * spacing * rng.standard_normal((n, 2))
    v = np.sqrt(fluid.theta) * rng.standard_normal((n, 2))
    path = np.empty((frames, n, 2))
    _run(
        x, v, fluid.side, fluid.dt / substeps, substeps, fluid.bath, fluid.parallel, fluid.perpendicular,
        fluid.force * fluid.theta, fluid.theta, seed, settle, blurred, path,
    )  # fmt: skip
    return path


@njit(cache=True)
def _run(x, v, side, h, substeps, bath, parallel, perpendicular, force, theta, seed, settle, blurred, path):  # type: ignore[no-untyped-def]
    np.random.seed(seed)  # noqa: NPY002 (the only generator numba can seed in place)
    n = x.shape[0]
    decay = np.exp(-bath * h)
    spread = np.sqrt(theta * (1 - decay * decay))
    skin = 0.4
    listed = np.zeros((n * 60, 2), dtype=np.int64)
    count = 0
    origin = x.copy() + 1e9
    push = np.zeros((n, 2))
    seen = np.zeros((n, 2))
    for t in range(-settle, path.shape[0]):
        if t >= 0:
            seen[:] = x if not blurred else 0.5 * x
        for sub in range(substeps):
            moved = 0.0
            for i in range(n):
                moved = max(moved, (x[i, 0] - origin[i, 0]) ** 2 + (x[i, 1] - origin[i, 1]) ** 2)
            if moved > (0.5 * skin) ** 2 * 0.8:
                count = 0
                for i in range(n):
                    for j in range(i):
                        dx, dy = x[i, 0] - x[j, 0], x[i, 1] - x[j, 1]
                        dx -= side * np.round(dx / side)
                        dy -= side * np.round(dy / side)
                        if dx * dx + dy * dy < (1.5 + skin) ** 2:
                            listed[count, 0], listed[count, 1] = i, j
                            count += 1
                origin[:] = x
            _push(x, listed, count, side, force, push)
            v += 0.5 * h * push
            x += 0.5 * h * v
            for i in range(n):
                for a in range(2):
                    v[i, a] = decay * v[i, a] + spread * np.random.standard_normal()  # noqa: NPY002
            _rub(x, v, listed, count, side, h, parallel, perpendicular, theta)
            x += 0.5 * h * v
            _push(x, listed, count, side, force, push)
            v += 0.5 * h * push
            if t >= 0 and blurred:
                seen += (0.5 if sub == substeps - 1 else 1.0) * x
        if t >= 0:
            path[t] = seen / (substeps if blurred else 1)


@njit(cache=True)
def _push(x, listed, count, side, force, push):  # type: ignore[no-untyped-def]
    push[:] = 0.0
    for p in range(count):
        i, j = listed[p, 0], listed[p, 1]
        dx, dy = x[i, 0] - x[j, 0], x[i, 1] - x[j, 1]
        dx -= side * np.round(dx / side)
        dy -= side * np.round(dy / side)
        square = dx * dx + dy * dy
        if square < 2.25:
            size = force * (1 - square / 2.25) ** 2 / np.sqrt(square)
            push[i, 0] += size * dx
            push[i, 1] += size * dy
            push[j, 0] -= size * dx
            push[j, 1] -= size * dy


@njit(cache=True)
def _rub(x, v, listed, count, side, h, parallel, perpendicular, theta):  # type: ignore[no-untyped-def]
    for p in range(count):
        i, j = listed[p, 0], listed[p, 1]
        dx, dy = x[i, 0] - x[j, 0], x[i, 1] - x[j, 1]
        dx -= side * np.round(dx / side)
        dy -= side * np.round(dy / side)
        square = dx * dx + dy * dy
        if square < 2.25:
            r = np.sqrt(square)
            ex, ey = dx / r, dy / r
            share = (1 - square / 2.25) ** 2
            wx, wy = v[i, 0] - v[j, 0], v[i, 1] - v[j, 1]
            for axis in range(2):
                ax, ay = (ex, ey) if axis == 0 else (-ey, ex)
                rate = parallel if axis == 0 else perpendicular
                decay = np.exp(-2.0 * rate * share * h)
                w = wx * ax + wy * ay
                kick = np.sqrt(2.0 * theta * (1.0 - decay * decay)) * np.random.standard_normal()  # noqa: NPY002
                change = 0.5 * (w * (decay - 1.0) + kick)
                v[i, 0] += change * ax
                v[i, 1] += change * ay
                v[j, 0] -= change * ax
                v[j, 1] -= change * ay


def noisy(path: np.ndarray, ratio: float, seed: int) -> tuple[np.ndarray, float]:
    """Return positions with localisation noise of ``ratio`` rms steps (per coordinate), and its variance in um2.

    The numbers are not those that moved the particles, even for the same seed.
    """
    step = float(np.sqrt((np.diff(path, axis=0) ** 2).mean()))
    sigma = ratio * step
    return path + sigma * np.random.default_rng([seed, 1]).standard_normal(path.shape), sigma**2


def with_gaps(rng: np.random.Generator, frames: int, n: int, share: float) -> np.ndarray:
    """Return which of (frames, n) detections are kept: ``share`` is lost at random."""
    return np.asarray(rng.random((frames, n)) >= share)
