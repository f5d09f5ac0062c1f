"""Brownian motion, traps and exposure blur against closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from colloid_cg.seeding import generator
from colloid_cg.twin import CameraConfig, TwinConfig, make_twin, simulate_case
from colloid_cg.twin.forces import HarmonicTraps, no_force
from colloid_cg.twin.motion import Clock, brownian_step, equilibrate, film, mean_over_step, quench

D, DT = 0.3, 0.02


def free_film(*, exposure: float, parts: int, n: int = 4000, frames: int = 40) -> tuple[np.ndarray, np.ndarray]:
    clock = Clock(frame_interval=DT, exposure=exposure * DT, parts=parts, longest_step=DT)
    rng = generator(5, "free", parts)
    return film(no_force, np.zeros((n, 2)), diffusion=np.full(n, D), clock=clock, n_frames=frames, rng=rng)


@pytest.mark.parametrize(("exposure", "parts"), [(0.0, 1), (0.5, 1), (0.5, 3), (1.0, 1), (1.0, 4)])
def test_exposure_averages_have_the_blur_of_theory(exposure: float, parts: int) -> None:
    """Var(dx) = 2 D dt (1 - 2 R), Cov(dx, next dx) = 2 R D dt, R = t_exp/(6 dt) (Savin and Doyle 2005)."""
    instants, means = free_film(exposure=exposure, parts=parts)
    blur = exposure / 6.0
    step = np.diff(means.mean(axis=1), axis=0)
    error = np.sqrt(2.0 / step.size)
    variance = np.mean(step**2) / (2 * D * DT)
    covariance = np.mean(step[1:] * step[:-1]) / (2 * D * DT)
    assert variance == pytest.approx(1 - 2 * blur, abs=4 * error)
    assert covariance == pytest.approx(blur, abs=4 * error)
    # the instant is half an exposure before the middle of the average: E[(mean - start)^2] = 2 D t_exp/3
    lead = np.mean((means.mean(axis=1) - instants) ** 2) / (2 * D * DT)
    assert lead == pytest.approx(exposure / 3.0, abs=4 * error)


def test_instants_have_msd_4_d_t() -> None:
    instants, _ = free_film(exposure=0.4, parts=2)
    for lag in (1, 5, 20):
        moved = instants[lag::lag] - instants[:-lag:lag]
        assert np.mean(moved**2) == pytest.approx(2 * D * DT * lag, rel=4 * np.sqrt(2 / moved.size))


def test_clock_divides_the_frame_interval_exactly() -> None:
    clock = Clock(frame_interval=0.01, exposure=0.003, parts=4, longest_step=0.0004)
    (part_steps, part_dt), (dark_steps, dark_dt) = clock.part_steps, clock.dark_steps
    assert part_steps == 2
    assert dark_steps == 18
    assert 4 * part_steps * part_dt == pytest.approx(0.003, rel=1e-12)
    assert dark_steps * dark_dt == pytest.approx(0.007, rel=1e-12)
    assert max(part_dt, dark_dt) <= 0.0004
    assert Clock(frame_interval=0.01, exposure=0.01, parts=1, longest_step=0.01).dark_steps[0] == 0


def test_heun_step_in_a_trap_has_the_stated_stationary_variance() -> None:
    """For F = -k x the scheme is linear: variance s^2 = b^2/(1 - c^2), c = 1 - a + a^2/2, b^2 = 2 D dt (1 - a/2)^2."""
    stiffness, dt = 40.0, 0.02
    a = stiffness * D * dt
    force = HarmonicTraps(centres=np.zeros((1, 2)), stiffness=stiffness)
    still = np.zeros((1, 2))
    pushed = brownian_step(force, still + 1.0, diffusion=np.array([D]), dt=dt, rng=generator(0))
    noise = brownian_step(force, still, diffusion=np.array([D]), dt=dt, rng=generator(0))
    assert pushed - noise == pytest.approx(np.full((1, 2), 1 - a + a**2 / 2), rel=1e-12)
    draw = generator(0).standard_normal((1, 2))
    assert noise == pytest.approx(np.sqrt(2 * D * dt) * (1 - a / 2) * draw, rel=1e-12)
    exact = (1 - a / 2) ** 2 * 2 * a / (1 - (1 - a + a**2 / 2) ** 2)
    assert exact == pytest.approx(1 - a**2 / 4, abs=a**3)


def test_trap_variance_is_kt_over_k() -> None:
    stiffness, n = 80.0, 20_000
    force = HarmonicTraps(centres=np.zeros((n, 2)), stiffness=stiffness)
    diffusion = np.full(n, D)
    dt = 0.05 / (stiffness * D)
    rng = generator(3, "trap")
    time = 1.0 / (stiffness * D)
    positions = equilibrate(force, np.zeros((n, 2)), diffusion=diffusion, dt=dt, duration=5 * time, rng=rng)
    squares = []
    for _ in range(10):
        positions = equilibrate(force, positions, diffusion=diffusion, dt=dt, duration=2 * time, rng=rng)
        squares.append(np.mean(positions**2))
    assert np.mean(squares) * stiffness == pytest.approx(1.0, abs=0.005)


def test_trap_case_relaxes_at_the_true_rate_and_stays_at_equilibrium() -> None:
    config = TwinConfig(particles=2000, n_frames=60, camera=CameraConfig(exposure=0.0))
    truth = simulate_case("traps", config)
    moved = truth.instants - np.array(truth.parameters["trap_centres_px"]) * config.pixel_size
    rate = config.trap_stiffness * config.diffusion_coefficient * config.frame_interval
    for lag in (1, 5):
        correlation = np.mean(moved[lag:] * moved[:-lag]) * config.trap_stiffness
        independent = moved.size * min(1.0, rate)
        assert correlation == pytest.approx(np.exp(-rate * lag), abs=4 * np.sqrt(2 / independent))
    for frame in (0, 59):
        assert np.mean(moved[frame] ** 2) * config.trap_stiffness == pytest.approx(1.0, abs=4 * np.sqrt(2 / 4000))


def test_bridge_mean_has_variance_d_dt_over_6() -> None:
    ends = np.zeros((100_000, 2))
    mean = mean_over_step(ends, ends + 2.0, diffusion=np.full(100_000, D), dt=DT, rng=generator(1))
    assert mean.mean() == pytest.approx(1.0, abs=4 * np.sqrt(D * DT / 6 / 200_000))
    assert mean.var() == pytest.approx(D * DT / 6, rel=4 * np.sqrt(2 / 200_000))


def test_quench_bounds_every_move() -> None:
    start = np.array([[0.0, 0.0], [5.0, 0.0]])
    force = HarmonicTraps(centres=np.zeros((2, 2)), stiffness=1e6)
    after = quench(force, start, diffusion=np.ones(2), dt=1e-3, longest_move=0.1, steps=10)
    assert after[1, 0] == pytest.approx(4.0)
    assert (after[0] == 0.0).all()


def test_truth_table_of_free_particles() -> None:
    """MSD in the table is 4 D t; a particle crossing the cell's face gets a new number instead of a jump."""
    config = TwinConfig(particles=400, n_frames=120, margin=1.0, diffusion_coefficient=0.5)
    twin = make_twin("brownian", config)
    table = twin.truth_table
    merged = table.merge(table.assign(frame=table["frame"] - 4), on=["frame", "particle"], suffixes=("", "_later"))
    inner = merged[merged["x_start"].between(20, 299) & merged["y_start"].between(20, 279)]
    moved = (inner[["x_start_later", "y_start_later"]].to_numpy() - inner[["x_start", "y_start"]].to_numpy()) * 0.1
    expected = 2 * 0.5 * 0.01 * 4
    assert np.mean(moved**2) == pytest.approx(expected, rel=4 * np.sqrt(2 * 4 / moved.size))
    assert np.abs(moved).max() < 7 * np.sqrt(expected)
    assert table["particle"].nunique() > len(twin.truth.species) * 0.8
    wrapped = [twin.truth.in_image(frame)[2] for frame in (0, 119)]
    assert (wrapped[0] != wrapped[1]).any()
    assert not table.duplicated(["frame", "particle"]).any()
    assert table["x"].between(-0.5, 319.5).all()
    assert table["y"].between(-0.5, 299.5).all()
    per_frame = table.groupby("frame").size()
    assert per_frame.mean() == pytest.approx(400, abs=5 * np.sqrt(400))


def test_a_particle_never_jumps_across_the_view() -> None:
    """In a cell of 6 x 6 um every particle wraps often; each identity in the table moves as a free particle does."""
    config = TwinConfig(particles=20, n_frames=300, width=40, height=40, margin=1.0, diffusion_coefficient=1.0)
    twin = make_twin("brownian", config)
    table = twin.truth_table.sort_values(["particle", "frame"])
    same = table["particle"].to_numpy()[1:] == table["particle"].to_numpy()[:-1]
    frames = np.diff(table["frame"].to_numpy())[same]
    moved = np.diff(table[["x_start", "y_start"]].to_numpy(), axis=0)[same] * 0.1
    assert np.abs(moved / np.sqrt(2 * 1.0 * 0.01 * frames)[:, None]).max() < 6.0
    assert frames.max() > 20
    assert table["particle"].nunique() > len(twin.truth.species)
