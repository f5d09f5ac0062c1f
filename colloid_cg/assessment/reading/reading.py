"""What hidden structural variables mean, what they predict, and how long they last."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from colloid_cg.assessment.agreement import jsonable
from colloid_cg.assessment.reading.association import mutual_information, pearson, spearman
from colloid_cg.assessment.reading.handmade import READABLE
from colloid_cg.assessment.reading.persistence import persistence
from colloid_cg.assessment.reading.predict import FEWEST_POSITIVES, drawn_for, prediction
from colloid_cg.assessment.reading.rates import rate_against
from colloid_cg.assessment.reading.sample import Lagged, Sample, at_lag, rows_of, sample_of, threshold
from colloid_cg.assessment.reading.settings import ReadingConfig
from colloid_cg.progress import Progress, silent
from colloid_cg.records import EventTable, Trajectories
from colloid_cg.seeding import generator
from colloid_cg.structure import StructureModel

FEWEST_ROWS = 200
FEW_BLOCKS = 10
MOST_PERSISTENCE_LAGS = 24
MOST_ON_MAP = 20_000


def read_hidden(
    tracks: Trajectories,
    fields: pd.DataFrame,
    *,
    blocks: dict[str, tuple[int, int]],
    config: ReadingConfig | None = None,
    model: StructureModel | None = None,
    events: EventTable | None = None,
    rng: int | np.random.Generator = 0,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Read hidden variables: what they go with, what they predict, at which rates, and for how long.

    Parameters
    ----------
    tracks : Trajectories
    fields : pandas.DataFrame
        Of these tracks, row by row: ``frame, particle, s0, ...`` and, as far as known, ``local_density, psi6,
        voronoi_area`` (see :func:`colloid_cg.structure.encode`).
    blocks : dict
        "train", "select", "test" -> first frame and the one after the last. Figures are those of the test block,
        persistence that of all frames.
    config : ReadingConfig, optional
    model : StructureModel, optional
        Its descriptors feed the supervised peer, its lag and cutoff are taken over.
    events : EventTable, optional
        For the label "events"; of a detector, or the truth of a twin.
    rng : int or numpy.random.Generator
    progress : callable

    Returns
    -------
    dict
        JSON-able; see docs/hidden_variables.md.

    Raises
    ------
    InputError
        If the fields are those of other tracks, or hold no hidden variable.
    DataError
        If a block is too short.
    """
    config = config or ReadingConfig()
    stream = generator(rng, "reading") if isinstance(rng, int) else rng
    sample = sample_of(tracks, fields, blocks, config, model=model, events=events)
    kinds = [int(kind) for kind in np.unique(sample.species) if _rows_with(sample, int(kind)) >= FEWEST_ROWS]
    found: dict[str, dict[str, Any]] = {}
    for kind in kinds:
        found[str(kind)] = {"persistence": _persistence(sample, kind, config, stream), "prediction": []}
    for done, lag in enumerate(sample.lags):
        lagged = at_lag(sample, lag, config)
        labels = [label for label in config.labels if label in lagged.futures]
        for kind in kinds:
            own = found[str(kind)]
            length = _frames_per_block(sample, own["persistence"])
            own["prediction"] += [
                prediction(sample, lagged, config, species=kind, label=label, frames_per_block=length, rng=stream)
                for label in labels
            ]
            if lag == sample.lag:
                own["associations"] = _associations(sample, lagged, kind, length, config, stream)
                own["rates"] = _rates(sample, lagged, kind, length, config, stream)
        if lag == sample.lag:
            shown = _map(sample, lagged, kinds, config)
        progress(done + 1, len(sample.lags))
    result = {
        "variables": list(sample.names), "lag": sample.lag, "lag_seconds": sample.lag * tracks.frame_interval,
        "lags": list(sample.lags), "label": config.labels[0], "cutoff": sample.cutoff,
        "blocks": {name: list(span) for name, span in blocks.items()}, "species": found, "map": shown,
        "settings": config.as_dict(),
    }  # fmt: skip
    result["warnings"] = _warnings(result)
    clean = jsonable(result)
    return clean if isinstance(clean, dict) else {}


def _rows_with(sample: Sample, species: int) -> int:
    return int(np.isfinite(sample.hidden(sample.names[0])[sample.species == species]).sum())


def _frames_per_block(sample: Sample, found: dict[str, Any]) -> int:
    """Return a length in time beyond which rows are taken as independent: twice the longest persistence."""
    times = []
    for entry in found.values():
        seconds = entry["longer_than"] if entry["time"] is None else entry["time"]["value"]
        times.append(2.0 * seconds / sample.tracks.frame_interval)
    return max(1, int(np.ceil(max(times, default=1.0))))


