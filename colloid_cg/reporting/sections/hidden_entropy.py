"""The section on a model with hidden entropies."""

from __future__ import annotations

from colloid_cg.records import ModelBundle
from colloid_cg.reporting.figures.hidden_entropy import (
    figure_equation_of_state,
    figure_heat_exchange,
    figure_temperatures,
)
from colloid_cg.reporting.figures.phase import figure_force_of, figure_friction_of
from colloid_cg.reporting.sections.physics import metrics_table
from colloid_cg.reporting.sections.section import Picture, Section, warning_line
from colloid_cg.reporting.units import Units


def hidden_entropy_section(model: ModelBundle, units: Units) -> Section:
    """Show temperatures, equation of state, frictions and heat exchange of the fit."""
    text = (
        "Every particle has an internal energy U(S, V) that nobody sees; V is the inverse of its local density. "
        "Energies were estimated from the motion, and U, frictions and heat exchange are those under which the next "
        "velocities are most probable. Energy and momentum are conserved; k_B = 1.",
    )
    pictures = [
        Picture(
            name="dynamics_temperatures",
            figure=figure_temperatures(model.diagnostics["temperatures"], units),
            caption="Training and selection block. At equilibrium both are the same; the particles start from one "
            "temperature by assumption, and what they do in the first frames was not learned from.",
        )
    ]
    if model.equation_of_state is not None:
        picture = Picture(
            name="dynamics_state",
            figure=figure_equation_of_state(model.equation_of_state, units),
            caption="U(S, V) within the 5–95 % of the energies and volumes that were visited. U = 0 at the mean energy "
            "of the first frame; the slope of U against k_B T is the heat capacity.",
            wide=True,
        )
        pictures.append(picture)
    if len(model.pair_force):
        figure = figure_force_of(model.pair_force, units)
        pictures.append(
            Picture(name="dynamics_force", figure=figure, caption="Force of the pair potential, beside the pressure.")
        )
    if model.pair_friction is not None:
        caption = "Friction along and across the line between two particles at k_B T of the motion in training."
        figure = figure_friction_of(model.pair_friction, units)
        pictures.append(Picture(name="dynamics_friction", figure=figure, caption=caption))
    if model.diagnostics["heat_exchange"]:
        caption = "It acts on the motion only through the energies: the least certain of the functions."
        figure = figure_heat_exchange(model.diagnostics["heat_exchange"], units)
        pictures.append(Picture(name="dynamics_heat", figure=figure, caption=caption))
    warnings = tuple(warning_line(line) for line in model.diagnostics.get("warnings") or ())
    return Section(
        anchor="dynamics", title="Dynamics", text=(*text, *warnings), pictures=tuple(pictures),
        tables=(metrics_table(model),),
    )  # fmt: skip
