from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.spatial import cKDTree

from colloid_cg.records import Box, Trajectories
from colloid_cg.structure import StructureConfig, encode, fit_structure


@pytest.mark.data
def test_jammed_discs(data: Path):
    steps = []
    for step, path in enumerate(sorted((data / "jammed_shear").glob("*_ParticleData.dlm"))):
        table = pd.read_csv(path, header=None, names=["particle", "x", "y", "r", "force"])
        steps.append(table.assign(frame=step))
    table = pd.concat(steps, ignore_index=True)
    table["species"] = (table.groupby("particle")["r"].transform("median") > 24).astype(int)
    lower, upper = table[["x", "y"]].min() - 25, table[["x", "y"]].max() + 25
    view = Box(lower=tuple(lower), upper=tuple(upper), periodic=(False, False))
    tracks = Trajectories(table=table, pixel_size=1.0, frame_interval=1.0, field_of_view=view, n_frames=14)
    model = fit_structure(tracks, StructureConfig(epochs=4, patience=4), rng=1)
    plain = fit_structure(tracks, StructureConfig(epochs=4, patience=4, mobility_weight=0.0), rng=1)
    fields = encode(model, tracks)

    # Small discs touch at 40 px: the cutoff chosen from the data spans two shells of this mixture.
    assert 88 < model.neighbourhood.cutoff < 132
    # Share of the area under discs, by cells and by painting the discs on a grid of pixels, in the same window.
    core = tracks.table[["x", "y"]].gt(400).all(axis=1) & tracks.table[["x", "y"]].lt(1200).all(axis=1)
    assert fields.loc[core, "voronoi_area"].notna().all()
    by_cells = (np.pi * tracks.table.loc[core, "r"] ** 2).sum() / fields.loc[core, "voronoi_area"].sum()
    painted = np.mean([painted_share(tracks.at(frame), 400, 1200) for frame in (0, 6, 13)])
    assert by_cells == pytest.approx(painted, rel=0.02)
    for species in (0, 1):
        found = model.metadata["species"][str(species)]
        # s gives up some of the neighbourhood to say how far a disc moves; principal components say nothing of it.
        assert found["validation_scores"]["present"] > 0.1
        assert found["principal_component_scores"]["mobility"] == 0.0
        assert found["validation_scores"]["mobility"] >= 0.0
        assert plain.metadata["species"][str(species)]["validation_scores"]["present"] > 0.2
        # Quasi-static steps: nearly every neighbourhood is the same one step later.
        assert found["persistence"][0] > 0.98


def painted_share(discs: pd.DataFrame, low: int, high: int) -> float:
    axis = np.arange(low, high) + 0.5
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    spots = cKDTree(discs[["x", "y"]].to_numpy())
    covered = np.zeros(len(grid), dtype=bool)
    distance, near = spots.query(grid, k=3)
    for rank in range(3):
        covered |= distance[:, rank] < discs["r"].to_numpy()[near[:, rank]]
    return float(covered.mean())
