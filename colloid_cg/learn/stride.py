"""At which interval are the steps Brownian? Recording filters, slow flow or activity correlate adjacent steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from colloid_cg.errors import DataError
from colloid_cg.learn.noise import NoiseFit
from colloid_cg.learn.problem import fit_free, free_model, prepare
from colloid_cg.learn.sandwich import cluster_sums, half_width
from colloid_cg.learn.series import every_nth_frame, particle_clusters, time_blocks
from colloid_cg.records import StateSeries

STRIDES = (1, 2, 3, 4, 6, 8, 12, 16)
_MATERIAL = 0.03
"""Rise of D with the interval that is too large to accept."""
_LONGER = 4
"""Times the interval up to which D must not rise: a slow rise hides from a single doubling."""
_SIGNIFICANT = 1.3
"""Half widths of the 90 % interval of the difference (about two standard errors) a rise must exceed."""
_LEAST_ROWS = 1000


@dataclass(frozen=True, kw_only=True)
class Stride:
    """Frames per training step, with D at every interval tried (JSON-able) and the reason."""

    frames: int
    scan: list[dict[str, float]]
    reason: str


def intervals(noise: NoiseFit, series: StateSeries, rows: np.ndarray, wanted_blocks: int) -> np.ndarray:
    """Return half the 90 % interval of (D.., s2): the wider of clustering by time and by particle."""
    influences = influence_by_cluster(noise.influence, series, rows, wanted_blocks)
    return half_width(influences, np.eye(noise.influence.shape[1]))


def influence_by_cluster(
    influence: np.ndarray, series: StateSeries, rows: np.ndarray, wanted_blocks: int
) -> list[np.ndarray]:
    """Return the influence summed over time blocks and over particles (particles only if there are enough of them)."""
    sums = [cluster_sums(influence, time_blocks(series, wanted_blocks)[rows])]
    by_particle = cluster_sums(influence, particle_clusters(series)[rows])
    return [*sums, by_particle] if len(by_particle) >= 8 else sums


def choose_stride(
    series: StateSeries, *, n_species: int, drift_velocity: np.ndarray, wanted: int | None, wanted_blocks: int
) -> Stride:
    """Return the smallest stride from which D (free diffusion) does not rise materially up to four times the interval.

    Confinement lowers D with the interval and is left to the forces; only a significant rise of more than 3 % asks for
    a longer interval.
    """
    scan: list[dict[str, float]] = []
    problem: DataError | None = None
    for frames in STRIDES:
        thinned = every_nth_frame(series, frames)
        block = prepare(thinned, n_species=n_species, drift_velocity=drift_velocity)
        data = block.residuals(free_model(n_species))
        if frames > 1 and (
            len(data.row) < _LEAST_ROWS or thinned.n_frames < 20 or data.joined.sum() < _LEAST_ROWS // 2
        ):
            break
        try:
            noise = fit_free(block, scores=True).noise
        except DataError as error:  # steps too smooth for diffusion at this interval
            problem = error
            continue
        half = intervals(noise, thinned, data.row, wanted_blocks)
        mean = float(np.average(noise.diffusion, weights=np.bincount(data.species, minlength=n_species)))
        scan.append(
            {"frames": frames, "lag_s": thinned.frame_interval, "diffusion": mean, "half_width": float(half[0])}
        )
    if not scan and problem is not None:
        raise problem
    if wanted is not None:
        return Stride(frames=wanted, scan=scan, reason="given")
    found = {int(entry["frames"]): entry for entry in scan}
    usable = [frames for frames in found if 2 * frames in found]
    for frames in usable:
        longer = [entry for other, entry in found.items() if frames < other <= _LONGER * frames]
        if not any(_rises(found[frames], entry) for entry in longer):
            reason = "steps are Brownian" if frames == 1 else "the shortest interval at which D no longer rises"
            return Stride(frames=frames, scan=scan, reason=reason)
    last = usable[-1] if usable else min(found, default=1)
    return Stride(frames=last, scan=scan, reason="D still rises with the interval; the longest one tested")


def _rises(shorter: dict[str, float], longer: dict[str, float]) -> bool:
    """Tell whether D of the longer interval is materially and significantly above that of the shorter one."""
    rise = longer["diffusion"] - shorter["diffusion"]
    margin = _SIGNIFICANT * _difference(shorter["half_width"], longer["half_width"])
    return rise >= max(_MATERIAL * shorter["diffusion"], margin)


def _difference(shorter: float, longer: float) -> float:
    """Interval of the difference of two estimates from the same data, the first the more efficient (Hausman 1978)."""
    return float(np.sqrt(max(longer**2 - shorter**2, 0.25 * longer**2)))


def as_json(stride: Stride) -> dict[str, Any]:
    """Return the scan for the diagnostics."""
    return {"frames": stride.frames, "scan": stride.scan, "reason": stride.reason}
