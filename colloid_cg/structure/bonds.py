"""How regularly the neighbours of a particle are arranged: |psi_k| in the plane, Steinhardt's q_l in space."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.special import sph_harm_y

from colloid_cg.shapes import Indices, Scalars, Vectors

ORDERS = (2, 3, 4, 5, 6, 7, 8)
SHELL_ORDERS = (2, 4, 6)
"""Orders of the shells that have a bond order of their own."""
SOFTENING = 0.05
"""Weight of an imaginary disordered neighbour: one particle at the very rim of the window is no order yet."""


def bond_order(
    vectors: Vectors,
    weights: Scalars,
    centre: Indices,
    *,
    n_particles: int,
    order: int,
) -> Scalars:
    r"""Return the bond-orientational order of each particle, between 0 and 1.

    In the plane, theta being the angle of the bond,

    .. math:: |\psi_k| = \Big|\sum_j w_{ij} e^{i k \theta_{ij}}\Big| \Big/ \Big(\sum_j w_{ij} + w_0\Big)

    and in space Steinhardt's invariant with the same weights,

    .. math:: q_l = \Big(\tfrac{4\pi}{2l+1} \sum_m \Big|\sum_j w_{ij} Y_{lm}(e_{ij})\Big|^2\Big)^{1/2}
              \Big/ \Big(\sum_j w_{ij} + w_0\Big) .

    Halperin and Nelson, doi:10.1103/PhysRevLett.41.121; Steinhardt et al., doi:10.1103/PhysRevB.28.784.

    Parameters
    ----------
    vectors : array, shape (m, d)
        From centre to neighbour, every pair both ways.
    weights : array, shape (m,)
    centre : int array, shape (m,)
    n_particles, order : int
        Number of particles; k or l. w_0 is :data:`SOFTENING`; without neighbours the value is 0.
    """
    return shell_bond_orders(vectors, [weights], centre, n_particles=n_particles, orders=(order,))[0]


def shell_bond_orders(
    vectors: Vectors, shells: list[Scalars], centre: Indices, *, n_particles: int, orders: tuple[int, ...]
) -> list[Scalars]:
    """Return :func:`bond_order` for every order and, within it, every set of weights: the harmonics are made once.

    Parameters
    ----------
    vectors : array, shape (m, d)
    shells : list of arrays, shape (m,)
        The weights of each shell.
    centre : int array, shape (m,)
    n_particles : int
    orders : tuple of int
    """
    totals = [np.bincount(centre, weights, minlength=n_particles) + SOFTENING for weights in shells]
    found = []
    for order in orders:
        squares = [np.zeros(n_particles) for _ in shells]
        for factor, values in _harmonics(vectors, order):
            for square, weights in zip(squares, shells, strict=True):
                square += factor * modulus_squared(values, weights, centre, n_particles=n_particles)
        found += [np.asarray(np.sqrt(square) / total) for square, total in zip(squares, totals, strict=True)]
    return found


def harmonic(vectors: Vectors, order: int) -> np.ndarray:
    """Return exp(i order theta) of plane vectors, shape (m,)."""
    length = np.hypot(vectors[:, 0], vectors[:, 1])
    unit = (vectors[:, 0] + 1j * vectors[:, 1]) / np.where(length > 0, length, 1.0)
    # Repeated products: a complex power goes through logarithms and is ten times slower.
    result = unit.copy()
    for _ in range(order - 1):
        result *= unit
    return np.asarray(result)


def _harmonics(vectors: Vectors, order: int) -> Iterator[tuple[float, np.ndarray]]:
    """Yield the harmonics of one order with the factors that make the sum of their moduli squared an invariant."""
    if vectors.shape[1] == 2:
        yield 1.0, harmonic(vectors, order)
        return
    length = np.sqrt((vectors**2).sum(axis=1))
    polar = np.arccos(np.clip(vectors[:, 2] / np.where(length > 0, length, 1.0), -1.0, 1.0))
    azimuth = np.arctan2(vectors[:, 1], vectors[:, 0])
    for m in range(order + 1):
        # |Y_l,-m| = |Y_l,m| summed over real weights, so negative m count as the positive ones again.
        yield 4.0 * np.pi / (2 * order + 1) * (1.0 if m == 0 else 2.0), sph_harm_y(order, m, polar, azimuth)


def modulus_squared(values: np.ndarray, weights: Scalars, centre: Indices, *, n_particles: int) -> Scalars:
    """Return |sum_j w_ij values_ij|^2 of each particle, shape (n_particles,)."""
    real = np.bincount(centre, weights * values.real, minlength=n_particles)
    imaginary = np.bincount(centre, weights * values.imag, minlength=n_particles)
    return np.asarray(real**2 + imaginary**2)
