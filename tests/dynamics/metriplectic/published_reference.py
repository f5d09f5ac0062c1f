"""The published model's density, drift and noise, from the equations, in double precision and over all pairs.

Written for comparison only: every sum runs over a list of pairs found by brute force, one named quantity per term.
Conventions of arXiv:2508.12569's code that the numbers show: the force uses the unit vector r/|r|, the friction and the
noise use r/(|r| + 1e-8), and tr(gamma) in the Ito term of S counts that vector as of length 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from colloid_cg.dynamics.metriplectic.published.reader import PublishedModel


@dataclass(frozen=True, kw_only=True)
class Coefficient:
    """g(s, T_i, T_j) and its derivatives by T_i and T_j, each of shape (p, 1)."""

    value: Tensor
    by_Ti: Tensor
    by_Tj: Tensor

    def of(self, order: int) -> Tensor:
        return (self.value, self.by_Ti, self.by_Tj)[order]


def brute_force_pairs(r: Tensor, *, box: float, cutoff: float) -> Tensor:
    """Pairs i < j nearer than the cut-off in the periodic box, shape (p, 2)."""
    found = []
    for i in range(len(r)):
        rows = r[i] - r[i + 1 :]
        near = torch.linalg.vector_norm(rows - box * torch.round(rows / box), dim=1) < cutoff
        j = near.nonzero()[:, 0] + i + 1
        found.append(torch.stack([torch.full_like(j, i), j], dim=1))
    return torch.cat(found)


def squared_product(function, s: Tensor, Ti: Tensor, Tj: Tensor) -> Coefficient:
    """[a(s, T_i) a(s, T_j)]^2."""
    ai, slope_i = function.evaluate(s, Ti)
    aj, slope_j = function.evaluate(s, Tj)
    fields = (ai**2 * aj**2, 2 * ai * slope_i * aj**2, 2 * aj * slope_j * ai**2)
    return Coefficient(**dict(zip(("value", "by_Ti", "by_Tj"), (field[:, None] for field in fields), strict=True)))


def evaluate(model: PublishedModel, *, r: Tensor, v: Tensor, S: Tensor, box: float) -> dict[str, Tensor]:
    """Everything of reference.npz for the state r, v, shapes (n, D), and S, shape (n,)."""
    n, D = r.shape
    h, m, k_B = model.cutoff, model.mass, model.k_B
    i, j = brute_force_pairs(r, box=box, cutoff=h).T
    edge = r[i] - r[j]
    edge = edge - box * torch.round(edge / box)
    distance = torch.linalg.vector_norm(edge, dim=1, keepdim=True)
    s = distance[:, 0] / h
    w = v[i] - v[j]

    def total(of_i: Tensor, of_j: Tensor) -> Tensor:
        return torch.zeros(n, *of_i.shape[1:], dtype=r.dtype).index_add(0, i, of_i).index_add(0, j, of_j)

    W, W_s = model.kernel.evaluate(s)
    d = model.kernel.evaluate(torch.zeros(1, dtype=r.dtype)).value + total(W, W)
    energy = model.energy.evaluate(S, 1 / d)
    T, P = energy.U_S, -energy.U_V
    C = T / energy.U_SS

    Ti, Tj, Ci, Cj = (field[:, None] for field in (T[i], T[j], C[i], C[j]))
    A2, B2, C2 = (squared_product(f, s, T[i], T[j]) for f in (model.shear, model.bulk, model.heat))
    e = edge / (distance + 1e-8)

    def gamma_dot(order: int, x: Tensor) -> Tensor:
        """Friction (order 0) or its derivative by T_i (1) or T_j (2), applied to x."""
        along = (e * x).sum(1, keepdim=True) * e
        parallel = A2.of(order) * (1 - 1 / D) + B2.of(order) / D
        return parallel * along + A2.of(order) / 2 * (x - along)

    gw = [gamma_dot(order, w) for order in range(3)]
    q = [(w * g).sum(1, keepdim=True) for g in gw]
    trace = A2.value * (1 - 1 / D) + B2.value / D + (D - 1) * A2.value / 2

    density_force = -((P / d**2)[i] + (P / d**2)[j])[:, None] * (W_s / h)[:, None] * edge / distance
    friction = -(1 / Ti + 1 / Tj) / 2 * gw[0]
    ito_v = -k_B / 2 * (-(1 / (Ti * Ci) + 1 / (Tj * Cj)) * gw[0] + gw[1] / Ci + gw[2] / Cj)
    push = density_force + friction + ito_v

    def heating(Ti: Tensor, Tj: Tensor, Ci: Tensor, Cj: Tensor, own: int, other: int) -> Tensor:
        """T_i dS_i/dt of one pair; ``own`` and ``other`` choose the derivatives by this and by the other T."""
        dissipated = (1 / Ti + 1 / Tj) * q[0] / 4
        conducted = C2.value * (1 / Ti - 1 / Tj)
        ito = (
            -(2 / (Ti * Ci) + 1 / (Tj * Cj)) * q[0] / 4
            + (q[own] / Ci + q[other] / Cj) / 4
            - (2 / (Ti * Ci) - 1 / (Tj * Cj)) * C2.value
            + C2.of(own) / Ci
            - C2.of(other) / Cj
            - trace / m
        )
        return dissipated + conducted + k_B * ito

    dSdt = total(heating(Ti, Tj, Ci, Cj, 1, 2), heating(Tj, Ti, Cj, Ci, 2, 1)) / T[:, None]

    unit = torch.eye(D, dtype=r.dtype)
    gamma = torch.stack([gamma_dot(0, unit[a].expand(len(i), D)) for a in range(D)], dim=2)
    M = torch.zeros(n, D + 1, D + 1, dtype=r.dtype)
    M[:, :D, :D] = total(gamma, gamma) / m**2
    M[:, :D, D] = M[:, D, :D] = -total(gw[0], -gw[0]) / (2 * m * T[:, None])
    M[:, D, D] = (total(q[0] / 4 + C2.value, q[0] / 4 + C2.value) / T[:, None] ** 2)[:, 0]
    return {
        "density": d[:, None],
        "U": energy.U[:, None],
        "T": T[:, None],
        "P": P[:, None],
        "Cv": C[:, None],
        "dvdt": total(push, -push) / m,
        "dSdt": dSdt,
        "covariance": 2 * k_B * model.dt * M,
    }
