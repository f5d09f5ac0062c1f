"""Settings of a rollout."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from colloid_cg.settings import Settings


class SimulateConfig(Settings):
    """Settings of :func:`colloid_cg.simulate.simulate`.

    Parameters
    ----------
    replicas : int
        Independent runs from the same start.
    frames : int or None
        Stored frames; None: as many as the block the run starts from.
    substeps : int or None
        Time steps per frame; None: so many that the stiffest pair relaxes by at most a tenth per step.
    """

    table: ClassVar[str] = "simulate"

    replicas: int = Field(default=4, ge=1, le=1000)
    frames: int | None = Field(default=None, ge=2)
    substeps: int | None = Field(default=None, ge=1)
