"""D2min and p_hop of every detection with the probability that chance alone gives as much."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from colloid_cg.events.config import EventConfig, Scales, scales
from colloid_cg.events.hopnull import hop_table, variogram, window_covariance
from colloid_cg.events.nulls import d2min_draw, d2min_tail, dispersed_tail
from colloid_cg.events.scale import check, fit_scale
from colloid_cg.neighbors import delaunay, within
from colloid_cg.observables import bond_statistics, d2min, p_hop_of_rows, pairs_at_lag
from colloid_cg.observables.affine import without_affine_motion
from colloid_cg.records import NeighborGraph, Trajectories
from colloid_cg.seeding import generator

_DRAWS = 100_000
_FEWEST_TESTS = 100
_ROUNDING = 1e-7


def event_fields(tracks: Trajectories, config: EventConfig | None = None) -> pd.DataFrame:
    """Return D2min and p_hop of every detection and their p-values.

    Parameters
    ----------
    tracks : Trajectories
    config : EventConfig, optional

    Returns
    -------
    pandas.DataFrame
        One row per detection in the order of ``tracks.table``: ``frame, particle``; ``d2min`` in um2 per bond
        between the frames f - (lag + 1) // 2 and f - (lag + 1) // 2 + lag around frame f, bonds of the earlier frame
        as reference; ``d2min_p``; ``d2min_excess`` = d2min over its mean under the null; ``p_hop`` in um2 with f the
        first frame of the later window, common affine motion removed; ``p_hop_p``.
        NaN where the particle or too many of its neighbours are missing in one of the frames, where the
        neighbourhood reaches beyond the edge of the view, or where the window is not complete.
        ``attrs["events"]`` holds scales, null laws and their checks (JSON-able).

    Notes
    -----
    Null hypothesis: affine motion plus Gaussian non-affine displacements, independent between particles, whose
    variance covers rattling, diffusion and localisation noise together. Its median over particles and its spread
    between particles come from the movie (``scale.fit_scale``); in a liquid it is large and little is
    significant, which is right.
    """
    config = config or EventConfig()
    used = scales(tracks, config)
    table = tracks.table[["frame", "particle"]].copy()
    deformation, affine_null = _d2min_fields(tracks, config, used)
    hops, hop_null = _hop_fields(tracks, used)
    table = table.assign(**deformation, **hops)
    table.attrs["events"] = {
        "lag_frames": used.lag,
        "half_window_frames": used.half_window,
        "cutoff_um": used.cutoff if config.neighbors == "cutoff" else None,
        "neighbors": config.neighbors,
        "d2min": affine_null,
        "p_hop": hop_null,
    }
    return table


def _d2min_fields(
    tracks: Trajectories, config: EventConfig, used: Scales
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    value, count, shared = _d2min_rows(tracks, config, used)
    d, rows = tracks.dimension, np.flatnonzero(np.isfinite(value))
    columns = {name: np.full(len(value), np.nan) for name in ("d2min", "d2min_p", "d2min_excess")}
    columns["d2min"] = value
    if len(rows) < _FEWEST_TESTS or not (value[rows] > 0).any():
        return columns, {"n_tests": 0, "null_fit": False, "warnings": [_too_few(len(rows))]}
    n, c = count[rows], shared[rows]
    total, mean = value[rows] * n, d * (n - d + c)
    rng = generator(0, "events", "d2min")
    some = np.linspace(0, len(rows) - 1, _DRAWS).astype(int)
    drawn = d2min_draw(n[some], c[some], rng, dimension=d) / mean[some]
    fitted = fit_scale(total / mean, drawn, rng)
    p_value = dispersed_tail(
        lambda x, part: d2min_tail(x, n[part], c[part], dimension=d), total / fitted.scale, fitted.dispersion
    )
    # Residuals this small are rounding, not motion (a rollout without noise, a copied frame).
    p_value[total <= n * (_ROUNDING * used.spacing) ** 2] = 1.0
    columns["d2min_p"][rows] = p_value
    columns["d2min_excess"][rows] = total / (mean * fitted.scale)
    null = check(p_value, fitted)
    null["variance_um2"] = null.pop("scale")
    null["stated_noise_variance_um2"] = _stated_variance(tracks)
    return columns, null


def _d2min_rows(tracks: Trajectories, config: EventConfig, used: Scales) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return D2min per bond (um2), neighbours and c of every detection, NaN where it cannot be told."""
    positions, frame = tracks.positions, tracks.table["frame"].to_numpy()
    edge = tracks.edge_distance
    particle, offsets, box = tracks.table["particle"].to_numpy(), tracks.frame_offsets(), tracks.box
    value, count, shared = (np.full(len(frame), np.nan) for _ in range(3))
    back = (used.lag + 1) // 2
    start, end = pairs_at_lag(frame, particle, used.lag)
    borders = np.searchsorted(frame[start], np.arange(tracks.n_frames + 1))
    for t in range(tracks.n_frames - used.lag):
        kept, partner = start[borders[t] : borders[t + 1]], end[borders[t] : borders[t + 1]]
        rows = slice(offsets[t], offsets[t + 1])
        if len(kept) <= config.min_neighbors:
            continue
        graph, reach = _graph(positions[rows], config, used, tracks)
        local, degree = graph.among(kept - offsets[t])
        before, after = positions[kept], positions[partner]
        n, c = bond_statistics(before, local, box=box)
        amount = d2min(before, after, local, box=box)
        sound = (n >= config.min_neighbors) & (n >= config.min_share * degree)
        sound &= (edge[kept] >= reach[kept - offsets[t]]) & np.isfinite(c)
        middle = slice(offsets[t + back], offsets[t + back + 1])
        ids = particle[middle]
        place = np.minimum(np.searchsorted(ids, particle[kept]), max(len(ids) - 1, 0))
        sound &= (ids[place] == particle[kept]) if len(ids) else False
        target = offsets[t + back] + place[sound]
        value[target], count[target], shared[target] = amount[sound], n[sound], c[sound]
    return value, count, shared


