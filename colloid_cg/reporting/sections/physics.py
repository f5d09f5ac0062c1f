"""Sections on structure, dynamics, comparison and ledger."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from colloid_cg.assessment import force_is_used
from colloid_cg.records import ModelBundle
from colloid_cg.reporting.checks.check import entries
from colloid_cg.reporting.content import ReportContent
from colloid_cg.reporting.figures.comparison import figure_ledger, figure_msd, figure_rdf, figure_van_hove
from colloid_cg.reporting.figures.dynamics import (
    figure_diffusion_against_lag,
    figure_innovations,
    figure_mobility,
    figure_pair_force,
    figure_pair_friction,
    figure_pair_potential,
    figure_regime,
    figure_selection,
)
from colloid_cg.reporting.figures.structure import figure_field_histogram, figure_field_map
from colloid_cg.reporting.numbers import entry_text, plain, with_interval
from colloid_cg.reporting.sections.event_comparison import events_picture, events_tables, events_text
from colloid_cg.reporting.sections.recording import diameter_of, on_the_camera
from colloid_cg.reporting.sections.section import Picture, Section, Table, warning_line


def structure_section(content: ReportContent) -> Section:
    """Show the first structural variable on a frame, and its distribution."""
    fields, title = content.fields, "Hidden structure"
    names = [] if fields is None else [name for name in fields.columns if name not in ("frame", "particle")]
    if fields is None or not names or fields.empty:
        return Section(anchor="structure", title=title, missing="colloid-cg structure RUN")
    name = "s0" if "s0" in names else names[0]
    label = "structural variable s0" if name == "s0" else name
    pictures = [
        Picture(
            name="structure_histogram",
            figure=figure_field_histogram(fields[name].to_numpy(dtype=float), label, normal=name == "s0"),
            caption="Its scale is a convention: standard normal on the training block, so only differences between "
            "particles mean something."
            if name == "s0"
            else f"Distribution of {name} over particles and frames.",
        )
    ]
    index, frame = _frame_to_show(content, fields, name)
    here = fields[fields["frame"] == index].merge(on_the_camera(content, index), on="particle", suffixes=("_field", ""))
    if len(here):
        figure = figure_field_map(here, name, frame=frame, index=index, label=label, diameter=diameter_of(content))
        caption = f"{label.capitalize()} of every particle on the frame it was computed from."
        pictures.insert(0, Picture(name="structure_map", figure=figure, caption=caption))
    tables = (Table(head=("quantity", "value"), rows=flattened(content.structure or {}), folded=True,
                    caption="How the variables were made"),) if content.structure else ()  # fmt: skip
    return Section(anchor="structure", title=title, pictures=tuple(pictures), tables=tables)


def _frame_to_show(content: ReportContent, fields: pd.DataFrame, name: str) -> tuple[int, np.ndarray | None]:
    """Return a frame in which most values of a field are known: with its picture if the report has one of such a frame.

    A variable over a window of frames is not known in the first ones.
    """
    known = fields.loc[np.isfinite(fields[name]), "frame"].value_counts()
    if known.empty:
        return content.frames[0] if content.frames else (int(fields["frame"].iloc[0]), None)
    enough = set(known.index[known >= 0.5 * known.max()])
    pictured = [(index, frame) for index, frame in content.frames if index in enough]
    return pictured[0] if pictured else (int(min(enough)), None)


def flattened(values: dict[str, Any], prefix: str = "") -> tuple[tuple[str, str], ...]:
    """Return nested dictionaries as rows of dotted names and short values, in the order of the names."""
    rows: list[tuple[str, str]] = []
    for name in sorted(values, key=str):
        value, label = values[name], f"{prefix}{name}"
        if isinstance(value, dict):
            rows.extend(flattened(value, f"{label}."))
        elif isinstance(value, (list, tuple)) and len(value) > 8:
            rows.append((label, f"{len(value)} values"))
        else:
            rows.append((label, "–" if value is None else str(value)))
    return tuple(rows)


def dynamics_section(content: ReportContent) -> Section:
    """Show regime, diffusion, force, potential and innovations of the fit."""
    model, title = content.model, "Dynamics"
    if model is None:
        return Section(anchor="dynamics", title=title, missing="colloid-cg fit RUN")
    diagnostics = model.diagnostics
    reasons = [
        (diagnostics.get("regime") or {}).get("reason"),
        _stride_reason(diagnostics.get("stride") or {}),
        diagnostics.get("selection_note"),
    ]
    text = tuple(f"{text[:1].upper()}{text[1:].rstrip('.')}." for text in reasons if text)
    odd = [line for name in ("trap_warnings", "field_warnings") for line in diagnostics.get(name) or []]
    return Section(
        anchor="dynamics",
        title=title,
        text=(*text, *(warning_line(line) for line in odd)),
        pictures=tuple(_dynamics_pictures(model, (content.assessment or {}).get("inversion") or {})),
        tables=(metrics_table(model),),
    )


def _stride_reason(stride: dict[str, Any]) -> str:
    if not stride or stride.get("frames") == 1:
        return ""
    return f"the fit uses one frame in {stride.get('frames')}: {stride.get('reason', '')}"


def _dynamics_pictures(model: ModelBundle, inversion: dict[str, Any]) -> list[Picture]:
    found, pictures = model.diagnostics, []
    if (found.get("regime") or {}).get("covariance"):
        caption = (
            "Covariance of displacements a number of frames apart. Localisation error makes lag 1 negative and blur "
            "positive; inertia shows beyond lag 1."
        )
        pictures.append(Picture(name="dynamics_regime", figure=figure_regime(found["regime"]), caption=caption))
    if (found.get("diffusion_against_lag") or {}).get("value"):
        figure = figure_diffusion_against_lag([found["diffusion_against_lag"]], entries(model, "diffusion_coefficient"))
        caption = "D from displacements over each lag, noise and blur taken off. Flat: free diffusion at every time."
        pictures.append(Picture(name="dynamics_diffusion", figure=figure, caption=caption))
    if len(model.pair_force):
        caption = "Fitted pair force with its 90 % band, in units of the thermal energy."
        if not force_is_used(model):
            caption += " Held-out frames do not support it: it is shown for its band, and rollouts run without it."
        figure = figure_pair_force(model.pair_force, found.get("force_samples") or {})
        pictures.append(Picture(name="dynamics_force", figure=figure, caption=caption))
        caption = (
            "Integral of the force from the cutoff inwards, zero there; the 90 % band follows from the errors of all "
            "coefficients of the force together."
        )
        figure = figure_pair_potential(model.pair_force, inversion, potentials=found.get("pair_potential"))
        pictures.append(Picture(name="dynamics_potential", figure=figure, caption=caption))
    if (found.get("pair_friction") or {}).get("r"):
        caption = (
            "Friction between neighbours along their line and across it, with 90 % bands. Drag from beyond the last "
            "distance counts as friction of the bath."
        )
        figure = figure_pair_friction(found["pair_friction"])
        pictures.append(Picture(name="dynamics_friction", figure=figure, caption=caption))
    pictures += _mobility(model)
    if (found.get("innovations") or {}).get("autocorrelation"):
        caption = (
            "What is left after one-step prediction. Inside the band it is noise; outside, the model misses something."
        )
        figure = figure_innovations(found["innovations"])
        pictures.append(Picture(name="dynamics_innovations", figure=figure, caption=caption))
    scores = [entry for entry in found.get("selection") or [] if entry.get("log_likelihood") is not None]
    if len(scores) > 1:
        caption = "How the flexibility of the force was chosen: on frames used neither for fitting nor for the test."
        if any("friction_knots" in entry for entry in scores):
            caption += " Beside each point: the knots of the pair friction."
        pictures.append(Picture(name="dynamics_selection", figure=figure_selection(scores), caption=caption))
    return pictures


def _mobility(model: ModelBundle) -> list[Picture]:
    diffusion, curves = entries(model, "diffusion_coefficient"), model.diagnostics.get("pair_mobility") or {}
    if not diffusion and not curves:
        return []
    caption = "D over the thermal energy, one number per species: no mobility that depends on neighbours is fitted."
    if curves:
        caption = (
            "Speed over force of each of two particles, alone in the bath and driven apart, or about each other, by "
            "opposite forces: (k_B T/m)/(γ + 2 g(r))."
        )
        if curves.get("along_low90") is None:
            caption += " No band: the friction γ of the bath has no interval while the range of friction is not known."
    figure = figure_mobility(diffusion, curves)
    return [Picture(name="dynamics_mobility", figure=figure, caption=caption)]


def metrics_table(model: ModelBundle) -> Table:
    """Return every reported quantity with its interval, unit and note."""
    rows = [
        (name, "–" if entry["species"] is None else str(entry["species"]), entry_text(entry), str(entry["note"]))
        for name, found in model.metrics.items()
        for entry in found
    ]
    return Table(head=("quantity", "species", "value", "note"), rows=tuple(rows))


def comparison_section(content: ReportContent) -> Section:
    """Show experiment beside rollouts."""
    assessment, title = content.assessment, "Experiment against model"
    if not assessment:
        missing = (
            "colloid-cg assess RUN"
            if content.rollout is not None
            else "colloid-cg simulate RUN, then colloid-cg assess RUN"
        )
        return Section(anchor="comparison", title=title, missing=missing)
    drawings = (
        ("rdf", figure_rdf, "Pair correlation of the test block and of rollouts seen through the same camera."),
        ("msd", figure_msd, "Mean squared displacement; both carry the localisation error. Below: difference / error."),
        (
            "van_hove",
            figure_van_hove,
            "Displacements along one axis. Straight flanks on this scale are exponential tails.",
        ),
    )
    pictures = tuple(
        Picture(name=f"comparison_{name}", figure=draw(assessment[name]), caption=caption, wide=name == "van_hove")
        for name, draw, caption in drawings
        if assessment.get(name)
    )
    frames = assessment.get("frames") or {}
    text = (
        f"The test block ({frames.get('experiment')} frames) was used neither for fitting nor for selection. "
        f"{frames.get('replicas')} rollouts of {frames.get('rollout')} frames start from its first frame and pass "
        "through the same blur, noise and view. RRMSE = √(Σ(model − experiment)² / Σ experiment²); the "
        "reference is the first half of the test block against its second half."
    )
    warnings = tuple(warning_line(line) for line in assessment.get("warnings") or [])
    events = assessment.get("events") or {}
    return Section(
        anchor="comparison",
        title=title,
        text=(text, *warnings, *events_text(events)),
        pictures=(*pictures, *events_picture(events)),
        tables=(*models_tables(assessment.get("models") or {}), *events_tables(events)),
    )


def models_tables(models: dict[str, Any]) -> tuple[Table, ...]:
    """Return the table of models side by side on the test block, or nothing."""
    rows = tuple(
        (f"{gain['model']} over {gain['over']}", with_interval(gain["value"], gain["low90"], gain["high90"]))
        for gain in models.get("gains", ())
    )
    caption = (
        "Gain in log-likelihood of one model over another on the test block, nats per particle and step: "
        "is a pair potential enough? The network may use any many-body, non-conservative or position-dependent drift. "
        f"{models.get('note', '')}"
    )
    return (Table(head=("models", "gain"), rows=rows, caption=caption),) if rows else ()


def ledger_section(content: ReportContent) -> Section:
    """Show energy, heat and the first-law residual of the rollouts."""
    if content.rollout is None:
        return Section(anchor="ledger", title="Ledger of the rollouts", missing="colloid-cg simulate RUN")
    picture = Picture(
        name="ledger",
        figure=figure_ledger(content.rollout),
        caption="One line per rollout. For overdamped motion Ψ is a free energy and the first law is bookkeeping: that "
        "equilibrium is right shows in g(r), not here. The entropy given to the bath may fall for a moment.",
        wide=True,
    )
    rows = tuple(
        (name.replace("_", " "), plain(value) if isinstance(value, (int, float)) else str(value))
        for name, value in ((content.assessment or {}).get("ledger") or {}).items()
    )
    tables = (Table(head=("quantity", "value"), rows=rows, caption="Ledger in numbers", folded=True),) if rows else ()
    return Section(anchor="ledger", title="Ledger of the rollouts", pictures=(picture,), tables=tables)


def field_names(fields: pd.DataFrame) -> list[str]:
    """Return the names of the field columns."""
    return [name for name in fields.columns if name not in ("frame", "particle")]
