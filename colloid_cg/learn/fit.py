"""From trajectories to a model with honest errors."""

from __future__ import annotations

import numpy as np

from colloid_cg.errors import ConfigError, DataError
from colloid_cg.learn.bundle import Task, bundle_of, model_from_bundle
from colloid_cg.learn.checkpoint import NOWHERE, Checkpoint, remembered
from colloid_cg.learn.config import FitConfig
from colloid_cg.learn.drift_share import corrected, kept_share
from colloid_cg.learn.field_plan import FieldPlan, field_plan, solve_plan
from colloid_cg.learn.field_report import with_fields
from colloid_cg.learn.field_tables import FieldTables
from colloid_cg.learn.inertial import fit_inertial
from colloid_cg.learn.latent import with_hidden_variable
from colloid_cg.learn.momentum import MomentumFitConfig, fit_simulation, is_simulation
from colloid_cg.learn.noise_form import choose_noise_form, with_noise_form
from colloid_cg.learn.problem import Block, Candidate, fit_candidate, fit_free, prepare
from colloid_cg.learn.regime import Regime, decide_regime, displacements
from colloid_cg.learn.sandwich import mean_interval
from colloid_cg.learn.selection import FitResult, Selection, choose_knots, joint_influence
from colloid_cg.learn.series import chains, every_nth_frame, first_rows, time_blocks
from colloid_cg.learn.stride import choose_stride
from colloid_cg.learn.structure_range import force_range, resolved_distance
from colloid_cg.learn.thermal import ThermalFitConfig, fit_hidden_entropy
from colloid_cg.progress import Progress, silent
from colloid_cg.records import ModelBundle, StateSeries, Trajectories
from colloid_cg.states import from_trajectories
from colloid_cg.structure import StructureConfig

__all__ = ["fit", "model_from_bundle"]


def fit(
    train: Trajectories,
    select: Trajectories,
    config: FitConfig | None = None,
    *,
    rng: int | np.random.Generator = 0,
    progress: Progress = silent,
    fields: FieldTables | None = None,
    checkpoint: Checkpoint = NOWHERE,
    momentum: MomentumFitConfig | None = None,
    thermal: ThermalFitConfig | None = None,
    structure: StructureConfig | None = None,
) -> ModelBundle:
    """Fit overdamped or, where the data ask for it, inertial dynamics to noisy trajectories.

    Simulations that were imported with their velocities are fitted as momentum-conserving pair dynamics, with hidden
    entropies where ``momentum.model`` says so, unless ``config.regime`` names a law.

    Parameters
    ----------
    train, select : Trajectories
        Disjoint blocks of a movie: coefficients come from the first, the number of knots from the second.
    config : FitConfig or None
    rng : int or Generator
        Seed of the noise deconvolution; same seed, same numbers.
    fields : FieldTables or None
        The tables of external fields that ``config`` names (traps, prescribed particles, background flow).
    checkpoint : Checkpoint
        Keeps finished candidates of overdamped fits and the last round of a fit of hidden entropies, and gives back
        those of an earlier call with the same arguments.
    momentum : MomentumFitConfig or None
        Settings of the fit to positions and velocities.
    thermal : ThermalFitConfig or None
        Those of the fit of hidden entropies.
    structure : StructureConfig or None
        Those of the encoder, where ``config.hidden_variables`` asks for one.

    Raises
    ------
    DataError
        If there are too few linked frames, or nothing moves beyond the noise.
    ConfigError
        If hidden entropies are wanted of anything but positions and velocities.
    """
    config = config or FitConfig()
    seed = int(rng.integers(2**31)) if isinstance(rng, np.random.Generator) else int(rng)
    if is_simulation(train) and config.regime == "auto" and not config.in_fields:
        _no_hidden_variable(config, "positions and velocities of a simulation")
        if momentum is None or momentum.model == "one_temperature":
            return fit_simulation(train, select, momentum, progress=progress)
        return fit_hidden_entropy(
            train, select, thermal, momentum, seed=seed, checkpoint=checkpoint, progress=progress
        )  # fmt: skip
    _no_hidden_entropy(momentum)
    plan = field_plan(config, fields, train, select)
    if plan is not None:
        train, select = plan.train, plan.select
    full = first_rows(from_trajectories(train), config.maximum_detections)
    later = first_rows(from_trajectories(select), config.maximum_detections)
    drift = _usable(full)
    calm = full if plan is None else plan.calm(full)
    if plan is not None and plan.holds_drift:
        drift = np.zeros_like(drift)
    _moving(calm, config)
    regime = _regime(decide_regime(calm, chains(calm), wanted_blocks=config.time_blocks), config)
    if regime.name == "underdamped":
        _no_fields(plan)
        _no_hidden_variable(config, "inertial motion")
        return fit_inertial(train, full, later, config, regime=regime, drift=drift, seed=seed, progress=progress)
    task = _task(config, plan, full, later, calm, tracks=train, regime=regime, drift=drift, seed=seed)
    if plan is None:
        bundle = bundle_of(task, _solve_pairs(task, progress, checkpoint))
    else:
        result = solve_plan(
            plan, task.series, task.held, n_species=task.n_species, drift=drift, reach=task.reach,
            resolution=task.resolution, start=task.free.noise, noise_form=task.form.name, seed=seed, progress=progress,
            checkpoint=checkpoint,
        )  # fmt: skip
        bundle = bundle_of(task, result)
        bundle = with_fields(bundle, plan, result, series=task.series, n_species=task.n_species, seed=seed)
    bundle = corrected(bundle, kept_share(train))
    if not config.hidden_variables:
        return bundle
    encoder = (structure or StructureConfig()).model_copy(update={"latents": config.hidden_variables, "window": 1})
    return with_hidden_variable(
        bundle, train, select, encoder, seed=seed, progress=progress, checkpoint=checkpoint
    )  # fmt: skip


