"""A finished overdamped fit as a model bundle: settings, weights, metrics, force curve, diagnostics; and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from colloid_cg.dynamics import OverdampedModel
from colloid_cg.errors import DataError
from colloid_cg.learn import diagnostics as check
from colloid_cg.learn.config import FitConfig
from colloid_cg.learn.confinement import confinement_warnings, well_warnings
from colloid_cg.learn.metrics import fit_metrics, pair_force_table
from colloid_cg.learn.noise_form import NoiseChoice
from colloid_cg.learn.potential import pair_potentials
from colloid_cg.learn.problem import Block, Candidate
from colloid_cg.learn.regime import Regime
from colloid_cg.learn.selection import FitResult, first_knot
from colloid_cg.learn.stride import Stride, as_json
from colloid_cg.learn.structure_range import ForceRange
from colloid_cg.records import ModelBundle, StateSeries


@dataclass(frozen=True, kw_only=True, eq=False)
class Task:
    """What is settled before any force: frames used, noise law, range of the force; ``whole`` has free diffusion."""

    config: FitConfig
    series: StateSeries
    held: StateSeries
    n_species: int
    drift: np.ndarray
    regime: Regime
    stride: Stride
    form: NoiseChoice
    whole: Block
    free: Candidate
    reach: ForceRange
    resolution: float
    seed: int


def bundle_of(task: Task, found: FitResult) -> ModelBundle:
    """Return what the fit found, with its errors and the checks of it."""
    selection, final = found.selection, found.final
    lower, distances = first_knot(found.force_block, task.reach.cutoff)
    forces = pair_force_table(selection.best, found.shown_influences, distances)
    metrics = fit_metrics(
        task.series, final, found.influences, selection, task.regime, task.stride,
        cutoff=task.reach.cutoff, resolution=task.resolution,
    )  # fmt: skip
    model = (selection.best or final).model
    return ModelBundle(
        config=_settings(task, found, n_knots=model.n_knots, lower=lower),
        weights={
            "diffusion": final.noise.diffusion,
            "localisation_variance": np.array([final.noise.localisation_variance]),
            "force_coefficients": np.array(model.coefficients),
        },
        metrics=metrics,
        pair_force=forces,
        diagnostics=_diagnostics(task, found, metrics=metrics, forces=forces, distances=distances),
    )


def _settings(task: Task, found: FitResult, *, n_knots: int, lower: float) -> dict[str, Any]:
    return {
        "kind": "overdamped",
        "n_species": found.block.n_species,
        "n_knots": n_knots,
        "pair_force_used": found.selection.force_used,
        "lower": lower,
        "cutoff": task.reach.cutoff,
        "cutoff_reason": task.reach.reason,
        "resolution": task.resolution,
        "frame_interval": task.series.frame_interval / task.stride.frames,
        "exposure": task.series.exposure,
        "stride": task.stride.frames,
        "fit": task.config.as_dict(),
        "seed": task.seed,
    }


def _diagnostics(
    task: Task, found: FitResult, *, metrics: dict[str, Any], forces: pd.DataFrame, distances: np.ndarray
) -> dict[str, Any]:
    """Return the evidence behind the choices, and every check of the fit that the report shows."""
    config, series, drift = task.config, task.series, task.drift
    block, final, selection = found.block, found.final, found.selection
    noise = metrics["localisation_variance"][0]
    curves: dict[str, Any] = {
        "regime": task.regime.evidence,
        "stride": as_json(task.stride),
        "diffusion_against_lag": check.diffusion_against_lag(
            series, final, config, drift, noise_half_width=(noise["high90"] - noise["low90"]) / 2.0
        ),
        "half_rate": check.half_rate(block, final, config, drift) if block.external is None else {},
        "innovations": check.innovation_autocorrelation(block, final),
        "pair_potential": pair_potentials(selection.best, found.shown_influences, forces),
        "selection": selection.scores,
        "force_samples": {
            "r_min": float(distances[0]) if len(distances) else None,
            "r_max": float(distances[-1]) if len(distances) else None,
            "n_pairs": len(distances),
        },
        "stated_sigma": check.stated_sigma(series, final.noise.localisation_variance) | task.form.as_dict(),
        "bootstrap": check.bootstrap(block, final, config, seed=task.seed),
        "clamped_rows": block.residuals(final.model).clamped,
        "drift_velocity_um_per_s": drift.tolist(),
        "not_modelled": check.NOT_MODELLED,
    }
    if block.external is None:
        used = selection.force_used
        confined = confinement_warnings(curves["diffusion_against_lag"], force_used=used)
        confined += well_warnings(
            found.force_block, force_used=used, noise=final.noise.localisation_variance, spacing=task.reach.spacing
        )
        curves |= {"trap_warnings": confined} if confined else {}
    return curves


def model_from_bundle(bundle: ModelBundle) -> OverdampedModel:
    """Return the overdamped model a bundle describes; without forces where the fit found none.

    Raises
    ------
    DataError
        If the bundle holds another kind of model.
    """
    if bundle.config.get("kind", "overdamped") != "overdamped":
        raise DataError(
            f"an {bundle.config['kind']} model, which cannot be simulated yet",
            expected="an overdamped model",
            action="read friction, forces and noise in the report; rollouts and their assessment are left out",
        )
    coefficients = bundle.weights["force_coefficients"]
    if not bundle.config["pair_force_used"]:
        coefficients = coefficients[:, :0]
    return OverdampedModel(
        diffusion=bundle.weights["diffusion"],
        coefficients=coefficients,
        lower=float(bundle.config["lower"]),
        cutoff=float(bundle.config["cutoff"]),
        n_prescribed=int((bundle.config.get("fields") or {}).get("n_prescribed", 0)),
    )
