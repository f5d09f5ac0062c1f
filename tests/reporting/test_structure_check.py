"""The question whether a structural variable carries information."""

from __future__ import annotations

import pytest

from colloid_cg.reporting.checks.check import BAD, GOOD, LOOK
from colloid_cg.reporting.checks.comparison import collapse_check


@pytest.mark.parametrize(
    ("collapsed", "over", "moves", "verdict"),
    [(False, 0.02, -0.01, GOOD), (False, -0.05, 0.08, GOOD), (False, -0.05, -0.01, LOOK), (True, 0.02, 0.08, BAD)],
)
def test_a_variable_is_worth_having_for_structure_or_for_motion(
    collapsed: bool, over: float, moves: float, verdict: str
) -> None:
    found = {
        "collapsed": collapsed, "gain_over_mean": 0.3, "gain_over_principal_components": over,
        "gain_in_displacement": moves,
    }  # fmt: skip
    check = collapse_check("0", {"collapse": found})
    assert check.verdict == verdict
    assert f"{moves:.3f} nats" in check.found
