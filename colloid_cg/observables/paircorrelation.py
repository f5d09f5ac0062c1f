"""Radial distribution function with the exact correction for the edges of a rectangular view."""

from __future__ import annotations

import numpy as np
from numba import njit

from colloid_cg.errors import DataError, InputError
from colloid_cg.observables.blocks import jackknife_ratio
from colloid_cg.observables.curve import Curve
from colloid_cg.records import Box, Trajectories

MOST_BLOCKS = 20


def rdf(
    tracks: Trajectories,
    *,
    r_max: float | None = None,
    bins: int | np.ndarray = 100,
    species_pair: tuple[int, int] | None = None,
    max_frames: int = 1000,
) -> Curve:
    """Return the radial distribution function g(r) in the plane (or in 3-D), r in um.

    g = (pairs counted) / (pairs expected at the same density without correlation). The expectation is exact for
    an ideal gas seen through a rectangular window W (for a fluid it errs by a share of order 1/N): for N particles
    N (N - 1) / |W|^2 int_bin gamma_W(r) dV(r), with the set covariance gamma_W averaged over directions (see
    ``expected_pairs``), so the ideal gas gives 1 at every r up to the shorter side and no particle near the edge
    is thrown away. A density gradient across the view shows as g > 1 at large r.

    The standard error is a jackknife over up to 20 blocks of consecutive frames; it is too small when structure
    lives longer than a block, and NaN for a single frame.

    Parameters
    ----------
    tracks : Trajectories
        Periodic axes of its ``field_of_view`` are used as such.
    r_max : float, optional
        In um, at most the shorter open side and half of a periodic one; default the smaller of half of the
        shorter side and ten mean spacings.
    bins : int or array
        Number of bins from 0 to r_max, or edges in um.
    species_pair : (int, int), optional
        Only pairs of these species; default all particles alike.
    max_frames : int
        Frames used, evenly spaced, when the movie has more.
    """
    box, positions = tracks.box, tracks.positions
    species, offsets = tracks.table["species"].to_numpy(), tracks.frame_offsets()
    used = np.flatnonzero(np.diff(offsets))
    if len(used) == 0:
        raise DataError("no detections", expected="particles in some frame", action="check the tracking")
    used = used[np.unique(np.linspace(0, len(used) - 1, min(max_frames, len(used))).round().astype(int))]
    edges = _edges(bins, r_max, box, len(positions) / np.count_nonzero(np.diff(offsets)))
    shell = expected_pairs(edges, box) / box.volume**2
    counted, expected = np.zeros((len(used), len(edges) - 1)), np.zeros((len(used), len(edges) - 1))
    for index, frame in enumerate(used):
        rows = slice(offsets[frame], offsets[frame + 1])
        label, partners = _labels(species[rows], species_pair)
        counted[index] = _count(positions[rows][label >= 0], label[label >= 0], edges, box, species_pair)
        expected[index] = partners * shell
    blocks = np.array_split(np.arange(len(used)), min(MOST_BLOCKS, len(used)))
    value, error = jackknife_ratio(
        np.stack([counted[block].sum(axis=0) for block in blocks]),
        np.stack([expected[block].sum(axis=0) for block in blocks]),
    )
    return Curve(
        x=0.5 * (edges[1:] + edges[:-1]),
        value=value,
        standard_error=error,
        count=counted.sum(axis=0).astype(np.int64),
        x_unit="um",
        value_unit="1",
    )


