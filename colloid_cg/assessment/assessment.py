"""The assessment of a model: does it behave like the part of the experiment it never saw?"""

from __future__ import annotations

from typing import Any

import numpy as np

from colloid_cg.assessment.agreement import BAD, GOOD, LOOK, UNDECIDED, jsonable
from colloid_cg.assessment.compare import (
    Series,
    comparable_lags,
    compare,
    displacement_edges,
    distance_edges,
    halves_of,
    msd_of,
    rdf_of,
    van_hove_of,
)
from colloid_cg.assessment.extrapolation import extrapolation, force_is_used
from colloid_cg.assessment.inversion import inversion_check
from colloid_cg.assessment.laws import ledger_summary
from colloid_cg.assessment.phase import assess_phase
from colloid_cg.assessment.settings import AssessConfig
from colloid_cg.assessment.warnings import warnings_of
from colloid_cg.errors import DataError, InputError
from colloid_cg.learn.kinds import in_phase_space
from colloid_cg.records import ModelBundle, ReferenceCurves, Rollout, Trajectories
from colloid_cg.states import phase_series, rollout_trajectories

FEWEST_FRAMES = 6


def assess(
    test: Trajectories,
    rollout: Rollout,
    bundle: ModelBundle,
    config: AssessConfig | None = None,
    *,
    references: tuple[ReferenceCurves, ...] = (),
    others: dict[str, Rollout] | None = None,
) -> dict[str, Any]:
    """Compare rollouts with the test block of the experiment.

    Rollouts with velocities, of models fitted to positions and velocities, are assessed by
    :func:`~colloid_cg.assessment.phase.assess_phase`, which alone knows ``references`` and ``others``.

    Experiment and rollouts go through the same functions; rollouts are the observed ones, with the blur, the noise
    and the view of the camera. Only lags up to a tenth of the shorter series are used, where averages still mean
    something (but at least ``minimum_lags``).

    Parameters
    ----------
    test : Trajectories
        A block of frames the fit has not seen.
    rollout : Rollout
        At the frame interval of the experiment.
    bundle : ModelBundle
    config : AssessConfig, optional
    references : tuple of ReferenceCurves
        Curves measured elsewhere.
    others : dict of Rollout, optional
        Rollouts of other dynamics by name.

    Returns
    -------
    dict
        JSON-able, None for what is unknown: ``rdf, msd`` (x, experiment, experiment_error, error_scale, model,
        model_error, z,
        rms_z, rrmse, reference_rrmse, reference_rms_z, allowed_rrmse, verdict), ``van_hove`` (``lags``: the same
        per lag; and the worst rrmse and verdict), ``ledger``, ``inversion``, ``extrapolation``, ``warnings``
        (sentences) and ``settings``.

    Raises
    ------
    DataError
        If test block or rollout are too short to be compared.
    InputError
        If the frame intervals differ.
    """
    config = config or AssessConfig()
    if in_phase_space(bundle.config):
        return assess_phase(phase_series(test), rollout, bundle, config, references=references, others=others)
    _check(test, rollout)
    views = tuple(
        rollout_trajectories(rollout, replica, pixel_size=test.pixel_size) for replica in range(rollout.n_replicas)
    )
    series = Series(experiment=test, halves=halves_of(test), replicas=views)
    edges = distance_edges(test, views, config)
    block = _span(test)
    lags = comparable_lags(block, block // 2, rollout.positions.shape[1], config)
    result: dict[str, Any] = {
        "rdf": compare(series, rdf_of(edges, config.rdf_frames), config),
        "msd": compare(series, msd_of(lags), config),
        "van_hove": _van_hove(series, lags, config),
        "ledger": ledger_summary(rollout),
        "extrapolation": extrapolation(rollout, bundle, frames=config.rdf_frames),
        "frames": {"experiment": block, "rollout": rollout.positions.shape[1], "replicas": rollout.n_replicas},
        "noise_is_negative": _noise_is_negative(bundle),
        "settings": config.as_dict(),
    }
    density = len(test) / max(test.table["frame"].nunique(), 1) / test.box.volume
    result["inversion"] = inversion_check(
        result["rdf"]["x"],
        result["rdf"]["experiment"],
        result["rdf"]["experiment_error"],
        bundle.pair_force if force_is_used(bundle) else bundle.pair_force.iloc[:0],
        density=density,
        dimension=test.dimension,
        dilute_limit=config.dilute_limit,
        potentials=bundle.diagnostics.get("pair_potential"),
    )
    result["warnings"] = warnings_of(result, test)
    clean = jsonable(result)
    return clean if isinstance(clean, dict) else {}


def _van_hove(series: Series, lags: np.ndarray, config: AssessConfig) -> dict[str, Any]:
    """Compare displacement distributions at lags spread evenly in logarithm; the worst of them is the verdict."""
    chosen = np.unique(np.round(np.geomspace(1, lags[-1], config.van_hove_lags)).astype(int))
    curves = []
    for lag in (int(value) for value in chosen):
        edges = displacement_edges(series.experiment, lag, config.van_hove_bins)
        curve = compare(series, van_hove_of(lag, edges), config)
        curves.append({"lag_frames": lag, "lag_s": lag * series.experiment.frame_interval} | curve)
    order = (UNDECIDED, GOOD, LOOK, BAD)
    worst = max(curves, key=lambda curve: (order.index(curve["verdict"]), curve["rrmse"] or 0.0))
    names = ("rrmse", "reference_rrmse", "allowed_rrmse", "rms_z", "verdict", "lag_s")
    return {"lags": curves} | {name: worst[name] for name in names}


def _noise_is_negative(bundle: ModelBundle) -> bool:
    return any(float(entry["value"]) < 0.0 for entry in bundle.metrics.get("localisation_variance", []))


def _span(tracks: Trajectories) -> int:
    return int(tracks.table["frame"].iloc[-1] - tracks.table["frame"].iloc[0] + 1) if len(tracks) else 0


def _check(test: Trajectories, rollout: Rollout) -> None:
    shortest = min(_span(test), rollout.positions.shape[1])
    if shortest < FEWEST_FRAMES:
        raise DataError(
            f"{shortest} frames to compare",
            expected=f"at least {FEWEST_FRAMES} frames of experiment and rollout",
            action="record a longer movie, give the test block a larger share or simulate longer",
        )
    if not np.isclose(test.frame_interval, rollout.frame_interval, rtol=1e-6):
        raise InputError(
            f"rollouts every {rollout.frame_interval:g} s beside a movie every {test.frame_interval:g} s",
            expected="one frame interval",
            action="simulate again at the frame interval of the movie",
        )
