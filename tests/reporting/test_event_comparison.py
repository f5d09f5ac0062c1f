"""What the page says of events of experiment and model."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from colloid_cg.events.comparison import Observed, compare_events
from colloid_cg.events.distributions import event_sizes
from colloid_cg.events.exposure import event_exposure
from colloid_cg.reporting.checks import checklist
from colloid_cg.reporting.checks.comparison import model_event_checks
from colloid_cg.reporting.sections.physics import comparison_section
from tests.events.tables import event_table, still

TRACKS = still(101)


def side(seed: int, n: int) -> Observed:
    rng = np.random.default_rng(seed)
    events = event_table(rng.integers(1, 101, n), *rng.uniform(0, 100, (2, n)), n_particles=rng.integers(3, 9, n))
    sizes = event_sizes(events, TRACKS)
    before = sizes[["event", "t_on"]].assign(difference=rng.normal(0.6, 1.0, n))
    return Observed(events=events, exposure=event_exposure(TRACKS), sizes=sizes, before={"s0": before})


def compared(experiment: int, model: int) -> dict[str, Any]:
    found = compare_events(side(1, experiment), [side(2, model), side(3, model)], rng=np.random.default_rng(0))
    return found | {"frames": 100, "replicas": 2}


def test_the_comparison_of_events_is_shown_and_asked(content):
    found = compared(40, 160)
    page = replace(content, assessment=content.assessment | {"events": found})
    section = comparison_section(page)
    text = " ".join(str(line) for line in section.text)
    assert "40 events in the experiment, 320 in all rollouts" in text
    assert found["sentences"][0] in section.text
    assert "comparison_events" in [picture.name for picture in section.pictures]
    table = section.tables[-1]
    assert [row[0] for row in table.rows][:4] == [
        "rate per particle", "rate per area", "particles per event", "duration",
    ]  # fmt: skip
    assert "90" in table.rows[0][3]
    asked = {check.question: check for check in checklist(page, None)}
    assert asked["Does the model rearrange as often as the experiment?"].verdict == "bad"
    assert any("preceded by the same s0" in question for question in asked)


def test_no_events_are_said_to_be_missing(content):
    status = "no events were looked for in this run"
    page = replace(content, assessment=content.assessment | {"events": {"status": status}})
    assert any(status in str(line) for line in comparison_section(page).text)
    (check,) = model_event_checks(page.assessment)
    assert check.found == status
    assert check.verdict == "not run"
    section = comparison_section(content)  # an assessment that never asked
    assert "comparison_events" not in [picture.name for picture in section.pictures]


def test_limits_without_a_ratio_are_drawn_and_written():
    for experiment, model in ((0, 0), (0, 30), (30, 0)):
        found = compared(experiment, model)
        from colloid_cg.reporting.sections.event_comparison import events_picture, events_tables

        events_picture(found)
        (table,) = events_tables(found)
        cells = table.rows[0]
        if not experiment:
            assert "below" in cells[1]
        if not model:
            assert "below" in cells[2]
        if not experiment and model:
            assert "above" in cells[3]
        assert model_event_checks({"events": found})[0].found == found["sentences"][0]