def _task(
    config: FitConfig, plan: FieldPlan | None, full: StateSeries, later: StateSeries, calm: StateSeries, *,
    tracks: Trajectories, regime: Regime, drift: np.ndarray, seed: int,
) -> Task:  # fmt: skip
    """Choose interval, noise form and range of the force; ``calm`` is ``full`` in the frame of a given flow."""
    n_species = int(max(full.species.max(), later.species.max())) + 1
    stride = choose_stride(
        calm, n_species=n_species, drift_velocity=drift, wanted=config.stride, wanted_blocks=config.time_blocks
    )
    series, held = every_nth_frame(full, stride.frames), every_nth_frame(later, stride.frames)
    seen = series if plan is None else every_nth_frame(calm, stride.frames)
    plain = prepare(seen, n_species=n_species, drift_velocity=drift)
    form = choose_noise_form(plain, wanted_blocks=config.time_blocks)
    whole = with_noise_form(plain, form.name)
    free = fit_free(whole)
    fastest = float(free.noise.diffusion.max())
    return Task(
        config=config,
        series=series,
        held=held,
        n_species=n_species,
        drift=drift,
        regime=regime,
        stride=stride,
        form=form,
        whole=whole,
        free=free,
        reach=force_range(series, config.cutoff),
        resolution=resolved_distance(
            tracks, config.resolution, diffusion=fastest, frame_interval=series.frame_interval
        ),
        seed=seed,
    )


def _solve_pairs(task: Task, progress: Progress, checkpoint: Checkpoint) -> FitResult:
    """Fit every candidate pair force, choose on the selection block, and work out the errors."""
    config = task.config
    blocks = [
        prepare(
            part,
            n_species=task.n_species,
            drift_velocity=task.drift,
            cutoff=task.reach.cutoff,
            diffusion=float(task.free.noise.diffusion.max()),
            resolution=task.resolution,
            noise_form=task.form.name,
        )
        for part in (task.series, task.held)
    ]
    selection = _select(blocks, task, progress, checkpoint)
    final, block = _final(selection, blocks[0], task.free, task.whole)
    influences = shown = joint_influence(block, final, config, seed=task.seed)
    if selection.best is not None and not selection.force_used:
        shown = joint_influence(blocks[0], selection.best, config, seed=task.seed)
    return FitResult(
        selection=selection,
        final=final,
        block=block,
        force_block=blocks[0],
        influences=influences,
        shown_influences=shown,
    )


