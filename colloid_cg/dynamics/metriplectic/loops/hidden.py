"""Exchange between the motion of pairs and their hidden vectors, pair after pair; see ``metriplectic.memory``."""

# mypy: disable-error-code="untyped-decorator, no-untyped-def, no-untyped-call"
from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True)
def exchange(
    velocities, values, direction, first, second, inverse_mass, couplings, coupled, dt, forward
):  # fmt: skip
    """Turn (sqrt(m_red) w, z) of every pair and mode by the angle c dt/sqrt(m_red), one pair after the other.

    In place; rational turn, tan(angle/2) = c dt/2 sqrt(m_red), so that w and z keep their energy and the two particles
    their momentum. ``forward``: in the order of the pairs and modes, else in the opposite one.
    """
    n_pairs, d = len(first), velocities.shape[1]
    w, turned = np.empty(d), np.empty(d)
    for row in range(n_pairs):
        p = row if forward else n_pairs - 1 - row
        i, j = first[p], second[p]
        reduced = 1.0 / (inverse_mass[i] + inverse_mass[j])
        root = np.sqrt(reduced)
        for k in range(len(coupled)):
            mode = k if forward else len(coupled) - 1 - k
            par, perp = couplings[mode, 0, p], couplings[mode, 1, p]
            if par == 0.0 and perp == 0.0:
                continue
            z, along_w, along_z = values[p, coupled[mode]], 0.0, 0.0
            for a in range(d):
                w[a] = root * (velocities[i, a] - velocities[j, a])
                along_w += direction[a, p] * w[a]
                along_z += direction[a, p] * z[a]
            q, s = 0.5 * dt * par / root, 0.5 * dt * perp / root
            cos_par, sin_par = (1.0 - q * q) / (1.0 + q * q), 2.0 * q / (1.0 + q * q)
            cos_perp, sin_perp = (1.0 - s * s) / (1.0 + s * s), 2.0 * s / (1.0 + s * s)
            axial_w = (cos_par - cos_perp) * along_w + (sin_par - sin_perp) * along_z
            axial_z = (cos_par - cos_perp) * along_z - (sin_par - sin_perp) * along_w
            for a in range(d):
                turned[a] = cos_perp * w[a] + sin_perp * z[a] + axial_w * direction[a, p]
                z[a] = cos_perp * z[a] - sin_perp * w[a] + axial_z * direction[a, p]
                impulse = root * (turned[a] - w[a])
                velocities[i, a] += inverse_mass[i] * impulse
                velocities[j, a] -= inverse_mass[j] * impulse


@njit(cache=True)
def relax(values, first, second, kept, noise, normals, spread, heat):
    """Set z = P z + sqrt(k_B T) L xi and give what its energy falls by to both particles in halves; in place.

    ``spread``: k_B T of each pair, (p,); ``heat``: (n,).
    """
    n_vectors, d = values.shape[1], values.shape[2]
    before = np.empty(n_vectors)
    for p in range(len(first)):
        root, gained = np.sqrt(spread[p]), 0.0
        for a in range(d):
            for k in range(n_vectors):
                before[k] = values[p, k, a]
            for k in range(n_vectors):
                total = 0.0
                for m in range(n_vectors):
                    total += kept[k, m] * before[m] + root * noise[k, m] * normals[p, m, a]
                values[p, k, a] = total
                gained += 0.5 * (total - before[k]) * (total + before[k])
        heat[first[p]] -= 0.5 * gained
        heat[second[p]] -= 0.5 * gained
