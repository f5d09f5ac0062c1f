"""Time steps of the overdamped model, and the Metropolis sampler they are checked against."""

# mypy: disable-error-code="untyped-decorator, no-untyped-def, no-untyped-call"
from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numba import njit

from colloid_cg.dynamics.model import OverdampedModel
from colloid_cg.dynamics.pairs import close_pairs
from colloid_cg.dynamics.spline import pair_energy
from colloid_cg.dynamics.surroundings import Surroundings, well_forces_and_energy
from colloid_cg.dynamics.terms import forces_and_energy
from colloid_cg.records import State


@dataclass(frozen=True, kw_only=True)
class Increments:
    """Energy bookkeeping of one step in k_B T0: ``energy`` + ``heat`` = ``work``, heat being what the bath receives."""

    energy: float
    work: float
    heat: float


def overdamped_step(
    model: OverdampedModel,
    state: State,
    *,
    dt: float,
    rng: np.random.Generator,
    driven: OverdampedModel | None = None,
    pairs: np.ndarray | None = None,
    surroundings: Surroundings | None = None,
    mobility: np.ndarray | None = None,
    spurious_drift: np.ndarray | None = None,
    normals: np.ndarray | None = None,
) -> tuple[State, Increments]:
    """Advance by ``dt`` (s) with the stochastic Heun step (additive noise).

    r~ = r + D F(r) dt + xi,  r' = r + D [F(r) + F(r~)] dt / 2 + xi,  xi ~ N(0, 2 D dt): weak order 2, so that averages
    at equilibrium err by O((D F' dt)^2) (Platen's order-2 weak scheme for additive noise; Kloeden and Platen 1992,
    ch. 15, doi:10.1007/978-3-662-12616-5).

    Parameters
    ----------
    driven : OverdampedModel or None
        The model after its parameters were moved. Work is done first, at fixed positions, W = Psi(r; driven) - Psi(r);
        heat at fixed parameters: S_b' = S_b + Psi(r; driven) - Psi(r'; driven). Without a drive W = 0.
    pairs : int array or None
        Candidate pairs that hold before and after the step.
    surroundings : Surroundings or None
        Wells add to Psi. A flow u held over the step adds u dt to the displacement and does the work -F o u dt, so
        that heat = F o (dr - u dt).
    mobility : array, shape (n,), or None
        mu k_B T0 of every particle (um2/s), held over the step, in place of D of its species.
    spurious_drift : array, shape (n, d), or None
        Velocity (um/s) that goes with such mobilities, div mu k_B T0; it does no work.
    normals : array, shape (n, d), or None
        The noise, N(0, 1), where the caller needs to know it; None: drawn from ``rng``.

    Returns
    -------
    state, increments
        The new state carries the bath entropy in units of k_B.
    """
    acting = model if driven is None else driven
    if pairs is None and acting.n_knots:
        reach = acting.cutoff + 12.0 * np.sqrt(2 * acting.diffusion.max() * dt)
        pairs = close_pairs(state.positions, min(reach, _half_cell(state)), state.box)
    around = surroundings or Surroundings()
    force, energy = _acting(acting, around, state, pairs)
    work = 0.0 if driven is None else energy - _acting(model, around, state, None)[1]
    mobility = (acting.mobility[state.species] if mobility is None else mobility)[:, None]
    normals = rng.standard_normal(state.positions.shape) if normals is None else normals
    noise = np.sqrt(2.0 * mobility * dt) * normals
    if around.velocity is not None:
        noise += around.velocity * dt
    if spurious_drift is not None:
        noise += spurious_drift * dt
    predicted = replace(state, positions=state.positions + mobility * dt * force + noise)
    mean_force = 0.5 * (force + _acting(acting, around, predicted, pairs)[0])
    moved = replace(state, positions=state.positions + mobility * dt * mean_force + noise)
    rise = _acting(acting, around, moved, pairs)[1] - energy
    if around.velocity is not None:
        work -= dt * float((mean_force * around.velocity).sum())
        heat = -rise - dt * float((mean_force * around.velocity).sum())
    else:
        heat = -rise
    return replace(moved, bath_entropy=state.bath_entropy + heat), Increments(energy=work - heat, work=work, heat=heat)


def _acting(
    model: OverdampedModel, surroundings: Surroundings, state: State, pairs: np.ndarray | None
) -> tuple[np.ndarray, float]:
    """Return forces (n, d) and Psi of pairs and wells together."""
    force, energy = forces_and_energy(model, state, pairs=pairs)
    if surroundings.wells is None:
        return force, energy
    held, depth = well_forces_and_energy(surroundings.wells, state)
    return force + held, energy + depth


def metropolis_sweep(
    model: OverdampedModel, state: State, *, step: float, rng: np.random.Generator
) -> tuple[State, float]:
    """Offer one move of every particle, uniform in a cube of half edge ``step`` (um); exact for exp(-Psi/k_B T0).

    Returns the new state and the accepted fraction. Metropolis et al. 1953, doi:10.1063/1.1699114.
    """
    positions = state.positions.copy()
    moves, chances = step * rng.uniform(-1.0, 1.0, positions.shape), rng.random(len(positions))
    period = np.where(state.box.periodic, state.box.lengths, 0.0)
    accepted = _sweep(
        positions, moves, chances, state.species, period, model.pair_index, model.spline, model.knot_energy,
        model.lower, model.width, model.n_knots,
    )  # fmt: skip
    return replace(state, positions=positions), accepted / max(len(positions), 1)


@njit(cache=True)
def _sweep(positions, moves, chances, species, period, pair_index, spline, knot_energy, lower, width, n_knots):
    accepted = 0
    place = np.empty(positions.shape[1])
    for i in range(positions.shape[0]):
        change = 0.0
        for j in range(positions.shape[0]):
            if j == i or n_knots == 0:
                continue
            row = pair_index[species[i], species[j]]
            for sign in (1, -1):
                place[:] = positions[i] + moves[i] if sign == 1 else positions[i]
                square = 0.0
                for axis in range(place.size):
                    difference = place[axis] - positions[j, axis]
                    if period[axis] > 0:
                        difference -= period[axis] * np.round(difference / period[axis])
                    square += difference * difference
                change += sign * pair_energy(np.sqrt(square), lower, width, n_knots, spline[row], knot_energy[row])
        if change <= 0 or chances[i] < np.exp(-change):
            positions[i] += moves[i]
            accepted += 1
    return accepted


def _half_cell(state: State) -> float:
    lengths = [length for length, wraps in zip(state.box.lengths, state.box.periodic, strict=True) if wraps]
    return 0.5 * float(min(lengths, default=np.inf))
