"""Report of a run imported from a simulation: verdicts of its checks, units in words, missing parts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from colloid_cg.assessment.phase_warnings import phase_warnings
from colloid_cg.records import PAIR_FORCE_COLUMNS, Box, ModelBundle, Trajectories, metric
from colloid_cg.reporting import ReportContent, render
from colloid_cg.reporting.checks import checklist
from colloid_cg.reporting.sections import all_sections
from colloid_cg.reporting.sections.simulation import candidates_table
from colloid_cg.reporting.units import Units, units_of

UNITS = "reduced"


def tracks(units: str = UNITS, **known: Any) -> Trajectories:
    rng = np.random.default_rng(1)
    table = pd.DataFrame({"frame": np.repeat([0, 1], 5), "particle": np.tile(np.arange(5), 2)})
    table[["x", "y", "vx", "vy"]] = rng.uniform(0.0, 4.0, (10, 4))
    simulation = {"units": units, "masses": [2.0], "thermal_energy": 1.5, "warnings": ["cut off"]} | known
    return Trajectories(
        table=table, pixel_size=1.0, frame_interval=0.1, n_frames=2, metadata={"simulation": simulation},
        field_of_view=Box(lower=(0.0, 0.0), upper=(4.0, 4.0), periodic=(True, False)),
    )  # fmt: skip


def model(**diagnostics: Any) -> ModelBundle:
    scan = {
        "frames": [1, 2, 4], "lag": [0.1, 0.2, 0.4], "value": [1.0, 1.5, 1.8], "low90": [0.9, 1.4, 1.7],
        "high90": [1.1, 1.6, 1.9], "windows": [0.1, 0.2], "plateau": 2.0, "memory_time": 0.1,
    }  # fmt: skip
    r = np.linspace(1.0, 2.0, 5)
    force = pd.DataFrame(
        {"r": r, "force": 2.0 - r, "low90": 1.5 - r, "high90": 2.5 - r, "species_a": 0, "species_b": 0}
    )
    found = {
        "friction_scan": scan, "kinetic_temperature": {"value": 1.5, "standard_error": 0.01}, "converged": True,
        "velocity_slope": 1.001, "warnings": [], "not_modelled": ["memory"],
    }  # fmt: skip
    return ModelBundle(
        config={"kind": "metriplectic", "thermal_energy": 1.5, "thermal_energy_from": "given", "windows": [1, 2]},
        weights={},
        metrics={
            "friction": [metric(1.9, low90=1.8, high90=2.0, unit="1/time (reduced units)")],
            "temperature": [metric(1.5)],
            "memory_time": [metric(0.1, low90=0.0, high90=0.2)],
        },
        pair_force=force[list(PAIR_FORCE_COLUMNS)],
        diagnostics=found | diagnostics,
    )


def verdicts(content: ReportContent) -> dict[str, str]:
    return {check.question: check.verdict for check in checklist(content, None)}


CASES: list[tuple[dict[str, Any], str, str]] = [
    ({}, "Are the velocities those of the positions?", "good"),
    ({"velocity_slope": 1.05}, "Are the velocities those of the positions?", "look"),
    ({"velocity_slope": 0.1}, "Are the velocities those of the positions?", "bad"),
    ({"kinetic_temperature": {"value": 1.56, "standard_error": 0.005}}, "Is the training block at its temp", "look"),
    ({"kinetic_temperature": {"value": 1.8, "standard_error": 0.005}}, "Is the training block at its temp", "bad"),
    ({"kinetic_temperature": {"value": 1.8, "standard_error": 0.2}}, "Is the training block at its temp", "good"),
    ({"converged": False}, "Did friction and random impulses settle?", "bad"),
    ({}, "Does the friction level off with the lag?", "good"),
    ({}, "Is a pair force resolved?", "good"),
    ({}, "Do rollouts behave like the simulation?", "not run"),
]


@pytest.mark.parametrize(("diagnostics", "question", "verdict"), CASES)
def test_checks_of_the_fit(diagnostics: dict[str, Any], question: str, verdict: str) -> None:
    found = verdicts(ReportContent(tracks=tracks(), model=model(**diagnostics)))
    assert [value for name, value in found.items() if name.startswith(question)] == [verdict]


def ledger(**changes: Any) -> dict[str, Any]:
    return {
        "first_law_residual_over_kinetic": 1e-15, "momentum_drift": 1e-15, "redrawn": 0, "redrawn_share": 0.0,
        "absorbed_per_10000_steps_over_kinetic": 1e-4, "absorbed_per_10000_steps_over_kinetic_error": 1e-3,
    } | changes  # fmt: skip


def assessment(**changes: Any) -> dict[str, Any]:
    x = [0.0, 1.0, 2.0]
    curve = {
        "x": x, "experiment": x, "experiment_error": x, "model": x, "model_error": x, "z": x, "rrmse": 0.01,
        "reference_rrmse": 0.02, "allowed_rrmse": 0.03, "reference_rms_z": 1.0, "verdict": "good",
    }  # fmt: skip
    beside = {"x": x, "reference": x, "model": x, "model_error": x, "rrmse": 0.04, "model_rrmse_of_noise": 0.001}
    return {
        "rdf": curve, "msd": curve, "vacf": curve,
        "references": [{"source": "far", "too_short": [], "msd": beside}],
        "kinetic": {
            "ratio": 1.0, "ratio_error": 0.01, "verdict": "good", "temperature": 1.0, "temperature_error": 0.01,
        },
        "ledger": ledger(), "frames": {"experiment": 60, "rollout": 60, "replicas": 2}, "warnings": [],
        "candidates": {"model": {"rdf_rrmse": 0.01}},
        "extrapolation": {"fraction": 0.0, "pairs": 100, "r_min": 1.0},
    } | changes  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "question", "verdict", "warning"),
    [
        ({}, "Is energy conserved (first law)?", "good", ""),
        ({"first_law_residual_over_kinetic": 1e-3}, "Is energy conserved (first law)?", "bad", "first law is violated"),
        ({"momentum_drift": 0.1}, "Is momentum conserved?", "bad", "Momentum drifts"),
        ({"absorbed_per_10000_steps_over_kinetic": -0.02}, "How much error do", "look", "err by 2 %"),
        ({"absorbed_per_10000_steps_over_kinetic": 0.2}, "How much error do", "bad", "err by 20 %"),
        ({"redrawn_share": 1e-3}, "Is the noise what it should be?", "look", "drawn again"),
    ],
)
def test_checks_and_warnings_of_the_laws(changes: dict[str, Any], question: str, verdict: str, warning: str) -> None:
    result = assessment(ledger=ledger(**changes))
    found = verdicts(ReportContent(tracks=tracks(), model=model(), assessment=result))
    assert [value for name, value in found.items() if name.startswith(question)] == [verdict]
    told = phase_warnings(result)
    assert any(warning in line for line in told) if warning else not told


def test_a_drift_that_is_not_resolved_is_no_finding() -> None:
    names = ("absorbed_per_10000_steps_over_kinetic", "absorbed_per_10000_steps_over_kinetic_error")
    result = assessment(ledger=ledger(**dict(zip(names, (0.2, 0.15), strict=True))))
    found = verdicts(ReportContent(tracks=tracks(), model=model(), assessment=result))
    assert found["How much error do the conservative steps hide in the internal energy?"] == "look"
    assert not phase_warnings(result)


def test_references_are_judged_by_their_own_limits() -> None:
    def of(error: float, noise: float, *, short: bool = False) -> str:
        result = assessment()
        result["references"][0]["msd"] |= {"rrmse": error, "model_rrmse_of_noise": noise}
        result["references"][0]["too_short"] = ["msd"] if short else []
        found = verdicts(ReportContent(tracks=tracks(), model=model(), assessment=result))
        return found["Does the mean squared displacement agree with far?"]

    assert [of(0.02, 0.0), of(0.05, 0.0), of(0.1, 0.0), of(0.1, 0.06)] == ["good", "look", "bad", "look"]
    assert of(0.02, 0.0, short=True) == "look"


def test_wrong_kinetics_are_warned_of() -> None:
    cold = assessment()["kinetic"] | {"verdict": "bad", "ratio": 0.8, "temperature": 0.8}
    told = phase_warnings(assessment(kinetic=cold))
    assert "VACF(0) of the rollouts is 0.800" in told[0]
    assert "kinetic temperature of the rollouts is 0.800 k_B T" in told[1]


def test_sections_of_a_simulation_leave_out_those_of_a_movie() -> None:
    content = ReportContent(title="fluid", tracks=tracks(), model=model())
    sections = all_sections(content, None)
    assert [part.anchor for part in sections] == ["movie", "dynamics", "comparison", "ledger", "provenance"]
    rows = dict(sections[0].tables[0].rows)
    assert rows["cell"] == "4 × 4, open along y"
    assert (rows["masses by species"], rows["k_B T"]) == ("2", "1.5")
    assert "cut off" in str(sections[0].text[0])
    page, figures = render(replace(content, assessment=assessment()))
    assert "particles of a simulation in 2 frames" in page
    assert "from positions and velocities to a model" in page
    assert {"dynamics_scan", "dynamics_force", "comparison_references"} <= set(figures)


def test_units_are_those_of_the_simulation() -> None:
    assert units_of(ReportContent(tracks=tracks("metal"))).of_length == " (metal units)"
    assert units_of(ReportContent()) == Units("um", "s")
    assert (Units().of_length, Units().of_time, Units().of("1/s", "")) == (" (µm)", " (s)", " (1/s)")


def test_other_dynamics_have_a_column_each() -> None:
    table = candidates_table(
        {
            "model": {"rdf_rrmse": 0.01, "vacf_rrmse_far.npz": 0.02},
            "langevin": {"rdf_rrmse": 0.3, "vacf_rrmse_far.npz": None},
        }
    )
    assert table.head == ("figure", "model", "langevin")
    assert [row[0] for row in table.rows] == ["g(r), RRMSE", "vacf, RRMSE against far.npz"]
    assert "30" in table.rows[0][2]
    assert table.rows[1][2] == "–"
