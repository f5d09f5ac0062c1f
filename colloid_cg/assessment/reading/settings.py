"""Settings of the reading of hidden variables."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from colloid_cg.settings import Settings

Label = Literal["d2min", "p_hop", "displacement", "events"]


class ReadingConfig(Settings):
    """What hidden variables are asked, and how sure the answers are.

    Parameters
    ----------
    lag : int or None
        Frames ahead for which everything is reported; None: the lag the structure was fitted with, at most a third of
        the test block.
    lags : tuple of int or None
        Frames ahead at which prediction is compared; None: up to six, doubling from 1, and ``lag``.
    labels : tuple of "d2min", "p_hop", "displacement", "events"
        What counts as a rearrangement; the first of them is the one that verdicts are about. "events" needs a table of
        events.
    share : float
        Share of the particles (of one species, in the frames before the test block) whose D2min, p_hop or displacement
        counts as a rearrangement.
    cutoff : float or None
        Radius (um) of the neighbourhood of D2min; None: that of the structure, else twice the mean spacing.
    resamples : int
        Resamples of the block bootstrap.
    permutations : int
        Shifts of s against the labels behind each p-value.
    rate_bins : int
        Bins of s in which rates are shown.
    max_rows : int
        Particles x frames of the test block that are used; frames are thinned out evenly.
    fit_rows : int
        The same for the ridge regression on the training block and for what is chosen on the selection block.
    """

    table: ClassVar[str] = "reading"

    lag: int | None = Field(default=None, ge=1)
    lags: tuple[int, ...] | None = None
    labels: tuple[Label, ...] = Field(default=("d2min", "p_hop", "events"), min_length=1)
    share: float = Field(default=0.05, gt=0, lt=0.5)
    cutoff: float | None = Field(default=None, gt=0)
    resamples: int = Field(default=500, ge=50)
    permutations: int = Field(default=999, ge=19)
    rate_bins: int = Field(default=8, ge=3, le=50)
    max_rows: int = Field(default=100_000, ge=200)
    fit_rows: int = Field(default=20_000, ge=200)
