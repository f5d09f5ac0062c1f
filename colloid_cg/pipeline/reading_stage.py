"""The stage that reads hidden variables: what they mean, predict, and how long they last."""

from __future__ import annotations

from typing import Any

import pandas as pd

from colloid_cg.assessment.reading import ReadingConfig, read_hidden
from colloid_cg.errors import DataError
from colloid_cg.pipeline.blocks import NAMES, Blocks, blocks, trajectory_file
from colloid_cg.pipeline.from_tracks import FIELD_PARTS, TRACKS
from colloid_cg.pipeline.stage import Job, Stage, out_of_date
from colloid_cg.records import Trajectories
from colloid_cg.states import blocks_of_frames
from colloid_cg.store import read_events, read_frames, write_json
from colloid_cg.store.arrays import read_structure
from colloid_cg.structure import StructureModel

PRODUCT = "hidden_variables.json"


def _reading(job: Job) -> dict[str, Any]:
    used, path = blocks(job), job.folder.path
    tracks, spans = _all_of(used), _spans(job, used)
    parts = [read_frames(path / FIELD_PARTS[0], span) for span in spans.values()]
    events = None
    if (path / "events.parquet").exists() and not out_of_date("events.parquet", job.folder):
        events = read_events(path / "events.parquet")
    with job.progress("reading") as progress:
        progress(0, 1)
        try:
            found = read_hidden(
                tracks, pd.concat(parts, ignore_index=True), blocks=spans, config=job.study.section(ReadingConfig),
                model=StructureModel.from_arrays(*read_structure(path / "structure")), events=events,
                rng=job.rng("reading"), progress=progress,
            )  # fmt: skip
        except DataError as error:
            # Data too few to be read are a finding, not a failure.
            found = {"species": {}, "warnings": [f"Hidden variables were not read: {error}"]}
        progress(1, 1)
    write_json(path / PRODUCT, found)
    return {"warnings": found["warnings"], **_figures(found)}


def _all_of(used: Blocks) -> Trajectories:
    parts = [getattr(used, name).table for name in NAMES]
    return used.train.with_table(pd.concat(parts, ignore_index=True))


def _spans(job: Job, used: Blocks) -> dict[str, tuple[int, int]]:
    """Return the first frame of each block and the one after its last."""
    if used.shortened is not None:
        return dict(used.shortened["frames_used"])
    return dict(zip(NAMES, blocks_of_frames(trajectory_file(job).n_frames, job.study.fractions), strict=True))


def _figures(found: dict[str, Any]) -> dict[str, Any]:
    """Return for each species the area under the curve of the chosen variable and its lead over the hand-made one."""
    told = {}
    for kind, own in found["species"].items():
        for part in own["prediction"]:
            if part["lag"] == found["lag"] and part["label"] == found["label"] and "auc" in part:
                hidden = part["chosen"]["hidden"]
                told[kind] = {
                    "variable": hidden, "auc": part["auc"][hidden], "over_handmade": part["differences"]["handmade"]
                }  # fmt: skip
    return {"prediction": told}


READING = Stage(
    name="reading",
    products=(PRODUCT,),
    work=_reading,
    sections=(ReadingConfig,),
    inputs=(TRACKS, "structure", FIELD_PARTS[0]),
    optional=("events.parquet",),
)
