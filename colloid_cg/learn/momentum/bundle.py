"""Fitted pair dynamics as a model bundle: weights, numbers with intervals, curves with bands; and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from colloid_cg.dynamics.metriplectic.model import MetriplecticModel
from colloid_cg.errors import DataError
from colloid_cg.learn.kinds import PAIR_DYNAMICS, require_kind
from colloid_cg.learn.momentum.config import MomentumFitConfig
from colloid_cg.learn.momentum.hidden_bundle import (
    memory_config,
    memory_diagnostics,
    memory_metrics,
    memory_of,
    memory_weights,
)
from colloid_cg.learn.momentum.memory import FrictionScan
from colloid_cg.learn.momentum.metriplectic import HEAT_CAPACITY, metriplectic_model
from colloid_cg.learn.momentum.model import PairDynamics
from colloid_cg.learn.sandwich import quantile
from colloid_cg.observables import kinetic_temperature
from colloid_cg.records import PAIR_FORCE_COLUMNS, PAIR_FRICTION_COLUMNS, ModelBundle, PhaseSeries, metric

_POINTS = 100
_MASS_TOLERANCE = 1e-9
_SIGNIFICANT = 3.0
_MISFIT = 0.1
"""Largest departure of displacements from velocity x time; a frame interval of a tenth of a period stays below."""
FORGETFUL = "memory: random forces are taken as forgotten within the shorter window"
NOT_MODELLED = [
    "heat: the data are at one temperature; the heat capacity is an assumption, particles exchange no heat directly",
    "friction that depends on temperature or on the density of neighbours",
    FORGETFUL,
    "many-body and non-conservative forces",
    "spin: friction across the line between two particles does not conserve angular momentum",
]


def bundle_of(
    dynamics: PairDynamics,
    train: PhaseSeries,
    config: MomentumFitConfig,
    *,
    length_unit: str = "reduced",
    time_unit: str = "reduced",
) -> ModelBundle:
    """Return the bundle of a fit to ``train``; units are the names of those of the data."""
    masses = masses_of_species(train)
    temperature, error = kinetic_temperature(train.velocities, train.masses)
    return ModelBundle(
        config={
            "kind": PAIR_DYNAMICS,
            "n_species": len(masses),
            "n_knots": dynamics.force.shape[1],
            "pair_force_used": True,
            "lower": dynamics.lower,
            "cutoff": dynamics.cutoff,
            "frame_interval": train.frame_interval,
            "dimension": train.dimension,
            "thermal_energy": dynamics.thermal_energy,
            "thermal_energy_from": dynamics.thermal_energy_from,
            "heat_capacity": HEAT_CAPACITY,
            "windows": list(dynamics.windows),
            "memory": memory_config(dynamics.memory),
            "length_unit": length_unit,
            "time_unit": time_unit,
            "momentum": config.as_dict(),
        },
        weights={
            "force": dynamics.force,
            "friction_along": dynamics.friction_along,
            "friction_across": dynamics.friction_across,
            "replicates": dynamics.replicates,
            "masses": masses,
        }
        | memory_weights(dynamics.memory),
        metrics=_metrics(dynamics, train, temperature, error, time_unit),
        pair_force=_force_table(dynamics, len(masses)),
        pair_friction=_friction_table(dynamics, len(masses)),
        diagnostics={
            "friction_scan": _scan(dynamics, train.frame_interval),
            "memory": memory_diagnostics(dynamics.memory, train.frame_interval),
            "friction_per_mass": [dynamics.friction_per_mass, dynamics.friction_per_mass_error],
            "force_samples": {"r_min": dynamics.lower, "r_max": dynamics.cutoff, "n_pairs": None},
            "kinetic_temperature": {"value": temperature, "standard_error": error},
            "velocity_slope": velocity_slope(train),
            "converged": dynamics.converged,
            "warnings": _warnings(dynamics, velocity_slope(train), temperature, error) + species_warnings(train),
            "not_modelled": [item for item in NOT_MODELLED if dynamics.memory is None or item != FORGETFUL],
        },
    )


def pair_dynamics_of(bundle: ModelBundle) -> PairDynamics:
    """Return the pair dynamics a bundle describes.

    Raises
    ------
    DataError
        If the bundle holds another kind of model.
    """
    require_kind(
        bundle.config, PAIR_DYNAMICS, expected="pair dynamics fitted to positions and velocities",
        action="fit a simulation that was imported with its velocities",
    )  # fmt: skip
    scan = bundle.diagnostics["friction_scan"]
    total, error = bundle.diagnostics["friction_per_mass"]
    first, second = bundle.config["windows"]
    return PairDynamics(
        lower=float(bundle.config["lower"]),
        cutoff=float(bundle.config["cutoff"]),
        force=bundle.weights["force"],
        friction_along=bundle.weights["friction_along"],
        friction_across=bundle.weights["friction_across"],
        replicates=bundle.weights["replicates"],
        thermal_energy=float(bundle.config["thermal_energy"]),
        thermal_energy_from=bundle.config["thermal_energy_from"],
        windows=(int(first), int(second)),
        friction_per_mass=total,
        friction_per_mass_error=error,
        scan=FrictionScan(
            windows=np.asarray(scan["frames"]),
            values=np.asarray(scan["value"]),
            errors=np.asarray(scan["standard_error"]),
            plateau=scan["plateau"],
            memory_time=scan["memory_time"],
            plateau_error=scan["plateau_error"],
            memory_error=scan["memory_error"],
        ),
        converged=bool(bundle.diagnostics["converged"]),
        memory=memory_of(bundle),
    )


def phase_model(bundle: ModelBundle) -> MetriplecticModel:
    """Return the metriplectic model a bundle describes, k_B = 1: T0 is k_B T of the fit.

    Raises
    ------
    DataError
        If the bundle holds another kind of model.
    """
    dynamics = pair_dynamics_of(bundle)
    return metriplectic_model(dynamics, bundle.weights["masses"], heat_capacity=float(bundle.config["heat_capacity"]))


def masses_of_species(series: PhaseSeries) -> np.ndarray:
    """Return the mass of each species, shape (n_species,).

    Raises
    ------
    DataError
        If particles of a species differ in mass, or a species has no particle.
    """
    masses = np.empty(int(series.species.max()) + 1)
    for kind in range(len(masses)):
        own = series.masses[series.species == kind]
        if not len(own) or np.ptp(own) > _MASS_TOLERANCE * own.max():
            raise DataError(
                f"species {kind} with masses {np.unique(own).tolist()}",
                expected="species 0, 1, .. of one mass each",
                action="number the species without gaps, one for each mass",
            )
        masses[kind] = own[0]
    return masses


def velocity_slope(series: PhaseSeries) -> float:
    """Return the regression of displacements over a frame on dt (v + v')/2: 1 if units and frame interval are right."""
    moved = np.diff(series.positions, axis=0)
    expected = 0.5 * series.frame_interval * (series.velocities[1:] + series.velocities[:-1])
    return float(np.vdot(moved, expected) / np.vdot(expected, expected))


def slope_warnings(slope: float) -> list[str]:
    """Return a sentence where displacements are not those of the velocities."""
    if abs(slope - 1.0) <= _MISFIT:
        return []
    return [
        f"Displacements between frames are {slope:.3g} times velocity x time: check the units of the velocities "
        "and the frame interval."
    ]


def species_warnings(series: PhaseSeries) -> list[str]:
    """Return a sentence where species move at different temperatures: masses are then mixed up, or nothing is at rest.

    At equilibrium m v^2 per degree of freedom is k_B T for every species, whatever their masses.
    """
    kinds = [kind for kind in np.unique(series.species) if (series.species == kind).sum() > 1]
    found = {}
    for kind in kinds:
        own = series.species == kind
        found[int(kind)] = kinetic_temperature(series.velocities[:, own], series.masses[own])
    if len(found) < 2:
        return []
    coldest, hottest = (choose(found, key=lambda kind: found[kind][0]) for choose in (min, max))
    (low, low_error), (high, high_error) = found[coldest], found[hottest]
    sure = np.hypot(low_error, high_error)
    if high < (1.0 + _MISFIT) * low or not high - low > _SIGNIFICANT * sure:
        return []
    return [
        f"Species {hottest} moves at k_B T = {high:.4g}({high_error:.1g}), species {coldest} at "
        f"{low:.4g}({low_error:.1g}): check import.masses; or the system is far from equilibrium."
    ]


def rate_unit(unit: str) -> str:
    """Return the unit of a rate in a system whose unit of time is ``unit``: "s", or the name of the system."""
    return "1/s" if unit == "s" else f"1/time ({unit} units)"


def _metrics(
    dynamics: PairDynamics, train: PhaseSeries, temperature: float, error: float, time_unit: str
) -> dict[str, list[dict[str, Any]]]:
    wide = quantile(len(dynamics.replicates))
    scan, spans = dynamics.scan, " and ".join(str(window) for window in dynamics.windows)
    if dynamics.memory is not None:
        spans = f"{dynamics.memory.windows[0]} to {dynamics.memory.windows[-1]}"
    half = wide * dynamics.friction_per_mass_error
    memory = wide * scan.memory_error
    system = "" if time_unit == "s" else f" ({time_unit} units)"
    measured = dynamics.thermal_energy_from == "velocities"
    seen = f"kinetic temperature of the training block {temperature:.4g}({error:.1g})"
    return {
        "regime": [metric("underdamped", note="pair force and pair friction from positions and velocities: not decided "
                          "by the data but by the velocities that came with them")],
        "friction": [metric(
            dynamics.friction_per_mass, low90=dynamics.friction_per_mass - half,
            high90=dynamics.friction_per_mass + half, unit=rate_unit(time_unit),
            note=f"of a particle against all its neighbours, over its mass, mean over axes and particles; from random "
            f"impulses over {spans} frames, blocks of time left out in turn",
        )],
        "temperature": [metric(
            dynamics.thermal_energy, unit=f"energy{system}",
            low90=dynamics.thermal_energy - wide * error if measured and np.isfinite(error) else None,
            high90=dynamics.thermal_energy + wide * error if measured and np.isfinite(error) else None,
            note="k_B T, " + ("mean of m v^2 per degree of freedom" if measured else f"given with the data; {seen}"),
        )],
        "memory_time": [metric(
            scan.memory_time, low90=max(scan.memory_time - memory, 0.0), high90=scan.memory_time + memory,
            unit="s" if time_unit == "s" else f"time{system}",
            note="tau0 of gamma(tau) = gamma [1 - tau0/tau (1 - exp(-tau/tau0))], memory of the random force; shown "
            "for comparison, the model itself has "
            + ("no memory" if dynamics.memory is None else "the memory of its hidden vectors"),
        )],
        "heat_capacity": [metric(
            HEAT_CAPACITY, unit="k_B",
            note="of a particle; assumed, not measured: data at one temperature say nothing of it",
        )],
    } | memory_metrics(dynamics.memory, time_unit, rate_unit(time_unit))  # fmt: skip


def _scan(dynamics: PairDynamics, frame_interval: float) -> dict[str, Any]:
    """Return gamma(lag) with 90 % intervals, JSON-able."""
    scan = dynamics.scan
    half = quantile(len(dynamics.replicates)) * scan.errors
    return {
        "frames": scan.windows.tolist(),
        "lag": (scan.windows * frame_interval).tolist(),
        "value": scan.values.tolist(),
        "low90": (scan.values - half).tolist(),
        "high90": (scan.values + half).tolist(),
        "standard_error": scan.errors.tolist(),
        "windows": [float(window * frame_interval) for window in dynamics.windows],
        "plateau": scan.plateau,
        "plateau_error": scan.plateau_error,
        "memory_time": scan.memory_time,
        "memory_error": scan.memory_error,
    }


def _warnings(dynamics: PairDynamics, slope: float, temperature: float, error: float) -> list[str]:
    """Return whole sentences on what speaks against the fit."""
    sentences = slope_warnings(slope)
    apart = abs(temperature - dynamics.thermal_energy)
    if np.isfinite(error) and apart > _SIGNIFICANT * error:
        sentences.append(
            f"The velocities of the training block have a kinetic temperature of {temperature:.4g}({error:.1g}), the "
            f"data are said to be at k_B T = {dynamics.thermal_energy:.4g}: check masses and units; or the block is "
            "too short to be at equilibrium."
        )
    if not dynamics.converged:
        sentences.append("Friction and random impulses did not settle: raise momentum.iterations.")
    return sentences


def _force_table(dynamics: PairDynamics, n_species: int) -> pd.DataFrame:
    """Return force and 90 % band in k_B T per length, from the shortest distance seen to the cutoff."""
    r = np.linspace(dynamics.lower, dynamics.cutoff, _POINTS)
    value, half = dynamics.curves(r)[0] / dynamics.thermal_energy, dynamics.half_widths(r)[0] / dynamics.thermal_energy
    parts = [
        pd.DataFrame(
            {
                "r": r, "force": value[pair], "low90": value[pair] - half[pair], "high90": value[pair] + half[pair],
                "species_a": int(a), "species_b": int(b),
            }
        )
        for pair, (a, b) in enumerate(zip(*np.triu_indices(n_species), strict=True))
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True)[list(PAIR_FORCE_COLUMNS)]


def _friction_table(dynamics: PairDynamics, n_species: int) -> pd.DataFrame:
    """Return friction along and across the line of two particles with 90 % bands, in mass per time."""
    r = np.linspace(dynamics.lower, dynamics.cutoff, _POINTS)
    value, half = dynamics.curves(r)[1:], dynamics.half_widths(r)[1:]
    parts = []
    for pair, (a, b) in enumerate(zip(*np.triu_indices(n_species), strict=True)):
        columns: dict[str, Any] = {"r": r, "species_a": int(a), "species_b": int(b)}
        for place, name in enumerate(("along", "across")):
            middle, width = value[place, pair], half[place, pair]
            columns |= {name: middle, f"{name}_low90": middle - width, f"{name}_high90": middle + width}
        parts.append(pd.DataFrame(columns))
    return pd.concat(parts, ignore_index=True)[list(PAIR_FRICTION_COLUMNS)]
