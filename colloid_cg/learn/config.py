"""Settings of the fit."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

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
    traps : str or None
        Each particle in its own well: a table of the centres (x, y in px, optional particle; without that column each
        track belongs to the nearest centre), or "each": every track has its own well around its mean.
    well : "harmonic" or "quartic"
        Force of a well: -k u, or -(k + q u^2) u.
    prescribed : str or None
        Table of particles that move as prescribed (frame, particle, x, y in px, species): they push, nothing else.
    prescribed_particles : tuple of int
        Tracked particles that do.
    flow : str or None
        Table of the background flow on a regular grid (frame, x, y in px, u_x, u_y in um/s; a single frame: steady),
        or "smooth": a steady flow fitted as a tensor product of cubic splines.
    hidden_variables : int
        Structural variables of the encoder that the mobility of overdamped particles may depend on, with a memory
        variable beside them; 0: none. What they are worth on the selection block decides whether rollouts use them.
    flow_splines : tuple of int
        Candidate numbers of splines per axis of a smooth flow: 1 is a common drift, 2 holds every affine flow.
    """

    table: ClassVar[str] = "fit"
    files: ClassVar[dict[str, tuple[str, ...]]] = {"traps": ("each",), "prescribed": (), "flow": ("smooth",)}
    """Settings that name a table, with the words that do not."""

    cutoff: float | None = Field(default=None, gt=0)
    resolution: float | None = Field(default=None, ge=0)
    knots: tuple[int, ...] = (0, 4, 6, 9, 13)
    regime: Literal["auto", "overdamped", "underdamped"] = "auto"
    stride: int | None = Field(default=None, ge=1, le=100)
    smoothness: float = Field(default=0.01, ge=0)
    time_blocks: int = Field(default=20, ge=4, le=200)
    maximum_detections: int = Field(default=500_000, ge=100)
    iterations: int = Field(default=12, ge=1, le=100)
    traps: str | None = None
    well: Literal["harmonic", "quartic"] = "harmonic"
    prescribed: str | None = None
    prescribed_particles: tuple[int, ...] = ()
    flow: str | None = None
    flow_splines: tuple[int, ...] = (1, 2, 4, 5, 6)
    hidden_variables: int = Field(default=0, ge=0, le=4)

    def tables(self) -> dict[str, str]:
        """Return the settings that name a table of an external field, and its path."""
        named = {name: getattr(self, name) for name in self.files}
        return {name: path for name, path in named.items() if path is not None and path not in self.files[name]}

    @property
    def in_fields(self) -> bool:
        """Whether external fields act."""
        return any(getattr(self, name) is not None for name in self.files) or bool(self.prescribed_particles)

    @property
    def in_camera_frame(self) -> bool:
        """Whether the fields mean places in the video, where a common motion that was removed must be put back."""
        return bool(self.tables()) or self.flow is not None

    @field_validator("knots")
    @classmethod
    def _distinct(cls, knots: tuple[int, ...]) -> tuple[int, ...]:
        if not knots or min(knots) < 0 or max(knots) > 60 or any(0 < value < 3 for value in knots):
            raise ValueError("numbers of knots: 0, or 3 to 60")
        return tuple(sorted(set(knots)))

    @field_validator("flow_splines")
    @classmethod
    def _splines(cls, counts: tuple[int, ...]) -> tuple[int, ...]:
        if not counts or min(counts) < 1 or max(counts) > 12:
            raise ValueError("numbers of splines per axis: 1 to 12")
        return tuple(sorted(set(counts)))

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.prescribed is not None and self.prescribed_particles:
            raise ValueError("either prescribed or prescribed_particles, not both")
        if self.well == "quartic" and self.traps is None:
            raise ValueError('well = "quartic" needs traps: a table of centres, or "each"')
        if self.hidden_variables and self.in_fields:
            raise ValueError("hidden_variables in external fields are not fitted: leave one of them out")
        return self
