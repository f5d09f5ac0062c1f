"""Positions and velocities of the same particles in every frame: what inertial dynamics is learned from."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from colloid_cg.errors import DataError, InputError
from colloid_cg.records.box import Box


@dataclass(frozen=True, kw_only=True, eq=False)
class PhaseSeries:
    """Points in phase space, equally spaced in time.

    Lengths, times and masses are in any consistent system: um, s and a mass of your choice, or reduced units.

    Parameters
    ----------
    positions : array, shape (T, N, d)
        Unwrapped: a particle that crosses a periodic face does not jump.
    velocities : array, shape (T, N, d)
    species : int array, shape (N,)
        0, 1, ...
    masses : array, shape (N,)
    box : Box
    frame_interval : float
        Time between frames.
    thermal_energy : float or None
        k_B T of the thermostat, in mass times squared velocity; None if it is not known.
    first_frame : int
        Number of the first frame in the recording it was taken from.

    Raises
    ------
    InputError
        If shapes do not agree, a value is not finite, or a mass, the frame interval or k_B T is not above zero.
    DataError
        If there are fewer than two frames.
    """

    positions: np.ndarray
    velocities: np.ndarray
    species: np.ndarray
    masses: np.ndarray
    box: Box
    frame_interval: float
    thermal_energy: float | None = None
    first_frame: int = 0

    def __post_init__(self) -> None:
        shape = np.shape(self.positions)
        if len(shape) != 3 or shape[1] < 1 or shape[2] != self.box.dimension:
            raise _wrong_shape("positions", shape, f"(frames, particles, {self.box.dimension})")
        if shape[0] < 2:
            raise DataError(
                f"{shape[0]} frame of positions and velocities",
                expected="at least two frames",
                action="use a longer block: motion cannot be measured in one picture",
            )
        wanted = {"velocities": shape, "species": shape[1:2], "masses": shape[1:2]}
        for name, expected in wanted.items():
            if np.shape(getattr(self, name)) != expected:
                raise _wrong_shape(name, np.shape(getattr(self, name)), str(expected))
        for name in ("positions", "velocities"):
            self._require_finite(name)
        self._require_positive()

    def _require_finite(self, name: str) -> None:
        bad = ~np.isfinite(getattr(self, name)).all(axis=2)
        if bad.any():
            frame, particle = np.argwhere(bad)[0]
            raise InputError(
                f"NaN or infinite {name} in frame {self.first_frame + frame}, particle {particle}",
                expected="finite numbers",
                action="leave those frames out, or repair the file they come from",
            )

    def _require_positive(self) -> None:
        scalars = {"frame_interval": self.frame_interval, "thermal_energy": self.thermal_energy}
        found = {name: np.asarray([value]) for name, value in scalars.items() if value is not None}
        for name, values in (found | {"masses": np.asarray(self.masses)}).items():
            bad = ~((values > 0) & (values < np.inf))
            if bad.any():
                raise InputError(
                    f"{name} = {values[bad][0]:g}", expected="a finite number above zero", action=f"correct {name}"
                )

    def __repr__(self) -> str:
        """Return counts and scales, for a notebook."""
        heat = "k_B T unknown" if self.thermal_energy is None else f"k_B T = {self.thermal_energy:.4g}"
        return (
            f"<PhaseSeries: {self.n_particles:,} particles in {self.n_frames:,} frames, "
            f"one every {self.frame_interval:.4g}, {heat}>"
        )

    @property
    def n_frames(self) -> int:
        """Number of frames T."""
        return int(self.positions.shape[0])

    @property
    def n_particles(self) -> int:
        """Number of particles N."""
        return int(self.positions.shape[1])

    @property
    def dimension(self) -> int:
        """2 or 3."""
        return int(self.positions.shape[2])

    def between(self, first: int, last: int) -> PhaseSeries:
        """Return frames ``first`` to ``last - 1``, counted as in the recording, e.g. a training block.

        Raises
        ------
        DataError
            If fewer than two of these frames are there.
        """
        start = max(first - self.first_frame, 0)
        stop = max(min(last - self.first_frame, self.n_frames), start)
        if stop - start < 2:
            raise DataError(
                f"{stop - start} of the frames {first} to {last - 1} in a series from frame {self.first_frame} "
                f"to {self.first_frame + self.n_frames - 1}",
                expected="a block of at least two frames",
                action="use a longer recording or other limits",
            )
        return replace(
            self,
            positions=self.positions[start:stop],
            velocities=self.velocities[start:stop],
            first_frame=self.first_frame + start,
        )


def _wrong_shape(name: str, found: tuple[int, ...], expected: str) -> InputError:
    return InputError(f"{name} of shape {found}", expected=f"shape {expected}", action="check the array")
