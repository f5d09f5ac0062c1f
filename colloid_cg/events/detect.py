"""Significant particle-frames, grouped in space and time into events."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse, stats
from scipy.spatial import cKDTree

from colloid_cg.errors import InputError
from colloid_cg.events.config import EventConfig, Scales, scales
from colloid_cg.events.fields import event_fields
from colloid_cg.records import EVENT_COLUMNS, EventTable, Trajectories

DETECTOR = "d2min+p_hop"


def detect_events(
    tracks: Trajectories, config: EventConfig | None = None, *, fields: pd.DataFrame | None = None
) -> EventTable:
    """Return the rearrangement events of an experiment or a rollout.

    A particle-frame is tested once, with p = min(1, 2 min(d2min_p, p_hop_p)) (Bonferroni over the two fields; the
    one p-value where only one field exists). Those with a q-value of at most ``config.fdr`` over all tests of the
    movie are significant; significant ones closer than ``gap_space`` and ``gap_frames`` belong to one event;
    events with fewer than ``min_cluster`` different particles are dropped.

    Parameters
    ----------
    tracks : Trajectories
    config : EventConfig, optional
    fields : pandas.DataFrame, optional
        The result of ``event_fields`` with the same settings, if it exists already.

    Returns
    -------
    EventTable
        ``p_value`` and ``q_value`` are those of the most significant particle-frame: the false-discovery rate is
        controlled over particle-frames, and no better than that over events. ``score`` = -log10 p there;
        ``radius`` (px) sqrt(2) times the root mean square distance of the particles from (x, y), at least half
        the mean spacing; further columns ``d2min_excess`` (largest D2min over its null mean) and ``n_detections``.
        ``metadata`` holds settings, scales, null laws, their checks and warnings.
    """
    config = config or EventConfig()
    fields = event_fields(tracks, config) if fields is None else _matching(fields, tracks)
    used = scales(tracks, config)
    p_value = _combined(fields)
    tested = np.flatnonzero(np.isfinite(p_value))
    q_value = np.full(len(p_value), np.nan)
    if len(tested):
        q_value[tested] = stats.false_discovery_control(p_value[tested], method=config.fdr_method)
    rows = np.flatnonzero(q_value <= config.fdr)
    metadata = _metadata(fields, config, used, len(tested), len(rows))
    found = [
        _event(tracks, fields, members, p_value, q_value, used)
        for members in _clusters(tracks, rows, used)
        if _size(tracks, members) >= config.min_cluster
    ]
    if not found:
        return EventTable.empty(metadata)
    table = pd.DataFrame(found).sort_values(["t_on", "x", "y"], kind="stable").reset_index(drop=True)
    table["event"] = np.arange(len(table))
    return EventTable(
        table=table[[*EVENT_COLUMNS, *(c for c in table.columns if c not in EVENT_COLUMNS)]], metadata=metadata
    )


def _combined(fields: pd.DataFrame) -> np.ndarray:
    both = fields[["d2min_p", "p_hop_p"]].to_numpy(dtype=float)
    available = np.isfinite(both).sum(axis=1)
    smallest = np.where(np.isfinite(both), both, 1.0).min(axis=1)
    return np.where(available > 0, np.minimum(1.0, available * smallest), np.nan)


def _clusters(tracks: Trajectories, rows: np.ndarray, used: Scales) -> list[np.ndarray]:
    """Return the connected components of significant rows, neighbours within gap_space and gap_frames."""
    if len(rows) == 0:
        return []
    positions, frame = tracks.positions[rows], tracks.table["frame"].to_numpy()[rows]
    # In these units both gaps are one; the square neighbourhood of the tree is then rounded off in space.
    points = np.column_stack([positions / used.gap_space, frame / used.gap_frames])
    pairs = cKDTree(points).query_pairs(1.0 + 1e-9, p=np.inf, output_type="ndarray")
    apart = tracks.box.displacement(positions[pairs[:, 0]], positions[pairs[:, 1]])
    near = np.linalg.norm(apart, axis=1) <= used.gap_space
    # A particle is always near itself, however far it hopped.
    links = np.concatenate([pairs[near], _same_particle(tracks, rows, used)])
    graph = sparse.coo_array((np.ones(len(links)), (links[:, 0], links[:, 1])), shape=(len(rows), len(rows)))
    _, label = sparse.csgraph.connected_components(graph, directed=False)
    order = np.argsort(label, kind="stable")
    return [rows[part] for part in np.split(order, np.flatnonzero(np.diff(label[order])) + 1)]


def _same_particle(tracks: Trajectories, rows: np.ndarray, used: Scales) -> np.ndarray:
    frame, particle = (tracks.table[name].to_numpy()[rows] for name in ("frame", "particle"))
    order = np.lexsort((frame, particle))
    follows = (np.diff(particle[order]) == 0) & (np.diff(frame[order]) <= used.gap_frames)
    return np.column_stack([order[:-1][follows], order[1:][follows]])


def _size(tracks: Trajectories, members: np.ndarray) -> int:
    return len(np.unique(tracks.table["particle"].to_numpy()[members]))


def _event(
    tracks: Trajectories,
    fields: pd.DataFrame,
    members: np.ndarray,
    p_value: np.ndarray,
    q_value: np.ndarray,
    used: Scales,
) -> dict[str, Any]:
    rows = tracks.table.iloc[members]
    peak = members[np.argmin(p_value[members])]
    mean = rows.groupby("particle")[list(tracks.axes)].mean()
    centre = mean.mean()
    spread = float(np.sqrt(2 * ((mean - centre) ** 2).sum(axis=1).mean()))
    excess = fields["d2min_excess"].to_numpy()[members]
    return {
        "t_on": int(rows["frame"].min()),
        "t_peak": int(tracks.table["frame"].iloc[peak]),
        "t_off": int(rows["frame"].max()),
        **{axis: float(centre[axis]) for axis in tracks.axes},
        "radius": max(spread, 0.5 * used.spacing / tracks.pixel_size),
        "n_particles": len(mean),
        "particles": [int(particle) for particle in mean.index],
        "score": float(-np.log10(p_value[peak])),
        "p_value": float(p_value[peak]),
        "q_value": float(q_value[members].min()),
        "detector": DETECTOR,
        "source": str(tracks.metadata.get("source", "experiment")),
        "d2min_excess": float(np.nanmax(excess)) if np.isfinite(excess).any() else np.nan,
        "n_detections": len(members),
    }


def _metadata(
    fields: pd.DataFrame, config: EventConfig, used: Scales, n_tests: int, n_significant: int
) -> dict[str, Any]:
    laws = dict(fields.attrs.get("events", {}))
    warnings = [
        f"{name}: {warning}" for name in ("d2min", "p_hop") for warning in laws.get(name, {}).get("warnings", [])
    ]
    return {
        "detector": DETECTOR,
        "settings": config.as_dict(),
        "fields": laws,
        "gap_space_um": used.gap_space,
        "gap_frames": used.gap_frames,
        "mean_spacing_um": used.spacing,
        "n_tests": n_tests,
        "n_significant": n_significant,
        "null_fit": all(laws.get(name, {}).get("null_fit", False) for name in ("d2min", "p_hop")),
        "warnings": warnings,
    }


def _matching(fields: pd.DataFrame, tracks: Trajectories) -> pd.DataFrame:
    keys = ["frame", "particle"]
    same = len(fields) == len(tracks) and (fields[keys].to_numpy() == tracks.table[keys].to_numpy()).all()
    if not same:
        raise InputError(
            f"fields of {len(fields)} rows for {len(tracks)} detections",
            expected="the fields of these very tracks, one row per detection in the same order",
            action="compute them with event_fields",
        )
    return fields
