"""Which rows are used for what: blocks, frames, labels, and everything known about the rows at one lag."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from colloid_cg.assessment.reading.futures import d2min_ahead, displacements, in_events, p_hop_ahead
from colloid_cg.assessment.reading.handmade import handmade_variables
from colloid_cg.assessment.reading.ridge import descriptors
from colloid_cg.assessment.reading.settings import ReadingConfig
from colloid_cg.errors import DataError, InputError
from colloid_cg.observables import without_affine_motion
from colloid_cg.records import EventTable, Trajectories
from colloid_cg.structure import StructureModel

BLOCKS = ("train", "select", "test")
MOST_LAGS = 6


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """What is read, and the frames it is read in.

    Parameters
    ----------
    tracks : Trajectories
    fields : pandas.DataFrame
        Row by row those of ``tracks``.
    names : tuple of str
        Hidden variables.
    frames : dict of int arrays
        Block -> frames that rows start in; their futures lie within the block.
    lag : int
    lags : tuple of int
    cutoff : float
        um.
    events : EventTable or None
    positions : array, shape (n, d)
        um, the affine motion of all particles taken off.
    described : dict
        Block -> rows and their descriptors; empty without a structure model.
    """

    tracks: Trajectories
    fields: pd.DataFrame
    names: tuple[str, ...]
    frames: dict[str, np.ndarray]
    lag: int
    lags: tuple[int, ...]
    cutoff: float
    events: EventTable | None
    positions: np.ndarray
    described: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)

    @property
    def frame(self) -> np.ndarray:
        """Frame of every row."""
        return self.tracks.table["frame"].to_numpy()

    @property
    def species(self) -> np.ndarray:
        """Species of every row."""
        return self.tracks.table["species"].to_numpy()

    def hidden(self, name: str) -> np.ndarray:
        """Return a hidden variable, shape (n,)."""
        return self.fields[name].to_numpy(dtype=float)


@dataclass(frozen=True, kw_only=True, eq=False)
class Lagged:
    """What is known about every row at one lag: what becomes of it, and the hand-made variables (arrays (n,))."""

    lag: int
    futures: dict[str, np.ndarray]
    handmade: dict[str, np.ndarray]


def sample_of(
    tracks: Trajectories,
    fields: pd.DataFrame,
    blocks: dict[str, tuple[int, int]],
    config: ReadingConfig,
    *,
    model: StructureModel | None,
    events: EventTable | None,
) -> Sample:
    """Choose lags and frames; raises where a block is too short or the fields are those of other tracks."""
    keys = ["frame", "particle"]
    if len(fields) != len(tracks) or (fields[keys].to_numpy() != tracks.table[keys].to_numpy()).any():
        raise InputError(
            f"fields of {len(fields)} rows for {len(tracks)} detections", expected="the fields of these very tracks",
            action="run 'colloid-cg structure' on this folder again",
        )  # fmt: skip
    names = tuple(name for name in fields.columns if name[:1] == "s" and name[1:].isdigit())
    if not names:
        raise InputError("fields without s0", expected="hidden variables s0, s1, ...", action="fit the structure first")
    lag, lags = _lags(blocks, config, model)
    per_frame = max(1.0, len(tracks) / max(tracks.table["frame"].nunique(), 1))
    limits = {"train": config.fit_rows, "select": config.fit_rows, "test": config.max_rows}
    frames = {
        name: _thinned(np.arange(first, last - max(lags)), max(1, int(limits[name] / per_frame)))
        for name, (first, last) in blocks.items()
    }
    spacing = float((tracks.box.volume / per_frame) ** (1 / tracks.dimension))
    cutoff = config.cutoff or (model.neighbourhood.cutoff if model is not None else 2.0 * spacing)
    described = {} if model is None else {name: descriptors(tracks, model, frames[name]) for name in BLOCKS}
    return Sample(
        tracks=tracks, fields=fields, names=names, frames=frames, lag=lag, lags=lags, cutoff=cutoff, events=events,
        positions=without_affine_motion(tracks), described=described,
    )  # fmt: skip


def _lags(
    blocks: dict[str, tuple[int, int]], config: ReadingConfig, model: StructureModel | None
) -> tuple[int, tuple[int, ...]]:
    """Return the lag of all figures and the lags of prediction: none longer than a third of the shortest block."""
    shortest = min(last - first for first, last in blocks.values())
    longest = max(1, shortest // 3)
    if shortest < 2:
        raise DataError(
            f"a block of {shortest} frame", expected="at least two frames to train, to select and to test on",
            action="use a longer movie or other fractions",
        )  # fmt: skip
    fitted = 1 if model is None else int(model.metadata["lag"])
    lag = config.lag or min(fitted, longest)
    lags = config.lags or tuple(2**k for k in range(MOST_LAGS - 1) if 2**k <= longest)
    lags = tuple(sorted({*lags, lag}))
    if lags[0] < 1 or lags[-1] >= shortest:
        raise InputError(
            f"lags of {lags[0]} to {lags[-1]} frames in blocks of {shortest}", expected="lags that fit into each block",
            action="set reading.lag and reading.lags shorter",
        )  # fmt: skip
    return lag, lags


def _thinned(frames: np.ndarray, count: int) -> np.ndarray:
    return np.asarray(frames[np.unique(np.linspace(0, len(frames) - 1, min(count, len(frames))).round().astype(int))])


def at_lag(sample: Sample, lag: int, config: ReadingConfig) -> Lagged:
    """Return futures and hand-made variables at one lag."""
    tracks, positions = sample.tracks, sample.positions
    every = np.unique(np.concatenate(list(sample.frames.values())))
    futures = {"d2min": d2min_ahead(tracks, every, lag, cutoff=sample.cutoff)}
    futures["displacement"] = displacements(positions, tracks, lag)
    if "p_hop" in config.labels or lag == sample.lag:
        futures["p_hop"] = p_hop_ahead(positions, tracks, lag)
    if "events" in config.labels and sample.events is not None and len(sample.events):
        futures["events"] = in_events(tracks, sample.events.table, lag).astype(float)
    judged = np.concatenate([sample.frames["select"], sample.frames["test"]])
    handmade = handmade_variables(tracks, sample.fields, positions, judged, lag, cutoff=sample.cutoff)
    return Lagged(lag=lag, futures=futures, handmade=handmade)


def rows_of(sample: Sample, lagged: Lagged, *, block: str, species: int, label: str) -> np.ndarray:
    """Return the rows of a block and species of which every variable and the future are known, so that all compare."""
    chosen = np.isin(sample.frame, sample.frames[block]) & (sample.species == species)
    columns = [sample.hidden(name) for name in sample.names] + [lagged.futures[label]]
    columns += list(lagged.handmade.values())
    for column in columns:
        chosen &= np.isfinite(column)
    return np.flatnonzero(chosen)


def threshold(sample: Sample, lagged: Lagged, *, species: int, label: str, share: float) -> float:
    """Return the value above which a future counts as a rearrangement: a quantile of the frames before the test block.

    NaN where nothing is known there; one half for events.
    """
    if label == "events":
        return 0.5
    before = np.isin(sample.frame, np.concatenate([sample.frames["train"], sample.frames["select"]]))
    values = lagged.futures[label][before & (sample.species == species)]
    values = values[np.isfinite(values)]
    return float(np.quantile(values, 1.0 - share)) if len(values) else float("nan")
