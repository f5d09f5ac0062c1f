"""Settings of the structure stage."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator

from colloid_cg.settings import Settings
from colloid_cg.units import micrometres

MOST_LATENTS = 3
"""Largest number of hidden variables tried where it is chosen."""


class StructureConfig(Settings):
    """Settings of the hidden structural variables.

    Parameters
    ----------
    latents : int or "auto"
        Number of hidden variables s0, s1, ...; "auto": the smallest of 1 to ``MOST_LATENTS`` whose loss on the
        validation block is within one standard error of the lowest.
    cutoff : float, str or None
        Radius of the neighbourhood in um (or with its unit); None: chosen from the typical spacing.
    cutoff_factor : float
        The chosen cutoff in median nearest-neighbour distances (enlarged in dilute systems, see
        :func:`colloid_cg.structure.typical_neighbourhood`).
    radial_functions : int
        Gaussian shells per neighbour species.
    bond_fraction : float
        Radius of the first shell (bond order) as a share of the cutoff.
    bond_shells : int
        Shells with a bond order of their own (orders 2, 4, 6); 0: the first shell and the whole neighbourhood only.
    generations : int
        Rounds of averaging over neighbours.
    averaging_fraction : float
        Range of that averaging as a share of the cutoff. Every round hides another such strip at an open edge.
    window : int
        Frames an encoder sees: with more than one, mean and spread of the descriptors over this frame and those
        before it. A detection whose particle lacks one of them has NaN.
    lag : int or None
        Frames to the second target of the decoder; None: where the descriptors keep half their correlation.
    validation_fraction : float
        Last share of the frames: decides on the start, the number of latents and the end of the training, and gives the
        scores. A regression that no training improved is at last repeated with these frames in it.
    max_rows : int
        Largest number of (particle, frame) rows in the training set; more are thinned out evenly in time.
    hidden : tuple of int
        Hidden layers of the encoder; the decoder has them in reverse.
    epochs, patience, batch, learning_rate
        Training: passes at most, passes without improvement before it stops, rows per step, step of Adam.
    code_noise : float
        Blur of the code in training, in its standard deviations: keeps s a smooth function of structure.
    mobility_weight : float
        Weight of the likelihood of a particle's own displacement over the lag, given s, against the mean squared error
        of its descriptors: above zero s is asked how far the particle will move, not only how it is surrounded.
    stability : float
        The regression of displacements that the encoder starts from is penalised until its predictions from resampled
        training particles correlate at least so well (median over pairs).
    both_directions : bool
        Use the training pairs with the arrow of time turned round as well: at equilibrium a displacement says as
        much about the neighbourhood it ends in. Plain pairs stand where they surely predict the validation block
        better (of several movies only if two or more are validation movies). Off for driven or aging systems.
    noise_augmentation : bool
        Show the encoder positions moved by the stated localisation error; the targets stay as measured.
    """

    table: ClassVar[str] = "structure"

    latents: Annotated[int, Field(ge=1, le=8)] | Literal["auto"] = 1
    cutoff: float | None = Field(default=None, gt=0)
    cutoff_factor: float = Field(default=2.2, gt=1, le=6)
    radial_functions: int = Field(default=10, ge=3, le=64)
    bond_fraction: float = Field(default=0.7, gt=0, le=1)
    bond_shells: int = Field(default=0, ge=0, le=16)
    generations: int = Field(default=1, ge=0, le=3)
    averaging_fraction: float = Field(default=0.7, gt=0, le=1)
    window: int = Field(default=1, ge=1, le=64)
    lag: int | None = Field(default=None, ge=1)
    validation_fraction: float = Field(default=0.2, gt=0, lt=0.9)
    max_rows: int = Field(default=50_000, ge=500)
    hidden: tuple[int, ...] = (32, 16)
    epochs: int = Field(default=60, ge=1)
    patience: int = Field(default=12, ge=1)
    batch: int = Field(default=1024, ge=16)
    learning_rate: float = Field(default=4e-3, gt=0)
    code_noise: float = Field(default=0.5, ge=0, le=2)
    mobility_weight: float = Field(default=5.0, ge=0)
    stability: float = Field(default=0.95, ge=0, lt=1)
    both_directions: bool = True
    noise_augmentation: bool = False

    @field_validator("cutoff", mode="before")
    @classmethod
    def _with_unit(cls, value: object) -> object:
        return micrometres(value) if isinstance(value, str) else value
