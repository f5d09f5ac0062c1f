"""Which frames are described for the training, and the rows (particle now, same particle a lag later) they give."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from colloid_cg.errors import DataError
from colloid_cg.progress import Progress, silent
from colloid_cg.records import Box, Trajectories
from colloid_cg.structure.config import StructureConfig
from colloid_cg.structure.descriptors import describe
from colloid_cg.structure.neighbourhood import Neighbourhood

HALF = 0.5
_LAG_FRAMES = 6


@dataclass(frozen=True, kw_only=True)
class FrameRows:
    """Valid particles of one frame: ids (ascending), species, descriptors, local density, positions (n, d) in um."""

    particle: np.ndarray
    species: np.ndarray
    values: np.ndarray
    density: np.ndarray
    position: np.ndarray


@dataclass(frozen=True, kw_only=True)
class LaggedRows:
    """Pairs of descriptions of the same particle: at a frame, and ``lag`` frames later.

    ``shown`` is what the encoder sees of the present: equal to ``present`` unless noise is added. ``moved`` is the
    squared displacement per axis in um2, the common motion of the species taken off.
    """

    shown: np.ndarray
    present: np.ndarray
    later: np.ndarray
    species: np.ndarray
    density: np.ndarray
    moved: np.ndarray

    def __len__(self) -> int:
        return len(self.species)

    def take(self, rows: np.ndarray) -> LaggedRows:
        """Return some of the rows (indices or mask)."""
        return LaggedRows(
            shown=self.shown[rows],
            present=self.present[rows],
            later=self.later[rows],
            species=self.species[rows],
            density=self.density[rows],
            moved=self.moved[rows],
        )


@dataclass(frozen=True, kw_only=True)
class Blocks:
    """Half-open frame ranges of the training and validation blocks; no frame is in both."""

    training: tuple[int, int]
    validation: tuple[int, int]

    def starts(self, lag: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the frames of both blocks whose partner ``lag`` later lies in the same block."""
        return (
            np.arange(self.training[0], self.training[1] - lag),
            np.arange(self.validation[0], self.validation[1] - lag),
        )


def time_blocks(tracks: Trajectories, config: StructureConfig) -> Blocks:
    """Split the occupied frames into a training block and, after it, a validation block.

    Raises
    ------
    DataError
        If the movie is too short for two frames in each block, or for the asked lag.
    """
    frame = tracks.table["frame"]
    first, stop = (int(frame.min()), int(frame.max()) + 1) if len(frame) else (0, 0)
    least = (config.lag or 1) + 1
    length = max(least, round(config.validation_fraction * (stop - first)))
    if stop - first - length < least:
        raise DataError(
            f"detections in {stop - first} frames",
            expected=f"at least {2 * least} frames to learn from and to check against (lag {least - 1})",
            action="record a longer movie, or lower structure.lag or structure.validation_fraction",
        )
    return Blocks(training=(first, stop - length), validation=(stop - length, stop))


def thinned(frames: np.ndarray, *, rows_per_frame: float, max_rows: int) -> np.ndarray:
    """Return evenly spaced frames that hold about ``max_rows`` rows at most, at least one frame."""
    wanted = int(np.clip(max_rows / max(rows_per_frame, 1.0), 1, len(frames)))
    return np.asarray(frames[np.unique(np.linspace(0, len(frames) - 1, wanted).round().astype(int))])


def described(
    tracks: Trajectories,
    frames: Iterable[int],
    *,
    neighbourhood: Neighbourhood,
    shifts: np.ndarray | None = None,
    progress: Progress = silent,
) -> dict[int, FrameRows]:
    """Return the valid rows of each frame; ``shifts`` (um, one per detection) moves the particles first."""
    offsets, positions, box = tracks.frame_offsets(), tracks.camera_positions, tracks.box
    species, particle = tracks.table["species"].to_numpy(), tracks.table["particle"].to_numpy()
    still = tracks.positions
    moved = positions if shifts is None else positions + shifts
    wanted = sorted({int(frame) for frame in frames})
    rows: dict[int, FrameRows] = {}
    for done, frame in enumerate(wanted):
        part = slice(offsets[frame], offsets[frame + 1])
        found = describe(moved[part], species[part], box, neighbourhood=neighbourhood)
        rows[frame] = FrameRows(
            particle=particle[part][found.valid],
            species=species[part][found.valid],
            values=found.values[found.valid],
            density=found.local_density[found.valid],
            position=still[part][found.valid],
        )
        progress(done + 1, len(wanted))
    return rows


def lagged_rows(
    frames: dict[int, FrameRows],
    starts: np.ndarray,
    *,
    lag: int,
    box: Box,
    shown: dict[int, FrameRows] | None = None,
) -> LaggedRows:
    """Pair the rows of each start frame with those of the same particles ``lag`` frames later."""
    parts = []
    for start in (int(frame) for frame in starts):
        now, later, seen = frames[start], frames[start + lag], (shown or frames)[start]
        both, i, j = np.intersect1d(now.particle, later.particle, assume_unique=True, return_indices=True)
        _, keep, k = np.intersect1d(both, seen.particle, assume_unique=True, return_indices=True)
        i, j = i[keep], j[keep]
        species = now.species[i]
        moved = squared_displacement(box.shortest(later.position[j] - now.position[i]), species)
        parts.append((seen.values[k], now.values[i], later.values[j], species, now.density[i], moved))
    return joined([LaggedRows(**dict(zip(_COLUMNS, part, strict=True))) for part in parts])


_COLUMNS = ("shown", "present", "later", "species", "density", "moved")


def joined(parts: list[LaggedRows]) -> LaggedRows:
    """Return the rows of several parts one after the other."""
    return LaggedRows(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in _COLUMNS})


def squared_displacement(steps: np.ndarray, species: np.ndarray) -> np.ndarray:
    """Return |step|^2 / d of each particle about the median step of its species, shape (n,); ``steps`` (n, d)."""
    relative = steps.copy()
    for kind in np.unique(species):
        own = species == kind
        relative[own] -= np.median(steps[own], axis=0)
    return np.asarray((relative**2).mean(axis=1))


def half_correlation_lag(tracks: Trajectories, blocks: Blocks, *, neighbourhood: Neighbourhood) -> int:
    """Return the first lag of 1, 2, 4, ... frames at which the descriptors keep less than half their correlation.

    Only frames of the training block are used; the search ends at a fifth of each block.
    """
    lengths = [stop - start for start, stop in (blocks.training, blocks.validation)]
    longest = max(1, min(length // 5 for length in lengths))
    lag = 1
    while True:
        starts = blocks.starts(lag)[0]
        starts = starts[np.unique(np.linspace(0, len(starts) - 1, _LAG_FRAMES).round().astype(int))]
        frames = described(tracks, [*starts, *(starts + lag)], neighbourhood=neighbourhood)
        rows = lagged_rows(frames, starts, lag=lag, box=tracks.box)
        if 2 * lag > longest or _correlation(rows) < HALF:
            return lag
        lag *= 2


def _correlation(rows: LaggedRows) -> float:
    """Return the correlation between present and later descriptors within species, averaged over columns."""
    shares, weights = [], []
    for species in np.unique(rows.species):
        part = rows.take(rows.species == species)
        a, b = part.present - part.present.mean(axis=0), part.later - part.later.mean(axis=0)
        scale = np.sqrt((a**2).mean(axis=0) * (b**2).mean(axis=0))
        varying = scale > 1e-12
        if varying.any():
            shares.append(float(((a * b).mean(axis=0)[varying] / scale[varying]).mean()))
            weights.append(len(part))
    return float(np.average(shares, weights=weights)) if shares else 0.0
