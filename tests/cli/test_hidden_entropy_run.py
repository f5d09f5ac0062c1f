"""A simulation with hidden internal energies by the command line, from ``import`` to its report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from colloid_cg.cli.main import app
from colloid_cg.observables import kinetic_temperature
from colloid_cg.records import EQUATION_OF_STATE_COLUMNS, PAIR_FRICTION_COLUMNS
from colloid_cg.store import read_json, read_rollout
from tests.cli.test_simulation_run import SENTENCE, text_of
from tests.learn.thermal.worlds import EDGE, quiet_recording

STUDY = """
fractions = [0.5, 0.25, 0.25]
[momentum]
model = "hidden_entropy"
cutoff = 1.0
[thermal]
rounds = 3
steps = 3
scoring_frames = 12
settling_frames = 5
time_blocks = 3
refit_rounds = 1
n_knots = 6
[simulate]
replicas = 2
[assess]
rdf_frames = 10
baselines = ["langevin"]
"""


def archive(folder: Path, **more: Any) -> Path:
    whole = quiet_recording(60).series(0, 60)
    fields: dict[str, Any] = {"pos": whole.positions, "vel": whole.velocities, "dt": whole.frame_interval, "mass": 1.0}
    np.savez(folder / "gas.npz", box=np.array([EDGE, EDGE]), **fields, **more)
    return folder / "gas.npz"


def imported(folder: Path, study: str) -> Path:
    (folder / "study.toml").write_text(study)
    run = folder / "RUN"
    result = CliRunner().invoke(
        app, ["import", str(archive(folder)), "-o", str(run), "--config", str(folder / "study.toml")]
    )
    assert result.exit_code == 0, result.output
    return run


def test_every_verb_from_import_to_report(tmp_path: Path) -> None:
    run = imported(tmp_path, STUDY)
    result = CliRunner().invoke(app, ["fit", str(run)])
    said = " ".join(result.stderr.split())
    assert result.exit_code == 0, said
    assert "heat capacity = " in said
    assert "k_B (90 %: " in said
    for verb in ("fit", "simulate", "assess", "report"):
        result = CliRunner().invoke(app, [verb, str(run), "--json"])
        assert result.exit_code == 0, result.output
        assert json.loads(result.stdout)["stages"][verb]["cached"] is (verb == "fit")
    assert not list((run / "cache").glob("fit-*"))  # what a stopped fit goes on from is gone
    assert read_json(run / "model" / "config.json")["kind"] == "hidden_entropy"
    tables = {path.name: tuple(pd.read_csv(path).columns) for path in (run / "model").glob("*.csv")}
    assert tables["equation_of_state.csv"] == EQUATION_OF_STATE_COLUMNS
    assert tables["pair_friction.csv"] == PAIR_FRICTION_COLUMNS
    assert {"temperature", "entropy"} <= set(pd.read_parquet(run / "fields.parquet").columns)
    rollout, whole = read_rollout(run / "rollout.zarr"), quiet_recording(60).series(0, 60)
    assert rollout.velocities is not None
    np.testing.assert_allclose(rollout.velocities[:, 0], np.stack([whole.velocities[45]] * 2), atol=1e-9)
    found = read_json(run / "assessment.json")
    test_block = kinetic_temperature(whole.velocities[45:], whole.masses)[0]
    assert found["kinetic"]["thermal_energy"] == pytest.approx(test_block)
    own = kinetic_temperature(rollout.velocities.reshape(-1, *rollout.velocities.shape[2:]), whole.masses)[0]
    assert found["kinetic"]["temperature"] == pytest.approx(own / test_block, rel=1e-9)
    assert found["ledger"]["first_law_residual_over_kinetic"] < 1e-11
    assert list(found["candidates"]) == ["model", "langevin"]
    page = (run / "report.html").read_text()
    shown = text_of(page)
    assert "The heat capacity of a particle is" in shown
    assert "Did the fit converge?" in shown
    assert "Do rollouts stay where the force was learned?" not in shown  # there is none
    for name in ("temperatures", "state", "friction", "heat"):
        picture = np.asarray(Image.open(run / "figures" / f"dynamics_{name}.png").convert("L"))
        assert (picture < 250).mean() > 0.01  # not blank


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("[thermal]\ncutof = 1", "unknown setting"),
        ("[momentum]\nmodel = 'hot'", "momentum.model = 'hot'"),
        ("[thermal]\ncutoff = 4.5", "cutoff"),
    ],
    ids=["unknown setting", "unknown model", "cutoff beyond half the box"],
)
def test_wrong_settings_are_one_sentence_and_exit_code_2(tmp_path: Path, setting: str, words: str) -> None:
    run = imported(tmp_path, STUDY)
    (tmp_path / "study.toml").write_text(setting)
    result = CliRunner().invoke(app, ["fit", str(run), "--config", str(tmp_path / "study.toml")])
    assert result.exit_code == 2, result.output
    assert SENTENCE.search(result.stderr), result.stderr
    assert words in " ".join(result.stderr.split())
    assert not (run / "model").exists()
