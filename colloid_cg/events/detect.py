"""Rearrangement events: significant local maxima of non-affine motion, with a controlled false-discovery rate."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from colloid_cg.errors import InputError
from colloid_cg.events.candidates import (
    candidates,
    event_q_values,
    peak_of,
    significance_cutoff,
    tested,
)
from colloid_cg.events.config import EventConfig, Scales, scales
from colloid_cg.events.fields import event_fields
from colloid_cg.events.suspects import SUSPECTS
from colloid_cg.records import EVENT_COLUMNS, EventTable, Trajectories

_PLATEAU = 0.9
_HALF_WIDTH = 0.29
"""(1 - |f| / w)^2 = 1/2 at .29 w: D2min of a step seen through means over w frames."""
_SMALLEST = 1e-300


def detect_events(
    tracks: Trajectories,
    config: EventConfig | None = None,
    *,
    fields: pd.DataFrame | None = None,
    hidden: pd.DataFrame | None = None,
) -> EventTable:
    """Return the rearrangement events of an experiment or a rollout.

    A detection is tested once, by default with the p-value of its D2min (``config.tests``). Significant detections
    (Benjamini-Hochberg at ``config.fdr`` over all tests) are led to the local maxima of significance within
    ``gap_space`` and ``gap_frames``; each maximum is an event, and events are kept while their own q-value
    (``candidates.event_q_values``) is at most ``config.fdr``.

    Parameters
    ----------
    tracks : Trajectories
    config : EventConfig, optional
    fields : pandas.DataFrame, optional
        The result of ``event_fields`` with the same settings, if it exists already.
    hidden : pandas.DataFrame, optional
        frame, particle and structural variables (s0, ..): their values before each event enter the table.

    Returns
    -------
    EventTable
        ``p_value`` is that of the peak; ``q_value`` the expected share of false ones among the events at least as
        significant; ``score`` = -log10 p. ``t_on`` and ``t_off`` are the first and last frame of the motion, as far as
        the lag lets them be told; (x, y) the centre weighted by excess; ``radius`` (px) sqrt(2) times the weighted
        root mean square distance from it, at least half the mean spacing. Further columns: ``id`` (peak frame and
        particle: the same event has it again under slightly other settings), ``peak_particle``, ``amplitude`` (um,
        root of D2min per bond less its null mean), ``d2min_excess``, ``strain_before``, ``s0_before``, ..,
        ``flags`` (tracking errors suspected of its particles, joined by "|") and ``n_detections``.
        ``metadata`` holds settings, scales, null laws, their checks and warnings.
    """
    config = config or EventConfig()
    fields = event_fields(tracks, config) if fields is None else _matching(fields, tracks)
    used = scales(tracks, config)
    found = candidates(tracks, fields, config, used, hidden)
    return events_of(found, tested(fields, config), tracks, config, used, dict(fields.attrs.get("events", {})))


def events_of(
    found: pd.DataFrame, n_tests: int, header: Trajectories, config: EventConfig, used: Scales, laws: dict[str, Any]
) -> EventTable:
    """Return the events that candidates of one movie gather into.

    Parameters
    ----------
    found : pandas.DataFrame
        Of ``candidates``, of the whole movie or of all its windows.
    n_tests : int
        Detections with a p-value, small or not.
    header : Trajectories
        Box, pixel size, axes and metadata; its rows are not read.
    laws : dict
        ``attrs["events"]`` of the fields.
    """
    cutoff = significance_cutoff(found["p"].to_numpy(), n_tests, config.fdr, config.fdr_method)
    rows = found[found["p"] <= cutoff].reset_index(drop=True)
    metadata = _metadata(laws, config, used, n_tests, len(rows)) | {"p_of_detections": cutoff}
    if not len(rows):
        return EventTable.empty(metadata | {"p_of_events": 0.0})
    leader = peak_of(rows, header.box, header.axes, header.pixel_size, used)
    groups = [rows.iloc[members] for members in _parts(leader)]
    peaks = [int(leader[members[0]]) for members in _parts(leader)]
    large = [k for k, group in enumerate(groups) if group["particle"].nunique() >= config.min_cluster]
    q_value = event_q_values(rows["p"].to_numpy()[[peaks[k] for k in large]], n_tests, config.fdr_method)
    events = [
        _event(groups[k], rows.iloc[peaks[k]], header, used, cutoff)
        | {"q_value": float(q), "detector": metadata["detector"]}
        for k, q in zip(large, q_value, strict=True)
        if q <= config.fdr
    ]
    if not events:
        return EventTable.empty(metadata | {"p_of_events": 0.0})
    table = pd.DataFrame(events).sort_values(["t_on", "t_peak", "id"], kind="stable").reset_index(drop=True)
    table = table.assign(event=np.arange(len(table)))
    return EventTable(
        table=table[[*EVENT_COLUMNS, *(c for c in table.columns if c not in EVENT_COLUMNS)]],
        metadata=metadata | {"p_of_events": float(table["p_value"].max())},
    )


def _parts(leader: np.ndarray) -> list[np.ndarray]:
    order = np.argsort(leader, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(leader[order])) + 1)


def _event(rows: pd.DataFrame, peak: pd.Series, header: Trajectories, used: Scales, cutoff: float) -> dict[str, Any]:
    """Return one row of the event table from its significant detections."""
    on, at, off = _times(rows, cutoff, used)
    centre, radius, axes = *_place(rows, header), header.axes
    first = rows[rows["particle"] == peak["particle"]].iloc[0]
    amplitude, excess = rows["amplitude"].to_numpy(), rows["excess"].to_numpy()
    return {
        "t_on": on,
        "t_peak": at,
        "t_off": off,
        **{axis: float(value) for axis, value in zip(axes, centre, strict=True)},
        "radius": max(radius, 0.5 * used.spacing / header.pixel_size),
        "n_particles": int(rows["particle"].nunique()),
        "particles": [int(particle) for particle in np.unique(rows["particle"])],
        "score": float(-np.log10(max(peak["p"], _SMALLEST))),
        "p_value": float(peak["p"]),
        "source": str(header.metadata.get("source", "experiment")),
        "id": f"{int(peak['frame'])}-{int(peak['particle'])}",
        "peak_particle": int(peak["particle"]),
        "amplitude": float(np.nanmax(amplitude)) if np.isfinite(amplitude).any() else np.nan,
        "d2min_excess": float(np.nanmax(excess)) if np.isfinite(excess).any() else np.nan,
        **{name: float(first[name]) for name in rows.columns if name.endswith("_before")},
        "flags": "|".join(name for name in SUSPECTS if rows["flags"].str.contains(name, regex=False).any()),
        "n_detections": len(rows),
    }


def _times(rows: pd.DataFrame, cutoff: float, used: Scales) -> tuple[int, int, int]:
    """Return first, central and last frame of the motion.

    Rows count whose D2min (if none is significant, p_hop), summed over detections, is at least half of its largest.
    Row f holds the motion of the ``lag`` frames from f - (lag + 1) // 2 on: the first row has the onset at its far end,
    the last one the end at its near end, and means over w frames smear a step by .29 w at half height. The peak is
    the middle of the rows within a tenth of the largest.
    """
    back, smear = (used.lag + 1) // 2, int(_HALF_WIDTH * used.average)
    local = rows[rows["d2min_p"] <= cutoff]
    weight = local["excess"].to_numpy()
    if not len(local):
        local = rows[rows["p_hop"].notna()] if rows["p_hop"].notna().any() else rows
        weight = local["p_hop"].fillna(1.0).to_numpy()
        back, smear = 1, int(_HALF_WIDTH * used.half_window)
    frame = local["frame"].to_numpy()
    total = np.bincount(frame - frame.min(), weights=weight)
    peak = int(frame.min() + np.floor(np.flatnonzero(total >= _PLATEAU * total.max()).mean() + 0.5))
    above = frame.min() + np.flatnonzero(total >= 0.5 * total.max())
    reach = used.lag if len(rows[rows["d2min_p"] <= cutoff]) else 1
    low, high = int(above.min()) - back + reach + smear, int(above.max()) - back + 1 - smear
    return min(peak, low), peak, max(peak, high)


def _place(rows: pd.DataFrame, header: Trajectories) -> tuple[np.ndarray, float]:
    """Return centre and radius (px) of an event, particles weighted by their largest excess."""
    axes = list(header.axes)
    weight = rows["excess"].fillna(1.0).to_numpy()
    table = rows[axes].assign(particle=rows["particle"], weight=weight).groupby("particle")
    places, heaviest = table[axes].mean().to_numpy(), table["weight"].max().to_numpy()
    anchor = places[np.argmax(heaviest)]
    scale = header.pixel_size
    places = anchor + header.box.displacement(np.tile(anchor, (len(places), 1)) * scale, places * scale) / scale
    centre = np.average(places, axis=0, weights=heaviest)
    square = np.average(((places - centre) ** 2).sum(axis=1), weights=heaviest)
    return centre, float(np.sqrt(2.0 * square))


def _metadata(
    laws: dict[str, Any], config: EventConfig, used: Scales, n_tests: int, n_significant: int
) -> dict[str, Any]:
    warnings = [
        f"{name}: {warning}" for name in ("d2min", "p_hop") for warning in laws.get(name, {}).get("warnings", [])
    ]
    return {
        "detector": "+".join(config.tests),
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
