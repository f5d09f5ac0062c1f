"""Mean and spread of every particle over one frame: the moment closure of the Fokker-Planck equation.

    dm/dtau = b(m) + (1/2) Q : grad grad b(m),    dQ/dtau = B Q + Q B^T + 2 D,    m(0) = y, Q(0) = 0

Integrated by one Runge-Kutta step of order 4 per frame, all particles of a frame together. Of Q and of the Jacobian
J = dm/dy the blocks of each particle and of each pair in contact are kept; what reaches a particle through third
particles alone is left out. The plain deterministic flow (Q = 0) misses the curvature of the force and overestimates
anharmonic forces by some 15 %. Valid while the spread over one frame is small against the knot distance.
"""

# mypy: disable-error-code="untyped-decorator, no-untyped-def, no-untyped-call"
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from colloid_cg.dynamics.external import External, add_external
from colloid_cg.dynamics.model import OverdampedModel
from colloid_cg.dynamics.spline import active_basis


@dataclass(frozen=True, kw_only=True, eq=False)
class FramePairs:
    """Candidate pairs of every frame: rows ``pairs[offsets[t]:offsets[t + 1]]`` belong to frame t.

    ``images`` (p, d), um: the whole periodic cells that r_i - r_j of a pair (i, j) contains; zero in an open view.
    """

    pairs: np.ndarray
    offsets: np.ndarray
    images: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class Flow:
    """One frame ahead from each row: arrays of shape (n, d), the sensitivity (n, d, n_parameters) or (n, d, 0).

    ``displacement`` Phi = m(dt) - y, ``variance`` the diagonal of Q(dt), ``gain`` the diagonal of J, ``leak`` the sum
    of squares of the rest of the row of J (other axis, neighbours), ``sensitivity`` dPhi/d(force coefficients).
    """

    displacement: np.ndarray
    variance: np.ndarray
    gain: np.ndarray
    leak: np.ndarray
    sensitivity: np.ndarray


def closure_flow(
    model: OverdampedModel,
    positions: np.ndarray,
    *,
    species: np.ndarray,
    frame_offsets: np.ndarray,
    neighbours: FramePairs,
    dt: float,
    sensitivity: bool = False,
    jacobian: bool = True,
    external: External | None = None,
) -> Flow:
    """Return the flow of every row over ``dt`` (s); gain 1 and leak 0 with ``sensitivity`` or without ``jacobian``.

    The sensitivity to the strengths of the wells follows that to the force coefficients.
    """
    n, d = positions.shape
    columns = external.columns if external is not None else 0
    n_parameters = model.coefficients.size + columns if sensitivity else 0
    diffusion = model.mobility[species]
    out = (np.zeros((n, d)), np.empty((n, d)), np.ones((n, d)), np.zeros((n, d)), np.zeros((n, d, n_parameters)))
    out[1][:] = 2.0 * dt * diffusion[:, None]
    if model.n_knots or external is not None:
        fields = None  # numba compiles a kernel of its own for None: without fields nothing is added, not even zeros
        if external is not None:
            e = external
            fields = (e.origin, e.velocity, e.gradient, e.centre, e.stiffness, e.quartic)
        _flow(
            tuple(range(d)), np.ascontiguousarray(positions, dtype=float), species, diffusion, frame_offsets,
            neighbours.pairs, neighbours.offsets, neighbours.images, model.pair_index, model.spline, model.lower,
            model.width, model.n_knots, dt, jacobian, fields, model.coefficients.size, columns, *out,
        )  # fmt: skip
    return Flow(displacement=out[0], variance=out[1], gain=out[2], leak=out[3], sensitivity=out[4])


