"""Words for units on figures and in tables: um and s of a video, or those a simulation was written in."""

from __future__ import annotations

from dataclasses import dataclass

from colloid_cg.records import MICROMETRE
from colloid_cg.reporting.content import ReportContent


@dataclass(frozen=True)
class Units:
    """Names of the units of length and time; what a simulation calls "reduced" has no other name."""

    length: str = MICROMETRE
    time: str = "s"

    @property
    def of_length(self) -> str:
        """Unit of length in brackets, for the label of an axis."""
        return " (µm)" if self.length == MICROMETRE else f" ({self.length} units)"

    @property
    def of_time(self) -> str:
        """Unit of time in brackets."""
        return " (s)" if self.time == "s" else f" ({self.time} units)"

    @property
    def of_force(self) -> str:
        """Unit of a force over the thermal energy, in brackets."""
        return " (kT/µm)" if self.length == MICROMETRE else f" / kT ({self.length} units)"

    def of(self, metric: str, other: str) -> str:
        """Return ``metric`` in brackets for um and s, else the system of units, or ``other`` where it has none."""
        if self.length == MICROMETRE:
            return f" ({metric})"
        return f" ({other or f'{self.length} units'})"


def units_of(content: ReportContent) -> Units:
    """Return the units of the trajectories; um and s where there are none."""
    return Units() if content.tracks is None else Units(content.tracks.length_unit, content.tracks.time_unit)


def is_simulation(content: ReportContent) -> bool:
    """Return whether the run was imported from a simulation: there is no movie and nothing was tracked."""
    return content.tracks is not None and bool(content.tracks.metadata.get("simulation"))
