"""Where a fit begins, against the gas that made the recording."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from colloid_cg.errors import DataError
from colloid_cg.learn.thermal.guesses import HEAT_CAPACITY, first_guess
from colloid_cg.learn.thermal.observed import observed
from tests.learn.thermal.worlds import BODY, recording


def test_temperature_and_friction_of_a_gas_that_flows() -> None:
    """Motion stirs at twice the temperature of the particles; friction and noise tell theirs."""
    source = recording(160)
    found = first_guess(observed(source.series(0, 160), 1.0), BODY, None, cutoff=1.0)
    # Five recordings scatter by 8 %; the frictions of the gas are 1.2 and .8, of splines that fall off a little sooner.
    assert found.temperature == pytest.approx(source.temperatures[0].mean(), rel=0.25)
    assert 0.5 < found.friction < 1.0
    assert found.heat_capacity == HEAT_CAPACITY  # the temperature does not rise enough to tell
    given = first_guess(observed(source.series(0, 160), 1.0), BODY, 5.0, cutoff=1.0)
    assert given.heat_capacity == 5.0
    assert given.entropy_range[0] == pytest.approx(found.entropy_range[0] / 2.0)


def test_motion_without_friction_is_refused() -> None:
    series = recording(160).series(0, 160)
    growing = np.exp(0.01 * np.arange(160))[:, None, None] * series.velocities[:1]
    for velocities in (growing, np.zeros_like(growing)):
        with pytest.raises(DataError, match="no friction is seen"):
            first_guess(observed(replace(series, velocities=velocities), 1.0), None, None, cutoff=1.0)