@njit(cache=True, error_model="numpy", fastmath={"contract", "nsz", "arcp"})
def _flow(axes, y, species, diffusion, frame_offsets, pairs, offsets, images, pair_index, spline, lower, width, n_knots,
          dt, jacobian, fields, column, columns, displacement, variance, gain, leak, sensitivity):  # fmt: skip
    d, k = len(axes), sensitivity.shape[2]  # a tuple's length is known to the compiler
    weights = np.array([1.0, 2.0, 2.0, 1.0]) / 6.0 * dt
    ahead = np.array([0.0, 0.5, 0.5, 1.0]) * dt
    for frame in range(frame_offsets.size - 1):
        start, stop = frame_offsets[frame], frame_offsets[frame + 1]
        n, n_pairs = stop - start, offsets[frame + 1] - offsets[frame]
        if n_pairs == 0 and fields is None:
            continue
        local = pairs[offsets[frame] : offsets[frame + 1]] - start
        cells = images[offsets[frame] : offsets[frame + 1]]
        kinds, mobility, m0 = species[start:stop], diffusion[start:stop], y[start:stop]
        dm, m_sum, ds, s_sum = np.zeros((n, d)), np.zeros((n, d)), np.zeros((n, d, k)), np.zeros((n, d, k))
        dq, q_sum, dj, j_sum = np.zeros((n, d, d)), np.zeros((n, d, d)), np.zeros((n, d, d)), np.zeros((n, d, d))
        dc, c_sum = np.zeros((n_pairs, d, d)), np.zeros((n_pairs, d, d))
        dx, x_sum = np.zeros((n_pairs, 2, d, d)), np.zeros((n_pairs, 2, d, d))
        block, hessian, active = np.zeros((n, d, d)), np.zeros((n_pairs, d, d)), np.zeros(n_pairs, dtype=np.bool_)
        identity = np.zeros((n, d, d))
        for axis in range(d):
            identity[:, axis, axis] = 1.0
        for stage in range(4):
            h = ahead[stage]
            m, q, c, s = m0 + h * dm, h * dq, h * dc, h * ds
            _drift(axes, m, q, c, kinds, mobility, local, cells, pair_index, spline, lower, width, n_knots,
                   dm, ds, block, hessian, active)  # fmt: skip
            if fields is not None:
                add_external(axes, m, q, mobility, fields[0][start:stop], fields[1][start:stop], fields[2][start:stop],
                             fields[3][start:stop], fields[4][start:stop], fields[5][start:stop], column,
                             columns if k else 0, dm, ds, block)  # fmt: skip
            _spread(axes, q, c, mobility, local, block, hessian, active, dq, dc)
            if k:
                _own_coupling(axes, block, s, ds)
                s_sum += weights[stage] * ds
            elif jacobian:
                _jacobian(axes, identity + h * dj, h * dx, mobility, local, block, hessian, active, dj, dx)
                j_sum += weights[stage] * dj
                x_sum += weights[stage] * dx
            m_sum += weights[stage] * dm
            q_sum += weights[stage] * dq
            c_sum += weights[stage] * dc
        displacement[start:stop] = m_sum
        sensitivity[start:stop] = s_sum
        for i in range(n):
            for a in range(d):
                variance[start + i, a] = q_sum[i, a, a]
                gain[start + i, a] = 1.0 + j_sum[i, a, a]
                for b in range(d):
                    if a != b:
                        leak[start + i, a] += j_sum[i, a, b] ** 2
        for p in range(n_pairs):
            for side in range(2):
                # what a prescribed neighbour does to this one is no noise: its place is known
                if fields is not None and mobility[local[p, 1 - side]] == 0.0:
                    continue
                for a in range(d):
                    for b in range(d):
                        leak[start + local[p, side], a] += x_sum[p, side, a, b] ** 2


@njit(cache=True, error_model="numpy", fastmath={"contract", "nsz", "arcp"})
def _drift(axes, m, q, c, kinds, mobility, pairs, images, pair_index, spline, lower, width, n_knots,
           dm, ds, block, hessian, active):  # fmt: skip
    """Fill dm/dtau, the direct part of d(dm/dc)/dtau, and the gradients of the drift: own blocks and one per pair."""
    d, k = len(axes), ds.shape[2]
    dm[:], ds[:], block[:], active[:] = 0.0, 0.0, 0.0, False
    value, slope, curvature = np.zeros(4), np.zeros(4), np.zeros(4)
    apart, e, qe, drift, spread = np.zeros(d), np.zeros(d), np.zeros(d), np.zeros(d), np.zeros((d, d))
    for p in range(pairs.shape[0]):
        i, j = pairs[p, 0], pairs[p, 1]
        square = 0.0
        for a in range(d):
            apart[a] = m[i, a] - m[j, a] - images[p, a]
            square += apart[a] * apart[a]
        r = np.sqrt(square)
        first = active_basis(r, lower, width, n_knots, value, slope, curvature)
        if first < 0 or r == 0.0:
            continue
        active[p] = True
        trace, along = 0.0, 0.0
        for a in range(d):
            e[a] = apart[a] / r
            for b in range(d):
                spread[a, b] = q[i, a, b] + q[j, a, b] - c[p, a, b] - c[p, b, a]
            trace += spread[a, a]
        for a in range(d):
            qe[a] = 0.0
            for b in range(d):
                qe[a] += spread[a, b] * apart[b] / r
            along += qe[a] * e[a]
        if trace > 0.5 * square:  # closer than the spread of one frame: the expansion says nothing here
            trace, along = 0.0, 0.0
            qe[:] = 0.0
        row = pair_index[kinds[i], kinds[j]]
        f, f1, f2 = 0.0, 0.0, 0.0
        for b in range(4):
            f += spline[row, first + b] * value[b]
            f1 += spline[row, first + b] * slope[b]
            f2 += spline[row, first + b] * curvature[b]
        _curved(axes, f, f1, f2, r, e, qe, trace, along, drift)
        for a in range(d):
            dm[i, a] += mobility[i] * drift[a]
            dm[j, a] -= mobility[j] * drift[a]
            for b in range(d):
                hessian[p, a, b] = (f1 - f / r) * e[a] * e[b]
            hessian[p, a, a] += f / r
            for b in range(d):
                block[i, a, b] += mobility[i] * hessian[p, a, b]
                block[j, a, b] += mobility[j] * hessian[p, a, b]
        if k:
            for b in range(min(4, n_knots - first)):
                _curved(axes, value[b], slope[b], curvature[b], r, e, qe, trace, along, drift)
                column = row * n_knots + first + b
                for a in range(d):
                    ds[i, a, column] += mobility[i] * drift[a]
                    ds[j, a, column] -= mobility[j] * drift[a]


