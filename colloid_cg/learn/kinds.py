"""Kinds of models that are learned from positions and velocities, as the bundles name them."""

from __future__ import annotations

from typing import Any

PAIR_DYNAMICS, HIDDEN_ENTROPY = "metriplectic", "hidden_entropy"
"""Pair force and friction at one temperature; U(S, V), frictions and heat exchange with entropies nobody sees."""


def in_phase_space(config: dict[str, Any]) -> bool:
    """Return whether the configuration of a bundle is that of a model of positions and velocities."""
    return config.get("kind") in (PAIR_DYNAMICS, HIDDEN_ENTROPY)
