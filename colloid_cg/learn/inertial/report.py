"""Numbers and curves of an inertial fit with their 90 % intervals, as a model bundle holds them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from colloid_cg.dynamics import potential_design
from colloid_cg.learn.diagnostics import autocorrelation
from colloid_cg.learn.inertial.candidate import Candidate
from colloid_cg.learn.inertial.dissipation import Balance
from colloid_cg.learn.inertial.equation import Frames, residuals
from colloid_cg.learn.inertial.model import InertialModel
from colloid_cg.learn.inertial.selection import Selection
from colloid_cg.learn.inertial.sequences import sequences
from colloid_cg.learn.potential import assumed_end, potential_curve
from colloid_cg.learn.regime import Regime
from colloid_cg.learn.sandwich import half_width
from colloid_cg.learn.series import blur_coefficient, exposure_share
from colloid_cg.records import PAIR_FORCE_COLUMNS, StateSeries, metric

_POINTS = 100
_FIRST = 3
"""Place of the pair coefficients in the influence: after theta, s2 and gamma_b."""
NOT_MODELLED = [
    "several species (one mass, one temperature)",
    "fluid flow and hydrodynamic memory: the bath is still and forgets at once",
    "many-body and non-conservative forces, external fields",
    "spin: tangential pair friction does not conserve angular momentum",
]


def metrics(
    series: StateSeries,
    candidate: Candidate,
    influences: list[np.ndarray],
    regime: Regime,
    gain: tuple[float, float | None, str],
    share: float,
    bath_note: str = "",
) -> dict[str, list[dict[str, Any]]]:
    """Return the entries of metrics.json; theta, s2 and D divided by the ``share`` that drift removal left."""
    model, known = candidate.model, series.exposure is not None
    blur = "" if known else "; exposure unknown, none assumed"
    theta, bath = model.thermal_speed_squared, model.bath
    drift = "" if share == 1.0 else f"; divided by {share:.5f} for the common motion that drift removal took"
    width = influences[0].shape[1]

    def entry(value: float, entries: dict[int, float], unit: str, note: str, divisor: float = share) -> dict[str, Any]:
        return _entry(value, influences, _direction(width, entries), unit, note, divisor)

    bath_note = f"{_friction_note(candidate)}{blur}{f'; {bath_note}' if bath_note else ''}"
    blur_note = "exposure / (6 frame interval)" if known else "exposure unknown: 0 assumed"
    low, high = (None, None) if gain[1] is None else (gain[0] - gain[1], gain[0] + gain[1])
    thermal_note = f"k_B T/m, variance of a velocity component{blur}{drift}"
    found = {
        "regime": [metric("underdamped", note=regime.evidence["reason"])],
        "friction": [entry(bath, {2: 1.0}, "1/s", bath_note, 1.0)],
        "thermal_speed_squared": [entry(theta, {0: 1.0}, "um2/s2", thermal_note)],
        "localisation_variance": [
            entry(model.localisation_variance, {1: 1.0}, "um2", f"one value per movie{blur}{drift}")
        ],
        "blur_coefficient": [metric(blur_coefficient(series), note=blur_note)],
        "log_likelihood_gain": [
            metric(gain[0], low90=low, high90=high, unit="nats per particle and step", note=gain[2])
        ],
    }
    # with pair friction theta/gamma_b is no diffusion anyone sees
    if found["friction"][0]["low90"] > 0.0 and not model.n_friction:
        slopes = {0: 1.0 / bath, 2: -theta / bath**2}
        note = f"k_B T/m over the friction{blur}{drift}"
        found["diffusion_coefficient"] = [entry(theta / bath, slopes, "um2/s", note)]
    return found


def _friction_note(candidate: Candidate) -> str:
    """Say whose drag the bath friction holds, and how it was found."""
    model, how = candidate.model, "exact likelihood" if candidate.solution is None else "lagged instruments"
    if not model.n_friction:
        return f"friction of a particle, neighbours and bath together, {how}"
    return (
        f"friction of a particle by the bath and by neighbours beyond {model.cutoff:.3g} um; pair friction nearer than "
        "that is in the diagnostics; the range of the force need not be that of friction, which g(r) does not show: "
        f"take it for the bath's alone only if a longer fit.cutoff gives the same, {how}"
    )


def pair_force_table(
    model: InertialModel, influences: list[np.ndarray], distances: np.ndarray, share: float
) -> pd.DataFrame:
    """Return (F/m)/theta in k_B T/um with its 90 % band, from the closest distances to the cutoff."""
    if not model.n_force:
        empty = {
            name: pd.Series(dtype="int64" if name.startswith("species") else "float64") for name in PAIR_FORCE_COLUMNS
        }
        return pd.DataFrame(empty)
    r = _distances(model, distances)
    basis, theta = model.force_basis(r), model.thermal_speed_squared
    force = basis @ model.force / theta
    direction = np.zeros((_POINTS, influences[0].shape[1]))
    first = _FIRST + 2 * model.n_friction
    direction[:, first : first + model.n_force] = basis / theta
    direction[:, 0] = -force / theta
    half = _held(half_width(influences, direction), r, model, model.n_force)
    columns = {"r": r, "force": force, "low90": force - half, "high90": force + half}
    table = pd.DataFrame({name: value if name == "r" else share * value for name, value in columns.items()})
    return table.assign(species_a=0, species_b=0)[list(PAIR_FORCE_COLUMNS)]


def pair_potential(
    model: InertialModel, influences: list[np.ndarray], distances: np.ndarray, share: float
) -> list[dict[str, Any]]:
    """Return phi(r) in k_B T with its 90 % band, zero at the cutoff; empty where no force was fitted."""
    if not model.n_force:
        return []
    r, theta = _distances(model, distances), model.thermal_speed_squared
    design = potential_design(r, lower=model.lower, cutoff=model.cutoff, n_knots=model.n_force)
    value = design @ model.force / theta
    direction = np.zeros((_POINTS, influences[0].shape[1]))
    first = _FIRST + 2 * model.n_friction
    direction[:, first : first + model.n_force] = design / theta
    direction[:, 0] = -value / theta
    own, basis = np.zeros_like(direction), model.force_basis(r)
    own[:, first : first + model.n_force] = basis / theta
    own[:, 0] = -basis @ model.force / theta**2
    width = half_width(influences, own)
    half = np.hypot(half_width(influences, direction), assumed_end(r, width, _held(width, r, model, model.n_force)))
    return [potential_curve(r, share * value, share * half, pair=(0, 0))]


def of_unknown_range(friction: dict[str, Any]) -> dict[str, Any]:
    """Return the friction without its interval: one that takes the range of friction for known would be too narrow.

    The automatic cutoff is where structure ends; friction that reaches farther then counts as the bath's.
    """
    note = f"{friction['note']}; no interval: the range of friction is not known, give fit.cutoff"
    return friction | {"low90": None, "high90": None, "note": note}


def pair_friction(model: InertialModel, influences: list[np.ndarray], distances: np.ndarray) -> dict[str, Any]:
    """Return g_par(r) and g_perp(r) in 1/s with 90 % bands, JSON-able; empty where no pair friction was fitted."""
    if not model.n_friction:
        return {}
    r = _distances(model, distances)
    basis = model.friction_basis(r)
    curves: dict[str, Any] = {"unit": "1/s", "r": r.tolist()}
    for number, (name, coefficients) in enumerate((("g_par", model.parallel), ("g_perp", model.perpendicular))):
        direction = np.zeros((_POINTS, influences[0].shape[1]))
        first = _FIRST + number * model.n_friction
        direction[:, first : first + model.n_friction] = basis
        half = _held(half_width(influences, direction), r, model, model.n_friction)
        value = basis @ coefficients
        curves |= {
            name: value.tolist(),
            f"{name}_low90": (value - half).tolist(),
            f"{name}_high90": (value + half).tolist(),
        }
    return curves


def pair_mobility(
    model: InertialModel, influences: list[np.ndarray], distances: np.ndarray, share: float, *, range_known: bool
) -> dict[str, Any]:
    """Return theta/(gamma_b + 2 g(r)) in um2/(s k_B T) with 90 % bands, JSON-able; empty without pair friction.

    Two particles, alone in the bath and driven by opposite forces, move at this speed over the force, each its way:
    0 = F/m - gamma_b v - g (v - (-v)); ``along`` for forces along their line, ``across`` for forces across it. The
    interval is that of (gamma_b + 2 g)/theta, turned over; none where the range of friction is not known, because
    gamma_b has none then.
    """
    if not model.n_friction:
        return {}
    r, theta = _distances(model, distances), model.thermal_speed_squared
    basis, width = model.friction_basis(r), influences[0].shape[1]
    curves: dict[str, Any] = {"unit": "um2/(s k_B T)", "r": r.tolist()}
    for number, (name, coefficients) in enumerate((("along", model.parallel), ("across", model.perpendicular))):
        resistance = (model.bath + 2.0 * basis @ coefficients) / theta
        direction = np.zeros((_POINTS, width))
        first = _FIRST + number * model.n_friction
        direction[:, first : first + model.n_friction] = 2.0 * basis / theta
        direction[:, 2] = 1.0 / theta
        direction[:, 0] = -resistance / theta
        half = _held(half_width(influences, direction), r, model, model.n_friction)
        curves |= {
            name: _turned_over(resistance, share),
            f"{name}_low90": _turned_over(resistance + half, share) if range_known else None,
            f"{name}_high90": _turned_over(resistance - half, share) if range_known else None,
        }
    return curves


def _turned_over(resistance: np.ndarray, share: float) -> list[float | None]:
    """Return mobilities; None where the resistance is not above zero: the mobility has no bound there."""
    return [float(1.0 / (share * value)) if value > 0.0 else None for value in resistance]


def fluctuation_dissipation(balance: Balance, influences: list[np.ndarray]) -> dict[str, Any]:
    """Return the strength of the random force over 2 theta times the friction, by origin; 1 at equilibrium."""
    if balance.candidate.solution is None:
        return {"note": "assumed for free particles: friction is part of the likelihood"}
    width, count = influences[0].shape[1], len(balance.scales)
    half = half_width(influences, np.eye(width)[-count:])
    origins = ("bath", "g_par", "g_perp")[:count]
    verdict = "imposed on the reported numbers" if balance.imposed else "rejected by the data, not imposed"
    return {
        "origin": list(origins),
        "value": balance.scales.tolist(),
        "low90": (balance.scales - half).tolist(),
        "high90": (balance.scales + half).tolist(),
        "p_value": balance.p_value,
        "note": f"strength of the random force over 2 theta times the friction, 1 at equilibrium; {verdict}",
    }


def innovations(frames: Frames, candidate: Candidate) -> dict[str, Any]:
    """Return the autocorrelation of the standardised one-frame-ahead errors at lags 1 to 10, and their kurtosis."""
    model = candidate.model
    found = sequences(residuals(frames, model), exposure_share=exposure_share(frames.block.series))
    white = found.innovations(
        model.thermal_speed_squared * frames.dt**2, model.localisation_variance, model.noise_scale
    )[1]
    return autocorrelation(white, found.place)


def pair_gain(selection: Selection) -> dict[str, Any]:
    """Return the gain of pair terms over free inertial particles on the selection block (nats per row)."""
    gain, half = selection.gain, selection.gain_half_width
    return {"value": gain, "low90": gain - half, "high90": gain + half, "used": selection.pairs_used}


def _entry(
    value: float, influences: list[np.ndarray], direction: np.ndarray, unit: str, note: str, share: float = 1.0
) -> dict[str, Any]:
    half = float(half_width(influences, direction)[0])
    return metric(
        float(value / share), low90=float((value - half) / share), high90=float((value + half) / share),
        unit=unit, species=0, note=note,
    )  # fmt: skip


def _direction(width: int, entries: dict[int, float]) -> np.ndarray:
    direction = np.zeros((1, width))
    for place, value in entries.items():
        direction[0, place] = value
    return direction


def _distances(model: InertialModel, distances: np.ndarray) -> np.ndarray:
    return np.linspace(max(float(distances[0]), model.lower), model.cutoff, _POINTS)


def _held(half: np.ndarray, r: np.ndarray, model: InertialModel, n_knots: int) -> np.ndarray:
    """Keep the band from shrinking over the last two knots: that a curve vanishes at the cutoff is an assumption."""
    constrained = r > model.cutoff - 2.0 * (model.cutoff - model.lower) / n_knots
    if (~constrained).any():
        half = np.where(constrained, np.maximum(half, half[~constrained][-1]), half)
    return np.asarray(half)
