"""Assessment of rollouts with velocities: structure, displacements, velocities and the laws, against unseen frames."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from colloid_cg.assessment.agreement import jsonable, rrmse, verdict
from colloid_cg.assessment.compare import Series, comparable_lags, compare, mean_of
from colloid_cg.assessment.extrapolation import extrapolation
from colloid_cg.assessment.inversion import inversion_check
from colloid_cg.assessment.phase_laws import phase_ledger, scatter_of_one_run, temperature_of
from colloid_cg.assessment.phase_warnings import phase_warnings
from colloid_cg.assessment.settings import AssessConfig
from colloid_cg.errors import DataError, InputError
from colloid_cg.learn.kinds import HIDDEN_ENTROPY
from colloid_cg.observables import Curve, kinetic_temperature, rdf_of_frames, thermal_speed_squared, unwrapped_msd, vacf
from colloid_cg.records import ModelBundle, PhaseSeries, ReferenceCurves, Rollout

_MOST_REFERENCE_LAGS = 100
_FEWEST_FRAMES = 12
"""Of the test block: each half needs a few lags."""
VACF_ZERO = 0.02
"""Largest departure of VACF(0) from d k_B T/m that is good."""

Observable = Callable[[PhaseSeries], Curve]


def assess_phase(
    test: PhaseSeries,
    rollout: Rollout,
    bundle: ModelBundle,
    config: AssessConfig | None = None,
    *,
    references: tuple[ReferenceCurves, ...] = (),
    others: dict[str, Rollout] | None = None,
) -> dict[str, Any]:
    """Compare rollouts with the test block of a simulation, and with curves measured elsewhere.

    Parameters
    ----------
    test : PhaseSeries
        Frames the fit has not seen.
    rollout : Rollout
        With velocities; a whole number of frame intervals between its frames.
    bundle : ModelBundle
    config : AssessConfig, optional
    references : tuple of ReferenceCurves
    others : dict of Rollout, optional
        Rollouts of other dynamics (baselines) from the same start, by name: the same figures for each.

    Returns
    -------
    dict
        JSON-able: ``rdf, msd, vacf`` as :func:`colloid_cg.assessment.assess` has them, ``references`` (a list:
        source, rdf, msd, vacf with x, reference, model, model_error, rrmse), ``kinetic`` (temperature, VACF(0)),
        ``ledger, candidates`` (figures by name, the model first), ``extrapolation, inversion, frames, warnings``.

    Raises
    ------
    DataError
        If test block or rollout are too short to be compared.
    InputError
        If the frame intervals do not fit, or a rollout has no velocities.
    """
    config, others = config or AssessConfig(), others or {}
    strides = {name: _stride(test, run) for name, run in {"model": rollout, **others}.items()}
    series = _series(test, rollout)
    edges = _edges(test, config)
    lags = _lags(test, rollout, strides["model"], config)
    observables = _observables(edges, lags * rollout.frame_interval, config)
    result: dict[str, Any] = {
        name: compare(series, observable, config, floor=config.vacf_floor if name == "vacf" else None)
        for name, observable in observables.items()
    }
    found = [against_reference(series.replicas, reference, config) for reference in references]
    thermal_energy = thermal_energy_of(test, rollout, bundle)
    result |= {
        "kind": bundle.config["kind"],
        "units": {"length": bundle.config["length_unit"], "time": bundle.config["time_unit"]},
        "references": found,
        "kinetic": kinetic(result["vacf"], test, rollout, thermal_energy),
        "ledger": phase_ledger(rollout, test.masses),
        "extrapolation": extrapolation(rollout, bundle, frames=config.rdf_frames),
        "frames": {"experiment": test.n_frames, "rollout": rollout.positions.shape[1], "replicas": rollout.n_replicas},
        "settings": config.as_dict(),
        "inversion": inversion_check(
            result["rdf"]["x"], result["rdf"]["experiment"], result["rdf"]["experiment_error"], bundle.pair_force,
            density=test.n_particles / test.box.volume, dimension=test.dimension, dilute_limit=config.dilute_limit,
        ),
    }  # fmt: skip
    result["candidates"] = {"model": _figures(result, found)} | {
        name: _candidate(test, run, thermal_energy, edges, config, references) for name, run in others.items()
    }
    if bundle.config["kind"] == HIDDEN_ENTROPY:
        known = bundle.diagnostics["temperatures"]
        result["kinetic"] |= {
            "learned": [min(known["low"]), max(known["high"])],
            "temperature_error": scatter_of_one_run(rollout) * result["kinetic"]["temperature"],
        }
    result["warnings"] = phase_warnings(result)
    clean = jsonable(result)
    return clean if isinstance(clean, dict) else {}


def phase_replicas(test: PhaseSeries, rollout: Rollout) -> tuple[PhaseSeries, ...]:
    """Return every replica as positions and velocities of the particles of ``test``."""
    if rollout.velocities is None:
        raise InputError("a rollout without velocities", expected="one in phase space", action="simulate again")
    return tuple(
        replace(test, positions=x, velocities=v, frame_interval=rollout.frame_interval, first_frame=0)
        for x, v in zip(rollout.positions, rollout.velocities, strict=True)
    )


def _series(test: PhaseSeries, rollout: Rollout) -> Series[PhaseSeries]:
    first, last = test.first_frame, test.first_frame + test.n_frames
    middle = (first + last) // 2
    return Series(
        experiment=test,
        halves=(test.between(first, middle), test.between(middle, last)),
        replicas=phase_replicas(test, rollout),
    )


def _stride(test: PhaseSeries, rollout: Rollout) -> int:
    """Return the frames of the test block from one frame of the rollout to the next."""
    stride = rollout.frame_interval / test.frame_interval
    if round(stride) < 1 or abs(stride - round(stride)) > 1e-6 * stride:
        raise InputError(
            f"rollouts every {rollout.frame_interval:g} beside frames every {test.frame_interval:g}",
            expected="a whole number of frame intervals",
            action="simulate again at the frame interval of the simulation",
        )
    return round(stride)


def _lags(test: PhaseSeries, rollout: Rollout, stride: int, config: AssessConfig) -> np.ndarray:
    """Return lags in frames of the rollout that test block, its halves and the rollout all hold."""
    block, frames = test.n_frames // stride, rollout.positions.shape[1]
    if min(block, frames) < _FEWEST_FRAMES:
        raise DataError(
            f"{min(block, frames)} frames to compare, one every {rollout.frame_interval:g}",
            expected=f"at least {_FEWEST_FRAMES} of test block and rollout",
            action="give the test block a larger share (fractions), simulate longer, or lower simulate.every",
        )
    return comparable_lags(block, block // 2, frames, config)


def _edges(test: PhaseSeries, config: AssessConfig) -> np.ndarray:
    """Return the bins of g(r): four mean spacings, at most half of a periodic edge or an open one."""
    spacing = (test.box.volume / test.n_particles) ** (1.0 / test.dimension)
    largest = float(np.where(test.box.periodic, 0.5 * test.box.lengths, test.box.lengths).min())
    return np.linspace(0.0, min(config.r_max or 4.0 * spacing, largest), config.rdf_bins + 1)


def _observables(edges: np.ndarray, times: np.ndarray, config: AssessConfig) -> dict[str, Observable]:
    """Return g(r), the mean square displacement and the velocity autocorrelation at ``times``, zero for the last."""
    return {
        "rdf": lambda series: rdf_of_frames(series.positions, series.box, edges, max_frames=config.rdf_frames),
        "msd": lambda series: msd_at(series, times),
        "vacf": lambda series: vacf_at(series, np.append(0.0, times)),
    }


def msd_at(series: PhaseSeries, times: np.ndarray) -> Curve:
    """Return the mean square displacement at multiples of the frame interval."""
    lags = np.round(times / series.frame_interval).astype(int).tolist()
    return unwrapped_msd(series.positions, lags, masses=series.masses, frame_interval=series.frame_interval)


def vacf_at(series: PhaseSeries, times: np.ndarray) -> Curve:
    """Return the velocity autocorrelation at multiples of the frame interval."""
    lags = np.round(times / series.frame_interval).astype(int).tolist()
    return vacf(series.velocities, lags, masses=series.masses, frame_interval=series.frame_interval)


def against_reference(
    replicas: tuple[PhaseSeries, ...], reference: ReferenceCurves, config: AssessConfig
) -> dict[str, Any]:
    """Return the model's curves beside those of the reference, at lags up to a share of the rollout, and the RRMSE."""
    one = replicas[0]
    found: dict[str, Any] = {"source": reference.source, "too_short": []}
    if reference.rdf is not None:
        edges = reference.edges
        largest = float(np.where(one.box.periodic, 0.5 * one.box.lengths, one.box.lengths).min())
        edges = edges[edges <= largest]
        if len(edges) > 2:
            curves = [rdf_of_frames(run.positions, run.box, edges, max_frames=config.rdf_frames) for run in replicas]
            found["rdf"] = _beside(curves, np.asarray(reference.rdf[1])[: len(edges) - 1])
    longest = (config.reference_fraction * (one.n_frames - 1) + 0.5) * one.frame_interval  # half a frame more: thinning
    for name, at, points in (("msd", msd_at, reference.msd), ("vacf", vacf_at, reference.vacf)):
        if points is None:
            continue
        times = _reference_times(np.asarray(points[0]), one.frame_interval, longest)
        if len(times) > 2:
            found[name] = _beside([at(run, times) for run in replicas], np.interp(times, *points))
        if points[0][-1] > longest * (1 + 1e-9):
            found["too_short"].append(name)
    return found


