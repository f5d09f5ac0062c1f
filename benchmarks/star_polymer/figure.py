"""One picture of a melt: is it equilibrated, and what are its statistics."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.star_polymer.analysis import pieces
from benchmarks.star_polymer.molecular_dynamics import Melt


def draw(melt: Melt, path: Path) -> bool:
    """Write the picture; False where matplotlib is not installed."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return False
    figure = Figure(figsize=(12, 7), layout="constrained")
    axes = figure.subplots(2, 3)
    _course(axes[0, 0], melt, "temperature", "temperature of the beads")
    _course(axes[0, 1], melt, "gyration_radius", "radius of gyration (rms)")
    _course(axes[0, 2], melt, "energy", "energy per bead")
    with np.load(melt.folder / f"star{melt.star.beads}_reference.npz") as data:
        axes[1, 0].plot(data["r"], data["g"])
        axes[1, 0].set(xlabel="r", ylabel="g(r)")
        axes[1, 1].errorbar(data["t_msd"], data["msd"], data["msd_error"])
        axes[1, 1].set(xlabel="t", ylabel="mean squared displacement")
        axes[1, 2].plot(data["t"], data["vacf"] / data["vacf"][0])
        axes[1, 2].fill_between(
            data["t"],
            (data["vacf"] - data["vacf_error"]) / data["vacf"][0],
            (data["vacf"] + data["vacf_error"]) / data["vacf"][0],
            alpha=0.4,
        )
        axes[1, 2].axhline(0.0, color="grey", linewidth=0.5)
        axes[1, 2].set(xlabel="t", ylabel="velocity autocorrelation", xlim=(0.0, 10.0))
    figure.suptitle(f"{melt.stars} stars of {melt.star.beads} beads, seed {melt.seed}")
    figure.savefig(path, dpi=90)
    return True


def _course(axis: object, melt: Melt, name: str, label: str) -> None:
    """Draw the course of a quantity, a value per piece: constant temperature, then constant energy."""
    begin = 0.0
    for kind, total in (("equilibration", melt.equilibration), ("reference", melt.reference)):
        values = []
        for path in pieces(melt, kind):
            with np.load(path) as piece:
                held = piece[name].astype(float)
            values.append(np.sqrt((held**2).mean()) if name == "gyration_radius" else held.mean())
        times = begin + (np.arange(len(values)) + 0.5) * total / len(values)
        axis.plot(times, values, "o-", markersize=3, label=kind)  # type: ignore[attr-defined]
        begin += total
    axis.set(xlabel="time", ylabel=label)  # type: ignore[attr-defined]
    axis.legend()  # type: ignore[attr-defined]
