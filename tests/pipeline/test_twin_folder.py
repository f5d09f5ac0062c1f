"""What `colloid-cg twin CASE -o DIR` leaves on disk."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from colloid_cg.cli.main import app
from colloid_cg.store import read_events, read_table
from colloid_cg.twin import FILES
from colloid_cg.video import open_video

SETTINGS = "[twin]\nn_frames = 12\nwidth = 120\nheight = 100\nequilibration = 0.05\nsolvent_follows = 0.5\n"
EXPECTED = {
    "soft_glass": {"pair_force", "driven", "flow", "events"},
    "quiet_solid": {"deformation", "events"},
    "inertial": {"pair_force", "pair_friction"},
    "brownian": set(),
    "traps": {"traps"},
}


def made(case: str, folder: Path, *extra: str) -> Path:
    config = folder / "study.toml"
    config.write_text(SETTINGS)
    target = folder / f"{case}{len(extra)}"
    result = CliRunner().invoke(app, ["twin", case, "-o", str(target), "--config", str(config), *extra])
    assert result.exit_code == 0, result.output
    return target


@pytest.mark.parametrize("case", sorted(EXPECTED))
def test_everything_is_written_and_explained(case: str, tmp_path: Path) -> None:
    folder = made(case, tmp_path)
    names = {"movie", "truth", "parameters", "readme"} | EXPECTED[case]
    assert {path.name for path in folder.iterdir()} == {FILES[name] for name in names}
    readme = (folder / "README.md").read_text()
    for name in names:
        assert f"- {FILES[name]}: " in readme
    stack = open_video(folder / FILES["movie"])
    assert stack.shape == (12, 100, 120)
    assert (stack.pixel_size, stack.frame_interval, stack.exposure) == pytest.approx((0.1, 0.01, 0.003))
    truth, _ = read_table(folder / FILES["truth"])
    assert truth["frame"].max() == 11
    parameters = json.loads((folder / FILES["parameters"]).read_text())
    assert parameters["case"] == case
    for name in EXPECTED[case] - {"events"}:
        assert np.isfinite(pd.read_csv(folder / FILES[name]).to_numpy()).all()
    if "events" in EXPECTED[case]:
        assert read_events(folder / FILES["events"]).metadata["neighbours_below_contacts"] == 1.1
    if case == "soft_glass":
        driven = pd.read_csv(folder / FILES["driven"])
        shown = truth[truth["prescribed"]].merge(driven, on=["frame", "particle"], suffixes=("", "_driven"))
        assert len(shown) == 12
        assert (shown["x_start"] - shown["x_driven"]).abs().max() < 1e-6


def test_the_seed_of_the_command_line_counts(tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    plain, other = made("quiet_solid", tmp_path), made("quiet_solid", tmp_path, "--seed", "7")
    again = made("quiet_solid", tmp_path / "again", "--seed", "7")
    assert json.loads((other / "parameters.json").read_text())["seed"] == 7
    (tmp_path / "general.toml").write_text("seed = 7\n")
    (tmp_path / "own.toml").write_text("seed = 3\n[twin]\nseed = 7\n")
    for name in ("general", "own"):  # the seed of the study holds unless the twin has its own
        (tmp_path / name).mkdir()
        found = made("quiet_solid", tmp_path / name, "--config", str(tmp_path / f"{name}.toml"))
        assert json.loads((found / "parameters.json").read_text())["seed"] == 7
    assert (plain / "truth.parquet").read_bytes() != (other / "truth.parquet").read_bytes()
    for name in ("truth.parquet", "deformation.csv", "README.md"):
        assert (again / name).read_bytes() == (other / name).read_bytes()
    assert (open_video(again / FILES["movie"])[5] == open_video(other / FILES["movie"])[5]).all()
