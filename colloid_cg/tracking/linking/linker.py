"""Link frame after frame, with a memory that does not grow with the movie."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from scipy.spatial import cKDTree

from colloid_cg.errors import ConfigError, DataError, InputError
from colloid_cg.tracking.config import TrackConfig
from colloid_cg.tracking.linking.assignment import components
from colloid_cg.tracking.linking.marginals import marginals
from colloid_cg.tracking.linking.matching import Matched, Rules, match
from colloid_cg.tracking.linking.motion import SharedMotion
from colloid_cg.tracking.linking.step_model import StepModel

_FIRST_ROUNDS = 10  # of learning from the first frames, in which nothing is known yet
_MEMORY_OF_VELOCITY = 0.5
_LARGEST = 1e12  # px; beyond it a double no longer resolves a pixel well


@dataclass(frozen=True, kw_only=True, eq=False)
class Links:
    """What became of the detections of one frame.

    Parameters
    ----------
    particle : int64 array, shape (n,)
        Track of each detection; new tracks count up in the order of the detections.
    confidence : float64 array, shape (n,)
        Probability that the link to the track's detection before is right; NaN where the track begins.
    """

    particle: np.ndarray
    confidence: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class Tracks:
    """Tracks that may go on, every field an array with one row per track.

    Parameters
    ----------
    particle, last_frame : int64, shape (m,)
    last : float64, shape (m, d)
        Last position in px.
    carried : float64, shape (m, d)
        The same, moved on with the motion predicted for the frames since then.
    velocity : float64, shape (m, d)
        Recent velocity in px per frame; NaN where the track has one detection.
    young : bool, shape (m,)
        Whether the track has one detection and began after the first frame: perhaps a false one.
    """

    particle: np.ndarray
    last_frame: np.ndarray
    last: np.ndarray
    carried: np.ndarray
    velocity: np.ndarray
    young: np.ndarray

    def __len__(self) -> int:
        return len(self.particle)

    def select(self, chosen: np.ndarray) -> Tracks:
        """Return the tracks of a mask or of an index array."""
        return Tracks(**{item.name: getattr(self, item.name)[chosen] for item in fields(self)})

    def joined(self, other: Tracks) -> Tracks:
        """Return these tracks, then others."""
        return Tracks(
            **{
                item.name: np.concatenate([getattr(self, item.name), getattr(other, item.name)])
                for item in fields(self)
            }
        )


class Linker:
    """Join detections into tracks, one frame at a time.

    Each frame is paired with the tracks before it at the least total cost (squared distance from where the track is expected;
    search range squared for a track that is not continued), exactly and whatever the number of particles.

    Parameters
    ----------
    config : TrackConfig
        ``search_range`` known; ``memory``, ``gap_growth``, ``prediction`` and ``drift_minimum_particles`` are used.
    """

    def __init__(self, config: TrackConfig) -> None:
        if config.search_range is None:
            raise ConfigError(
                "no value for track.search_range",
                expected="the largest step a particle makes between two frames, in px",
                action="call resolve(config, suggest(stack, config)) first, or give the value",
            )
        self._config = config
        self._rules = Rules(
            search_range=config.search_range,
            gap_growth=config.gap_growth,
            prediction=config.prediction,
            minimum_particles=config.drift_minimum_particles,
        )
        self._tracks: Tracks | None = None
        self._model = StepModel.unknown(2, config.memory)
        self._motion = SharedMotion.none(2)
        self._frame = -1
        self._n_tracks = 0
        self._n_frames = 0
        self._largest_group = 0
        self._spacings = np.empty(0)

    @property
    def search_range(self) -> float:
        """Search range without a gap in px."""
        return self._rules.search_range

    @property
    def n_tracks(self) -> int:
        """Tracks begun so far."""
        return self._n_tracks

    @property
    def largest_group(self) -> int:
        """Most tracks that competed with one another in a frame."""
        return self._largest_group

    @property
    def spacing(self) -> float | None:
        """Median distance of a particle to its nearest neighbour (px) in frames 1, 2, 4, 8, ...; None if unknown."""
        return float(np.median(self._spacings)) if len(self._spacings) else None

    @property
    def model(self) -> StepModel:
        """What was learnt about the links so far."""
        return self._model

    def add(self, frame: int, positions: np.ndarray) -> Links:
        """Link the detections of the next frame.

        Parameters
        ----------
        frame : int
            Larger than before; frames left out count as frames without particles.
        positions : array, shape (n, 2) or (n, 3)
            In px.

        Raises
        ------
        InputError
            If frames come in the wrong order, or positions are not finite or have another shape.
        """
        positions = self._checked(frame, positions)
        elapsed = frame - self._frame
        self._model = self._model.including(positions)
        if self._tracks is None:
            self._model, self._motion = _for_dimension(positions, self._config.memory)
            self._tracks = _begun(np.empty(0, np.int64), frame, positions[:0], young=False)
        alive = self._tracks.select(frame - self._tracks.last_frame - 1 <= self._config.memory)
        self._note_spacing(positions)
        matched = match(
            alive.carried,
            frame - alive.last_frame - 1,
            alive.velocity,
            positions,
            elapsed=elapsed,
            motion=self._motion,
            surcharge=self._model.surcharge,
            rules=self._rules,
        )
        confidence = self._learn(alive, frame - alive.last_frame - 1, matched, len(positions))
        links = self._numbered(alive, matched, confidence, len(positions))
        self._advance(alive, matched, links, frame, positions)
        return links

    def _checked(self, frame: int, positions: np.ndarray) -> np.ndarray:
        positions = np.ascontiguousarray(positions, dtype=np.float64)
        if frame <= self._frame:
            raise InputError(
                f"frame {frame} after frame {self._frame}", expected="frames in order", action="sort the detections"
            )
        if positions.ndim != 2 or positions.shape[1] not in (2, 3):
            raise InputError(
                f"positions of shape {positions.shape}",
                expected="one row of two or three coordinates per particle",
                action="pass an array of shape (n, 2) or (n, 3)",
            )
        if not (np.abs(positions) < _LARGEST).all():
            raise DataError(
                f"positions in frame {frame} that are not finite numbers of pixels",
                expected="coordinates in px",
                action="drop those rows: a missed detection is a missing row",
            )
        return positions

    def _note_spacing(self, positions: np.ndarray) -> None:
        self._n_frames += 1
        if self._n_frames & (self._n_frames - 1) == 0 and len(positions) > 1:
            nearest = cKDTree(positions).query(positions, k=2)[0][:, 1]
            self._spacings = np.append(self._spacings, np.median(nearest))

    def _learn(self, tracks: Tracks, gap: np.ndarray, matched: Matched, n_detections: int) -> np.ndarray:
        # probability of every candidate pair from what was known before; then this frame is taken in
        first, rows = components(matched.row_start, matched.column, n_detections)
        if len(rows):
            self._largest_group = max(self._largest_group, int(np.diff(first).max()))
        n_candidates = np.diff(matched.row_start)
        pair_gap, pair_young = np.repeat(gap, n_candidates), np.repeat(tracks.young, n_candidates)
        margin = self._rules.search_range
        start = self._model
        knowledge = start if np.isfinite(start.variance[0]) else _guess(start, matched, pair_gap, gap, n_detections)
        probability = np.zeros(len(matched.column))
        for _ in range(1 if start.settled else _FIRST_ROUNDS):
            odds = knowledge.odds(matched.squared, pair_gap, pair_young, margin)
            probability = marginals(matched.row_start, matched.column, odds, first, rows, n_detections)
            total = np.concatenate([[0.0], np.cumsum(probability)])
            seen = total[matched.row_start[1:]] - total[matched.row_start[:-1]]
            knowledge = start.updated(
                squared=matched.squared,
                gap=pair_gap,
                probability=probability,
                seen=seen,
                track_gap=gap,
                track_young=tracks.young,
                n_detections=n_detections,
            )
        self._model = knowledge
        return probability

    def _numbered(self, tracks: Tracks, matched: Matched, probability: np.ndarray, n: int) -> Links:
        particle = np.full(n, -1, dtype=np.int64)
        confidence = np.full(n, np.nan)
        pair = matched.pair[matched.pair >= 0]
        particle[matched.column[pair]] = tracks.particle[matched.pair >= 0]
        confidence[matched.column[pair]] = probability[pair]
        new = particle < 0
        n_new = int(new.sum())
        particle[new] = np.arange(self._n_tracks, self._n_tracks + n_new)
        self._n_tracks += n_new
        return Links(particle=particle, confidence=confidence)

    def _advance(self, tracks: Tracks, matched: Matched, links: Links, frame: int, positions: np.ndarray) -> None:
        going = matched.pair >= 0
        current = _begun(links.particle, frame, positions, young=self._n_frames > 1)
        old, at = tracks.select(going), matched.column[matched.pair[going]]
        current.young[at] = False
        step = (positions[at] - old.last) / (frame - old.last_frame)[:, np.newaxis]
        blend = _MEMORY_OF_VELOCITY * old.velocity + (1.0 - _MEMORY_OF_VELOCITY) * step
        current.velocity[at] = np.where(np.isnan(old.velocity), step, blend)
        lost = replace(tracks, carried=matched.predicted).select(~going)
        lost = lost.select(frame - lost.last_frame <= self._config.memory)
        self._tracks = current.joined(lost)
        self._motion = matched.motion
        self._frame = frame

    def state(self) -> dict[str, np.ndarray]:
        """Return all that the linker knows; :meth:`restored` goes on from there as if nothing had happened."""
        state = {
            "counters": np.array([self._frame, self._n_tracks, self._n_frames, self._largest_group], dtype=np.int64),
            "spacings": self._spacings.copy(),
            "motion": self._motion.as_array(),
        }
        state |= {f"model_{item.name}": np.array(getattr(self._model, item.name)) for item in fields(StepModel)}
        if self._tracks is not None:
            state |= {f"tracks_{item.name}": getattr(self._tracks, item.name).copy() for item in fields(Tracks)}
        return state

    @classmethod
    def restored(cls, config: TrackConfig, state: dict[str, np.ndarray]) -> Linker:
        """Return a linker that goes on from a state."""
        linker = cls(config)
        counters = [int(value) for value in state["counters"]]
        linker._frame, linker._n_tracks, linker._n_frames, linker._largest_group = counters
        linker._spacings = np.array(state["spacings"])
        linker._motion = SharedMotion.from_array(np.array(state["motion"]))
        values = {item.name: np.array(state[f"model_{item.name}"]) for item in fields(StepModel)}
        numbers = {name: float(value) for name, value in values.items() if value.ndim == 0}
        linker._model = StepModel(**(values | numbers))
        if "tracks_particle" in state:
            linker._tracks = Tracks(**{item.name: np.array(state[f"tracks_{item.name}"]) for item in fields(Tracks)})
        return linker


def _for_dimension(positions: np.ndarray, memory: int) -> tuple[StepModel, SharedMotion]:
    d = positions.shape[1]
    return StepModel.unknown(d, memory).including(positions), SharedMotion.none(d)


def _begun(particle: np.ndarray, frame: int, positions: np.ndarray, *, young: bool) -> Tracks:
    return Tracks(
        particle=particle,
        last_frame=np.full(len(particle), frame, dtype=np.int64),
        last=positions.copy(),
        carried=positions.copy(),
        velocity=np.full(positions.shape, np.nan),
        young=np.full(len(particle), young),
    )


def _guess(model: StepModel, matched: Matched, pair_gap: np.ndarray, gap: np.ndarray, n_detections: int) -> StepModel:
    # before anything is known: the links that were chosen are taken for certain
    certain = np.zeros(len(matched.column))
    certain[matched.pair[matched.pair >= 0]] = 1.0
    # distances of zero alone would leave no room for any other
    squared = np.maximum(matched.squared, 1e-6)
    return model.updated(
        squared=squared,
        gap=pair_gap,
        probability=certain,
        seen=(matched.pair >= 0).astype(float),
        track_gap=gap,
        track_young=np.zeros(len(gap), dtype=bool),
        n_detections=n_detections,
    )
