"""Motion with inertia against closed forms: equipartition, momentum, Langevin's correlation and displacement."""

from __future__ import annotations

import numpy as np
import pytest

from colloid_cg.seeding import generator
from colloid_cg.twin import CameraConfig, TwinConfig, make_twin, simulate_case
from colloid_cg.twin.forces import HarmonicTraps, PairForces, no_force
from colloid_cg.twin.inertial import longest_step
from colloid_cg.twin.langevin import FrictionPairs, Inertial, PairFriction, film_inertial, friction_kernel, settle
from colloid_cg.twin.motion import Clock
from colloid_cg.twin.potentials import soft_discs

THETA, GAMMA, DT = 100.0, 8.0, 0.01
FRICTION = PairFriction(parallel=40.0, perpendicular=15.0, reach=1.6)


def free_film(*, exposure: float, n: int = 3000, frames: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = generator(2, "free", str(exposure))
    clock = Clock(frame_interval=DT, exposure=exposure * DT, parts=2 if exposure else 1, longest_step=DT / 10)
    motion = Inertial(force=no_force, thermal=THETA, bath_friction=GAMMA)
    start = np.sqrt(THETA) * rng.standard_normal((n, 2))
    return film_inertial(motion, np.zeros((n, 2)), start, clock=clock, n_frames=frames, rng=rng)


def test_free_particles_follow_langevin() -> None:
    """<v v(t)> = theta exp(-g t) and <dx^2> = 2 theta/g^2 (g t - 1 + exp(-g t)), also at g dt = .08."""
    instants, _, velocities = free_film(exposure=0.0)
    n = instants.shape[1] * 2
    for lag in (1, 5, 20):
        a = GAMMA * DT * lag
        starts = max(1, int(50 * min(1.0, a)))  # frames that are worth an independent start
        correlation = np.mean(velocities[lag:] * velocities[:-lag]) / THETA
        assert correlation == pytest.approx(np.exp(-a), abs=4 * np.sqrt(1 / n / max(1, starts // 8)))
        moved = np.mean((instants[lag:] - instants[:-lag]) ** 2)
        expected = 2 * THETA / GAMMA**2 * (a - 1 + np.exp(-a))
        assert moved == pytest.approx(expected, rel=4 * np.sqrt(2 / n / max(1, starts // 8)))
    assert np.mean(velocities**2) == pytest.approx(THETA, rel=4 * np.sqrt(2 / n / 5))


def test_exposure_averages_are_those_of_langevin_motion() -> None:
    """Var(mean - start) = (2 theta/g^2) (1/a) int (u - (1 - e^-u)...) by the covariance of displacements."""
    instants, means, _ = free_film(exposure=1.0)
    a = GAMMA * DT
    u = (np.arange(400) + 0.5) / 400 * a

    def msd(x: np.ndarray) -> np.ndarray:
        return 2 * THETA / GAMMA**2 * (x - 1 + np.exp(-x))

    # <d(u) d(w)> = (msd(u) + msd(w) - msd(|u - w|))/2, averaged over both times of the exposure
    expected = np.mean(0.5 * (msd(u)[:, None] + msd(u)[None] - msd(np.abs(u[:, None] - u[None]))))
    found = np.mean((means.mean(axis=1) - instants) ** 2)
    assert found == pytest.approx(expected, rel=4 * np.sqrt(2 / 6000 / 4))


def test_a_trap_holds_positions_and_velocities_at_equilibrium() -> None:
    """BAOAB in a harmonic well: <x^2> exact, <v^2> = theta (1 - (w dt)^2/4)."""
    stiffness, n, dt = 4.0, 20_000, 0.05
    omega = np.sqrt(THETA * stiffness)
    assert omega * dt == 1.0
    motion = Inertial(
        force=HarmonicTraps(centres=np.zeros((n, 2)), stiffness=stiffness), thermal=THETA, bath_friction=GAMMA
    )
    rng = generator(4, "trap")
    positions, velocities = settle(motion, np.zeros((n, 2)), dt=dt, duration=2.0, rng=rng)
    squares = []
    for _ in range(6):
        clock = Clock(frame_interval=8 * dt, exposure=0.0, parts=1, longest_step=dt)
        x, _, v = film_inertial(motion, positions, velocities, clock=clock, n_frames=2, rng=rng)
        positions, velocities = x[-1], v[-1]
        squares.append((np.mean(positions**2) * stiffness, np.mean(velocities**2) / THETA))
    place, speed = np.mean(squares, axis=0)
    assert place == pytest.approx(1.0, abs=4 * np.sqrt(2 / (2 * n * 6)))
    assert speed == pytest.approx(1 - 0.25 * (omega * dt) ** 2, abs=4 * np.sqrt(2 / (2 * n * 6)))


def pair_motion(n: int, *, bath: float) -> tuple[Inertial, np.ndarray]:
    lengths = np.array([22.0, 20.0])
    force = PairForces(
        {(0, 0): soft_discs(amplitude=50.0, contact=1.6)}, species=np.zeros(n, dtype=np.int64), lengths=lengths
    )
    pairs = FrictionPairs(reach=FRICTION.reach, lengths=lengths)
    motion = Inertial(force=force, thermal=THETA, bath_friction=bath, pairs=pairs, friction=FRICTION)
    return motion, lengths * generator(6).random((n, 2))


def test_pair_friction_conserves_momentum_and_only_pairs_feel_it() -> None:
    motion, start = pair_motion(150, bath=0.0)
    rng = generator(7)
    positions, velocities = settle(motion, start, dt=1e-4, duration=0.02, rng=rng)
    pull = motion.force(positions)
    momentum = velocities.sum(axis=0)
    for _ in range(300):
        _, positions, velocities, pull = motion.step(positions, velocities, pull, dt=1e-3, rng=rng)
    assert np.abs(velocities.sum(axis=0) - momentum).max() < 1e-12 * np.abs(velocities).sum()
    apart = np.array([[0.0, 0.0], [5.0, 0.0]])
    moving = np.array([[1.0, 2.0], [3.0, -1.0]])
    alone, _ = pair_motion(2, bath=0.0)
    assert (alone.rubbed(apart, moving, dt=0.1, rng=rng) == moving).all()


def test_relative_velocity_of_a_pair_is_lost_at_twice_its_rate() -> None:
    """Mean and variance of one rub of many pairs at fixed distance, along and across."""
    n, dt, r = 40_000, 0.004, 0.7
    centres = 10.0 * np.stack([np.arange(n) % 200, np.arange(n) // 200], axis=1).astype(float)
    e = np.array([0.6, 0.8])
    positions = np.stack([centres, centres + r * e], axis=1).reshape(-1, 2)
    velocities = np.tile([[1.0, 0.5], [-20.0, 30.0]], (n, 1))
    lengths = np.array([2000.0, 2000.0])
    motion = Inertial(
        force=no_force,
        thermal=THETA,
        bath_friction=0.0,
        pairs=FrictionPairs(reach=FRICTION.reach, lengths=lengths),
        friction=FRICTION,
    )
    after = motion.rubbed(positions, velocities, dt=dt, rng=generator(9)).reshape(n, 2, 2)
    before = velocities.reshape(n, 2, 2)
    for axis, amplitude in ((e, 40.0), (np.array([-0.8, 0.6]), 15.0)):
        rate = friction_kernel(np.array(r), amplitude=amplitude, reach=1.6)
        kept = np.exp(-2 * rate * dt)
        u, v = ((now[:, 1] - now[:, 0]) @ axis for now in (before, after))
        spread = 2 * THETA * (1 - kept**2)
        assert np.mean(v) == pytest.approx(kept * u[0], abs=4 * np.sqrt(spread / n))
        assert np.var(v) == pytest.approx(spread, rel=4 * np.sqrt(2 / n))
    assert np.abs(after.sum(axis=1) - before.sum(axis=1)).max() < 1e-10


def test_friction_kernel() -> None:
    assert friction_kernel(np.array([0.0, 0.8, 1.6, 2.0]), amplitude=40.0, reach=1.6) == pytest.approx([40, 10, 0, 0])


@pytest.mark.parametrize("bath", [60.0, 0.0])
def test_the_fluid_is_filmed_at_equilibrium(bath: float) -> None:
    """<v^2> = theta per axis within 1 %, and the hypervirial theorem <sum F^2> = <sum div grad U> at k_B T = 1."""
    config = TwinConfig(
        width=200,
        height=200,
        n_frames=1000 if bath else 1600,
        frame_interval=0.01,
        bath_friction=bath,
        pair_friction_parallel=60.0,
        pair_friction_perpendicular=60.0,
        equilibration=1.0,
        camera=CameraConfig(exposure=0.0),
    )
    truth = simulate_case("inertial", config)
    assert truth.velocities is not None
    assert truth.cell is not None
    n = len(truth.species)
    # without a bath the momentum is that of the start, zero
    freedom = (n - 1) / n if bath == 0.0 else 1.0
    moving = truth.velocities.mean(axis=1)
    if bath == 0.0:
        assert np.abs(moving).max() < 1e-10
    squares = np.square(truth.velocities).mean(axis=(1, 2)) / THETA / freedom
    blocks = np.array([part.mean() for part in np.array_split(squares, 10)])
    error = blocks.std(ddof=1) / np.sqrt(10)
    assert error < 0.005
    assert blocks.mean() == pytest.approx(1.0, abs=0.01)
    per_axis = np.square(truth.velocities).mean(axis=(0, 1)) / THETA / freedom
    assert per_axis == pytest.approx(1.0, abs=0.01 + 3 * error)
    force = PairForces({(0, 0): soft_discs(amplitude=50.0, contact=1.6)}, species=truth.species, lengths=truth.cell[1])
    values = []
    for positions in truth.instants[::5]:
        difference = positions[None] - positions[:, None]
        difference -= truth.cell[1] * np.round(difference / truth.cell[1])
        r = np.linalg.norm(difference, axis=-1)[np.triu_indices(n, 1)]
        r = r[r < 1.6]
        strength = 50 / 1.6 * (1 - r / 1.6)
        values.append((np.square(force(positions)).sum(), 2 * np.sum(50 / 1.6**2 - strength / r)))
    squared, curved = np.array(values).T
    parts = np.array([part.mean() for part in np.array_split(squared - curved, 15)]) / curved.mean()
    error = parts.std(ddof=1) / np.sqrt(15)
    assert error < 0.03
    assert parts.mean() == pytest.approx(0.0, abs=4 * error)


def test_truth_has_velocities_and_the_friction_that_acted() -> None:
    config = TwinConfig(n_frames=4, width=120, height=100, equilibration=0.05, frame_interval=1e-4)
    twin = make_twin("inertial", config)
    table = twin.truth_table
    assert list(table.columns[-2:]) == ["vx", "vy"]
    merged = table.merge(table.assign(frame=table["frame"] - 1), on=["frame", "particle"], suffixes=("", "_later"))
    moved = (merged["x_start_later"] - merged["x_start"]) * config.pixel_size / config.frame_interval
    mean = 0.5 * (merged["vx"] + merged["vx_later"])
    assert (moved - mean).std() < 0.03 * mean.std()
    friction = twin.tables["pair_friction"]
    assert list(friction.columns) == ["r", "gamma_par", "gamma_perp"]
    assert friction["gamma_par"].to_numpy() == pytest.approx(20 * (1 - friction["r"].to_numpy() / 3.2) ** 2)
    assert friction["gamma_perp"].iloc[0] == 10.0
    assert "diffusion_coefficient" not in twin.parameters
    assert twin.parameters["step_px"] == pytest.approx([10 * 1e-4 / 0.1])


def test_the_time_step_follows_the_stiffest_of_force_friction_and_drift() -> None:
    base = TwinConfig(repulsion=50.0, contact=1.6, friction_range=1.6)
    for change, expected in (
        ({"repulsion": 5000.0}, 0.1 / np.sqrt(100 * 2 * 5000 / 1.6**2)),
        ({"pair_friction_perpendicular": 400.0}, 0.1 / 400),
        ({"friction_range": 0.1}, 0.05 * 0.1 / 10),
    ):
        assert longest_step(base.model_copy(update=change)) == pytest.approx(expected)
