"""The words of the notebook: one line per stage, without a run folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from colloid_cg import simulation
from colloid_cg.assessment import assess
from colloid_cg.records import EventTable, FrameStack, ModelBundle, Rollout, Trajectories
from colloid_cg.reporting import ReportContent, write_report
from colloid_cg.reporting.event_evidence import EventEvidence, event_views
from colloid_cg.simulation import SimulateConfig
from colloid_cg.units import seconds


def simulate(
    model: ModelBundle,
    start: Trajectories,
    *,
    duration: float | str | None = None,
    replicas: int | None = None,
    config: SimulateConfig | None = None,
    rng: int | np.random.Generator = 0,
) -> Rollout:
    """Run a fitted model from the first frame of ``start``.

    Parameters
    ----------
    model : ModelBundle
    start : Trajectories
        Gives the initial positions, the field of view and the frame interval.
    duration : float or str, optional
        Length in s (``"20 s"``); by default that of ``start``.
    replicas : int, optional
        Number of independent runs.
    config : SimulateConfig, optional
        Further settings; ``duration`` and ``replicas`` replace theirs.
    rng : int or numpy.random.Generator
    """
    changes: dict[str, int] = {}
    if duration is not None:
        changes["frames"] = max(2, round(seconds(duration) / start.frame_interval) + 1)
    if replicas is not None:
        changes["replicas"] = replicas
    base = (config or SimulateConfig()).as_dict()
    return simulation.simulate(model, start, SimulateConfig.parse({**base, **changes}), rng=rng)


def report(
    model: ModelBundle | None,
    test: Trajectories,
    rollout: Rollout | None = None,
    events: EventTable | None = None,
    *,
    to: str | Path,
    video: FrameStack | None = None,
) -> Path:
    """Write the report of a notebook's results; parts that are None are said to be missing.

    Returns
    -------
    Path
        The page.
    """
    assessment = assess(test, rollout, model) if model is not None and rollout is not None else None
    frames = () if video is None else tuple((index, video[index]) for index in sorted({0, len(video) // 2}))
    content = ReportContent(
        title=video.source if video is not None else "trajectories",
        frames=frames,
        tracks=test,
        model=model,
        rollout=rollout,
        assessment=assessment,
        events=events,
        event_evidence=None
        if events is None
        else EventEvidence(views=event_views(events, test, video), no_pictures="no movie was given" * (video is None)),
    )
    write_report(content, Path(to))
    return Path(to)