@njit(cache=True, error_model="numpy", fastmath={"contract", "nsz", "arcp"})
def _curved(axes, f, f1, f2, r, e, qe, trace, along, out):
    """Pair force averaged over a spread Q: f e + (1/2) Q : grad grad (f e)."""
    a1 = f1 / r - f / (r * r)
    a2 = f2 / r - 2.0 * f1 / (r * r) + 2.0 * f / (r * r * r)
    radial = f + 0.5 * r * (a2 * along + a1 / r * (trace - along))
    for a in range(len(axes)):
        out[a] = radial * e[a] + a1 * qe[a]


@njit(cache=True, error_model="numpy", fastmath={"contract", "nsz", "arcp"})
def _spread(axes, q, c, mobility, pairs, block, hessian, active, dq, dc):
    """Fill dQ/dtau for own and pair blocks; the gradient of b_i with respect to r_j is -D_i times ``hessian``."""
    n, d = q.shape[0], len(axes)
    dc[:] = 0.0
    for i in range(n):
        for a in range(d):
            for b in range(d):
                total = 0.0
                for x in range(d):
                    total += block[i, a, x] * q[i, x, b] + q[i, a, x] * block[i, b, x]
                dq[i, a, b] = total
            dq[i, a, a] += 2.0 * mobility[i]
    for p in range(pairs.shape[0]):
        if not active[p]:
            continue
        i, j = pairs[p, 0], pairs[p, 1]
        for a in range(d):
            for b in range(d):
                own, of_i, of_j = 0.0, 0.0, 0.0
                for x in range(d):
                    k_ax, k_xb = hessian[p, a, x], hessian[p, x, b]
                    own += block[i, a, x] * c[p, x, b] + c[p, a, x] * block[j, b, x]
                    own -= mobility[i] * k_ax * q[j, x, b] + mobility[j] * q[i, a, x] * k_xb
                    of_i += k_ax * c[p, b, x] + c[p, a, x] * k_xb
                    of_j += k_ax * c[p, x, b] + c[p, x, a] * k_xb
                dc[p, a, b] = own
                dq[i, a, b] -= mobility[i] * of_i
                dq[j, a, b] -= mobility[j] * of_j


@njit(cache=True, error_model="numpy", fastmath={"contract", "nsz", "arcp"})
def _jacobian(axes, jac, cross, mobility, pairs, block, hessian, active, dj, dx):
    """Fill dJ/dtau for own blocks, and for pairs dm_i/dy_j (side 0) and dm_j/dy_i (side 1)."""
    n, d = jac.shape[0], len(axes)
    dx[:] = 0.0
    for i in range(n):
        for a in range(d):
            for b in range(d):
                total = 0.0
                for x in range(d):
                    total += block[i, a, x] * jac[i, x, b]
                dj[i, a, b] = total
    for p in range(pairs.shape[0]):
        if not active[p]:
            continue
        for side in range(2):
            i, j = pairs[p, side], pairs[p, 1 - side]
            for a in range(d):
                for b in range(d):
                    total, back = 0.0, 0.0
                    for x in range(d):
                        total += block[i, a, x] * cross[p, side, x, b] - mobility[i] * hessian[p, a, x] * jac[j, x, b]
                        back += hessian[p, a, x] * cross[p, 1 - side, x, b]
                    dx[p, side, a, b] = total
                    dj[i, a, b] -= mobility[i] * back


@njit(cache=True, error_model="numpy", fastmath={"contract", "nsz", "arcp"})
def _own_coupling(axes, block, sens, ds):
    """Add what the particle's own displacement does to its sensitivity (neighbours' left out: a slope, not a mean)."""
    n, d, k = sens.shape[0], len(axes), sens.shape[2]
    for i in range(n):
        for a in range(d):
            for b in range(d):
                for column in range(k):
                    ds[i, a, column] += block[i, a, b] * sens[i, b, column]
