"""Command line of the star-polymer melts."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.star_polymer.analysis import analyse
from benchmarks.star_polymer.comparison import record
from benchmarks.star_polymer.figure import draw
from benchmarks.star_polymer.melt import STARS
from benchmarks.star_polymer.molecular_dynamics import Melt, simulate


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.star_polymer", description=__doc__)
    parser.add_argument("--beads", type=int, choices=sorted(STARS), required=True, help="beads of a star")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder; an interrupted run goes on in it")
    parser.add_argument("--stars", type=int, help="number of stars (default: as published)")
    parser.add_argument("--frames", type=int, default=401, help="frames of the training file")
    parser.add_argument("--equilibration", type=float, default=500.0, help="time at constant temperature")
    parser.add_argument("--reference", type=float, default=1000.0, help="time of the reference run")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--record", action="store_true", help="write benchmarks/results/star_polymer.json as well")
    arguments = parser.parse_args()
    star = STARS[arguments.beads]
    melt = Melt(
        folder=arguments.output,
        star=star,
        stars=arguments.stars or star.published_stars,
        seed=arguments.seed,
        equilibration=arguments.equilibration,
        reference=arguments.reference,
        frames=arguments.frames,
    )
    melt.folder.mkdir(parents=True, exist_ok=True)
    _same_settings(melt)
    simulate(melt)
    figures = analyse(melt)
    drawn = draw(melt, melt.folder / "overview.png")
    print(table(figures), "" if drawn else "no picture: matplotlib is not installed", sep="\n")
    if arguments.record:
        record(melt, figures)


def table(figures: dict[str, Any]) -> str:
    """Return the figures for people, one per line."""
    rows = []
    for name, value in figures.items():
        if name.endswith("_error"):
            continue
        error = figures.get(f"{name}_error")
        shown = f"{value[0]:.4f} ... {value[-1]:.4f}" if isinstance(value, list) else f"{value:.6g}"
        rows.append(f"{name.replace('_', ' '):34s} {shown}" + ("" if error is None else f" +- {error:.2g}"))
    return "\n".join(rows)


def _same_settings(melt: Melt) -> None:
    """Write the settings, or refuse to go on with others than the folder was begun with."""
    settings = {
        "beads": melt.star.beads,
        "stars": melt.stars,
        "seed": melt.seed,
        "equilibration": melt.equilibration,
        "frames": melt.frames,
        "reference": melt.reference,
    }
    path = melt.folder / "settings.json"
    if not path.exists():
        path.write_text(json.dumps(settings, indent=1))
    begun = json.loads(path.read_text())
    if begun != settings:
        sys.exit(f"Found {path} with {begun}; expected {settings}; choose another folder or repeat those settings.")


if __name__ == "__main__":
    main()
