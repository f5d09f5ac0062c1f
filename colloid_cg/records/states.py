"""States in physical units: what models are trained on and what rollouts are made of."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from colloid_cg.errors import InputError
from colloid_cg.records.box import Box


@dataclass(frozen=True, kw_only=True, eq=False)
class State:
    """One instant: positions (um), and where the model has them velocities (um/s) and hidden variables.

    Parameters
    ----------
    positions : array, shape (n, d)
        In um.
    species : int array, shape (n,)
        0, 1, ...
    box : Box
        In um.
    velocities : array, shape (n, d), or None
        In um/s; None for overdamped models.
    s : array, shape (n, k), or None
        Structural hidden variables.
    bath_entropy : float
        Entropy given to the bath since the start, in units of k_B.
    """

    positions: np.ndarray
    species: np.ndarray
    box: Box
    velocities: np.ndarray | None = None
    s: np.ndarray | None = None
    bath_entropy: float = 0.0

    def __post_init__(self) -> None:
        n, d = _shape_2d("positions", self.positions)
        if self.species.shape != (n,):
            raise _shape_error("species", self.species.shape, f"({n},)")
        if self.box.dimension != d:
            raise _shape_error("box axes", (self.box.dimension,), f"({d},)")
        if self.velocities is not None and self.velocities.shape != (n, d):
            raise _shape_error("velocities", self.velocities.shape, f"({n}, {d})")
        if not np.isfinite(self.positions).all():
            raise InputError(
                "NaN or infinite positions in a state",
                expected="finite positions",
                action="check the model or use a smaller time step",
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class StateSeries:
    """A series of frames with any number of particles in each: frame ``t`` is ``rows offsets[t]:offsets[t + 1]``.

    Parameters
    ----------
    positions : array, shape (n, d)
        In um, all frames one after the other.
    species, particle : int arrays, shape (n,)
    localisation_variance : array, shape (n, d)
        Variance of the stated localisation error per coordinate, um2; NaN where unknown.
    offsets : int array, shape (T + 1,)
    previous, following : int arrays, shape (n,)
        Row of the same particle one frame before / after, -1 where it was not detected.
    edge_distance : array, shape (n,)
        Distance to the nearest open edge of the field of view, as the camera saw it, um.
    times : array, shape (T,)
        In s, equally spaced by ``frame_interval``.
    box : Box
        Field of view in um.
    frame_interval, exposure : float, float or None
        In s.
    """

    positions: np.ndarray
    species: np.ndarray
    particle: np.ndarray
    localisation_variance: np.ndarray
    offsets: np.ndarray
    previous: np.ndarray
    following: np.ndarray
    edge_distance: np.ndarray
    times: np.ndarray
    box: Box
    frame_interval: float
    exposure: float | None = None

    def __post_init__(self) -> None:
        n, d = _shape_2d("positions", self.positions)
        for name in ("species", "particle", "previous", "following", "edge_distance"):
            if getattr(self, name).shape != (n,):
                raise _shape_error(name, getattr(self, name).shape, f"({n},)")
        if self.localisation_variance.shape != (n, d):
            raise _shape_error("localisation_variance", self.localisation_variance.shape, f"({n}, {d})")
        if self.offsets.shape != (len(self.times) + 1,) or self.offsets[-1] != n:
            raise _shape_error("offsets", self.offsets.shape, f"({len(self.times) + 1},) ending at {n}")

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return len(self.times)

    @property
    def dimension(self) -> int:
        """2 or 3."""
        return int(self.positions.shape[1])

    def rows(self, frame: int) -> slice:
        """Return the rows of one frame."""
        return slice(int(self.offsets[frame]), int(self.offsets[frame + 1]))


@dataclass(frozen=True, kw_only=True, eq=False)
class Ledger:
    """What the laws say about a rollout, one value per stored frame, shape (replicas, T).

    ``energy`` is Psi in k_B T0, ``work`` the work done on the system since the start (k_B T0), ``bath_entropy``
    the entropy given to the bath since the start (k_B). The first law reads energy - energy[0] + bath_entropy = work.
    ``momentum`` is sum m v for underdamped models, shape (replicas, T, d), else None.

    Models with velocities and an energy of their own (kind "metriplectic") have further accounts, else None: energy is
    then the total energy. ``kinetic`` and ``internal`` (relative to the start) are parts of it and ``absorbed`` the
    error of the conservative steps that went into the internal energy, all in k_B T0; ``entropy`` sum S_i (k_B);
    ``redrawn`` counts particle-steps whose noise was drawn again. ``hidden``: energy of the hidden vectors of pairs
    about k_B T0/2 per component (k_B T0), part of ``energy``; None for models without.
    """

    energy: np.ndarray
    work: np.ndarray
    bath_entropy: np.ndarray
    momentum: np.ndarray | None = None
    kinetic: np.ndarray | None = None
    internal: np.ndarray | None = None
    absorbed: np.ndarray | None = None
    entropy: np.ndarray | None = None
    redrawn: np.ndarray | None = None
    hidden: np.ndarray | None = None

    def residual(self) -> np.ndarray:
        """Return the violation of the first law, shape (replicas, T), in k_B T0."""
        return np.asarray(self.energy - self.energy[:, :1] + self.bath_entropy - self.work)


@dataclass(frozen=True, kw_only=True, eq=False)
class Rollout:
    """Trajectories of a model: replicas of T stored frames of n particles.

    Parameters
    ----------
    positions : array, shape (replicas, T, n, d)
        True positions in um, unwrapped along periodic axes.
    observed : array, shape (replicas, T, n, d)
        The same seen through exposure blur and localisation noise (um, unwrapped).
    species : int array, shape (n,)
    box : Box
        The cell of the simulation in um.
    frame_interval : float
        Time between stored frames in s.
    ledger : Ledger
    exposure : float or None
        Exposure time in s that was applied to ``observed``.
    s : array, shape (replicas, T, n, k), or None
    velocities : array, shape (replicas, T, n, d), or None
    """

    positions: np.ndarray
    observed: np.ndarray
    species: np.ndarray
    box: Box
    frame_interval: float
    ledger: Ledger
    exposure: float | None = None
    s: np.ndarray | None = None
    velocities: np.ndarray | None = None
    metadata: dict[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.positions.ndim != 4 or self.observed.shape != self.positions.shape:
            raise _shape_error("rollout positions", self.positions.shape, "(replicas, frames, particles, axes)")
        if self.ledger.energy.shape != self.positions.shape[:2]:
            raise _shape_error("ledger", self.ledger.energy.shape, f"{self.positions.shape[:2]}")
        if not np.isfinite(self.positions).all():
            raise InputError(
                "NaN or infinite positions in a rollout",
                expected="finite positions",
                action="use a smaller time step (simulate.substeps)",
            )

    @property
    def n_replicas(self) -> int:
        """Number of independent runs."""
        return int(self.positions.shape[0])


def _shape_2d(name: str, array: np.ndarray) -> tuple[int, int]:
    if array.ndim != 2 or array.shape[1] not in (2, 3):
        raise _shape_error(name, array.shape, "(n, 2) or (n, 3)")
    return int(array.shape[0]), int(array.shape[1])


def _shape_error(name: str, found: tuple[int, ...], expected: str) -> InputError:
    return InputError(f"{name} of shape {found}", expected=expected, action="check the order of the axes")
