"""Fits of imported simulations: numbers and curves of the bundle, the model it describes, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import colloid_cg as cg
from colloid_cg.errors import ConfigError, DataError
from colloid_cg.learn.momentum import MomentumFitConfig, masses_of_species, pair_dynamics_of, phase_model
from colloid_cg.learn.momentum.bundle import species_warnings
from colloid_cg.records import ModelBundle, PhaseSeries, Trajectories
from colloid_cg.store import read_model, write_model
from tests.learn.imported import as_imported
from tests.learn.pair_worlds import World, simulate
from tests.learn.test_pair_dynamics import friction_of_particles

WORLD = World(dimension=2, edge=10.0, n_particles=100, range=1.8, masses=(1.0, 3.0),
              force=(60.0, 90.0, 45.0), along=(9.0, 4.0, 12.0), across=(3.0, 1.0, 5.0), thermal_energy=1.4)  # fmt: skip
SETTINGS = MomentumFitConfig(cutoff=1.8, n_knots=8, windows=(1, 2))


@cache
def recording() -> PhaseSeries:
    return simulate(WORLD, 500, rng=np.random.default_rng(3))


@cache
def blocks() -> tuple[Trajectories, ...]:
    return cg.split_by_time(as_imported(recording()), (0.8, 0.1, 0.1))


@cache
def bundle() -> ModelBundle:
    train, select, _ = blocks()
    return cg.fit(train, select, momentum=SETTINGS)


def test_friction_and_temperature_are_those_of_the_truth() -> None:
    truth = friction_of_particles(WORLD, recording())
    entry = bundle().metrics["friction"][0]
    half = entry["high90"] - entry["value"]
    assert entry["unit"] == "1/time (reduced units)"
    assert entry["value"] - entry["low90"] == pytest.approx(half)
    assert abs(entry["value"] - truth) < 1.8 * half < 0.2 * truth
    assert bundle().value("temperature") == 1.4
    assert bundle().metrics["temperature"][0]["low90"] is None
    assert bundle().metrics["regime"][0]["value"] == "underdamped"
    assert bundle().config["length_unit"] == "reduced"


def test_an_unknown_temperature_is_measured_with_its_interval() -> None:
    train, select, _ = blocks()
    known = dict(train.metadata["simulation"]) | {"thermal_energy": None}
    cold = [block.with_table(block.table, metadata={"simulation": known}) for block in (train, select)]
    entry = cg.fit(*cold, momentum=SETTINGS).metrics["temperature"][0]
    assert entry["low90"] < 1.4 < entry["high90"]
    assert entry["value"] == pytest.approx(1.4, rel=0.03)


def test_the_tables_hold_force_over_thermal_energy_and_mechanical_friction() -> None:
    force, friction = bundle().pair_force, bundle().pair_friction
    assert friction is not None
    for number, (a, b) in enumerate(((0, 0), (0, 1), (1, 1))):
        chosen = force[(force["species_a"] == a) & (force["species_b"] == b)]
        seen = chosen[(chosen["r"] > 0.7) & (chosen["r"] < 1.5)]
        truth = WORLD.curve(WORLD.force, seen["r"].to_numpy(), number) / WORLD.thermal_energy
        half = seen["high90"] - seen["force"]
        assert np.abs((seen["force"] - truth) / half).mean() < 1.0
        rub = friction[(friction["species_a"] == a) & (friction["species_b"] == b)]
        rub = rub[(rub["r"] > 0.7) & (rub["r"] < 1.5)]
        along = WORLD.curve(WORLD.along, rub["r"].to_numpy(), number)
        assert np.abs((rub["along"] - along) / (rub["along_high90"] - rub["along"])).mean() < 1.0


def test_a_bundle_on_disk_gives_the_same_model(tmp_path: Path) -> None:
    write_model(tmp_path / "model", bundle())
    again = read_model(tmp_path / "model")
    r = np.linspace(0.5, 1.8, 30)
    fitted, read = pair_dynamics_of(bundle()), pair_dynamics_of(again)
    np.testing.assert_array_equal(read.curves(r), fitted.curves(r))
    np.testing.assert_array_equal(read.half_widths(r), fitted.half_widths(r))
    assert repr(read) == repr(fitted)
    assert again.pair_friction is not None
    pd.testing.assert_frame_equal(again.pair_friction, bundle().pair_friction, rtol=1e-9)
    assert phase_model(again).masses.tolist() == [1.0, 3.0]


def test_what_cannot_be_fitted_is_refused() -> None:
    train, select, _ = blocks()
    still = as_imported(recording(), velocities=False)
    with pytest.raises(DataError, match="a simulation without velocities"):
        cg.fit(still, still)
    with pytest.raises(ConfigError, match="at most half of every periodic edge"):
        cg.fit(train, select, momentum=MomentumFitConfig(cutoff=5.1, windows=(1, 2)))
    with pytest.raises(DataError, match="1 frame of positions"):
        cg.fit(train.between(0, 1), select, momentum=SETTINGS)
    massless = train.with_table(train.table, metadata={"simulation": {"units": "reduced"}})
    with pytest.raises(DataError, match="no masses"):
        cg.fit(massless, select, momentum=SETTINGS)
    with pytest.raises(DataError, match="expected pair dynamics"):
        pair_dynamics_of(ModelBundle(config={}, weights={}, metrics={}, pair_force=bundle().pair_force))


def test_a_law_that_is_given_is_fitted_to_positions_alone() -> None:
    train, select, _ = blocks()
    config = cg.FitConfig(regime="overdamped", knots=(0,))
    with pytest.raises(DataError, match="no positive diffusion and noise"):  # steps go on in the same direction
        cg.fit(train.between(0, 30), select, config)


def test_velocities_in_other_units_are_warned_of() -> None:
    train, select, _ = blocks()
    assert bundle().diagnostics["warnings"] == []
    assert bundle().diagnostics["velocity_slope"] == pytest.approx(1.0, abs=0.02)
    slow = [block.with_table(block.table.assign(vx=block.table["vx"] / 2, vy=block.table["vy"] / 2))
            for block in (train, select)]  # fmt: skip
    found = cg.fit(*slow, momentum=SETTINGS).diagnostics
    assert found["velocity_slope"] == pytest.approx(2.0, abs=0.05)
    assert "check the units of the velocities" in found["warnings"][0]
    assert "kinetic temperature of 0.3" in found["warnings"][1]


def test_species_at_different_temperatures_are_warned_of() -> None:
    """Masses of the two species exchanged: m v^2 is three times and a third of what it was."""
    series = recording()
    assert species_warnings(series) == []
    sentence = species_warnings(replace(series, masses=4.0 - series.masses))[0]
    assert sentence.startswith("Species 0 moves at k_B T = 4.")
    assert "species 1 at 0.4" in sentence
    alone = replace(series, species=np.zeros_like(series.species), masses=4.0 - series.masses)
    assert species_warnings(alone) == []


def test_one_mass_per_species() -> None:
    series = recording()
    assert masses_of_species(series).tolist() == [1.0, 3.0]
    odd = series.masses.copy()
    odd[0] = 2.0
    with pytest.raises(DataError, match="one mass each"):
        masses_of_species(PhaseSeries(**{**vars(series), "masses": odd}))
