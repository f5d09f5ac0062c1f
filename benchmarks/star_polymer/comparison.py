"""A melt of 11-bead stars beside the reference melt of COLLOID_CG_DATA, which was made by other scripts and seeds."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.star_polymer.melt import STARS
from benchmarks.star_polymer.molecular_dynamics import Melt

PUBLISHED_EDGE = {11: 30.18, 51: 63.41}
"""Box edges of the published runs of arXiv:2508.12569 (1000 and 2000 stars)."""
LAGS = (0.25, 0.5, 1.0, 2.0, 3.0, 5.0)
ERRORS = 4.0
"""Standard errors within which two melts agree; the reference's own error is taken to be that of the new melt."""


def record(melt: Melt, figures: dict[str, Any]) -> None:
    """Write benchmarks/results/star_polymer.json, the reference beside it where the data are there."""
    # Only here is colloid_cg needed: the melts themselves are made without it.
    from benchmarks.record import Record

    made = Record("star_polymer", started=time.perf_counter() - _seconds(melt.folder))
    for beads, edge in PUBLISHED_EDGE.items():
        star = STARS[beads]
        value = star.box_edge(star.published_stars)
        made.add(
            f"box edge, {star.published_stars} stars of {beads}",
            value,
            target=[edge - 0.005, edge + 0.005],
            note="as published",
        )
    note = (
        f"{melt.stars} stars of {melt.star.beads} beads, seed {melt.seed}, {melt.equilibration:g} time units of "
        f"equilibration, {melt.reference:g} of reference"
    )
    error = figures["star_temperature_error"]
    first, last = figures["diffusion_window"]
    windows = {"diffusion_from_msd": f"; slope between lags {first:g} and {last:g}"}
    made.add("star temperature", figures["star_temperature"], target=[0.98, 1.02], note=f"+- {error:.2g}; {note}")
    for name in ("gyration_radius", "rdf_peak", "rdf_peak_at", "diffusion_from_msd", "diffusion_from_vacf"):
        made.add(name.replace("_", " "), figures[name], note=note + windows.get(name, ""))
    folder = os.environ.get("COLLOID_CG_DATA")
    if melt.star.beads == 11 and folder:
        _beside(made, melt, Path(folder) / "star_polymer")
    made.write()


def _seconds(folder: Path) -> float:
    """Return what LAMMPS took for all pieces, from its logs."""
    found = re.findall(r"Total wall time: (\d+):(\d+):(\d+)", "".join(log.read_text() for log in folder.glob("*.log")))
    return float(sum(3600 * int(h) + 60 * int(m) + int(s) for h, m, s in found))


def _beside(made: Any, melt: Melt, folder: Path) -> None:
    """Add the difference to the given melt: pair correlation and velocity autocorrelation."""
    with (
        np.load(melt.folder / f"star{melt.star.beads}_reference.npz") as new,
        np.load(folder / "star11_reference.npz") as given,
        np.load(folder / "star11_vacf_reference.npz") as given_vacf,
    ):
        bins = min(len(new["r"]), len(given["r"]))
        g, reference = new["g"][:bins], given["g"][:bins]
        distance = float(np.sqrt(((g - reference) ** 2).sum() / (reference**2).sum()))
        made.add("pair correlation: relative distance to the given melt", distance, target=0.01, better="lower")
        c, error = new["vacf"] / new["vacf"][0], new["vacf_error"] / new["vacf"][0]
        peer = given_vacf["vacf"] / given_vacf["vacf"][0]
        for lag in LAGS:
            k = int(np.argmin(np.abs(new["t"] - lag)))
            expected = float(np.interp(lag, given_vacf["t"], peer))
            margin = ERRORS * np.sqrt(2.0) * float(error[k])
            made.add(
                f"velocity autocorrelation at {lag:g}",
                float(c[k]),
                target=[float(expected - margin), float(expected + margin)],
                peer="given melt",
                peer_value=expected,
                note=f"standard error {error[k]:.2g}",
            )
