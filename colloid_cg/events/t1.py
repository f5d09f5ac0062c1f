"""T1 exchanges of a movie with their p-values, and the p-value of every detection."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from colloid_cg.errors import DataError, InputError
from colloid_cg.events.t1null import quad_change
from colloid_cg.events.t1variance import window_variance
from colloid_cg.neighbors import delaunay
from colloid_cg.observables.exchanges import Bonds, bonds_of, check_persistence, ends_of, t1_exchanges
from colloid_cg.records import NeighborGraph, Trajectories

_SHARE = 0.75
_ROUNDING = 1e-7
"""Of a bond: changes this small are rounding, not motion."""
_COLUMNS = ("frame", "i", "j", "k", "l", "change", "deviation", "p_value")


@dataclass(frozen=True, kw_only=True, eq=False)
class Exchanges:
    """T1 exchanges of a movie.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per lasting exchange: ``frame`` (the first with the new bond), ``i, j`` (ids, the bond that was lost),
        ``k, l`` (the new bond), ``change`` and ``deviation`` in um (see ``t1null.quad_change``), ``p_value`` of this
        quad alone, NaN where its surroundings are not known.
    fields : pandas.DataFrame
        One row per detection in the order of ``tracks.table``: ``frame, particle``; ``t1_p``, 1 where no exchange is;
        ``t1_change`` in um of the exchange with the smallest p, NaN without. ``t1_p`` is NaN near the edge of the view,
        where the particle or more than a quarter of its neighbours are not seen for most of the frames before and
        after, and in the first and last ``persistence`` frames.
    null : dict
        Settings, null law and its check, JSON-able.
    """

    table: pd.DataFrame
    fields: pd.DataFrame
    null: dict[str, Any]


def find_exchanges(
    tracks: Trajectories,
    *,
    persistence: int = 5,
    share: float = 0.8,
    variance: float | np.ndarray | None = None,
    dispersion: float = 0.0,
) -> Exchanges:
    """Return the T1 exchanges of a movie in the plane.

    Bonds are those of the Delaunay triangulation of each frame (see ``observables.exchanges``). Whether an exchange is
    more than noise is told by the mean positions over ``persistence`` frames before and after.

    Each of the quads a particle is in may flip at any frame, either way: a particle with z neighbours is in 2 z quads,
    so ``t1_p`` = min(1, 4 z p) with p the smallest of its quads (Bonferroni; quads that did not flip have p = 1).

    Parameters
    ----------
    tracks : Trajectories
        Two-dimensional.
    persistence : int
        Frames before and after.
    share : float
        Share of them in which the exchange has to be seen.
    variance : float or array, shape (n,), optional
        In um2, per coordinate, of the non-affine displacement between two window means, one for all or one per
        detection; None: from the movie (``t1variance.window_variance``), with its dispersion.
    dispersion : float
        Standard deviation of ln v between particles, where ``variance`` is given.

    Raises
    ------
    InputError
        In three dimensions, or if a setting is out of range.
    """
    _check(tracks, variance)
    check_persistence(persistence, share)
    null: dict[str, Any] = {"persistence_frames": persistence, "share": share}
    if variance is None:
        learnt = window_variance(tracks, persistence=persistence)
        level, dispersion = learnt.variance, learnt.dispersion
        null |= learnt.null
    else:
        level = np.broadcast_to(np.asarray(variance, dtype=float), (len(tracks),))
        null["dispersion"] = dispersion
    found = [pd.DataFrame(columns=list(_COLUMNS)).astype(dict.fromkeys(_COLUMNS[:5], "int64"))]
    p_value, change = np.full(len(tracks), np.nan), np.full(len(tracks), np.nan)
    for t, known, chances, quads, bonds in _decided(tracks, persistence, share):
        p_value[known] = 1.0
        if not len(quads):
            continue
        moved = quad_change(tracks, quads, t, persistence=persistence, bonds=bonds, variance=level)
        p = moved.p_value(dispersion=dispersion, rounding=_ROUNDING * float(np.median(bonds.length)))
        values = (t, *quads.T, moved.change, moved.deviation, p)
        found.append(pd.DataFrame(dict(zip(_COLUMNS, values, strict=True))))
        _file(quads, p, moved.change, known, chances, tracks, p_value, change)
    if variance is None and not np.isfinite(level).all():
        p_value[:] = np.nan
    fields = tracks.table[["frame", "particle"]].assign(t1_p=p_value, t1_change=change)
    table = pd.concat([part for part in found if len(part)] or found, ignore_index=True)
    return Exchanges(table=table, fields=fields, null=null)


def _decided(
    tracks: Trajectories, persistence: int, share: float
) -> Iterator[tuple[int, np.ndarray, np.ndarray, np.ndarray, Bonds]]:
    """Yield t, the rows of detections that can be judged, 2 x their quads, the lasting quads, bonds of t - 1."""
    recent: deque[Bonds] = deque(maxlen=persistence + 1)
    steady, offsets = _steady(tracks, persistence), tracks.frame_offsets()
    first = int(tracks.table["frame"].iloc[0]) if len(tracks) else 0

    def passing() -> Iterator[Bonds]:
        for bonds in frame_bonds(tracks):
            recent.append(bonds)
            yield bonds

    for place, quads in t1_exchanges(passing(), persistence=persistence, share=share):
        # The last frame taken up is t + persistence - 1.
        t, before, after = first + place, recent[0], recent[1]
        rows = np.arange(offsets[t], offsets[t + 1])
        ids = after.particle
        known = steady[rows] & after.sound & before.is_sound(ids)
        known &= _kept(before, ids[steady[rows]], ids) >= _SHARE
        place_before = np.minimum(np.searchsorted(before.particle, ids[known]), max(len(before.particle) - 1, 0))
        judged = np.isin(quads, ids[known]).all(axis=1)
        yield t, rows[known], 4 * before.degree[place_before], quads[judged], before


def frame_bonds(tracks: Trajectories) -> Iterator[Bonds]:
    """Yield the Delaunay bonds of every frame from the first to the last with detections."""
    positions, particle = tracks.positions, tracks.table["particle"].to_numpy()
    edge, offsets, frame = tracks.edge_distance, tracks.frame_offsets(), tracks.table["frame"].to_numpy()
    for t in range(frame[0], frame[-1] + 1) if len(frame) else ():
        rows = slice(offsets[t], offsets[t + 1])
        try:
            graph = delaunay(positions[rows], tracks.box)
        except DataError:
            n = int(offsets[t + 1] - offsets[t])
            graph = NeighborGraph(pairs=np.empty((0, 2), dtype=np.int64), vectors=np.empty((0, 2)), n_particles=n)
        yield bonds_of(graph, particle[rows], edge[rows])


def _steady(tracks: Trajectories, persistence: int) -> np.ndarray:
    """Tell which detections are of a particle seen in 3/4 of the frames before, the last included, and from it on."""
    frame, particle = (tracks.table[name].to_numpy() for name in ("frame", "particle"))
    if not len(frame):
        return np.zeros(0, dtype=bool)
    _, label = np.unique(particle, return_inverse=True)
    key = label * (int(np.ptp(frame)) + 2 * persistence + 1) + frame
    ordered = np.sort(key)
    before, here, after = (np.searchsorted(ordered, key + shift) for shift in (-persistence, 0, persistence))
    previous = ordered[np.maximum(here - 1, 0)] == key - 1
    enough = np.minimum(here - before, after - here) >= _SHARE * persistence
    return np.asarray(enough & previous)


def _kept(before: Bonds, steady: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Return which share of the neighbours of each particle in the frame before are steady ones, shape of ``ids``."""
    a, b = ends_of(before.code)
    centre, neighbor = np.concatenate([a, b]), np.concatenate([b, a])
    place = np.searchsorted(before.particle, centre)
    kept = np.bincount(place, weights=np.isin(neighbor, steady), minlength=len(before.particle))
    own = np.minimum(np.searchsorted(before.particle, ids), max(len(before.particle) - 1, 0))
    if not len(before.particle):
        return np.zeros(len(ids))
    return np.asarray(kept[own] / np.maximum(before.degree[own], 1))


