"""What a fit found, in a line for each number, for a person."""

from __future__ import annotations

from typing import Any

from colloid_cg.store import RunFolder, read_json

WORDS = {
    "diffusion_coefficient": "D",
    "thermal_speed_squared": "k_B T/m",
    "friction": "friction rate",
    "temperature": "k_B T",
    "heat_capacity": "heat capacity",
    "heat_exchange": "rate of heat exchange",
    "memory_time": "memory of the random force",
    "localisation_variance": "localisation variance s2",
    "trap_stiffness": "trap stiffness",
    "trap_quartic": "quartic trap strength",
}
"""Numbers that are said, in this order; each trap alone and the rest are in the report and in metrics.json."""


def fitted_lines(folder: RunFolder) -> list[str]:
    """Return the numbers of a fit with unit and 90 % interval, and whether a pair force was found.

    Parameters
    ----------
    folder : RunFolder
        With model/metrics.json of the fit stage.
    """
    metrics = read_json(folder.path / "model" / "metrics.json")
    lines = [f"{metrics['regime'][0]['value']} motion"]
    for name, word in WORDS.items():
        entries = metrics.get(name, [])
        shown = entries[:1] if name.startswith("trap") else entries
        lines += [f"{word}{_of_species(entry, len(shown))} = {_with_interval(entry)}" for entry in shown]
    gain = metrics.get("log_likelihood_gain", [])
    return [*lines, *(entry["note"] for entry in gain[:1] if entry["note"])]


def _of_species(entry: dict[str, Any], count: int) -> str:
    return f" of species {entry['species']}" if count > 1 and entry["species"] is not None else ""


def _with_interval(entry: dict[str, Any]) -> str:
    value = f"{entry['value']:.4g} {entry['unit']}"
    if entry["low90"] is None:
        return f"{value}, {'assumed' if 'assumed' in entry['note'] else 'no interval'}"
    return f"{value} (90 %: {entry['low90']:.4g} to {entry['high90']:.4g})"
