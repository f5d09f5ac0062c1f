"""The fit of a movie in which external fields act: blocks with fields, number of splines of the flow, pair force."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from colloid_cg.dynamics import GridFlow, SplineFlow, flow_basis
from colloid_cg.errors import ConfigError, DataError, InputError
from colloid_cg.learn.checkpoint import NOWHERE, Checkpoint, remembered
from colloid_cg.learn.config import FitConfig
from colloid_cg.learn.detection import NoiseForm
from colloid_cg.learn.field_errors import field_influence
from colloid_cg.learn.field_fit import first_strengths, fit_in_fields, settled
from colloid_cg.learn.field_tables import FieldTables, grid_flow
from colloid_cg.learn.fields import Fields, fields_of, movie_frames
from colloid_cg.learn.noise import NoiseFit
from colloid_cg.learn.prescribed import inserted, parted
from colloid_cg.learn.problem import Block, Candidate, free_model, held_out, prepare
from colloid_cg.learn.selection import FitResult, choose_knots
from colloid_cg.learn.series import chains
from colloid_cg.learn.structure_range import ForceRange
from colloid_cg.progress import Progress
from colloid_cg.records import StateSeries, Trajectories

_COARSE = 4
"""Splines per axis of the flow that is taken off before the regime and the interval are judged."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FieldPlan:
    """Fields of a movie: settings, tables, flow in um, tracks without the prescribed ones."""

    config: FitConfig
    train: Trajectories
    select: Trajectories
    traps: pd.DataFrame | str | None
    prescribed: pd.DataFrame | None
    exact: bool
    flow: GridFlow | None

    @property
    def n_prescribed(self) -> int:
        """Number of prescribed species."""
        return 0 if self.prescribed is None else int(self.prescribed["species"].nunique())

    @property
    def holds_drift(self) -> bool:
        """Whether the fields take the place of the common drift: wells hold the particles, a flow contains it."""
        return self.traps is not None or self.config.flow is not None

    def calm(self, series: StateSeries) -> StateSeries:
        """Return the series as seen by an observer who follows the flow: regime and interval are judged on it."""
        if self.flow is not None:
            velocity = self.flow.at(series.positions, movie_frames(series, self.train.frame_interval))[0]
            if self.traps is None and self.prescribed is None:
                _calming(series, velocity)
        elif self.config.flow is not None:
            velocity = _coarse_flow(series).at(series.positions, np.zeros(0))[0]
        else:
            return series
        links = chains(series)
        path = (velocity * series.frame_interval)[links.order]
        before = np.cumsum(path, axis=0) - path
        start = np.maximum.accumulate(np.where(links.joined, 0, np.arange(len(path))))
        positions = series.positions.copy()
        positions[links.order] -= before - before[start]
        return replace(series, positions=positions)

    def block(self, series: StateSeries, *, n_species: int, drift: np.ndarray, **reach: Any) -> tuple[Block, Fields]:
        """Return a block with the prescribed particles in it, and its fields."""
        interval = self.train.frame_interval
        if self.prescribed is not None:
            series = inserted(
                series, self.prescribed, n_species=n_species, pixel_size=self.train.pixel_size, frame_interval=interval
            )
        fields = fields_of(
            series,
            traps=self.traps,
            pixel_size=self.train.pixel_size,
            quartic=self.config.well == "quartic",
            flow=self.flow,
            frame_interval=interval,
            n_species=n_species,
            exact=self.exact,
        )
        block = prepare(
            series, n_species=n_species, drift_velocity=drift, n_prescribed=self.n_prescribed, **reach
        )  # fmt: skip
        long_enough = fields.trap >= 0 if isinstance(self.traps, str) else True
        return replace(block, targets=block.targets & fields.mobile & long_enough), fields