def _regime(found: Regime, config: FitConfig) -> Regime:
    """Return the regime that is fitted; where it was given against the data, the reason says so."""
    if config.regime in ("auto", found.name):
        return found
    reason = f'{found.evidence["reason"]}; fit.regime = "{config.regime}" was given all the same'
    return Regime(name=config.regime, evidence=found.evidence | {"reason": reason})


def _no_hidden_entropy(momentum: MomentumFitConfig | None) -> None:
    if momentum is not None and momentum.model == "hidden_entropy":
        raise ConfigError(
            'momentum.model = "hidden_entropy" where positions alone are fitted',
            expected="a simulation that was imported with its velocities, and no fit.regime",
            action="import one, or leave the setting out",
        )


def _no_hidden_variable(config: FitConfig, of: str) -> None:
    if config.hidden_variables:
        raise ConfigError(
            f"fit.hidden_variables = {config.hidden_variables} with {of}",
            expected='overdamped motion; pair dynamics of a simulation have momentum.memory = "hidden"',
            action='set fit.hidden_variables = 0, or fit.regime = "overdamped"',
        )


def _no_fields(plan: FieldPlan | None) -> None:
    if plan is not None:
        raise DataError(
            "external fields with inertial motion",
            expected="overdamped motion, the only one that is fitted in external fields",
            action='leave the fields out, or set fit.regime = "overdamped"',
        )


def _usable(series: StateSeries) -> np.ndarray:
    """Return the common drift velocity (um/s); refuse data that cannot be fitted."""
    rows = np.flatnonzero(series.following >= 0)
    if series.n_frames < 3 or not ((series.previous >= 0) & (series.following >= 0)).any():
        raise DataError(
            f"{series.n_frames} frames (training block) and no particle seen in three frames running",
            expected="tracks of at least three consecutive frames",
            action="record longer, link with a larger search range, or keep shorter tracks",
        )
    steps = series.positions[series.following[rows]] - series.positions[rows]
    scale = float(np.abs(series.positions).max()) or 1.0
    if float(steps.std()) < 1e-7 * scale:
        raise DataError(
            "particles that do not move",
            expected="Brownian motion",
            action="check the frame interval and that the movie is not one frame repeated",
        )
    return np.asarray(steps.mean(axis=0) / series.frame_interval)


def _moving(series: StateSeries, config: FitConfig) -> None:
    """Refuse data whose displacements are all localisation noise: 2 D dt = C_0 + 2 C_1 not above zero."""
    steps, joined, rows = displacements(series, chains(series))
    pairs = np.flatnonzero(joined)
    motion = (steps[pairs] ** 2 + 2.0 * steps[pairs] * steps[pairs - 1]).mean(axis=1)
    mean, half = mean_interval(motion, time_blocks(series, config.time_blocks)[rows[pairs]])
    if not mean > half:
        raise DataError(
            f"displacements of which {mean:.2g}({half:.1g}) um2 per frame is motion and the rest localisation noise",
            expected="motion beyond the noise",
            action="record at a lower frame rate or with more light; particles stuck to the glass look the same",
        )


def _select(blocks: list[Block], task: Task, progress: Progress, checkpoint: Checkpoint) -> Selection:
    enough = all(int(block.residuals(task.free.model).joined.sum()) >= 50 for block in blocks)
    if not enough:
        return Selection(
            free=task.free,
            best=None,
            scores=[{"knots": 0, "log_likelihood": None}],
            gain=0.0,
            gain_half_width=0.0,
            candidates=task.config.knots,
        )
    return choose_knots(
        blocks[0],
        blocks[1],
        task.config,
        cutoff=task.reach.cutoff,
        seed=task.seed,
        progress=progress,
        fit_one=remembered(fit_candidate, checkpoint),
    )


def _final(selection: Selection, block: Block, free: Candidate, whole: Block) -> tuple[Candidate, Block]:
    """The interacting model on its targets, or free diffusion on every row."""
    if selection.force_used and selection.best is not None:
        return selection.best, block
    return free, whole
