"""Figures of pair dynamics fitted to positions and velocities: friction, comparison with rollouts, ledger."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from colloid_cg.records import Rollout
from colloid_cg.reporting.figures.comparison import draw_curves, draw_residual, titled, with_residual
from colloid_cg.reporting.figures.style import (
    BLUE,
    CYCLE,
    GREEN,
    INK,
    MODEL,
    MUTED,
    VERMILLION,
    axes_of,
    floats,
    new_figure,
    plain_log,
    remark,
    styled,
)
from colloid_cg.reporting.units import Units

WORDS = ("rollouts, 90 % band", "test block, 90 %")
_NAMES = {"rdf": "Pair correlation", "msd": "Mean squared displacement", "vacf": "Velocity autocorrelation"}


@styled
def figure_friction_scan(scan: dict[str, Any], fitted: dict[str, Any], units: Units) -> Figure:
    """Friction against the time over which random impulses are taken, with the law of memory and the fit."""
    figure = new_figure()
    (axes,) = axes_of(figure)
    lag, value = floats(scan["lag"]), floats(scan["value"])
    bars = np.clip([value - floats(scan["low90"]), floats(scan["high90"]) - value], 0.0, None)
    first, second = scan["windows"]
    axes.axvspan(first, second, color=MUTED, alpha=0.15, linewidth=0, label="windows of the fit")
    if fitted["low90"] is not None:
        axes.axhspan(fitted["low90"], fitted["high90"], color=BLUE, alpha=0.2, linewidth=0)
    axes.axhline(fitted["value"], color=BLUE, linewidth=1.2, label="fit, 90 % interval")
    fine, memory = np.geomspace(0.7 * lag[0], lag[-1], 200), scan["memory_time"]
    ratio = fine / memory if memory > 0.0 else np.full(200, np.inf)
    law = scan["plateau"] * (1.0 + np.where(np.isfinite(ratio), np.expm1(-ratio) / ratio, 0.0))
    axes.plot(fine, law, color=VERMILLION, linewidth=1.2, label="exponential memory")
    axes.errorbar(lag, value, yerr=bars, fmt="o", color=INK, capsize=3, label="each window alone, 90 %")
    axes.set(
        xlabel=f"window of the impulses{units.of_time}", ylabel=f"friction over mass{units.of('1/s', '')}",
        title="Friction against lag",
    )  # fmt: skip
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    plain_log(axes, x=True)
    axes.legend(loc="lower right")
    return figure


@styled
def figure_force_of(table: pd.DataFrame, units: Units) -> Figure:
    """Pair force over k_B T with its 90 % band, a colour per species pair."""
    figure = new_figure()
    (axes,) = axes_of(figure)
    for number, (label, part) in enumerate(_parts(table)):
        colour = CYCLE[number % len(CYCLE)]
        axes.fill_between(part["r"], part["low90"], part["high90"], color=colour, alpha=0.22, linewidth=0)
        band = "90 % band" if part["low90"].notna().any() else "no band"
        axes.plot(part["r"], part["force"], color=colour, label=f"{label}{band}")
    axes.axhline(0.0, color=MUTED, linewidth=0.8)
    axes.set(xlabel=f"pair distance r{units.of_length}", ylabel=f"force{units.of_force}", title="Pair force")
    axes.legend()
    return figure


@styled
def figure_friction_of(table: pd.DataFrame, units: Units) -> Figure:
    """Friction between two particles along and across their line, with 90 % bands, a panel per species pair."""
    parts = _parts(table)
    figure = new_figure(max(4.6, 3.4 * len(parts)), 3.2)
    for axes, (label, part) in zip(axes_of(figure, 1, len(parts)), parts, strict=True):
        for name, words, colour in (("along", "along the line", BLUE), ("across", "across it", VERMILLION)):
            axes.fill_between(
                part["r"], part[f"{name}_low90"], part[f"{name}_high90"], color=colour, alpha=0.22, linewidth=0
            )
            band = ", 90 % band" if part[f"{name}_low90"].notna().any() else ""
            axes.plot(part["r"], part[name], color=colour, label=f"{words}{band}")
        axes.axhline(0.0, color=MUTED, linewidth=0.8)
        axes.set(xlabel=f"pair distance r{units.of_length}", title=f"Pair friction {label.rstrip(', ')}".strip())
    figure.axes[0].set_ylabel(f"friction, mass over time{units.of('mass/s', '')}")
    figure.axes[0].legend()
    return figure


def _parts(table: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    groups = [(f"species {a}–{b}, ", part) for (a, b), part in table.groupby(["species_a", "species_b"])]
    return groups if len(groups) > 1 else [("", part) for _, part in groups]


@styled
def figure_phase_comparison(name: str, comparison: dict[str, Any], units: Units) -> Figure:
    """One observable ("rdf", "msd", "vacf") of test block and rollouts, with the difference over its error."""
    figure = new_figure(4.6, 3.9)
    upper, lower = with_residual(figure)
    draw_curves(upper, comparison, words=WORDS)
    draw_residual(lower, comparison)
    _labelled(upper, lower, name, units)
    upper.set_title(titled(_NAMES[name], comparison))
    if name == "msd" and len(comparison["x"]) > 1 and np.nanmin(floats(comparison["experiment"])) > 0.0:
        plain_log(upper, x=True, y=True)
    upper.legend()
    return figure


def _labelled(upper: Axes, lower: Axes, name: str, units: Units) -> None:
    if name == "rdf":
        upper.axhline(1.0, color=MUTED, linewidth=0.8)
        upper.set_ylim(bottom=0.0)
    if name == "vacf":
        upper.axhline(0.0, color=MUTED, linewidth=0.8)
    quantity = {
        "rdf": "g(r)",
        "msd": f"mean squared displacement\n{units.of('µm²', '').strip()}",
        "vacf": f"⟨v(0)·v(t)⟩/d{units.of('µm²/s²', '')}",
    }
    upper.set_ylabel(quantity[name])
    lower.set_xlabel(f"pair distance r{units.of_length}" if name == "rdf" else f"lag{units.of_time}")


@styled
def figure_references(references: list[dict[str, Any]], units: Units) -> Figure:
    """Rollouts beside curves measured elsewhere, a panel per observable."""
    names = [name for name in _NAMES if any(name in reference for reference in references)]
    figure = new_figure(max(4.6, 3.3 * len(names)), 3.2)
    for axes, name in zip(axes_of(figure, 1, len(names)), names, strict=True):
        known = [reference for reference in references if name in reference]
        for number, reference in enumerate(known):
            curve, colour = reference[name], (INK, GREEN, BLUE)[number % 3]
            x, model, error = floats(curve["x"]), floats(curve["model"]), np.nan_to_num(floats(curve["model_error"]))
            if number == 0:
                low, high = model - 1.645 * error, model + 1.645 * error
                axes.fill_between(x, low, high, color=MODEL, alpha=0.25, linewidth=0)
                axes.plot(x, model, color=MODEL, label=WORDS[0])
            label = f"{reference['source']}: {100 * (curve['rrmse'] or 0.0):.2g} %"
            axes.plot(x, floats(curve["reference"]), "--", color=colour, linewidth=1.1, label=label)
        _labelled(axes, axes, name, units)
        axes.set_title(_NAMES[name])
        axes.legend(fontsize=7, loc="upper right" if name == "vacf" else "lower right")
    return figure


@styled
def figure_phase_ledger(rollout: Rollout, units: Units) -> Figure:
    """Kinetic temperature, heat, entropy, first law, absorbed energy and momentum of every replica."""
    figure = new_figure(9.4, 5.2)
    ledger, (_, frames, particles, dimension) = rollout.ledger, rollout.positions.shape
    time, kinetic = np.arange(frames) * rollout.frame_interval, _known(ledger.kinetic, rollout)
    panels = axes_of(figure, 2, 3)
    curves = (
        ("Kinetic temperature", "2K / (d(N − 1) kT)", 2.0 * kinetic / (dimension * (particles - 1))),
        ("Internal energy", "change per particle (kT)", _gained(ledger.internal, rollout) / particles),
        ("Entropy", "change per particle (k)", _gained(ledger.entropy, rollout) / particles),
        ("First law", "|ΔE − W + Q_bath| / K₀", np.abs(ledger.residual()) / kinetic[:, :1]),
        ("Absorbed integrator error", "of K₀", _gained(ledger.absorbed, rollout) / kinetic[:, :1]),
        ("Momentum", "|Δp| / Σ m|v|", _momentum(rollout)),
    )
    for axes, (title, label, values) in zip(panels, curves, strict=True):
        axes.set_title(title)
        if title in ("First law", "Momentum"):
            if not np.nan_to_num(values).any():
                remark(axes, "zero to the last bit")
                continue
            values = np.maximum(values, np.nanmin(values[values > 0.0]))  # exact zeros have no place on this scale
        axes.plot(time, values.T, color=BLUE, alpha=0.6, linewidth=0.9)
        axes.set(xlabel=f"time{units.of_time}", ylabel=label)
        if title in ("First law", "Momentum"):
            axes.set_ylim(0.3 * np.nanmin(values), 10.0 * np.nanmax(values))
            plain_log(axes, y=True)
    panels[0].axhline(1.0, color=MUTED, linewidth=0.8)
    return figure


def _known(values: np.ndarray | None, rollout: Rollout) -> np.ndarray:
    return np.full(rollout.ledger.energy.shape, np.nan) if values is None else np.asarray(values)


def _gained(values: np.ndarray | None, rollout: Rollout) -> np.ndarray:
    known = _known(values, rollout)
    return np.asarray(known - known[:, :1])


def _momentum(rollout: Rollout) -> np.ndarray:
    """Return |p(t) - p(0)| over sum m |v| at the start, shape (replicas, T)."""
    masses: Any = rollout.metadata.get("masses")
    if rollout.ledger.momentum is None or rollout.velocities is None or masses is None:
        return _known(None, rollout)
    own = np.asarray(masses, dtype=float)[rollout.species]
    scale = (own * np.linalg.norm(rollout.velocities[:, 0], axis=2)).sum(axis=1)
    moved = np.linalg.norm(rollout.ledger.momentum - rollout.ledger.momentum[:, :1], axis=2)
    return np.asarray(moved / scale[:, None])
