"""Do the tracker's stated errors tell which detections are poor? Decided by the likelihood under free diffusion."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from colloid_cg.errors import DataError
from colloid_cg.learn.banded import log_likelihood_rows
from colloid_cg.learn.detection import NoiseForm, detection_noise
from colloid_cg.learn.problem import Block, free_model
from colloid_cg.learn.sandwich import mean_interval
from colloid_cg.learn.series import time_blocks

_FORMS: tuple[NoiseForm, ...] = ("factor", "shift")


@dataclass(frozen=True, kw_only=True)
class NoiseChoice:
    """Form of the localisation noise, and what each form gains over a constant one (nats, with 90 % half width)."""

    name: NoiseForm
    gains: dict[str, tuple[float, float]]

    def as_dict(self) -> dict[str, Any]:
        """Return the choice for the diagnostics."""
        gains = {name: {"gain": gain, "half_width": half} for name, (gain, half) in self.gains.items()}
        return {"form": self.name, "gain_over_constant": gains}


def with_noise_form(block: Block, form: NoiseForm) -> Block:
    """Return the block with another form of localisation noise."""
    return replace(block, detection=detection_noise(block.series, form))


def choose_noise_form(block: Block, *, wanted_blocks: int) -> NoiseChoice:
    """Return the form with the highest likelihood under free diffusion; constant unless the gain is beyond doubt.

    All forms have the same number of parameters. Stated errors that are nonsense lose against the constant; a gain must
    exceed its 90 % interval, clustered over time. A factor is no choice where the constant form finds s2 < 0 (unknown
    exposure, frames mixed by the recording): it would force s2 above zero and D down.
    """
    trials = {form: with_noise_form(block, form) for form in _FORMS}
    gains: dict[str, tuple[float, float]] = {}
    best: NoiseForm = "constant"
    highest = 0.0
    if all(trial.detection is None for trial in trials.values()):
        return NoiseChoice(name=best, gains=gains)
    base, rows, variance = _likelihood(block)
    clusters = time_blocks(block.series, wanted_blocks)[rows]
    for form, trial in trials.items():
        if form == "factor" and variance <= 0.0:
            continue
        try:
            gain, half = mean_interval(_likelihood(trial)[0] - base, clusters)
        except DataError:  # the stated errors exclude any diffusion: nonsense
            continue
        gains[form] = (gain * len(rows), half * len(rows))
        if gain > max(half, highest):
            best, highest = form, gain
    return NoiseChoice(name=best, gains=gains)


def _likelihood(block: Block) -> tuple[np.ndarray, np.ndarray, float]:
    """Return the log-likelihood of every residual under free diffusion, the rows they belong to, and s2 (um2)."""
    data = block.residuals(free_model(block.n_species))
    noise = block.noise(data)
    rows = log_likelihood_rows(data, diffusion=noise.diffusion, localisation_variance=noise.localisation_variance)
    return rows, data.row, noise.localisation_variance
