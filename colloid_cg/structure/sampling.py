"""Which frames are described for the training, and the rows (particle now, same particle a lag later) they give."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np

from colloid_cg.errors import DataError
from colloid_cg.progress import Progress, silent
from colloid_cg.records import Box, Trajectories
from colloid_cg.structure.config import StructureConfig
from colloid_cg.structure.descriptors import Description, describe
from colloid_cg.structure.neighbourhood import Neighbourhood

HALF = 0.5
_LAG_FRAMES = 6


@dataclass(frozen=True, kw_only=True)
class FrameRows:
    """Valid particles of one frame: ids (ascending), species, descriptors, local density, positions (n, d) in um.

    ``seen`` is what an encoder sees of them: ``values`` themselves, or mean and spread over a window of frames.
    """

    particle: np.ndarray
    species: np.ndarray
    values: np.ndarray
    density: np.ndarray
    position: np.ndarray
    seen: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class LaggedRows:
    """Pairs of descriptions of the same particle: at a frame, and ``lag`` frames later.

    Parameters
    ----------
    present, later : arrays, shape (n, q)
        Descriptors, as measured.
    seen, seen_later : arrays, shape (n, p)
        What an encoder sees at both ends: the same arrays unless it sees a window of frames.
    shown, shown_later : arrays, shape (n, p)
        What it is shown in training: the same again unless localisation noise is added.
    species, particle, movie : int arrays, shape (n,)
        Particles of different movies carry different numbers.
    density : array, shape (n,)
    moved : array, shape (n,)
        Squared displacement per axis in um2, the common motion of the species taken off.
    """

    present: np.ndarray
    later: np.ndarray
    seen: np.ndarray
    seen_later: np.ndarray
    shown: np.ndarray
    shown_later: np.ndarray
    species: np.ndarray
    particle: np.ndarray
    movie: np.ndarray
    density: np.ndarray
    moved: np.ndarray

    def __len__(self) -> int:
        return len(self.species)

    def take(self, rows: np.ndarray) -> LaggedRows:
        """Return some of the rows (indices or mask)."""
        return _mapped([self], lambda parts: parts[0][rows])

    def reversed(self) -> LaggedRows:
        """Return the same pairs with the arrow of time turned round."""
        swapped = {"present": self.later, "later": self.present, "seen": self.seen_later, "seen_later": self.seen}
        return replace(self, **swapped, shown=self.shown_later, shown_later=self.shown)


@dataclass(frozen=True, kw_only=True)
class Blocks:
    """Half-open frame ranges of the training and validation blocks; no frame is in both."""

    training: tuple[int, int]
    validation: tuple[int, int]

    def starts(self, lag: int, *, window: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """Return the frames of both blocks whose partner ``lag`` later and whose window lie in the same block."""
        return (
            np.arange(self.training[0] + window - 1, self.training[1] - lag),
            np.arange(self.validation[0] + window - 1, self.validation[1] - lag),
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
    least = (config.lag or 1) + config.window
    length = max(least, round(config.validation_fraction * (stop - first)))
    if stop - first - length < least:
        raise DataError(
            f"detections in {stop - first} frames",
            expected=f"at least {2 * least} frames to learn from and to check against (lag {config.lag or 1}, "
            f"window {config.window})",
            action="record a longer movie, or lower structure.lag, structure.window or structure.validation_fraction",
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
    window: int = 1,
    shifts: np.ndarray | None = None,
    progress: Progress = silent,
) -> dict[int, FrameRows]:
    """Return the valid rows of each frame; ``shifts`` (um, one per detection) moves the particles first.

    With a ``window`` of several frames only particles valid in all of them (this frame and those before) have rows.
    """
    wanted = sorted({int(frame) for frame in frames})
    needed = sorted({earlier for frame in wanted for earlier in range(frame - window + 1, frame + 1)})
    movie = Movie(tracks, neighbourhood=neighbourhood, shifts=shifts)
    single: dict[int, FrameRows] = {}
    rows: dict[int, FrameRows] = {}
    for done, frame in enumerate(needed):
        single[frame] = movie.rows(*movie.describe(frame))
        if frame in wanted:
            rows[frame] = over_window([single[frame - back] for back in range(window)])
        single.pop(frame - window + 1, None)
        progress(done + 1, len(needed))
    return rows


def over_window(frames: list[FrameRows]) -> FrameRows:
    """Return the rows of the first (the present) frame with mean and spread of the descriptors over all of them."""
    now = frames[0]
    if len(frames) == 1:
        return now
    shared = now.particle
    for earlier in frames[1:]:
        shared = np.intersect1d(shared, earlier.particle, assume_unique=True)
    course = np.stack([frame.values[np.searchsorted(frame.particle, shared)] for frame in frames])
    keep = np.searchsorted(now.particle, shared)
    return FrameRows(
        particle=shared, species=now.species[keep], values=now.values[keep], density=now.density[keep],
        position=now.position[keep], seen=np.concatenate([course.mean(axis=0), course.std(axis=0)], axis=1),
    )  # fmt: skip


class Movie:
    """One frame after the other of a movie, described."""

    def __init__(self, tracks: Trajectories, *, neighbourhood: Neighbourhood, shifts: np.ndarray | None = None) -> None:
        self._offsets, self._box, self._neighbourhood = tracks.frame_offsets(), tracks.box, neighbourhood
        self._species, self._particle = tracks.table["species"].to_numpy(), tracks.table["particle"].to_numpy()
        self._still = tracks.positions
        self._seen = tracks.camera_positions if shifts is None else tracks.camera_positions + shifts

    def describe(self, frame: int) -> tuple[slice, Description]:
        """Return the rows of a frame in the table (none outside the movie) and their description."""
        inside = 0 <= frame < len(self._offsets) - 1
        part = slice(int(self._offsets[frame]), int(self._offsets[frame + 1])) if inside else slice(0, 0)
        return part, describe(self._seen[part], self._species[part], self._box, neighbourhood=self._neighbourhood)

    def rows(self, part: slice, found: Description) -> FrameRows:
        """Return the valid rows of a description."""
        values = found.values[found.valid]
        return FrameRows(
            particle=self._particle[part][found.valid],
            species=self._species[part][found.valid],
            values=values,
            density=found.local_density[found.valid],
            position=self._still[part][found.valid],
            seen=values,
        )


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
        now, later = frames[start], frames[start + lag]
        noisy, noisy_later = (shown or frames)[start], (shown or frames)[start + lag]
        both = now.particle
        for other in (later, noisy, noisy_later):
            both = np.intersect1d(both, other.particle, assume_unique=True)
        i, j, k, m = (np.searchsorted(each.particle, both) for each in (now, later, noisy, noisy_later))
        present, after, seen, seen_later = now.values[i], later.values[j], None, None
        if now.seen is not now.values:
            seen, seen_later = now.seen[i], later.seen[j]
        seen, seen_later = (present, after) if seen is None or seen_later is None else (seen, seen_later)
        parts.append(
            LaggedRows(
                present=present, later=after, seen=seen, seen_later=seen_later,
                shown=seen if shown is None else noisy.seen[k],
                shown_later=seen_later if shown is None else noisy_later.seen[m],
                species=now.species[i], particle=both, movie=np.zeros_like(both), density=now.density[i],
                moved=squared_displacement(box.shortest(later.position[j] - now.position[i]), now.species[i]),
            )
        )  # fmt: skip
    return joined(parts)


def joined(parts: list[LaggedRows]) -> LaggedRows:
    """Return the rows of several parts one after the other."""
    return _mapped(parts, np.concatenate)


def _mapped(parts: list[LaggedRows], change: Callable[[list[np.ndarray]], np.ndarray]) -> LaggedRows:
    """Apply ``change`` to the arrays of each name; names that share their arrays share the result (and its memory)."""
    done: dict[tuple[int, ...], np.ndarray] = {}
    result = {}
    for name in LaggedRows.__dataclass_fields__:
        arrays = [getattr(part, name) for part in parts]
        key = tuple(id(array) for array in arrays)
        if key not in done:
            done[key] = change(arrays)
        result[name] = done[key]
    return LaggedRows(**result)


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
        kept, varying = persistence(part.present, part.later)
        if varying.any():
            shares.append(float(kept[varying].mean()))
            weights.append(len(part))
    return float(np.average(shares, weights=weights)) if shares else 0.0


def persistence(now: np.ndarray, later: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the correlation of each column with itself later, shape (q,), 0 where one does not vary; and which do."""
    a, b = now - now.mean(axis=0), later - later.mean(axis=0)
    scale = np.sqrt((a**2).mean(axis=0) * (b**2).mean(axis=0))
    varying = scale > 1e-12
    return np.where(varying, (a * b).mean(axis=0) / np.where(varying, scale, 1.0), 0.0), varying
