"""The whole fit: what it reports, what it refuses, and that it repeats."""

from __future__ import annotations

import json

import numpy as np
import pytest

from colloid_cg.dynamics import pair_force
from colloid_cg.errors import ConfigError, DataError
from colloid_cg.learn import FitConfig, fit, model_from_bundle
from colloid_cg.records import ModelBundle, Trajectories
from tests.learn.worlds import brownian, inertial, tracks, yukawa, yukawa_force

D, DT = 0.5, 0.04
NAMES = {"regime", "diffusion_coefficient", "localisation_variance", "blur_coefficient", "log_likelihood_gain"}
CURVES = {
    "regime", "diffusion_against_lag", "half_rate", "innovations", "selection", "force_samples", "stated_sigma",
    "not_modelled",
}  # fmt: skip


def _free_tracks(seed: int, *, ratio: float = 0.25, exposure: float | None = None) -> Trajectories:
    rng = np.random.default_rng(seed)
    path = brownian(rng, n=60, frames=200, diffusion=D, dt=DT)
    return tracks(
        path + np.sqrt(ratio * 2 * D * DT) * rng.standard_normal(path.shape), side=60.0, dt=DT, exposure=exposure
    )


def _fit(whole: Trajectories, **settings: object) -> ModelBundle:
    return fit(whole.between(0, 150), whole.between(150, 200), FitConfig(knots=(0, 4), **settings), rng=3)


@pytest.fixture(scope="module")
def free() -> ModelBundle:
    return _fit(_free_tracks(0))


def test_free_particles(free: ModelBundle) -> None:
    entry = free.metrics["diffusion_coefficient"][0]
    assert entry["low90"] < D < entry["high90"]
    assert entry["high90"] - entry["low90"] < 0.1 * D
    assert free.metrics["regime"][0]["value"] == "overdamped"
    assert free.config["pair_force_used"] is False
    assert model_from_bundle(free).n_knots == 0
    assert "exposure unknown" in free.metrics["localisation_variance"][0]["note"]


def test_bundle_is_complete_and_json_able(free: ModelBundle) -> None:
    assert set(free.metrics) >= NAMES
    assert set(free.diagnostics) >= CURVES
    assert json.loads(json.dumps(free.diagnostics)) == free.diagnostics
    assert json.loads(json.dumps(free.config)) == free.config
    lags = free.diagnostics["diffusion_against_lag"]
    assert all(low < D < high for low, high in zip(lags["low90"][:3], lags["high90"][:3], strict=True))
    white = free.diagnostics["innovations"]
    assert np.abs(white["autocorrelation"][:3]).max() < 2.5 * max(white["band"][:3])
    assert free.diagnostics["half_rate"]["note"].startswith("agrees")


def test_the_same_seed_gives_the_same_numbers(free: ModelBundle) -> None:
    again = _fit(_free_tracks(0))
    assert json.dumps(again.metrics) == json.dumps(free.metrics)
    assert all(np.array_equal(again.weights[name], free.weights[name]) for name in free.weights)
    assert again.pair_force.equals(free.pair_force)


def test_known_exposure_is_used() -> None:
    rng = np.random.default_rng(6)
    path = brownian(rng, n=60, frames=200, diffusion=D, dt=DT, blurred=True)
    bundle = _fit(tracks(path, side=60.0, dt=DT, exposure=DT))
    assert bundle.metrics["blur_coefficient"][0]["value"] == pytest.approx(1 / 6)
    variance = bundle.metrics["localisation_variance"][0]
    assert variance["low90"] < 0.0 < variance["high90"]
    assert "exposure unknown" not in variance["note"]


