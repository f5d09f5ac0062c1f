"""Settings of the comparison of models."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from colloid_cg.settings import Settings


class ComparisonConfig(Settings):
    """Settings of :func:`colloid_cg.learn.comparison.compare_models`.

    Parameters
    ----------
    network : bool
        Train the unconstrained network too (about a minute).
    features : int
        What a particle hears from all its neighbours together: numbers per particle.
    hidden : int
        Units of each hidden layer.
    epochs : int
        Passes over the training rows at most.
    patience : int
        Training ends after this many passes that did not predict the selection block better.
    batch : int
        Rows of one step of the optimiser.
    learning_rate : float
        Of Adam at the start; it falls to zero along a cosine.
    maximum_detections : int
        Rows of the training and of the selection block that the network sees at most (the first frames).
    """

    table: ClassVar[str] = "comparison"

    network: bool = True
    features: int = Field(default=16, ge=1, le=256)
    hidden: int = Field(default=32, ge=1, le=512)
    epochs: int = Field(default=100, ge=1)
    patience: int = Field(default=30, ge=1)
    batch: int = Field(default=3_000, ge=10)
    learning_rate: float = Field(default=1e-2, gt=0)
    maximum_detections: int = Field(default=40_000, ge=100)
