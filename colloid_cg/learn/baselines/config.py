"""Settings of the baselines that have any."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from colloid_cg.settings import Settings


class GraphNetworkConfig(Settings):
    """Settings of :func:`colloid_cg.learn.baselines.graph_network`.

    Parameters
    ----------
    cutoff : float or None
        Range of the edges; None: 1.8 times the distance to the nearest neighbour.
    frames_per_step : int
        Frames between the velocities before and after a step.
    hidden : int
        Width of the layers.
    learning_rate : float
        Of Adam, at the start; it falls to zero along half a cosine.
    steps : int
        Minibatches at most.
    batch : int
        Frames of a minibatch.
    check_every : int
        Minibatches between two looks at the selection block.
    check_frames : int
        Frames of the selection block, evenly spaced, that are looked at.
    patience : int
        Looks without improvement after which the training ends.
    """

    table: ClassVar[str] = "graph_network"

    cutoff: float | None = Field(default=None, gt=0)
    frames_per_step: int = Field(default=1, ge=1)
    hidden: int = Field(default=64, ge=2)
    learning_rate: float = Field(default=5e-3, gt=0)
    steps: int = Field(default=8000, ge=1)
    batch: int = Field(default=1, ge=1)
    check_every: int = Field(default=100, ge=1)
    check_frames: int = Field(default=20, ge=1)
    patience: int = Field(default=20, ge=1)
