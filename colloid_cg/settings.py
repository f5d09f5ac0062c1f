"""Base of every stage's settings: frozen, unknown keys refused with the nearest known key named."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from colloid_cg.errors import ConfigError


class Settings(BaseModel):
    """Frozen settings of one stage; equal settings give equal hashes of their JSON."""

    table: ClassVar[str] = ""
    """Name of the TOML table these settings stand in, used in messages."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise explain(error, type(self)) from error

    @classmethod
    def parse(cls, values: dict[str, Any]) -> Self:
        """Build from a plain dictionary (a TOML table), nested tables included.

        Raises
        ------
        ConfigError
            If a key is unknown or a value does not fit; the message names the nearest known key.
        """
        return cls(**values)

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON-able dictionary of every setting, defaults included."""
        return self.model_dump(mode="json")


def explain(error: ValidationError, kind: type[Settings]) -> ConfigError:
    """Turn the first problem pydantic found into one sentence."""
    problem = error.errors()[0]
    where = ".".join((*filter(None, [kind.table]), *(str(part) for part in problem["loc"]))) or kind.__name__
    if problem["type"] == "extra_forbidden":
        prefix = f"{kind.table}." if kind.table else ""
        return unknown_key(where, [prefix + name for name in kind.model_fields])
    found = problem.get("input")
    return ConfigError(
        f"{where} = {found!r}",
        expected=_lower_first(problem["msg"].removeprefix("Value error, ")),
        action=f"correct {where} in the configuration",
    )


def unknown_key(where: str, known: Iterable[str]) -> ConfigError:
    """Return the error for an unknown key, naming the nearest known one."""
    names = sorted(known)
    near = difflib.get_close_matches(where, names, n=1, cutoff=0.5)
    if near:
        return ConfigError(
            f"the unknown setting {where!r}", expected="a known setting", action=f"did you mean {near[0]!r}"
        )
    return ConfigError(
        f"the unknown setting {where!r}", expected=f"one of {', '.join(names)}", action="remove or rename it"
    )


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]