def _file(
    quads: np.ndarray,
    p: np.ndarray,
    moved: np.ndarray,
    known: np.ndarray,
    chances: np.ndarray,
    tracks: Trajectories,
    p_value: np.ndarray,
    change: np.ndarray,
) -> None:
    """Write the smallest p of the quads of each particle, times its chances; a quad of unknown p leaves NaN."""
    ids = tracks.table["particle"].to_numpy()[known]
    # The smallest p comes last and stays, unless a quad is unknown.
    for q in np.argsort(-p, kind="stable"):
        place = np.searchsorted(ids, quads[q])
        p_value[known[place]] = np.minimum(1.0, chances[place] * p[q])
        change[known[place]] = moved[q]


def _check(tracks: Trajectories, variance: float | np.ndarray | None) -> None:
    if tracks.dimension != 2:
        raise InputError(
            f"tracks in {tracks.dimension} dimensions",
            expected="tracks in the plane: a T1 exchange has no counterpart among pairs of bonds in space",
            action="use D2min or the cage-relative displacement in three dimensions",
        )
    if variance is not None and np.shape(variance) not in ((), (len(tracks),)):
        raise InputError(
            f"variances of shape {np.shape(variance)} for {len(tracks)} detections",
            expected="one number, or one per detection in the order of the table",
            action="give them in the order of tracks.table",
        )
