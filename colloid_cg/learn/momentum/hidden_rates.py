"""Rates of memory kernels from the friction that random impulses show over windows of several lengths."""

from __future__ import annotations

import numpy as np
from scipy.optimize import least_squares

from colloid_cg.dynamics.metriplectic.memory import MemoryKernel

LEAST_ERROR = 3e-3
"""Error of the friction over a window, relative, below which none is believed: lattice of frames, shape of kappa."""


def first_kernels(sizes: tuple[int, ...], interval: float, longest: int) -> tuple[MemoryKernel, ...]:
    """Return kernels to start from, the fastest first: memories from two frames to a quarter of the longest window."""
    times = np.geomspace(2.0 * interval, max(0.25 * longest, 3.0) * interval, len(sizes))
    return tuple(
        MemoryKernel(1.0 / time) if size == 1 else MemoryKernel(1.0 / time, 1.0 / time)
        for size, time in zip(sizes, times, strict=True)
    )


def friction_seen(kernels: tuple[MemoryKernel, ...], levels: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Return the friction per mass that impulses over ``times`` show."""
    return np.asarray(levels @ np.array([kernel.twice_integrated(times) for kernel in kernels]) / times)


def fit_rates(
    sizes: tuple[int, ...], times: np.ndarray, seen: np.ndarray, error: np.ndarray,
    start: tuple[tuple[MemoryKernel, ...], np.ndarray],
) -> tuple[tuple[MemoryKernel, ...], np.ndarray]:  # fmt: skip
    """Return kernels and their frictions per mass by weighted least squares on the windows, in logarithms."""
    kernels, levels = start
    largest = float(np.abs(seen).max())
    weight = 1.0 / np.maximum(error, LEAST_ERROR * largest)
    rates = [rate for kernel in kernels for rate in (kernel.decay, kernel.swing) if rate is not None]
    unknown = np.log([*rates, *np.maximum(levels, 0.02 * largest)])

    def parts(values: np.ndarray) -> tuple[tuple[MemoryKernel, ...], np.ndarray]:
        numbers = iter(np.exp(values).tolist())
        shaped = tuple(MemoryKernel(next(numbers), next(numbers) if size == 2 else None) for size in sizes)
        return shaped, np.fromiter(numbers, dtype=float)

    slowest, fastest = np.log(0.3 / times[-1]), np.log(20.0 / times[0])
    bounds = np.array([[slowest, fastest]] * len(rates) + [[np.log(1e-3 * largest), np.log(10 * largest)]] * len(sizes))
    inside = np.clip(unknown, bounds[:, 0] + 1e-6, bounds[:, 1] - 1e-6)
    found = least_squares(
        lambda values: weight * (friction_seen(*parts(values), times) - seen), inside, bounds=bounds.T
    )
    return parts(found.x)


def largest_change(before: tuple[MemoryKernel, ...], after: tuple[MemoryKernel, ...]) -> float:
    """Return the largest relative change of a memory kernel over the time it lasts."""
    changes = []
    for old, new in zip(before, after, strict=True):
        times = np.linspace(0.0, 4.0 / new.decay, 50)
        changes.append(float(np.abs(old.at(times) - new.at(times)).max() / new.at_zero))
    return max(changes)