def field_plan(
    config: FitConfig, tables: FieldTables | None, train: Trajectories, select: Trajectories
) -> FieldPlan | None:
    """Return what acts on the particles of a movie, or None.

    Raises
    ------
    InputError
        If a table that the settings name was not handed over, or does not fit the movie.
    """
    if not config.in_fields:
        if tables is not None and tables != FieldTables():
            raise ConfigError(
                "tables of external fields that no setting names",
                expected="fit.traps, fit.prescribed or fit.flow",
                action='name them in FitConfig, e.g. FitConfig(traps="traps.csv")',
            )
        return None
    if config.in_camera_frame:
        train, select = train.as_seen(), select.as_seen()
    tables = tables or FieldTables()
    for name, path in config.tables().items():
        if getattr(tables, name) is None:
            raise InputError(
                f"no table for fit.{name} = {path!r}",
                expected="the table itself beside the settings",
                action=f"give fit(..., fields=FieldTables({name}=table))",
            )
    if config.flow is not None and train.dimension != 2:
        raise ConfigError("a background flow in three dimensions", expected="a movie in a plane", action="leave it out")
    if train.dimension != 2 and (
        tables.traps is not None or tables.prescribed is not None or config.prescribed_particles
    ):
        raise ConfigError(
            "wells or prescribed particles in a plane for a movie in three dimensions",
            expected="a movie in a plane",
            action='use fit.traps = "each", or leave them out',
        )
    prescribed, exact = tables.prescribed, True
    if config.prescribed_particles:
        (train, first), (select, second) = (parted(part, config.prescribed_particles) for part in (train, select))
        prescribed, exact = pd.concat([first, second], ignore_index=True), False
    flow = None if tables.flow is None else _fitting(grid_flow(tables.flow, pixel_size=train.pixel_size), train, select)
    traps = tables.traps if tables.traps is not None else config.traps
    return FieldPlan(
        config=config, train=train, select=select, traps=traps, prescribed=prescribed, exact=exact, flow=flow
    )


def _fitting(flow: GridFlow, *parts: Trajectories) -> GridFlow:
    """Refuse a flow that does not cover the blocks in time, or most of their particles in space."""
    for tracks in parts:
        frames = np.unique(tracks.table["frame"])
        if len(flow.frames) > 1 and not np.isin(frames, flow.frames).all():
            raise InputError(
                f"a flow without frame {np.setdiff1d(frames, flow.frames)[0]}",
                expected="every frame of the movie, or a single one for a steady flow",
                action="complete the table fit.flow",
            )
        low, high = np.array([flow.x[0], flow.y[0]]), np.array([flow.x[-1], flow.y[-1]])
        margin = np.array([flow.x[1] - flow.x[0], flow.y[1] - flow.y[0]])
        outside = float(((tracks.positions < low - margin) | (tracks.positions > high + margin)).any(axis=1).mean())
        if outside > 0.05:
            raise InputError(
                f"a flow on a grid that leaves {100 * outside:.0f} % of the detections outside",
                expected="a grid over the field of view, in px",
                action="check the unit of x and y in the table fit.flow",
            )
    return flow


def _calming(series: StateSeries, velocity: np.ndarray) -> None:
    """Refuse a flow that free particles so little follow that taking it off more than doubles their squared steps."""
    rows = np.flatnonzero(series.following >= 0)
    steps = series.positions[series.following[rows]] - series.positions[rows]
    carried = velocity[rows] * series.frame_interval
    power = float((carried**2).sum())
    if ((steps - carried) ** 2).sum() > 2.0 * (steps**2).sum() and power > 0:
        ratio = float((steps * carried).sum()) / power
        raise DataError(
            f"particles that move {ratio:.2g} times as fast along the flow of fit.flow as the table says",
            expected="particles that follow the flow: a factor of 1",
            action="check the unit (um/s), signs, axes and frame numbers of the table",
        )


def _coarse_flow(series: StateSeries) -> SplineFlow:
    """Return the regression of the steps on a few splines: noise does not bias it where the flow varies slowly."""
    lower, upper = np.asarray(series.box.lower, dtype=float), np.asarray(series.box.upper, dtype=float)
    rows = np.flatnonzero(series.following >= 0)
    steps = (series.positions[series.following[rows]] - series.positions[rows]) / series.frame_interval
    basis: csr_array = flow_basis(series.positions[rows], lower, upper, _COARSE)
    normal = (basis.T @ basis).toarray()
    normal += 1e-6 * np.trace(normal) / len(normal) * np.eye(len(normal))
    coefficients = np.linalg.solve(normal, basis.T @ steps).reshape(_COARSE, _COARSE, 2)
    return SplineFlow(lower=lower, upper=upper, coefficients=coefficients)