def _reference_times(times: np.ndarray, frame_interval: float, longest: float) -> np.ndarray:
    """Return the times of a reference as multiples of the frame interval, thinned out evenly."""
    lags = np.unique(np.round(times[times <= longest * (1 + 1e-9)] / frame_interval))
    chosen = np.unique(np.linspace(0, len(lags) - 1, min(len(lags), _MOST_REFERENCE_LAGS)).round().astype(int))
    return np.asarray(lags[chosen] * frame_interval)


def _beside(curves: list[Curve], reference: np.ndarray) -> dict[str, Any]:
    value, error = mean_of(curves)
    return {
        "x": curves[0].x,
        "reference": reference,
        "model": value,
        "model_error": error,
        "rrmse": rrmse(value, reference),
        "model_rrmse_of_noise": rrmse(value + np.nan_to_num(error), value),
    }


def thermal_energy_of(test: PhaseSeries, rollout: Rollout, bundle: ModelBundle) -> float:
    """Return k_B T of the fit; for a model without a single temperature that of the frames that rollouts cover."""
    if bundle.config["kind"] != HIDDEN_ENTROPY:
        return float(bundle.config["thermal_energy"])
    covered = min(test.n_frames, (rollout.positions.shape[1] - 1) * _stride(test, rollout) + 1)
    return kinetic_temperature(test.velocities[:covered], test.masses)[0]


