"""Inertial particles that rub and repel, from noisy positions to a bundle."""

from __future__ import annotations

import json

import numpy as np
import pytest

from colloid_cg.errors import DataError
from colloid_cg.learn import FitConfig, fit, model_from_bundle
from colloid_cg.learn.inertial.candidate import fit_free, fit_pairs, free_model, with_knots
from colloid_cg.learn.inertial.equation import design_of, frames_of, solve
from colloid_cg.learn.inertial.pair_terms import matrix_function
from colloid_cg.learn.problem import prepare
from colloid_cg.learn.regime import decide_regime
from colloid_cg.learn.series import chains
from colloid_cg.records import ModelBundle
from colloid_cg.simulation import simulate
from colloid_cg.states import from_trajectories
from tests.learn.langevin_worlds import RANGE, Fluid, free_particles, interacting, noisy
from tests.learn.worlds import brownian, tracks

FLUID = Fluid()
RATIO = 0.2


@pytest.fixture(scope="module")
def seen() -> tuple[np.ndarray, float]:
    return noisy(interacting(1, FLUID, frames=360), RATIO, 1)


@pytest.fixture(scope="module")
def bundle(seen: tuple[np.ndarray, float]) -> ModelBundle:
    whole = tracks(seen[0], side=FLUID.side, dt=FLUID.dt)
    config = FitConfig(knots=(6,), cutoff=RANGE)
    return fit(whole.between(0, 280), whole.between(280, 360), config, rng=1)


def _within(entry: dict[str, float], truth: float, times: float = 2.0) -> bool:
    return bool(abs(entry["value"] - truth) < times * (entry["high90"] - entry["low90"]) / 2)


def test_numbers(bundle: ModelBundle, seen: tuple[np.ndarray, float]) -> None:
    assert bundle.config["kind"] == "underdamped"
    friction, theta = bundle.metrics["friction"][0], bundle.metrics["thermal_speed_squared"][0]
    assert friction["unit"] == "1/s"
    assert theta["unit"] == "um2/s2"
    assert _within(friction, FLUID.bath)
    assert friction["high90"] - friction["low90"] < 0.4 * FLUID.bath
    assert _within(theta, FLUID.theta)
    assert theta["high90"] - theta["low90"] < 0.12
    variance = bundle.value("localisation_variance")
    assert abs(variance - seen[1]) < max(0.05 * seen[1], 0.02 * FLUID.theta * FLUID.dt**2)
    assert "diffusion_coefficient" not in bundle.metrics
    assert f"beyond {RANGE:.3g} um" in friction["note"]
    assert bundle.metrics["log_likelihood_gain"][0]["low90"] > 0.1


def test_curves(bundle: ModelBundle) -> None:
    table = bundle.pair_force
    core = table[(table["r"] > 0.7) & (table["r"] < 1.3)]
    truth = FLUID.force_at(core["r"].to_numpy())
    assert float((core["force"] * truth).sum() / (truth**2).sum()) == pytest.approx(1.0, abs=0.06)
    found = bundle.diagnostics["pair_friction"]
    r = np.array(found["r"])
    inside = (r > 0.8) & (r < 1.3)
    for name, truth in zip(("g_par", "g_perp"), FLUID.friction_at(r), strict=True):
        value, low, high = (np.array(found[key]) for key in (name, f"{name}_low90", f"{name}_high90"))
        assert (np.abs(value - truth)[inside] < 2.0 * (high - low)[inside] / 2).all()
        assert (high - low)[inside].mean() < 1.2


def test_bundle_is_complete_and_json_able(bundle: ModelBundle) -> None:
    assert json.loads(json.dumps(bundle.diagnostics)) == bundle.diagnostics
    assert json.loads(json.dumps(bundle.config)) == bundle.config
    assert bundle.metrics["regime"][0]["value"] == "underdamped"
    white = bundle.diagnostics["innovations"]
    assert np.abs(white["autocorrelation"][:5]).max() < 0.03
    scales = bundle.diagnostics["fluctuation_dissipation"]
    assert scales["p_value"] > 1e-4


def test_an_inertial_model_is_not_simulated_yet(bundle: ModelBundle, seen: tuple[np.ndarray, float]) -> None:
    with pytest.raises(DataError, match="cannot be simulated yet"):
        model_from_bundle(bundle)
    with pytest.raises(DataError, match="cannot be simulated yet"):
        simulate(bundle, tracks(seen[0][:20], side=FLUID.side, dt=FLUID.dt))


