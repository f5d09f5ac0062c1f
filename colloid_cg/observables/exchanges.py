"""T1 exchanges of neighbours in the plane: a bond i-j gives way to a bond k-l across it, and it lasts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from colloid_cg.errors import InputError
from colloid_cg.records import NeighborGraph

_IDS = 31
"""Bits of a particle id in the code of a bond."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Bonds:
    """The Delaunay bonds of one frame between numbered particles; what ``bonds_of`` returns.

    Parameters
    ----------
    particle : int array, shape (n,)
        Ids of the particles seen, ascending.
    degree : int array, shape (n,)
        Bonds of each.
    sound : bool array, shape (n,)
        The particle is surrounded by triangles and its bonds do not reach over the edge of the view.
    code : int array, shape (b,)
        Bonds as (smaller id) 2^31 + (larger id), ascending.
    opposite : int array, shape (b, 2)
        Ids of the two particles that complete the triangles on both sides of a bond, ascending; -1 at the hull.
    length : array, shape (b,)
    """

    particle: np.ndarray
    degree: np.ndarray
    sound: np.ndarray
    code: np.ndarray
    opposite: np.ndarray
    length: np.ndarray

    def sees(self, ids: np.ndarray) -> np.ndarray:
        """Tell which particles are seen, shape of ``ids``."""
        return _contains(self.particle, ids)

    def is_sound(self, ids: np.ndarray) -> np.ndarray:
        """Tell which particles are seen and sound, shape of ``ids``."""
        return _contains(self.particle[self.sound], ids)

    def has(self, code: np.ndarray) -> np.ndarray:
        """Tell which bonds exist, shape of ``code``."""
        return _contains(self.code, code)


