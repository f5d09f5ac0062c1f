"""From ``import`` of a simulation to its report by the command line: 2-D archive, 3-D dump, bad input."""

from __future__ import annotations

import html
import json
import re
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from colloid_cg.assessment import AssessConfig
from colloid_cg.cli.main import app
from colloid_cg.pipeline.study import read_settings, study_from_dict
from colloid_cg.records import PAIR_FRICTION_COLUMNS, PhaseSeries
from colloid_cg.store import read_json, read_rollout
from tests.simulation.phase_worlds import CUTOFF, MASS, THERMAL_ENERGY, recorded, soft_fluid

SENTENCE = re.compile(r"^error: Found .+; expected .+; .+\.$", re.MULTILINE)
VERBS = ("fit", "simulate", "assess", "report")
STUDY = f"""
fractions = [0.7, 0.15, 0.15]
[momentum]
cutoff = {CUTOFF}
n_knots = 6
time_blocks = 5
[simulate]
replicas = 2
frames = 60
[assess]
rdf_frames = 20
reference = "far.npz"
"""


@cache
def motion(dimension: int) -> PhaseSeries:
    return recorded(soft_fluid(), 160, dimension=dimension, side=10 if dimension == 2 else 5, seed=4)


def archive(folder: Path, series: PhaseSeries, **changes: object) -> Path:
    fields = {
        "pos": series.positions, "vel": series.velocities, "dt": series.frame_interval, "box": series.box.lengths,
        "mass": MASS, "kT": THERMAL_ENERGY,
    }  # fmt: skip
    np.savez(folder / "fluid.npz", **{k: v for k, v in (fields | changes).items() if v is not None})  # type: ignore[arg-type]
    return folder / "fluid.npz"


def dump(folder: Path, series: PhaseSeries) -> Path:
    lines = []
    for t, (x, v) in enumerate(zip(series.positions, series.velocities, strict=True)):
        lines += ["ITEM: TIMESTEP", str(10 * t), "ITEM: NUMBER OF ATOMS", str(len(x)), "ITEM: BOX BOUNDS pp pp pp"]
        lines += [f"0 {edge!r}" for edge in series.box.lengths.tolist()]
        lines.append("ITEM: ATOMS id type mass xu yu zu vx vy vz")
        for i, row in enumerate(np.hstack([x, v]).tolist()):
            lines.append(f"{i + 1} 1 {MASS} " + " ".join(map(repr, row)))
    (folder / "fluid.lammpstrj").write_text("\n".join(lines) + "\n")
    return folder / "fluid.lammpstrj"


def text_of(page: str) -> str:
    page = re.sub(r"<style>.*?</style>|src=\"[^\"]*\"", "", page, flags=re.DOTALL)
    return html.unescape(re.sub(r"<[^>]+>", " ", page))


