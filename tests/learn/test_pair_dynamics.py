"""Pair force and friction from positions and velocities: recovery of known laws, bad input, a star melt."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from colloid_cg.errors import ConfigError, DataError, InputError
from colloid_cg.learn.momentum import MomentumFitConfig, PairDynamics, fit_pair_dynamics
from colloid_cg.learn.momentum.contacts import find_contacts
from colloid_cg.learn.momentum.force import steepened
from colloid_cg.learn.momentum.friction import path_integral
from colloid_cg.learn.momentum.knots import Knots
from colloid_cg.learn.momentum.memory import fit_memory_law, memory_law, memory_windows, residual_autocorrelation
from colloid_cg.learn.momentum.sums import friction_forces, impulse_products, spline_products
from colloid_cg.records import Box, PhaseSeries
from tests.learn.pair_worlds import World, simulate

FLAT = World(dimension=2, edge=12.0, n_particles=120, range=1.8)
SOLID = World(n_particles=200)
MIXED = World(
    force=(60.0, 90.0, 45.0), along=(9.0, 4.0, 12.0), across=(3.0, 0.0, 5.0), masses=(1.0, 3.0), edge=5.5
)  # fmt: skip


@cache
def recording(world: World, n_frames: int = 500, seed: int = 1) -> PhaseSeries:
    return simulate(world, n_frames, rng=np.random.default_rng(seed))


def deviations(world: World, fitted: PairDynamics, distances: np.ndarray) -> np.ndarray:
    """Return (fit - truth) in half 90 % intervals, shape (3, n_kinds, m)."""
    kinds = range(len(world.force))
    truth = [[world.curve(c, distances, kind) for kind in kinds] for c in (world.force, world.along, world.across)]
    return (fitted.curves(distances) - np.array(truth)) / (fitted.half_widths(distances) + 1e-3)


def friction_of_particles(world: World, series: PhaseSeries) -> float:
    """Return the mean of trace(Gamma_ii) / (d m_i), from the true curves and every pair."""
    total, (n, d) = 0.0, (series.n_particles, series.dimension)
    i, j = np.triu_indices(n, 1)
    kind = series.species[i] + series.species[j]
    inverse = 1.0 / series.masses[i] + 1.0 / series.masses[j]
    for positions in series.positions[::10]:
        r = np.linalg.norm(series.box.shortest(positions[i] - positions[j]), axis=1)
        trace = world.curve(world.along, r, kind) + (d - 1) * world.curve(world.across, r, kind)
        total += float((trace * inverse).sum()) / (n * d)
    return total / len(series.positions[::10])


@pytest.mark.parametrize(
    ("world", "n_frames"), [(FLAT, 500), (SOLID, 400), (MIXED, 500)], ids=["2-D", "3-D", "two species, masses 1 : 3"]
)
def test_known_laws_are_recovered_within_their_errors(world: World, n_frames: int) -> None:
    series = recording(world, n_frames)
    fitted = fit_pair_dynamics(
        series, config=MomentumFitConfig(windows=(1, 2), cutoff=world.range, n_knots=8)
    )  # fmt: skip
    z = deviations(world, fitted, np.linspace(0.35, 0.85, 9) * world.range)
    assert fitted.converged
    # 90 % intervals of curves with few independent values each.
    assert (np.abs(z) < 1).mean() > 0.75
    assert np.sqrt((z**2).mean()) < 0.9
    assert np.abs(z).max() < 3.0
    truth = friction_of_particles(world, series)
    assert abs(fitted.friction_per_mass - truth) < 3 * fitted.friction_per_mass_error
    assert fitted.friction_per_mass_error < 0.03 * truth


def test_white_noise_looks_the_same_over_every_window() -> None:
    series = recording(SOLID, 400)
    scan = fit_pair_dynamics(series, config=MomentumFitConfig(windows=(2, 4), cutoff=1.5)).scan
    truth = friction_of_particles(SOLID, series)
    assert scan.windows.tolist() == [1, 2, 4, 8, 16, 32]
    np.testing.assert_array_less(np.abs(scan.values - truth), 3 * scan.errors + 0.01 * truth)
    assert (scan.errors[:4] < 0.04 * truth).all()
    assert scan.memory_time < 0.3 * series.frame_interval
    # A memory of a thousandth of a frame could not be told from none.
    assert scan.memory_error > 1e-3 * series.frame_interval


def test_range_windows_and_temperature_come_from_the_data() -> None:
    series = replace(recording(FLAT), thermal_energy=None)
    fitted = fit_pair_dynamics(series.between(0, 350), series.between(350, 500))
    assert fitted.windows == (1, 2)
    assert fitted.thermal_energy_from == "velocities"
    v = series.between(0, 350).velocities
    peculiar = v - v.mean(axis=1, keepdims=True)
    assert fitted.thermal_energy == pytest.approx((peculiar**2).sum() / (350 * 119 * 2), rel=1e-12)
    # (1 - r/1.8)^3 is below a hundredth of its start from r = 1.41 on.
    assert 1.2 < fitted.cutoff < 2.1
    given = fit_pair_dynamics(recording(FLAT), config=MomentumFitConfig(windows=(1, 2), cutoff=1.8))
    assert (given.thermal_energy, given.thermal_energy_from) == (1.0, "given")


def test_open_box_and_particles_that_meet_nobody() -> None:
    cluster = recording(FLAT, 300)
    wide = Box(lower=(-500.0, -500.0), upper=(500.0, 500.0), periodic=(False, False))
    lonely = np.full((300, 1, 2), 300.0)
    # Unwrapped particles of a periodic cell do not feel each other across its faces in an open box: leave these out.
    free = simulate(replace(FLAT, periodic=False, n_particles=100, edge=9.0), 300, rng=np.random.default_rng(5))
    assert cluster.n_frames == free.n_frames
    series = PhaseSeries(
        positions=np.concatenate([free.positions, lonely], axis=1),
        velocities=np.concatenate([free.velocities, 0.0 * lonely], axis=1),
        species=np.zeros(101, dtype=int),
        masses=np.ones(101),
        box=wide,
        frame_interval=free.frame_interval,
        thermal_energy=1.0,
    )
    config = MomentumFitConfig(windows=(1, 2), cutoff=1.8, n_knots=8)
    with_lonely = fit_pair_dynamics(series, config=config)
    without = fit_pair_dynamics(replace(free, box=wide), config=config)
    np.testing.assert_allclose(with_lonely.force, without.force, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(with_lonely.friction_along, without.friction_along, rtol=1e-6, atol=1e-9)
    assert with_lonely.friction_per_mass == pytest.approx(without.friction_per_mass * 100 / 101, rel=1e-6)
    assert np.abs(deviations(FLAT, without, np.linspace(0.8, 1.3, 5))).max() < 4.0


def test_species_pairs_that_never_meet_have_no_force() -> None:
    """Two layers of one species each, farther apart than the range."""
    series = recording(FLAT, 300)
    twice = PhaseSeries(
        positions=np.concatenate([np.pad(series.positions, ((0, 0), (0, 0), (0, 1)), constant_values=z)
                                  for z in (0.0, 50.0)], axis=1),
        velocities=np.tile(np.pad(series.velocities, ((0, 0), (0, 0), (0, 1))), (1, 2, 1)),
        species=np.repeat([0, 1], 120), masses=np.ones(240), frame_interval=series.frame_interval, thermal_energy=1.0,
        box=Box(lower=(0.0, 0.0, -99.0), upper=(12.0, 12.0, 99.0), periodic=(True, True, False)),
    )  # fmt: skip
    fitted = fit_pair_dynamics(twice, config=MomentumFitConfig(windows=(1, 2), cutoff=1.8, n_knots=8))
    assert np.abs(fitted.force[1]).max() < 1e-6
    assert (fitted.friction_along[1] == 0).all()
    np.testing.assert_allclose(fitted.force[0], fitted.force[2], rtol=1e-9)
    assert np.abs(fitted.force[0]).max() > 10.0


def test_sums_over_pairs_against_a_dense_calculation() -> None:
    rng = np.random.default_rng(3)
    series = recording(MIXED, 40, 2)
    contacts, knots = find_contacts(series, 1.5), Knots(0.3, 1.5, 6)
    along, across = rng.random((2, 3, 6))
    where = (contacts.pairs, contacts.offsets, series.species, contacts.kinds, contacts.periods)
    drag = friction_forces(series.positions, series.velocities, *where, knots.lower, knots.width, along, across)
    momentum, block = rng.normal(size=series.positions.shape), np.arange(32) // 16
    found = impulse_products(
        momentum, series.positions, *where, knots.lower, knots.width, knots.count, 3, 8, 4, block
    )  # fmt: skip
    gram = spline_products(series.positions, *where, knots.lower, knots.width, knots.count, 4, block)
    expected_drag, expected = np.zeros_like(drag[0]), np.zeros((2, 3, 6))
    expected_gram, n = np.zeros((3, 6, 6)), series.n_particles
    t = 20
    long, short = momentum[t + 4] - momentum[t - 4], momentum[t + 2] - momentum[t - 1]
    for i in range(n):
        for j in range(i):
            step = series.box.shortest(series.positions[t, i] - series.positions[t, j])
            r = np.linalg.norm(step)
            if r >= 1.5:
                continue
            basis, kind = knots.design(np.array([max(r, 0.3)]))[0], series.species[i] + series.species[j]
            e = np.outer(step, step) / r**2
            tensor = basis @ along[kind] * e + basis @ across[kind] * (np.eye(3) - e)
            pull = tensor @ (series.velocities[t, i] - series.velocities[t, j])
            expected_drag[i] -= pull
            expected_drag[j] += pull
            for sign, impulse in ((1, long), (-1, short)):
                expected[0, kind] -= sign * basis * (impulse[i] @ e @ impulse[j])
                expected[1, kind] -= sign * basis * (impulse[i] @ (np.eye(3) - e) @ impulse[j]) / 2
            expected_gram[kind] += np.outer(basis, basis)
    np.testing.assert_allclose(drag[t], expected_drag, rtol=1e-10, atol=1e-12)
    one = np.zeros(32, dtype=int)
    one[t - 4] = 1
    single = impulse_products(
        momentum, series.positions, *where, knots.lower, knots.width, knots.count, 3, 8, 4, one
    )  # fmt: skip
    np.testing.assert_allclose(single[:, 1], expected, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(single.sum(axis=1), found.sum(axis=1), rtol=1e-9, atol=1e-9)
    only = spline_products(series.positions, *where, knots.lower, knots.width, knots.count, 4, one)[1]
    np.testing.assert_allclose(only, expected_gram, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(gram.sum(axis=0).sum(), (gram[0] + gram[1]).sum(), rtol=1e-12)


def test_memory_is_measured_and_avoided() -> None:
    """Random forces with autocorrelation a^k: forgotten at the first k with a^k < e^-2."""
    rng = np.random.default_rng(7)
    force, a = np.zeros((4000, 30, 3)), 0.6
    for t in range(1, len(force)):
        force[t] = a * force[t - 1] + rng.normal(size=(30, 3))
    correlation = residual_autocorrelation(np.cumsum(force, axis=0), 6)
    np.testing.assert_allclose(correlation, a ** np.arange(6), atol=0.02)
    assert memory_windows(np.cumsum(force, axis=0)) == (4, 8)
    with pytest.raises(DataError, match="autocorrelation"):
        memory_windows(np.cumsum(np.cumsum(force, axis=0), axis=0))


def test_memory_law() -> None:
    times = 0.025 * 2.0 ** np.arange(4)
    # The double integral of exp(-|s - s'|/tau0) / (2 tau0) over a window, by brute force.
    s = (np.arange(2000) + 0.5) / 2000 * times[2]
    kernel = np.exp(-np.abs(s[:, None] - s[None]) / 0.04) / (2 * 0.04)
    assert memory_law(times, 0.3, 0.04)[2] == pytest.approx(0.3 * kernel.mean() * times[2], rel=1e-4)
    assert fit_memory_law(times, memory_law(times, 0.3, 0.04), np.ones(4)) == pytest.approx((0.3, 0.04), rel=1e-4)
    plateau, memory = fit_memory_law(times, np.full(4, 0.3), np.ones(4))
    assert plateau == pytest.approx(0.3, rel=1e-3)
    assert memory < 1e-4


def test_path_integral_is_the_trapezoid() -> None:
    t = np.linspace(0.0, 1.0, 11)
    line = np.broadcast_to((2.0 * t)[:, None, None], (11, 1, 2))
    np.testing.assert_allclose(path_integral(line, 0.1)[:, 0, 0], t**2, atol=1e-14)


def test_core_is_hardened_within_its_error() -> None:
    knots = Knots(1.0, 2.0, 5)
    soft = np.array([[10.0, 9.0, 8.0, 2.0, 1.0]])
    # Steepest beyond: c1 - c3 = 7, so c0 is raised to c2 + 7 = 15, if its error allows.
    assert steepened(soft, np.array([50.0]), knots)[0].tolist() == [15.0, 9.0, 8.0, 2.0, 1.0]
    assert steepened(soft, np.array([2.0]), knots)[0, 0] == 12.0
    for kept in (-soft, np.array([[30.0, 9.0, 8.0, 2.0, 1.0]]), np.array([[1.0, 2.0, 3.0, 2.0, 1.0]])):
        np.testing.assert_array_equal(steepened(kept, np.array([50.0]), knots), kept)


def test_two_particles_at_one_place_neither_push_nor_stop_the_fit() -> None:
    series = recording(FLAT, 300)
    positions = series.positions.copy()
    positions[5, 0] = positions[5, 1]
    config = MomentumFitConfig(windows=(1, 2), cutoff=1.8)
    fitted, without = (
        fit_pair_dynamics(each, config=config) for each in (replace(series, positions=positions), series)
    )
    assert fitted.friction_per_mass == pytest.approx(without.friction_per_mass, rel=0.02)


def test_what_cannot_be_fitted_is_refused_with_advice() -> None:
    series = recording(FLAT, 300)
    pair = MomentumFitConfig(windows=(1, 2), cutoff=1.8)
    with pytest.raises(DataError, match="longer recording"):
        fit_pair_dynamics(series.between(0, 15), config=pair)
    with pytest.raises(DataError, match="longer recording"):
        fit_pair_dynamics(series.between(0, 100), config=MomentumFitConfig(windows=(6, 12), cutoff=1.8))
    with pytest.raises(ConfigError, match="half of every periodic edge"):
        fit_pair_dynamics(series, config=MomentumFitConfig(windows=(1, 2), cutoff=6.1))
    with pytest.raises(ConfigError, match="selection block"):
        fit_pair_dynamics(series)
    with pytest.raises(ConfigError, match="n1 < n2"):
        MomentumFitConfig(windows=(4, 4))
    with pytest.raises(DataError, match="larger cutoff"):
        fit_pair_dynamics(series, config=MomentumFitConfig(windows=(1, 2), cutoff=1e-4))
    broken = series.velocities.copy()
    broken[7, 3] = np.nan
    with pytest.raises(InputError, match="frame 7, particle 3"):
        replace(series, velocities=broken)
    constant = replace(series, velocities=np.repeat(series.velocities[:1], series.n_frames, axis=0))
    with pytest.raises(DataError, match="velocities that never change"):
        fit_pair_dynamics(constant, config=pair)
    still = replace(series, velocities=np.zeros_like(series.velocities), thermal_energy=None)
    with pytest.raises(DataError, match="at rest"):
        fit_pair_dynamics(still, config=pair)


@pytest.mark.data
def test_star_melt(data: Path) -> None:
    """Eleven-bead stars: friction over windows beyond the first decay of the random force, range of the beads."""
    with np.load(data / "star_polymer" / "star11_train.npz") as stored:
        edge = tuple(float(length) for length in stored["box"])
        series = PhaseSeries(
            positions=stored["pos"].astype(float), velocities=stored["vel"].astype(float),
            species=np.zeros(1000, dtype=int), masses=np.full(1000, float(stored["mass"])),
            box=Box(lower=(0.0,) * 3, upper=edge, periodic=(True,) * 3), frame_interval=float(stored["dt"]),
            thermal_energy=float(stored["kT"]),
        )  # fmt: skip
    fitted = fit_pair_dynamics(series.between(0, 250), series.between(250, 325), MomentumFitConfig(time_blocks=5))
    assert fitted.windows == (4, 8)
    assert fitted.converged
    assert 0.29 < fitted.friction_per_mass < 0.33
    assert 3.1 < fitted.cutoff < 3.4
    force, along, across = fitted.curves(np.array([2.5, 2.9, 3.2]))[:, 0]
    # Force at 2.5 and 2.9 as in an independent fit with other knots (13.0 and .87); none left at 3.2.
    np.testing.assert_allclose(force[:2], [12.0, 0.87], rtol=0.1)
    assert np.abs(force[2]) < 0.05
    assert (along > across).all()
    # One frame sees a quarter of the friction, because the random forces live longer than that.
    assert fitted.scan.values[0] == pytest.approx(0.071, abs=0.006)
    assert 0.035 < fitted.scan.memory_time < 0.055
