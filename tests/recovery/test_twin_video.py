"""The test that matters most: from the pixels of a twin back to the physics it was made of."""

from __future__ import annotations

import numpy as np
import pytest

import colloid_cg as cg
from benchmarks.calibration import true_localisation_variance
from benchmarks.foundation import scores_of


@pytest.mark.slow
def test_every_recovered_value_is_within_three_of_its_own_standard_errors() -> None:
    twin = cg.make_twin("yukawa", cg.TwinConfig(n_frames=250, seed=4))
    tracks = cg.track(twin.stack())
    train, select, _ = cg.split_by_time(tracks)
    model = cg.fit(train, select, rng=0)
    assert model.config["pair_force_used"]
    assert model.metrics["regime"][0]["value"] == "overdamped"
    truth = twin.parameters["diffusion_coefficient"][0]
    variance = true_localisation_variance(twin.truth_table, tracks)
    scores = scores_of(model, diffusion=truth, variance=variance, force=twin.pair_force)
    assert set(scores) == {"D", "s2", "pair force"}
    assert np.abs(list(scores.values())).max() < 3.0, scores
    entry = model.metrics["diffusion_coefficient"][0]
    assert (entry["high90"] - entry["low90"]) / 2 < 0.04 * truth  # an interval that covers everything proves nothing
    force = model.pair_force
    assert (force["low90"] > 0).any()
