"""Range of the pair force, read off the pair distances of the training block."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from colloid_cg.records import StateSeries, Trajectories

_FRAMES = 60
_BINS_PER_SPACING = 12


@dataclass(frozen=True, kw_only=True)
class ForceRange:
    """Cutoff in um, the mean spacing density^(-1/d) in um, and why the cutoff was chosen."""

    cutoff: float
    spacing: float
    reason: str


def force_range(series: StateSeries, wanted: float | None) -> ForceRange:
    """Return the cutoff: the given one, or where g(r) stays within 10 % (and three errors) of its level far out.

    At most two mean spacings (beyond, structure is correlation, not force) and a quarter of the view's shortest side.
    """
    spacing = _spacing(series)
    limit = 0.25 * float(series.box.lengths.min())
    if wanted is not None:
        return ForceRange(cutoff=wanted, spacing=spacing, reason="given")
    reach = min(4.0 * spacing, limit)
    edges = np.linspace(0.0, reach, max(8, int(np.ceil(_BINS_PER_SPACING * reach / spacing))) + 1)
    counts, expected = _pair_counts(series, edges)
    with np.errstate(divide="ignore", invalid="ignore"):
        g = np.where(expected > 0, counts / expected, 1.0)
        error = np.where(expected > 0, np.sqrt(np.maximum(counts, 1.0)) / expected, np.inf)
    far = g[2 * len(g) // 3 :]
    level = float(far.mean()) if far.mean() > 0 else 1.0  # an uneven field of particles lifts g at every distance
    structured = np.abs(g / level - 1.0) > np.maximum(0.1, 3.0 * error / level)
    if not structured.any():
        return ForceRange(cutoff=min(spacing, limit), spacing=spacing, reason="no structure in g(r): one mean spacing")
    end = float(edges[1:][structured].max())
    cutoff = min(1.1 * end, 2.0 * spacing, limit)
    reason = (
        "structure of g(r) ends" if cutoff == 1.1 * end else "limited to two mean spacings or a quarter of the view"
    )
    return ForceRange(cutoff=cutoff, spacing=spacing, reason=f"{reason} (structure seen up to {end:.3g} um)")


def resolved_distance(tracks: Trajectories, wanted: float | None, *, diffusion: float, frame_interval: float) -> float:
    """Return the distance in um from which on a pair stays resolved over one frame: resolution + three relative steps.

    A pair that comes closer merges into one detection and leaves the data. Which pairs stay then depends on what they
    did next, and a fit sees a repulsion that is not there. 0 where the resolution is not known.
    """
    settings = tracks.metadata.get("settings") or {}
    resolution = wanted
    if resolution is None:
        resolution = float(settings.get("separation") or 0.0) * tracks.pixel_size
    return resolution + 3.0 * float(np.sqrt(4.0 * diffusion * frame_interval)) if resolution > 0 else 0.0


def _spacing(series: StateSeries) -> float:
    density = max(len(series.positions) / max(series.n_frames, 1), 1.0) / series.box.volume
    return float(density ** (-1.0 / series.dimension))


def _pair_counts(series: StateSeries, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs seen from particles at least the largest distance away from the edge, and as many as at random."""
    counts, expected = np.zeros(len(edges) - 1), np.zeros(len(edges) - 1)
    unit = np.pi if series.dimension == 2 else 4.0 / 3.0 * np.pi
    shells = unit * np.diff(edges**series.dimension)
    for frame in np.unique(np.linspace(0, series.n_frames - 1, _FRAMES).astype(int)):
        rows = series.rows(int(frame))
        positions = series.positions[rows]
        inner = positions[series.edge_distance[rows] > edges[-1]]
        if len(inner) == 0 or len(positions) < 2:
            continue
        within = cKDTree(inner).count_neighbors(cKDTree(positions), edges)
        counts += np.diff(within)
        expected += len(inner) * (len(positions) - 1) / series.box.volume * shells
    counts[0] = max(counts[0], 0)
    return counts, expected
