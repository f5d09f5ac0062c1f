"""Kinds of models that are learned from positions and velocities, as the bundles name them."""

from __future__ import annotations

from typing import Any

from colloid_cg.errors import DataError

PAIR_DYNAMICS, HIDDEN_ENTROPY = "metriplectic", "hidden_entropy"
"""Pair force and friction at one temperature; U(S, V), frictions and heat exchange with entropies nobody sees."""


def in_phase_space(config: dict[str, Any]) -> bool:
    """Return whether the configuration of a bundle is that of a model of positions and velocities."""
    return config.get("kind") in (PAIR_DYNAMICS, HIDDEN_ENTROPY)


def require_kind(config: dict[str, Any], kind: str, *, expected: str, action: str) -> None:
    """Raise DataError if the configuration of a bundle is that of another kind of model."""
    if config.get("kind") != kind:
        raise DataError(f"an {config.get('kind', 'overdamped')} model", expected=expected, action=action)
