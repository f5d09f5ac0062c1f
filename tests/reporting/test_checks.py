from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from colloid_cg.records import metric
from colloid_cg.reporting import tracking_quality
from colloid_cg.reporting.checks import VERDICTS, checklist
from colloid_cg.reporting.checks.check import BAD, GOOD, LOOK, NOT_MODELLED
from colloid_cg.reporting.checks.comparison import extrapolation_check, null_check, residual_check
from colloid_cg.reporting.checks.dynamics import (
    flat_check,
    force_resolved,
    gain_check,
    half_rate_check,
    innovation_check,
    kurtosis_check,
    regime_check,
    sigma_check,
    stride_check,
    unmodelled_checks,
)
from colloid_cg.reporting.checks.tracking import count_check, drift_check, exposure_check, final_drift, locking_check
from colloid_cg.reporting.quality import locking_amplitude, modulation_of_chance
from colloid_cg.reporting.sections.physics import dynamics_section
from colloid_cg.reporting.summary import _force_sentence
from tests.reporting.synthetic import bundle


def changed(**diagnostics):
    model = bundle()
    return replace(model, diagnostics=model.diagnostics | diagnostics)


def test_every_question_of_a_referee_is_answered(content):
    checks = checklist(content, tracking_quality(content.tracks))
    asked = " ".join(check.question for check in checks).lower()
    for word in ("exposure", "locking", "drift", "regime", "half the frame rate", "every lag", "localisation error",
                 "innovations", "pair force", "pair correlation", "mean squared", "displacement distributions",
                 "inversion", "first law", "null model", "non-conservative", "hydrodynamic", "movies", "uncertainty",
                 "rollouts stay", "torques"):  # fmt: skip
        assert word in asked, word
    assert {check.verdict for check in checks} <= set(VERDICTS)
    unmodelled = [check for check in checks if check.verdict == NOT_MODELLED]
    assert len(unmodelled) >= 6
    assert len({check.question for check in checks}) == len(checks)


def test_what_the_fit_leaves_out_replaces_the_general_answer():
    model = changed(not_modelled=["hydrodynamic coupling with walls"])
    asked = [check.question for check in unmodelled_checks(model, None)]
    assert asked[0] == "Hydrodynamic coupling with walls"
    assert sum("ydrodynamic" in question for question in asked) == 1
    assert not any(
        "uncertainty" in check.question for check in unmodelled_checks(model, {"parameter_uncertainty": True})
    )


@pytest.mark.parametrize(
    ("name", "gain", "margin", "expected"),
    [("overdamped", 2.0, None, GOOD), ("overdamped", 50.0, 60.0, GOOD), ("overdamped", 50.0, 15.0, LOOK),
     ("underdamped", 50.0, 15.0, GOOD), ("underdamped", 5.0, None, LOOK)],
)  # fmt: skip
def test_regime_needs_evidence(name, gain, margin, expected):
    evidence = {
        "log_likelihood": {"overdamped": 100.0, "underdamped": 100.0 + gain},
        "margin": margin,
    }
    model = changed(regime=evidence)
    found = regime_check(replace(model, metrics=model.metrics | {"regime": [metric(name)]}))
    assert found.verdict == expected
    assert name in found.found


@pytest.mark.parametrize(
    ("value", "half_width", "expected"),
    [(0.41, 0.001, GOOD), (0.44, 0.001, LOOK), (0.60, 0.001, BAD), (0.60, 0.30, GOOD)],
)
def test_half_rate_within_five_percent_or_errors(value, half_width, expected):
    half = {"value": value, "low90": value - half_width, "high90": value + half_width}
    assert half_rate_check(changed(half_rate=half)).verdict == expected


@pytest.mark.parametrize(("last", "expected"), [(0.41, GOOD), (0.36, LOOK), (0.2, BAD)])
def test_diffusion_that_bends_with_lag_is_seen(last, expected):
    value = [0.403, 0.403, last]
    curve = {
        "lag_s": [1, 2, 3],
        "value": value,
        "low90": [v - 1e-3 for v in value],
        "high90": [v + 1e-3 for v in value],
    }
    bent = changed(diffusion_against_lag=curve)
    free = replace(bent, config=bent.config | {"pair_force_used": False})
    assert flat_check(free).verdict == expected
    pushed = flat_check(replace(bent, config=bent.config | {"pair_force_used": True}))
    assert pushed.verdict == (LOOK if expected == BAD else expected)


