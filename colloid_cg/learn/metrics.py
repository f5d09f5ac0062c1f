"""Reported numbers of a fit with their intervals, and the table of the pair force with its band."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from colloid_cg.dynamics import force_design
from colloid_cg.learn.problem import Candidate
from colloid_cg.learn.regime import Regime
from colloid_cg.learn.sandwich import half_width
from colloid_cg.learn.selection import Selection
from colloid_cg.learn.series import blur_coefficient
from colloid_cg.learn.stride import Stride
from colloid_cg.records import PAIR_FORCE_COLUMNS, StateSeries, metric

_POINTS = 100


def fit_metrics(
    series: StateSeries,
    final: Candidate,
    influences: list[np.ndarray],
    selection: Selection,
    regime: Regime,
    stride: Stride,
    *,
    cutoff: float,
    resolution: float,
) -> dict[str, list[dict[str, Any]]]:
    """Return the entries of metrics.json.

    ``cutoff`` is the largest distance of the pair force, ``resolution`` the one below which a particle near another is
    no target (um, 0 if unknown): where no force could be tried they say why.
    """
    known = series.exposure is not None
    blur = "" if known else "; exposure unknown, blur coefficient 0 assumed"
    half = half_width(influences, np.eye(influences[0].shape[1]))
    every = "" if stride.frames == 1 else f"; from one frame in {stride.frames}: {stride.reason}"
    note = f"banded likelihood, errors clustered over time and particles{every}"
    values = final.noise.parameters
    diffusion = [
        metric(
            float(value),
            low90=float(value - half[species]),
            high90=float(value + half[species]),
            unit="um2/s",
            species=species,
            note=note + (blur if selection.force_used else ""),
        )
        for species, value in enumerate(final.noise.diffusion)
    ]
    last = len(values) - 1
    variance = metric(
        float(values[last]),
        low90=float(values[last] - half[last]),
        high90=float(values[last] + half[last]),
        unit="um2",
        note=f"one value per movie{blur}"
        + ("" if values[last] > 0 else "; negative: blur or correlated frames exceed the noise"),
    )
    blur_note = (
        "exposure / (6 frame interval)"
        if known
        else "exposure unknown: 0 assumed; localisation variance holds for no blur"
    )
    return {
        "regime": [metric(regime.name, note=regime.evidence["reason"])],
        "diffusion_coefficient": diffusion,
        "localisation_variance": [variance],
        "blur_coefficient": [metric(blur_coefficient(series) * stride.frames, note=blur_note)],
        "log_likelihood_gain": [_gain(selection, note=_gain_note(selection, cutoff=cutoff, resolution=resolution))],
    }


def _gain(selection: Selection, *, note: str) -> dict[str, Any]:
    """Return the gain of the pair force; where none could be tried no gain was measured: no interval."""
    tried = selection.best is not None
    return metric(
        selection.gain,
        low90=selection.gain - selection.gain_half_width if tried else None,
        high90=selection.gain + selection.gain_half_width if tried else None,
        unit="nats per particle and step",
        note=note,
    )


def _gain_note(selection: Selection, *, cutoff: float, resolution: float) -> str:
    if selection.best is None:
        failed = [entry["note"] for entry in selection.scores if entry.get("note")]
        if failed:
            return f"no pair force could be fitted, rollouts run without one: {failed[0]}"
        few = "no pair force could be fitted: too few particles away from the edge of the view"
        if resolution <= 0.0:
            return f"{few} with a neighbour within {cutoff:.3g} um"
        return (
            f"{few} whose neighbours within {cutoff:.3g} um (fit.cutoff) are all farther than {resolution:.3g} um: "
            "nearer ones may merge into one detection within a step (fit.resolution, or the separation of the tracking)"
        )
    used = "used" if selection.force_used else "not supported, rollouts run without it"
    where = "selection block, on which the number of knots was chosen too"
    return f"pair force with {selection.best.n_knots} knots over free diffusion, {where}; the force is {used}"


def pair_force_table(candidate: Candidate | None, influences: list[np.ndarray], distances: np.ndarray) -> pd.DataFrame:
    """Return force and 90 % band on 100 points from the first knot to the cutoff, one part per species pair.

    Below the first knot too few pairs were seen: the force there is an extrapolation and is not listed. That it
    vanishes at the cutoff is an assumption, not a measurement, so the band does not shrink over the last two knots.
    """
    if candidate is None or not candidate.model.n_knots:
        empty = {
            name: pd.Series(dtype="int64" if name.startswith("species") else "float64") for name in PAIR_FORCE_COLUMNS
        }
        return pd.DataFrame(empty)
    model = candidate.model
    r = np.linspace(max(float(distances[0]), model.lower), model.cutoff, _POINTS)
    design = force_design(r, lower=model.lower, cutoff=model.cutoff, n_knots=model.n_knots)
    first = len(model.diffusion) + 1
    parts = []
    for pair, (a, b) in enumerate(zip(*np.triu_indices(model.n_species), strict=True)):
        direction = np.zeros((_POINTS, influences[0].shape[1]))
        direction[:, first + pair * model.n_knots : first + (pair + 1) * model.n_knots] = design
        half = half_width(influences, direction)
        constrained = r > model.cutoff - 2.0 * model.width
        half[constrained] = np.maximum(half[constrained], half[~constrained][-1] if (~constrained).any() else 0.0)
        force = design @ model.coefficients[pair]
        parts.append(
            pd.DataFrame(
                {
                    "r": r,
                    "force": force,
                    "low90": force - half,
                    "high90": force + half,
                    "species_a": int(a),
                    "species_b": int(b),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)[list(PAIR_FORCE_COLUMNS)]
