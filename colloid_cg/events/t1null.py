"""Null law of T1 exchanges: do two diagonals change length by more than affine motion, rattling and noise explain?"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy import special

from colloid_cg.events.nulls import dispersed_tail
from colloid_cg.observables.exchanges import Bonds, ends_of
from colloid_cg.records import Trajectories

_FEWEST_RING = 4
_SHARE = 0.75


@dataclass(frozen=True, kw_only=True, eq=False)
class QuadChange:
    """How much longer the old diagonal of each quad became than the new one.

    Parameters
    ----------
    change : array, shape (q,)
        Change of (d_ij - d_kl) less its affine part, in um; NaN where the ring around the quad is not known.
    deviation : array, shape (q,)
        Standard deviation of the change under the null, in um.
    """

    change: np.ndarray
    deviation: np.ndarray

    def p_value(self, *, dispersion: float = 0.0, rounding: float = 0.0) -> np.ndarray:
        """Return P(change at least as large), shape (q,); one-sided, NaN where the change is not known.

        ``dispersion`` is the standard deviation of ln v between particles; changes below ``rounding`` (um) are none.
        """
        p_value = np.full(len(self.change), np.nan)
        known = np.isfinite(self.change) & np.isfinite(self.deviation)
        with np.errstate(divide="ignore", invalid="ignore"):
            z = np.where(self.change > rounding, self.change / self.deviation, np.minimum(self.change, 0.0))
        square = np.minimum(z[known] ** 2, 1e12)
        p_value[known] = dispersed_tail(lambda x, _: special.ndtr(-np.sqrt(x)), square, dispersion)
        p_value[known & (self.change <= rounding)] = 1.0
        return p_value


def quad_change(
    tracks: Trajectories, quads: np.ndarray, t: int, *, persistence: int, bonds: Bonds, variance: np.ndarray
) -> QuadChange:
    """Return the change of (d_ij - d_kl) from the frames before t to those from t on, and its null deviation.

    Distances are those between mean positions over the ``persistence`` frames on either side, of which only those
    count in which all four are seen. The affine part is |F b_ij| - |F b_kl| less the same before, with F fitted to the
    ring: the neighbours of the four in ``bonds``, without the four, so that the exchange itself does not bend it.
    Exactly zero for every affine motion where no frame is missing.

    To first order in displacement / distance the change is a sum over quad and ring of c_m . u_m, u_m the non-affine
    displacement of the mean position of m, with c_j = -c_i = e_ij and c_l = -c_k = -e_kl (unit vectors) and on the ring
    c_m = e_kl (x_m . Y^-1 b_kl) - e_ij (x_m . Y^-1 b_ij), x_m from the centre of the ring, Y = sum x_m x_m^T. For
    independent u_m with variance v_m per coordinate it is Gaussian with variance sum v_m |c_m|^2. Where only n of the
    ``persistence`` frames are known, v_m grows as for independent frames.

    Parameters
    ----------
    tracks : Trajectories
    quads : int array, shape (q, 4)
        Ids i, j, k, l.
    t : int
        First frame of the later window.
    persistence : int
    bonds : Bonds
        Of frame t - 1.
    variance : array, shape (n,)
        v in um2 of each row of the table: variance per coordinate of the displacement between the two window means.
    """
    if not len(quads):
        return QuadChange(change=np.empty(0), deviation=np.empty(0))
    ring = _ring(quads, bonds)
    members = np.concatenate([quads, ring], axis=1)
    places, spread = _places(tracks, members, t, persistence, variance)
    first, second, count = _mean_places(places, persistence)
    # A member counts if seen in most of the frames in which all four are, on either side.
    seen = np.asarray(((count > 0) & (count >= _SHARE * count[:, :, :1])).all(axis=0))
    in_ring = seen[:, 4:] & (ring >= 0)
    size = in_ring.sum(axis=1)
    known = (size >= _FEWEST_RING) & (size >= _SHARE * (ring >= 0).sum(axis=1)) & seen[:, :4].all(axis=1)
    counted = np.concatenate([np.ones_like(quads, dtype=bool), in_ring], axis=1)
    # A NaN among the variances is not to be guessed either.
    known &= np.isfinite(np.where(counted, spread, 0.0)).all(axis=1)
    fewer = 0.5 * (persistence / np.maximum(count, 1)).sum(axis=0)
    change, square = _linear_law(first, second, in_ring, np.where(counted & known[:, None], spread * fewer, 0.0))
    known &= np.isfinite(square)
    return QuadChange(change=np.where(known, change, np.nan), deviation=np.where(known, np.sqrt(square), np.nan))


def _mean_places(places: np.ndarray, persistence: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mean places before and after, shapes (q, m, 2), and the number of frames behind each, shape (2, q, m).

    Only frames count in which all four are seen. Whoever of the ring is missing in some of them is averaged relative
    to the centre of the four, so that drift and jumps of the view do not enter.
    """
    together = np.isfinite(places[:, :, :4, 0]).all(axis=2)
    seen = np.isfinite(places[..., 0]) & together[..., None]
    centre = places[:, :, :4].mean(axis=2, keepdims=True)
    weight = np.where(seen, 1.0, 0.0)
    away = np.where(seen[..., None], places - centre, 0.0)
    means, counts = [], []
    for part in (slice(0, persistence), slice(persistence, None)):
        count = weight[part].sum(axis=0)
        means.append(np.einsum("fqma->qma", away[part]) / np.maximum(count, 1.0)[..., None])
        counts.append(count)
    return means[0], means[1], np.stack(counts)