@pytest.mark.parametrize(("stated", "expected"), [(1.0, GOOD), (1.8**2, LOOK), (0.2**2, BAD), (None, LOOK)])
def test_stated_against_fitted_error(stated, expected):
    sigma = {"stated_variance": stated and stated * 9e-4, "fitted_variance": 9e-4}
    assert sigma_check(changed(stated_sigma=sigma)).verdict == expected


@pytest.mark.parametrize(("worst", "expected"), [(0.015, GOOD), (0.04, LOOK), (-0.2, BAD)])
def test_innovations_that_remember(worst, expected):
    found = {"lags": [0, 1, 2], "autocorrelation": [1.0, worst, 0.0], "band": 0.01}
    assert innovation_check(changed(innovations=found)).verdict == expected


@pytest.mark.parametrize(("kurtosis", "expected"), [(3.1, GOOD), (4.0, LOOK), (9.0, BAD)])
def test_innovations_with_fat_tails(kurtosis, expected):
    assert kurtosis_check(changed(innovations={"kurtosis": kurtosis})).verdict == expected


@pytest.mark.parametrize(("frames", "expected"), [(1, GOOD), (2, LOOK)])
def test_frames_that_repeat_each_other(frames, expected):
    found = stride_check(changed(stride={"frames": frames, "reason": "D rises with the interval"}))
    assert found.verdict == expected
    assert stride_check(bundle()) is None


def test_a_negative_noise_variance_has_no_root():
    found = sigma_check(changed(stated_sigma={"stated_variance": 1e-4, "fitted_variance": -2e-3}))
    assert found.verdict == LOOK
    assert "−0.00200 µm²" in found.found


def test_a_force_without_gain_is_not_resolved():
    assert force_resolved(bundle(gain=210.0))
    assert not force_resolved(bundle(gain=20.0))
    assert not force_resolved(bundle(gain=-5.0))
    assert gain_check(bundle(gain=-5.0)).verdict == LOOK
    assert "no pair force is resolved" in str(gain_check(bundle(gain=-5.0)).found)


def test_a_band_that_holds_zero_everywhere_is_no_force():
    model = bundle()
    table = model.pair_force.assign(low90=-1.0, high90=1.0)
    assert not force_resolved(replace(model, pair_force=table))


def test_a_metric_without_an_interval_is_shown_without_one():
    gain = [metric(3.0, unit="nats")]
    model = bundle()
    assert "interval" not in str(
        gain_check(replace(model, metrics=model.metrics | {"log_likelihood_gain": gain})).found
    )


def test_a_force_that_may_imitate_wells_is_not_called_resolved():
    model = bundle()
    assert "A pair force is resolved" in str(_force_sentence(model)[0])
    suspect = replace(model, diagnostics=model.diagnostics | {"trap_warnings": ["wells"]})
    assert gain_check(suspect).verdict == BAD
    assert "imitate wells" in str(_force_sentence(suspect)[0])
    given = replace(suspect, config=suspect.config | {"fields": {"wells": "each"}})
    assert gain_check(given).verdict == GOOD


def test_a_gain_that_was_not_measured_is_not_called_good():
    gain = [metric(0.0, unit="nats", note="no pair force could be fitted: too few pairs")]
    model = bundle()
    untried = replace(model, metrics=model.metrics | {"log_likelihood_gain": gain})
    check = gain_check(untried)
    assert check.verdict == NOT_MODELLED
    assert "too few pairs" in str(check.found)
    assert "not measured" in str(_force_sentence(untried)[0])


@pytest.mark.parametrize(("exposure", "expected"), [(None, LOOK), (0.01, GOOD)])
def test_exposure(content, exposure, expected):
    tracks = replace(content.tracks, exposure=exposure)
    assert exposure_check(replace(content, tracks=tracks)).verdict == expected


