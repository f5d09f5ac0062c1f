"""Sections of a run that was imported from a simulation: what it is, and pair dynamics fitted to its velocities."""

from __future__ import annotations

from typing import Any

import numpy as np

from colloid_cg.learn.kinds import HIDDEN_ENTROPY, in_phase_space
from colloid_cg.reporting.checks.check import entries
from colloid_cg.reporting.content import ReportContent
from colloid_cg.reporting.figures.phase import (
    figure_force_of,
    figure_friction_of,
    figure_friction_scan,
    figure_phase_comparison,
    figure_phase_ledger,
    figure_references,
)
from colloid_cg.reporting.numbers import percent, plain, short
from colloid_cg.reporting.sections.hidden_entropy import hidden_entropy_section
from colloid_cg.reporting.sections.hidden_variables import hidden_variables_section
from colloid_cg.reporting.sections.physics import (
    comparison_section,
    dynamics_section,
    ledger_section,
    metrics_table,
    structure_section,
)
from colloid_cg.reporting.sections.section import Picture, Section, Table, warning_line
from colloid_cg.reporting.units import units_of

_CAPTIONS = {
    "rdf": "Pair correlation of the test block and of rollouts. It is set by the forces alone: friction does not show.",
    "msd": "Mean squared displacement of unwrapped positions about the common motion. Below: difference / error.",
    "vacf": "Velocity autocorrelation per component, about the common motion; equipartition sets its value at zero.",
}


def simulation_sections(content: ReportContent) -> list[Section]:
    """Return the sections in the order of the page, those of videos left out."""
    fitted = content.model is not None and in_phase_space(content.model.config)
    sections = [simulation_section(content)]
    if content.fields is not None:
        sections += [structure_section(content), hidden_variables_section(content)]
    if content.model is not None and not fitted:
        return [*sections, dynamics_section(content), comparison_section(content), ledger_section(content)]
    return [*sections, pair_dynamics_section(content), rollout_section(content), laws_section(content)]


def simulation_section(content: ReportContent) -> Section:
    """Say what was imported: particles, frames, cell, masses, temperature."""
    tracks = content.tracks
    if tracks is None:
        return Section(anchor="movie", title="The simulation", missing="colloid-cg import FILE -o RUN")
    known = tracks.metadata.get("simulation") or {}
    velocities = f"v{tracks.axes[0]}" in tracks.table.columns
    edges = " × ".join(short(float(length)) for length in tracks.box.lengths)
    open_axes = [axis for axis, wraps in zip("xyz", tracks.box.periodic, strict=False) if not wraps]
    rows = [
        ("units", f"{tracks.length_unit}; lengths and times on this page are in these units"),
        ("particles", f"{tracks.n_particles:,} in {tracks.dimension} dimensions"),
        ("frames", f"{tracks.n_frames:,}, one every {short(tracks.frame_interval)}"),
        ("cell", f"{edges}, " + (f"open along {', '.join(open_axes)}" if open_axes else "periodic")),
        ("velocities", "with the positions" if velocities else "none"),
        ("masses by species", ", ".join(short(float(mass)) for mass in known.get("masses") or ()) or "unknown"),
        ("k_B T", "unknown" if known.get("thermal_energy") is None else short(float(known["thermal_energy"]))),
    ]
    warnings = tuple(warning_line(f"{str(line).rstrip('.')}.") for line in known.get("warnings") or ())
    table = Table(head=("quantity", "value"), rows=tuple(rows))
    return Section(anchor="movie", title="The simulation", text=warnings, tables=(table,))


def pair_dynamics_section(content: ReportContent) -> Section:
    """Show force, friction and memory of the fit."""
    model, title = content.model, "Dynamics"
    if model is None:
        return Section(anchor="dynamics", title=title, missing="colloid-cg fit RUN")
    if model.config["kind"] == HIDDEN_ENTROPY:
        return hidden_entropy_section(model, units_of(content))
    units, (first, second) = units_of(content), model.config["windows"]
    given = (model.config.get("momentum") or {}).get("windows") is not None
    forgotten = "the first times at which random forces are forgotten on the selection block"
    chosen = "as the settings say" if given else forgotten
    text = (
        "Pair force and pair friction, equal and opposite for the two of a pair, with the noise that belongs to the "
        f"friction at k_B T: momentum is conserved. The friction is read from random impulses over {first} and {second}"
        f" frames, {chosen}. The model is isothermal: the heat capacity of a particle is assumed, not measured.",
    )
    pictures = [
        Picture(
            name="dynamics_scan",
            figure=figure_friction_scan(model.diagnostics["friction_scan"], entries(model, "friction")[0], units),
            caption="Friction that a fit to impulses over one window alone would give. Random forces that remember "
            "themselves hide friction from short windows; slow collective motion adds to long ones.",
        ),
        Picture(
            name="dynamics_force",
            figure=figure_force_of(model.pair_force, units),
            caption="Fitted pair force over the thermal energy, from the shortest distance seen in training. It goes "
            "on below as a straight line.",
        ),
    ]
    if model.pair_friction is not None:
        caption = (
            "Friction along and across the line between two particles. The band is that of fits free of sign; the "
            "fit itself is not negative."
        )
        figure = figure_friction_of(model.pair_friction, units)
        pictures.append(Picture(name="dynamics_friction", figure=figure, caption=caption))
    warnings = tuple(warning_line(line) for line in model.diagnostics.get("warnings") or ())
    return Section(
        anchor="dynamics",
        title=title,
        text=(*text, *warnings),
        pictures=tuple(pictures),
        tables=(metrics_table(model),),
    )


