"""Pairs against brute force over images; sums over pairs against dense matrices; lists that must not miss a pair."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

from colloid_cg.dynamics.metriplectic.cell import Cell
from colloid_cg.dynamics.metriplectic.pairs import neighbour_list, pairs_from
from colloid_cg.dynamics.pairs import image_pairs
from colloid_cg.errors import InputError
from colloid_cg.records import Box


def box_of(dimension: int, *, shear_rate: float = 0.0, periodic: bool = True) -> Box:
    lower, upper = (-0.4, 0.3, 1.0)[:dimension], (1.9, 2.4, 3.2)[:dimension]
    return Box(lower=lower, upper=upper, periodic=(periodic,) * dimension, shear_rate=shear_rate)


def brute_force(positions: np.ndarray, distance: float, box: Box, *, time: float) -> set[tuple[int, ...]]:
    """(i, j, n...) with |r_i - r_j - n L - n_y g L_y t x| < distance, every n within reach tried."""
    slide = box.shear_rate * box.lengths[1] * time
    found = set()
    for i, j in product(range(len(positions)), repeat=2):
        if i >= j:
            continue
        rest = positions[i] - positions[j]
        spans = []
        for axis in range(1, len(rest)):
            most = int(np.ceil((abs(rest[axis]) + distance) / box.lengths[axis]))
            spans.append(np.arange(-most, most + 1) if box.periodic[axis] else np.zeros(1))
        for others in product(*spans):
            along = rest[0] - others[0] * slide
            most = int(np.ceil((abs(along) + distance) / box.lengths[0]))
            n_x = np.arange(-most, most + 1) if box.periodic[0] else np.zeros(1)
            across = rest[1:] - np.array(others) * box.lengths[1:]
            near = (along - n_x * box.lengths[0]) ** 2 + across @ across < distance**2
            found |= {(i, j, int(n), *map(int, others)) for n in n_x[near]}
    return found


@pytest.mark.parametrize("dimension", [2, 3])
@pytest.mark.parametrize(
    ("shear_rate", "time"), [(0.0, 0.0), (0.6, 0.0), (0.6, 0.35), (0.6, 5.7), (-0.6, 5.7), (1.3, -4.1)]
)
def test_image_pairs_of_unwrapped_positions(dimension: int, shear_rate: float, time: float) -> None:
    rng = np.random.default_rng(3)
    box = box_of(dimension, shear_rate=shear_rate)
    positions = np.asarray(box.lower) + box.lengths * rng.uniform(-4.0, 5.0, (14, dimension))
    for distance in (0.6, 1.04):  # half of the shortest edge is 1.05
        pairs, images = image_pairs(positions, distance, box, time=time)
        found = [(*pair, *image) for pair, image in zip(pairs.tolist(), images.astype(int).tolist(), strict=True)]
        right = brute_force(positions, distance, box, time=time)
        assert len(right) > 3
        assert len(found) == len(set(found))
        assert set(found) == right


def test_image_pairs_of_an_open_cell_and_of_none() -> None:
    rng = np.random.default_rng(4)
    box = box_of(2, periodic=False)
    positions = rng.uniform(0.4, 1.8, (12, 2))
    pairs, images = image_pairs(positions, 0.6, box)
    assert {(*pair, 0, 0) for pair in pairs.tolist()} == brute_force(positions, 0.6, box, time=0.0)
    assert not images.any()
    for count in (0, 1):
        pairs, images = image_pairs(positions[:count], 0.6, box_of(2, shear_rate=0.5), time=1.0)
        assert (pairs.shape, images.shape) == ((0, 2), (0, 2))


def test_pairs_on_the_faces_are_found() -> None:
    box = box_of(2, shear_rate=0.7)
    lower, upper = np.asarray(box.lower), np.asarray(box.upper)
    positions = np.array(
        [lower, upper, [lower[0], upper[1]], [upper[0], lower[1]], lower + np.array([0.5, 0.0]), upper - 1e-15]
    )
    for time in (0.0, 0.9, 3.3):
        pairs, images = image_pairs(positions, 0.9, box, time=time)
        found = {(*pair, *image) for pair, image in zip(pairs.tolist(), images.astype(int).tolist(), strict=True)}
        assert found == brute_force(positions, 0.9, box, time=time)


@pytest.mark.parametrize("shear_rate", [0.0, 0.5])
def test_a_neighbour_list_misses_nothing_and_is_seldom_made(shear_rate: float) -> None:
    rng = np.random.default_rng(5)
    box = Box(lower=(0.0, 0.0), upper=(5.0, 5.0), periodic=(True, True), shear_rate=shear_rate)
    cell, cutoff, dt, steps = Cell(box=box), 0.9, 0.004, 300
    positions = rng.uniform(0.0, 5.0, (24, 2))
    velocities = rng.normal(0.0, 0.6, (24, 2))
    velocities[:, 0] += shear_rate * (positions[:, 1] - 2.5)
    neighbours = neighbour_list(cell, torch.as_tensor(positions), cutoff=cutoff, skin=0.35)
    crossings = 0
    for step in range(steps):
        time = step * dt
        velocities += 0.05 * rng.normal(size=velocities.shape)
        positions = positions + dt * velocities
        neighbours = neighbours.at(torch.as_tensor(positions), time)
        pairs = neighbours.pairs
        if step % 10 == 0:
            rows = torch.cat([torch.stack([pairs.first, pairs.second]), pairs.image.long()]).T
            right = brute_force(positions, cutoff, box, time=time)
            assert right <= set(map(tuple, rows.tolist())), f"a pair is missed at step {step}"
            crossings += sum(row[3] != 0 for row in right)
    assert crossings > 20
    assert 2 < neighbours.searches < steps / 5


def test_a_neighbour_list_at_rest_is_made_once_and_again_for_sliding_faces() -> None:
    positions = torch.rand(10, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 4.0
    still, sheared = (
        neighbour_list(
            Cell(box=Box(lower=(0.0, 0.0), upper=(4.0, 4.0), periodic=(True, True), shear_rate=rate)),
            positions,
            cutoff=0.8,
            skin=0.2,
        )
        for rate in (0.0, 0.5)
    )
    for step in range(20):
        still, sheared = still.at(positions, 0.02 * step), sheared.at(positions, 0.02 * step)
    assert still.searches == 1
    # The face slides at 2 and passes the skin of .2 after each .1: at .12, .24, .36.
    assert 3 <= sheared.searches <= 5


@pytest.fixture
def pairs():
    indices = np.array([[0, 1], [0, 3], [1, 3], [2, 4]])
    return pairs_from(indices, np.zeros((4, 2)), 6, torch.zeros(1, dtype=torch.float64))


def test_sums_and_differences_against_dense_matrices(pairs) -> None:
    signed = np.zeros((6, 4))
    signed[pairs.first, range(4)], signed[pairs.second, range(4)] = 1.0, -1.0
    rng = np.random.default_rng(6)
    x, y, scalar, one = (rng.normal(size=shape) for shape in ((6, 3), (3, 4), (6,), (4,)))
    for found, right in (
        (pairs.difference(torch.as_tensor(x)), (signed.T @ x).T),
        (pairs.difference(torch.as_tensor(scalar)), signed.T @ scalar),
        (pairs.net(torch.as_tensor(y)), signed @ y.T),
        (pairs.net(torch.as_tensor(one)), signed @ one),
        (pairs.both(torch.as_tensor(y)), abs(signed) @ y.T),
        (pairs.both(torch.as_tensor(one)), abs(signed) @ one),
    ):
        np.testing.assert_allclose(found.numpy(), right, rtol=0, atol=1e-15 * 10)
    np.testing.assert_array_equal(pairs.ends(torch.as_tensor(scalar))[1], scalar[pairs.second])


@pytest.mark.parametrize(
    ("name", "shape"),
    [("difference", (6, 3)), ("difference", (6,)), ("net", (3, 4)), ("net", (4,)), ("both", (3, 4)), ("both", (4,))],
)
def test_derivatives_of_sums_over_pairs(pairs, name: str, shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(7)
    values = torch.randn(*shape, dtype=torch.float64, generator=generator, requires_grad=True)
    assert torch.autograd.gradcheck(getattr(pairs, name), (values,))
    assert torch.autograd.gradgradcheck(getattr(pairs, name), (values,))


def test_a_cutoff_of_more_than_half_the_cell_is_refused() -> None:
    cell = Cell(box=Box(lower=(0.0, 0.0), upper=(3.0, 2.0), periodic=(True, False)))
    cell.check(1.5)  # the open axis does not count
    with pytest.raises(InputError, match="at most half of every periodic edge"):
        cell.check(1.5000001)
    Cell(box=box_of(3, periodic=False)).check(1e9)
    positions = torch.zeros(1, 2, dtype=torch.float64)
    assert neighbour_list(cell, positions, cutoff=1.45, skin=0.3).skin == pytest.approx(0.05)
