"""Rollouts against closed forms: diffusion, blur, noise, first law, the cell and its seams."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from colloid_cg.dynamics import OverdampedModel, forces
from colloid_cg.errors import DataError
from colloid_cg.records import Box, ModelBundle, Trajectories, metric
from colloid_cg.simulation import SimulateConfig, simulate
from colloid_cg.simulation.cell import initial_state
from colloid_cg.simulation.rollout import schedule

D, INTERVAL, SIZE, PIXEL = 0.5, 0.02, 20.0, 0.1


def bundle(
    *, force: np.ndarray | None = None, variance: float = 0.0, lower: float = 0.5, cutoff: float = 2.0
) -> ModelBundle:
    coefficients = np.zeros((1, 4)) if force is None else force
    empty = pd.DataFrame({name: pd.Series(dtype=float) for name in ("r", "force", "low90", "high90")})
    return ModelBundle(
        config={"kind": "overdamped", "lower": lower, "cutoff": cutoff, "pair_force_used": force is not None},
        weights={
            "diffusion": np.array([D]),
            "force_coefficients": coefficients,
            "localisation_variance": np.array([variance]),
        },
        metrics={"localisation_variance": [metric(variance, unit="um2")]},
        pair_force=empty.assign(species_a=pd.Series(dtype=int), species_b=pd.Series(dtype=int)),
    )


def start(positions: np.ndarray, *, exposure: float | None = None, frames: int = 2, species: int = 0) -> Trajectories:
    table = pd.DataFrame(
        {
            "frame": 0,
            "particle": np.arange(len(positions)),
            "x": positions[:, 0] / PIXEL,
            "y": positions[:, 1] / PIXEL,
            "species": species,
        }
    )
    later = table.assign(frame=frames - 1)
    view = Box(lower=(0.0, 0.0), upper=(SIZE / PIXEL, SIZE / PIXEL), periodic=(False, False))
    return Trajectories(
        table=pd.concat([table, later]),
        pixel_size=PIXEL,
        frame_interval=INTERVAL,
        exposure=exposure,
        field_of_view=view,
        n_frames=frames,
    )


def scattered(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0, SIZE, (n, 2))


def test_free_particles_diffuse() -> None:
    rollout = simulate(bundle(), start(scattered(2000)), SimulateConfig(frames=5, replicas=2), rng=1)
    for lag in (1, 4):
        steps = rollout.positions[:, lag:] - rollout.positions[:, :-lag]
        expected = 2 * D * lag * INTERVAL
        n_independent = steps[:, ::lag].size
        assert steps.var() == pytest.approx(expected, abs=4 * expected * np.sqrt(2 / n_independent))


@pytest.mark.parametrize(("exposure", "blur"), [(None, 0.0), (INTERVAL, 1 / 6), (0.5 * INTERVAL, 1 / 12)])
def test_observed_steps_carry_blur_and_noise(exposure: float | None, blur: float) -> None:
    """Var = 2 D dt (1 - 2 R) + 2 s2, lag-1 covariance = 2 R D dt - s2, R = t_exp / 6 dt (Berglund 2010, eq. 7)."""
    variance = 0.004
    rollout = simulate(
        bundle(variance=variance),
        start(scattered(4000), exposure=exposure),
        SimulateConfig(frames=6, replicas=1),
        rng=2,
    )
    steps = np.diff(rollout.observed[0], axis=0)
    expected = 2 * D * INTERVAL * (1 - 2 * blur) + 2 * variance
    assert (steps**2).mean() == pytest.approx(expected, rel=0.03)
    assert (steps[1:] * steps[:-1]).mean() == pytest.approx(2 * blur * D * INTERVAL - variance, abs=0.03 * expected)


def test_the_first_law_holds_and_the_bath_takes_the_heat() -> None:
    repulsive = np.array([[20.0, 10.0, 5.0, 2.0]])
    rollout = simulate(bundle(force=repulsive), start(scattered(150)), SimulateConfig(frames=4, replicas=2), rng=3)
    energy = rollout.ledger.energy
    assert np.abs(rollout.ledger.residual()).max() < 1e-9 * energy.max()
    assert np.ptp(energy) > 0
    assert not np.allclose(rollout.ledger.bath_entropy[:, -1], 0)


def test_same_seed_same_rollout_and_replicas_differ() -> None:
    config = SimulateConfig(frames=3, replicas=2)
    first, again = (simulate(bundle(), start(scattered(20)), config, rng=7) for _ in range(2))
    np.testing.assert_array_equal(first.observed, again.observed)
    assert not np.allclose(first.positions[0, 1:], first.positions[1, 1:])
    np.testing.assert_array_equal(first.positions[0, 0], first.positions[1, 0])


def test_overlaps_across_the_seam_are_relaxed_and_the_inside_is_left_alone() -> None:
    model = OverdampedModel(
        diffusion=np.array([D]), coefficients=np.array([[50.0, 30.0, 10.0, 3.0]]), lower=0.5, cutoff=2.0
    )
    inside = np.array([[8.0, 8.0], [9.4, 8.0]])
    touching = np.array([[0.05, 15.0], [SIZE - 0.05, 15.0]])
    state = initial_state(model, start(np.concatenate([inside, touching])))
    np.testing.assert_allclose(state.positions[:2], inside, atol=1e-12)
    strength = np.linalg.norm(forces(model, state), axis=1)
    assert strength[2:].max() <= strength[:2].max() * (1 + 1e-9)


def test_time_steps_resolve_force_and_exposure() -> None:
    stiff = OverdampedModel(
        diffusion=np.array([D]), coefficients=np.array([[900.0, 100.0, 10.0, 1.0]]), lower=0.5, cutoff=2.0
    )
    soft = OverdampedModel(diffusion=np.array([D]), coefficients=np.zeros((1, 0)), lower=0.5, cutoff=2.0)
    assert schedule(soft, frame_interval=INTERVAL, exposure=None, substeps=None).substeps == 1
    assert schedule(stiff, frame_interval=INTERVAL, exposure=None, substeps=None).substeps > 50
    timed = schedule(soft, frame_interval=INTERVAL, exposure=0.25 * INTERVAL, substeps=None)
    assert timed.exposed >= 8
    assert timed.exposed / timed.substeps == pytest.approx(0.25, abs=0.02)


def test_an_unknown_species_is_refused() -> None:
    with pytest.raises(DataError, match="species 1"):
        simulate(bundle(), start(scattered(5), species=1), rng=0)


def test_length_follows_the_block() -> None:
    assert simulate(bundle(), start(scattered(5), frames=7), rng=0).positions.shape[1] == 7
