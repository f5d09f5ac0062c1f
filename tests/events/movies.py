"""Movies with known rearrangements for the event tests; lengths in px of 0.1 um, lattice spacing 10 px."""

from __future__ import annotations

import numpy as np
import pandas as pd

from colloid_cg.records import Box, Trajectories

SPACING = 10.0


def crystal(
    seed: int,
    *,
    size: int = 20,
    n_frames: int = 30,
    noise: float = 0.5,
    affine: float = 0.0,
    planted: dict[int, np.ndarray] | None = None,
    jump_at: int = 15,
    species_noise: tuple[float, float] | None = None,
) -> Trajectories:
    """A crystal with quenched disorder; ``planted`` maps particles to the vector by which they jump for good."""
    rng = np.random.default_rng(seed)
    column, row = np.meshgrid(np.arange(size), np.arange(size))
    places = SPACING * np.stack([column + 0.5 * (row % 2), np.sqrt(0.75) * row], axis=-1).reshape(-1, 2)
    places = places + rng.normal(0, 0.5, places.shape)
    species = rng.integers(0, 2, len(places))
    level = np.full(len(places), noise) if species_noise is None else np.asarray(species_noise)[species]
    centre, matrix, shift = places.mean(axis=0), np.eye(2), np.zeros(2)
    frames = []
    for t in range(n_frames):
        if t == jump_at and planted:
            for particle, vector in planted.items():
                places[particle] += vector
        if t and affine:
            matrix, shift = matrix @ (np.eye(2) + rng.normal(0, affine, (2, 2))), shift + rng.normal(0, 1.0, 2)
        seen = (places - centre) @ matrix.T + centre + shift + rng.normal(0, 1, places.shape) * level[:, None]
        frames.append(
            pd.DataFrame(
                {"frame": t, "particle": np.arange(len(places)), "x": seen[:, 0], "y": seen[:, 1], "species": species}
            )
        )
    high = SPACING * size
    view = Box(lower=(-8.0, -8.0), upper=(high + 5.0, high * np.sqrt(0.75) + 5.0), periodic=(False, False))
    return Trajectories(
        table=pd.concat(frames), pixel_size=0.1, frame_interval=0.1, field_of_view=view, n_frames=n_frames
    )


def cluster_jump(size: int, *, length: float, seed: int) -> dict[int, np.ndarray]:
    """Seven neighbouring particles in the middle of the crystal, each displaced by ``length`` px its own way."""
    rng = np.random.default_rng(seed)
    row = column = size // 2
    members = [row * size + column + k for k in (-1, 0, 1)]
    members += [(row + side) * size + column + k for side in (-1, 1) for k in (-1 + row % 2, row % 2)]
    angle = rng.uniform(0, 2 * np.pi, len(members))
    return {m: length * np.array([np.cos(a), np.sin(a)]) for m, a in zip(members, angle, strict=True)}
