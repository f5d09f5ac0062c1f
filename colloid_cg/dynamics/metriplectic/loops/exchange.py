"""Friction and its noise, pair by pair; formulas: ``colloid_cg.dynamics.metriplectic.dissipative``."""

# mypy: disable-error-code="untyped-decorator, no-untyped-def, no-untyped-call"
from __future__ import annotations

import numpy as np
import torch
from numba import njit

from colloid_cg.dynamics.metriplectic.loops.arrays import array, optional


def mean_impulse(
    par: tuple[torch.Tensor | None, ...],
    perp: tuple[torch.Tensor | None, ...],
    thermal: tuple[torch.Tensor, torch.Tensor],
    velocities: torch.Tensor,
    direction: torch.Tensor,
    pairs: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    *,
    boltzmann: float,
    face_speed: float,
) -> torch.Tensor:
    """Return -(1/2) [A_par ee^T + A_perp (1 - ee^T)] w, shape (d, p).

    ``par``, ``perp``: value of the friction and its derivatives by both temperatures, (p,); ``thermal``: T and d2U/dS2,
    (n,); ``pairs``: first, second, image.
    """
    out = torch.empty(direction.shape, dtype=direction.dtype)
    _mean_impulse(
        *(optional(values, direction) for values in (*par, *perp)),
        *(array(values) for values in (*thermal, velocities, direction, *pairs)), boltzmann, face_speed, out.numpy(),
    )  # fmt: skip
    return out


def impulse_noise(
    par: torch.Tensor | None, perp: torch.Tensor | None, direction: torch.Tensor, normals: torch.Tensor, *, scale: float
) -> torch.Tensor:
    """Return sqrt(scale) [sqrt(g_par) (e.xi) e + sqrt(g_perp) (xi - (e.xi) e)], shape (d, p)."""
    out = torch.empty_like(direction, memory_format=torch.contiguous_format)
    _impulse_noise(
        optional(par, direction), optional(perp, direction), array(direction), array(normals), scale, out.numpy()
    )
    return out


def returned_heat(
    impulse: torch.Tensor,
    velocities: torch.Tensor,
    velocities_after: torch.Tensor,
    pairs: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    *,
    face_speed: float,
) -> torch.Tensor:
    """Return -(1/2) sum_j dp_ij.(w + w')/2, shape (n,)."""
    out = torch.zeros(len(velocities), dtype=impulse.dtype)
    _returned_heat(
        *(array(values) for values in (impulse, velocities, velocities_after, *pairs)), face_speed, out.numpy()
    )
    return out


@njit(cache=True)
def _factor(value, first, second, weight, ito_i, ito_j, p):
    if not value.size:
        return 0.0
    if not first.size:
        return value[p] * weight
    return value[p] * weight + first[p] * ito_i + second[p] * ito_j


@njit(cache=True)
def _mean_impulse(
    par, par_first, par_second, perp, perp_first, perp_second, temperature, curvature, velocities, direction, first,
    second, image, boltzmann, face_speed, out,
):  # fmt: skip
    weight, ito = np.empty(temperature.size), np.empty(temperature.size)
    for i in range(temperature.size):
        ito[i] = boltzmann * curvature[i] / temperature[i]
        weight[i] = (1.0 - ito[i]) / temperature[i]
    for p in range(first.size):
        i, j = first[p], second[p]
        both = weight[i] + weight[j]
        a = _factor(par, par_first, par_second, both, ito[i], ito[j], p)
        b = _factor(perp, perp_first, perp_second, both, ito[i], ito[j], p)
        slide = face_speed * image[1, p]
        closing = -slide * direction[0, p]
        for axis in range(direction.shape[0]):
            closing += direction[axis, p] * (velocities[i, axis] - velocities[j, axis])
        closing *= a - b
        for axis in range(direction.shape[0]):
            w = velocities[i, axis] - velocities[j, axis]
            out[axis, p] = -0.5 * (b * w + closing * direction[axis, p])
        out[0, p] += 0.5 * b * slide


@njit(cache=True)
def _impulse_noise(par, perp, direction, normals, scale, out):
    for p in range(direction.shape[1]):
        a = np.sqrt(scale * par[p]) if par.size else 0.0
        b = np.sqrt(scale * perp[p]) if perp.size else 0.0
        along = 0.0
        for axis in range(direction.shape[0]):
            along += direction[axis, p] * normals[axis, p]
        along *= a - b
        for axis in range(direction.shape[0]):
            out[axis, p] = b * normals[axis, p] + along * direction[axis, p]


@njit(cache=True)
def _returned_heat(impulse, velocities, velocities_after, first, second, image, face_speed, out):
    for p in range(first.size):
        i, j = first[p], second[p]
        work = -2.0 * face_speed * image[1, p] * impulse[0, p]
        for axis in range(impulse.shape[0]):
            before = velocities[i, axis] - velocities[j, axis]
            work += impulse[axis, p] * (before + (velocities_after[i, axis] - velocities_after[j, axis]))
        out[i] -= 0.25 * work
        out[j] -= 0.25 * work
