"""External fields in one frame's flow: a well per particle, a background flow, particles that move as prescribed."""

# mypy: disable-error-code="untyped-decorator, no-untyped-def, no-untyped-call"
from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numba import njit

from colloid_cg.errors import InputError


@dataclass(frozen=True, kw_only=True, eq=False)
class External:
    """What acts on every row beside its neighbours: b(m) += v + G (m - origin) - D (k u + q |u|^2 u), u = m - centre.

    Parameters
    ----------
    origin : array, shape (n, d)
        Where the background flow was taken, um.
    velocity, gradient : arrays, shapes (n, d), (n, d, d)
        v in um/s and G_ab = dv_a/dr_b in 1/s; of a prescribed row its own velocity, and zero.
    centre : array, shape (n, d)
        Centre of the well of the row's particle, um.
    stiffness, quartic : arrays, shape (n,)
        k in k_B T0/um2 and q in k_B T0/um4; zero where a particle sits in no well.
    columns : int
        Strengths of the wells that the sensitivity of the flow reports: none, k, or k and q.
    """

    origin: np.ndarray
    velocity: np.ndarray
    gradient: np.ndarray
    centre: np.ndarray
    stiffness: np.ndarray
    quartic: np.ndarray
    columns: int = 0

    def __post_init__(self) -> None:
        n, d = self.origin.shape
        shapes = {"velocity": (n, d), "gradient": (n, d, d), "centre": (n, d), "stiffness": (n,), "quartic": (n,)}
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise InputError(
                    f"external {name} of shape {getattr(self, name).shape}",
                    expected=f"shape {shape}",
                    action="give one entry per row",
                )

    def around(self, centre: np.ndarray) -> Self:
        """Return the same fields with other centres of the wells, shape (n, d)."""
        return replace(self, centre=centre)


def no_field(positions: np.ndarray) -> External:
    """Return fields that do nothing at rows of ``positions``, shape (n, d)."""
    n, d = positions.shape
    return External(
        origin=np.array(positions, dtype=float),
        velocity=np.zeros((n, d)),
        gradient=np.zeros((n, d, d)),
        centre=np.array(positions, dtype=float),
        stiffness=np.zeros(n),
        quartic=np.zeros(n),
    )


@njit(cache=True, error_model="numpy")
def add_external(axes, m, q, mobility, origin, velocity, gradient, centre, stiffness, quartic, column, columns,
                 dm, ds, block):  # fmt: skip
    """Add drift, gradient of the drift and the direct part of the sensitivity to k and q.

    Averaged over a spread Q: (1/2) Q : grad grad |u|^2 u = tr(Q) u + 2 Q u, exact but for the third cumulant.
    """
    d, u, qu = len(axes), np.zeros(len(axes)), np.zeros(len(axes))
    for i in range(m.shape[0]):
        square, trace = 0.0, 0.0
        for a in range(d):
            u[a] = m[i, a] - centre[i, a]
            square += u[a] * u[a]
            trace += q[i, a, a]
        for a in range(d):
            qu[a] = 0.0
            for b in range(d):
                qu[a] += q[i, a, b] * u[b]
        for a in range(d):
            cubic = (square + trace) * u[a] + 2.0 * qu[a]
            dm[i, a] += velocity[i, a] - mobility[i] * (stiffness[i] * u[a] + quartic[i] * cubic)
            for b in range(d):
                dm[i, a] += gradient[i, a, b] * (m[i, b] - origin[i, b])
                block[i, a, b] += gradient[i, a, b] - 2.0 * mobility[i] * quartic[i] * (u[a] * u[b] + q[i, a, b])
            block[i, a, a] -= mobility[i] * (stiffness[i] + quartic[i] * (square + trace))
            if columns > 0:
                ds[i, a, column] -= mobility[i] * u[a]
            if columns > 1:
                ds[i, a, column + 1] -= mobility[i] * cubic
