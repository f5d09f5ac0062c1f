"""Does the fitted pair potential agree with the inversion of g(r)?"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

NOTE = (
    "Approximate: the potential of mean force equals the pair potential only at equilibrium and to lowest order in "
    "the density, and g(r) is blurred by the localisation error."
)


def potential_from_force(r: np.ndarray, force: np.ndarray) -> np.ndarray:
    """Return phi(r) = integral from r to the largest r of the force (trapezoid), k_B T, zero at the largest r."""
    total = np.concatenate([[0.0], np.cumsum(0.5 * (force[1:] + force[:-1]) * np.diff(r))])
    return np.asarray(total[-1] - total)


def potential_of_mean_force(g: np.ndarray) -> np.ndarray:
    """Return -ln g(r) in k_B T (McQuarrie, Statistical Mechanics, section 13-2), NaN where g is not positive."""
    safe = np.where(g > 0.0, g, np.nan)
    return np.asarray(-np.log(safe))


def crowding(density: float, radius: float, dimension: int) -> float:
    """Return the expected number of particles within ``radius`` of a point: what dilute has to mean here."""
    volume = np.pi * radius**2 if dimension == 2 else 4.0 / 3.0 * np.pi * radius**3
    return density * float(volume)


def interaction_range(pair_force: pd.DataFrame) -> float:
    """Return the largest tabulated r at which the band of the force excludes zero, in um; 0 where it never does."""
    resolved = pair_force[(pair_force["low90"] > 0) | (pair_force["high90"] < 0)]
    return float(resolved["r"].max()) if len(resolved) else 0.0


def inversion_check(
    r: np.ndarray,
    g: np.ndarray,
    g_error: np.ndarray,
    pair_force: pd.DataFrame,
    *,
    density: float,
    dimension: int,
    dilute_limit: float,
    potentials: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """Compare -ln g(r) with the fitted pair potential where the suspension is dilute enough.

    Parameters
    ----------
    r, g, g_error : arrays, shape (b,)
        Measured pair correlation function, r in um.
    pair_force : pandas.DataFrame
        Of a :class:`~colloid_cg.records.ModelBundle` (one species).
    density : float
        Particles per um^d.
    potentials : list of dict or None
        Curves of the fit with their bands (r in um, k_B T); the band of the force does not tell that of its integral.

    Returns
    -------
    dict
        ``status`` is "compared" or says why not; curves in k_B T; ``rms_difference`` in k_B T, ``rms_z`` in units of
        the error of -ln g.
    """
    result: dict[str, Any] = {"note": NOTE, "unit": "k_B T", "crowding": None, "rms_difference": None, "rms_z": None}
    if pair_force[["species_a", "species_b"]].drop_duplicates().shape[0] != 1:
        status = "the model has no pair force" if pair_force.empty else "not done for mixtures"
        return result | {"status": status}
    reach = interaction_range(pair_force)
    result["crowding"] = crowding(density, reach, dimension)
    if reach <= 0.0:
        return result | {"status": "the fitted force is nowhere different from zero"}
    if result["crowding"] > dilute_limit:
        return result | {"status": "too dense: three-body correlations dominate -ln g(r)"}
    table = pair_force.sort_values("r")
    fitted_r = table["r"].to_numpy()
    inside = (r >= fitted_r[0]) & (r <= fitted_r[-1]) & (g > 0.0)
    if inside.sum() < 3:
        return result | {"status": "g(r) has fewer than three bins within the range of the fitted force"}
    fitted = np.interp(r[inside], fitted_r, potential_from_force(fitted_r, table["force"].to_numpy()))
    low, high = (
        np.interp(r[inside], potentials[0]["r"], potentials[0][end]) if potentials else None
        for end in ("low90", "high90")
    )
    mean_force, error = potential_of_mean_force(g[inside]), g_error[inside] / g[inside]
    difference = mean_force - fitted
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(error > 0, difference / error, np.nan)
    return result | {
        "status": "compared",
        "x": r[inside],
        "potential_of_mean_force": mean_force,
        "potential_of_mean_force_error": error,
        "fitted": fitted,
        "fitted_low90": low,
        "fitted_high90": high,
        "rms_difference": float(np.sqrt(np.mean(difference**2))),
        "rms_z": float(np.sqrt(np.nanmean(z**2))) if np.isfinite(z).any() else None,
    }
