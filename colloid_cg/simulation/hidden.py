"""The hidden variable in a rollout: drawn from what is known at the start, then alive by its own dynamics.

    dr = lambda D F dt + D div lambda dt + sqrt(2 lambda D) dW,    dz = -z dt/tau + sqrt(2/tau) dW_z

With the drift D div lambda, Psi = Psi(r) + k_B T0 z^2/2 has the stationary law exp(-Psi/k_B T0), whatever the function
lambda(f(r), z). It is worked out anew every few time steps, in which ln lambda changes by no more than :data:`CHANGE`
(root mean square), and held between. What the noise xi of these steps did to lambda gives the drift: the displacement
(sqrt(lambda'/lambda) - 1) xi has the mean D div lambda dt, whichever particles moved lambda (the kinetic stochastic
integral: Klimontovich 1990, doi:10.1016/0378-4371(90)90142-F). It is added in the steps that follow, so that lambda is
worked out once per update and no random direction acts longer than one. z moves by its exact law.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from colloid_cg.dynamics import Surroundings, overdamped_step
from colloid_cg.errors import DataError
from colloid_cg.learn.latent import HiddenModel
from colloid_cg.records import ModelBundle, State, Trajectories
from colloid_cg.structure import encode_positions

CHANGE = 0.1
"""Root mean square of the change of ln lambda while lambda is held; averages at equilibrium err by about its square."""
_PROBE = 0.01
"""Share of a time step over which that change is measured: structure that saturates within a step shows its rate."""
FASTEST = 2.5
"""Time steps resolve the force at a mobility this many standard deviations above the median."""
COARSER = 2.0
"""Particles may be this much faster before the time step is divided for them; there are few."""


@dataclass(kw_only=True, eq=False)
class HiddenRun:
    """The hidden variables of one replica, and the motion between two updates of the mobility.

    Parameters
    ----------
    model : HiddenModel
    z : array, shape (n,)
        Memory variables, moved by :meth:`advance`.
    persistence : float
        tau in s; 0: z is drawn anew at the end of every frame of the movie.
    """

    model: HiddenModel
    z: np.ndarray
    persistence: float
    _f: np.ndarray = field(init=False, repr=False)
    _mobility: np.ndarray = field(init=False, repr=False)
    _parts: int = field(init=False, default=1)
    _drift: np.ndarray | None = field(init=False, default=None, repr=False)
    _noise: np.ndarray | float = field(init=False, default=0.0, repr=False)
    _time: float = field(init=False, default=0.0)

    def structure(self, state: State, positions: np.ndarray) -> np.ndarray:
        """Return phi, shape (n, k), at positions in the cell of ``state``; 0, its mean, where a species has none."""
        found = encode_positions(self.model.structure, state.box.wrap(positions), state.species, state.box)
        return np.asarray(np.nan_to_num(self.model.reliability.true(found, state.species)))

    def begin(self, state: State) -> None:
        """Work out the mobility of the first state."""
        self._f, self._drift = self.structure(state, state.positions), None
        self._forget(state)

    def mobility(self, species: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return lambda D (n,) in um2/s and s (n, 1) with f of the last update."""
        law = self.model.living
        log_mobility = law.log_mobility(self._f, self.z, species)
        return law.diffusion[species] * np.exp(log_mobility), law.hidden(log_mobility, species)[:, None]

    def step(
        self, state: State, *, dt: float, rng: np.random.Generator, pairs: Callable[[State], np.ndarray],
        surroundings: Surroundings,
    ) -> tuple[State, float]:  # fmt: skip
        """Move the particles by ``dt`` (s) at the mobility of the last update; returns the state and the work."""
        part, work = dt / self._parts, 0.0
        for _ in range(self._parts):
            normals = rng.standard_normal(state.positions.shape)
            state, increments = overdamped_step(
                self.model.dynamics, state, dt=part, rng=rng, pairs=pairs(state), surroundings=surroundings,
                mobility=self._mobility, spurious_drift=self._drift, normals=normals,
            )  # fmt: skip
            self._noise = self._noise + np.sqrt(2.0 * part * self._mobility)[:, None] * normals
            work += increments.work
        self._time += dt
        return state, work

    def update(self, state: State, *, rng: np.random.Generator, frame_ends: bool) -> State:
        """Move z by the time since the last update and work the mobility out anew; the bath receives the heat of z."""
        law, species, before = self.model.living, state.species, self._f
        self._f = self.structure(state, state.positions)
        growth = np.expm1(0.5 * (law.level(self._f, species) - law.level(before, species)))
        self._drift = growth[:, None] * self._noise / self._time
        heat = self.advance(self._time, rng=rng) if frame_ends or self.persistence > 0 else 0.0
        self._forget(state)
        return replace(state, bath_entropy=state.bath_entropy + heat)

    def _forget(self, state: State) -> None:
        """Begin a new stretch of time steps."""
        with np.errstate(over="ignore"):
            self._mobility, self._noise, self._time = self.mobility(state.species)[0], 0.0, 0.0
        if not np.isfinite(self._mobility).all():
            raise DataError(
                "a mobility without bounds in the rollout",
                expected=f"a hidden variable of moderate effect on ln lambda, not {self.model.living.spread} (std)",
                action="fit more data, or set fit.hidden_variables = 0",
            )
        if self.model.dynamics.n_knots:
            resolved = COARSER * fastest(self.model) * float(self.model.living.diffusion.max())
            self._parts = max(1, int(np.ceil(self._mobility.max(initial=0.0) / resolved)))

    def rate_of_change(self, state: State, *, dt: float, rng: np.random.Generator) -> float:
        """Return the mean square by which free motion changes ln lambda, per time step of ``dt`` (s)."""
        law, species = self.model.living, state.species
        here = self.structure(state, state.positions)
        mobility = law.diffusion[species] * np.exp(law.log_mobility(here, self.z, species))
        moves = np.sqrt(2.0 * _PROBE * dt * mobility)[:, None] * rng.standard_normal(state.positions.shape)
        there = self.structure(state, state.positions + moves)
        change = law.level(there, species) - law.level(here, species)
        return float((change**2).mean() / _PROBE) if len(change) else 0.0

    @property
    def energy(self) -> float:
        """Return the part of Psi that z holds, sum z^2/2, k_B T0."""
        return 0.5 * float((self.z**2).sum())

    def advance(self, time: float, *, rng: np.random.Generator) -> float:
        """Move z by ``time`` (s); returns the heat that the bath receives, k_B T0."""
        before, kept = self.energy, memory_over(time, self.persistence)
        self.z = kept * self.z + np.sqrt(1.0 - kept**2) * rng.standard_normal(len(self.z))
        return before - self.energy


