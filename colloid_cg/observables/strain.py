"""Rotation and strain invariants of the best local affine map F (``deformation_gradient``)."""

from __future__ import annotations

import numpy as np

from colloid_cg.errors import InputError
from colloid_cg.shapes import Scalars


def local_rotation(fit: np.ndarray) -> np.ndarray:
    """Return the rotation R of the polar decomposition F = R U, with U symmetric and positive.

    A motion x -> R x gives R exactly; strain does not enter. In 2-D the angle is atan2(F_yx - F_xy, F_xx + F_yy).
    In 3-D R = W V^T from the singular value decomposition F = W S V^T, the smallest singular direction turned round
    where W V^T is a reflection (Kabsch, Acta Cryst. A 32, 922 (1976), doi:10.1107/S0567739476001873).

    Parameters
    ----------
    fit : array, shape (n, d, d)
        F of each particle.

    Returns
    -------
    array, shape (n,) in 2-D, (n, 3) in 3-D
        In rad: the angle, counter-clockwise where y points up; or the rotation vector (axis times angle, angle from 0
        to pi). NaN where F is.

    Raises
    ------
    InputError
        If F is not made of 2 x 2 or 3 x 3 matrices.
    """
    fit = _checked(fit)
    if fit.shape[1] == 2:
        return np.asarray(np.arctan2(fit[:, 1, 0] - fit[:, 0, 1], fit[:, 0, 0] + fit[:, 1, 1]))
    known = np.isfinite(fit).all(axis=(1, 2))
    vector = np.full((len(fit), 3), np.nan)
    left, _, right = np.linalg.svd(fit[known])
    left[:, :, 2] *= np.sign(np.linalg.det(left @ right))[:, None]
    vector[known] = _rotation_vector(left @ right)
    return vector


def max_shear_strain(fit: np.ndarray) -> Scalars:
    """Return the largest shear component of the Green-Lagrange strain E = (F^T F - 1) / 2 over all axes, shape (n,).

    Half the difference of the largest and the smallest principal strain. Zero for rotations and, in 2-D, for
    isotropic expansion. A simple shear F = [[1, g], [0, 1]] gives (g / 2) sqrt(1 + g^2 / 4). NaN where F is.
    """
    fit = _checked(fit)
    known = np.isfinite(fit).all(axis=(1, 2))
    value = np.full(len(fit), np.nan)
    d = fit.shape[1]
    principal = np.linalg.eigvalsh(0.5 * (np.swapaxes(fit[known], 1, 2) @ fit[known] - np.eye(d)))
    value[known] = 0.5 * (principal[:, -1] - principal[:, 0])
    return value


def volumetric_strain(fit: np.ndarray) -> Scalars:
    """Return det F - 1, the relative change of the local area (2-D) or volume (3-D), shape (n,).

    Zero for rotations and simple shear; NaN where F is. det F = sqrt(det(1 + 2 E)) with E of Green and Lagrange.
    """
    return np.asarray(np.linalg.det(_checked(fit)) - 1.0)


def _rotation_vector(matrix: np.ndarray) -> np.ndarray:
    """Return axis times angle by way of the unit quaternion, which is accurate at every angle."""
    trace = np.trace(matrix, axis1=1, axis2=2)
    # Four times the outer product of the quaternion (w, x, y, z) with itself.
    outer = np.empty((len(matrix), 4, 4))
    outer[:, 0, 0] = 1.0 + trace
    for a in range(3):
        b, c = (a + 1) % 3, (a + 2) % 3
        outer[:, 0, a + 1] = outer[:, a + 1, 0] = matrix[:, c, b] - matrix[:, b, c]
        for k in range(3):
            diagonal = 1.0 - trace if a == k else 0.0
            outer[:, a + 1, k + 1] = diagonal + matrix[:, a, k] + matrix[:, k, a]
    largest = np.argmax(np.diagonal(outer, axis1=1, axis2=2), axis=1)
    quaternion = outer[np.arange(len(outer)), largest]
    quaternion /= np.linalg.norm(quaternion, axis=1, keepdims=True)
    quaternion *= np.where(quaternion[:, :1] < 0, -1.0, 1.0)
    length = np.linalg.norm(quaternion[:, 1:], axis=1)
    angle = 2.0 * np.arctan2(length, quaternion[:, 0])
    return np.asarray(quaternion[:, 1:] * np.where(length > 0, angle / np.where(length > 0, length, 1.0), 2.0)[:, None])


def _checked(fit: np.ndarray) -> np.ndarray:
    fit = np.asarray(fit, dtype=float)
    if fit.ndim != 3 or fit.shape[1:] not in ((2, 2), (3, 3)):
        raise InputError(
            f"maps of shape {fit.shape}",
            expected="one 2 x 2 or 3 x 3 matrix per particle",
            action="compute them with deformation_gradient",
        )
    return fit