def kinetic(comparison: dict[str, Any], test: PhaseSeries, rollout: Rollout, thermal_energy: float) -> dict[str, Any]:
    """Return the kinetic temperature over k_B T, and VACF(0) over k_B T <1/m - 1/M>, of rollouts and test block."""
    expected = thermal_speed_squared(test.masses, thermal_energy)
    value, error = float(comparison["model"][0]), float(comparison["model_error"][0])
    apart = abs(value / expected - 1.0)
    unit = float(np.asarray(rollout.metadata.get("thermal_energy", thermal_energy))) / thermal_energy
    temperature, temperature_error = (unit * part for part in temperature_of(rollout))
    return {
        "vacf_zero": value,
        "vacf_zero_error": error,
        "vacf_zero_experiment": float(comparison["experiment"][0]),
        "vacf_zero_experiment_error": float(comparison["experiment_error"][0]),
        "expected": expected,
        "ratio": value / expected,
        "ratio_error": error / expected,
        "verdict": verdict(apart, allowed=VACF_ZERO, rms_z=apart * expected / error if error > 0.0 else None),
        "temperature": temperature,
        "temperature_error": temperature_error,
        "thermal_energy": thermal_energy,
        "note": "both relative to the common motion; 1 is equipartition at this thermal_energy",
    }


def _candidate(
    test: PhaseSeries,
    rollout: Rollout,
    thermal_energy: float,
    edges: np.ndarray,
    config: AssessConfig,
    references: tuple[ReferenceCurves, ...],
) -> dict[str, Any]:
    """Return the figures of another dynamics, made by the same functions."""
    series = _series(test, rollout)
    lags = _lags(test, rollout, _stride(test, rollout), config)
    observables = _observables(edges, lags * rollout.frame_interval, config)
    result: dict[str, Any] = {
        name: compare(series, observable, config, floor=config.vacf_floor if name == "vacf" else None)
        for name, observable in observables.items()
    }
    result["kinetic"] = kinetic(result["vacf"], test, rollout, thermal_energy)
    result["ledger"] = phase_ledger(rollout, test.masses)
    return _figures(result, [against_reference(series.replicas, reference, config) for reference in references])


def _figures(result: dict[str, Any], references: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the figures of the table of candidates."""
    found: dict[str, Any] = {}
    for name in ("rdf", "msd", "vacf"):
        found |= {f"{name}_rrmse": result[name]["rrmse"], f"{name}_verdict": result[name]["verdict"]}
    for reference in references:
        for name in ("rdf", "msd", "vacf"):
            if name in reference:
                found[f"{name}_rrmse_{reference['source']}"] = reference[name]["rrmse"]
    ledger = result["ledger"]
    found |= {"vacf_zero_ratio": result["kinetic"]["ratio"], "temperature": result["kinetic"]["temperature"]}
    names = ("first_law_residual_over_kinetic", "momentum_drift", "absorbed_per_10000_steps_over_kinetic")
    return found | {name: ledger[name] for name in (*names, "redrawn", "redrawn_share")}
