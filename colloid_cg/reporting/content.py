"""Everything a report can show; any part may be missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from colloid_cg.records import EventTable, ModelBundle, Rollout, Trajectories
from colloid_cg.reporting.event_evidence import EventEvidence


@dataclass(frozen=True, kw_only=True, eq=False)
class ReportContent:
    """What a run has produced so far; the report says of every missing part which verb would fill it.

    Parameters
    ----------
    title : str
        Name of the movie or table, for the head of the page.
    run : dict or None
        Content of run.json: units, settings, input sha256, versions, seeds, timings.
    frames : sequence of (int, array of shape (h, w))
        A few frames of the movie with their numbers.
    suggestion : dict or None
        What ``inspect`` found: suggested tracking settings with their evidence (inspect.json).
    tracks : Trajectories or None
    tracking : dict or None
        Made by :func:`colloid_cg.reporting.tracking_quality`, computed from ``tracks`` where None.
    fields : pandas.DataFrame or None
        frame, particle and one column per structural field (s0.., psi6, voronoi_area, ...).
    structure : dict or None
        Metadata of the structure model.
    model : ModelBundle or None
    rollout : Rollout or None
    assessment : dict or None
        Made by :func:`colloid_cg.assessment.assess`.
    reading : dict or None
        Made by :func:`colloid_cg.assessment.reading.read_hidden`.
    events : EventTable or None
    event_fields : pandas.DataFrame or None
        frame, particle and the scores of single particles with their p-values (d2min, d2min_p, ...).
    event_evidence : EventEvidence or None
        Pictures of the strongest events, where one could be found, and what was before them.
    """

    title: str = ""
    run: dict[str, Any] | None = None
    frames: Sequence[tuple[int, np.ndarray]] = ()
    suggestion: dict[str, Any] | None = None
    tracks: Trajectories | None = None
    tracking: dict[str, Any] | None = None
    fields: pd.DataFrame | None = None
    structure: dict[str, Any] | None = None
    model: ModelBundle | None = None
    rollout: Rollout | None = None
    assessment: dict[str, Any] | None = None
    reading: dict[str, Any] | None = None
    events: EventTable | None = None
    event_fields: pd.DataFrame | None = None
    event_evidence: EventEvidence | None = None
