"""The hidden variable in rollouts: mobility that depends on the place must not change where particles are."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from colloid_cg.dynamics import OverdampedModel, Surroundings, metropolis_sweep, potential_energy
from colloid_cg.errors import DataError
from colloid_cg.learn.latent import HiddenModel, LatentLaw
from colloid_cg.learn.latent.law import REACH
from colloid_cg.learn.latent.living import Reliability
from colloid_cg.records import Box, State
from colloid_cg.simulation.fields import RolloutFields
from colloid_cg.simulation.hidden import CHANGE, HiddenRun, fastest, hidden_run
from colloid_cg.simulation.rollout import Schedule, _run, resolving_mobility, schedule

LENGTH, FRAME, PERSISTENCE = 4.0, 0.2, 0.6
SLOPES, MEMORIES = np.array([[0.7], [-0.5]]), np.array([0.5, 0.3])
DIFFUSION = np.array([1.0, 0.5])
WAVE = np.array([1.4, 0.6])
"""sqrt(2) sin is bounded; species differ in its phase."""
SOFT = np.array([[2.0, 1.0, 0.3, 0.0], [4.0, 2.0, 0.5, 0.0], [3.0, 1.5, 0.5, 0.0]])


def waves(positions: np.ndarray, species: np.ndarray) -> np.ndarray:
    """f = sqrt(2) sin(2 pi x/L + phase): a structural variable of which everything is known."""
    return np.asarray(np.sqrt(2.0) * np.sin(2.0 * np.pi * positions[:, :1] / LENGTH + WAVE[species][:, None]))


class Waves(HiddenRun):
    def structure(self, state: State, positions: np.ndarray) -> np.ndarray:
        return waves(positions, state.species)


class WithoutDrift(Waves):
    def update(self, state: State, *, rng: np.random.Generator, frame_ends: bool) -> State:
        state = super().update(state, rng=rng, frame_ends=frame_ends)
        self._drift = None
        return state


def cell(
    n: int, *, edge: float = LENGTH, forces: bool = False, kind: type[HiddenRun] = Waves, persistence: float = 3.0
) -> tuple[HiddenRun, State]:
    law = LatentLaw(
        diffusion=DIFFUSION, localisation_variance=0.0, structure_slope=SLOPES, memory_slope=MEMORIES,
        persistence=persistence,
    )  # fmt: skip
    model = OverdampedModel(
        diffusion=DIFFUSION, coefficients=SOFT if forces else np.zeros((3, 0)), lower=0.2, cutoff=1.0
    )
    structure: Any = SimpleNamespace(neighbourhood=SimpleNamespace(cutoff=1.0))
    hidden = HiddenModel(
        plain=model, dynamics=model, law=law, ablation=law, structure=structure, used=True,
        reliability=Reliability(share=np.ones((2, 1)), kept=np.ones((2, 1))),
    )  # fmt: skip
    rng = np.random.default_rng(1)
    box = Box(lower=(0.0, 0.0), upper=(edge, edge), periodic=(True, True))
    state = State(positions=rng.uniform(0, edge, (n, 2)), species=np.arange(n) % 2, box=box)
    return kind(model=hidden, z=rng.standard_normal(n), persistence=persistence * FRAME), state


def rolled(run: HiddenRun, state: State, frames: int, *, seed: int = 3) -> tuple[np.ndarray, ...]:
    """Run the loop of a rollout with the time steps that the product chooses."""
    rng, model = np.random.default_rng(seed), run.model.dynamics
    quick = replace(model, diffusion=fastest(run.model) * model.diffusion)
    steps = schedule(quick, frame_interval=FRAME, exposure=None, substeps=None)
    steps = resolving_mobility(steps, run, state, rng=rng)[0]
    return _run(model, state, steps, RolloutFields(), frames=frames, rng=rng, advance=lambda _: None, hidden=run)


@pytest.mark.parametrize("kind", [Waves, WithoutDrift])
def test_particles_stay_spread_evenly(kind: type[HiddenRun]) -> None:
    """Without the drift they would gather where they are slow: density ~ 1/lambda, contrast I_1(b)/I_0(b) of f."""
    run, state = cell(3000, kind=kind)
    positions = rolled(run, state, 50)[0][12:]
    mean = [np.mean([waves(x, state.species)[state.species == a] for x in positions]) for a in (0, 1)]
    if kind is Waves:
        assert np.abs(mean).max() < 0.03
    else:
        assert mean[0] < -0.3
        assert mean[1] > 0.2


def test_interacting_particles_keep_the_energy_that_metropolis_finds() -> None:
    run, state = cell(40, forces=True)
    model, rng = run.model.dynamics, np.random.default_rng(5)
    reference, placed = [], state
    for sweep in range(4000):
        placed, _ = metropolis_sweep(model, placed, step=0.4, rng=rng)
        if sweep >= 200 and sweep % 4 == 0:
            reference.append(potential_energy(model, placed))
    positions, _, energy, *_, s = rolled(run, placed, 100)
    psi = np.array([potential_energy(model, replace(state, positions=x)) for x in positions[20:]])
    error = np.hypot(block_error(psi), block_error(np.array(reference)))
    assert error < 0.05 * np.mean(reference)
    assert abs(psi.mean() - np.mean(reference)) < 3.5 * error
    f = np.stack([waves(x, state.species)[:, 0] for x in positions])
    for kind in (0, 1):
        own = state.species == kind
        assert abs(f[20:, own].mean()) < 0.2
        # s of a frame is that of the particles where they are in that frame
        law = run.model.law
        z = s[:, own, 0] * law.spread[kind] - SLOPES[kind, 0] * f[:, own]
        assert (z / MEMORIES[kind]).var() == pytest.approx(1.0, abs=0.1)
    assert energy[0] > psi[0]


def block_error(values: np.ndarray, blocks: int = 20) -> float:
    """Return the standard error of a mean from means of blocks much longer than the correlation."""
    means = [part.mean() for part in np.array_split(values, blocks)]
    return float(np.std(means, ddof=1) / np.sqrt(blocks))


def test_energy_and_heat_add_up_with_memory_and_forces() -> None:
    run, state = cell(64, forces=True)
    _, _, energy, entropy, work, _ = rolled(run, state, 10)
    assert np.ptp(energy) > 0.5
    assert np.abs(energy + entropy - work - (energy + entropy - work)[0]).max() < 1e-9


def test_memory_variable_keeps_its_law_whatever_the_updates() -> None:
    run, state = cell(20_000)
    s = rolled(run, state, 8)[5][:, :, 0]
    f = waves(state.positions, state.species)[:, 0]
    assert s[0] == pytest.approx(
        (SLOPES[state.species, 0] * f + MEMORIES[state.species] * cell(20_000)[0].z)
        / np.hypot(SLOPES[:, 0], MEMORIES)[state.species]
    )
    assert run.z.mean() == pytest.approx(0.0, abs=0.03)
    assert run.z.var() == pytest.approx(1.0, abs=0.04)
    begun = cell(20_000)[0].z
    assert np.corrcoef(begun, run.z)[0, 1] == pytest.approx(np.exp(-8.0 / 3.0), abs=0.02)


def moved(run: HiddenRun, state: State, rng: np.random.Generator) -> State:
    nobody = np.zeros((0, 2), dtype=np.int64)
    return run.step(state, dt=0.01, rng=rng, pairs=lambda _: nobody, surroundings=Surroundings())[0]


def test_without_persistence_memory_is_drawn_anew_once_a_frame() -> None:
    run, state = cell(2000, persistence=0.0)
    run.begin(state)
    rng, before = np.random.default_rng(0), run.z
    state = moved(run, state, rng)
    state = run.update(state, rng=rng, frame_ends=False)
    assert run.z is before
    state = moved(run, state, rng)
    run.update(state, rng=rng, frame_ends=True)
    assert abs(np.corrcoef(before, run.z)[0, 1]) < 0.1


def test_mobility_is_held_for_no_more_than_it_may_change() -> None:
    run, state = cell(4000)
    whole = Schedule(dt=FRAME, substeps=1, exposed=0)
    steps, said = resolving_mobility(whole, run, state, rng=np.random.default_rng(0))
    assert not said
    assert steps.dt * steps.substeps == pytest.approx(FRAME)
    # <(d ln lambda)^2> = 2 D <lambda> b^2 <f'^2> dt, f' of amplitude sqrt(2) 2 pi/L
    spread = run.model.law.spread
    lambda_z = np.exp(-0.5 * SLOPES[:, 0] ** 2)  # mean over z at f = 0
    x = np.linspace(0.0, 2.0 * np.pi, 1000, endpoint=False)
    wave = np.mean(np.exp(SLOPES * np.sqrt(2.0) * np.sin(x)) * 2.0 * np.cos(x) ** 2, axis=1)
    rate = np.mean(2.0 * DIFFUSION * lambda_z * SLOPES[:, 0] ** 2 * wave * (2.0 * np.pi / LENGTH) ** 2)
    assert spread.shape == (2,)
    assert rate * steps.dt == pytest.approx(CHANGE**2, rel=0.15)
    fine, _ = resolving_mobility(
        Schedule(dt=FRAME / 1000, substeps=1000, exposed=0), run, state, rng=np.random.default_rng(0)
    )
    assert (fine.substeps, fine.held) == (1000, 4)
    coarse, said = resolving_mobility(
        Schedule(dt=300.0 * FRAME, substeps=400, exposed=0), run, state, rng=np.random.default_rng(0)
    )
    assert coarse.substeps == 400
    assert "is wanted" in said[0]


def test_structure_counts_no_further_than_it_was_learnt() -> None:
    run, _ = cell(2)
    law, species = run.model.law, np.array([0, 1])
    inside, outside = (law.level(np.full((2, 1), f), species) for f in (REACH, 50.0))
    assert np.array_equal(inside, outside)
    assert np.all(inside != law.level(np.full((2, 1), REACH - 0.1), species))


@pytest.mark.parametrize("with_hidden", [True, False])
def test_a_rollout_that_diverges_says_so(with_hidden: bool) -> None:
    run, state = cell(64, forces=True)
    model = replace(run.model.dynamics, coefficients=1e9 * SOFT)
    run.model = replace(run.model, dynamics=model)
    steps = Schedule(dt=FRAME, substeps=1, exposed=0)
    with pytest.raises(DataError, match="frame 0 of the rollout"):
        _run(model, state, steps, RolloutFields(), frames=2, rng=np.random.default_rng(0),
             advance=lambda _: None, hidden=run if with_hidden else None)  # fmt: skip


def test_a_mobility_without_bounds_is_refused() -> None:
    run, state = cell(64, forces=True)
    run.z[3] = 1e4
    with pytest.raises(DataError, match="mobility"):
        run.begin(state)


def test_time_steps_are_divided_for_very_fast_particles() -> None:
    run, state = cell(64, forces=True)
    run.begin(state)
    usual = run._parts
    run.z[0] += 8.0 / MEMORIES[0]
    run.begin(state)
    assert usual == 1
    assert run._parts > 20


def test_rollouts_start_from_what_was_known_of_each_particle() -> None:
    run, _ = cell(10)
    table = pd.DataFrame({"frame": 7, "particle": [4, 9, 2], "x": 0.0, "y": 0.0})
    start: Any = SimpleNamespace(table=table, at=lambda frame: table[table["frame"] == frame], frame_interval=FRAME)
    weights = {
        "hidden.start_particles": np.array([9.0, 4.0, 1.0]),
        "hidden.start_frames": np.array([7.0, 4.0, 6.0]),
        "hidden.start_mean": np.array([5.0, -5.0, 0.0]),
        "hidden.start_deviation": np.array([0.1, 0.2, 0.3]),
    }
    bundle: Any = SimpleNamespace(weights=weights, config={"hidden_variable": {"step": 2 * FRAME}})
    drawn = np.array([hidden_run(run.model, bundle, start, rng=np.random.default_rng(k)).z for k in range(400)])
    kept = np.exp(-3.0 / 6.0)  # three frames, tau = 3 steps of two frames
    assert np.allclose(drawn.mean(axis=0), [-5.0 * kept, 5.0, 0.0], atol=norm.ppf(0.999) / np.sqrt(400))
    assert np.allclose(drawn.std(axis=0), [np.sqrt(1.0 - 0.96 * kept**2), 0.1, 1.0], rtol=0.15)
    made = hidden_run(run.model, bundle, start, rng=np.random.default_rng(0))
    assert made.persistence == pytest.approx(6.0 * FRAME)
