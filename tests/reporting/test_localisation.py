from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from colloid_cg.reporting import tracking_quality
from colloid_cg.reporting.checks.check import BAD, GOOD, LOOK
from colloid_cg.reporting.checks.localisation import localisation_check
from colloid_cg.reporting.checks.tracking import step_check
from colloid_cg.reporting.sections.recording import tracking_section


def quality_of(stated, variance, error, *, known=True, step=1.0):
    part = {"stated": stated, "variance": variance, "standard_error": error}
    return {"localisation": {"exposure_known": known, "x": part, "y": dict(part)}, "rms_step": step}


@pytest.mark.parametrize(
    ("stated", "found", "expected"),
    [(0.131, 0.394, BAD), (0.0888, 0.318, BAD), (0.3, 0.1, BAD), (0.1, 0.105, GOOD), (0.1, 0.15, LOOK),
     (0.15, 0.1, LOOK), (0.1, 0.19, LOOK), (0.1, 0.21, BAD)],
)  # fmt: skip
def test_a_stated_error_off_by_a_factor_is_bad(stated, found, expected):
    (check,) = localisation_check(quality_of(stated, found**2, 1e-3 * found**2))
    assert check.verdict == expected
    assert ("off by a factor" in str(check.found)) == (expected == BAD)


def test_a_difference_that_chance_explains_is_not_bad():
    # the variances are .08 px^2 apart, with a standard error of .028 or .014 px^2
    assert localisation_check(quality_of(0.1, 0.3**2, 0.04))[0].verdict == LOOK
    assert localisation_check(quality_of(0.1, 0.3**2, 0.02))[0].verdict == BAD


@pytest.mark.parametrize(("variance", "known"), [(-0.2, False), (-0.2, True), (0.001, True)])
def test_a_check_that_could_not_be_made_is_no_verdict_on_the_tracks(variance, known):
    (check,) = localisation_check(quality_of(0.1, variance, 0.001, known=known))
    assert check.verdict == LOOK
    assert "could not be made" in str(check.found)
    assert ("exposure is unknown" in str(check.found)) == (not known)


def test_an_unknown_exposure_only_explains_more_error_than_displacements_show_without_it():
    # at full exposure the variance is step^2 / 6 + 2/3 of that without: .01 becomes .1733
    (check,) = localisation_check(quality_of(0.3, 0.01, 1e-5, known=False))
    assert check.verdict == LOOK
    assert "could not be made" in str(check.found)
    assert localisation_check(quality_of(0.3, 0.01, 1e-5, known=True))[0].verdict == BAD
    assert localisation_check(quality_of(2.1 * 0.1733**0.5, 0.01, 1e-5, known=False))[0].verdict == BAD
    assert localisation_check(quality_of(0.03, 0.01, 1e-5, known=False))[0].verdict == BAD


def test_hopeless_detections_do_not_ruin_the_stated_error(content):
    table = content.tracks.table
    sigma = table["sigma_x"].to_numpy().copy()
    clean = tracking_quality(content.tracks)["localisation"]
    sigma[::100] = np.inf
    sigma[1::100] = 2e6
    sigma[2::100] = 8.5  # below the diameter of 9 px
    spoilt = tracking_quality(content.tracks.with_table(table.assign(sigma_x=sigma)))["localisation"]
    assert spoilt["x"]["stated"] == pytest.approx(clean["x"]["stated"])
    assert spoilt["stated_left_out"] == pytest.approx(0.015, rel=0.02)
    # what compares with displacements is the mean of sigma^2: two halves of .1 and .3 px make sqrt(.05) px
    halves = np.where(np.arange(len(table)) % 2, 0.1, 0.3)
    mixed = tracking_quality(content.tracks.with_table(table.assign(sigma_x=halves)))["localisation"]
    assert mixed["x"]["stated"] == pytest.approx(np.sqrt(0.05), rel=1e-3)


def test_table_and_checklist_name_the_same_numbers(content):
    halves = np.where(np.arange(len(content.tracks)) % 2, 0.1, 0.3)
    tracks = content.tracks.with_table(content.tracks.table.assign(sigma_x=halves, sigma_y=halves))
    quality = tracking_quality(tracks)
    rows = dict(tracking_section(replace(content, tracks=tracks), quality).tables[0].rows)
    (check,) = localisation_check(quality)
    stated = [value for name, value in rows.items() if "stated" in name]
    assert len(stated) == 1
    assert stated[0].startswith("0.224 px (x 0.224, y 0.224")
    assert "stated 0.224 px" in str(check.found)
    observed = next(value for name, value in rows.items() if "from displacements" in name)
    words = "not resolved" if "not resolved" in str(check.found) else f"displacements {observed.split(' (')[0]}"
    assert words in f"displacements {observed}"
    assert words in str(check.found)


def test_what_the_linker_warned_of_is_in_the_report(content):
    warned = {"counts": {"warning": "track.search_range = 7 px is more than half the typical distance"}}
    tracks = content.tracks.with_table(content.tracks.table, metadata=dict(content.tracks.metadata) | warned)
    quality = tracking_quality(tracks)
    assert step_check(content, quality)[0].verdict == GOOD
    (check,) = step_check(replace(content, tracks=tracks), quality)
    assert check.verdict == LOOK
    assert "track.search_range = 7 px" in str(check.found)
    section = tracking_section(replace(content, tracks=tracks), quality)
    assert any("track.search_range = 7 px" in str(line) for line in section.text)
    assert tracking_section(content, quality).text == ()
