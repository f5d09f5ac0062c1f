"""The encoder that is trained with the dynamics finds what the neighbourhood says of the mobility, and nothing else."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.spatial import cKDTree

from colloid_cg.learn import FitConfig, fit
from colloid_cg.learn.latent import hidden_fields, hidden_model
from colloid_cg.learn.latent.refine import _regression
from colloid_cg.records import Box, ModelBundle, Trajectories
from colloid_cg.states import split_by_time
from colloid_cg.structure import StructureConfig, encode

SIDE, FRAMES = 22, 60


def _layer(slope: float, seed: int) -> tuple[Trajectories, np.ndarray]:
    """Return a disordered layer where the number of near neighbours decides on the mobility, and its z-score."""
    rng = np.random.default_rng(seed)
    sites = np.stack(np.meshgrid(np.arange(float(SIDE)), np.arange(float(SIDE))), axis=-1).reshape(-1, 2) + 1.0
    sites += 0.18 * rng.normal(size=sites.shape)
    near = np.array([len(each) for each in cKDTree(sites).query_ball_point(sites, 1.3)], dtype=float)
    near = (near - near.mean()) / near.std()
    steps = 0.006 * np.exp(0.5 * slope * near)[:, None, None] * rng.normal(size=(len(sites), FRAMES, 2))
    places = sites[:, None] + np.cumsum(steps, axis=1) - steps
    n = len(sites)
    table = pd.DataFrame({"frame": np.tile(np.arange(FRAMES), n), "particle": np.repeat(np.arange(n), FRAMES)})
    table[["x", "y"]] = places.reshape(-1, 2)
    view = Box(lower=(-0.5, -0.5), upper=(SIDE + 1.5, SIDE + 1.5), periodic=(False, False))
    return Trajectories(
        table=table, pixel_size=1.0, frame_interval=0.1, field_of_view=view, n_frames=FRAMES
    ), near  # fmt: skip


def _fitted(tracks: Trajectories) -> ModelBundle:
    train, select, _ = split_by_time(tracks, fractions=(0.6, 0.3, 0.1))
    config = FitConfig(hidden_variables=1, knots=(0,), regime="overdamped")
    return fit(train, select, config, rng=1, structure=StructureConfig(lag=2, epochs=1, cutoff=2.2))


def test_structure_that_decides_is_found() -> None:
    tracks, near = _layer(0.9, 1)
    bundle = _fitted(tracks)
    assert bundle.metrics["latent_structure_share"][0]["value"] > 0.4
    gains = {name: bundle.metrics[f"latent_gain{name}"][0] for name in ("", "_memory", "_shuffled")}
    assert gains[""]["value"] > gains["_memory"]["value"] > 0.0
    assert abs(gains["_shuffled"]["value"]) < 0.1 * gains[""]["value"]
    model = hidden_model(bundle)
    assert model is not None
    s0 = encode(model.structure, tracks).query("frame == 20").set_index("particle")["s0"].dropna()
    assert abs(np.corrcoef(s0, near[s0.index])[0, 1]) > 0.6


def test_a_regression_tells_unseen_particles_or_nothing() -> None:
    rng = np.random.default_rng(2)
    x, fold = rng.normal(size=(3000, 30)), np.arange(3000) % 5
    noise = rng.normal(size=3000)
    found = _regression(x, x[:, 0] + noise, fold)
    assert found.correlation == pytest.approx(np.sqrt(0.5), abs=0.04)
    assert np.abs(found.whole[0]) > 5.0 * np.abs(found.whole[1:]).max()
    assert abs(_regression(x, noise, fold).correlation) < 0.06


def test_a_species_of_three_particles_is_left_out_and_said() -> None:
    """Their numbers leave the same remainder: no fold holds one without the others."""
    tracks, _ = _layer(0.9, 3)
    middle = tracks.table["particle"].isin([SIDE * 8 + 6, SIDE * 8 + 11, SIDE * 8 + 16])
    bundle = _fitted(tracks.with_table(tracks.table.assign(species=middle.astype(int))))
    assert [entry["species"] for entry in bundle.metrics["latent_spread"]] == [0]
    assert any("Species 1" in line for line in bundle.diagnostics["warnings"])
    fields = hidden_fields(bundle, tracks.with_table(tracks.table.assign(species=middle.astype(int))))
    assert fields is not None
    assert fields["s"][middle].isna().all()
    assert fields["s"][~middle].notna().mean() > 0.3
