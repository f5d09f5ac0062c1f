"""Time steps of the overdamped model, and the Metropolis sampler they are checked against."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from colloid_cg.dynamics.model import OverdampedModel
from colloid_cg.dynamics.pairs import close_pairs
from colloid_cg.dynamics.terms import forces_and_energy, potential_energy
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
) -> tuple[State, Increments]:
    """Advance by ``dt`` (s) with the stochastic Heun step (additive noise).

    r~ = r + D F(r) dt + xi,  r' = r + D [F(r) + F(r~)] dt / 2 + xi,  xi ~ N(0, 2 D dt): weak order 2, so that averages
    at equilibrium err by O((D F' dt)^2) (Platen's order-2 weak scheme for additive noise; Kloeden and Platen 1992, ch. 15,
    doi:10.1007/978-3-662-12616-5).

    Parameters
    ----------
    driven : OverdampedModel or None
        The model after its parameters were moved. Work is done first, at fixed positions, W = Psi(r; driven) - Psi(r);
        heat at fixed parameters: S_b' = S_b + Psi(r; driven) - Psi(r'; driven). Without a drive W = 0.
    pairs : int array or None
        Candidate pairs that hold before and after the step.

    Returns
    -------
    state, increments
        The new state carries the bath entropy in units of k_B.
    """
    acting = model if driven is None else driven
    if pairs is None and acting.n_knots:
        reach = acting.cutoff + 12.0 * np.sqrt(2 * acting.diffusion.max() * dt)
        pairs = close_pairs(state.positions, min(reach, _half_cell(state)), state.box)
    force, energy = forces_and_energy(acting, state, pairs=pairs)
    work = 0.0 if driven is None else energy - potential_energy(model, state)
    diffusion = acting.diffusion[state.species][:, None]
    noise = np.sqrt(2.0 * diffusion * dt) * rng.standard_normal(state.positions.shape)
    predicted = replace(state, positions=state.positions + diffusion * dt * force + noise)
    mean_force = 0.5 * (force + forces_and_energy(acting, predicted, pairs=pairs)[0])
    moved = replace(state, positions=state.positions + diffusion * dt * mean_force + noise)
    heat = energy - potential_energy(acting, moved, pairs=pairs)
    return replace(moved, bath_entropy=state.bath_entropy + heat), Increments(energy=work - heat, work=work, heat=heat)


def metropolis_sweep(
    model: OverdampedModel, state: State, *, step: float, rng: np.random.Generator
) -> tuple[State, float]:
    """Offer one move of every particle, uniform in a cube of half edge ``step`` (um); exact for exp(-Psi/k_B T0).

    Returns the new state and the accepted fraction. Metropolis et al. 1953, doi:10.1063/1.1699114.
    """
    positions, accepted = state.positions.copy(), 0
    for i in range(len(positions)):
        trial = positions[i] + step * rng.uniform(-1.0, 1.0, positions.shape[1])
        change = _particle_energy(model, state, positions, i, trial) - _particle_energy(
            model, state, positions, i, positions[i]
        )
        if change <= 0 or rng.random() < np.exp(-change):
            positions[i] = trial
            accepted += 1
    return replace(state, positions=positions), accepted / max(len(positions), 1)


def _particle_energy(
    model: OverdampedModel, state: State, positions: np.ndarray, index: int, place: np.ndarray
) -> float:
    distance = np.linalg.norm(state.box.shortest(positions - place), axis=1)
    near = np.flatnonzero((distance < model.cutoff) & (np.arange(len(positions)) != index))
    local = np.concatenate([place[None], positions[near]])
    cluster = State(positions=local, species=state.species[np.append(index, near)], box=state.box)
    pairs = np.stack([np.zeros(len(near), dtype=np.int64), np.arange(1, len(near) + 1)], axis=1)
    return potential_energy(model, cluster, pairs=pairs)


def _half_cell(state: State) -> float:
    lengths = [length for length, wraps in zip(state.box.lengths, state.box.periodic, strict=True) if wraps]
    return 0.5 * float(min(lengths, default=np.inf))
