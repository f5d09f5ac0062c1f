"""Scores of links: which detections that follow each other in a track do so in truth."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from colloid_cg.errors import InputError
from colloid_cg.tracking.scores.matching import match_detections
from colloid_cg.tracking.scores.tables import Gate, tracks_of


@dataclass(frozen=True, kw_only=True)
class LinkScores:
    """Links join a detection with the next one of the same particle.

    Detections that were missed or are false are not the linker's doing: true links join successive *detected*
    appearances of a particle, and any link from or to a false detection is wrong.

    Parameters
    ----------
    n_true, n_found, n_correct : int
        Links from one frame to the next.
    recall, precision : float
        n_correct/n_true and n_correct/n_found.
    n_true_gaps, n_found_gaps, n_correct_gaps : int
        Links over one or more frames without the particle.
    recall_gaps, precision_gaps : float
        Of these.
    n_true_tracks, n_found_tracks : int
        Particles with at least one detection, and tracks.
    n_switches : int
        Links of either kind that join two different particles.
    """

    n_true: int
    n_found: int
    n_correct: int
    recall: float
    precision: float
    n_true_gaps: int
    n_found_gaps: int
    n_correct_gaps: int
    recall_gaps: float
    precision_gaps: float
    n_true_tracks: int
    n_found_tracks: int
    n_switches: int

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON-able dictionary."""
        return asdict(self)


def score_links(
    truth: pd.DataFrame, estimate: pd.DataFrame, *, gate: Gate, diameter: float | None = None
) -> LinkScores:
    """Score the links of tracks; detections are paired with the true ones by :func:`match_detections`.

    Parameters
    ----------
    truth, estimate : pandas.DataFrame
        Columns frame, particle, x, y [, z]; px.
    gate : float, "5 px" or "d/4"
    diameter : float, optional
        Of the particles in px, for ``gate="d/4"``.
    """
    true_track, _ = tracks_of(truth, "truth")
    found_track, _ = tracks_of(estimate, "estimate")
    partner = match_detections(truth, estimate, gate=gate, diameter=diameter)
    known = np.where(partner >= 0, true_track[partner] if len(true_track) else -1, -1)
    return score_links_of_rows(estimate["frame"].to_numpy(), known, found_track)


def score_links_of_rows(frame: np.ndarray, truth: np.ndarray, found: np.ndarray) -> LinkScores:
    """Score the links of detections whose true particle is known.

    Parameters
    ----------
    frame : int array, shape (n,)
    truth : int array, shape (n,)
        True particle of each detection, negative for a false detection.
    found : int array, shape (n,)
        Track of each detection.
    """
    frame, truth, found = _checked(frame, truth, found)
    start, end, step = _links(frame, truth, truth >= 0)
    true_keys = start * len(frame) + end
    found_start, found_end, found_step = _links(frame, found, np.ones(len(frame), dtype=bool))
    correct = np.isin(found_start * len(frame) + found_end, true_keys)
    labels = truth[found_start], truth[found_end]
    n_true, n_found, n_correct = (_split(steps) for steps in (step, found_step, found_step[correct]))
    return LinkScores(
        n_true=n_true[0],
        n_found=n_found[0],
        n_correct=n_correct[0],
        recall=_share(n_correct[0], n_true[0]),
        precision=_share(n_correct[0], n_found[0]),
        n_true_gaps=n_true[1],
        n_found_gaps=n_found[1],
        n_correct_gaps=n_correct[1],
        recall_gaps=_share(n_correct[1], n_true[1]),
        precision_gaps=_share(n_correct[1], n_found[1]),
        n_true_tracks=len(np.unique(truth[truth >= 0])),
        n_found_tracks=len(np.unique(found)),
        n_switches=int(((labels[0] >= 0) & (labels[1] >= 0) & (labels[0] != labels[1])).sum()),
    )


def links_by_step(frame: np.ndarray, truth: np.ndarray, found: np.ndarray) -> pd.DataFrame:
    """Return recall and precision of the links of every step; arguments as for :func:`score_links_of_rows`.

    Returns
    -------
    pandas.DataFrame
        frame (of the earlier detection), n_true, n_found, n_correct, recall, precision; links over gaps left out.
    """
    frame, truth, found = _checked(frame, truth, found)
    start, end, step = _links(frame, truth, truth >= 0)
    found_start, found_end, found_step = _links(frame, found, np.ones(len(frame), dtype=bool))
    correct = np.isin(found_start * len(frame) + found_end, start * len(frame) + end)
    counts = {
        "n_true": frame[start[step == 1]],
        "n_found": frame[found_start[found_step == 1]],
        "n_correct": frame[found_start[correct & (found_step == 1)]],
    }
    table = pd.DataFrame({name: pd.Series(values).value_counts() for name, values in counts.items()})
    table = table.fillna(0).astype("int64").sort_index().rename_axis("frame").reset_index()
    return table.assign(recall=table["n_correct"] / table["n_true"], precision=table["n_correct"] / table["n_found"])


def _checked(frame: np.ndarray, truth: np.ndarray, found: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    arrays = tuple(np.asarray(values) for values in (frame, truth, found))
    if len({len(values) for values in arrays}) != 1:
        raise InputError(
            f"{', '.join(str(len(values)) for values in arrays)} frames, true and found ids",
            expected="one of each per detection",
            action="take all three from the same table",
        )
    return arrays[0].astype(np.int64), arrays[1].astype(np.int64), arrays[2].astype(np.int64)


def _links(frame: np.ndarray, track: np.ndarray, used: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the rows that follow each other in a track and the frames between them."""
    rows = np.flatnonzero(used)
    order = rows[np.lexsort((frame[rows], track[rows]))]
    joined = np.diff(track[order]) == 0
    start, end = order[:-1][joined], order[1:][joined]
    return start, end, frame[end] - frame[start]


def _split(step: np.ndarray) -> tuple[int, int]:
    """Return the numbers of links from frame to frame and over gaps."""
    return int((step == 1).sum()), int((step > 1).sum())


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