def bond_code(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return one integer per bond between particles a and b, in either order."""
    return np.asarray((np.minimum(a, b).astype(np.int64) << _IDS) | np.maximum(a, b))


def ends_of(code: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the two particles of each bond, the smaller id first."""
    return code >> _IDS, code & ((1 << _IDS) - 1)


def bonds_of(
    graph: NeighborGraph,
    particle: np.ndarray,
    edge_distance: np.ndarray | None = None,
    *,
    longest: float = 2.0,
) -> Bonds:
    """Return the bonds of one frame with the triangles beside them.

    Neighbours that follow each other around a particle and are bonded to each other make a triangle with it. A
    particle all of whose neighbours do so is inside the triangulation; the others are its hull.

    Parameters
    ----------
    graph : NeighborGraph
        Delaunay triangulation of the frame, in two dimensions.
    particle : int array, shape (n,)
        Ids from 0 to 2^31 - 1, ascending: rows of a ``Trajectories`` table are.
    edge_distance : array, shape (n,), optional
        Distance to the nearest open edge of the view, in the unit of the graph: a particle with a bond longer than
        this is not sound.
    longest : float
        Bonds longer than this many median bonds (across voids) have no opposite particles, hence take no part in flips.

    Raises
    ------
    InputError
        In three dimensions, where there is no T1, and for ids that do not fit.
    """
    particle = np.asarray(particle, dtype=np.int64)
    _check(graph, particle)
    code = bond_code(particle[graph.pairs[:, 0]], particle[graph.pairs[:, 1]])
    ascending = np.argsort(code, kind="stable")
    n, code, length = len(particle), code[ascending], graph.distances[ascending]
    centre, neighbor, vector = graph.directed()
    order = np.lexsort((np.arctan2(vector[:, 1], vector[:, 0]), centre))
    centre, neighbor, vector = centre[order], neighbor[order], vector[order]
    degree = np.bincount(centre, minlength=n)
    first = np.cumsum(degree) - degree
    following = np.arange(1, len(centre) + 1)
    following[(first + degree - 1)[degree > 0]] = first[degree > 0]
    beside = neighbor[following]
    # Less than half a turn to the left.
    turn = vector[:, 0] * vector[following, 1] - vector[:, 1] * vector[following, 0]
    closed = (turn > 0) & _contains(code, bond_code(particle[neighbor], particle[beside]))
    inside = (np.bincount(centre, weights=closed, minlength=n) == degree) & (degree >= 3)
    if edge_distance is not None:
        reach = np.zeros(n)
        np.maximum.at(reach, graph.pairs.ravel(), np.repeat(graph.distances, 2))
        inside &= np.asarray(edge_distance) >= reach
    # The fan of the smaller id knows the triangle to the left of its bond; that of the larger one the other.
    left = np.where(closed, particle[beside], -1)
    place = np.searchsorted(code, bond_code(particle[centre], particle[neighbor]))
    opposite = np.full((len(code), 2), -1)
    opposite[place, (centre > neighbor).astype(int)] = left
    if len(code):
        opposite[length > longest * np.median(length)] = -1
    return Bonds(particle=particle, degree=degree, sound=inside, code=code, opposite=np.sort(opposite), length=length)


def flips(before: Bonds, after: Bonds) -> np.ndarray:
    """Return the quads (i, j, k, l) whose diagonal i-j of one frame is k-l in the other, ids, shape (q, 4).

    i, j, k and l are seen and sound in both frames, and the two triangles beside i-j are those of i, j, k and i, j, l,
    those beside k-l of k, l, i and k, l, j: the four sides are bonds in both frames. i < j and k < l.
    """
    lost = np.flatnonzero(~after.has(before.code) & (before.opposite[:, 0] >= 0))
    old, new = before.code[lost], bond_code(*before.opposite[lost].T)
    place = _place(after.code, new)
    flipped = after.has(new) & ~before.has(new)
    if len(after.code):
        flipped &= (after.opposite[place] == np.stack(ends_of(old), axis=1)).all(axis=1)
    quads = np.stack([*ends_of(old[flipped]), *ends_of(new[flipped])], axis=1)
    return np.asarray(quads[(before.is_sound(quads) & after.is_sound(quads)).all(axis=1)])


def lasting(quads: np.ndarray, before: Iterable[Bonds], after: Iterable[Bonds], *, share: float) -> np.ndarray:
    """Tell which flips last, shape (q,).

    A flip lasts if in at least ``share`` of the later frames the bond k-l is there and i-j is not, and in as many of
    the earlier frames i-j and not k-l; frames in which one of the four is missing do not count.

    Parameters
    ----------
    quads : int array, shape (q, 4)
    before, after : iterables of Bonds
        The frames up to the flip, and from it on.
    share : float
        1 for every frame.
    """
    old, new = bond_code(*quads[:, :2].T), bond_code(*quads[:, 2:].T)
    kept = np.ones(len(quads), dtype=bool)
    for frames, there, gone in ((before, old, new), (after, new, old)):
        seen, right = np.zeros(len(quads)), np.zeros(len(quads))
        for bonds in frames:
            together = bonds.sees(quads).all(axis=1)
            seen += together
            right += together & bonds.has(there) & ~bonds.has(gone)
        kept &= (seen > 0) & (right >= share * seen - 1e-9)
    return kept


def t1_exchanges(
    frames: Iterable[Bonds], *, persistence: int = 5, share: float = 1.0
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the lasting exchanges of a movie, frame after frame, from its bonds.

    Only 2 ``persistence`` frames are held at a time, so a movie of any length can be streamed.

    Parameters
    ----------
    frames : iterable of Bonds
        Consecutive frames.
    persistence : int
        Frames before and after for which an exchange has to last.
    share : float
        Share of those frames in which it has to be there, above 1/2: bonds of nearly square quads flicker.

    Yields
    ------
    t : int
        Place in ``frames`` of the first one with the new bonds, from ``persistence`` to the last but
        ``persistence - 1``.
    quads : int array, shape (q, 4)
        Ids i, j, k, l: bond i-j gave way to k-l.

    Raises
    ------
    InputError
        If the settings are out of range.
    """
    check_persistence(persistence, share)
    held: list[Bonds] = []
    for place, bonds in enumerate(frames):
        held.append(bonds)
        if len(held) > 2 * persistence:
            held.pop(0)
        if len(held) == 2 * persistence:
            quads = flips(held[persistence - 1], held[persistence])
            kept = lasting(quads, held[:persistence], held[persistence:], share=share)
            yield place - persistence + 1, quads[kept]


def check_persistence(persistence: int, share: float) -> None:
    """Refuse settings without meaning."""
    if persistence < 1 or not 0.5 < share <= 1:
        raise InputError(
            f"persistence = {persistence}, share = {share}",
            expected="at least one frame, and a share above 1/2 and up to 1",
            action="give a number of frames such as 5 and a share such as 0.8",
        )


def _check(graph: NeighborGraph, particle: np.ndarray) -> None:
    if graph.vectors.shape[1] != 2:
        raise InputError(
            f"a graph in {graph.vectors.shape[1]} dimensions",
            expected="bonds in the plane: a T1 exchange has no counterpart among pairs of bonds in space",
            action="use D2min or the cage-relative displacement in three dimensions",
        )
    ascending = len(particle) == graph.n_particles and bool((np.diff(particle) > 0).all())
    if not ascending or (len(particle) and not 0 <= particle[0] <= particle[-1] < 1 << _IDS):
        raise InputError(
            f"{len(particle)} particle ids for {graph.n_particles} particles",
            expected="one id per particle, ascending, from 0 to 2^31 - 1",
            action="number the particles as Trajectories does",
        )


def _place(values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return where the wanted ones would stand in ascending values, never beyond the last."""
    return np.minimum(np.searchsorted(values, wanted), max(len(values) - 1, 0))


def _contains(values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Tell which of the wanted ones are among ascending values."""
    if not len(values):
        return np.zeros(np.shape(wanted), dtype=bool)
    return np.asarray(values[_place(values, wanted)] == wanted)
