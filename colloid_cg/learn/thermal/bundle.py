"""A model with hidden entropies as a bundle: weights, numbers, tables; and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch

from colloid_cg.dynamics.metriplectic.cell import Cell
from colloid_cg.dynamics.metriplectic.friction import PowerLaw
from colloid_cg.dynamics.metriplectic.model import MetriplecticModel
from colloid_cg.dynamics.metriplectic.radial import SplineRadial
from colloid_cg.dynamics.metriplectic.spline_energy import SplineEnergy
from colloid_cg.dynamics.metriplectic.state import phase_state, total_energy
from colloid_cg.errors import InputError
from colloid_cg.learn.kinds import HIDDEN_ENTROPY, require_kind
from colloid_cg.learn.momentum.bundle import (
    masses_of_species,
    rate_unit,
    slope_warnings,
    species_warnings,
    velocity_slope,
)
from colloid_cg.learn.momentum.contacts import find_contacts
from colloid_cg.learn.thermal.config import ThermalFitConfig
from colloid_cg.learn.thermal.fit import ThermalDynamics
from colloid_cg.learn.thermal.training import FILTER_FROM
from colloid_cg.learn.thermal.visited import Visited, visited
from colloid_cg.observables import kinetic_temperature, without_common_motion
from colloid_cg.records import PAIR_FORCE_COLUMNS, PAIR_FRICTION_COLUMNS, ModelBundle, PhaseSeries, metric

_RADIAL = ("force", "kernel", "par", "perp", "heat")
_LAW = ("par", "perp", "heat")
_POINTS, _TIMES = 100, 200
WIDE = 1.05
"""r Sigma^-1 r / d above which impulses are not explained."""
RESOLVED = 0.1
"""Largest friction rate x frame interval of motion that is resolved."""
NOT_MODELLED = [
    "forces from outside, walls, baths and thermostats: the energy of the particles is taken as conserved",
    "memory: velocities are resolved from frame to frame",
    "many-body forces other than the pressure of U(S, V), non-conservative forces",
    "spin: friction across the line between two particles does not conserve angular momentum",
    "uncertainty of the equation of state and of heat exchange: they come without intervals",
]


def bundle_of(
    dynamics: ThermalDynamics,
    train: PhaseSeries,
    select: PhaseSeries,
    config: ThermalFitConfig,
    *,
    length_unit: str = "reduced",
    time_unit: str = "reduced",
) -> ModelBundle:
    """Return the bundle of a fit to ``train`` and ``select``; units are the names of those of the data.

    Raises
    ------
    InputError
        If a function of the model is no spline.
    """
    model, last = dynamics.model, select.first_frame + select.n_frames - 1
    seen = visited(model, train, dynamics.hidden, settling=config.settling_frames)
    heat, error = kinetic_temperature(train.velocities, train.masses)
    return ModelBundle(
        config={
            "kind": HIDDEN_ENTROPY,
            "n_species": model.n_species,
            "pair_force_used": config.pair_potential,
            "lower": 0.0,
            "cutoff": model.cutoff,
            "frame_interval": train.frame_interval,
            "dimension": train.dimension,
            "thermal_energy": heat,
            "thermal_energy_from": "velocities",
            "reference_thermal_energy": _power_law(model).temperature,
            "last_frame": last,
            "filter_gain": dynamics.gain,
            "total_energy": _energy_of_last_frame(dynamics, select),
            "length_unit": length_unit,
            "time_unit": time_unit,
            "thermal": config.as_dict(),
        },
        weights=_weights(model) | {
            "masses": masses_of_species(train),
            "hidden_energy": dynamics.hidden.energy[-1].numpy(),
            "hidden_species": train.species.astype(float),
        },
        metrics=_metrics(dynamics, seen, heat, time_unit),
        pair_force=_force_table(dynamics, heat),
        pair_friction=_friction_table(dynamics, heat),
        equation_of_state=seen.equation_of_state(),
        diagnostics={
            "scores": [float(score) for score in dynamics.scores],
            "innovation_square": dynamics.innovation_square,
            "friction_per_frame": float(seen.friction_rate(model)) * train.frame_interval,
            "temperatures": _temperatures(dynamics, train, select),
            "heat_exchange": _heat_curves(dynamics),
            "force_samples": {
                "r_min": find_contacts(train, model.cutoff).lower,
                "r_max": model.cutoff,
                "n_pairs": None,
            },
            "kinetic_temperature": {"value": heat, "standard_error": error},
            "velocity_slope": velocity_slope(train),
            "converged": converged(dynamics.scores, config),
            "warnings": _warnings(dynamics, seen, train, config),
            "not_modelled": NOT_MODELLED,
        },
    )  # fmt: skip


def hidden_entropy_model(bundle: ModelBundle) -> MetriplecticModel:
    """Return the metriplectic model a bundle describes, k_B = 1.

    Raises
    ------
    DataError
        If the bundle holds another kind of model.
    """
    require_kind(
        bundle.config, HIDDEN_ENTROPY, expected="a model with hidden entropies",
        action='fit with momentum.model = "hidden_entropy"',
    )  # fmt: skip
    arrays = {name: torch.tensor(values) for name, values in bundle.weights.items()}
    return MetriplecticModel(
        masses=arrays["masses"],
        energy=SplineEnergy(
            coefficients=arrays["energy"],
            entropy_range=arrays["entropy_range"],
            volume_range=arrays.get("volume_range"),
        ),
        radial=SplineRadial(
            lower=float(bundle.config["lower"]),
            cutoff=float(bundle.config["cutoff"]),
            **{name: arrays.get(name) for name in _RADIAL},
        ),
        law=PowerLaw(
            temperature=float(bundle.config["reference_thermal_energy"]),
            **{name: arrays.get(f"exponent_{name}") for name in _LAW},
        ),
    )


def converged(scores: tuple[float, ...], config: ThermalFitConfig) -> bool:
    """Return whether the selection block stopped getting better before the last round."""
    filtered = scores[FILTER_FROM - 1 :]
    return len(filtered) > 1 and (len(scores) < config.rounds or filtered[-1] > min(filtered))


def _power_law(model: MetriplecticModel) -> PowerLaw:
    if not isinstance(model.law, PowerLaw):
        raise _no_spline("friction law", model.law)
    return model.law


def _weights(model: MetriplecticModel) -> dict[str, np.ndarray]:
    """Return all coefficients by name."""
    energy, radial, law = model.energy, model.radial, _power_law(model)
    if not isinstance(energy, SplineEnergy):
        raise _no_spline("U(S, V)", energy)
    if not isinstance(radial, SplineRadial):
        raise _no_spline("radial functions", radial)
    parts = {
        "energy": energy.coefficients,
        "entropy_range": energy.entropy_range,
        "volume_range": energy.volume_range,
        **{name: getattr(radial, name) for name in _RADIAL},
        **{f"exponent_{name}": getattr(law, name) for name in _LAW},
    }
    return {name: values.detach().cpu().numpy() for name, values in parts.items() if values is not None}


def _no_spline(name: str, found: object) -> InputError:
    return InputError(
        f"{name} of type {type(found).__name__}",
        expected="splines and a power law",
        action="save this model with torch yourself",
    )


def _energy_of_last_frame(dynamics: ThermalDynamics, select: PhaseSeries) -> float:
    """Return the total energy of the recording less that of the common motion, from the last frame of ``select``."""
    model, velocities = dynamics.model, without_common_motion(select.velocities[-1:], select.masses)[0]
    state = phase_state(
        model, torch.tensor(select.positions[-1]), torch.tensor(velocities), cell=Cell(box=select.box),
        species=torch.tensor(select.species, dtype=torch.long),
    )  # fmt: skip
    return float(total_energy(model, state) + dynamics.hidden.energy[-1].sum())


def _metrics(dynamics: ThermalDynamics, seen: Visited, heat: float, time_unit: str) -> dict[str, list[dict[str, Any]]]:
    model, blocks = dynamics.model, "; blocks of time left out in turn" if dynamics.replicates else ""
    system = "" if time_unit == "s" else f" ({time_unit} units)"
    zero = torch.zeros(model.n_species, dtype=torch.float64)
    there = model.energy.at(zero, zero + 1.0, torch.arange(model.n_species))
    capacities = _entries(dynamics.heat_capacity())
    return {
        "regime": [metric("underdamped", note="U(S, V), frictions and heat exchange from positions and velocities; "
                          "internal energies were estimated, not seen")],
        "friction": [metric(
            **_entries(dynamics.interval(lambda other: seen.friction_rate(other)[None]))[0], unit=rate_unit(time_unit),
            note=f"of a particle against all its neighbours, over its mass, mean over axes and particles{blocks}",
        )],
        "heat_exchange": [metric(
            seen.heat_rate, unit=rate_unit(time_unit),
            note="rate at which the temperature of a particle follows those of its neighbours, mean over particles",
        )],
        "temperature": [metric(
            heat, unit=f"energy{system}",
            note="k_B T of the motion, mean of m v^2 per degree of freedom over the training block",
        )],
        "heat_capacity": [
            metric(
                **capacities[kind], unit="k_B", species=kind if model.n_species > 1 else None,
                note=f"of a particle, at k_B T = {float(there.temperature[kind]):.4g} and its mean density{blocks}",
            )
            for kind in range(model.n_species)
        ],
        "innovation_square": [metric(
            dynamics.innovation_square,
            note="squared deviation of impulses from their mean over its variance on the selection block, 1 where the "
            "model says all there is to say",
        )],
    }  # fmt: skip


def _entries(found: tuple[torch.Tensor, torch.Tensor | None]) -> list[dict[str, Any]]:
    """Return value and 90 % interval of each number for its metric."""
    value, half = found
    if half is None:
        return [{"value": float(v)} for v in value]
    return [
        {"value": float(v), "low90": float(v - h), "high90": float(v + h)} for v, h in zip(value, half, strict=True)
    ]


def _warnings(dynamics: ThermalDynamics, seen: Visited, train: PhaseSeries, config: ThermalFitConfig) -> list[str]:
    """Return whole sentences on what speaks against the fit."""
    sentences = slope_warnings(velocity_slope(train)) + species_warnings(train)
    if train.thermal_energy is not None:
        sentences.append(
            f"The data are said to be at k_B T = {train.thermal_energy:.4g}, the model conserves energy: if a "
            "thermostat held that temperature, hidden energies are wrong."
        )
    if not converged(dynamics.scores, config):
        sentences.append(
            f"The selection block still got better in the last of {len(dynamics.scores)} rounds: the fit has not "
            "converged, the heat capacity least of all; raise thermal.rounds."
        )
    if dynamics.innovation_square > WIDE:
        sentences.append(
            f"Impulses of the selection block scatter {dynamics.innovation_square:.3g} times as much as the model "
            "says: frictions are overestimated by about as much; let the fit converge, then record frames that follow "
            "each other faster."
        )
    rate = float(seen.friction_rate(dynamics.model)) * train.frame_interval
    if rate > RESOLVED:
        sentences.append(
            f"Friction rate x frame interval is {rate:.2g} where motion is "
            f"resolved up to about {RESOLVED:g}: record frames that follow each other faster."
        )
    return sentences


def _temperatures(dynamics: ThermalDynamics, train: PhaseSeries, select: PhaseSeries) -> dict[str, list[float]]:
    """Return k_B T of the motion and of the particles (mean, 5 % and 95 %) against time, both blocks."""
    velocities = without_common_motion(np.concatenate([train.velocities, select.velocities]), train.masses)
    freedom = train.dimension * max(train.n_particles - 1, 1)
    motion = np.einsum("i,tid,tid->t", train.masses, velocities, velocities) / freedom
    frames = np.unique(np.linspace(0, len(motion) - 1, _TIMES).round().astype(int))
    inside = dynamics.hidden.temperature.numpy()[frames]
    low, high = np.quantile(inside, (0.05, 0.95), axis=1)
    times = train.frame_interval * (train.first_frame + frames)
    curves = {"time": times, "motion": motion[frames], "inside": inside.mean(axis=1), "low": low, "high": high}
    return {name: values.tolist() for name, values in curves.items()}


def _curves(dynamics: ThermalDynamics, name: str) -> list[tuple[int, int, np.ndarray, np.ndarray, np.ndarray]]:
    """Return species a and b, distances, a radial function and half its 90 % interval of every species pair.

    NaN where there is no interval, zero where the model has no such function.
    """
    model = dynamics.model
    kinds = [(int(a), int(b)) for a, b in zip(*np.triu_indices(model.n_species), strict=True)]
    r = torch.linspace(0.0, model.cutoff, _POINTS, dtype=torch.float64)

    def of(one: MetriplecticModel) -> torch.Tensor:
        found = [getattr(one.radial.evaluate(r, torch.full((_POINTS,), pair)), name) for pair in range(len(kinds))]
        return torch.stack([torch.zeros_like(r) if values is None else values for values in found])

    value, half = dynamics.interval(of)
    half = torch.full_like(value, torch.nan) if half is None else half
    return [(a, b, r.numpy(), value[pair].numpy(), half[pair].numpy()) for pair, (a, b) in enumerate(kinds)]


def _force_table(dynamics: ThermalDynamics, thermal_energy: float) -> pd.DataFrame:
    """Return the force of the pair potential in k_B T per length, no rows where the model has none."""
    if not isinstance(dynamics.model.radial, SplineRadial) or dynamics.model.radial.force is None:
        return pd.DataFrame({name: np.zeros(0) for name in PAIR_FORCE_COLUMNS})
    parts = []
    for a, b, r, slope, half in _curves(dynamics, "potential_slope"):
        force, width = -slope / thermal_energy, half / thermal_energy
        columns: tuple[Any, ...] = (r, force, force - width, force + width, a, b)
        parts.append(pd.DataFrame(dict(zip(PAIR_FORCE_COLUMNS, columns, strict=True))))
    return pd.concat(parts, ignore_index=True)


def _friction_table(dynamics: ThermalDynamics, thermal_energy: float) -> pd.DataFrame:
    """Return friction along and across the line of two particles of this k_B T with 90 % bands, in mass per time."""
    law, parts = _power_law(dynamics.model), []
    for along, across in zip(_curves(dynamics, "par"), _curves(dynamics, "perp"), strict=True):
        columns: dict[str, Any] = {"r": along[2], "species_a": along[0], "species_b": along[1]}
        for name, (a, b, _, value, half), power in (("along", along, law.par), ("across", across, law.perp)):
            exponent = 0.0 if power is None else float(power[a] + power[b])
            scale = (thermal_energy / law.temperature) ** exponent / thermal_energy
            columns |= {
                name: scale * value,
                f"{name}_low90": scale * (value - half),
                f"{name}_high90": scale * (value + half),
            }
        parts.append(pd.DataFrame(columns))
    return pd.concat(parts, ignore_index=True)[list(PAIR_FRICTION_COLUMNS)]


def _heat_curves(dynamics: ThermalDynamics) -> list[dict[str, Any]]:
    """Return C2(r) at T0 of every species pair: heat flow over the difference of 1/T."""
    return [
        {"species_a": a, "species_b": b, "r": r.tolist(), "value": value.tolist()}
        for a, b, r, value, _ in _curves(dynamics, "heat")
    ]
