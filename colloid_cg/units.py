"""Lengths and times with units, converted once at the edge: micrometres and seconds inside."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from colloid_cg.errors import ConfigError


@lru_cache(maxsize=1)
def _registry() -> Any:
    import pint

    return pint.UnitRegistry()


def _convert(value: float | str, *, unit: str, kind: str, example: str) -> float:
    if isinstance(value, (int, float)):
        number = float(value)
    else:
        import pint

        try:
            quantity = _registry().Quantity(value.replace("µ", "u").replace("μ", "u"))
            number = float(quantity.magnitude if quantity.dimensionless else quantity.to(unit).magnitude)
        except (pint.PintError, ValueError, TypeError, AttributeError, AssertionError) as error:
            raise ConfigError(
                f"{value!r} as a {kind}",
                expected=f"a positive {kind} such as {example!r}",
                action=f"write it with its unit, or as a plain number in {unit}",
            ) from error
    if not 0.0 < number < float("inf"):
        raise ConfigError(
            f"a {kind} of {value!r}", expected=f"a positive, finite {kind}", action=f"write it like {example!r}"
        )
    return number


def micrometres(value: float | str) -> float:
    """Return a length in um; plain numbers are taken to be in um (``"0.108 um"``, ``"108 nm"``, ``0.108``).

    Raises
    ------
    ConfigError
        If the text is no length, or the length is not positive and finite.
    """
    return _convert(value, unit="um", kind="length", example="0.108 um")


def seconds(value: float | str) -> float:
    """Return a time in s; plain numbers are taken to be in s (``"10 ms"``, ``0.01``).

    Raises
    ------
    ConfigError
        If the text is no time, or the time is not positive and finite.
    """
    return _convert(value, unit="s", kind="time", example="10 ms")
