"""A fitted model as data: configuration, weights, reported quantities and the pair force with its band."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from colloid_cg.errors import InputError

METRIC_KEYS = ("value", "low90", "high90", "unit", "species", "note")
PAIR_FORCE_COLUMNS = ("r", "force", "low90", "high90", "species_a", "species_b")
PAIR_FRICTION_COLUMNS = (
    "r",
    "along",
    "along_low90",
    "along_high90",
    "across",
    "across_low90",
    "across_high90",
    "species_a",
    "species_b",
)

EQUATION_OF_STATE_COLUMNS = ("internal_energy", "volume", "thermal_energy", "pressure", "species")


def metric(
    value: float | str,
    *,
    low90: float | None = None,
    high90: float | None = None,
    unit: str = "",
    species: int | None = None,
    note: str = "",
) -> dict[str, Any]:
    """Return one entry of metrics.json: a value with its 90 % interval, unit and a note on how it was found."""
    if isinstance(value, float) and not np.isfinite(value):
        raise InputError(
            f"a metric of {value}", expected="a finite number", action="leave it out and say why in a note"
        )
    return {"value": value, "low90": low90, "high90": high90, "unit": unit, "species": species, "note": note}


@dataclass(frozen=True, kw_only=True, eq=False)
class ModelBundle:
    """Everything RUN/model/ holds.

    Parameters
    ----------
    config : dict
        JSON-able: kind of model, knots, cutoff (um), species, box, fit settings.
    weights : dict of arrays
        Float64 arrays by name, stored as safetensors.
    metrics : dict of list of dict
        Name -> entries made by :func:`metric`.
    pair_force : pandas.DataFrame
        Columns r (um), force, low90, high90 (k_B T/um, positive = repulsive), species_a, species_b.
    diagnostics : dict
        JSON-able curves the report draws (residual autocorrelation, D against lag, selection scores).
    pair_friction : pandas.DataFrame or None
        Columns r, along, across with their intervals (friction between two particles, mass over time), species_a,
        species_b; of models that have positions and velocities. NaN where there is no interval.
    equation_of_state : pandas.DataFrame or None
        Columns internal_energy, volume, thermal_energy (k_B T), pressure, species; of models with hidden entropies.
    """

    config: dict[str, Any]
    weights: dict[str, np.ndarray]
    metrics: dict[str, list[dict[str, Any]]]
    pair_force: pd.DataFrame
    diagnostics: dict[str, Any] = field(default_factory=dict)
    pair_friction: pd.DataFrame | None = None
    equation_of_state: pd.DataFrame | None = None

    def __post_init__(self) -> None:
        for name, entries in self.metrics.items():
            for entry in entries:
                if set(entry) != set(METRIC_KEYS):
                    raise InputError(
                        f"metric {name} with keys {sorted(entry)}",
                        expected=f"keys {METRIC_KEYS}",
                        action="build it with metric()",
                    )
        _require_columns("pair force", self.pair_force, PAIR_FORCE_COLUMNS)
        if self.pair_friction is not None:
            _require_columns("pair friction", self.pair_friction, PAIR_FRICTION_COLUMNS)
        if self.equation_of_state is not None:
            _require_columns("equation of state", self.equation_of_state, EQUATION_OF_STATE_COLUMNS)
        for name, array in self.weights.items():
            if not np.isfinite(array).all():
                raise InputError(
                    f"NaN or infinite weights in {name}",
                    expected="finite weights",
                    action="fit again with fewer knots or more data",
                )

    def value(self, name: str, *, species: int | None = None) -> float:
        """Return the value of a metric (of one species where it is listed per species)."""
        for entry in self.metrics.get(name, []):
            if species is None or entry["species"] in (None, species):
                return float(entry["value"])
        raise InputError(f"no metric {name!r}", expected=f"one of {sorted(self.metrics)}", action="check the name")


def _require_columns(name: str, table: pd.DataFrame, columns: tuple[str, ...]) -> None:
    if tuple(table.columns) != columns:
        raise InputError(
            f"a {name} table with columns {list(table.columns)}",
            expected=f"columns {columns}",
            action="reorder or rename the columns",
        )
