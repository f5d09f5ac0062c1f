"""Particles that diffuse, are missed, and false detections, with the true id of each: for the tests of linking."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from colloid_cg.tracking import TrackConfig


def settings(search_range: float, **values: Any) -> TrackConfig:
    """Complete settings of the native engine that link as trackpy does unless told otherwise."""
    complete: dict[str, Any] = {
        "engine": "native",
        "diameter": 9,
        "invert": False,
        "minmass": 1.0,
        "separation": 9.0,
        "threshold": 1.0,
        "search_range": search_range,
        "memory": 0,
        "minimum_length": 1,
        "gap_growth": 0.0,
        "prediction": "none",
    }
    return TrackConfig(**(complete | values))


def free_particles(
    seed: int,
    *,
    n: int,
    edge: float,
    n_frames: int,
    step: float,
    missed: float = 0.0,
    false: float = 0.0,
    faster: float = 1.0,
    dimension: int = 2,
) -> pd.DataFrame:
    """Table of shuffled detections of particles without interaction between reflecting walls.

    ``step`` is the standard deviation per axis and frame, ``missed`` the probability of being missed, ``false`` the
    number of false detections per particle, ``faster`` how much farther 15 % of the particles move. ``truth`` is -1
    for false detections.
    """
    rng = np.random.default_rng(seed)
    at = rng.uniform(0, edge, (n, dimension))
    steps = np.where(rng.random(n) < 0.15, faster, 1.0)[:, np.newaxis] * step
    tables = []
    for frame in range(n_frames):
        seen = np.flatnonzero(rng.random(n) >= missed)
        noise = rng.uniform(0, edge, (rng.poisson(false * n), dimension))
        places = np.vstack([at[seen], noise])
        truth = np.concatenate([seen, np.full(len(noise), -1)])
        order = rng.permutation(len(truth))
        columns = dict(zip("xyz"[:dimension], places[order].T, strict=True))
        tables.append(pd.DataFrame({"frame": frame, "truth": truth[order]} | columns))
        at = np.abs(at + steps * rng.normal(size=at.shape))
        at = edge - np.abs(edge - at)
    return pd.concat(tables, ignore_index=True)


def successors(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """Links of a table: rows ``before`` and ``after`` of the same id with none between; ids below 0 have none."""
    ordered = table.reset_index(drop=True).sort_values([column, "frame"], kind="stable")
    ids = ordered[column].to_numpy()
    same = (ids[1:] == ids[:-1]) & (ids[1:] >= 0)
    rows = ordered.index.to_numpy()
    links = pd.DataFrame({"before": rows[:-1][same], "after": rows[1:][same]})
    return links.sort_values("after", ignore_index=True)


def scored(linked: pd.DataFrame) -> pd.DataFrame:
    """Links made, each with ``right`` (both ends one particle, no detection of it between), confidence and gap."""
    made = successors(linked, "particle")
    true = successors(linked, "truth").assign(right=True)
    table = made.merge(true, how="left", on=["before", "after"])
    table["right"] = table["right"].eq(True)
    frame = linked["frame"].to_numpy()
    table["gap"] = frame[table["after"]] - frame[table["before"]] - 1
    table["confidence"] = linked["link_confidence"].to_numpy()[table["after"]]
    return table


def recall(linked: pd.DataFrame) -> float:
    """Share of the true links that were made."""
    return float(scored(linked)["right"].sum() / len(successors(linked, "truth")))
