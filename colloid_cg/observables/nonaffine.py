"""Local affine fit of the motion of neighbours, and what it leaves over (D2min)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numba import njit

from colloid_cg.errors import InputError
from colloid_cg.records import Box, NeighborGraph
from colloid_cg.shapes import Positions, Scalars

_SINGULAR = 1e-12


def d2min(
    before: Positions,
    after: Positions,
    graph: NeighborGraph,
    *,
    normalise: Literal["bond", "sum"] = "bond",
    reference: Literal["before", "after"] = "before",
    box: Box | None = None,
) -> Scalars:
    """Return the non-affine mean square displacement of each particle's neighbours.

    D2min_i = min_F sum_j |(r_j' - r_i') - F (r_j - r_i)|^2 over the neighbours j of i, eqs. 2.11-2.14 of Falk and
    Langer, Phys. Rev. E 57, 7192 (1998), doi:10.1103/PhysRevE.57.7192. Exactly zero (to rounding) for every affine
    motion, rotation and translation included: the residuals themselves are squared and summed, never a difference
    of large sums.

    Parameters
    ----------
    before, after : arrays, shape (n, d)
        Positions of the same particles; any unit.
    graph : NeighborGraph
        Who is whose neighbour; build it from the reference frame.
    normalise : "bond" or "sum"
        Divide by the number of neighbours, or not. The literature uses both.
    reference : "before" or "after"
        The frame whose bonds are mapped by F onto those of the other one; residuals are lengths in the other.
    box : Box, optional
        Give it when axes are periodic: bonds are then shortest images.

    Returns
    -------
    array, shape (n,)
        Squared unit of the positions; NaN with d or fewer neighbours (F then fits anything) or when all
        neighbours lie on a line (plane).
    """
    pairs, first, second = _bonds(before, after, graph, reference, box)
    count, _, fit, _ = _fit(pairs, first, second, graph.n_particles)
    total = _residuals(pairs, first, second, fit)
    total[count <= first.shape[1]] = np.nan
    if normalise == "sum":
        return np.asarray(total)
    return np.asarray(total / np.maximum(count, 1))


def deformation_gradient(
    before: Positions,
    after: Positions,
    graph: NeighborGraph,
    *,
    reference: Literal["before", "after"] = "before",
    box: Box | None = None,
) -> np.ndarray:
    """Return the best local affine map F = X Y^-1 of each particle, shape (n, d, d).

    X = sum_j b_j' b_j^T and Y = sum_j b_j b_j^T with bonds b in the reference frame and b' in the other one;
    NaN where fewer than d neighbours, or neighbours on a line, leave F open. See ``d2min``.
    """
    pairs, first, second = _bonds(before, after, graph, reference, box)
    return np.asarray(_fit(pairs, first, second, graph.n_particles)[2])


def local_strain(
    before: Positions,
    after: Positions,
    graph: NeighborGraph,
    *,
    reference: Literal["before", "after"] = "before",
    box: Box | None = None,
) -> np.ndarray:
    """Return the Green-Lagrange strain (F^T F - 1) / 2 of the best local affine map, shape (n, d, d).

    Zero for a rigid rotation, unlike F - 1.
    """
    fit = deformation_gradient(before, after, graph, reference=reference, box=box)
    return np.asarray(0.5 * (np.swapaxes(fit, 1, 2) @ fit - np.eye(fit.shape[1])))


def bond_statistics(positions: Positions, graph: NeighborGraph, *, box: Box | None = None) -> tuple[Scalars, Scalars]:
    """Return the number of neighbours n and c = 1^T P 1 of each particle, shapes (n,).

    P = 1 - B (B^T B)^-1 B^T projects off the n x d matrix B of bonds; c is what noise of the central particle,
    common to all its bonds, adds to D2min (see ``d2min_noise_floor``): n for a symmetric shell, about n - d for an
    irregular one. NaN where B^T B is singular.
    """
    pairs, first, second = _bonds(positions, positions, graph, "before", box)
    count, shared, _, _ = _fit(pairs, first, second, graph.n_particles)
    return np.asarray(count), np.asarray(shared)


@dataclass(frozen=True, kw_only=True, eq=False)
class NonaffineMotion:
    """The local affine fit of every particle and what decides the law of its D2min, shapes (n, ...).

    Parameters
    ----------
    total : array, shape (n,)
        D2min summed over bonds; NaN where ``d2min`` is.
    gradient : array, shape (n, d, d)
        F of ``deformation_gradient``.
    count, shared : arrays, shape (n,)
        n and c of ``bond_statistics``.
    weight : array, shape (n, K)
        sum_j P_jj over the neighbours j of class k: how much their displacement variance counts.
    noise : array, shape (n,)
        sum_j P_jj s_j over the neighbours, for the given variances s.
    """

    total: Scalars
    gradient: np.ndarray
    count: Scalars
    shared: Scalars
    weight: np.ndarray
    noise: Scalars


def nonaffine_motion(
    before: Positions,
    after: Positions,
    graph: NeighborGraph,
    *,
    classes: np.ndarray,
    n_classes: int,
    variance: np.ndarray,
    reference: Literal["before", "after"] = "before",
    box: Box | None = None,
) -> NonaffineMotion:
    """Return D2min with all that its law needs where particles differ in rattling and in localisation error.

    Non-affine displacements of variance V_k + s_j per coordinate (class k of particle j) leave, to first order in
    displacement / bond length,

        E D2min_i = d [sum_k w_ik V_k + noise_i + c_i (V_k(i) + s_i)],

    of which ``d2min_noise_floor`` is the case of one class and s = 0.

    Parameters
    ----------
    before, after, graph, reference, box
        See ``d2min``.
    classes : int array, shape (n,)
        From 0 to ``n_classes`` - 1.
    variance : array, shape (n,)
        s, what each particle's displacement has more than V of its class; squared unit of the positions.
    """
    pairs, first, second = _bonds(before, after, graph, reference, box)
    count, shared, fit, inverse = _fit(pairs, first, second, graph.n_particles)
    total = _residuals(pairs, first, second, fit)
    total[count <= first.shape[1]] = np.nan
    classes, variance = np.asarray(classes, dtype=np.int64), np.asarray(variance, dtype=float)
    weight, noise = _noise_weights(pairs, first, inverse, classes, n_classes, variance)
    return NonaffineMotion(total=total, gradient=fit, count=count, shared=shared, weight=weight, noise=noise)


def d2min_noise_floor(sigma: float, n_neighbors: Scalars, shared: Scalars, *, dimension: int = 2) -> Scalars:
    """Return the mean D2min per bond that localisation noise alone produces.

    Let every coordinate of every position carry an independent error of standard deviation sigma in both frames.
    The error of the change of bond j is e_j = eta_j - eta_i with variance v = 2 sigma^2 per particle and
    coordinate, so over the n bonds of particle i Cov(e) = v (1 + 1 1^T). The affine fit removes the span of the
    bonds: the residual is P e, and with c = 1^T P 1

        E |P e|^2 = v tr[P (1 + 1 1^T)] = v (n - d + c)   per coordinate,

    hence D2min per bond = (d v / n) (n - d + c): 8 sigma^2 (1 - 1/n) for symmetric shells in 2-D (c = n). The
    matrix P (1 + 1 1^T) P has the eigenvalue 1 (n - d - 1 times) and 1 + c (once), so the sum over bonds is
    distributed as v [chi2_(d (n - d - 1)) + (1 + c) chi2_d]: a generalised chi-square. First order in
    sigma / bond length (errors of the reference bonds themselves are neglected).

    Parameters
    ----------
    sigma : float
        Standard localisation error per coordinate.
    n_neighbors, shared : arrays, shape (n,)
        n and c from ``bond_statistics``.
    dimension : int
    """
    count = np.asarray(n_neighbors, dtype=float)
    return np.asarray(2 * sigma**2 * dimension * (count - dimension + shared) / count)


def _bonds(
    before: Positions, after: Positions, graph: NeighborGraph, reference: str, box: Box | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return pairs, bonds in the reference frame and bonds in the other frame."""
    before, after = np.asarray(before, dtype=float), np.asarray(after, dtype=float)
    if before.shape != after.shape or before.ndim != 2 or before.shape[1] not in (2, 3):
        raise InputError(
            f"positions of shapes {before.shape} and {after.shape}",
            expected="the same particles in both frames, shape (n, 2) or (n, 3)",
            action="keep only particles seen in both frames",
        )
    if graph.n_particles != len(before):
        raise InputError(
            f"a graph of {graph.n_particles} particles for {len(before)} positions",
            expected="one position per particle of the graph",
            action="build the graph from the particles seen in both frames",
        )
    if reference not in ("before", "after"):
        raise InputError(f"reference = {reference!r}", expected="'before' or 'after'", action="choose one")
    first, second = (before, after) if reference == "before" else (after, before)
    i, j = graph.pairs.T
    bonds = [positions[j] - positions[i] for positions in (first, second)]
    if box is not None:
        bonds = [box.shortest(vectors) for vectors in bonds]
    return np.ascontiguousarray(graph.pairs), np.ascontiguousarray(bonds[0]), np.ascontiguousarray(bonds[1])


