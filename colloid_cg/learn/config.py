"""Settings of the fit."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, field_validator

from colloid_cg.settings import Settings


class FitConfig(Settings):
    """Settings of :func:`colloid_cg.learn.fit`.

    Parameters
    ----------
    cutoff : float or None
        Range of the pair force in um; None: from where the structure of g(r) ends.
    resolution : float or None
        Distance in um below which the tracking cannot tell two particles apart; None: ``separation`` of the tracking
        settings that came with the trajectories, else 0. Particles nearer to a neighbour than that and three relative
        steps are sources of force, never targets: a close pair that merges drops out, and what is left looks repelled.
    knots : tuple of int
        Candidate numbers of free spline coefficients per species pair; 0 is free diffusion. Inertial fits choose those
        of the force and of the pair friction from the same list.
    regime : "auto", "overdamped" or "underdamped"
        "auto" decides from the data; the others fit that law in any case.
    stride : int or None
        Train on every n-th frame; None: 1, or more where steps of adjacent frames are correlated beyond noise (always
        1 for inertial motion).
    smoothness : float
        Weight of the squared second differences of the force coefficients, as a share of the local information.
    time_blocks : int
        Blocks of the movie over which standard errors are clustered.
    maximum_detections : int
        Rows used for training at most (the first frames of the block).
    iterations : int
        Gauss-Newton iterations at most.
    """

    table: ClassVar[str] = "fit"

    cutoff: float | None = Field(default=None, gt=0)
    resolution: float | None = Field(default=None, ge=0)
    knots: tuple[int, ...] = (0, 4, 6, 9, 13)
    regime: Literal["auto", "overdamped", "underdamped"] = "auto"
    stride: int | None = Field(default=None, ge=1, le=100)
    smoothness: float = Field(default=0.01, ge=0)
    time_blocks: int = Field(default=20, ge=4, le=200)
    maximum_detections: int = Field(default=500_000, ge=100)
    iterations: int = Field(default=12, ge=1, le=100)

    @field_validator("knots")
    @classmethod
    def _distinct(cls, knots: tuple[int, ...]) -> tuple[int, ...]:
        if not knots or min(knots) < 0 or max(knots) > 60 or any(0 < value < 3 for value in knots):
            raise ValueError("numbers of knots: 0, or 3 to 60")
        return tuple(sorted(set(knots)))
