"""Movies in which nothing rearranges: how often something is found, and are p-values what they say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from benchmarks.event_movies import (
    DIAMETER,
    KEPT,
    KINDS,
    LEVELS,
    MOVIES,
    PIXEL,
    Movie,
    errors,
    kept,
    null_movies,
    rattle,
    truth,
)
from benchmarks.event_scores import (
    BARE,
    FDR,
    allowed_share,
    detected,
    noise,
    nulls_of,
    p_columns,
    step_variance,
    wilson,
)
from benchmarks.record import Record
from colloid_cg.records import FLAG_POOR_FIT, Trajectories

P_LEVELS = (0.1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
CHECKED = 1e-4
"""p-values are to be uniform down to here; what lies below is extrapolated."""


@dataclass
class Cell:
    """Sums over the movies of one kind and level."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    tests: dict[str, int] = field(default_factory=dict)
    below: dict[str, np.ndarray] = field(default_factory=dict)

    def add(self, row: dict[str, Any], fields: pd.DataFrame) -> None:
        self.rows.append(row)
        for name in p_columns(fields):
            p = fields[name].dropna().to_numpy()
            self.tests[name] = self.tests.get(name, 0) + len(p)
            self.below[name] = self.below.get(name, 0) + np.array([(p < level).sum() for level in P_LEVELS])


def null_figures(count: int = MOVIES) -> list[dict[str, Any]]:
    """Return the figures; what is found wrongly is listed in checkpoint/events/false_events.json with its cause."""
    record, cells, wrong = Record("events"), {}, []
    for movie in null_movies(count):
        tracks = kept(movie)
        fields, events = detected(tracks)
        row, found = _judged(movie, tracks, fields, events)
        cells.setdefault((movie.kind, movie.level), Cell()).add(row, fields)
        wrong += found
        if movie.kind == KINDS[-1] and movie.level == list(LEVELS)[-1]:
            print(f"null movies {movie.seed + 1} of {count}; {len(wrong)} false events at {FDR[0]}", flush=True)
    (KEPT / "false_events.json").write_text(json.dumps(wrong, indent=1))
    _add_movies(record, cells)
    _add_p_values(record, cells)
    _add_scales(record, cells)
    _add_causes(record, wrong)
    return record.figures