def test_regression_on_the_same_frames_fails(seen: tuple[np.ndarray, float]) -> None:
    """The naive control: central differences see no friction at all, whatever the model."""
    series = from_trajectories(tracks(seen[0], side=FLUID.side, dt=FLUID.dt))
    step = FLUID.theta * FLUID.dt / 2
    block = prepare(series, n_species=1, drift_velocity=np.zeros(2), cutoff=RANGE, diffusion=step)
    frames = frames_of(block, np.random.default_rng(0))
    free = fit_free(frames, cutoff=RANGE)
    start = with_knots(free.model, n_friction=4, n_force=6, lower=0.5, cutoff=RANGE)
    naive = solve(frames, start, smoothness=0.01, at_hand=True).model
    right = fit_pairs(frames, start, smoothness=0.01).model
    r = np.linspace(0.8, 1.2, 9)
    total = {
        name: model.bath + 4 * sum(model.curves(r)[:2]).mean() for name, model in (("naive", naive), ("ours", right))
    }
    truth = FLUID.bath + 4 * sum(FLUID.friction_at(r)).mean()
    assert total["ours"] == pytest.approx(truth, rel=0.15)
    assert abs(total["naive"] / truth - 1.0) > 0.5
    assert free.model.bath > 1.5 * FLUID.bath  # without pair terms the bath takes their friction


def test_instruments_share_no_noise_with_the_residual() -> None:
    """Noise alone, on particles that keep apart: instruments and terms of u are uncorrelated, terms with r are not."""
    rng = np.random.default_rng(5)
    path = np.repeat(60.0 * rng.random((1, 400, 2)), 200, axis=0) + 0.01 * rng.standard_normal((200, 400, 2))
    block = prepare(
        from_trajectories(tracks(path, side=60.0, dt=0.05)), n_species=1, drift_velocity=np.zeros(2), cutoff=RANGE
    )
    frames = frames_of(block, rng)
    model = with_knots(free_model(RANGE), n_friction=0, n_force=0, lower=0.5, cutoff=RANGE)
    design = design_of(frames, model)
    second = frames.second[design.rows]
    lagged = float((design.instruments[..., 0] * second).mean() / (design.instruments[..., 0].std() * second.std()))
    now = float((frames.backward[design.rows] * second).mean() / (frames.backward[design.rows].std() * second.std()))
    assert abs(lagged) < 4 / np.sqrt(second.size)
    assert now < -0.5


def test_function_of_the_friction_matrix_against_eigenvectors() -> None:
    rng = np.random.default_rng(6)
    root = rng.standard_normal((12, 12))
    matrix = root @ root.T
    matrix *= 2.0 / np.linalg.eigvalsh(matrix).max()
    vector = rng.standard_normal((12, 2))
    values, vectors = np.linalg.eigh(matrix)

    def function(x: np.ndarray) -> np.ndarray:
        return np.asarray(2 * np.tanh(x / 2) / x)

    expected = vectors @ (function(values)[:, None] * (vectors.T @ vector))
    found = matrix_function(function, lambda x: matrix @ x, vector, largest=2.5)
    assert found == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("ratio", [0.0, 0.3])
def test_inertia_is_recognised_at_any_noise_and_diffusion_is_not_taken_for_it(ratio: float) -> None:
    rng = np.random.default_rng(7)
    slow = free_particles(rng, n=40, frames=150, theta=1.0, friction=2.0, dt=0.05)
    for path, expected in (
        (slow, "underdamped"),
        (brownian(rng, n=40, frames=150, diffusion=0.5, dt=0.05), "overdamped"),
    ):
        series = from_trajectories(tracks(noisy(path, ratio, 7)[0], side=60.0, dt=0.05))
        assert decide_regime(series, chains(series)).name == expected


def test_two_species_are_refused() -> None:
    whole = tracks(
        free_particles(np.random.default_rng(8), n=40, frames=120, theta=1.0, friction=3.0, dt=0.05), side=60.0, dt=0.05
    )
    whole = whole.with_table(whole.table.assign(species=(whole.table["particle"] % 2).astype(int)))
    with pytest.raises(DataError, match="2 species"):
        fit(whole.between(0, 90), whole.between(90, 120))
