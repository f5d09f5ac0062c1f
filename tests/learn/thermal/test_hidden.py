"""Impulses against a simulation from one state; hidden energies against those of the simulation."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from benchmarks.ideal_gas_system import Run, continued, gas, random_start, run
from colloid_cg.dynamics.metriplectic.dissipative import mean_impulse
from colloid_cg.dynamics.metriplectic.friction import PowerLaw
from colloid_cg.dynamics.metriplectic.state import PhaseState
from colloid_cg.dynamics.metriplectic.steps.reinjection import reinjection_step
from colloid_cg.errors import DataError, InputError
from colloid_cg.learn.thermal.guesses import internal_energy_gain
from colloid_cg.learn.thermal.hidden import _felt, _response, hidden_energies
from colloid_cg.learn.thermal.observed import observed
from colloid_cg.learn.thermal.transition import coefficients_of, innovation, negative_log_likelihood, transition
from colloid_cg.records import Box, PhaseSeries
from tests.learn.thermal.worlds import BODY, EDGE, mixed_recording, mixture, recording


def first_state(source: Run) -> PhaseState:
    """Return positions and velocities of the first frame as a state."""
    return replace(
        source.last,
        positions=torch.tensor(source.positions[0]),
        velocities=torch.tensor(source.velocities[0]),
        time=0.0,
    )


def test_mean_and_covariance_of_the_impulse_are_those_of_a_simulation() -> None:
    """Many runs from one state; the friction is strong, so that terms of second order in the interval are seen."""
    model, source = gas(BODY), recording(3)
    series = source.series(0, 3)
    model = replace(model, radial=replace(model.radial, par=2.0 * model.radial.par, perp=2.0 * model.radial.perp))
    state = continued(model, first_state(source), torch.tensor(source.energies[0]))
    rng = torch.Generator().manual_seed(3)
    h, rests, squares, covariances = 0.04, [], [], []
    for _ in range(160):
        moved = state
        for _ in range(4):
            moved = reinjection_step(model, moved, h / 4, rng)
        pair = PhaseSeries(
            positions=np.stack([state.positions.numpy(), moved.positions.numpy()]),
            velocities=np.stack([state.velocities.numpy(), moved.velocities.numpy()]),
            species=series.species, masses=series.masses, box=series.box, frame_interval=h,
        )  # fmt: skip
        change = transition(
            model, observed(pair, model.cutoff), [0], torch.tensor(source.energies[0]), state.entropy
        )  # fmt: skip
        rest, covariance = innovation(model, change, torch.zeros_like(state.entropy))
        rests.append(rest.numpy())
        covariances.append(covariance.numpy())
        squares.append(float(negative_log_likelihood(rest, covariance)[1].mean()))
    rest, covariance = np.array(rests), np.mean(covariances, axis=0)
    drift = (
        h
        * state.pairs.net(
            mean_impulse(state, coefficients_of(model, state), state.velocities, state.thermal, boltzmann=1.0)
        ).numpy()
    )
    # Of first order alone the mean would be off by half of friction rate times interval, here 8 %.
    assert abs((rest.mean(axis=0) * drift).sum() / (drift**2).sum()) < 0.04
    scale = np.sqrt(np.einsum("nii->n", covariance) / 2.0)
    z = rest.mean(axis=0) / scale[:, None] * np.sqrt(len(rest))
    # 384 numbers of unit variance if the mean is right: 1 within five standard errors.
    assert np.mean(z**2) == pytest.approx(1.0, abs=0.36)
    assert np.mean(squares) == pytest.approx(1.0, abs=0.02)
    found = np.einsum("tni,tnj->nij", rest, rest) / len(rest)
    np.testing.assert_allclose(found.sum(axis=0) / covariance.sum(axis=0)[0, 0], np.eye(2), atol=0.04)


def test_hidden_energies_follow_the_true_ones_as_well_as_they_claim() -> None:
    source = recording(160)
    found = hidden_energies(
        gas(BODY), observed(source.series(0, 160), 1.0), mean_energy=float(source.energies[0].mean())
    )
    for frame in (60, 110, 159):
        estimate, truth = found.energy[frame].numpy(), source.energies[frame]
        assert np.corrcoef(estimate, truth)[0, 1] > 0.45
        claimed = float(found.variance[frame].mean())
        assert np.mean((estimate - truth) ** 2) / claimed == pytest.approx(1.0, abs=0.3)
        # Total energy is no estimate: what the stirring brings in less what motion takes.
        assert estimate.mean() == pytest.approx(truth.mean(), abs=0.02)
    seen = observed(source.series(0, 160), 1.0)
    gained = found.energy.mean(dim=1).numpy() - float(found.energy[0].mean())
    np.testing.assert_allclose(gained, internal_energy_gain(seen, BODY), atol=1e-9)
    blind = hidden_energies(
        gas(BODY), observed(source.series(0, 160), 1.0), mean_energy=float(source.energies[0].mean()), gain=0.0
    )  # fmt: skip
    assert np.corrcoef(blind.energy[159], source.energies[159])[0, 1] < 0.4


@dataclass(frozen=True)
class Swinging:
    """A stirring force that turns round all the time."""

    def at(self, positions: torch.Tensor, time: float) -> torch.Tensor:
        return 3.0 * np.cos(8.0 * time) * BODY.at(positions, 0.0)


def test_a_force_that_changes_with_time_is_that_of_its_frame() -> None:
    """What particles gain is what the swinging force did: no motion but that of the recording tells the energies."""
    model = gas(Swinging())
    source = run(model, random_start(model, EDGE, 2), 60, 2)
    series = source.series(20, 60)
    gained = source.energies[20:].mean(axis=1) - source.energies[20].mean()
    assert np.ptp(gained) > 0.4
    found = internal_energy_gain(observed(series, 1.0), Swinging())
    np.testing.assert_allclose(found, gained, atol=0.02)
    start = float(source.energies[20].mean())
    energies = hidden_energies(model, observed(series, 1.0), mean_energy=start).energy.mean(dim=1)
    np.testing.assert_allclose(energies - start, gained, atol=0.02)


def test_the_last_frame_is_estimated_like_all_others() -> None:
    """What the filter says of a frame does not depend on whether the recording goes on."""
    source = recording(160)
    seen, mean = observed(source.series(0, 30), 1.0), float(source.energies[0].mean())
    short, longer = (hidden_energies(gas(BODY), seen, mean_energy=mean, last=last) for last in (20, 30))
    for name in ("energy", "variance", "entropy", "temperature"):
        torch.testing.assert_close(getattr(short, name), getattr(longer, name)[:20])


def test_a_mean_energy_below_the_lowest_is_refused() -> None:
    with pytest.raises(InputError, match="a mean energy of -1"):
        hidden_energies(gas(BODY), observed(recording(3).series(0, 3), 1.0), mean_energy=-1.0)


def test_species_of_very_different_heat_capacity_keep_their_temperatures() -> None:
    capacities = np.array([8.0, 120.0])
    model = mixture((8.0, 120.0))
    series, truth = mixed_recording(model, 80)
    found = hidden_energies(model, observed(series, 1.0), mean_energy=float(truth[0].mean()), gain=0.7)
    for kind, capacity in enumerate(capacities):
        own = series.species == kind
        estimate, true = found.temperature[40:, own].mean(), (truth[40:, own] / capacity).mean()
        assert float(estimate) == pytest.approx(true, rel=0.08), kind


def test_the_best_gain_makes_estimates_neither_too_bold_nor_too_timid() -> None:
    """Neighbours share evidence: at full gain truth changes by less than its estimate; prediction sees that too."""
    source, model = recording(160), gas(BODY)
    seen, mean = observed(source.series(0, 160), 1.0), float(source.energies[0].mean())
    slopes, scores = [], []
    for gain in (0.35, 0.7, 1.4):
        found = hidden_energies(model, seen, mean_energy=mean, gain=gain)
        pairs = np.concatenate([[found.energy[t].numpy(), source.energies[t]] for t in range(60, 160, 20)], axis=1)
        slopes.append(np.polyfit(*pairs, 1)[0])
        values = []
        for frame in range(60, 159, 3):
            change = transition(model, seen, [frame], found.energy[frame], found.entropy[frame])
            rest, covariance = innovation(model, change, found.variance[frame])
            values.append(float(negative_log_likelihood(rest, covariance + found.spread[frame])[0].mean()))
        scores.append(np.mean(values))
    assert slopes[0] > slopes[1] > slopes[2]
    assert slopes[1] == pytest.approx(1.0, abs=0.15)
    assert slopes[2] < 0.85
    assert scores[1] < scores[2]


def test_motion_alone_tells_a_hot_half_from_a_cold_one() -> None:
    """The filter starts from one temperature; pressure and friction must tell where it is hot."""
    model, source = gas(), recording(3)
    state = first_state(source)
    left = state.cell.box.wrap(source.positions[0])[:, 0] < state.cell.box.upper[0] / 2
    energies = np.where(left, 12.0, 28.0)
    heated = run(model, continued(model, state, torch.tensor(energies)), 40, 5)
    truth = heated.energies
    found = hidden_energies(model, observed(heated.series(0, 40), 1.0), mean_energy=float(energies.mean()))
    true_step = truth[-1][~left].mean() - truth[-1][left].mean()
    step = float(found.energy[-1][~left].mean() - found.energy[-1][left].mean())
    assert true_step > 4.0
    assert step == pytest.approx(true_step, rel=0.3)


@pytest.mark.parametrize("exponent", [None, 0.7])
def test_response_of_impulses_to_an_energy(exponent: float | None) -> None:
    """The derivative that the filter corrects with, against a particle that is warmed a little."""
    source, power = recording(3), None if exponent is None else torch.tensor([exponent], dtype=torch.float64)
    model = gas()
    # C large: what fluctuations add to the mean impulse, of order k_B/C, is not part of the derivative.
    energy = replace(model.energy, heat_capacity=torch.tensor([1e5], dtype=torch.float64), volume=None, amount=None)
    model = replace(model, energy=energy, law=PowerLaw(temperature=2.0, par=power, perp=power))
    energies = torch.full_like(torch.tensor(source.energies[0]), 1e5)
    state = continued(model, first_state(source), energies)
    found = coefficients_of(model, state)
    assert found.par is not None
    assert found.perp is not None
    h, relative = 0.02, state.relative(state.velocities)
    response = _response(model, state, (_felt(found.par, state), _felt(found.perp, state)), relative, h)
    first, second = response.to(state)
    warmed, change = 7, 10.0
    energies[warmed] += change
    after = continued(model, first_state(source), energies)
    impulses = [
        h * mean_impulse(each, coefficients_of(model, each), each.velocities, each.thermal, boltzmann=1.0)
        for each in (state, after)
    ]
    told = first * (state.pairs.first == warmed) + second * (state.pairs.second == warmed)
    assert float(told.abs().max()) > 0.0
    np.testing.assert_allclose(((impulses[1] - impulses[0]) / change).numpy(), told.numpy(), rtol=1e-3, atol=1e-15)


def test_what_cannot_be_observed_is_refused() -> None:
    series = recording(3).series(0, 3)
    with pytest.raises(InputError, match="half of every periodic edge"):
        observed(series, 5.0)
    sheared = Box(lower=series.box.lower, upper=series.box.upper, periodic=(True, True), shear_rate=0.1)
    with pytest.raises(DataError, match="sheared box"):
        observed(replace(series, box=sheared), 1.0)
    wrapped = series.positions.copy()
    wrapped[1:, 5, 0] += 8.0
    with pytest.raises(DataError, match="particle 5 more than half of the box away after frame 0"):
        observed(replace(series, positions=wrapped), 1.0)
    masses = series.masses.copy()
    masses[3] = 2.0
    with pytest.raises(DataError, match="different masses in species 0"):
        observed(replace(series, masses=masses), 1.0)
