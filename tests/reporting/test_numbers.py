from __future__ import annotations

import pytest
from markupsafe import Markup

from colloid_cg.reporting.numbers import exact, percent, plain, short, with_interval


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.40312, "0.403"), (12.345, "12.3"), (1234.6, "1,235"), (-3.14159, "−3.14"), (0.0, "0"), (None, "–"),
     (2.5e-5, "2.50×10⁻⁵"), (float("nan"), "–"), (100.0, "100")],
)  # fmt: skip
def test_plain(value, expected):
    assert plain(value) == expected


def test_digits_follow_the_interval():
    assert with_interval(0.40312, 0.39421, 0.41203) == "0.4031 (90\u202f% interval 0.3942 to 0.4120)"
    assert with_interval(210.0, 170.0, 250.0) == "210 (90\u202f% interval 170 to 250)"
    assert with_interval(4.2e-7, 3.9e-7, 4.5e-7) == "4.20×10⁻⁷ (90\u202f% interval 3.90×10⁻⁷ to 4.50×10⁻⁷)"
    assert with_interval(1.5, None, None, "um2/s") == "1.50\u202fµm²/s"


def test_the_exact_value_stays_with_its_text():
    assert exact(1 / 3, "<a>") == Markup('<data value="0.3333333333333333">&lt;a&gt;</data>')


def test_percent_and_short():
    assert percent(0.0312) == "3.1\u202f%"
    assert short(9.0) == "9"
    assert short(1234.5) == "1,234"
