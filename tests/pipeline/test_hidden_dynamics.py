"""``fit`` with a hidden variable on a run folder: gains, fields, rollouts that keep s, the page."""

from __future__ import annotations

import html
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from colloid_cg.errors import ConfigError
from colloid_cg.learn import FitConfig, fit
from colloid_cg.pipeline.blocks import spans
from colloid_cg.pipeline.from_tracks import HIDDEN_ROWS, _hidden_part
from colloid_cg.pipeline.run import import_tracks, run_stage
from colloid_cg.pipeline.study import Study
from colloid_cg.records import Box, Trajectories
from colloid_cg.store import RunFolder, read_json, read_model, read_rollout
from tests.learn.latent.worlds import ornstein_uhlenbeck

FRAMES, SIDE, SPREAD = 100, 22, 0.9
TABLES = {
    "import": {"pixel_size": 1.0, "frame_interval": 0.1},
    "structure": {"lag": 2, "epochs": 2, "cutoff": 2.2},
    "fit": {"hidden_variables": 1, "knots": [0], "regime": "overdamped"},
    "simulate": {"replicas": 2, "frames": 8},
    "reading": {"resamples": 60, "permutations": 39, "lags": [1]},
}


@pytest.fixture(scope="module")
def layer(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunFolder, np.ndarray]:
    """A layer of particles that take turns in being fast, fitted; and the true z, shape (particles, frames)."""
    scratch, rng = tmp_path_factory.mktemp("hidden"), np.random.default_rng(0)
    n = SIDE * SIDE
    sites = np.stack(np.meshgrid(np.arange(float(SIDE)), np.arange(float(SIDE))), axis=-1).reshape(-1, 2) + 1.0
    sites += 0.12 * rng.normal(size=sites.shape)
    z = ornstein_uhlenbeck((n, FRAMES), 25.0, rng)
    steps = 0.015 * np.exp(0.5 * SPREAD * z)[..., None] * rng.normal(size=(n, FRAMES, 2))
    places = sites[:, None] + np.cumsum(steps, axis=1) - steps
    table = pd.DataFrame({"frame": np.tile(np.arange(FRAMES), n), "particle": np.repeat(np.arange(n), FRAMES)})
    table[["x", "y"]] = places.reshape(-1, 2)
    table.to_csv(scratch / "layer.csv", index=False)
    folder = RunFolder(scratch / "run")
    import_tracks(scratch / "layer.csv", folder, Study(TABLES))
    run_stage("fit", folder)
    return folder, z


def test_what_s_is_worth_is_in_the_metrics(layer: tuple[RunFolder, np.ndarray]) -> None:
    metrics = read_json(layer[0].path / "model" / "metrics.json")
    assert metrics["latent_gain"][0]["low90"] > 0.0
    assert abs(metrics["latent_gain_shuffled"][0]["value"]) < 0.1 * metrics["latent_gain"][0]["value"]
    assert metrics["latent_spread"][0]["value"] == pytest.approx(SPREAD, rel=0.2)
    assert metrics["latent_structure_share"][0]["value"] < 0.1
    assert metrics["latent_persistence_time"][0]["low90"] < 2.5 < metrics["latent_persistence_time"][0]["high90"]


def test_fields_hold_s_with_its_uncertainty(layer: tuple[RunFolder, np.ndarray]) -> None:
    folder, z = layer
    fields = pd.read_parquet(folder.path / "fields.parquet").dropna()
    true = z[fields["particle"], fields["frame"]]
    assert np.corrcoef(fields["s"], true)[0, 1] > 0.6
    score = (fields["s"] - true) / fields["s_std"]
    assert abs(score.mean()) < 0.15
    assert 0.75 < score.var() < 1.3
    assert len(fields) > 0.5 * SIDE**2 * FRAMES  # the rest is at the edge of the view


def test_a_fit_that_is_up_to_date_is_not_made_again_and_structure_keeps_s(layer: tuple[RunFolder, np.ndarray]) -> None:
    folder, _ = layer
    assert run_stage("fit", folder).outcomes[0].cached
    run_stage("structure", folder)
    assert {"s0", "s", "s_std"} <= set(pd.read_parquet(folder.path / "fields.parquet").columns)
    assert run_stage("fit", folder).outcomes[0].cached


def test_rollouts_keep_s_alive_and_the_page_says_so(layer: tuple[RunFolder, np.ndarray]) -> None:
    folder, _ = layer
    run_stage("simulate", folder)
    rollout = read_rollout(folder.path / "rollout.zarr")
    assert rollout.s is not None
    assert rollout.s.shape == (*rollout.positions.shape[:3], 1)
    assert rollout.s.std() == pytest.approx(1.0, abs=0.25)
    first, later = rollout.s[0, 0, :, 0], rollout.s[0, -1, :, 0]
    assert 0.5 < np.corrcoef(first, later)[0, 1] < 0.95
    assert np.abs(rollout.ledger.residual()).max() < 1e-9
    run_stage("assess", folder)
    gained = read_json(folder.path / "assessment.json")["hidden_gain"]
    assert gained["low90"] > 0.0
    run_stage("report", folder)
    page = (folder.path / "report.html").read_text(encoding="utf-8")
    shown = html.unescape(re.sub(r"<[^>]+>", " ", page))
    assert "memory alone" in shown
    assert "shuffled" in shown


def test_hidden_variables_in_external_fields_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="leave one of them out"):
        FitConfig.parse({"hidden_variables": 1, "flow": "smooth"})


def test_long_movies_are_read_in_spans_and_remember_across_them(layer: tuple[RunFolder, np.ndarray]) -> None:
    folder, _ = layer
    model = read_model(folder.path / "model")
    job: Any = SimpleNamespace(folder=folder, study=SimpleNamespace(memory_rows=SIDE * SIDE * 40 * HIDDEN_ROWS))
    windows = list(spans(job, share=HIDDEN_ROWS))
    assert len(windows) == 3
    parts = pd.concat([_hidden_part(job, model, frames) for frames in windows], ignore_index=True)
    whole = pd.read_parquet(folder.path / "model" / "fields.parquet")
    assert parts[["frame", "particle"]].equals(whole[["frame", "particle"]])
    assert parts["s"].isna().sum() == whole["s"].isna().sum()
    assert (parts["s"] - whole["s"]).abs().max() < 0.5  # where a span ends 40 of 75 frames beyond are read
    inside = whole["frame"].between(45, 75)
    assert (parts["s"] - whole["s"])[inside].std() < 0.05


@pytest.mark.parametrize("simulation", [True, False])
def test_hidden_variables_where_none_can_be_fitted_are_refused(simulation: bool) -> None:
    """Of a simulation with velocities, and of inertial motion: not left out without a word."""
    table = pd.DataFrame({"frame": np.repeat(np.arange(60), 30), "particle": np.tile(np.arange(30), 60)})
    walk = np.cumsum(np.random.default_rng(1).normal(size=(60, 30, 2)), axis=0) + 50.0
    table[["x", "y"]] = walk.reshape(-1, 2)
    tracks = Trajectories(
        table=table, pixel_size=1.0, frame_interval=0.1, n_frames=60, metadata={"simulation": simulation},
        field_of_view=Box(lower=(0.0, 0.0), upper=(100.0, 100.0), periodic=(False, False)),
    )  # fmt: skip
    regime = "auto" if simulation else "underdamped"
    with pytest.raises(ConfigError, match=r"momentum\.memory"):
        fit(tracks, tracks, FitConfig(hidden_variables=1, regime=regime))
