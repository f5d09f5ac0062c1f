"""From trajectories of inertial particles to a model: friction, thermal speed, pair force and pair friction."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from colloid_cg.errors import DataError
from colloid_cg.learn import diagnostics as check
from colloid_cg.learn.config import FitConfig
from colloid_cg.learn.drift_share import kept_share
from colloid_cg.learn.inertial import report
from colloid_cg.learn.inertial.candidate import fit_free
from colloid_cg.learn.inertial.dissipation import Balance
from colloid_cg.learn.inertial.equation import Frames, frames_of
from colloid_cg.learn.inertial.selection import Selection, balanced, choose, gain_over_overdamped
from colloid_cg.learn.problem import prepare
from colloid_cg.learn.regime import Regime
from colloid_cg.learn.selection import first_knot
from colloid_cg.learn.series import every_nth_frame
from colloid_cg.learn.stride import influence_by_cluster
from colloid_cg.learn.structure_range import ForceRange, force_range, resolved_distance
from colloid_cg.progress import Progress
from colloid_cg.records import ModelBundle, StateSeries, Trajectories


def fit_inertial(
    train: Trajectories, series: StateSeries, held: StateSeries, config: FitConfig, *,
    regime: Regime, drift: np.ndarray, seed: int, progress: Progress,
) -> ModelBundle:  # fmt: skip
    """Fit the inertial model to a training block; knots are chosen on the block held out.

    Parameters
    ----------
    train : Trajectories
        For what it says of resolution and drift removal.
    series, held : StateSeries
        The training and the selection block.
    config : FitConfig
    regime : Regime
        What was decided, and on which evidence.
    drift : array, shape (d,)
        Common velocity, um/s.
    seed : int
        Of the noise deconvolution.
    progress : callable

    Raises
    ------
    DataError
        If there is more than one species, or there are too few rows with a frame before and after.
    """
    if series.species.any() or held.species.any():
        raise DataError(
            f"{int(max(series.species.max(), held.species.max())) + 1} species in inertial motion",
            expected="one species, the only case modelled",
            action="select the tracks of one species and fit them alone",
        )
    stride = config.stride or 1
    series, held = every_nth_frame(series, stride), every_nth_frame(held, stride)
    reach = force_range(series, config.cutoff)
    train_frames, select_frames = _frames(train, (series, held), config, reach, drift, seed)
    selection = choose(train_frames, select_frames, config, cutoff=reach.cutoff, progress=progress)
    final = selection.final
    if not selection.pairs_used:  # no neighbours to be known: every row away from the edge counts
        train_frames, select_frames = _frames(train, (series, held), config, None, drift, seed)
        selection = _on_every_row(selection, train_frames)
        final = selection.free
    if selection.pairs_used and selection.best is not None:
        balance = selection.best
    else:
        balance = balanced(train_frames, final, config)
    final, every_row = balance.candidate, np.arange(len(balance.influence))
    influences = influence_by_cluster(balance.influence, series, every_row, config.time_blocks)
    gain = gain_over_overdamped(train_frames, select_frames, final, config)
    return _bundle(
        train, config, train_frames, selection, balance, influences, regime, gain, reach, drift, seed, stride
    )


def _frames(
    train: Trajectories, parts: tuple[StateSeries, StateSeries], config: FitConfig, reach: ForceRange | None,
    drift: np.ndarray, seed: int,
) -> tuple[Frames, Frames]:  # fmt: skip
    series = parts[0]
    rows = np.flatnonzero(series.following >= 0)
    step = series.positions[series.following[rows]] - series.positions[rows] - drift * series.frame_interval
    # the diffusion coefficient that would give these steps: the blocks know spreads by it
    spread = float((step**2).mean()) / (2.0 * series.frame_interval)
    resolution = resolved_distance(train, config.resolution, diffusion=spread, frame_interval=series.frame_interval)
    first, second = (
        frames_of(
            prepare(
                part, n_species=1, drift_velocity=drift, cutoff=None if reach is None else reach.cutoff,
                diffusion=spread, resolution=resolution,
            ),
            np.random.default_rng(seed),
        )
        for part in parts
    )  # fmt: skip
    return first, second


def _on_every_row(selection: Selection, frames: Frames) -> Selection:
    cutoff = selection.free.model.cutoff
    return replace(selection, free=fit_free(frames, cutoff=cutoff))


def _bundle(
    train: Trajectories, config: FitConfig, frames: Frames, selection: Selection, balance: Balance,
    influences: list[np.ndarray], regime: Regime, gain: tuple[float, float, str],
    reach: ForceRange, drift: np.ndarray, seed: int, stride: int,
) -> ModelBundle:  # fmt: skip
    series, final, share = frames.block.series, balance.candidate, kept_share(train)
    model = final.model
    distances = first_knot(frames.block, reach.cutoff)[1] if selection.pairs_used else np.zeros(0)
    settings: dict[str, Any] = {
        "kind": "underdamped",
        "n_species": 1,
        "n_knots": model.n_force,
        "n_friction_knots": model.n_friction,
        "pair_force_used": selection.pairs_used and model.n_force > 0,
        "pair_friction_used": selection.pairs_used and model.n_friction > 0,
        "lower": model.lower,
        "cutoff": model.cutoff,
        "cutoff_reason": reach.reason,
        "frame_interval": series.frame_interval / stride,
        "exposure": series.exposure,
        "stride": stride,
        "drift_kept_share": share,
        "fit": config.as_dict(),
        "seed": seed,
    }
    curves: dict[str, Any] = {
        "regime": regime.evidence,
        "pair_friction": report.pair_friction(model, influences, distances),
        "fluctuation_dissipation": report.fluctuation_dissipation(balance, influences),
        "pair_gain": report.pair_gain(selection),
        "innovations": report.innovations(frames, final),
        "selection": [
            entry | {"used": (entry["knots"], entry["friction_knots"]) == (model.n_force, model.n_friction)}
            for entry in selection.scores
        ],
        "selection_note": selection.note,
        "force_samples": {
            "r_min": float(distances[0]) if len(distances) else None,
            "r_max": float(distances[-1]) if len(distances) else None,
            "n_pairs": len(distances),
        },
        "stated_sigma": check.stated_sigma(series, model.localisation_variance / share),
        "drift_velocity_um_per_s": drift.tolist(),
        "not_modelled": report.NOT_MODELLED,
    }
    weights = {
        "thermal_speed_squared": np.array([model.thermal_speed_squared / share]),
        "localisation_variance": np.array([model.localisation_variance / share]),
        "bath_friction": np.array([model.bath]),
        "parallel_friction_coefficients": model.parallel,
        "perpendicular_friction_coefficients": model.perpendicular,
        "force_coefficients": model.force[None] / model.thermal_speed_squared * share,
    }
    metrics = report.metrics(series, final, influences, regime, gain, share, selection.note)
    if model.n_friction and config.cutoff is None:
        metrics["friction"] = [report.of_unknown_range(entry) for entry in metrics["friction"]]
    return ModelBundle(
        config=settings,
        weights=weights,
        metrics=metrics,
        pair_force=report.pair_force_table(model, influences, distances, share),
        diagnostics=curves,
    )
