"""Settings of the fit of momentum-conserving pair dynamics."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, field_validator

from colloid_cg.settings import Settings


class MomentumFitConfig(Settings):
    """Settings of :func:`colloid_cg.learn.momentum.fit_pair_dynamics`.

    Parameters
    ----------
    model : "one_temperature" or "hidden_entropy"
        What :func:`colloid_cg.learn.fit` learns from positions and velocities: pair force and friction at one
        temperature, or U(S, V), frictions and heat exchange of particles with internal energies nobody sees, with the
        settings of :class:`~colloid_cg.learn.thermal.ThermalFitConfig` (table ``thermal``).
    cutoff : float or None
        Range of force and friction; None: where neither can be told from zero any more.
    n_knots : int
        Spline coefficients per species pair of each curve.
    windows : two ints or None
        Frames n1 < n2 over which random impulses are taken for the friction; None: from the memory of the random
        forces (:func:`colloid_cg.learn.momentum.memory.memory_windows`).
    roughness : float
        Weight of the squared second differences of the coefficients, as a share of the local information.
    memory : "none" or "hidden"
        Whether friction acts at once, or late, through hidden vectors of pairs
        (:mod:`colloid_cg.learn.momentum.hidden`).
    iterations : int
        Rounds of friction and random impulse at most.
    time_blocks : int
        Blocks of time that are left out in turn for standard errors.
    """

    table: ClassVar[str] = "momentum"

    model: Literal["one_temperature", "hidden_entropy"] = "one_temperature"
    cutoff: float | None = Field(default=None, gt=0)
    n_knots: int = Field(default=12, ge=4, le=60)
    windows: tuple[int, int] | None = None
    roughness: float = Field(default=1e-4, ge=0)
    memory: Literal["none", "hidden"] = "none"
    iterations: int = Field(default=12, ge=1, le=100)
    time_blocks: int = Field(default=10, ge=4, le=100)

    @field_validator("windows")
    @classmethod
    def _two_lengths(cls, windows: tuple[int, int] | None) -> tuple[int, int] | None:
        if windows is not None and not 0 < windows[0] < windows[1]:
            raise ValueError("two numbers of frames n1 < n2 above zero")
        return windows
