"""The stated localisation error in one number that a few hopeless detections cannot ruin."""

from __future__ import annotations

from typing import Any

import numpy as np

from colloid_cg.records import Trajectories

ABSURD = 10.0
"""A stated error above this many medians says that the fit failed, not how well it measured."""


RESOLVED = 2.0
"""Standard errors above zero from which a variance counts as seen."""


def resolved_root(variance: float, standard_error: float) -> float | None:
    """Return the square root of a variance that is seen, None of one that may as well be zero."""
    return float(np.sqrt(variance)) if variance > RESOLVED * standard_error else None


def usable_sigma(sigma: np.ndarray, *, diameter: float | None) -> np.ndarray:
    """Return the stated errors (px) that are measurements: finite, below a particle diameter and ten medians."""
    finite = sigma[np.isfinite(sigma) & (sigma < (np.inf if diameter is None else diameter))]
    return np.asarray(finite[finite <= ABSURD * np.median(finite)]) if len(finite) else finite


def with_stated(found: dict[str, Any] | None, tracks: Trajectories) -> dict[str, Any] | None:
    """Return the localisation error from displacements with the stated one beside it.

    Displacements show the mean of sigma^2 over all detections, so the root mean square of the usable sigmas is what
    compares with it, not their median.

    Parameters
    ----------
    found : dict or None
        Made by :func:`colloid_cg.tracking.tracking_faults`, its entry ``localisation``.
    tracks : Trajectories
        The tracks it was made from.

    Returns
    -------
    dict or None
        The same with ``stated`` (px; None if unknown) of each axis replaced, and ``stated_left_out``: the share of
        the stated errors that are left out as no measurement.
    """
    if found is None:
        return None
    diameter = (tracks.metadata.get("settings") or {}).get("diameter")
    result, left_out = dict(found), []
    for axis in "xy":
        sigma = tracks.table[f"sigma_{axis}"].to_numpy(dtype=float)
        sigma = sigma[~np.isnan(sigma)]
        usable = usable_sigma(sigma, diameter=diameter)
        stated = float(np.sqrt((usable**2).mean())) if len(usable) else None
        result[axis] = {**found[axis], "stated": stated}
        left_out.append(1.0 - len(usable) / len(sigma) if len(sigma) else 0.0)
    return result | {"stated_left_out": float(np.mean(left_out))}


def of_both_axes(found: dict[str, Any] | None) -> dict[str, float] | None:
    """Return ``stated`` (px), ``variance`` and ``standard_error`` (px^2) of one coordinate, the mean over the axes.

    None where no axis has a stated error.
    """
    known = [found[axis] for axis in "xy" if axis in found and found[axis].get("stated")] if found else []
    if not known:
        return None
    return {
        "stated": float(np.sqrt(np.mean([part["stated"] ** 2 for part in known]))),
        "variance": float(np.mean([part["variance"] for part in known])),
        "standard_error": float(np.sqrt(np.sum([part["standard_error"] ** 2 for part in known])) / len(known)),
    }
