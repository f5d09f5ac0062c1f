"""What a fit in external fields reports: stiffness of the traps, the flow, and what a rollout needs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from colloid_cg.dynamics import flow_basis
from colloid_cg.errors import DataError
from colloid_cg.learn import diagnostics as check
from colloid_cg.learn.config import FitConfig
from colloid_cg.learn.field_errors import TrapFits, fit_traps
from colloid_cg.learn.field_fit import noise_in_fields, settled
from colloid_cg.learn.field_plan import FieldPlan, FieldResult
from colloid_cg.learn.field_warnings import field_warnings
from colloid_cg.learn.problem import Block
from colloid_cg.learn.sandwich import half_width
from colloid_cg.learn.series import every_nth_frame
from colloid_cg.learn.stride import intervals
from colloid_cg.records import ModelBundle, StateSeries, metric

_GRID = 9


def with_fields(
    bundle: ModelBundle, plan: FieldPlan, result: FieldResult, *, series: StateSeries, n_species: int, seed: int
) -> ModelBundle:
    """Return the bundle with metrics, curves and weights of the fields."""
    metrics, diagnostics = dict(bundle.metrics), dict(bundle.diagnostics)
    weights, config = dict(bundle.weights), dict(bundle.config)
    fields: dict[str, Any] = {"n_prescribed": plan.n_prescribed, "camera_frame": plan.config.in_camera_frame}
    if result.fields.columns:
        traps = _traps(plan, result, seed)
        metrics |= _trap_metrics(result, traps, plan)
        weights |= _trap_weights(plan, result)
        fields["wells"] = plan.traps if isinstance(plan.traps, str) else "table"
    diagnostics["half_rate"] = half_rate(plan, result, series, n_species)
    if sentences := field_warnings(plan, result):
        diagnostics["field_warnings"] = sentences
    if plan.prescribed is not None:
        names = ["frame", "particle", "species"]
        weights["prescribed_rows"] = plan.prescribed[names].to_numpy(dtype=float)
        weights["prescribed_positions"] = plan.prescribed[["x", "y"]].to_numpy(dtype=float) * plan.train.pixel_size
        fields["prescribed_are_tracked"] = bool(plan.config.prescribed_particles)
    if plan.flow is not None:
        weights |= {f"flow_{name}": np.asarray(getattr(plan.flow, name), dtype=float) for name in ("frames", "x", "y")}
        weights["flow_values"] = plan.flow.values
        fields["flow"] = "given"
    elif plan.config.flow is not None:
        metrics |= _flow_metrics(result)
        diagnostics["flow"] = _flow_curve(result)
        weights["flow_coefficients"] = _flow_of(result)
        fields["flow"] = "smooth"
        fields["flow_box"] = [list(map(float, side)) for side in (series.box.lower, series.box.upper)]
    diagnostics["not_modelled"] = not_modelled(diagnostics["not_modelled"], plan.config)
    return replace(
        bundle, metrics=metrics, diagnostics=diagnostics, weights=weights, config=config | {"fields": fields}
    )


def not_modelled(stated: list[str], config: FitConfig) -> list[str]:
    """Return what remains of the list of what is not modelled."""
    left = []
    for item in stated:
        if item.startswith("external fields"):
            item = "external fields other than those given (gravity, walls, light)"
        if item.startswith("active motion and flow") and config.flow is not None:
            item = "active motion, and flow other than the background flow"
        left.append(item)
    return left


def _traps(plan: FieldPlan, result: FieldResult, seed: int) -> TrapFits:
    half = float(half_width(result.influences, np.eye(result.influences[0].shape[1]))[0])
    return fit_traps(
        result.block, result.final, result.fields, plan.config, seed=seed, diffusion_half_width=half
    )  # fmt: skip


def _first_field(result: FieldResult) -> int:
    """Column of the influence in which the strengths begin."""
    return len(result.final.noise.parameters) + result.final.model.coefficients.size


def _trap_metrics(result: FieldResult, traps: TrapFits, plan: FieldPlan) -> dict[str, list[dict[str, Any]]]:
    strengths, column = result.final.acting, _first_field(result)
    half = half_width(result.influences, np.eye(result.influences[0].shape[1]))
    count = len(np.unique(result.fields.trap[result.fields.trap >= 0]))
    kind = "centre of each estimated from its track, bias of that removed" if result.fields.halves is not None else (
        "centres given"
    )  # fmt: skip
    blur = "" if result.block.series.exposure is not None else "; exposure unknown, no blur assumed"
    shared = metric(
        strengths.stiffness,
        low90=strengths.stiffness - float(half[column]),
        high90=strengths.stiffness + float(half[column]),
        unit="k_B T/um2",
        note=f"shared by all {count} traps; {kind}{blur}",
    )
    names = trap_names(result)
    own = [
        metric(
            float(k),
            low90=float(k - width),
            high90=float(k + width),
            unit="k_B T/um2",
            note=f"{names[int(trap)]} alone, from {rows} steps",
        )
        for trap, k, width, rows in zip(traps.trap, traps.stiffness, traps.half_width, traps.rows, strict=True)
    ]
    found = {"trap_stiffness": [shared, *own]}
    if result.fields.columns == 2:
        found["trap_quartic"] = [
            metric(
                strengths.quartic,
                low90=strengths.quartic - float(half[column + 1]),
                high90=strengths.quartic + float(half[column + 1]),
                unit="k_B T/um4",
                note=f"shared by all {count} traps: the force is -(k + q u^2) u{blur}",
            )
        ]
    return found


def trap_names(result: FieldResult) -> dict[int, str]:
    """Return what to call each trap: by its centre, and by its particle where every particle has its own."""
    fields, block = result.fields, result.block
    names = {}
    for trap in np.unique(fields.trap[fields.trap >= 0]):
        row = int(np.flatnonzero(fields.trap == trap)[0])
        where = ", ".join(f"{value:.3f}" for value in fields.centre[row])
        whose = f" of particle {int(block.series.particle[row])}" if fields.halves is not None else ""
        names[int(trap)] = f"trap {int(trap)}{whose} at ({where}) um"
    return names


def _trap_weights(plan: FieldPlan, result: FieldResult) -> dict[str, np.ndarray]:
    strengths, fields, block = result.final.acting, result.fields, result.block
    rows = np.flatnonzero(fields.trap >= 0)
    _, first = np.unique(block.series.particle[rows], return_index=True)
    rows = rows[first]
    weights = {
        "trap_strengths": np.array([strengths.stiffness, strengths.quartic]),
        "trap_particles": block.series.particle[rows].astype(float),
        "trap_centres": fields.centre[rows],
    }
    if plan.traps is not None and not isinstance(plan.traps, str) and "particle" not in plan.traps.columns:
        weights["trap_sites"] = plan.traps[["x", "y"]].to_numpy(dtype=float) * plan.train.pixel_size
    return weights


def half_rate(plan: FieldPlan, result: FieldResult, series: StateSeries, n_species: int) -> dict[str, Any]:
    """Return D refitted on every second frame in the same fields: a right model gives the same D."""
    final, thinned = result.final, every_nth_frame(series, 2)
    rate = check.relaxation(result.block.residuals(final.model))
    if 2.0 * rate > check.LARGEST_RATE:
        return check.too_fast_for_half_rate(rate)
    nothing = {"value": None, "low90": None, "high90": None}
    reach: dict[str, Any] = {"noise_form": "constant" if (form := result.block.detection) is None else form.form}
    if final.model.n_knots:
        reach |= {"cutoff": final.model.cutoff, "diffusion": float(final.model.diffusion.max())}
    try:
        block, fields = plan.block(
            thinned, n_species=n_species, drift=result.block.drift / series.frame_interval, **reach
        )
        data = settled(block, fields, final.acting).residuals(final.model)
        if data.joined.sum() < 50:
            return nothing | {"note": "too few frames to thin"}
        noise = block.noise(data, scores=True)
        noise = replace(
            noise,
            diffusion=noise_in_fields(block, final.model, fields, final.acting, noise.parameters).diffusion,
        )
    except DataError as error:
        return nothing | {"note": f"no fit at half the rate: {error}"}
    value, width = (
        float(noise.diffusion[0]),
        float(intervals(noise, block.series, data.row, plan.config.time_blocks)[0]),
    )
    full = float(final.noise.diffusion[0])
    agrees = abs(value - full) <= width + 0.02 * full
    note = "agrees with the full rate" if agrees else (
        "differs from the full rate: the noise or motion model is not right"
    )  # fmt: skip
    return {"value": value, "low90": value - width, "high90": value + width, "note": note}


def _flow_of(result: FieldResult) -> np.ndarray:
    flow = result.final.acting.flow
    return np.zeros((0, 0, 2)) if flow is None else flow


def _flow_at(result: FieldResult, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the fitted flow and half its 90 % interval at ``points`` (n, 2) um, both (n, 2) in um/s."""
    flow, block = _flow_of(result), result.block
    lower, upper = (np.asarray(side, dtype=float) for side in (block.series.box.lower, block.series.box.upper))
    basis = flow_basis(points, lower, upper, len(flow)).toarray()
    first = _first_field(result) + result.fields.columns
    width, count = result.influences[0].shape[1], len(flow) ** 2
    half = np.empty((len(points), 2))
    for axis in (0, 1):
        direction = np.zeros((len(points), width))
        direction[:, first + axis * count : first + (axis + 1) * count] = basis
        half[:, axis] = half_width(result.influences, direction)
    return basis @ flow.reshape(-1, 2), half


