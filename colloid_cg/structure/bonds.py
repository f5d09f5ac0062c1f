"""How regularly the neighbours of a particle are arranged: |psi_k| in the plane, Steinhardt's q_l in space."""

from __future__ import annotations

import numpy as np
from scipy.special import sph_harm_y

from colloid_cg.shapes import Indices, Scalars, Vectors

ORDERS = (2, 3, 4, 5, 6, 7, 8)
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
    total = np.bincount(centre, weights, minlength=n_particles) + SOFTENING
    if vectors.shape[1] == 2:
        square = modulus_squared(harmonic(vectors, order), weights, centre, n_particles=n_particles)
    else:
        square = _steinhardt_squared(vectors, weights, centre, n_particles=n_particles, order=order)
    return np.asarray(np.sqrt(square) / total)


def harmonic(vectors: Vectors, order: int) -> np.ndarray:
    """Return exp(i order theta) of plane vectors, shape (m,)."""
    length = np.hypot(vectors[:, 0], vectors[:, 1])
    unit = (vectors[:, 0] + 1j * vectors[:, 1]) / np.where(length > 0, length, 1.0)
    # Repeated products: a complex power goes through logarithms and is ten times slower.
    result = unit.copy()
    for _ in range(order - 1):
        result *= unit
    return np.asarray(result)


def _steinhardt_squared(
    vectors: Vectors, weights: Scalars, centre: Indices, *, n_particles: int, order: int
) -> Scalars:
    length = np.sqrt((vectors**2).sum(axis=1))
    polar = np.arccos(np.clip(vectors[:, 2] / np.where(length > 0, length, 1.0), -1.0, 1.0))
    azimuth = np.arctan2(vectors[:, 1], vectors[:, 0])
    square = np.zeros(n_particles)
    for m in range(order + 1):
        # |Y_l,-m| = |Y_l,m| summed over real weights, so negative m count as the positive ones again.
        part = modulus_squared(sph_harm_y(order, m, polar, azimuth), weights, centre, n_particles=n_particles)
        square += part if m == 0 else 2.0 * part
    return np.asarray(4.0 * np.pi / (2 * order + 1) * square)


def modulus_squared(values: np.ndarray, weights: Scalars, centre: Indices, *, n_particles: int) -> Scalars:
    """Return |sum_j w_ij values_ij|^2 of each particle, shape (n_particles,)."""
    real = np.bincount(centre, weights * values.real, minlength=n_particles)
    imaginary = np.bincount(centre, weights * values.imag, minlength=n_particles)
    return np.asarray(real**2 + imaginary**2)
