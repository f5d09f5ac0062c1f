"""Figures of the fitted dynamics: regime, diffusion, force, potential, innovations, model selection."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from colloid_cg.assessment import potential_from_force
from colloid_cg.reporting.figures.style import (
    BLUE,
    CYCLE,
    GREEN,
    INK,
    MUTED,
    VERMILLION,
    axes_of,
    floats,
    new_figure,
    styled,
)


@styled
def figure_regime(regime: dict[str, Any]) -> Figure:
    """Covariance of displacements against lag, the evidence for overdamped or underdamped motion."""
    figure = new_figure()
    (axes,) = axes_of(figure)
    lags, covariance = floats(regime.get("lags")), floats(regime.get("covariance"))
    error = floats(regime.get("standard_error"))
    error = error if len(error) == len(lags) else np.zeros(len(lags))
    scale = abs(covariance[0]) or 1.0
    # Lag 0 is the variance itself: it would press the lags that matter onto the axis.
    later = lags > 0
    lags, covariance, bars = lags[later], covariance[later], 1.645 * error[later] / scale
    axes.axhline(0.0, color=MUTED, linewidth=0.8)
    axes.errorbar(lags, covariance / scale, yerr=bars, fmt="o", color=BLUE, capsize=3, label="measured, 90 % interval")
    axes.set(
        xlabel="lag (frames)", ylabel="covariance of displacements\n/ variance", title="Regime: covariance against lag"
    )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend()
    return figure


@styled
def figure_diffusion_against_lag(curves: list[dict[str, Any]], fitted: list[dict[str, Any]]) -> Figure:
    """D estimated at each lag beside the fitted D; a model that holds gives a flat line.

    Parameters
    ----------
    curves : list of dict
        ``lag_s, value, low90, high90`` (um2/s), one per species.
    fitted : list of dict
        Entries of the metric diffusion_coefficient.
    """
    figure = new_figure()
    (axes,) = axes_of(figure)
    for number, entry in enumerate(fitted):
        colour = CYCLE[number % len(CYCLE)]
        species = "" if entry.get("species") is None else f", species {entry['species']}"
        if entry.get("low90") is not None and entry.get("high90") is not None:
            axes.axhspan(entry["low90"], entry["high90"], color=colour, alpha=0.2, linewidth=0)
        axes.axhline(entry["value"], color=colour, linewidth=1.2, label=f"fit{species}, 90 % interval")
    for number, curve in enumerate(curves):
        lag, value = floats(curve.get("lag_s")), floats(curve.get("value"))
        axes.errorbar(
            lag, value, yerr=_bars(value, curve), fmt="o", capsize=3, color=INK, markersize=4 + 2 * number,
            label="each lag, 90 % interval" if number == 0 else None,
        )  # fmt: skip
    axes.set(xlabel="lag (s)", ylabel="D (µm²/s)", title="Diffusion coefficient against lag")
    _from_zero(axes)
    axes.legend()
    return figure


@styled
def figure_pair_force(pair_force: pd.DataFrame, samples: dict[str, Any]) -> Figure:
    """Fitted pair force with its 90 % band; grey where training saw no pairs."""
    figure = new_figure()
    (axes,) = axes_of(figure)
    for number, (pair, table) in enumerate(_pairs(pair_force)):
        colour = CYCLE[number % len(CYCLE)]
        axes.fill_between(table["r"], table["low90"], table["high90"], color=colour, alpha=0.22, linewidth=0)
        axes.plot(table["r"], table["force"], color=colour, label=f"{_pair_label(pair)}, 90 % band")
    _unseen(axes, pair_force, samples)
    axes.axhline(0.0, color=MUTED, linewidth=0.8)
    axes.set(xlabel="pair distance r (µm)", ylabel="force (kT/µm), > 0 repulsive", title="Pair force")
    axes.legend()
    return figure


@styled
def figure_pair_friction(curves: dict[str, Any]) -> Figure:
    """Friction between two particles along and across their line, each with its 90 % band.

    Parameters
    ----------
    curves : dict
        ``r`` (um) and ``g_par, g_perp`` with ``_low90`` and ``_high90`` (1/s).
    """
    figure = new_figure()
    (axes,) = axes_of(figure)
    r = floats(curves.get("r"))
    for name, words, colour in (("g_par", "along the line", BLUE), ("g_perp", "across it", VERMILLION)):
        low, high = floats(curves.get(f"{name}_low90")), floats(curves.get(f"{name}_high90"))
        axes.fill_between(r, low, high, color=colour, alpha=0.22, linewidth=0)
        axes.plot(r, floats(curves.get(name)), color=colour, label=f"{words}, 90 % band")
    axes.axhline(0.0, color=MUTED, linewidth=0.8)
    axes.set(xlabel="pair distance r (µm)", ylabel="friction (1/s)", title="Pair friction")
    axes.legend()
    return figure


@styled
def figure_mobility(entries: list[dict[str, Any]], curves: dict[str, Any]) -> Figure:
    """Mobility with its 90 % interval: of every species, or against the distance of two particles that rub.

    Parameters
    ----------
    entries : list of dict
        Entries of the metric diffusion_coefficient: in um2/s it is the mobility in um2/(s k_B T).
    curves : dict
        ``r`` (um), ``along`` and ``across`` with ``_low90`` and ``_high90`` (um2/(s k_B T)); empty: one per species.
    """
    figure = new_figure()
    (axes,) = axes_of(figure)
    axes.set(ylabel="mobility (µm²/(s kT))", title="Mobility")
    if not curves:
        value, number = floats([entry["value"] for entry in entries]), np.arange(len(entries))
        bars = _bars(value, {end: [entry[end] for entry in entries] for end in ("low90", "high90")})
        axes.errorbar(number, value, yerr=bars, fmt="o", color=BLUE, capsize=4, label="fit, 90 % interval")
        axes.set_xticks(number, [str(place if entry["species"] is None else entry["species"])
                                 for place, entry in enumerate(entries)])  # fmt: skip
        axes.set(xlabel="species", xlim=(-0.5, len(entries) - 0.5))
        _from_zero(axes)
        axes.legend()
        return figure
    r = floats(curves["r"])
    for name, words, colour in (("along", "along the line", BLUE), ("across", "across it", VERMILLION)):
        low, high = floats(curves.get(f"{name}_low90")), floats(curves.get(f"{name}_high90"))
        if len(low) == len(r):
            axes.fill_between(r, low, high, color=colour, alpha=0.22, linewidth=0)
        band = "90 % band" if len(low) == len(r) else "no band"
        axes.plot(r, floats(curves[name]), color=colour, label=f"{words}, {band}")
    axes.set_xlabel("pair distance r (µm)")
    axes.set_ylim(bottom=0.0)
    axes.legend()
    return figure


@styled
def figure_pair_potential(
    pair_force: pd.DataFrame, inversion: dict[str, Any], *, potentials: list[dict[str, Any]] | None = None
) -> Figure:
    """Fitted pair potential with its 90 % band, and -ln g(r) beside it where the suspension is dilute enough.

    ``potentials`` are the curves of the fit (r in um, k_B T). A model written without them shows the integral of its
    force and no band: that of the force does not tell it.
    """
    figure = new_figure()
    (axes,) = axes_of(figure)
    for number, curve in enumerate(potentials or _integrals(pair_force)):
        colour, r = CYCLE[number % len(CYCLE)], floats(curve["r"])
        low, high = floats(curve.get("low90")), floats(curve.get("high90"))
        label = f"fit, {_pair_label((curve['species_a'], curve['species_b']))}"
        if len(low) == len(r):
            axes.fill_between(r, low, high, color=colour, alpha=0.22, linewidth=0)
            label += ", 90 % band"
        axes.plot(r, floats(curve["value"]), color=colour, label=label)
    if inversion.get("status") == "compared":
        axes.errorbar(
            floats(inversion["x"]), floats(inversion["potential_of_mean_force"]),
            yerr=1.645 * floats(inversion["potential_of_mean_force_error"]),
            fmt="o", color=INK, markersize=3.5, capsize=2, label="−ln g(r), approximate",
        )  # fmt: skip
    axes.axhline(0.0, color=MUTED, linewidth=0.8)
    axes.set(xlabel="pair distance r (µm)", ylabel="potential (kT)", title="Pair potential")
    axes.legend()
    return figure


@styled
def figure_innovations(innovations: dict[str, Any]) -> Figure:
    """Autocorrelation of the one-step prediction errors; white if the model has used what there is to know."""
    figure = new_figure()
    (axes,) = axes_of(figure)
    lags, values = floats(innovations.get("lags")), floats(innovations.get("autocorrelation"))
    band = np.broadcast_to(floats(np.atleast_1d(innovations.get("band") or np.nan)), lags.shape)
    axes.fill_between(lags, -band, band, color=MUTED, alpha=0.2, linewidth=0, label="white, 90 % band", step="mid")
    axes.axhline(0.0, color=MUTED, linewidth=0.8)
    axes.vlines(lags, 0.0, values, color=BLUE, linewidth=1.2)
    axes.plot(lags, values, "o", color=BLUE, markersize=5, label="innovations")
    limit = max(0.05, 1.3 * float(np.nanmax(np.abs(np.concatenate([values, band, [0.0]])))))
    axes.set(xlabel="lag (steps of the fit)", ylabel="autocorrelation", title="Innovations", ylim=(-limit, limit))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend()
    return figure


@styled
def figure_selection(selection: list[dict[str, Any]]) -> Figure:
    """Log-likelihood of the selection block against the number of knots of the pair force."""
    figure = new_figure()
    (axes,) = axes_of(figure)
    knots = floats([entry.get("knots") for entry in selection])
    score = floats([entry.get("log_likelihood") for entry in selection])
    order = np.argsort(knots)
    axes.plot(
        knots[order], score[order] - np.nanmin(score), "o-" if len(set(knots)) == len(knots) else "o", color=GREEN
    )
    for place, entry in enumerate(selection):  # several numbers of knots of the friction for one of the force
        if "friction_knots" in entry:
            at = (knots[place], score[place] - np.nanmin(score))
            axes.annotate(
                f"{entry['friction_knots']}", at, xytext=(6, -3), textcoords="offset points", color=INK, fontsize=8
            )
    used = [place for place, entry in enumerate(selection) if entry.get("used")]
    best = used[0] if used else int(np.nanargmax(score))
    axes.plot(
        knots[best], score[best] - np.nanmin(score), "s", color=VERMILLION, markersize=9, mfc="none", label="used"
    )
    axes.set(
        xlabel="knots of the pair force",
        ylabel="log-likelihood − smallest\n(nats per particle and step)",
        title="Model selection",
    )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend()
    return figure


def _integrals(pair_force: pd.DataFrame) -> list[dict[str, Any]]:
    curves = []
    for (a, b), table in _pairs(pair_force):
        r = table["r"].to_numpy()
        value = potential_from_force(r, table["force"].to_numpy())
        curves.append({"r": r, "value": value, "species_a": a, "species_b": b})
    return curves


def _bars(value: np.ndarray, curve: dict[str, Any]) -> np.ndarray | None:
    low, high = floats(curve.get("low90")), floats(curve.get("high90"))
    if len(low) != len(value) or len(high) != len(value):
        return None
    return np.asarray(np.clip(np.nan_to_num(np.vstack([value - low, high - value])), 0.0, None))


def _pairs(pair_force: pd.DataFrame) -> list[tuple[tuple[int, int], pd.DataFrame]]:
    species = pair_force[["species_a", "species_b"]].drop_duplicates().sort_values(["species_a", "species_b"])
    tables = []
    for a, b in species.to_numpy().tolist():
        chosen = (pair_force["species_a"] == a) & (pair_force["species_b"] == b)
        tables.append(((int(a), int(b)), pair_force[chosen].sort_values("r")))
    return tables


def _pair_label(pair: tuple[int, int]) -> str:
    return f"species {pair[0]}–{pair[1]}"


def _unseen(axes: Axes, pair_force: pd.DataFrame, samples: dict[str, Any]) -> None:
    smallest, seen = float(pair_force["r"].min()), samples.get("r_min")
    if seen is not None and seen > smallest + 0.01 * float(np.ptp(pair_force["r"])):
        axes.axvspan(smallest, seen, color=MUTED, alpha=0.15, linewidth=0, label="no training pairs: extrapolated")


def _from_zero(axes: Axes) -> None:
    low, high = axes.get_ylim()
    if low > 0.0 and low < 0.5 * high:
        axes.set_ylim(bottom=0.0)
    elif high > low > 0.0:
        middle = 0.5 * (low + high)
        axes.set_ylim(min(low, 0.8 * middle), max(high, 1.2 * middle))
