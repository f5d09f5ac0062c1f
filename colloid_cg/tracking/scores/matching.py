"""Which estimated detection stands for which true one: the best pairing within a gate, exact at any size."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.sparse import csr_array
from scipy.sparse.csgraph import min_weight_full_bipartite_matching
from scipy.spatial import cKDTree

from colloid_cg.tracking.scores.tables import Gate, axes_of, gate_in_px, positions_of


def match_detections(
    truth: pd.DataFrame, estimate: pd.DataFrame, *, gate: Gate, diameter: float | None = None
) -> np.ndarray:
    """Return for each estimated detection the row of its true one, -1 where it has none, shape (n,).

    Frame by frame the pairing with the smallest sum of distances in which every detection that stays alone costs the
    gate; only pairs closer than the gate are made.

    Parameters
    ----------
    truth, estimate : pandas.DataFrame
        Columns frame, x, y [, z], positions in px.
    gate : float, "5 px" or "d/4"
    diameter : float, optional
        Of the particles in px, for ``gate="d/4"``.
    """
    length = gate_in_px(gate, diameter)
    first, second, distance = close_pairs(truth, estimate, length)
    chosen = best_pairing(first, second, length - distance)
    partner = np.full(len(estimate), -1, dtype=np.int64)
    partner[second[chosen]] = first[chosen]
    return partner


def close_pairs(truth: pd.DataFrame, estimate: pd.DataFrame, gate: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return all pairs of rows of the same frame that are closer than the gate, and their distances."""
    axes = axes_of(truth, estimate)
    positions = [positions_of(table, axes) for table in (truth, estimate)]
    rows = [_rows_by_frame(table["frame"].to_numpy()) for table in (truth, estimate)]
    found = [(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))]
    for frame in sorted(rows[0].keys() & rows[1].keys()):
        here = [row[frame] for row in rows]
        trees = [cKDTree(points[index]) for points, index in zip(positions, here, strict=True)]
        near = trees[0].sparse_distance_matrix(trees[1], gate, output_type="ndarray")
        near = near[near["v"] < gate]
        found.append((here[0][near["i"]], here[1][near["j"]], near["v"]))
    first, second, distance = (np.concatenate(part) for part in zip(*found, strict=True))
    return first, second, distance


def _rows_by_frame(frame: np.ndarray) -> dict[int, np.ndarray]:
    order = np.argsort(frame, kind="stable")
    names, start = np.unique(frame[order], return_index=True)
    return dict(zip(names.tolist(), np.split(order, start)[1:], strict=True))


def best_pairing(row: np.ndarray, column: np.ndarray, gain: np.ndarray) -> np.ndarray:
    """Return the pairs, as indices of the list, that gain most in sum; each row and column is used at most once.

    Exact for any graph. Pairs whose row and column have no other candidate need no search; the others go to the
    sparse shortest-augmenting-path solver of scipy (Jonker and Volgenant 1987, doi:10.1007/BF02278710), which never
    fills a matrix, so that the cost grows with the number of candidates and a chain of any length is solved.

    Parameters
    ----------
    row, column : int arrays, shape (p,)
        Candidate pairs, each listed once.
    gain : array, shape (p,)
        Only pairs with a positive gain are ever chosen.
    """
    useful = np.flatnonzero(gain > 0)
    i, j = (np.unique(index[useful], return_inverse=True)[1] for index in (row, column))
    alone = (np.bincount(i)[i] == 1) & (np.bincount(j)[j] == 1) if len(useful) else np.zeros(0, dtype=bool)
    contested = np.flatnonzero(~alone)
    chosen = useful[alone]
    if len(contested):
        chosen = np.concatenate(
            [chosen, useful[contested[_solved(i[contested], j[contested], gain[useful[contested]])]]]
        )
    return np.sort(chosen)


def _solved(row: np.ndarray, column: np.ndarray, gain: np.ndarray) -> np.ndarray:
    """Return the chosen of the contested pairs: one more column per row stands for "no partner" at gain 0."""
    rows, i = np.unique(row, return_inverse=True)
    columns, j = np.unique(column, return_inverse=True)
    alone = len(columns) + np.arange(len(rows))
    # The solver drops zeros, so that costs are counted from 1; every row has one partner, which shifts all sums alike.
    largest = gain.max()
    cost = np.concatenate([1.0 + (largest - gain) / largest, np.full(len(rows), 2.0)])
    where = np.concatenate([i, np.arange(len(rows))]), np.concatenate([j, alone])
    graph = csr_array((cost, where), shape=(len(rows), len(columns) + len(rows)))
    partner = np.empty(len(rows), dtype=np.int64)
    matched, other = min_weight_full_bipartite_matching(graph)
    partner[matched] = other
    return np.flatnonzero(partner[i] == j)
