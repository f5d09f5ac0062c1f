from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from colloid_cg.records import Box, Trajectories

SIDE = 30.0


@pytest.fixture(scope="session")
def two_phases() -> Trajectories:
    """Particles that rattle about fixed places (px = um): dense on the left, loose on the right; both species."""
    rng, homes = np.random.default_rng(5), np.empty((0, 2))
    while len(homes) < 330:
        home = rng.uniform(0, SIDE, size=(1, 2))
        least = 0.9 if home[0, 0] < SIDE / 2 else 1.5
        if len(homes) == 0 or np.linalg.norm(homes - home, axis=1).min() > least:
            homes = np.concatenate([homes, home])
    frames = []
    for frame in range(14):
        spots = np.clip(homes + rng.normal(0, 0.06, size=homes.shape), 0, SIDE)
        frames.append(pd.DataFrame({"frame": frame, "particle": np.arange(330), "x": spots[:, 0], "y": spots[:, 1]}))
    table = pd.concat(frames, ignore_index=True)
    table["species"] = table["particle"] % 2
    table["sigma_x"] = table["sigma_y"] = 0.06
    view = Box(lower=(0.0, 0.0), upper=(SIDE, SIDE), periodic=(False, False))
    return Trajectories(table=table, pixel_size=1.0, frame_interval=0.1, field_of_view=view, n_frames=14)
