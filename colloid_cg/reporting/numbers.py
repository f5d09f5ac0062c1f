"""Numbers as people write them: as many digits as the interval supports, the exact value kept beside it."""

from __future__ import annotations

import math
from typing import Any

from markupsafe import Markup

_UNITS = {
    "um2/s": "µm²/s", "um2": "µm²", "um": "µm", "k_B T/um": "kT/µm", "k_B T/um2": "kT/µm²", "k_B T": "kT",
    "um2/s2": "µm²/s²", "k_B T/um4": "kT/µm⁴", "px2": "px²", "px": "px", "nm": "nm", "s": "s", "nats": "nats",
}  # fmt: skip
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


NARROW = "\u202f"
"""Narrow space that does not break, between a number and its unit."""


def short(value: float, digits: int = 4) -> str:
    """Return a setting as it was given, at most ``digits`` significant digits and no zeros behind the point."""
    return f"{value:,.{digits}g}" if 1e-3 <= abs(value) < 10**digits or value == 0 else plain(value, digits)


def pretty_unit(unit: str) -> str:
    """Return a unit with superscripts and the micro sign."""
    return _UNITS.get(unit, unit)


def plain(value: float | None, digits: int = 3) -> str:
    """Return a number with ``digits`` significant digits, an en dash for None."""
    if value is None or not math.isfinite(value):
        return "–"
    if value != 0.0 and not 1e-3 <= abs(value) < 1e6:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        return f"{mantissa}×10{str(int(exponent)).translate(_SUPERSCRIPT)}".replace("-", "−")
    if value != 0.0 and abs(value) < 10 ** (digits - 1):
        text = f"{value:.{max(digits - 1 - math.floor(math.log10(abs(value))), 0)}f}"
    else:
        text = f"{value:,.0f}"
    return text.replace("-", "−")


def percent(value: float | None) -> str:
    """Return a share as a percentage with two significant digits."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"{plain(100.0 * value, 2)}{NARROW}%"


def with_interval(value: float, low: float | None, high: float | None, unit: str = "") -> str:
    """Return "0.428 µm²/s (90 % interval 0.420 to 0.436)", two digits of the interval's half width."""
    unit = f"{NARROW}{pretty_unit(unit)}" if unit else ""
    if low is None or high is None or not high > low:
        return f"{plain(value)}{unit}"
    scale, suffix = _scale(max(abs(value), abs(low), abs(high)))
    digits = max(0, 1 - math.floor(math.log10(0.5 * (high - low) / scale)))
    shown, lower, upper = (f"{number / scale:,.{digits}f}{suffix}".replace("-", "−") for number in (value, low, high))
    return f"{shown}{unit} (90{NARROW}% interval {lower} to {upper})"


def exact(value: float, text: str) -> Markup:
    """Return ``text`` carrying the unrounded value, so that a program reads what the eye sees."""
    return Markup('<data value="{}">{}</data>').format(repr(float(value)), text)


def entry_text(entry: dict[str, Any]) -> Markup:
    """Return one entry of metrics.json with its interval and unit."""
    if isinstance(entry["value"], str):
        return Markup("{}").format(entry["value"])
    return exact(entry["value"], with_interval(entry["value"], entry["low90"], entry["high90"], entry["unit"]))


def _scale(size: float) -> tuple[float, str]:
    if size != 0.0 and not 1e-3 <= size < 1e6:
        exponent = math.floor(math.log10(size))
        return 10.0**exponent, f"×10{str(exponent).translate(_SUPERSCRIPT)}"
    return 1.0, ""