def _ring(quads: np.ndarray, bonds: Bonds) -> np.ndarray:
    """Return the ids of the neighbours of each quad, its own four left out, shape (q, w), -1 where there are fewer."""
    a, b = ends_of(bonds.code)
    centre, neighbor = np.concatenate([a, b]), np.concatenate([b, a])
    order = np.argsort(centre, kind="stable")
    centre, neighbor = centre[order], neighbor[order]
    start, stop = np.searchsorted(centre, quads), np.searchsorted(centre, quads, side="right")
    rings = [
        np.setdiff1d(np.concatenate([neighbor[u:v] for u, v in zip(low, high, strict=True)]), quad)
        for low, high, quad in zip(start, stop, quads, strict=True)
    ]
    table = np.full((len(quads), max(len(ring) for ring in rings)), -1)
    for row, ring in zip(table, rings, strict=True):
        row[: len(ring)] = ring
    return table


def _places(
    tracks: Trajectories, members: np.ndarray, t: int, persistence: int, variance: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return positions relative to particle i, shape (2 h, q, m, 2), and v at frame t, shape (q, m); NaN if missing."""
    particle, axes = tracks.table["particle"].to_numpy(), list(tracks.axes)
    frames = np.arange(t - persistence, t + persistence + 1)
    borders = np.searchsorted(tracks.table["frame"].to_numpy(), frames)
    window = tracks.table[axes].to_numpy()[borders[0] : borders[-1]] * tracks.pixel_size
    places = np.full((2 * persistence, *members.shape, 2), np.nan)
    spread = np.full(members.shape, np.nan)
    for place, (low, high) in enumerate(pairwise(borders)):
        if low == high:
            continue
        row = np.minimum(np.searchsorted(particle[low:high], members), high - low - 1)
        seen = particle[low:high][row] == members
        places[place] = np.where(seen[..., None], window[low - borders[0] + row], np.nan)
        if place == persistence:
            spread = np.where(seen, variance[low + row], np.nan)
    return tracks.box.shortest(places - places[:, :, :1]), spread


def _linear_law(
    first: np.ndarray, second: np.ndarray, in_ring: np.ndarray, spread: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return change and its variance; 0 and infinity where the ring lies on a line."""
    size = np.maximum(in_ring.sum(axis=1), 1)[:, None, None]
    ring, moved = (
        np.where(in_ring[..., None], x[:, 4:] - (x[:, 4:] * in_ring[..., None]).sum(axis=1, keepdims=True) / size, 0.0)
        for x in (first, second)
    )
    square = np.einsum("qma,qmb->qab", ring, ring)
    regular = np.linalg.det(square) > 1e-9 * np.einsum("qaa->q", square) ** 2
    inverse = np.linalg.inv(np.where(regular[:, None, None], square, np.eye(2)))
    fit = np.einsum("qma,qmb,qbc->qac", moved, ring, inverse)
    change, coefficient = np.zeros(len(first)), np.zeros(ring.shape)
    own = np.zeros(len(first))
    for sign, (a, b) in ((1.0, (0, 1)), (-1.0, (2, 3))):
        bond = first[:, b] - first[:, a]
        mapped = np.einsum("qab,qb->qa", fit, bond)
        length = np.maximum(np.linalg.norm(mapped, axis=1), 1e-300)
        unit = mapped / length[:, None]
        change += sign * (np.linalg.norm(second[:, b] - second[:, a], axis=1) - length)
        along = np.einsum("qma,qab,qb->qm", ring, inverse, bond)
        coefficient -= sign * along[..., None] * unit[:, None, :]
        own += (spread[:, a] + spread[:, b]) * _both_windows(unit, fit)
    variance = own + (spread[:, 4:] * in_ring * _both_windows(coefficient, fit[:, None])).sum(axis=1)
    return np.where(regular, change, 0.0), np.where(regular, variance, np.inf)


def _both_windows(coefficient: np.ndarray, fit: np.ndarray) -> np.ndarray:
    """Return |c|^2, half from the later window and half from the earlier one, whose errors F carries along."""
    before = np.einsum("...ab,...a->...b", fit, coefficient)
    return np.asarray(0.5 * ((coefficient**2).sum(axis=-1) + (before**2).sum(axis=-1)))
