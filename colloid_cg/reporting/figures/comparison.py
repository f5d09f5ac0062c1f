"""Figures of experiment against model, and of the ledger of the rollouts."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from colloid_cg.records import Rollout
from colloid_cg.reporting.figures.style import (
    BLUE,
    EXPERIMENT,
    MODEL,
    MUTED,
    axes_of,
    floats,
    new_figure,
    plain_log,
    remark,
    styled,
)


@styled
def figure_rdf(comparison: dict[str, Any]) -> Figure:
    """Pair correlation function of experiment and rollouts, with the difference in units of its error."""
    figure = new_figure(4.6, 3.9)
    upper, lower = with_residual(figure)
    draw_curves(upper, comparison)
    upper.axhline(1.0, color=MUTED, linewidth=0.8)
    upper.set(ylabel="g(r)", title=titled("Pair correlation", comparison))
    upper.set_ylim(bottom=0.0)
    upper.legend()
    draw_residual(lower, comparison)
    lower.set_xlabel("pair distance r (µm)")
    return figure


@styled
def figure_msd(comparison: dict[str, Any]) -> Figure:
    """Mean squared displacement of experiment and rollouts (localisation noise included in both)."""
    figure = new_figure(4.6, 3.9)
    upper, lower = with_residual(figure)
    draw_curves(upper, comparison)
    upper.set(ylabel="mean squared displacement (µm²)", title=titled("Mean squared displacement", comparison))
    if np.nanmin(floats(comparison["experiment"])) > 0.0 and len(comparison["x"]) > 1:
        plain_log(upper, x=True, y=True)
    upper.legend()
    draw_residual(lower, comparison)
    lower.set_xlabel("lag (s)")
    return figure


@styled
def figure_van_hove(comparison: dict[str, Any]) -> Figure:
    """Distributions of the displacement along one axis at a few lags, experiment and rollouts."""
    curves = comparison["lags"]
    figure = new_figure(max(4.6, 3.1 * len(curves)), 3.1)
    for axes, curve in zip(axes_of(figure, 1, len(curves)), curves, strict=True):
        draw_curves(axes, curve)
        axes.set(xlabel="displacement (µm)", title=f"lag {curve['lag_s']:.3g} s")
        positive = floats(curve["experiment"])
        positive = positive[positive > 0]
        if len(positive):
            axes.set_ylim(0.5 * positive.min(), 2.5 * positive.max())
            plain_log(axes, y=True)
    figure.axes[0].set_ylabel("probability density (1/µm)")
    figure.axes[0].legend(loc="lower center")
    return figure


@styled
def figure_ledger(rollout: Rollout) -> Figure:
    """Energy, entropy given to the bath and the first-law residual of every replica."""
    figure = new_figure(9.4, 2.9)
    energy, bath, first_law = axes_of(figure, 1, 3)
    particles, ledger = rollout.positions.shape[2], rollout.ledger
    time = np.arange(rollout.positions.shape[1]) * rollout.frame_interval
    for replica in range(rollout.n_replicas):
        energy.plot(time, ledger.energy[replica] / particles, color=BLUE, alpha=0.5, linewidth=0.9)
        bath.plot(time, ledger.bath_entropy[replica] / particles, color=BLUE, alpha=0.5, linewidth=0.9)
    energy.set(xlabel="time (s)", ylabel="Ψ per particle (kT)", title="Energy")
    bath.set(xlabel="time (s)", ylabel="entropy per particle (k)", title="Entropy given to the bath")
    _draw_residual(first_law, time, np.abs(ledger.residual()))
    return figure


def _draw_residual(axes: Axes, time: np.ndarray, residual: np.ndarray) -> None:
    axes.set_title("First-law residual")
    if not residual.any():
        remark(axes, "zero to the last bit")
        return
    # Exact zeros have no place on this scale; they are drawn at the smallest residual that is not zero.
    axes.plot(time, np.maximum(residual, residual[residual > 0].min()).T, color=BLUE, alpha=0.5, linewidth=0.9)
    axes.set(xlabel="time (s)", ylabel="|ΔΨ + TΔS − W| (kT)")
    plain_log(axes, y=True)


def with_residual(figure: Figure) -> tuple[Axes, Axes]:
    """Return axes for curves and, below, for their difference."""
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3.2, 1.0))
    return upper, lower


def draw_curves(
    axes: Axes, curve: dict[str, Any], *, words: tuple[str, str] = ("rollouts, 90 % band", "experiment, 90 %")
) -> None:
    """Draw a curve of rollouts with its band and one of the experiment with bars, under these words."""
    x = floats(curve["x"])
    model, model_error = floats(curve["model"]), np.nan_to_num(floats(curve["model_error"]))
    experiment, error = floats(curve["experiment"]), np.nan_to_num(floats(curve["experiment_error"]))
    axes.fill_between(x, model - 1.645 * model_error, model + 1.645 * model_error, color=MODEL, alpha=0.25, linewidth=0)
    axes.plot(x, model, color=MODEL, label=words[0])
    axes.errorbar(
        x, experiment, yerr=1.645 * error, fmt="o", color=EXPERIMENT, markersize=3, capsize=1.5, linewidth=0.9,
        label=words[1],
    )  # fmt: skip


def draw_residual(axes: Axes, curve: dict[str, Any]) -> None:
    """Draw the difference of two curves over its error; grey: two errors."""
    axes.axhspan(-2.0, 2.0, color=MUTED, alpha=0.15, linewidth=0)
    axes.axhline(0.0, color=MUTED, linewidth=0.8)
    scores = floats(curve["z"])
    axes.plot(floats(curve["x"]), scores, ".", color=BLUE)
    known = np.abs(scores[np.isfinite(scores)])
    limit = max(3.0, 1.15 * float(known.max())) if len(known) else 3.0
    axes.set(ylabel="difference\n/ error", ylim=(-limit, limit))


def titled(name: str, curve: dict[str, Any]) -> str:
    """Return a title with the RRMSE where it is known."""
    if curve.get("rrmse") is None:
        return name
    return f"{name}: RRMSE {100 * curve['rrmse']:.2g} %"
