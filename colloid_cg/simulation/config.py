"""Settings of the simulate stage."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from colloid_cg.settings import Settings

Baseline = Literal["langevin", "dpd", "graph_network"]
"""Simpler dynamics that a model of positions and velocities is compared with."""


class SimulateConfig(Settings):
    """Settings of :func:`colloid_cg.simulation.simulate`.

    Attributes
    ----------
    replicas : int
        Independent runs from the same initial positions.
    frames : int or None
        Length in frames of the experiment; None takes as many as the block the run starts from.
    substeps : int or None
        Time steps per frame; None chooses them so that no force changes much within a step and the exposure is
        resolved. With velocities: friction rate x dt at most .05, frequency of the stiffest pair x dt at most .2.
    every : int or None
        Rollouts with velocities keep every n-th frame; None: all of them, or as many as fit into memory_rows.
    """

    table: ClassVar[str] = "simulate"

    replicas: int = Field(default=4, ge=1, le=1000)
    frames: int | None = Field(default=None, ge=2)
    substeps: int | None = Field(default=None, ge=1, le=10_000)
    every: int | None = Field(default=None, ge=1)
