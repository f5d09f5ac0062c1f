"""From trajectories of inertial particles to a model: friction, thermal speed, pair force and pair friction."""

from __future__ import annotations

from dataclasses import dataclass, replace
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
from colloid_cg.learn.inertial.model import InertialModel
from colloid_cg.learn.inertial.selection import Selection, balanced, choose, gain_over_overdamped
from colloid_cg.learn.problem import prepare
from colloid_cg.learn.regime import Regime
from colloid_cg.learn.selection import first_knot
from colloid_cg.learn.series import every_nth_frame
from colloid_cg.learn.stride import influence_by_cluster
from colloid_cg.learn.structure_range import ForceRange, force_range, resolved_distance
from colloid_cg.progress import Progress
from colloid_cg.records import ModelBundle, StateSeries, Trajectories


@dataclass(frozen=True, kw_only=True, eq=False)
class Fitted:
    """What the bundle is made of: the chosen candidate in balance with its ``influences``, and what it rests on.

    ``gain`` over free diffusion (value, half width, note); sorted pair ``distances`` in um, empty without pair terms;
    ``share`` of the motion that drift removal left; ``drift`` in um/s; ``stride`` in frames.
    """

    config: FitConfig
    frames: Frames
    selection: Selection
    balance: Balance
    influences: list[np.ndarray]
    regime: Regime
    gain: tuple[float, float | None, str]
    reach: ForceRange
    distances: np.ndarray
    share: float
    drift: np.ndarray
    seed: int
    stride: int

    @property
    def model(self) -> InertialModel:
        """The reported model."""
        return self.balance.candidate.model


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
    _one_species(series, held)
    stride = config.stride or 1
    series, held = every_nth_frame(series, stride), every_nth_frame(held, stride)
    reach = force_range(series, config.cutoff)
    frames, selection, balance, gain = _chosen(train, (series, held), config, reach, drift, seed, progress)
    return _bundle(
        Fitted(
            config=config,
            frames=frames,
            selection=selection,
            balance=balance,
            influences=influence_by_cluster(
                balance.influence, series, np.arange(len(balance.influence)), config.time_blocks
            ),
            regime=regime,
            gain=gain,
            reach=reach,
            distances=first_knot(frames.block, reach.cutoff)[1] if selection.pairs_used else np.zeros(0),
            share=kept_share(train),
            drift=drift,
            seed=seed,
            stride=stride,
        )
    )


def _one_species(series: StateSeries, held: StateSeries) -> None:
    if series.species.any() or held.species.any():
        raise DataError(
            f"{int(max(series.species.max(), held.species.max())) + 1} species in inertial motion",
            expected="one species, the only case modelled",
            action="select the tracks of one species and fit them alone",
        )


def _chosen(
    train: Trajectories, parts: tuple[StateSeries, StateSeries], config: FitConfig, reach: ForceRange,
    drift: np.ndarray, seed: int, progress: Progress,
) -> tuple[Frames, Selection, Balance, tuple[float, float | None, str]]:  # fmt: skip
    """Return the rows the reported numbers rest on, what was chosen, the candidate in balance and its gain."""
    frames, held = _frames(train, parts, config, reach, drift, seed)
    selection = choose(frames, held, config, cutoff=reach.cutoff, progress=progress)
    if selection.pairs_used and selection.best is not None:
        balance = selection.best
    else:  # no neighbours to be known: every row away from the edge counts
        frames, held = _frames(train, parts, config, None, drift, seed)
        selection = _on_every_row(selection, frames)
        balance = balanced(frames, selection.free, config)
    return frames, selection, balance, gain_over_overdamped(frames, held, balance.candidate, config)


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


def _bundle(found: Fitted) -> ModelBundle:
    model, share = found.model, found.share
    metrics = report.metrics(
        found.frames.block.series, found.balance.candidate, found.influences, found.regime, found.gain, share,
        found.selection.note,
    )  # fmt: skip
    range_known = not model.n_friction or found.config.cutoff is not None
    if not range_known:
        metrics["friction"] = [report.of_unknown_range(entry) for entry in metrics["friction"]]
    return ModelBundle(
        config=_settings(found),
        weights={
            "thermal_speed_squared": np.array([model.thermal_speed_squared / share]),
            "localisation_variance": np.array([model.localisation_variance / share]),
            "bath_friction": np.array([model.bath]),
            "parallel_friction_coefficients": model.parallel,
            "perpendicular_friction_coefficients": model.perpendicular,
            "force_coefficients": model.force[None] / model.thermal_speed_squared * share,
        },
        metrics=metrics,
        pair_force=report.pair_force_table(model, found.influences, found.distances, share),
        diagnostics=_diagnostics(found, range_known=range_known),
    )


def _settings(found: Fitted) -> dict[str, Any]:
    model, series, pairs_used = found.model, found.frames.block.series, found.selection.pairs_used
    return {
        "kind": "underdamped",
        "n_species": 1,
        "n_knots": model.n_force,
        "n_friction_knots": model.n_friction,
        "pair_force_used": pairs_used and model.n_force > 0,
        "pair_friction_used": pairs_used and model.n_friction > 0,
        "lower": model.lower,
        "cutoff": model.cutoff,
        "cutoff_reason": found.reach.reason,
        "frame_interval": series.frame_interval / found.stride,
        "exposure": series.exposure,
        "stride": found.stride,
        "drift_kept_share": found.share,
        "fit": found.config.as_dict(),
        "seed": found.seed,
    }


def _diagnostics(found: Fitted, *, range_known: bool) -> dict[str, Any]:
    model, distances, share = found.model, found.distances, found.share
    return {
        "regime": found.regime.evidence,
        "pair_potential": report.pair_potential(model, found.influences, distances, share),
        "pair_friction": report.pair_friction(model, found.influences, distances),
        "pair_mobility": report.pair_mobility(model, found.influences, distances, share, range_known=range_known),
        "fluctuation_dissipation": report.fluctuation_dissipation(found.balance, found.influences),
        "pair_gain": report.pair_gain(found.selection),
        "innovations": report.innovations(found.frames, found.balance.candidate),
        "selection": [
            entry | {"used": (entry["knots"], entry["friction_knots"]) == (model.n_force, model.n_friction)}
            for entry in found.selection.scores
        ],
        "selection_note": found.selection.note,
        "force_samples": {
            "r_min": float(distances[0]) if len(distances) else None,
            "r_max": float(distances[-1]) if len(distances) else None,
            "n_pairs": len(distances),
        },
        "stated_sigma": check.stated_sigma(found.frames.block.series, model.localisation_variance / share),
        "drift_velocity_um_per_s": found.drift.tolist(),
        "not_modelled": report.NOT_MODELLED,
    }