def expected_pairs(edges: np.ndarray, box: Box) -> np.ndarray:
    """Return int gamma(r) dV over each bin: the measure of point pairs of the window at these distances.

    gamma(u) = prod_k (L_k - |u_k|) over open axes, L_k over periodic ones, is the area of the window that still
    overlaps itself after a shift by u. Averaged over directions it is the polynomial
    sum_k (-r)^k m_k e_k, where e_k sums over the sets of k open axes the product of the lengths of all other axes
    and m_k = <|n_1 ... n_k|> over directions n: 2/pi, 1/pi in 2-D; 1/2, 2/(3 pi), 1/(4 pi) in 3-D.
    In 2-D, open: gamma = a b - 2 r (a + b) / pi + r^2 / pi. Exact while r is at most the shortest side.

    Parameters
    ----------
    edges : array, shape (k + 1,)
    box : Box

    Returns
    -------
    array, shape (k,)
        Sum over ordered pairs; length to the power 2 d.
    """
    moments = (1.0, 2 / np.pi, 1 / np.pi) if box.dimension == 2 else (1.0, 0.5, 2 / (3 * np.pi), 1 / (4 * np.pi))
    overlap = np.polynomial.Polynomial([1.0])
    for length, wraps in zip(box.lengths, box.periodic, strict=True):
        overlap = overlap * np.polynomial.Polynomial([length] if wraps else [length, -1.0])
    directional = np.polynomial.Polynomial(overlap.coef * np.asarray(moments)[: len(overlap.coef)])
    surface = np.polynomial.Polynomial([0.0, 2 * np.pi] if box.dimension == 2 else [0.0, 0.0, 4 * np.pi])
    return np.diff((directional * surface).integ()(np.asarray(edges, dtype=float)))


def _edges(bins: int | np.ndarray, r_max: float | None, box: Box, mean_count: float) -> np.ndarray:
    largest = float(np.min(np.where(box.periodic, 0.5 * box.lengths, box.lengths)))
    if isinstance(bins, int):
        spacing = (box.volume / mean_count) ** (1.0 / box.dimension)
        end = min(0.5 * float(box.lengths.min()), 10 * spacing) if r_max is None else r_max
        edges = np.linspace(0.0, end, bins + 1)
    else:
        edges = np.asarray(bins, dtype=float)
    if not (edges[0] >= 0 and (np.diff(edges) > 0).all() and edges[-1] <= largest * (1 + 1e-12)):
        raise InputError(
            f"bins from {edges[0]:g} to {edges[-1]:g} um",
            expected=f"increasing edges from 0 to at most {largest:g} um (shorter side; half of a periodic one)",
            action="choose a smaller r_max",
        )
    return edges


def _labels(species: np.ndarray, species_pair: tuple[int, int] | None) -> tuple[np.ndarray, float]:
    """Return the label of each particle (-1: not used) and the number of ordered pairs that are counted."""
    if species_pair is None:
        return np.zeros(len(species), dtype=np.int64), float(len(species) * (len(species) - 1))
    first, second = (species == species_pair[0]), (species == species_pair[1])
    n_first, n_second = int(first.sum()), int(second.sum())
    label = np.where(first, 0, np.where(second, 1, -1))
    same = species_pair[0] == species_pair[1]
    return label, float(n_first * (n_first - 1) if same else 2 * n_first * n_second)


def _count(
    positions: np.ndarray, label: np.ndarray, edges: np.ndarray, box: Box, species_pair: tuple[int, int] | None
) -> np.ndarray:
    """Return ordered pairs per bin."""
    if len(positions) < 2:
        return np.zeros(len(edges) - 1)
    cross = species_pair is not None and species_pair[0] != species_pair[1]
    folded = box.wrap(positions)
    order = np.argsort(folded[:, 0], kind="stable")
    periods = np.where(box.periodic, box.lengths, 0.0)
    found = _sweep(folded[order], label[order], cross, edges, periods)
    return np.asarray(2.0 * found)


@njit(cache=True)  # type: ignore[untyped-decorator]
def _sweep(positions: np.ndarray, label: np.ndarray, cross: bool, edges: np.ndarray, periods: np.ndarray) -> np.ndarray:
    """Count pairs per bin; positions sorted along the first axis, so the inner loop ends at r_max."""
    n, d = positions.shape
    counts = np.zeros(len(edges) - 1)
    r_max = edges[-1]
    for i in range(n):
        for step in range(1, n):
            j, shift = i + step, 0.0
            if j >= n:
                if periods[0] == 0.0:
                    break
                j, shift = j - n, periods[0]
            along = positions[j, 0] + shift - positions[i, 0]
            if along >= r_max:
                break
            if cross and label[i] == label[j]:
                continue
            square = along * along
            for axis in range(1, d):
                difference = positions[j, axis] - positions[i, axis]
                if periods[axis] > 0.0:
                    difference -= periods[axis] * np.round(difference / periods[axis])
                square += difference * difference
            distance = np.sqrt(square)
            if edges[0] <= distance < r_max:
                counts[np.searchsorted(edges, distance, side="right") - 1] += 1.0
    return counts