@dataclass(frozen=True, kw_only=True, eq=False)
class FieldResult(FitResult):
    """The outcome of a fit in fields: ``free`` is what they do alone, ``flow_scores`` the numbers of splines tried."""

    free: Candidate
    fields: Fields
    flow_scores: list[dict[str, Any]]


def solve_plan(
    plan: FieldPlan, series: StateSeries, held: StateSeries, *, n_species: int, drift: np.ndarray, reach: ForceRange,
    resolution: float, start: NoiseFit, noise_form: NoiseForm, seed: int, progress: Progress,
    checkpoint: Checkpoint = NOWHERE,
) -> FieldResult:  # fmt: skip
    """Fit fields alone, then with every candidate pair force; choose on ``held``.

    ``start`` holds D and s2 of free diffusion in the frame of the flow, where all fits begin.
    """
    config = plan.config
    diffusion = float(start.diffusion.max())
    near = {"cutoff": reach.cutoff, "diffusion": diffusion, "resolution": resolution, "noise_form": noise_form}
    whole, whole_fields = plan.block(series, n_species=n_species, drift=drift, noise_form=noise_form)
    train, fields = plan.block(series, n_species=n_species, drift=drift, **near)
    select, held_fields = plan.block(held, n_species=n_species, drift=drift, **near)
    known = {id(whole): whole_fields, id(train): fields, id(select): held_fields}

    def score(block: Block, candidate: Candidate) -> tuple[np.ndarray, np.ndarray]:
        return held_out(settled(block, known[id(block)], candidate.acting), candidate)

    def in_fields(block: Block, start: Candidate, **settings: Any) -> Candidate:
        return fit_in_fields(block, start, fields=known[id(block)], **settings)

    fit_one = remembered(in_fields, checkpoint)

    def alone(block: Block, count: int) -> Candidate:
        speed = float(start.diffusion.mean())
        strengths = first_strengths(block, known[id(block)], diffusion=speed, flow_count=count)
        model = replace(free_model(n_species, n_prescribed=plan.n_prescribed), diffusion=start.diffusion)
        return fit_one(
            block,
            Candidate(n_knots=0, model=model, noise=start, forces=None, strengths=strengths),
            model=model,
            z_rng=np.random.default_rng(seed),
            smoothness=config.smoothness,
            iterations=config.iterations,
        )

    free, scores = _with_flow(train, select, alone, score, config)
    selection = choose_knots(
        train, select, config, cutoff=reach.cutoff, seed=seed, progress=progress, free=free, fit_one=fit_one,
        score=score,
    )  # fmt: skip
    count = 0 if free.acting.flow is None else len(free.acting.flow)
    final, block = (selection.best, train) if selection.force_used and selection.best else (alone(whole, count), whole)
    acting = known[id(block)]
    influences = field_influence(block, final, acting, config, seed=seed)
    shown = influences
    if selection.best is not None and not selection.force_used:
        shown = field_influence(train, selection.best, fields, config, seed=seed)
    return FieldResult(
        selection=selection,
        final=final,
        free=free,
        block=settled(block, acting, final.acting),
        force_block=train,
        fields=acting,
        influences=influences,
        shown_influences=shown,
        flow_scores=scores,
    )


def _with_flow(train: Block, select: Block, alone: Any, score: Any, config: FitConfig) -> tuple[Candidate, list[dict]]:
    """Return the fields alone with the number of splines that predicts the selection block best."""
    if config.flow != "smooth":
        return alone(train, 0), []
    scores: list[dict[str, Any]] = []
    found = []
    for count in config.flow_splines:
        try:
            candidate = alone(train, count)
        except np.linalg.LinAlgError as error:
            scores.append({"splines": count, "log_likelihood": None, "note": str(error)})
            continue
        likelihood = score(select, candidate)[0]
        value = float(likelihood.mean()) if len(likelihood) else 0.0
        scores.append({"splines": count, "log_likelihood": value})
        found.append((value, -count, candidate))
    if not found:
        raise DataError(
            "no smooth flow that could be fitted", expected="particles all over the view", action="use fewer splines"
        )
    return max(found, key=lambda entry: entry[:2])[2], scores
