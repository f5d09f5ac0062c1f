"""Planted rearrangements: which are found, how soon, and what else is found in the same movies."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from benchmarks.event_movies import DIAMETER, LEVELS, Movie
from benchmarks.event_planted import MOVIES, TYPES, kept_planted, planted, planted_movies
from benchmarks.event_scores import (
    FDR,
    GATE_DIAMETERS,
    GATE_FRAMES,
    d2min_threshold,
    detected,
    hop_threshold,
    noise,
    nulls_of,
    pairs,
    step_variance,
    wilson,
    window_variance,
)
from benchmarks.record import Record

BINS = ((0.0, 0.8), (0.8, 1.2), (1.2, 1.7), (1.7, np.inf))
"""Amplitudes over the realised threshold."""
CERTAIN, ONSET = 1.7, 2
_FIELDS = 2
"""Each detection is tested by D2min and by p_hop, so that each has half its p-value to itself."""


def planted_figures(counts: dict[str, int] | None = None) -> list[dict[str, Any]]:
    """Return recall, onset errors and shares of false events of planted movies.

    The amplitude of a planted event is signal over standard deviation, noise-free: for D2min sqrt(S / v), S the
    largest sum of squared residuals of a particle and v the variance per coordinate of the true non-affine
    displacements over the lag (tracking noise and vibration); for hops a / sqrt(w), a the largest displacement and w
    the variance per coordinate of the difference of the means over two half windows. The realised threshold is the
    same quantity at the largest p-value called in that movie (without any call: at q over the number of tests). The
    figure is the larger one of both amplitudes, each over its own threshold.
    """
    record, events, shares = Record("events"), [], []
    for movie in planted_movies(counts or MOVIES):
        found, share = _scored(movie)
        events.append(found)
        shares.append(share)
        if movie.kind == TYPES[-1]:
            print(f"planted movies {movie.level} {movie.seed + 1}", flush=True)
    table, movies = pd.concat(events, ignore_index=True), pd.DataFrame(shares)
    for level in movies["level"].unique():
        for kind in TYPES:
            _add_recall(record, f"{kind}, error {LEVELS[level]:g} d", table.query("level == @level and type == @kind"))
    for level in movies["level"].unique():
        _add_shares(record, f"error {LEVELS[level]:g} d", movies[movies["level"] == level])
    _add_shares(record, "all levels", movies)
    return record.figures


def _scored(movie: Movie) -> tuple[pd.DataFrame, dict[str, Any]]:
    tracks, known = kept_planted(movie), planted(movie)
    fields, found = detected(tracks)
    laws = nulls_of(fields)
    true = noise(tracks, known.rattle, margin=2.0 * DIAMETER)
    v = step_variance(true, int(laws.get("lag_frames", 1)))
    w = window_variance(true, int(laws.get("half_window_frames", 5)))
    gate = GATE_DIAMETERS * DIAMETER
    share: dict[str, Any] = {"level": movie.level, "kind": movie.kind}
    for q in FDR:
        near = pairs(found[q], known.table, distance=gate)[1]
        share[q], share[f"n{q}"] = float((~near).mean()) if len(near) else 0.0, len(near)
    called = found[FDR[0]]
    n_tests = max(int(fields["d2min"].notna().sum()), 1)
    cut = min(float(called["p_value"].max()) if len(called) else FDR[0] / n_tests, 0.5) / _FIELDS
    partner, _ = pairs(called, known.table, distance=gate)
    table = known.table.assign(level=movie.level, seed=movie.seed, found=partner >= 0, cut=cut)
    # Thresholds on a grid of a twentieth of a decade: each is an integral.
    grid = round(20.0 * np.log10(max(cut, 1e-100))) / 20.0
    bonds = zip(table["count"], table["shared"], strict=True)
    needed = np.array([d2min_threshold(int(n), round(float(c), 1), grid) for n, c in bonds])
    table["of_d2min"] = np.sqrt(table["d2min"] / v) / needed
    table["of_hop"] = table["amplitude"] / np.sqrt(w) / hop_threshold(cut)
    table["ratio"] = np.maximum(table["of_d2min"], table["of_hop"])
    for name in ("t_on", "t_peak"):
        values = called[name].to_numpy() if len(called) else np.zeros(1)
        table[f"{name}_error"] = np.where(partner >= 0, values[partner] - table["frame"], np.nan)
    return table, share


def _add_recall(record: Record, name: str, table: pd.DataFrame) -> None:
    ratio, found = table["ratio"], table["found"]
    sure = table[ratio >= CERTAIN]
    if not len(sure):
        return
    parts = [f"{low:g} to {high:g}: {int(found[(ratio >= low) & (ratio < high)].sum())}/"
             f"{int(((ratio >= low) & (ratio < high)).sum())}" for low, high in BINS]  # fmt: skip
    cut = float(table["cut"].median())
    record.add(f"planted {name}: recall from {CERTAIN:g} times the realised threshold", float(sure["found"].mean()),
               target=0.95, better="higher", interval=wilson(int(sure["found"].sum()), len(sure)),
               note=f"by amplitude over threshold {', '.join(parts)}; threshold at p = {cut:.1e}: "
               f"{hop_threshold(cut):.1f} standard deviations for a hop, "
               f"{d2min_threshold(12, 11.5, round(np.log10(cut), 1)):.1f} for D2min")  # fmt: skip
    for column in ("of_d2min", "of_hop"):
        high = table[table[column] >= CERTAIN]
        if len(high):
            record.add(f"planted {name}: recall where {column.removeprefix('of_')} alone is {CERTAIN:g} times above",
                       float(high["found"].mean()), note=f"of {len(high)}")  # fmt: skip
    for which in ("t_on", "t_peak"):
        error = table.loc[table["found"], f"{which}_error"]
        if len(error):
            record.add(f"planted {name}: share with {which} within {ONSET} frames",
                       float((error.abs() <= ONSET).mean()), target=0.95 if which == "t_on" else None, better="higher",
                       note=f"of {len(error)} found; median error {error.median():+.1f} frames")  # fmt: skip


def _add_shares(record: Record, name: str, movies: pd.DataFrame) -> None:
    for q in FDR:
        mean, error = movies[q].mean(), movies[q].std() / np.sqrt(len(movies))
        record.add(f"mixed movies, {name}: mean share of false events at q = {q:g}", float(mean),
                   target=float(q + 2.0 * error), better="lower",
                   interval=[float(mean - 1.645 * error), float(mean + 1.645 * error)],
                   note=f"{len(movies)} movies, {movies[f'n{q}'].mean():.1f} events each; false: nothing planted "
                   f"within {GATE_DIAMETERS:g} d and {GATE_FRAMES} frames")  # fmt: skip
