"""One honest sentence for each question about hidden variables."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from colloid_cg.records import ModelBundle
from colloid_cg.reporting.checks.check import GOOD, LOOK, NOT_RUN
from colloid_cg.reporting.checks.hidden_variables import worth_check
from colloid_cg.reporting.hidden_words import (
    dynamics_sentences,
    meaning,
    persistence_sentence,
    prediction_sentence,
    rate_sentence,
)
from tests.reporting.synthetic import bundle


def entry(value: float, half: float | None = 0.02) -> dict[str, Any]:
    bounds = (None, None) if half is None else (value - half, value + half)
    return {"value": value, "low90": bounds[0], "high90": bounds[1]}


def reading(area: float, lead: float, *, half: float | None = 0.02) -> dict[str, Any]:
    part = {
        "label": "d2min", "lag": 4, "lag_seconds": 0.4, "rows": 1000, "positives": 50, "blocks": 20,
        "chosen": {"hidden": "s0", "handmade": "past_displacement"}, "p_value": {"s0": 0.004},
        "auc": {"s0": entry(area, half), "past_displacement": entry(area - lead, half), "ridge": entry(0.7, half)},
        "differences": {"handmade": entry(lead, half)},
    }  # fmt: skip
    own: dict[str, Any] = {
        "prediction": [part],
        "associations": [
            {"variable": "s0", "with": "local_density", "lag": None, "spearman": entry(0.6),
             "mutual_information": entry(0.2)},
        ],
        "rates": {"s0": {"slope": entry(0.5), "linearity_p": 0.3}},
        "persistence": {"s0": {"time": entry(2.0, 0.5), "longer_than": None, "noise_share": entry(0.1)}},
    }  # fmt: skip
    return {"lag": 4, "lag_seconds": 0.4, "label": "d2min", "variables": ["s0"], "species": {"0": own}, "warnings": []}


@pytest.mark.parametrize(
    ("area", "lead", "half", "verdict", "words"),
    [
        (0.65, 0.05, 0.02, GOOD, "better than any hand-made variable"),
        (0.65, 0.01, 0.02, LOOK, "No hidden variable worth having"),
        (0.51, 0.05, 0.02, LOOK, "no better than chance"),
        (0.65, 0.05, None, NOT_RUN, "too few independent blocks"),
    ],
)
def test_a_variable_must_beat_chance_and_what_anybody_would_try(
    area: float, lead: float, half: float | None, verdict: str, words: str
) -> None:
    found = reading(area, lead, half=half)
    assert worth_check(found, "0").verdict == verdict
    sentence = prediction_sentence(found, "0", "s")
    assert words in sentence
    assert "reaches 0.700" in sentence
    assert "within the next 0.4 s" in sentence


def test_meaning_rate_and_persistence_in_words() -> None:
    found = reading(0.6, 0.05)
    assert meaning(found, "0", "s0").startswith("s0 rises with local density: rank correlation 0.600")
    assert "a straight line describes it" in rate_sentence(found, "0", "s0")
    assert "for 2.00 s (90" in persistence_sentence(found, "0", "s0", "s").replace("\u202f", " ")
    own = found["species"]["0"]
    own["associations"][0]["spearman"] = entry(0.95)
    own["rates"]["s0"] = {"slope": entry(0.01), "linearity_p": 0.001}
    own["persistence"]["s0"] |= {"time": None, "longer_than": 6.6}
    assert "another name for it" in meaning(found, "0", "s0")
    assert "nothing that can be told from zero; a straight line does not" in rate_sentence(found, "0", "s0")
    assert "longer than 6.6 s" in persistence_sentence(found, "0", "s0", "s")
    own["associations"][0]["spearman"] = entry(0.01)
    assert meaning(found, "0", "s0") == "s0 goes with none of local density."
    assert "cannot be said" in rate_sentence({**found, "species": {"0": own | {"rates": {}}}}, "0", "s0")


def test_what_a_latent_of_the_dynamics_gains_is_said_where_it_was_measured() -> None:
    plain = bundle()
    assert dynamics_sentences(plain) == dynamics_sentences(None) == []

    def with_metrics(gain: float, shuffled: float) -> ModelBundle:
        rest = {"unit": "nats", "species": None, "note": ""}
        more = {
            "latent_gain": [entry(gain) | rest], "latent_gain_shuffled": [entry(shuffled) | rest],
            "latent_structure_share": [entry(0.3) | rest],
            "latent_persistence_time": [entry(1.5) | rest | {"unit": "s"}],
        }  # fmt: skip
        return replace(plain, metrics={**plain.metrics, **more})

    found = dynamics_sentences(with_metrics(0.1, 0.001))
    assert "improves the prediction" in found[0]
    assert "not what s says" not in found[0]
    assert len(found) == 3
    assert "30" in found[1]
    assert "not what s says of its particle" in dynamics_sentences(with_metrics(0.1, 0.05))[0]
    assert "does not measurably improve" in dynamics_sentences(with_metrics(0.01, 0.0))[0]
