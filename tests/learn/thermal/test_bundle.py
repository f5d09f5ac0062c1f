"""Models with hidden entropies as bundles: what they hold, the model they describe, what is said against a fit."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import colloid_cg as cg
from benchmarks.ideal_gas_system import AMOUNT, HEAT_CAPACITY, gas
from colloid_cg.dynamics.metriplectic.cell import Cell
from colloid_cg.dynamics.metriplectic.friction import PowerLaw
from colloid_cg.dynamics.metriplectic.model import MetriplecticModel
from colloid_cg.dynamics.metriplectic.state import PhaseState, phase_state, total_energy
from colloid_cg.errors import ConfigError, DataError, InputError
from colloid_cg.learn import MomentumFitConfig, ThermalFitConfig
from colloid_cg.learn.momentum import interaction_reach
from colloid_cg.learn.thermal import ThermalDynamics, fit_thermal, hidden_entropy_model, thermal_fields
from colloid_cg.learn.thermal.bundle import bundle_of, converged
from colloid_cg.learn.thermal.hidden import hidden_energies
from colloid_cg.learn.thermal.observed import observed
from colloid_cg.learn.thermal.visited import visited
from colloid_cg.observables import kinetic_temperature, without_common_motion
from colloid_cg.records import ModelBundle, PhaseSeries
from colloid_cg.simulation.phase import two_stage
from colloid_cg.simulation.phase_start import hidden_start
from colloid_cg.store import read_model, write_model
from tests.learn.imported import as_imported
from tests.learn.thermal.test_training import Shelf
from tests.learn.thermal.worlds import quiet_recording

SMALL = ThermalFitConfig(
    cutoff=1.0, rounds=3, steps=3, batch_frames=2, settling_frames=5, n_knots=6, scoring_frames=12, pair_potential=True,
    time_blocks=3, refit_rounds=1
)  # fmt: skip


@cache
def series() -> PhaseSeries:
    """Return a recording that moves as a whole."""
    quiet = quiet_recording(60).series(0, 60)
    drift = np.array([0.3, -0.2])
    moved = quiet.positions + drift * quiet.frame_interval * np.arange(60)[:, None, None]
    return replace(quiet, positions=moved, velocities=quiet.velocities + drift)


def blocks() -> tuple[PhaseSeries, PhaseSeries, PhaseSeries]:
    whole = series()
    return whole.between(0, 30), whole.between(30, 42), whole.between(42, 60)


@cache
def fitted() -> ThermalDynamics:
    train, select, _ = blocks()
    return fit_thermal(train, select, SMALL, seed=2)


@cache
def bundle() -> ModelBundle:
    train, select, _ = blocks()
    return bundle_of(fitted(), train, select, SMALL)


def first_state(model: MetriplecticModel) -> PhaseState:
    test = blocks()[2]
    return phase_state(
        model, torch.tensor(test.positions[0]), torch.tensor(test.velocities[0]), cell=Cell(box=test.box),
        entropy=torch.linspace(-3.0, 3.0, test.n_particles, dtype=torch.float64),
    )  # fmt: skip


def test_fields_are_the_estimates_of_the_fit() -> None:
    """Training and selection block: those of the fit, to the accuracy of its solver; in the order of the table."""
    found = thermal_fields(bundle(), as_imported(series()))
    assert found is not None
    n, hidden = series().n_particles, fitted().hidden
    used = found[found["frame"] < hidden.n_frames]
    assert len(used) == hidden.n_frames * n
    np.testing.assert_allclose(used["temperature"].to_numpy().reshape(-1, n), hidden.temperature, rtol=1e-7)
    np.testing.assert_allclose(used["entropy"].to_numpy().reshape(-1, n), hidden.entropy, atol=1e-6)
    assert thermal_fields(replace(bundle(), config={"kind": "overdamped"}), as_imported(series())) is None


def test_the_model_of_a_bundle_on_disk_takes_the_same_steps_to_the_bit(tmp_path: Path) -> None:
    write_model(tmp_path / "model", bundle())
    again = hidden_entropy_model(read_model(tmp_path / "model"))
    after = []
    for model in (fitted().model, again):
        state, rng = first_state(model), torch.Generator().manual_seed(4)
        for _ in range(3):
            state = two_stage(model, state, 0.01, rng)
        after.append(state)
    for name in ("positions", "velocities", "internal", "entropy"):
        assert torch.equal(getattr(after[0], name), getattr(after[1], name)), name
    assert not torch.equal(after[0].velocities, first_state(again).velocities)


def test_numbers_and_tables_survive_the_disk(tmp_path: Path) -> None:
    write_model(tmp_path / "model", bundle())
    again = read_model(tmp_path / "model")
    assert again.metrics == bundle().metrics
    assert again.diagnostics == bundle().diagnostics
    for name in ("pair_force", "pair_friction", "equation_of_state"):
        pd.testing.assert_frame_equal(getattr(again, name), getattr(bundle(), name), rtol=1e-9)
    assert {"friction", "heat_exchange", "temperature", "heat_capacity", "innovation_square"} <= set(again.metrics)
    model = fitted().model
    zero = torch.zeros(1, dtype=torch.float64)
    assert bundle().value("heat_capacity") == float(model.energy.at(zero, zero + 1.0, zero.long()).heat_capacity)
    force = bundle().pair_force
    found = model.radial.evaluate(torch.tensor(force["r"].to_numpy()), None).potential_slope
    assert found is not None
    np.testing.assert_allclose(force["force"] * bundle().config["thermal_energy"], -found.numpy(), atol=1e-12)


def test_intervals_are_those_of_fits_without_a_block() -> None:
    value, half = fitted().heat_capacity()
    assert half is not None
    entry = bundle().metrics["heat_capacity"][0]
    assert (entry["low90"], entry["high90"]) == (float(value[0] - half[0]), float(value[0] + half[0]))
    friction = bundle().metrics["friction"][0]
    assert friction["low90"] < friction["value"] < friction["high90"]
    table = bundle().pair_friction
    assert table is not None
    r = torch.tensor(table["r"].to_numpy())
    middle, width = fitted().interval(lambda model: torch.as_tensor(model.radial.evaluate(r, None).par))
    assert width is not None
    scale = bundle().config["thermal_energy"]
    np.testing.assert_allclose(table["along"], middle.numpy() / scale, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(table["along_high90"], (middle + width).numpy() / scale, rtol=1e-9, atol=1e-12)
    train, select, _ = blocks()
    law = PowerLaw(temperature=0.5 * scale, par=torch.tensor([0.75], dtype=torch.float64))
    warmer = replace(fitted(), model=replace(fitted().model, law=law), replicates=())
    steeper = bundle_of(warmer, train, select, SMALL).pair_friction
    assert steeper is not None
    np.testing.assert_allclose(steeper["along"], 2.0**1.5 * table["along"], rtol=1e-9)
    np.testing.assert_allclose(steeper["across"], table["across"], rtol=1e-9)
    alone = bundle_of(replace(fitted(), replicates=()), train, select, SMALL)
    assert alone.metrics["heat_capacity"][0]["low90"] is None
    assert alone.pair_friction is not None
    assert alone.pair_friction["along_low90"].isna().all()


def test_what_a_known_gas_visits_obeys_its_equation_of_state() -> None:
    model, whole = gas(), quiet_recording(40).series(0, 40)
    hidden = hidden_energies(model, observed(whole, model.cutoff), mean_energy=HEAT_CAPACITY)
    seen = visited(model, whole, hidden, settling=10)
    table = seen.equation_of_state()
    assert len(table) == 225
    np.testing.assert_allclose(table["thermal_energy"], table["internal_energy"] / HEAT_CAPACITY, rtol=1e-9)
    np.testing.assert_allclose(table["pressure"] * table["volume"], AMOUNT * table["thermal_energy"], rtol=1e-9)
    volume = seen.state.volume
    assert volume is not None
    assert table["volume"].min() == pytest.approx(float(volume.quantile(0.05)))
    assert table["volume"].max() == pytest.approx(float(volume.quantile(0.95)))
    x, box, n = whole.positions[10], whole.box, whole.n_particles  # the first frame that is looked at
    i, j = np.triu_indices(n, 1)
    radial = model.radial.evaluate(torch.tensor(np.linalg.norm(box.shortest(x[i] - x[j]), axis=1)), None)
    assert radial.par is not None
    assert radial.perp is not None
    assert radial.heat is not None
    heat, temperature = radial.heat.numpy(), hidden.temperature[10].numpy()
    exchanged = (np.bincount(i, heat, n) + np.bincount(j, heat, n)) / (temperature**2 * HEAT_CAPACITY)
    one = replace(whole, positions=whole.positions[10:12], velocities=whole.velocities[10:12])
    rows = replace(hidden, entropy=hidden.entropy[[10, 10]], energy=hidden.energy[[10, 10]])
    twice = visited(model, replace(one, positions=one.positions[[0, 0]]), rows, settling=0)
    assert twice.heat_rate == pytest.approx(exchanged.mean(), rel=1e-6)
    rub = (
        0.25 * (radial.par + radial.perp).numpy() * (1 / temperature[i] + 1 / temperature[j]) * (1 - 1 / HEAT_CAPACITY)
    )
    assert float(twice.friction_rate(model)) == pytest.approx(2.0 * rub.sum() / n, rel=1e-6)


def test_rollouts_start_with_the_energy_of_the_recording_and_its_velocities() -> None:
    test, model = blocks()[2], hidden_entropy_model(bundle())
    state, told = hidden_start(model, bundle(), test)
    assert told == []
    own = without_common_motion(test.velocities[:1], test.masses)[0]
    np.testing.assert_allclose(state.velocities.numpy(), own, atol=1e-12)
    total = float(total_energy(model, state) + state.reference.sum())
    assert total == pytest.approx(bundle().config["total_energy"], rel=1e-9)
    shift = state.reference - fitted().hidden.energy[-1]
    assert float(shift.std()) < 1e-8
    assert 1e-4 < abs(float(shift.mean())) < 0.5  # the motion went on for a frame
    # The same energy from frames of the fit: nothing acts from outside, and the filter conserves it.
    train, velocities = blocks()[0], without_common_motion(series().velocities, test.masses)
    early = phase_state(
        model, torch.tensor(train.positions[7]), torch.tensor(velocities[7]), cell=Cell(box=test.box)
    )  # fmt: skip
    assert float(total_energy(model, early) + fitted().hidden.energy[7].sum()) == pytest.approx(total, rel=1e-9)


def test_other_particles_start_at_the_temperature_of_their_motion() -> None:
    model = hidden_entropy_model(bundle())
    heat = kinetic_temperature(series().velocities[:1], series().masses)[0]
    state, told = hidden_start(model, bundle(), series().between(0, 30))
    assert "do not follow those of the fit" in told[0]
    np.testing.assert_allclose(state.thermal.temperature.numpy(), heat, rtol=1e-9)
    test = blocks()[2]
    fewer = replace(
        test, positions=test.positions[:, :90], velocities=test.velocities[:, :90], species=test.species[:90],
        masses=test.masses[:90],
    )  # fmt: skip
    assert hidden_start(model, bundle(), fewer)[1]


def test_a_fit_says_what_speaks_against_it() -> None:
    train, select, _ = blocks()

    def told(series_: PhaseSeries = train, **changes: Any) -> list[str]:
        return list(bundle_of(replace(fitted(), **changes), series_, select, SMALL).diagnostics["warnings"])

    settled = {"scores": (1.0, 0.9, 0.95), "innovation_square": 1.0}
    assert told(**settled) == []
    assert "scatter 1.3 times as much" in told(**settled | {"innovation_square": 1.3})[0]
    assert "last of 3 rounds" in told(**settled | {"scores": (1.0, 0.9, 0.8)})[0]
    assert "k_B T = 1.5" in told(replace(train, thermal_energy=1.5), **settled)[0]
    slow = replace(train, frame_interval=200.0 * train.frame_interval)
    assert [line.split(" ")[0] for line in told(slow, **settled)] == ["Displacements", "Friction"]


@pytest.mark.parametrize(
    ("scores", "settled"),
    [
        ((3.0, 2.0), False),  # energies were never corrected
        ((3.0, 2.0, 1.0), False),
        ((3.0, 2.0, 2.1), True),
        ((1.0, 2.0, 1.5), False),  # the first round does not count
    ],
)
def test_a_fit_has_converged_if_the_selection_block_got_no_better(scores: tuple[float, ...], settled: bool) -> None:
    assert converged(scores, ThermalFitConfig(rounds=len(scores))) is settled
    assert converged((3.0, 2.0, 1.0, 1.1), ThermalFitConfig(rounds=10)) is True  # patience was at its end


def test_a_range_that_is_not_given_is_found() -> None:
    quiet = quiet_recording(60).series(0, 60)
    found = interaction_reach(quiet.between(0, 45), quiet.between(45, 60), MomentumFitConfig(windows=(1, 2)))
    assert 0.6 < found < 1.3  # the truth is 1, with little friction near it
    assert interaction_reach(quiet.between(0, 45), quiet.between(45, 60), MomentumFitConfig(cutoff=0.8)) == 0.8
    with pytest.raises(ConfigError, match=r"thermal\.cutoff"):
        fit_thermal(quiet.between(0, 45), quiet.between(45, 60), ThermalFitConfig())


def test_fit_takes_the_settings_the_seed_and_the_checkpoint() -> None:
    train, select = cg.split_by_time(as_imported(series()), (0.5, 0.2, 0.3))[:2]
    shelf = Shelf()
    momentum = MomentumFitConfig(model="hidden_entropy", cutoff=1.0)
    config = ThermalFitConfig(**SMALL.as_dict() | {"cutoff": None})
    found = cg.fit(train, select, rng=2, momentum=momentum, thermal=config, checkpoint=shelf)
    assert found.diagnostics["scores"] == pytest.approx(bundle().diagnostics["scores"], rel=1e-9)
    np.testing.assert_allclose(found.weights["energy"], bundle().weights["energy"], rtol=1e-6)
    assert int(shelf["round"]["round"]) == 3
    once = config.model_copy(update={"rounds": 1, "time_blocks": 0})
    other = cg.fit(train, select, rng=3, momentum=momentum, thermal=once)
    assert other.diagnostics["scores"][0] != pytest.approx(found.diagnostics["scores"][0], rel=1e-7)


def test_only_splines_and_only_this_kind_of_model() -> None:
    train, select, _ = blocks()
    with pytest.raises(InputError, match="ConstantHeatCapacity"):
        bundle_of(replace(fitted(), model=gas()), train, select, SMALL)
    other = replace(bundle(), config=bundle().config | {"kind": "metriplectic"})
    with pytest.raises(DataError, match="expected a model with hidden entropies"):
        hidden_entropy_model(other)
    tracks = as_imported(series(), velocities=False)
    with pytest.raises(DataError, match="without velocities"):
        cg.fit(tracks, tracks, momentum=MomentumFitConfig(model="hidden_entropy"), thermal=SMALL)
    with pytest.raises(ConfigError, match="where positions alone are fitted"):
        cg.fit(tracks, tracks, cg.FitConfig(regime="overdamped"), momentum=MomentumFitConfig(model="hidden_entropy"))
