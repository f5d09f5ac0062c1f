"""Tables of external fields named in the settings: found beside them, hashed, refused when wrong, rolled out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from colloid_cg.errors import InputError
from colloid_cg.pipeline.run import import_tracks, run_stage
from colloid_cg.pipeline.study import Study, read_settings
from colloid_cg.store import RunFolder, read_model, read_rollout
from tests.learn.field_worlds import wells

STIFFNESS = 10.0


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    whole, centres = wells(5, k=STIFFNESS, ratio=0.25, n=16, frames=250)
    whole.table[["frame", "particle", "x", "y"]].to_csv(tmp_path / "tracks.csv", index=False)
    (tmp_path / "set").mkdir()
    centres.to_csv(tmp_path / "set" / "traps.csv", index=False)
    (tmp_path / "set" / "study.toml").write_text('[fit]\ntraps = "traps.csv"\nknots = [0]\n[simulate]\nreplicas = 2\n')
    folder = RunFolder(tmp_path / "run")
    study = Study({"import": {"pixel_size": "0.1 um", "frame_interval": "10 ms"}})
    import_tracks(tmp_path / "tracks.csv", folder, study)
    return folder


def test_traps_from_a_table_beside_the_settings(run: RunFolder, tmp_path: Path) -> None:
    changes = read_settings(tmp_path / "set" / "study.toml")
    first = run_stage("fit", run, changes).outcomes[0]
    assert not first.cached
    model = read_model(run.path / "model")
    entry = model.metrics["trap_stiffness"][0]
    assert abs(entry["value"] - STIFFNESS) < 1.5 * (entry["high90"] - entry["low90"]) / 2
    assert run_stage("fit", run).outcomes[0].cached
    run_stage("simulate", run)
    rollout = read_rollout(run.path / "rollout.zarr")
    spread = (rollout.positions - rollout.positions.mean(axis=1, keepdims=True))[:, 10:].var()
    assert spread < 1.5 / STIFFNESS  # free particles would have spread three times as far by then
    assert np.abs(rollout.ledger.residual()).max() < 1e-9 * rollout.positions.shape[2]
    table = tmp_path / "set" / "traps.csv"
    table.write_text(table.read_text().replace("\n", "\n", 1) + "590.0,590.0\n")
    assert not run_stage("fit", run).outcomes[0].cached  # another table, another fit


def test_wrong_tables_are_refused_and_leave_the_model_alone(run: RunFolder, tmp_path: Path) -> None:
    changes = read_settings(tmp_path / "set" / "study.toml")
    table = tmp_path / "set" / "traps.csv"
    table.write_text("x\n1.0\n")
    with pytest.raises(InputError, match="no column y"):
        run_stage("fit", run, changes)
    table.unlink()
    with pytest.raises(InputError, match="no file"):
        run_stage("fit", run, changes)
    assert not (run.path / "model").exists()


def test_words_are_not_taken_for_files(tmp_path: Path) -> None:
    settings = tmp_path / "s.toml"
    settings.write_text('[fit]\ntraps = "each"\nflow = "u.csv"\n')
    assert read_settings(settings)["fit"] == {"traps": "each", "flow": str(tmp_path / "u.csv")}
