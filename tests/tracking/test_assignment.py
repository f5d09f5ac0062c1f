"""Candidates, exact assignment and probabilities of links against brute force."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from colloid_cg.tracking.linking.assignment import assign, components
from colloid_cg.tracking.linking.candidates import candidates
from colloid_cg.tracking.linking.marginals import marginals


def sparse(allowed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Row starts and columns of a matrix of allowed pairs."""
    return np.concatenate([[0], np.cumsum(allowed.sum(axis=1))]), np.nonzero(allowed)[1]


def pairings(allowed: np.ndarray) -> list[tuple[int, ...]]:
    """Every way to give each row one of its columns or none (-1), no column twice."""
    found: list[tuple[int, ...]] = [()]
    for row in allowed:
        options = [-1, *np.flatnonzero(row)]
        found = [(*one, int(j)) for one in found for j in options if j < 0 or j not in one]
    return found


@pytest.mark.parametrize("dimension", [2, 3])
@pytest.mark.parametrize("scale", [1.0, 1e9])
def test_candidates_are_all_pairs_within_reach_whatever_the_size_of_the_field(dimension: int, scale: float) -> None:
    rng = np.random.default_rng(1)
    for _ in range(30):
        m, n = rng.integers(1, 40, 2)
        clusters = scale * rng.integers(0, 3, (m + n, dimension))
        points = clusters + rng.uniform(-4, 4, (m + n, dimension))
        tracks, detections = points[:m], points[m:]
        ranges = rng.uniform(0.3, 3.0, m)
        row_start, column, squared = candidates(tracks, ranges, detections, ranges.min())
        distance = np.linalg.norm(tracks[:, np.newaxis] - detections, axis=2)
        for i, (begin, end) in enumerate(pairwise(row_start)):
            assert sorted(column[begin:end]) == list(np.flatnonzero(distance[i] <= ranges[i]))
            np.testing.assert_allclose(np.sqrt(squared[begin:end]), distance[i, column[begin:end]])


def test_a_step_of_exactly_the_search_range_is_allowed() -> None:
    for edge in (0.0, 0.1, 1e4 / 3.0):
        tracks = np.array([[edge, edge]])
        assert len(candidates(tracks, np.array([0.3]), tracks + np.array([0.3, 0.0]), 0.3)[1]) == 1
        assert len(candidates(tracks, np.array([0.3]), tracks + np.array([0.3001, 0.0]), 0.3)[1]) == 0


def test_assignment_is_the_best_of_all_pairings() -> None:
    rng = np.random.default_rng(2)
    for _ in range(150):
        m, n = rng.integers(1, 6, 2)
        allowed = rng.random((m, n)) < 0.7
        cost = rng.uniform(-1.0, 3.0, (m, n))
        row_start, column = sparse(allowed)
        chosen = assign(row_start, column, cost[allowed], 1.0, n)
        made = [-1 if e < 0 else int(column[e]) for e in chosen]
        totals = {one: sum(1.0 if j < 0 else cost[i, j] for i, j in enumerate(one)) for one in pairings(allowed)}
        assert tuple(made) == min(totals, key=totals.__getitem__)


def test_assignment_of_many_costs_what_a_dense_solver_finds() -> None:
    rng = np.random.default_rng(3)
    for n in (60, 300):
        tracks = rng.uniform(0, np.sqrt(n), (n, 2))
        detections = tracks + rng.normal(0, 0.8, tracks.shape)
        row_start, column, squared = candidates(tracks, np.full(n, 3.0), detections, 3.0)
        assert np.diff(components(row_start, column, n)[0]).max() == n
        chosen = assign(row_start, column, squared, 9.0, n)
        made = chosen[chosen >= 0]
        assert len(set(column[made])) == len(made)
        dense = np.full((n, 2 * n), 1e6)
        dense[np.repeat(np.arange(n), np.diff(row_start)), column] = squared
        dense[np.arange(n), n + np.arange(n)] = 9.0
        best = dense[linear_sum_assignment(dense)].sum()
        assert squared[made].sum() + 9.0 * (n - len(made)) == pytest.approx(best, rel=1e-12)


def test_between_equals_a_pair_is_made_and_forbidden_pairs_never() -> None:
    one = np.array([0, 1]), np.array([0])
    assert assign(*one, np.array([4.0]), 4.0, 1).tolist() == [0]
    assert assign(*one, np.array([np.inf]), 4.0, 1).tolist() == [-1]
    assert assign(np.array([0, 1, 2]), np.array([0, 0]), np.array([1.0, 1.0]), 4.0, 1).tolist() == [0, -1]


def test_groups_are_connected_components() -> None:
    allowed = np.zeros((5, 4), dtype=bool)
    allowed[[0, 0, 3, 1], [1, 3, 3, 0]] = True
    first, rows = components(*sparse(allowed), 4)
    assert [sorted(rows[a:b]) for a, b in pairwise(first)] == [[0, 3], [1]]


def probabilities(allowed: np.ndarray, odds: np.ndarray) -> np.ndarray:
    """Probability of each pair by adding up all pairings."""
    total, each = 0.0, np.zeros(allowed.shape)
    for one in pairings(allowed):
        weight = np.prod([odds[i, j] for i, j in enumerate(one) if j >= 0])
        total += weight
        for i, j in enumerate(one):
            if j >= 0:
                each[i, j] += weight
    return each / total


@pytest.mark.parametrize(("m", "n"), [(1, 4), (5, 1), (2, 2), (4, 4), (3, 6), (6, 3), (7, 3)])
def test_probabilities_of_small_groups_are_exact(m: int, n: int) -> None:
    rng = np.random.default_rng(m + 10 * n)
    for _ in range(10):
        allowed = rng.random((m, n)) < 0.8
        odds = np.exp(rng.normal(1.0, 2.5, (m, n))).clip(1e-3)
        found, _ = marginals(*sparse(allowed), odds[allowed], n)
        np.testing.assert_allclose(found, probabilities(allowed, odds)[allowed], rtol=1e-9, atol=1e-12)


def test_probabilities_of_larger_groups_are_close() -> None:
    # a chain of close pairs, each of which may be swapped: what belief propagation alone gets wrong
    rng = np.random.default_rng(5)
    worst = 0.0
    for _ in range(4):
        at = np.column_stack([np.repeat(np.arange(4) * 2.2, 2), np.tile([0.0, 1.0], 4)])[:7]
        at = at + rng.normal(0, 0.2, at.shape)
        moved = at + rng.normal(0, 0.6, at.shape)
        squared = ((at[:, np.newaxis] - moved) ** 2).sum(axis=2)
        odds = 300.0 * np.exp(-squared / (2 * 0.36))
        allowed = odds > 1e-4
        found, largest = marginals(*sparse(allowed), odds[allowed], 7)
        assert largest == 7
        worst = max(worst, float(np.abs(found - probabilities(allowed, odds)[allowed]).max()))
    assert worst < 0.02


def test_a_swap_of_two_equals_is_even_whatever_the_odds() -> None:
    for odds in (1.0, 1e3, 1e8):
        found, _ = marginals(np.array([0, 2, 4]), np.array([0, 1, 0, 1]), np.full(4, odds), 2)
        np.testing.assert_allclose(found, 0.5 * found.reshape(2, 2).sum(axis=1).mean(), rtol=1e-6)
    assert found[0] == pytest.approx(0.5, abs=1e-4)