def _persistence(
    sample: Sample, species: int, config: ReadingConfig, rng: np.random.Generator
) -> dict[str, dict[str, Any]]:
    result, frame, particle = {}, sample.frame, sample.tracks.table["particle"].to_numpy()
    for name in sample.names:
        s = sample.hidden(name)
        rows = np.flatnonzero(np.isfinite(s) & (sample.species == species))
        span = int(np.ptp(frame[rows])) + 1
        longest = max(1, span // 3)
        lags = np.unique(np.round(np.geomspace(1, longest, MOST_PERSISTENCE_LAGS)).astype(int))
        lags = np.unique(np.concatenate([lags, np.arange(1, min(4, longest) + 1)]))
        drawn = drawn_for(sample, rows, frames_per_block=2 * longest, config=config, rng=rng)
        result[name] = persistence(
            s[rows], frame[rows], particle[rows], drawn, lags=lags, interval=sample.tracks.frame_interval
        )
    return result


def _associations(
    sample: Sample, lagged: Lagged, species: int, length: int, config: ReadingConfig, rng: np.random.Generator
) -> list[dict[str, Any]]:
    """Return how every hidden variable goes with the readable ones now and with what becomes of the particle."""
    present = {name: lagged.handmade[name] for name in READABLE if name in lagged.handmade}
    found = []
    for name in sample.names:
        s = sample.hidden(name)
        for other, values in (present | {k: v for k, v in lagged.futures.items() if k != "events"}).items():
            known = np.isfinite(s) & np.isfinite(values) & (sample.species == species)
            rows = np.flatnonzero(known & np.isin(sample.frame, sample.frames["test"]))
            if len(rows) < FEWEST_ROWS:
                continue
            drawn = drawn_for(sample, rows, frames_per_block=length, config=config, rng=rng)
            found.append(
                {
                    "variable": name, "with": other, "lag": None if other in present else lagged.lag, "rows": len(rows),
                    "pearson": pearson(s[rows], values[rows], drawn),
                    "spearman": spearman(s[rows], values[rows], drawn),
                    "mutual_information": mutual_information(s[rows], values[rows], drawn, rng=rng),
                }
            )  # fmt: skip
    return found


def _rates(
    sample: Sample, lagged: Lagged, species: int, length: int, config: ReadingConfig, rng: np.random.Generator
) -> dict[str, Any]:
    """Return the rate of rearrangement against every hidden variable, of the first label."""
    label = next(label for label in config.labels if label in lagged.futures)
    level = threshold(sample, lagged, species=species, label=label, share=config.share)
    rows = rows_of(sample, lagged, block="test", species=species, label=label)
    positive = lagged.futures[label][rows] > level
    if min(positive.sum(), (~positive).sum()) < FEWEST_POSITIVES:
        return {}
    drawn = drawn_for(sample, rows, frames_per_block=length, config=config, rng=rng)
    duration = lagged.lag * sample.tracks.frame_interval
    return {
        name: rate_against(sample.hidden(name)[rows], positive, drawn, duration=duration, bins=config.rate_bins)
        for name in sample.names
    }


def _map(sample: Sample, lagged: Lagged, kinds: list[int], config: ReadingConfig) -> dict[str, Any] | None:
    """Return s and the D2min that follows in the frame of the test block with most rearrangements, for a picture."""
    value, frame, table = lagged.futures["d2min"], sample.frame, sample.tracks.table
    hot = np.zeros(len(value), dtype=bool)
    for kind in kinds:
        level = threshold(sample, lagged, species=kind, label="d2min", share=config.share)
        hot |= (sample.species == kind) & (value > level)
    frames = sample.frames["test"]
    counts = [int(hot[frame == index].sum()) for index in frames]
    index = int(frames[int(np.argmax(counts))])
    rows = np.flatnonzero(frame == index)
    if not len(rows) or len(rows) > MOST_ON_MAP:
        return None
    return {
        "frame": index, "particle": table["particle"].to_numpy()[rows],
        "d2min": np.round(value[rows], 6), "rearranges": hot[rows],
        **{name: np.round(sample.hidden(name)[rows], 4) for name in sample.names},
    }  # fmt: skip


def _warnings(result: dict[str, Any]) -> list[str]:
    sentences = []
    for kind, found in result["species"].items():
        main = [part for part in found["prediction"] if part["lag"] == result["lag"]]
        few = sorted({part["blocks"] for part in main if part.get("blocks", FEW_BLOCKS) < FEW_BLOCKS})
        if few:
            sentences.append(
                f"Species {kind}: the test block holds only {few[0]} independent blocks of space and time; its "
                "intervals are rough."
            )
        sentences += [
            f"Species {kind}, {part['label']}: {part['missing']}, too few to judge a prediction."
            for part in main
            if "missing" in part
        ]
    if not result["species"]:
        sentences.append(f"No species has {FEWEST_ROWS} rows with a known hidden variable: nothing was read.")
    return sentences
