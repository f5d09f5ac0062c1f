"""Link frame after frame, with a memory that does not grow with the movie."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from scipy.spatial import cKDTree

from colloid_cg.errors import ConfigError, DataError, InputError
from colloid_cg.tracking.config import TrackConfig
from colloid_cg.tracking.linking.live import LiveTracks
from colloid_cg.tracking.linking.marginals import marginals
from colloid_cg.tracking.linking.matching import Matched, Rules, match
from colloid_cg.tracking.linking.motion import SharedMotion
from colloid_cg.tracking.linking.step_model import StepModel, row_sums

_FIRST_ROUNDS = 10  # of learning from the first frames, in which little is known yet
_NEGLIGIBLE = 0.02  # probability below which an earlier end of a continued track is forgotten
_SAMPLE = 500  # particles whose neighbours are looked for
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
class _Belief:
    # probabilities: of every candidate pair, that each track is seen, that each detection continues a track, and
    # that its step is of the second kind
    pair: np.ndarray
    track: np.ndarray
    detection: np.ndarray
    lively: np.ndarray


class Linker:
    """Join detections into tracks, one frame at a time.

    Each frame is paired with the tracks before it at the least total cost (squared distance from where the track is
    expected; search range squared for a track that is not continued), exactly and whatever the number of particles.

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
        self._rules = Rules(
            search_range=config.search_range,
            memory=config.memory,
            gap_growth=config.gap_growth,
            prediction=config.prediction,
            minimum_particles=config.drift_minimum_particles,
        )
        self._tracks: LiveTracks | None = None
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
        """Median distance of a particle to its nearest neighbour (px) in frames 1, 4, 16, ...; None if unknown."""
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
            If frames come in the wrong order, or positions have another shape.
        DataError
            If positions are not finite.
        """
        positions = _checked(frame, positions, after=self._frame)
        self._note_spacing(positions)
        if self._tracks is None:
            d = positions.shape[1]
            self._model, self._motion = StepModel.unknown(d, self._rules.memory), SharedMotion.none(d)
            tracks = LiveTracks.begun(np.empty(0, np.int64), positions[:0], frame=frame)
        else:
            tracks = self._tracks.select(np.flatnonzero(frame - self._tracks.last_frame - 1 <= self._rules.memory))
        self._model = self._model.including(positions)
        gap = frame - tracks.last_frame - 1
        matched = match(
            tracks,
            gap,
            positions,
            elapsed=frame - self._frame,
            motion=self._motion,
            surcharge=self._model.surcharge,
            rules=self._rules,
        )
        belief = self._learn(tracks, gap, matched, len(positions))
        links = self._numbered(tracks, matched, belief)
        self._advance(tracks, matched, belief, LiveTracks.begun(links.particle, positions, frame=frame))
        self._frame = frame
        return links

    def _note_spacing(self, positions: np.ndarray) -> None:
        self._n_frames += 1
        # frames 1, 4, 16, ...: a handful however long the movie
        if self._n_frames.bit_count() == 1 and self._n_frames.bit_length() % 2 == 1 and len(positions) > 1:
            sample = positions[:: max(1, len(positions) // _SAMPLE)]
            nearest = cKDTree(positions).query(sample, k=2)[0][:, 1]
            self._spacings = np.append(self._spacings, np.median(nearest))

    def _learn(self, tracks: LiveTracks, gap: np.ndarray, matched: Matched, n_detections: int) -> _Belief:
        # probability of every candidate pair from what was known before; then this frame is taken in
        start = known = self._model
        if len(tracks) == 0:
            nothing = np.zeros(n_detections)
            return _Belief(pair=np.empty(0), track=np.empty(0), detection=nothing, lively=nothing)
        if not np.isfinite(start.mean_variance):
            known = start.guessed(matched.squared[matched.pair[matched.pair >= 0]])
        past = {"gap": gap, "fresh": tracks.fresh, "absent": tracks.absent, "lively": tracks.lively}
        for _ in range(1 if start.settled else _FIRST_ROUNDS):
            odds, second = known.odds(matched.row_start, matched.squared, margin=self.search_range, **past)
            probability, largest = marginals(matched.row_start, matched.column, odds, n_detections)
            known = start.updated(
                matched.row_start,
                matched.squared,
                probability=probability,
                second=second,
                n_detections=n_detections,
                **past,
            )
        self._model = known
        self._largest_group = max(self._largest_group, largest)
        continued = np.bincount(matched.column, probability, n_detections)
        lively = np.bincount(matched.column, probability * second, n_detections)
        return _Belief(
            pair=probability,
            track=row_sums(matched.row_start, probability),
            detection=continued,
            lively=lively + (1.0 - continued) * known.second_share,
        )

    def _numbered(self, tracks: LiveTracks, matched: Matched, belief: _Belief) -> Links:
        n = len(belief.detection)
        particle, confidence = np.full(n, -1, dtype=np.int64), np.full(n, np.nan)
        going = np.flatnonzero(matched.pair >= 0)
        pair = matched.pair[going]
        particle[matched.column[pair]] = tracks.particle[going]
        confidence[matched.column[pair]] = belief.pair[pair]
        new = np.flatnonzero(particle < 0)
        particle[new] = np.arange(self._n_tracks, self._n_tracks + len(new))
        self._n_tracks += len(new)
        return Links(particle=particle, confidence=confidence)

    def _advance(self, tracks: LiveTracks, matched: Matched, belief: _Belief, current: LiveTracks) -> None:
        # the detections of this frame, each with the past of the track it continues, and the tracks to remember
        going = matched.pair >= 0
        on = np.flatnonzero(going)
        current = current.followed_by(tracks.select(on), matched.column[matched.pair[on]])
        if self._n_frames > 1:
            current = replace(current, fresh=np.clip(1.0 - belief.detection, 0.0, 1.0), lively=belief.lively)
        absent = np.clip(tracks.absent * (1.0 - belief.track), 0.0, 1.0)
        shadow = going | tracks.shadow
        remembered = replace(tracks, carried=matched.predicted, absent=absent, shadow=shadow)
        kept = np.flatnonzero(~shadow | (absent > _NEGLIGIBLE))
        self._tracks = current.joined(remembered.select(kept))
        self._motion = matched.motion

    def state(self) -> dict[str, np.ndarray]:
        """Return all that the linker knows; :meth:`restored` goes on from there as if nothing had happened."""
        state = {
            "counters": np.array([self._frame, self._n_tracks, self._n_frames, self._largest_group], dtype=np.int64),
            "spacings": self._spacings.copy(),
            "motion": self._motion.as_array(),
        }
        state |= {f"model_{item.name}": getattr(self._model, item.name).copy() for item in fields(StepModel)}
        if self._tracks is not None:
            state |= {f"tracks_{name}": getattr(self._tracks, name).copy() for name in LiveTracks.names()}
        return state

    @classmethod
    def restored(cls, config: TrackConfig, state: dict[str, np.ndarray]) -> Linker:
        """Return a linker that goes on from a state."""
        linker = cls(config)
        counters = [int(value) for value in state["counters"]]
        linker._frame, linker._n_tracks, linker._n_frames, linker._largest_group = counters
        linker._spacings = np.array(state["spacings"])
        linker._motion = SharedMotion.from_array(np.array(state["motion"]))
        linker._model = StepModel(**{item.name: np.array(state[f"model_{item.name}"]) for item in fields(StepModel)})
        if "tracks_particle" in state:
            linker._tracks = LiveTracks(**{name: np.array(state[f"tracks_{name}"]) for name in LiveTracks.names()})
        return linker


def _checked(frame: int, positions: np.ndarray, *, after: int) -> np.ndarray:
    positions = np.ascontiguousarray(positions, dtype=np.float64)
    if frame <= after:
        raise InputError(f"frame {frame} after frame {after}", expected="frames in order", action="sort the detections")
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
