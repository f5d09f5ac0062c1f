"""Report of a model with hidden entropies: verdicts of its checks, its figures, what it says of temperatures."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from colloid_cg.assessment.phase_warnings import phase_warnings
from colloid_cg.records import EQUATION_OF_STATE_COLUMNS, PAIR_FORCE_COLUMNS, ModelBundle, metric
from colloid_cg.reporting import ReportContent, render
from colloid_cg.reporting.figures.hidden_entropy import figure_equation_of_state, figure_temperatures
from colloid_cg.reporting.sections import all_sections
from colloid_cg.reporting.units import Units
from tests.reporting.test_simulation import assessment, tracks, verdicts

UNITS = Units("reduced", "reduced")
TIMES = {
    "time": [0.0, 0.1, 0.2], "motion": [1.0, 1.1, 1.2], "inside": [1.3, 1.2, 1.2], "low": [1.1] * 3, "high": [1.4] * 3,
}  # fmt: skip


def state_table(n_species: int = 1) -> pd.DataFrame:
    u, v, kind = np.meshgrid(np.linspace(1, 3, 5), np.linspace(0.5, 1.5, 5), np.arange(n_species), indexing="ij")
    columns = (u, v, u / (10.0 + kind), 2.0 * u / v, kind)
    table = pd.DataFrame(np.stack([c.ravel() for c in columns], axis=1), columns=EQUATION_OF_STATE_COLUMNS)
    return table.astype({"species": int})


def model(**diagnostics: Any) -> ModelBundle:
    found = {
        "scores": [1.0, 0.9, 0.95], "innovation_square": 1.01, "friction_per_frame": 0.02, "temperatures": TIMES,
        "heat_exchange": [{"species_a": 0, "species_b": 0, "r": [0.0, 1.0], "value": [2.0, 0.0]}], "converged": True,
        "velocity_slope": 1.0, "warnings": ["A warning of the fit."], "not_modelled": ["memory"],
    }  # fmt: skip
    return ModelBundle(
        config={"kind": "hidden_entropy", "thermal_energy": 1.1},
        weights={},
        metrics={
            "friction": [metric(1.9)], "heat_exchange": [metric(0.7)], "temperature": [metric(1.1)],
            "heat_capacity": [metric(21.0, low90=19.0, high90=23.0, unit="k_B")],
        },
        pair_force=pd.DataFrame({name: [] for name in PAIR_FORCE_COLUMNS}),
        equation_of_state=state_table(),
        diagnostics=found | diagnostics,
    )  # fmt: skip


def warm(**changes: float) -> dict[str, Any]:
    found = {"temperature": 1.0, "temperature_error": 0.001, "thermal_energy": 1.2, "learned": [1.1, 1.4]}
    result = assessment(kinetic=found | changes, kind="hidden_entropy")
    return result | {"extrapolation": {"applies": False, "fraction": None}}


CASES: list[tuple[dict[str, Any], str, str]] = [
    ({}, "Do impulses scatter as the model says?", "good"),
    ({"innovation_square": 1.1}, "Do impulses scatter as the model says?", "look"),
    ({"innovation_square": 0.7}, "Do impulses scatter as the model says?", "bad"),
    ({"friction_per_frame": 0.15}, "Is the motion resolved?", "look"),
    ({"friction_per_frame": 0.5}, "Is the motion resolved?", "bad"),
    ({}, "Did the fit converge?", "good"),
    ({"converged": False}, "Did the fit converge?", "look"),
]


@pytest.mark.parametrize(("diagnostics", "question", "verdict"), CASES)
def test_checks_of_the_fit(diagnostics: dict[str, Any], question: str, verdict: str) -> None:
    assert verdicts(ReportContent(tracks=tracks(), model=model(**diagnostics)))[question] == verdict


@pytest.mark.parametrize(("half", "verdict"), [(2.0, "good"), (8.0, "look"), (15.0, "bad"), (None, "look")])
def test_a_heat_capacity_is_as_certain_as_its_interval(half: float | None, verdict: str) -> None:
    ends = {} if half is None else {"low90": 21.0 - half, "high90": 21.0 + half}
    capacity = {"heat_capacity": [metric(21.0, unit="k_B", **ends)]}
    content = ReportContent(tracks=tracks(), model=replace(model(), metrics=model().metrics | capacity))
    assert verdicts(content)["Is the heat capacity certain?"] == verdict


@pytest.mark.parametrize(
    ("changes", "question", "verdict", "warning"),
    [
        ({}, "Are rollouts as hot as the test block?", "good", ""),
        ({}, "Was U(S, V) learned at the temperature of the test block?", "good", ""),
        ({"temperature": 1.03}, "Are rollouts as hot as the test block?", "look", "1.030 times that of the test block"),
        ({"temperature": 0.9}, "Are rollouts as hot as the test block?", "bad", "0.900 times that of the test block"),
        ({"temperature": 0.9, "temperature_error": 0.1}, "Are rollouts as hot as the test block?", "good", ""),
        ({"thermal_energy": 1.5}, "Was U(S, V) learned at the temp", "bad", "k_B T = 1.5, and 90 % of the particles"),
    ],
)  # fmt: skip
def test_rollouts_are_held_against_the_temperature_of_the_test_block(
    changes: dict[str, float], question: str, verdict: str, warning: str
) -> None:
    found = verdicts(ReportContent(tracks=tracks(), model=model(), assessment=warm(**changes)))
    assert [value for name, value in found.items() if name.startswith(question)] == [verdict]
    assert "Is VACF(0) that of equipartition?" not in found
    assert "Do rollouts stay where the force was learned?" not in found
    told = phase_warnings(warm(**changes))
    assert (warning in told[0]) if warning else (told == [])


def test_the_page_shows_what_was_learned() -> None:
    content = ReportContent(title="gas", tracks=tracks(), model=model(), assessment=warm())
    sections = {part.anchor: part for part in all_sections(content, None)}
    assert [picture.name for picture in sections["dynamics"].pictures] == [
        "dynamics_temperatures", "dynamics_state", "dynamics_heat",
    ]  # fmt: skip
    assert "with the velocities as they are" in str(sections["comparison"].text[0])
    page, _ = render(content)
    assert "with hidden internal energies" in page
    assert "90\u202f% interval 19 to 23" in page.replace(".0", "")
    assert "A warning of the fit." in page
    force = pd.DataFrame(
        [[0.5, 1.0, np.nan, np.nan, 0, 0], [1.0, 0.0, np.nan, np.nan, 0, 0]], columns=PAIR_FORCE_COLUMNS
    )
    pushed = replace(content, model=replace(model(), pair_force=force))
    assert "dynamics_force" in render(pushed)[1]


def test_curves_are_those_of_the_table() -> None:
    left, right = figure_equation_of_state(state_table(), UNITS).axes
    np.testing.assert_allclose(left.lines[0].get_ydata(), np.linspace(1, 3, 5) / 10.0)
    assert [line.get_label() for line in left.lines] == ["V = 0.5", "V = 1", "V = 1.5"]
    np.testing.assert_allclose(right.lines[2].get_ydata(), 6.0 / np.linspace(0.5, 1.5, 5))
    assert len(figure_equation_of_state(state_table(2), UNITS).axes) == 4
    drawn = figure_temperatures(TIMES, UNITS).axes[0]
    np.testing.assert_allclose(drawn.lines[1].get_ydata(), TIMES["motion"])