@njit(cache=True)  # type: ignore[untyped-decorator]
def _inverse(matrix: np.ndarray) -> tuple[np.ndarray, bool]:
    """Return the inverse of a symmetric 2 x 2 or 3 x 3 matrix by cofactors, and whether it is regular."""
    d = matrix.shape[0]
    inverse = np.empty((d, d))
    trace = 0.0
    for a in range(d):
        trace += matrix[a, a]
    if d == 2:
        inverse[0, 0], inverse[1, 1] = matrix[1, 1], matrix[0, 0]
        inverse[0, 1] = inverse[1, 0] = -matrix[0, 1]
        determinant = matrix[0, 0] * matrix[1, 1] - matrix[0, 1] * matrix[1, 0]
    else:
        for a in range(3):
            for b in range(3):
                p, q, r, s = (a + 1) % 3, (a + 2) % 3, (b + 1) % 3, (b + 2) % 3
                inverse[b, a] = matrix[p, r] * matrix[q, s] - matrix[p, s] * matrix[q, r]
        determinant = 0.0
        for a in range(3):
            determinant += matrix[0, a] * inverse[a, 0]
    if determinant <= _SINGULAR * (trace / d) ** d:
        return inverse, False
    return inverse / determinant, True


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _add_products(pairs: np.ndarray, left: np.ndarray, right: np.ndarray, total: np.ndarray) -> None:
    """Add l_j r_j^T of each bond to both its particles: the products of a bond and of its reverse are the same."""
    d = left.shape[1]
    for p in range(len(pairs)):
        i, j = pairs[p, 0], pairs[p, 1]
        for a in range(d):
            for b in range(d):
                product = left[p, a] * right[p, b]
                total[i, a, b] += product
                total[j, a, b] += product


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _fit(
    pairs: np.ndarray, first: np.ndarray, second: np.ndarray, n_particles: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return neighbours per particle, c = 1^T P 1, F and Y^-1; NaN where the bonds do not span the space.

    F = X Y^-1 is refined once with the products of its own residuals: thin shells lose half the digits in Y^-1, and
    D2min of an affine motion would otherwise not be 0 there.
    """
    d = first.shape[1]
    count = np.zeros(n_particles)
    bond_sum = np.zeros((n_particles, d))
    for p in range(len(pairs)):
        i, j = pairs[p, 0], pairs[p, 1]
        count[i] += 1.0
        count[j] += 1.0
        for a in range(d):
            bond_sum[i, a] += first[p, a]
            bond_sum[j, a] -= first[p, a]
    cross, square = np.zeros((n_particles, d, d)), np.zeros((n_particles, d, d))
    _add_products(pairs, second, first, cross)
    _add_products(pairs, first, first, square)
    shared = np.full(n_particles, np.nan)
    inverse, fit = np.full((n_particles, d, d), np.nan), np.zeros((n_particles, d, d))
    for i in range(n_particles):
        inverse[i], regular = _inverse(square[i])
        if not regular:
            inverse[i] = np.nan
        shared[i] = count[i]
        for a in range(d):
            for b in range(d):
                shared[i] -= bond_sum[i, a] * inverse[i, a, b] * bond_sum[i, b]
    _add_solution(cross, inverse, fit)
    cross[:] = 0.0
    _add_residual_products(pairs, first, second, fit, cross)
    _add_solution(cross, inverse, fit)
    return count, shared, fit, inverse


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _add_solution(cross: np.ndarray, inverse: np.ndarray, fit: np.ndarray) -> None:
    """Add X Y^-1 to F."""
    n, d, _ = fit.shape
    for i in range(n):
        for a in range(d):
            for b in range(d):
                for k in range(d):
                    fit[i, a, b] += cross[i, a, k] * inverse[i, k, b]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _add_residual_products(
    pairs: np.ndarray, first: np.ndarray, second: np.ndarray, fit: np.ndarray, cross: np.ndarray
) -> None:
    """Add sum_j (b_j' - F_i b_j) b_j^T to every particle i."""
    d = first.shape[1]
    for p in range(len(pairs)):
        for side in range(2):
            i = pairs[p, side]
            for a in range(d):
                residual = second[p, a]
                for b in range(d):
                    residual -= fit[i, a, b] * first[p, b]
                for b in range(d):
                    cross[i, a, b] += residual * first[p, b]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _noise_weights(
    pairs: np.ndarray, bonds: np.ndarray, inverse: np.ndarray, classes: np.ndarray, n_classes: int, variance: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return sum_j P_jj by class of j and sum_j P_jj s_j, with P_jj = 1 - b_j^T Y^-1 b_j."""
    n, d = len(inverse), bonds.shape[1]
    weight, noise = np.zeros((n, n_classes)), np.zeros(n)
    for p in range(len(pairs)):
        for side in range(2):
            i, j = pairs[p, side], pairs[p, 1 - side]
            left = 1.0
            for a in range(d):
                for b in range(d):
                    left -= bonds[p, a] * inverse[i, a, b] * bonds[p, b]
            weight[i, classes[j]] += left
            noise[i] += left * variance[j]
    return weight, noise


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _residuals(pairs: np.ndarray, first: np.ndarray, second: np.ndarray, fit: np.ndarray) -> np.ndarray:
    """Return sum_j |b_j' - F_i b_j|^2 for every particle i."""
    d = first.shape[1]
    total = np.zeros(len(fit))
    for p in range(len(pairs)):
        for side in range(2):
            i = pairs[p, side]
            for a in range(d):
                residual = second[p, a]
                for b in range(d):
                    residual -= fit[i, a, b] * first[p, b]
                total[i] += residual * residual
    return total