def _grid(block: Block) -> np.ndarray:
    lower, upper = np.asarray(block.series.box.lower), np.asarray(block.series.box.upper)
    share = (np.arange(_GRID) + 0.5) / _GRID
    places = np.stack(np.meshgrid(share, share, indexing="ij"), axis=-1).reshape(-1, 2)
    return np.asarray(lower + places * (upper - lower))


def _flow_curve(result: FieldResult) -> dict[str, Any]:
    points = _grid(result.block)
    value, half = _flow_at(result, points)
    curve: dict[str, Any] = {"x": points[:, 0].tolist(), "y": points[:, 1].tolist(), "scores": result.flow_scores}
    for axis, name in enumerate(("u_x", "u_y")):
        curve[name] = value[:, axis].tolist()
        curve[f"{name}_low90"] = (value - half)[:, axis].tolist()
        curve[f"{name}_high90"] = (value + half)[:, axis].tolist()
    return curve


def _flow_metrics(result: FieldResult) -> dict[str, list[dict[str, Any]]]:
    box = result.block.series.box
    middle = 0.5 * (np.asarray(box.lower) + np.asarray(box.upper))[None]
    value, half = _flow_at(result, middle)
    count = len(_flow_of(result))
    entries = [
        metric(
            float(value[0, axis]),
            low90=float(value[0, axis] - half[0, axis]),
            high90=float(value[0, axis] + half[0, axis]),
            unit="um/s",
            note=f"along {name} in the middle of the view; smooth steady flow of {count} x {count} splines",
        )
        for axis, name in enumerate("xy")
    ]
    return {"flow_velocity": entries}