def memory_over(time: float | np.ndarray, persistence: float) -> np.ndarray:
    """Return exp(-time/tau), 0 without a memory."""
    return np.exp(-np.asarray(time) / persistence) if persistence > 0 else np.zeros(np.shape(time))


def hidden_run(model: HiddenModel, bundle: ModelBundle, start: Trajectories, *, rng: np.random.Generator) -> HiddenRun:
    """Return the hidden variables of the particles in the first frame of ``start``.

    z is drawn from what the frames before the test block say of each particle, N(0, 1) for one they do not hold; what
    was known fades as exp(-t/tau) between the frame it was known in and the first of the rollout.
    """
    frame = int(start.table["frame"].min())
    first = start.at(frame)["particle"].to_numpy()
    persistence = model.law.persistence * float(bundle.config["hidden_variable"]["step"])
    mean, deviation = np.zeros(len(first)), np.ones(len(first))
    known = bundle.weights["hidden.start_particles"]
    order = np.argsort(known)
    place = np.clip(np.searchsorted(known[order], first), 0, max(len(known) - 1, 0))
    if len(known):
        row = order[place]
        same = known[row] == first
        row = row[same]
        gap = np.maximum(frame - bundle.weights["hidden.start_frames"][row], 0.0) * start.frame_interval
        kept = memory_over(gap, persistence)
        mean[same] = kept * bundle.weights["hidden.start_mean"][row]
        deviation[same] = np.sqrt(1.0 + kept**2 * (bundle.weights["hidden.start_deviation"][row] ** 2 - 1.0))
    return HiddenRun(model=model, z=mean + deviation * rng.standard_normal(len(first)), persistence=persistence)


def fastest(model: HiddenModel) -> float:
    """Return the mobility of particles :data:`FASTEST` standard deviations above the median, over the largest D."""
    law = model.living
    quick = law.diffusion * np.exp(FASTEST * law.spread - 0.5 * law.spread**2)
    return float(quick.max() / law.diffusion.max())
