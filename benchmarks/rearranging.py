"""Speed and exactness of D2min and p_hop."""

from __future__ import annotations

import numpy as np

from benchmarks.record import Record
from benchmarks.timing import cpu
from colloid_cg.neighbors import within
from colloid_cg.observables import d2min, p_hop, p_hop_of_rows
from colloid_cg.records import Box

PHILATRACKS = "philatracks, as measured in another environment (does not install beside this one)"


def disordered(n_side: int, dimension: int, rng: np.random.Generator) -> np.ndarray:
    """A square (cubic) lattice of unit spacing, shaken by a tenth: 6.7 neighbours within 1.5 in two dimensions."""
    grid = np.stack(np.meshgrid(*[np.arange(float(n_side))] * dimension), axis=-1).reshape(-1, dimension)
    return grid + rng.normal(0, 0.1, grid.shape)


def d2min_figures(record: Record) -> None:
    rng = np.random.default_rng(0)
    before = disordered(100, 2, rng)
    after = before + rng.normal(0, 0.05, before.shape)
    box = Box(lower=(-1.0, -1.0), upper=(101.0, 101.0), periodic=(False, False))
    graph = within(before, 1.5, box)
    n = len(before)
    both = cpu(lambda: d2min(before, after, within(before, 1.5, box)), repeats=15)
    alone = cpu(lambda: d2min(before, after, graph), repeats=15)
    note = f"{n} particles, {2 * len(graph.pairs) / n:.1f} neighbours each, one core"
    record.add("D2min with its neighbour search", n / both / 1e3, unit="1000 particles/s", target=500.0,
               better="higher", peer=PHILATRACKS, peer_value=52.0, note=note)  # fmt: skip
    record.add("D2min, neighbours given", n / alone / 1e3, unit="1000 particles/s", target=500.0, better="higher",
               note=note)  # fmt: skip
    for dimension, n_side, cutoff in ((2, 40, 1.5), (3, 14, 1.3)):
        worst = max(affine_residual(dimension, n_side, cutoff, np.random.default_rng(seed)) for seed in range(20))
        record.add(f"D2min of affine motion over bond length squared, {dimension}-D periodic, largest", worst,
                   target=1e-12, better="lower",
                   note="20 random maps 1 + N(0, .3), across the faces of the cell")  # fmt: skip


def affine_residual(dimension: int, n_side: int, cutoff: float, rng: np.random.Generator) -> float:
    """Return the largest D2min per squared bond of a patch that is deformed and moved across faces of a cell."""
    patch = disordered(n_side, dimension, rng)
    box = Box(lower=(0.0,) * dimension, upper=(4.0 * n_side,) * dimension, periodic=(True,) * dimension)
    map_ = np.eye(dimension) + rng.normal(0, 0.3, (dimension, dimension))
    before = box.wrap(patch)
    after = box.wrap(patch @ map_.T + rng.uniform(-100, 100, dimension))
    graph = within(before, cutoff, box)
    value = d2min(before, after, graph, box=box)
    return float(np.nanmax(value) / np.mean(graph.distances**2))


def p_hop_figures(record: Record) -> None:
    rng = np.random.default_rng(1)
    positions = rng.normal(size=(1000, 1000, 2)).cumsum(axis=0)
    for half_window in (5, 50):
        seconds = cpu(lambda h=half_window: p_hop(positions, half_window=h), repeats=7)
        record.add(f"p_hop, half window {half_window}", 1e-6 * positions[..., 0].size / seconds,
                   unit="million particle-frames/s", target=20.0, better="higher",
                   note="1000 frames x 1000 particles")  # fmt: skip
    frame, particle = np.divmod(np.arange(1_000_000), 1000)
    rows = positions.reshape(-1, 2)
    seconds = cpu(lambda: p_hop_of_rows(rows, frame, particle, half_window=5), repeats=3)
    record.add("p_hop of a table, half window 5", 1.0 / seconds, unit="million particle-frames/s",
               note="sorting by particle included")  # fmt: skip
    still = rng.normal(0, 0.1, (100_000, 1, 2)) + 1000.0 + 1e3 * (rng.random((100_000, 1, 1)) < 1e-3).cumsum(axis=0)
    deviation = np.abs(p_hop(still, half_window=20)[20:-19, 0] / long_double(still[:, 0], 20) - 1).max()
    record.add("p_hop: largest relative deviation from its definition in extended precision", float(deviation),
               target=1e-10, better="lower", note="100,000 frames with leaps of 1000 cage sizes")  # fmt: skip


def long_double(track: np.ndarray, half: int) -> np.ndarray:
    """Return p_hop of one track from its definition in extended precision."""
    windows = np.lib.stride_tricks.sliding_window_view(track.astype(np.longdouble), 2 * half, axis=0).swapaxes(1, 2)
    a, b = windows[:, :half], windows[:, half:]
    left = ((a - b.mean(axis=1, keepdims=True)) ** 2).sum(axis=2).mean(axis=1)
    right = ((b - a.mean(axis=1, keepdims=True)) ** 2).sum(axis=2).mean(axis=1)
    return np.asarray(np.sqrt(left * right), dtype=float)