def _graph(
    positions: np.ndarray, config: EventConfig, used: Scales, tracks: Trajectories
) -> tuple[NeighborGraph, np.ndarray]:
    """Return the neighbour graph of a frame and how far each particle's neighbourhood reaches (um)."""
    if config.neighbors == "cutoff":
        return within(positions, used.cutoff, tracks.box), np.full(len(positions), used.cutoff)
    graph = delaunay(positions, tracks.box)
    reach = np.zeros(len(positions))
    centre, _, vectors = graph.directed()
    np.maximum.at(reach, centre, np.linalg.norm(vectors, axis=1))
    return graph, reach


def _hop_fields(tracks: Trajectories, used: Scales) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    frame, particle = tracks.table["frame"].to_numpy(), tracks.table["particle"].to_numpy()
    still = without_affine_motion(tracks)
    value = p_hop_of_rows(still, frame, particle, half_window=used.half_window)
    rows = np.flatnonzero(np.isfinite(value))
    p_value = np.full(len(value), np.nan)
    if len(rows) < _FEWEST_TESTS or not (value[rows] > 0).any():
        return {"p_hop": value, "p_hop_p": p_value}, {
            "n_tests": 0,
            "null_fit": False,
            "warnings": [_too_few(len(rows))],
        }
    rng = generator(0, "events", "p_hop")
    spread = variogram(frame, particle, still, 2 * used.half_window - 1)
    law = hop_table(window_covariance(spread), rng, dimension=tracks.dimension)
    quantile = rng.uniform(size=_DRAWS)
    drawn = np.exp(np.interp(-np.log(quantile), -law.log_tail, law.log_value))
    fitted = fit_scale(value[rows], drawn, rng)
    p_value[rows] = dispersed_tail(lambda x, _: law.tail(x), value[rows] / fitted.scale, fitted.dispersion)
    p_value[rows[value[rows] <= (_ROUNDING * used.spacing) ** 2]] = 1.0
    null = check(p_value[rows], fitted)
    null["displacement_variance_um2"] = spread[1:].tolist()
    return {"p_hop": value, "p_hop_p": p_value}, null


def _stated_variance(tracks: Trajectories) -> float | None:
    """Return what tracking claims for the noise part of v: 2 sigma^2, median over detections."""
    sigma = tracks.table["sigma_x"].to_numpy() * tracks.pixel_size
    known = sigma[np.isfinite(sigma)]
    return float(2 * np.median(known) ** 2) if len(known) else None


def _too_few(n_tests: int) -> str:
    return f"only {n_tests} values: too few to learn the null from the movie, so no p-values are given"
