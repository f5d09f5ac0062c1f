"""``structure``, ``assess`` and ``report`` on a run folder: what hidden variables say is written and shown."""

from __future__ import annotations

import html
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from colloid_cg.pipeline.run import import_tracks, run_stage
from colloid_cg.pipeline.stage import out_of_date
from colloid_cg.pipeline.study import Study
from colloid_cg.store import RunFolder, read_json

TABLES = {
    "import": {"pixel_size": 1.0, "frame_interval": 0.1},
    "structure": {"lag": 2, "epochs": 2, "latents": 2, "cutoff": 2.2},
    "reading": {"resamples": 60, "permutations": 39, "lags": [1, 2]},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A shaken, slowly diffusing layer of 20 x 20 particles."""
    scratch, rng = tmp_path_factory.mktemp("reading"), np.random.default_rng(0)
    sites = np.stack(np.meshgrid(np.arange(20.0), np.arange(20.0)), axis=-1).reshape(-1, 2) + 1.0
    sites += 0.12 * rng.normal(size=sites.shape)
    places = sites + np.cumsum(0.02 * rng.normal(size=(40, 400, 2)), axis=0)
    table = pd.DataFrame({"frame": np.repeat(np.arange(40), 400), "particle": np.tile(np.arange(400), 40)})
    table[["x", "y"]] = places.reshape(-1, 2)
    table.to_csv(scratch / "layer.csv", index=False)
    folder = RunFolder(scratch / "run")
    import_tracks(scratch / "layer.csv", folder, Study(TABLES))
    run_stage("structure", folder)
    return folder


def text_of(page: Path) -> str:
    section = page.read_text(encoding="utf-8").split('id="hidden"')[1].split("<section")[0]
    return html.unescape(re.sub(r"<[^>]+>", " ", section))


def test_the_section_says_what_to_run_before_anything_was_read(run: RunFolder) -> None:
    run_stage("report", run)
    assert "colloid-cg assess RUN" in text_of(run.path / "report.html")


def test_assess_reads_hidden_variables_without_a_model(run: RunFolder) -> None:
    result = run_stage("assess", run)
    assert [outcome.stage for outcome in result.outcomes] == ["reading"]
    found = read_json(run.path / "hidden_variables.json")
    assert found["variables"] == ["s0", "s1"]
    assert found["blocks"] == {"train": [0, 24], "select": [24, 32], "test": [32, 40]}
    own = found["species"]["0"]
    assert {part["label"] for part in own["prediction"]} == {"d2min", "p_hop"}
    assert set(own["persistence"]) == {"s0", "s1"}
    assert found["lag"] == 2
    part = next(part for part in own["prediction"] if part["lag"] == 2)
    assert {"ridge", "past_displacement", "mean_local_density"} <= set(part["auc"])
    assert run_stage("assess", run).outcomes[0].cached


def test_the_report_shows_it(run: RunFolder) -> None:
    run_stage("assess", run)
    run_stage("report", run)
    text = text_of(run.path / "report.html")
    # Diffusion without interaction: nothing can be known.
    assert "No hidden variable worth having" in text
    assert "1/e" in text or "lasts longer than" in text
    names = {path.stem for path in (run.path / "figures").glob("hidden_*.png")}
    assert {"hidden_map", "hidden_ranking", "hidden_lags", "hidden_persistence", "hidden_rates"} == names


def test_events_make_it_due_again_and_few_rearrangements_are_said_not_failed(run: RunFolder) -> None:
    run_stage("assess", run)
    run_stage("events", run)
    assert out_of_date("hidden_variables.json", run) == ""
    result = run_stage("assess", run, {"fractions": [0.8, 0.1, 0.1], "reading": {"share": 0.001}})
    assert not result.outcomes[0].cached
    assert not result.failures
    found = read_json(run.path / "hidden_variables.json")
    assert any("too few to judge" in line for line in found["warnings"])
    assert found["species"]["0"]["rates"] == {}
