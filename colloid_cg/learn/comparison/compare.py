"""Models side by side on frames none of them has seen."""

from __future__ import annotations

from typing import Any

import numpy as np

from colloid_cg.errors import DataError
from colloid_cg.learn.banded import Residuals, log_likelihood_rows
from colloid_cg.learn.comparison.config import ComparisonConfig
from colloid_cg.learn.comparison.training import Sample, drift_of, sample, train_network
from colloid_cg.learn.fit import model_from_bundle
from colloid_cg.learn.noise import NoiseFit, fit_noise
from colloid_cg.learn.problem import Block, fit_free, free_model, prepare
from colloid_cg.learn.sandwich import mean_interval
from colloid_cg.learn.series import blur_coefficient, every_nth_frame, first_rows, time_blocks
from colloid_cg.nets import single_thread
from colloid_cg.progress import Progress, silent
from colloid_cg.records import ModelBundle, Trajectories
from colloid_cg.states import from_trajectories

FEWEST_STEPS = 200


def compare_models(
    train: Trajectories,
    select: Trajectories,
    test: Trajectories,
    bundle: ModelBundle,
    config: ComparisonConfig | None = None,
    *,
    rng: int | np.random.Generator = 0,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Score free diffusion, the fitted pair potential and an unconstrained network on the test block.

    Every model is trained on ``train`` (the network stops where ``select`` says) and scored by a banded likelihood on
    the same displacements of ``test``, with one localisation variance for all detections. The covariance knows how
    the pair force carries an error of position on; that of free diffusion and of the network takes the Jacobian of the
    drift as 1, which costs the network a little. It is given every freedom a drift can have and no physics: what it
    gains over the pair potential is what the pair potential lacks; a loss is no proof that nothing is missing.

    Parameters
    ----------
    train, select, test : Trajectories
        Disjoint blocks of a movie.
    bundle : ModelBundle
        Fitted to ``train`` and ``select``.
    config : ComparisonConfig or None
    rng : int or Generator

    Returns
    -------
    dict
        JSON-able: ``models``, a list of {name, log_likelihood} (nats per particle and step), ``gains``, a list of
        {model, over, value, low90, high90} with errors clustered over time blocks, ``n_steps`` and ``note``.

    Raises
    ------
    DataError
        If the blocks hold too few displacements, or external fields act.
    """
    config = config or ComparisonConfig()
    blocks = _blocks((train, select, test), bundle, config)
    rows, note = _scored(blocks, bundle, config, np.random.default_rng(rng), progress)
    targets = blocks[2].residuals(free_model(blocks[2].n_species)).row
    clusters = time_blocks(blocks[2].series, int(bundle.config["fit"]["time_blocks"]))[targets]
    names = list(rows)
    return {
        "models": [{"name": name, "log_likelihood": float(values.mean())} for name, values in rows.items()],
        "gains": [_gain(rows, later, earlier, clusters) for k, later in enumerate(names) for earlier in names[:k]],
        "n_steps": len(targets),
        "note": note,
    }


def _scored(
    blocks: list[Block], bundle: ModelBundle, config: ComparisonConfig, rng: np.random.Generator, progress: Progress
) -> tuple[dict[str, np.ndarray], str]:
    """Return the log-likelihood of every step of the test block by model, and what to say of it."""
    free = [sample(block, float(bundle.config["cutoff"])) for block in blocks]
    _enough(free)
    diffusing = fit_free(blocks[0]).noise
    rows = {"free diffusion": _rows(free[2].data, diffusing)}
    model = model_from_bundle(bundle)
    if model.n_knots:
        fitted = _noise(blocks[0].residuals(model), blocks[0])
        rows["pair potential"] = _rows(blocks[2].residuals(model), fitted)
    note = f"{len(free[2].data.row)} steps of the test block"
    if config.network:
        with single_thread():
            rows["network"], trained = _network(free, diffusing, config, rng, progress)
        note += f"; network trained for {trained} passes over {len(free[0].data.row)} rows"
    return rows, note


def _blocks(parts: tuple[Trajectories, ...], bundle: ModelBundle, config: ComparisonConfig) -> list[Block]:
    if bundle.config.get("fields"):
        raise DataError(
            "a model with external fields",
            expected="particles among themselves: free diffusion and the network know of no field",
            action="judge it by its rollouts",
        )
    return [_block(tracks, bundle, config) for tracks in parts]


def _enough(parts: list[Sample]) -> None:
    for name, part in zip(("training", "selection", "test"), parts, strict=True):
        if int(part.data.joined.sum()) < FEWEST_STEPS:
            raise DataError(
                f"{int(part.data.joined.sum())} pairs of consecutive steps in the {name} block",
                expected=f"at least {FEWEST_STEPS}, away from the edge of the view",
                action="record a longer movie or a larger view",
            )


def _block(tracks: Trajectories, bundle: ModelBundle, config: ComparisonConfig) -> Block:
    series = first_rows(from_trajectories(tracks), config.maximum_detections * int(bundle.config["stride"]))
    return prepare(
        every_nth_frame(series, int(bundle.config["stride"])),
        n_species=int(bundle.config["n_species"]),
        drift_velocity=np.asarray(bundle.diagnostics["drift_velocity_um_per_s"]),
        cutoff=float(bundle.config["cutoff"]),
        diffusion=float(bundle.weights["diffusion"].max()),
    )


def _noise(data: Residuals, block: Block) -> NoiseFit:
    return fit_noise(
        data,
        n_species=block.n_species,
        blur=blur_coefficient(block.series),
        frame_interval=block.series.frame_interval,
        scores=False,
    )


def _rows(data: Residuals, noise: NoiseFit) -> np.ndarray:
    found = log_likelihood_rows(data, diffusion=noise.diffusion, localisation_variance=noise.localisation_variance)
    return np.asarray(np.maximum(found, -1e6))


def _network(
    parts: list[Sample],
    noise: NoiseFit,
    config: ComparisonConfig,
    rng: np.random.Generator,
    progress: Progress,
) -> tuple[np.ndarray, int]:
    """Return the log-likelihood of the test rows under the trained network, and the passes it was trained for."""
    train, select, test = parts
    network, steps = train_network(train, select, noise, config, rng=rng, progress=progress)
    fitted = _noise(train.residuals(drift_of(network, train.around)), train.block)
    return _rows(test.residuals(drift_of(network, test.around)), fitted), steps


def _gain(rows: dict[str, np.ndarray], model: str, over: str, clusters: np.ndarray) -> dict[str, Any]:
    value, half = mean_interval(rows[model] - rows[over], clusters)
    return {"model": model, "over": over, "value": value, "low90": value - half, "high90": value + half}
