"""What metrics.json says of a hidden variable."""

from __future__ import annotations

from typing import Any

import numpy as np

from colloid_cg.learn.latent.ablation import Gain
from colloid_cg.learn.latent.law import FULL
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
    full: Found, gains: dict[str, Gain], *, step: float, used: bool, present: np.ndarray
) -> dict[str, list[dict[str, Any]]]:
    """Return what metrics.json says of the hidden variable; of species that are ``present``."""
    law, widths, unit = full.law, full.half_widths, "nats per particle and step"
    said = "selection block, over mobilities that differ by chance from step to step"
    verdict = "" if used else "; no hidden variable worth having: rollouts do without it"

    def of(name: str, note: str) -> list[dict[str, Any]]:
        found = gains[name]
        return [metric(found.value, low90=found.low90, high90=found.high90, unit=unit, note=note)]

    remembers = float(law.memory_slope.max()) > LEAST_SLOPE
    low = high = None
    if widths is not None and full.free == FULL and remembers and np.isfinite(widths[-1]):
        low, high = (law.persistence * step * float(np.exp(sign * min(widths[-1], 50.0))) for sign in (-1, 1))
    lasting = "of the memory variable z" if remembers else "z has no effect here: where the search began, no finding"
    metrics = {
        "latent_gain": of("full", f"{said}{verdict}"),
        "latent_gain_shuffled": of("shuffled", f"{said}; predicted s exchanged among particles of a frame, refitted"),
        "latent_gain_predicted": of("predicted", f"{said}; s predicted from the past, as a given variable"),
        "latent_gain_memory": of("memory", f"{said}; memory alone, without structure"),
        "latent_gain_over_one_mobility": of("over_none", "selection block, over one mobility per species"),
        "latent_persistence_time": [metric(law.persistence * step, low90=low, high90=high, unit="s", note=lasting)],
    }
    for species in np.flatnonzero(present):
        share, spread = _shares(full, int(species))
        metrics.setdefault("latent_structure_share", []).append(
            metric(
                share[0],
                low90=share[1],
                high90=share[2],
                species=int(species),
                note="of the variance of s, explained by the present structure",
            )
        )
        metrics.setdefault("latent_spread", []).append(
            metric(
                spread[0],
                low90=spread[1],
                high90=spread[2],
                species=int(species),
                note="standard deviation of the logarithm of the mobility",
            )
        )
    return metrics


def _shares(full: Found, species: int) -> list[tuple[float, float | None, float | None]]:
    """Return b^2/(b^2 + a^2) and sqrt(b^2 + a^2) of a species with their 90 % intervals (errors propagated)."""
    b, a = full.law.structure_slope[species], float(full.law.memory_slope[species])
    square = float((b**2).sum())
    total = max(square + a**2, 1e-300)
    values = square / total, float(np.sqrt(total))
    if full.half_widths is None or full.free != FULL:
        return [(value, None, None) for value in values]
    n, k = full.law.structure_slope.shape
    first = n + 1
    width_b = full.half_widths[first + species * k : first + (species + 1) * k]
    width_a = full.half_widths[first + n * k + species]
    slopes = (2.0 * b * a**2 / total**2, -2.0 * a * square / total**2), (b / np.sqrt(total), a / np.sqrt(total))
    found: list[tuple[float, float | None, float | None]] = []
    for value, (by_b, by_a), most in zip(values, slopes, (1.0, np.inf), strict=True):
        half = float(np.sqrt(((by_b * width_b) ** 2).sum() + (by_a * width_a) ** 2))
        if np.isfinite(half):
            found.append((value, max(value - half, 0.0), float(min(value + half, most))))
        else:
            found.append((value, None, None))
    return found
