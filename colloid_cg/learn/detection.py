"""Localisation noise of every detection: one value for all, or following the error the tracker states for each.

All forms have one free number, the mean s2, so that the likelihood compares them directly:

    constant: s2_t = s2,    factor: s2_t = s2 stated_t / mean(stated),    shift: s2_t = s2 + stated_t - mean(stated).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from colloid_cg.records import StateSeries

NoiseForm = Literal["constant", "factor", "shift"]
_LARGEST = 25.0
"""Stated variances are cut at this multiple of their median: beyond, they say only that the fit of a spot failed."""


@dataclass(frozen=True, kw_only=True, eq=False)
class DetectionNoise:
    """s2_t = ``share`` s2 + ``fixed`` for every row, shape (n, d), 1 and um2; the mean of s2_t is s2."""

    form: NoiseForm
    share: np.ndarray
    fixed: np.ndarray

    def of(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return share and fixed part of some rows."""
        return self.share[rows], self.fixed[rows]


def detection_noise(series: StateSeries, form: NoiseForm) -> DetectionNoise | None:
    """Return how the noise of every row follows from s2; None for a constant one or where nothing is stated.

    Detections without a stated error get the mean.
    """
    stated = np.array(series.localisation_variance, dtype=float)
    known = np.isfinite(stated) & (stated > 0)
    if form == "constant" or not known.any():
        return None
    stated = np.minimum(stated, _LARGEST * float(np.median(stated[known])))
    mean = float(stated[known].mean())
    stated = np.where(known, stated, mean)
    if form == "factor":
        return DetectionNoise(form=form, share=stated / mean, fixed=np.zeros_like(stated))
    return DetectionNoise(form=form, share=np.ones_like(stated), fixed=stated - mean)
