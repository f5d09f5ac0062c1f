"""Does the localisation error that tracking states agree with the one that displacements show?"""

from __future__ import annotations

from typing import Any

import numpy as np

from colloid_cg.reporting.checks.check import BAD, GOOD, LOOK, Check
from colloid_cg.reporting.numbers import plain
from colloid_cg.reporting.stated import of_both_axes, resolved_root

STATED_GOOD, STATED_LOOK = 1.2, 2.0
"""Factor between the two standard deviations."""
CHANCE, CERTAIN = 2.0, 3.0
"""Standard errors of the variance."""
FULL_EXPOSURE = 1.0 / 6.0
"""Blur coefficient of a shutter that is open all the time."""
QUESTION = "Do displacements show the localisation error that is stated?"


def localisation_check(quality: dict[str, Any]) -> list[Check]:
    """Is the stated localisation error the one that displacements show?

    Where the displacements resolve no error, or a shutter time that nobody knows decides, the check could not be made.
    """
    localisation = quality.get("localisation") or {}
    both = of_both_axes(localisation)
    if both is None:
        return []
    stated, variance, error = both["stated"], both["variance"], both["standard_error"]
    known = bool(localisation.get("exposure_known", True))
    shown = f"stated {plain(stated)} px, from successive displacements "
    observed = resolved_root(variance, error)
    if observed is None:
        reason = "" if known else ", and the exposure is unknown"
        return [_check(f"{shown}not resolved{reason}: this check could not be made", LOOK)]
    shown += f"{plain(observed)} px (root mean squares of one coordinate)"
    highest = variance if known else _if_always_exposed(variance, quality.get("rms_step"))
    verdict = agreement(stated, variance, highest, error)
    if not known and verdict == LOOK and variance < stated**2 < highest:
        upper = f"up to {plain(np.sqrt(highest))} px" if np.isfinite(highest) else "more"
        shown += f"; with the unknown exposure it may be {upper}, so this check could not be made"
    elif verdict == BAD:
        factor = max(observed / stated, stated / observed)
        shown += f": off by a factor of {plain(factor, 2)}"
    return [_check(shown, verdict)]


def agreement(stated: float, lowest: float, highest: float, error: float) -> str:
    """Return the verdict on a stated error (px) against variances (px^2) between ``lowest`` and ``highest``.

    Parameters
    ----------
    stated : float
    lowest, highest : float
        What the displacements show without blur and with the most of it; equal where the exposure is known.
    error : float
        Standard error of the variance (px^2).
    """
    nearest = float(np.clip(stated**2, lowest, highest))
    factor = float(np.sqrt(max(nearest / stated**2, stated**2 / nearest)))
    apart = abs(stated**2 - nearest)
    if abs(stated**2 - lowest) <= CHANCE * error or STATED_GOOD**-2 <= stated**2 / lowest <= STATED_GOOD**2:
        return GOOD
    return LOOK if factor <= STATED_LOOK or apart <= CERTAIN * error else BAD


def _if_always_exposed(variance: float, step: float | None) -> float:
    """Return R <d^2> + (1 - 2 R) variance, what the variance without blur becomes at full exposure."""
    if step is None:
        return np.inf
    return max(variance, FULL_EXPOSURE * float(step) ** 2 + (1.0 - 2.0 * FULL_EXPOSURE) * variance)


def _check(found: str, verdict: str) -> Check:
    return Check(
        question=QUESTION,
        found=found,
        expected="equal within a fifth or the errors; caged or trapped particles make displacements show too much",
        verdict=verdict,
        section="tracking",
    )
