"""Correction for the motion that drift removal took from every particle."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from colloid_cg.records import ModelBundle, Trajectories

_SCALED_METRICS = ("diffusion_coefficient", "localisation_variance")
_FORCE_METRICS = ("trap_stiffness", "trap_quartic")
_SCALED_CURVES = ("diffusion_against_lag", "half_rate")
_FORCE_COLUMNS = ["force", "low90", "high90"]


def kept_share(tracks: Trajectories) -> float:
    """Return the share of independent motion that drift removal left: 1 - 1/n for the mean motion of n particles.

    The mean step of n particles carries 1/n of the variance of each step and of each localisation error; taking it off
    lowers D and s2 by that share.
    """
    drift = tracks.metadata.get("drift") or {}
    return 1.0 + float(drift.get("diffusion_bias") or 0.0) if drift.get("removed") else 1.0


def corrected(bundle: ModelBundle, share: float) -> ModelBundle:
    """Return the bundle with D and s2 divided by ``share``; the force keeps D F, which is what the data fix."""
    if share == 1.0:
        return bundle
    note = f"; divided by {share:.5f} for the common motion that drift removal took"
    metrics = {
        name: [_scaled(entry, share, note) for entry in entries] if name in _SCALED_METRICS else entries
        for name, entries in bundle.metrics.items()
    }
    metrics |= {
        name: [_scaled(entry, 1.0 / share, "") for entry in metrics[name]] for name in _FORCE_METRICS if name in metrics
    }
    weights = dict(bundle.weights)
    for name in ("diffusion", "localisation_variance"):
        weights[name] = weights[name] / share
    for name in ("force_coefficients", "trap_strengths"):
        if name in weights:
            weights[name] = weights[name] * share
    diagnostics = dict(bundle.diagnostics)
    for name in _SCALED_CURVES:
        diagnostics[name] = _scaled_curve(diagnostics[name], share)
    sigma = diagnostics["stated_sigma"]
    diagnostics["stated_sigma"] = sigma | {
        name: sigma[name] / share for name in ("fitted_variance", "factor") if sigma.get(name) is not None
    }
    potentials = diagnostics.get("pair_potential") or []
    diagnostics["pair_potential"] = [_scaled_curve(curve, 1.0 / share) for curve in potentials]
    force = bundle.pair_force.copy()
    force[_FORCE_COLUMNS] *= share
    return replace(
        bundle,
        config=bundle.config | {"drift_kept_share": share},
        metrics=metrics,
        weights=weights,
        pair_force=force,
        diagnostics=diagnostics,
    )


def _scaled(entry: dict[str, Any], share: float, note: str) -> dict[str, Any]:
    scaled = {key: entry[key] / share for key in ("value", "low90", "high90")}
    return entry | scaled | {"note": entry["note"] + note}


def _scaled_curve(curve: dict[str, Any], share: float) -> dict[str, Any]:
    def divided(value: Any) -> Any:
        if isinstance(value, list):
            return [divided(item) for item in value]
        return None if value is None else value / share

    return curve | {key: divided(curve[key]) for key in ("value", "low90", "high90")}
