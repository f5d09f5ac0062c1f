"""Writing benchmarks/results/NAME.json in the one form all benchmarks share."""

from __future__ import annotations

import os
import platform
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from colloid_cg.provenance import library_versions
from colloid_cg.store import write_json

RESULTS = Path(__file__).parent / "results"


def data_folder() -> Path:
    """Return the folder of the real data; ends the benchmark with a sentence where it is not named."""
    found = os.environ.get("COLLOID_CG_DATA")
    if not found:
        sys.exit("error: Found no COLLOID_CG_DATA; expected the folder of the real data; set COLLOID_CG_DATA to it.")
    return Path(found)


def machine() -> str:
    """Return the processor and the number of cores."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = [
            line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        model = names[0] if names else model
    return f"{model}, {os.cpu_count()} cores"


def met(entry: dict[str, Any]) -> bool | None:
    """Tell whether a figure reaches its target; None where there is none."""
    value, target, better = entry["value"], entry["target"], entry["better"]
    if target is None or value is None:
        return None
    if better == "within":
        return bool(target[0] <= value <= target[1])
    return bool(value <= target if better == "lower" else value >= target)


@dataclass
class Record:
    """Figures of one benchmark, written when complete."""

    name: str
    started: float = field(default_factory=time.perf_counter)
    figures: list[dict[str, Any]] = field(default_factory=list)

    def add(
        self,
        name: str,
        value: float,
        *,
        unit: str = "",
        target: Any = None,
        better: str = "within",
        interval: list[float] | None = None,
        peer: str | None = None,
        peer_value: float | None = None,
        note: str = "",
    ) -> None:
        """Add a figure and say it."""
        entry: dict[str, Any] = {"name": name, "value": value, "unit": unit, "target": target, "better": better}
        if interval is not None:
            entry["interval"] = interval
        entry |= {"peer": peer, "peer_value": peer_value, "note": note}
        self.figures.append(entry)
        print(f"{name}: {value:.7g} {unit} (target {target} {better}): {met(entry)}", flush=True)

    def write(self) -> None:
        """Write the record."""
        content = {
            "name": self.name,
            "machine": machine(),
            "versions": library_versions(),
            "command": f"make bench-{self.name}",
            "seconds": round(time.perf_counter() - self.started, 1),
            "figures": self.figures,
        }
        write_json(RESULTS / f"{self.name}.json", content)
        print(f"wrote benchmarks/results/{self.name}.json", file=sys.stderr)
