"""Finished cells of a long table, one JSON line each, so that a run can be killed and taken up again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.record import RESULTS
from colloid_cg.provenance import code_version, sha256_of_file, sha256_of_json

CHECKPOINT = RESULTS.parent / "checkpoint" / "inference.jsonl"
SOURCES = ("inference_systems.py", "inference_wells.py", "inference_cells.py")


def version(sources: tuple[str, ...] = SOURCES) -> str:
    """Return a digest of the package and of the code of the cells: a changed line starts the table afresh."""
    digests = [sha256_of_file(RESULTS.parent / name) for name in sources]
    return sha256_of_json([code_version(), *digests])[:16]


def key(system: str, seed: int, ratio: float, blurred: bool) -> str:
    return f"{system}, seed {seed}, ratio {ratio:g}, {'full exposure' if blurred else 'no exposure'}"


def finished(current: str, path: Path = CHECKPOINT) -> dict[str, dict[str, Any]]:
    """Return the cells computed by this version of the code; a line cut short by a kill is left out."""
    cells = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if entry["version"] == current:
            cells[entry["key"]] = entry["cell"]
    return cells


def append(name: str, cell: dict[str, Any], current: str, path: Path = CHECKPOINT) -> None:
    """Add one cell in a single write, which several processes may do."""
    path.parent.mkdir(exist_ok=True)
    with path.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps({"version": current, "key": name, "cell": cell}) + "\n")
