from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from colloid_cg.records import FLAG_POOR_FIT
from colloid_cg.reporting import tracking_quality
from colloid_cg.reporting.checks.check import BAD, GOOD, LOOK
from colloid_cg.reporting.checks.tracking import completeness_check, recording_warnings, scale_check, tracking_checks
from colloid_cg.reporting.sections.recording import movie_section, tracking_section
from colloid_cg.video.calibration import PLAYBACK

SOURCE = f"{PLAYBACK} (24 frames/s); the camera may have recorded at another rate"


def opened(content, **metadata):
    return replace(content, run={**content.run, "input": {"name": "movie", "metadata": metadata}})


@pytest.mark.parametrize(("pixel_size", "expected"), [(0.108, GOOD), (351.0, BAD), (1e-4, BAD)])
def test_a_pixel_that_no_microscope_has_is_bad(content, pixel_size, expected):
    found = replace(content, tracks=replace(content.tracks, pixel_size=pixel_size))
    (check,) = scale_check(found)
    assert check.verdict == expected
    assert ("check its unit" in str(check.found)) == (expected == BAD)
    assert any("check its unit" in str(line) for line in movie_section(found).text) == (expected == BAD)


def test_a_playback_rate_deserves_a_look(content):
    found = opened(content, frame_interval_source=SOURCE)
    (check,) = scale_check(found)
    assert check.verdict == LOOK
    assert "--frame-interval" in str(check.found)
    assert any("playback rate" in str(line) for line in movie_section(found).text)
    assert completeness_check(found) == []
    assert scale_check(opened(content, frame_interval_source="setting"))[0].verdict == GOOD


def test_missing_images_deserve_a_look(content):
    found = opened(content, warnings=["numbered with a gap: 0013"], frame_interval_source=SOURCE)
    (check,) = completeness_check(found)
    assert check.verdict == LOOK
    assert check.found == "numbered with a gap: 0013"
    assert len(recording_warnings(found)) == 2
    assert completeness_check(content) == []


def test_frames_whose_fits_went_wrong_deserve_a_look(content):
    def asked(flags):
        tracks = content.tracks.with_table(content.tracks.table.assign(flags=flags.astype("int32")))
        found = replace(content, tracks=tracks)
        quality = tracking_quality(tracks)
        checks = [check for check in tracking_checks(found, quality) if "fits explain" in check.question]
        return checks, tracking_section(found, quality)

    frame = content.tracks.table["frame"].to_numpy()
    (check,), section = asked(np.where(np.isin(frame, (30, 70)), FLAG_POOR_FIT, 0))
    assert check.verdict == LOOK
    assert "30, 70:" in str(check.found)
    assert "30, 70" in str(section)
    checks, section = asked(np.zeros(len(frame)))
    assert checks == []
    assert "poor fits" not in str(section)
