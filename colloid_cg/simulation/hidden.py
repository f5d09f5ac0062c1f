"""The hidden variable in a rollout: drawn from what is known at the start, then alive by its own dynamics.

    dr = lambda D F dt + D div lambda dt + sqrt(2 lambda D) dW,    dz = -z dt/tau + sqrt(2/tau) dW_z

lambda(f(r), z) is worked out at the start of every frame of the movie and held over it (z changes within tau, f with
the neighbourhood); z moves by its exact law. Psi = Psi(r) + k_B T0 z^2/2 then has the stationary law exp(-Psi/k_B T0)
whatever lambda is, as long as the drift D div lambda goes with it; it is found by a random finite difference,
<(lambda(r + h w) - lambda(r)) w>/h, w ~ N(0, 1) (Delong et al. 2014, doi:10.1063/1.4869866).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from colloid_cg.learn.latent import HiddenModel
from colloid_cg.records import ModelBundle, State, Trajectories
from colloid_cg.structure import encode_positions

_DIFFERENCE = 1e-3
"""Displacement of the random finite difference, in units of the cutoff of the neighbourhood."""
FASTEST = 2.5
"""Time steps resolve the force at a mobility this many standard deviations above the median."""


@dataclass(kw_only=True, eq=False)
class HiddenRun:
    """The hidden variables of one replica.

    Parameters
    ----------
    model : HiddenModel
    z : array, shape (n,)
        Memory variables, moved by :meth:`advance`.
    memory : float
        exp(-dt/tau) over one frame of the movie.
    """

    model: HiddenModel
    z: np.ndarray
    memory: float

    def structure(self, state: State, positions: np.ndarray) -> np.ndarray:
        """Return phi, shape (n, k), at positions in the cell of ``state``; 0, its mean, where a species has none."""
        found = encode_positions(self.model.structure, state.box.wrap(positions), state.species, state.box)
        return np.asarray(np.nan_to_num(self.model.reliability.true(found, state.species)))

    def mobility(self, state: State, *, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return lambda D (n,) in um2/s, the drift D div lambda (n, d) in um/s, and s (n, 1) of a state."""
        law, species = self.model.living, state.species
        shift = _DIFFERENCE * self.model.structure.neighbourhood.cutoff
        direction = rng.standard_normal(state.positions.shape)
        here, there = (
            law.log_mobility(self.structure(state, state.positions + h * direction), self.z, species)
            for h in (0.0, shift)
        )
        diffusion = law.diffusion[species] * np.exp(here)
        drift = diffusion[:, None] * np.expm1(there - here)[:, None] / shift * direction
        return diffusion, drift, law.hidden(here, species)[:, None]

    @property
    def energy(self) -> float:
        """Return the part of Psi that z holds, sum z^2/2, k_B T0."""
        return 0.5 * float((self.z**2).sum())

    def advance(self, *, rng: np.random.Generator) -> float:
        """Move z by one frame; returns the heat that the bath receives, k_B T0."""
        before, noise = self.energy, np.sqrt(1.0 - self.memory**2) * rng.standard_normal(len(self.z))
        self.z = self.memory * self.z + noise
        return before - self.energy


def hidden_run(model: HiddenModel, bundle: ModelBundle, start: Trajectories, *, rng: np.random.Generator) -> HiddenRun:
    """Return the hidden variables of the particles in the first frame of ``start``.

    z is drawn from what the frames before the test block say of each particle, N(0, 1) for one they do not hold.
    """
    first = start.at(int(start.table["frame"].min()))["particle"].to_numpy()
    mean, deviation = np.zeros(len(first)), np.ones(len(first))
    known = bundle.weights["hidden.start_particles"]
    order = np.argsort(known)
    place = np.clip(np.searchsorted(known[order], first), 0, max(len(known) - 1, 0))
    if len(known):
        row = order[place]
        same = known[row] == first
        mean[same] = bundle.weights["hidden.start_mean"][row[same]]
        deviation[same] = bundle.weights["hidden.start_deviation"][row[same]]
    law, stride = model.law, int(bundle.config["stride"])
    memory = float(np.exp(-1.0 / (law.persistence * stride))) if law.persistence > 0 else 0.0
    return HiddenRun(model=model, z=mean + deviation * rng.standard_normal(len(first)), memory=memory)


def fastest(model: HiddenModel) -> float:
    """Return lambda of a particle :data:`FASTEST` standard deviations above the median."""
    spread = float(model.living.spread.max())
    return float(np.exp(FASTEST * spread - 0.5 * spread**2))
