"""An optical trap simulated by others, truth in the file (FORMA, Perez Garcia 2018, doi:10.1038/s41467-018-07437-x)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.io import loadmat

from colloid_cg.learn import FieldTables, FitConfig, fit
from colloid_cg.records import Box, Trajectories

PIXEL, FRAMES = 0.01, 15_000


def trapped(path: Path) -> tuple[Trajectories, float, float]:
    """Return a track whose x and y are two parts of the series, D (um2/s) and the stiffness (k_B T/um2)."""
    known = loadmat(path)
    x = 1e6 * known["x"].ravel()
    table = pd.DataFrame({"frame": np.arange(FRAMES), "particle": 0, "species": 0})
    table["x"], table["y"] = x[:FRAMES] / PIXEL, x[FRAMES : 2 * FRAMES] / PIXEL
    tracks = Trajectories(
        table=table, pixel_size=PIXEL, frame_interval=float(known["Dt"].item()), exposure=0.0, n_frames=FRAMES,
        field_of_view=Box(lower=(-100.0, -100.0), upper=(100.0, 100.0), periodic=(False, False)),
    )  # fmt: skip
    energy = float(known["kB"].item() * known["T"].item())
    return tracks, 1e12 * float(known["D"].item()), 1e-12 * float(known["k"].item()) / energy


def test_stiffness_and_diffusion_of_the_published_trap(data: Path) -> None:
    tracks, diffusion, stiffness = trapped(data / "optical_trap" / "forma1d.mat")
    border = int(0.8 * FRAMES)
    centre = FieldTables(traps=pd.DataFrame({"x": [0.0], "y": [0.0], "particle": [0]}))
    config = FitConfig(traps="traps.csv", knots=(0,), regime="overdamped", stride=1)
    metrics = fit(
        tracks.between(0, border), tracks.between(border, FRAMES), config, rng=1, fields=centre
    ).metrics  # fmt: skip
    for name, true, close in (("diffusion_coefficient", diffusion, 0.04), ("trap_stiffness", stiffness, 0.2)):
        entry = metrics[name][0]
        error = (entry["high90"] - entry["low90"]) / 3.29
        assert error < close * true  # sharp enough to be a check
        assert abs(entry["value"] - true) < 2.5 * error