def rollout_section(content: ReportContent) -> Section:
    """Show test block and references beside rollouts."""
    found, title, units = content.assessment, "Simulation against model", units_of(content)
    if not found:
        known = content.rollout is not None
        missing = "colloid-cg assess RUN" if known else "colloid-cg simulate RUN, then colloid-cg assess RUN"
        return Section(anchor="comparison", title=title, missing=missing)
    pictures = [
        Picture(name=f"comparison_{name}", figure=figure_phase_comparison(name, found[name], units), caption=caption)
        for name, caption in _CAPTIONS.items()
    ]
    if any(name in reference for reference in found["references"] for name in _CAPTIONS):
        caption = (
            "Rollouts beside curves measured elsewhere, with the RRMSE over the lags shown. The band is the model's "
            "own uncertainty; that of the reference is not known."
        )
        figure = figure_references(found["references"], units)
        pictures.append(Picture(name="comparison_references", figure=figure, caption=caption, wide=True))
    frames, hidden = found["frames"], found.get("kind") == HIDDEN_ENTROPY
    begin = (
        "with the velocities as they are and the internal energies at which the fit ended; k_B T below is that of the "
        "motion in the test block"
        if hidden
        else "at rest and scaled to k_B T"
    )
    text = (
        f"The test block ({frames['experiment']} frames) was used neither for fitting nor for selection. "
        f"{frames['replicas']} rollouts of {frames['rollout']} frames start from its first frame, {begin}. "
        "RRMSE = √(Σ(model − test)² / Σ test²); the reference is the first half of the test block against its "
        "second half."
    )
    warnings = tuple(warning_line(line) for line in found.get("warnings") or [])
    tables = (candidates_table(found["candidates"]),)
    return Section(anchor="comparison", title=title, text=(text, *warnings), pictures=tuple(pictures), tables=tables)


_FIGURES = {
    "rdf_rrmse": ("g(r), RRMSE", percent),
    "msd_rrmse": ("mean squared displacement, RRMSE", percent),
    "vacf_rrmse": ("velocity autocorrelation, RRMSE", percent),
    "vacf_zero_ratio": ("VACF(0) over kT⟨1/m⟩", plain),
    "temperature": ("kinetic temperature (kT)", plain),
    "first_law_residual_over_kinetic": ("|ΔE − W + Q_bath| / K₀, largest", plain),
    "momentum_drift": ("|Δp| / Σ m|v|, largest", plain),
    "absorbed_per_10000_steps_over_kinetic": ("absorbed in 10⁴ steps / K₀", plain),
    "redrawn": ("particle-steps with noise redrawn", plain),
}


def candidates_table(candidates: dict[str, Any]) -> Table:
    """Return the figures of the model, and of other dynamics where there are any, a column for each."""
    own = candidates["model"]
    names = [name for name in own if name in _FIGURES]
    far = [name for name in own if "_rrmse_" in name]
    rows = [
        (_FIGURES[name][0], *(_FIGURES[name][1](figures.get(name)) for figures in candidates.values()))
        for name in names
    ]
    rows += [
        (
            f"{name.replace('_rrmse_', ', RRMSE against ')}",
            *(percent(figures.get(name)) for figures in candidates.values()),
        )
        for name in far
    ]
    return Table(head=("figure", *candidates), rows=tuple(rows), caption="Figures on the test block and of the laws")


def laws_section(content: ReportContent) -> Section:
    """Show energy, momentum, entropy and temperature of the rollouts."""
    title = "Laws in the rollouts"
    if content.rollout is None:
        return Section(anchor="ledger", title=title, missing="colloid-cg simulate RUN")
    rule = str(content.rollout.metadata.get("time_step_rule", ""))
    caption = (
        "One line per rollout; K₀ is the kinetic energy at the start. Energy is conserved to round-off by "
        "construction; the absorbed energy is the error of the conservative steps, which the internal energy takes up. "
    )
    if content.model is not None and content.model.config.get("kind") == HIDDEN_ENTROPY:
        caption += "kT is that of the motion in the training block."
    else:
        caption += (
            "Entropy may fall: all particles start with one temperature, where it is largest; at equilibrium their "
            "internal energies fluctuate, which costs up to k/2 each."
        )
    picture = Picture(
        name="ledger", figure=figure_phase_ledger(content.rollout, units_of(content)), caption=caption, wide=True
    )
    rows = tuple(
        (name.replace("_", " "), plain(value) if isinstance(value, (int, float)) else str(value))
        for name, value in ((content.assessment or {}).get("ledger") or {}).items()
        if value is not None and not (isinstance(value, float) and not np.isfinite(value))
    )
    tables = (Table(head=("quantity", "value"), rows=rows, caption="Ledger in numbers", folded=True),) if rows else ()
    return Section(
        anchor="ledger", title=title, text=(f"Time step: {rule}.",) if rule else (), pictures=(picture,), tables=tables
    )