@pytest.mark.parametrize("dimension", [2, 3])
def test_every_verb_from_import_to_report(tmp_path: Path, dimension: int) -> None:
    (tmp_path / "study.toml").write_text(STUDY)
    series = motion(dimension)
    np.savez(tmp_path / "far.npz", t=np.linspace(0, 1, 21), vacf=0.7 * np.exp(-np.linspace(0, 1, 21)))
    source = archive(tmp_path, series) if dimension == 2 else dump(tmp_path, series)
    step = [] if dimension == 2 else ["--timestep", str(series.frame_interval / 10)]
    run, config = tmp_path / "RUN", ["--config", str(tmp_path / "study.toml")]
    result = CliRunner().invoke(app, ["import", str(source), "-o", str(run), *config, *step])
    assert result.exit_code == 0, result.output
    for verb in VERBS:
        result = CliRunner().invoke(app, [verb, str(run), "--json"])
        assert result.exit_code == 0, result.output
        assert json.loads(result.stdout)["stages"][verb]["cached"] is False
    metrics = read_json(run / "model" / "metrics.json")
    assert {"regime", "friction", "temperature", "memory_time", "heat_capacity"} == set(metrics)
    assert metrics["friction"][0]["low90"] < metrics["friction"][0]["value"]
    table = pd.read_csv(run / "model" / "pair_friction.csv")
    assert tuple(table.columns) == PAIR_FRICTION_COLUMNS
    rollout = read_rollout(run / "rollout.zarr")
    assert rollout.positions.shape == (2, 60, series.n_particles, dimension)
    assert rollout.ledger.entropy is not None
    assessment = read_json(run / "assessment.json")
    assert {"rdf", "msd", "vacf", "kinetic", "ledger", "references", "candidates"} <= set(assessment)
    assert assessment["ledger"]["first_law_residual_over_kinetic"] < 1e-11
    candidates = assessment["candidates"]
    assert list(candidates) == ["model", "langevin", "dpd"]
    # Particles that do not meet have no structure.
    assert candidates["langevin"]["rdf_rrmse"] > 2.0 * candidates["model"]["rdf_rrmse"]
    assert assessment["references"][0]["vacf"]["rrmse"] > 0.0
    page = (run / "report.html").read_text()
    shown = text_of(page)
    assert not re.search(r"µm|\bum\b|\bms\b|\bnan\b|Traceback|Nothing here yet|px", shown)
    assert page.count("<img") == 8
    for name in ("scan", "force", "friction"):
        picture = np.asarray(Image.open(run / "figures" / f"dynamics_{name}.png").convert("L"))
        assert (picture < 250).mean() > 0.01  # not blank
    assert "Is energy conserved (first law)?" in shown
    assert "reduced units" in shown
    assert "langevin" in shown
    again = CliRunner().invoke(app, ["assess", str(run), "--json"])
    assert json.loads(again.stdout)["stages"]["assess"]["cached"] is True
    np.savez(tmp_path / "far.npz", t=np.linspace(0, 1, 21), vacf=np.ones(21))
    changed = CliRunner().invoke(app, ["assess", str(run), "--json"])
    assert json.loads(changed.stdout)["stages"]["assess"]["cached"] is False


def test_what_a_fit_says(tmp_path: Path) -> None:
    run = tmp_path / "RUN"
    (tmp_path / "study.toml").write_text(STUDY)
    CliRunner().invoke(
        app, ["import", str(archive(tmp_path, motion(2))), "-o", str(run), "--config", str(tmp_path / "study.toml")]
    )
    result = CliRunner().invoke(app, ["fit", str(run)])
    said = " ".join(result.stderr.split())
    assert "underdamped motion friction rate = " in said
    assert "1/time (reduced units) (90 %:" in said
    assert "k_B T = 1.5 energy (reduced units), no interval" in said
    assert "memory of the random force = " in said


def test_references_are_found_beside_the_study(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text('[assess]\nreference = ["a.npz", "b.npz"]\n')
    found = study_from_dict(read_settings(tmp_path / "study.toml")).section(AssessConfig).references
    assert found == tuple(str(tmp_path / name) for name in ("a.npz", "b.npz"))
    assert AssessConfig().references == ()


def still(folder: Path) -> Path:
    return archive(folder, motion(2), vel=None)


def short(folder: Path) -> Path:
    series = motion(2)
    return archive(folder, series, pos=series.positions[:4], vel=series.velocities[:4])


def massless(folder: Path) -> Path:
    return archive(folder, motion(2), mass=None)


@pytest.mark.parametrize(
    ("make", "settings", "words"),
    [
        (still, "", "a simulation without velocities"),
        (short, "", "a movie of 4 frames"),
        (massless, "", "no masses with the trajectories"),
        (lambda folder: archive(folder, motion(2)), "[momentum]\ncutoff = 5.6", "at most half of every periodic edge"),
        (lambda folder: archive(folder, motion(2)), "[momentum]\nknots = 5", "unknown"),
    ],
    ids=["no velocities", "four frames", "no masses", "cutoff beyond half the box", "unknown setting"],
)
def test_what_cannot_be_fitted_is_one_sentence_and_exit_code_2(
    tmp_path: Path, make: object, settings: str, words: str
) -> None:
    run = tmp_path / "RUN"
    result = CliRunner().invoke(app, ["import", str(make(tmp_path)), "-o", str(run)])  # type: ignore[operator]
    assert result.exit_code == 0, result.output
    (tmp_path / "study.toml").write_text(settings)
    result = CliRunner().invoke(app, ["fit", str(run), "--config", str(tmp_path / "study.toml")])
    assert result.exit_code == 2, result.output
    assert SENTENCE.search(result.stderr), result.stderr
    assert words in " ".join(result.stderr.split())
    assert not (run / "model").exists()
    assert CliRunner().invoke(app, ["report", str(run)]).exit_code == 0