def _judged(
    movie: Movie, tracks: Trajectories, fields: pd.DataFrame, events: dict[float, pd.DataFrame]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    laws, cut = nulls_of(fields), BARE * (DIAMETER * PIXEL) ** 2
    lag = int(laws.get("lag_frames", 1))
    true = noise(tracks, rattle(movie, truth(movie)), margin=2.0 * DIAMETER)
    row = errors(tracks) | {
        "seed": movie.seed,
        "any": {q: bool(len(events[q])) for q in FDR},
        "bare": int((fields["d2min"] > cut).sum()),
        "true_variance": step_variance(true, lag),
        "fitted_variance": _of_single_frames(laws),
        "dispersion": laws.get("d2min", {}).get("dispersion"),
    }
    found = [
        {"kind": movie.kind, "level": movie.level, "seed": movie.seed, **_cause(tracks, event._asdict(), lag)}
        for event in events[FDR[0]].itertuples(index=False)
    ]
    return row, found


def _cause(tracks: Trajectories, event: dict[str, Any], lag: int) -> dict[str, Any]:
    """Return what was wrong with the tracks where nothing happened and something was found."""
    seen = tracks.as_seen().table
    view = tracks.field_of_view.upper[0]
    around = seen["frame"].between(event["t_on"] - lag - 3, event["t_off"] + lag + 3)
    here = seen[around & (np.hypot(seen["x"] - event["x"], seen["y"] - event["y"]) < event["radius"] + 2 * DIAMETER)]
    own = here[here["particle"].isin(event["particles"])]
    identities = here[here["true_particle"] >= 0].groupby("particle")["true_particle"].nunique()
    size = np.hypot(here["error_x"], here["error_y"])
    stated = np.hypot(here["sigma_x"], here["sigma_y"])
    edge = min(own[["x", "y"]].min().min(), (view - own[["x", "y"]]).min().min()) if len(own) else np.nan
    close = cKDTree(here.loc[here["frame"] == event["t_peak"], ["x", "y"]].to_numpy())
    nearest = close.query(close.data, 2)[0][:, 1].min() if close.n > 1 else np.nan
    causes = {
        "wrong link": bool((identities > 1).any()),
        "detection of nothing": bool((here["true_particle"] < 0).any()),
        "at the edge": bool(edge < DIAMETER),
        "error above 4 sigma": bool((size > 4.0 * stated).any()),
        "poor fit": bool((here["flags"] & FLAG_POOR_FIT).any()),
    }
    return {
        "cause": next((name for name, yes in causes.items() if yes), "none"),
        "causes": [name for name, yes in causes.items() if yes],
        "flags": str(event.get("flags", "")),
        "t_peak": int(event["t_peak"]), "x": round(event["x"], 1), "y": round(event["y"], 1),
        "n_particles": int(event["n_particles"]), "p_value": event["p_value"], "q_value": event["q_value"],
        "edge_px": round(float(edge), 1), "largest_error_over_sigma": round(float((size / stated).max()), 1),
        "closest_pair_px": round(float(nearest), 1),
    }  # fmt: skip


Cells = dict[tuple[str, str], Cell]


def _groups(cells: Cells) -> Iterator[tuple[str, list[Cell]]]:
    for kind in KINDS:
        yield f"{kind}, all levels", [cell for (of, _), cell in cells.items() if of == kind]
    for level in LEVELS:
        yield f"error {LEVELS[level]:g} d, all kinds", [cell for (_, of), cell in cells.items() if of == level]


def _add_movies(record: Record, cells: Cells) -> None:
    for name, group in _groups(cells):
        rows = [row for cell in group for row in cell.rows]
        for q in FDR:
            hits = [sum(row["any"][q] for row in cell.rows) for cell in group]
            record.add(f"null movies with any event at q = {q:g}: {name}", sum(hits) / len(rows),
                       target=allowed_share(q, len(rows)), better="lower", interval=wilson(sum(hits), len(rows)),
                       note=f"of {len(rows)} movies; {' + '.join(str(each) for each in hits)}")  # fmt: skip
        bare = [row["bare"] for row in rows]
        record.add(f"null movies with any D2min > {BARE:g} d^2: {name}", float(np.mean(np.array(bare) > 0)),
                   note=f"the bare cut; {np.mean(bare):.0f} particle-frames per movie")  # fmt: skip


def _add_p_values(record: Record, cells: Cells) -> None:
    names = sorted({name for cell in cells.values() for name in cell.tests})
    for name in names:
        total = sum(cell.tests.get(name, 0) for cell in cells.values())
        below = sum(cell.below.get(name, np.zeros(len(P_LEVELS))) for cell in cells.values())
        record.add(f"{name}: null particle-frames", total, target=1e6, better="higher")
        for level, found in zip(P_LEVELS, below, strict=True):
            # That of T1 is a bound: most quads never flip.
            target = [0.0 if name == "t1_p" else 0.8, 1.25] if level >= CHECKED else None
            record.add(f"{name}: share below {level:g} over {level:g}", float(found / total / level), target=target,
                       note=f"{int(found)} of {total}; expected {total * level:.1f}")  # fmt: skip
        for (kind, level_name), cell in cells.items():
            share = cell.below[name] / cell.tests[name] / np.array(P_LEVELS)
            words = ", ".join(f"{a:g}: {b:.2f}" for a, b in zip(P_LEVELS, share, strict=True))
            record.add(f"{name}: share below 0.0001 over 0.0001: {kind}, {LEVELS[level_name]:g} d", float(share[3]),
                       note=f"of {cell.tests[name]}; {words}")  # fmt: skip


def _add_scales(record: Record, cells: Cells) -> None:
    for (kind, level), cell in cells.items():
        rows = pd.DataFrame(cell.rows)
        record.add(f"tracking: median error over the diameter: {kind}, {level}",
                   float(rows["median_error_px"].mean() / DIAMETER),
                   note=f"rms {rows['error_px'].mean():.3f} px, stated {rows['stated_px'].median():.3f}; per movie "
                   f"{rows['wrong_links'].mean():.2f} wrong links, {rows['false'].mean():.2f} of nothing")  # fmt: skip
        known = rows.dropna(subset=["fitted_variance"])
        if len(known) and kind != "quiet_solid":  # rattling does not average out as noise does
            ratio = known["fitted_variance"] / known["true_variance"]
            record.add(f"variance of the null over that of true non-affine displacements: {kind}, {level}",
                       float(ratio.median()), target=[0.9, 1.1],
                       note=f"90 % of movies {ratio.quantile(0.05):.3f} to {ratio.quantile(0.95):.3f}; dispersion "
                       f"{known['dispersion'].median():.3f}")  # fmt: skip


def _of_single_frames(laws: dict[str, Any]) -> float | None:
    """Return the variance of the null that single frames have, where that of averages is known."""
    found = laws.get("d2min", {}).get("variance_um2")
    return float(np.mean(found)) * laws["averaged_frames"] if found else None


def _add_causes(record: Record, wrong: list[dict[str, Any]]) -> None:
    names = pd.Series([each["cause"] for each in wrong], dtype=object).value_counts()
    for name, number in names.items():
        flagged = sum(1 for each in wrong if each["cause"] == name and each["flags"])
        record.add(f"false events at q = {FDR[0]:g} in all null movies, first cause: {name}", int(number),
                   note=f"{flagged} of them flagged as likely errors of tracking")  # fmt: skip
