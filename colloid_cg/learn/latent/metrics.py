"""What metrics.json says of a hidden variable."""

from __future__ import annotations

from typing import Any

import numpy as np

from colloid_cg.learn.latent.ablation import Gain
from colloid_cg.learn.latent.law import FULL, LatentLaw
from colloid_cg.learn.latent.maximum import Found
from colloid_cg.records.model import metric

LEAST_SLOPE = 0.02
"""Of ln lambda on z: below it z has no effect, and its persistence no meaning."""


def left_out(present: np.ndarray) -> list[str]:
    """Return a sentence for every species without a step to learn from."""
    return [
        f"Species {species} has no steps with a known neighbourhood (too few particles for an encoder?): its particles "
        "have no hidden variable and the same mobility all; record a wider view or set fit.hidden_variables = 0."
        for species in np.flatnonzero(~present)
    ]


def latent_metrics(
    full: Found, gains: dict[str, Gain], living: LatentLaw, *, step: float, used: bool, present: np.ndarray
) -> dict[str, list[dict[str, Any]]]:
    """Return what metrics.json says of the hidden variable; of species that are ``present``."""
    law, widths, unit = full.law, full.half_widths, "nats per particle and step"
    said = "selection block, over mobilities that differ by chance from step to step"
    verdict = "" if used else "; no hidden variable worth having: rollouts do without it"

    def of(name: str, note: str) -> list[dict[str, Any]]:
        found = gains[name]
        return [metric(found.value, low90=found.low90, high90=found.high90, unit=unit, note=note)]

    low = high = None
    if widths is not None and full.free == FULL and law.memory_slope.max() > LEAST_SLOPE:
        low, high = (law.persistence * step * float(np.exp(sign * min(widths[-1], 50.0))) for sign in (-1, 1))
    metrics = {
        "latent_gain": of("full", f"{said}{verdict}"),
        "latent_gain_shuffled": of("shuffled", f"{said}; predicted s exchanged among particles of a frame, refitted"),
        "latent_gain_predicted": of("predicted", f"{said}; s predicted from the past, as a given variable"),
        "latent_gain_memory": of("memory", f"{said}; memory alone, without structure"),
        "latent_gain_over_one_mobility": of("over_none", "selection block, over one mobility per species"),
        "latent_persistence_time": [
            metric(law.persistence * step, low90=low, high90=high, unit="s", note="of the memory variable z")
        ],
    }
    metrics["latent_structure_share"] = [
        metric(float(share), species=species, note="of the variance of s, explained by the present structure")
        for species, share in enumerate(living.structure_share)
        if present[species]
    ]
    metrics["latent_spread"] = [
        metric(float(spread), species=species, note="standard deviation of the logarithm of the mobility")
        for species, spread in enumerate(living.spread)
        if present[species]
    ]
    return metrics