def test_locking_amplitude_of_a_cosine_is_its_amplitude():
    centres = (np.arange(20) + 0.5) / 20
    assert locking_amplitude(1000 * (1 + 0.4 * np.cos(2 * np.pi * (centres - 0.2)))) == pytest.approx(0.4)
    assert locking_amplitude(np.full(20, 7)) == pytest.approx(0.0, abs=1e-12)


def test_chance_alone_is_no_locking():
    counts = np.random.default_rng(3).multinomial(4000, np.full(20, 0.05), size=2000)
    modulation = np.array([locking_amplitude(count) for count in counts])
    assert np.sqrt(np.mean(modulation**2)) == pytest.approx(modulation_of_chance(4000), rel=0.02)


def test_locked_positions_are_bad_and_free_ones_good(content):
    tracks = content.tracks
    assert locking_check(tracking_quality(tracks)).verdict == GOOD
    table = tracks.table
    pull = np.sin(2 * np.pi * table["x"]) / (2 * np.pi)
    raw = tracks.with_table(table.assign(x=table["x"] - 0.8 * pull), metadata={})
    assert locking_check(tracking_quality(raw)).verdict == BAD


def test_removed_drift_is_put_back_before_sub_pixel_parts_are_taken(content):
    table = content.tracks.table.assign(x=lambda t: np.round(t["x"]) - 0.02 * t["frame"])
    shifted = content.tracks.with_table(table)
    # One of twenty bins holds everything: mean 1/20, variance 19/400 of the total.
    assert tracking_quality(shifted)["locking"]["x"] == pytest.approx(np.sqrt(2 * 19))


def test_drift_and_its_error_along_its_direction():
    drift = {"frame": [0, 1], "dx": [0.0, 3.0], "dy": [0.0, 4.0], "se_x": [0.0, 0.1], "se_y": [0.0, 0.2]}
    length, error = final_drift(drift)
    assert length == pytest.approx(5.0)
    assert error == pytest.approx(np.hypot(0.1 * 0.6, 0.2 * 0.8))
    assert drift_check({"drift": drift | {"removed": False}, "rms_step": 1.0}).verdict == BAD
    assert drift_check({"drift": drift | {"removed": True}, "rms_step": 1.0}).verdict == GOOD
    biased = drift | {"removed": True, "diffusion_bias": -0.08}
    assert drift_check({"drift": biased, "rms_step": 1.0}).verdict == LOOK


def test_detections_that_fade_are_seen():
    assert count_check({"detections_per_frame": [100] * 50}).verdict == GOOD
    assert count_check({"detections_per_frame": list(range(100, 0, -2))}).verdict == BAD


@pytest.mark.parametrize(("power", "expected"), [(1.0, GOOD), (2.0, LOOK), (8.0, BAD)])
def test_p_values_of_quiet_particles(power, expected):
    values = np.linspace(0, 1, 4001) ** power
    assert null_check("d2min_p", values).verdict == expected


def test_the_detector_has_a_say_in_its_null():
    law = {"null_fit": False, "warnings": ["the null misses the bulk"]}
    found = null_check("d2min_p", np.linspace(0, 1, 4001), law)
    assert found.verdict == LOOK
    assert "misses the bulk" in str(found.found)


@pytest.mark.parametrize(("fraction", "expected"), [(0.0, GOOD), (0.01, LOOK), (0.2, BAD), (None, LOOK)])
def test_extrapolation(fraction, expected):
    found = {"fraction": fraction, "pairs": 1000, "r_min": 1.0}
    assert extrapolation_check({"extrapolation": found}).verdict == expected


@pytest.mark.parametrize(("residual", "expected"), [(1e-13, GOOD), (1e-5, LOOK), (0.1, BAD)])
def test_first_law(residual, expected):
    assert residual_check({"ledger": {"first_law_residual_per_particle": residual}}).verdict == expected


def test_what_the_fit_warns_of_is_in_the_report(content):
    for name in ("field_warnings", "trap_warnings"):
        model = changed(**{name: ["The particles' means lie 0.5 um from the given centres"]})
        section = dynamics_section(replace(content, model=model))
        assert any("lie 0.5 um from" in str(line) for line in section.text)
    assert not any("Warning" in str(line) for line in dynamics_section(content).text)
