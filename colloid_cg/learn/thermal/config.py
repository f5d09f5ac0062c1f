"""Settings of the fit of a metriplectic model with hidden energies."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, field_validator

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
    functions : "splines" or "networks"
        What the coefficients are: free numbers, or small perceptrons of the distance and of (S, ln V). Either way the
        model that comes out is made of splines.
    hidden_units : int
        Of each of the two layers of a perceptron.
    temperature_exponents : bool
        Whether frictions may go with powers of the temperatures of the two particles; else they do not depend on them.
    pair_potential : bool
        Whether a pair potential is learned beside U(S, V). What it shares with the pressure (phi + 2 c W(r) against
        U - c d) is fixed by P = 0 at (S = 0, V = 1). Without one phi = 0.
    rounds : int
        Times the hidden energies are estimated anew.
    steps : int
        Small steps (Adam) in each of the first two rounds, while the model is far off.
    scoring_frames : int or None
        Frames of the step of Fisher scoring in each later round, evenly spread; None: all of the training block.
    patience : int
        Rounds without a better selection block after which the fit stops.
    batch_frames : int
        Frames per small step.
    learning_rate : float
        Of the small steps.
    roughness : float
        Weight of squared second differences of the coefficients against the mean log-likelihood of a particle.
    time_blocks : int
        Blocks of the training frames that are left out in turn for errors; 0: no errors.
    refit_rounds : int
        Rounds from the best parameters on without each block.
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
    functions: Literal["splines", "networks"] = "splines"
    hidden_units: int = Field(default=8, ge=1, le=128)
    temperature_exponents: bool = False
    pair_potential: bool = False
    rounds: int = Field(default=10, ge=1, le=1000)
    steps: int = Field(default=100, ge=1, le=100_000)
    scoring_frames: int | None = Field(default=None, ge=2)
    patience: int = Field(default=4, ge=1)
    batch_frames: int = Field(default=5, ge=1, le=1000)
    learning_rate: float = Field(default=0.05, gt=0, le=1)
    roughness: float = Field(default=3e-4, ge=0)
    time_blocks: int = Field(default=5, ge=0, le=50)
    refit_rounds: int = Field(default=3, ge=1, le=20)
    settling_frames: int = Field(default=20, ge=0)
    heat_capacity: float | None = Field(default=None, gt=1)

    @field_validator("time_blocks")
    @classmethod
    def _several(cls, blocks: int) -> int:
        if 0 < blocks < 3:
            raise ValueError("0, or 3 blocks and more")
        return blocks

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
