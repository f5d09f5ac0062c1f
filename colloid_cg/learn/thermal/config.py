"""Settings of the fit of a metriplectic model with hidden energies."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from colloid_cg.errors import ConfigError
from colloid_cg.settings import Settings


class ThermalFitConfig(Settings):
    """Settings of :func:`colloid_cg.learn.thermal.fit_thermal`.

    Parameters
    ----------
    cutoff : float or None
        Range of all radial functions; None: :func:`colloid_cg.learn.fit` takes the range at which pair force and
        friction at one temperature end.
    n_knots : int
        Spline coefficients of each radial function per species pair.
    n_entropy, n_volume : int
        Intervals of U(S, V) along S and ln V.
    pair_potential : bool
        Whether a pair potential is learned beside U(S, V). Without one its gauge is fixed by phi = 0, otherwise by
        dU/dd = 0 at (S = 0, mean d).
    rounds : int
        Times the hidden energies are estimated anew.
    steps : int
        Small steps (Adam) in each of the first two rounds, while the model is far off.
    scoring_steps, scoring_frames : int
        Steps of Fisher scoring in each later round, and the frames of each.
    patience : int
        Rounds without a better selection block after which the fit stops.
    batch_frames : int
        Frames per small step.
    learning_rate : float
        Of the small steps.
    roughness : float
        Weight of squared second differences of the coefficients against the mean log-likelihood of a particle.
    settling_frames : int
        First frames of the recording that are not used: the filter starts from one temperature.
    heat_capacity : float or None
        C/k_B to start from; None: from how the temperature of the motion rises with the energy, else 20.
    """

    table: ClassVar[str] = "thermal"

    cutoff: float | None = Field(default=None, gt=0)
    n_knots: int = Field(default=10, ge=4, le=60)
    n_entropy: int = Field(default=6, ge=1, le=40)
    n_volume: int = Field(default=4, ge=1, le=40)
    pair_potential: bool = False
    rounds: int = Field(default=10, ge=1, le=1000)
    steps: int = Field(default=100, ge=1, le=100_000)
    scoring_steps: int = Field(default=2, ge=1, le=100)
    scoring_frames: int = Field(default=150, ge=2, le=100_000)
    patience: int = Field(default=4, ge=1)
    batch_frames: int = Field(default=5, ge=1, le=1000)
    learning_rate: float = Field(default=0.05, gt=0, le=1)
    roughness: float = Field(default=3e-4, ge=0)
    settling_frames: int = Field(default=20, ge=0)
    heat_capacity: float | None = Field(default=None, gt=1)

    @property
    def reach(self) -> float:
        """The cutoff.

        Raises
        ------
        ConfigError
            If there is none.
        """
        if self.cutoff is None:
            raise ConfigError(
                "no thermal.cutoff", expected="the range of the interactions", action="set thermal.cutoff"
            )
        return self.cutoff