def test_two_species_get_two_coefficients() -> None:
    rng = np.random.default_rng(7)
    slow = brownian(rng, n=40, frames=200, diffusion=0.2, dt=DT)
    fast = brownian(rng, n=40, frames=200, diffusion=0.9, dt=DT)
    whole = tracks(np.concatenate([slow, fast], axis=1), side=60.0, dt=DT)
    whole = whole.with_table(whole.table.assign(species=(whole.table["particle"] % 80 >= 40).astype(int)))
    entries = _fit(whole).metrics["diffusion_coefficient"]
    assert [entry["species"] for entry in entries] == [0, 1]
    for entry, truth in zip(entries, (0.2, 0.9), strict=True):
        assert abs(entry["value"] - truth) < 1.5 * (entry["high90"] - entry["low90"]) / 2
        assert entry["high90"] - entry["low90"] < 0.2 * truth


def test_yukawa_force_is_recovered_and_used() -> None:
    positions, side = yukawa(5, frames=300)
    seen = positions + np.sqrt(0.25 * 0.01) * np.random.default_rng(8).standard_normal(positions.shape)
    whole = tracks(seen, side=side, dt=0.005)
    bundle = fit(whole.between(0, 240), whole.between(240, 300), FitConfig(knots=(0, 6), cutoff=3.0), rng=1)
    assert bundle.config["pair_force_used"]
    table = bundle.pair_force
    core = table[(table["r"] > 0.85) & (table["r"] < 1.6)]
    truth = yukawa_force(core["r"].to_numpy())
    assert ((core["low90"] < truth) & (truth < core["high90"])).mean() > 0.5
    assert float((core["force"] * truth).sum() / (truth**2).sum()) == pytest.approx(1.0, abs=0.15)
    found = pair_force(model_from_bundle(bundle), core["r"].to_numpy())
    assert np.allclose(found, core["force"])
    assert bundle.metrics["diffusion_coefficient"][0]["value"] == pytest.approx(1.0, rel=0.04)
    assert bundle.metrics["log_likelihood_gain"][0]["low90"] > 0


def test_a_force_that_could_not_be_tried_has_no_interval_and_its_true_cause() -> None:
    entry = _fit(_free_tracks(1), cutoff=3.0, resolution=3.5).metrics["log_likelihood_gain"][0]
    assert entry["value"] == 0.0
    assert entry["low90"] is None
    assert entry["high90"] is None
    assert "neighbours within 3 um (fit.cutoff) are all farther than" in entry["note"]


def test_inertial_motion_gets_an_inertial_model_unless_told_otherwise() -> None:
    rng = np.random.default_rng(9)
    whole = tracks(inertial(rng, n=60, frames=200, diffusion=D, dt=DT, theta=0.3), side=60.0, dt=DT)
    assert _fit(whole).config["kind"] == "underdamped"
    told = _fit(whole, regime="overdamped")
    assert told.config["kind"] == "overdamped"
    assert told.metrics["regime"][0]["value"] == "overdamped"  # what was fitted, not what the data ask for
    assert "given all the same" in told.metrics["regime"][0]["note"]


def test_frozen_particles_are_refused() -> None:
    rng = np.random.default_rng(10)
    still = np.repeat(60.0 * rng.random((1, 40, 2)), 60, axis=0)
    with pytest.raises(DataError, match="do not move"):
        _fit_short(tracks(still, side=60.0, dt=DT))
    with pytest.raises(DataError, match="localisation noise"):
        _fit_short(tracks(still + 0.02 * rng.standard_normal(still.shape), side=60.0, dt=DT))


def test_short_tracks_are_refused() -> None:
    whole = _free_tracks(1)
    table = whole.table.assign(particle=whole.table["particle"] + 10**6 * (whole.table["frame"] // 2))
    with pytest.raises(DataError, match="three consecutive frames"):
        _fit(whole.with_table(table))


def _fit_short(whole: Trajectories) -> ModelBundle:
    return fit(whole.between(0, 40), whole.between(40, 60))


@pytest.mark.parametrize("knots", [(), (2,), (-1,)])
def test_impossible_knots_are_refused(knots: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match="knots"):
        FitConfig(knots=knots)
