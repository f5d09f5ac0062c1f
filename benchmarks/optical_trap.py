"""An optical trap simulated by others, truth in the file (FORMA, Perez Garcia 2018, doi:10.1038/s41467-018-07437-x)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.io import loadmat

from colloid_cg.learn import FieldTables, FitConfig, fit
from colloid_cg.records import Box, Trajectories

PIXEL = 0.01
"""um; any length will do, the file is in metres."""
TRAINING_SHARE = 0.8


def trapped(path: Path, *, frames: int = 50_000) -> tuple[Trajectories, dict[str, float]]:
    """Return a track whose x and y are two parts of the one coordinate, and the true numbers as a fit names them."""
    known = loadmat(path)
    parts = 1e6 * known["x"].ravel()[: 2 * frames].reshape(2, frames) / PIXEL
    table = pd.DataFrame({"frame": np.arange(frames), "particle": 0, "species": 0, "x": parts[0], "y": parts[1]})
    tracks = Trajectories(
        table=table, pixel_size=PIXEL, frame_interval=float(known["Dt"].item()), exposure=0.0, n_frames=frames,
        field_of_view=Box(lower=(-100.0, -100.0), upper=(100.0, 100.0), periodic=(False, False)),
    )  # fmt: skip
    energy = float(known["kB"].item() * known["T"].item())
    return tracks, {
        "diffusion_coefficient": 1e12 * float(known["D"].item()),
        "trap_stiffness": 1e-12 * float(known["k"].item()) / energy,
    }


def fitted(tracks: Trajectories) -> dict[str, list[dict]]:
    """Return the metrics of a fit that is told the centre of the trap."""
    border = int(TRAINING_SHARE * tracks.n_frames)
    centre = FieldTables(traps=pd.DataFrame({"x": [0.0], "y": [0.0], "particle": [0]}))
    config = FitConfig(traps="traps.csv", knots=(0,), regime="overdamped")
    blocks = tracks.between(0, border), tracks.between(border, tracks.n_frames)
    return fit(*blocks, config, rng=1, fields=centre).metrics
