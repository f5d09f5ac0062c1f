"""Noise that differs between detections: followed where the stated errors say so, ignored where they are nonsense."""

from __future__ import annotations

import numpy as np
import pytest

from colloid_cg.learn import FitConfig, fit
from colloid_cg.learn.noise import NoiseFit
from colloid_cg.learn.noise_form import choose_noise_form, with_noise_form
from colloid_cg.learn.problem import Block, fit_free, prepare
from colloid_cg.records import Trajectories
from colloid_cg.states import from_trajectories
from tests.learn.worlds import PIXEL, brownian, tracks

D, DT, MEAN = 0.5, 0.04, 0.04  # the mean s2 equals 2 D dt
N, FRAMES = 60, 120


def _world(seed: int, *, kind: str) -> tuple[Trajectories, float]:
    """Tracks with unequal noise and what a tracker says of it; returns the mean true variance too."""
    rng = np.random.default_rng(seed)
    path = brownian(rng, n=N, frames=FRAMES, diffusion=D, dt=DT)
    uneven = np.where(np.arange(N) % 4 == 0, 2.8, 0.4)[None, :] * np.exp(0.3 * rng.standard_normal((FRAMES, N)))
    variance = {"factor": MEAN * uneven, "shift": 0.5 * MEAN * (1.0 + uneven), "nonsense": np.full((FRAMES, N), MEAN)}[
        kind
    ]
    stated = {"factor": variance / 2.0, "shift": variance - 0.4 * MEAN, "nonsense": MEAN * rng.permuted(uneven)}[kind]
    seen = path + np.sqrt(variance)[..., None] * rng.standard_normal(path.shape)
    whole = tracks(seen, side=60.0, dt=DT)
    sigma = np.sqrt(stated).ravel() / PIXEL
    # worlds.tracks lists frame by frame, particle by particle; Trajectories sort by particle number within a frame
    number = np.arange(FRAMES * N).reshape(FRAMES, N)
    order = whole.table["particle"].to_numpy() % N + N * whole.table["frame"].to_numpy()
    assert sorted(order) == number.ravel().tolist()
    return whole.with_table(whole.table.assign(sigma_x=sigma[order], sigma_y=sigma[order])), float(variance.mean())


def _block(whole: Trajectories) -> Block:
    return prepare(from_trajectories(whole), n_species=1, drift_velocity=np.zeros(2))


@pytest.mark.parametrize("kind", ["factor", "shift"])
def test_true_form_is_chosen_and_right(kind: str) -> None:
    found: list[NoiseFit] = []
    constant: list[NoiseFit] = []
    for seed in range(8):
        whole, mean = _world(seed, kind=kind)
        block = _block(whole)
        assert choose_noise_form(block, wanted_blocks=20).name == kind
        found.append(fit_free(with_noise_form(block, kind), scores=True).noise)  # type: ignore[arg-type]
        constant.append(fit_free(block, scores=True).noise)
        assert found[-1].localisation_variance == pytest.approx(mean, rel=0.12)
    diffusion, plain = (np.array([fitted.diffusion[0] for fitted in fits]) / D for fits in (found, constant))
    assert abs(diffusion.mean() - 1.0) < max(0.015, 2 * diffusion.std() / np.sqrt(8))
    assert diffusion.std() < plain.std()


@pytest.mark.parametrize("seed", range(12))
def test_nonsense_loses_against_one_value(seed: int) -> None:
    choice = choose_noise_form(_block(_world(100 + seed, kind="nonsense")[0]), wanted_blocks=20)
    assert choice.name == "constant"
    assert max(gain for gain, _ in choice.gains.values()) < 0.0


def test_partly_stated_and_absurd_errors_are_survived() -> None:
    whole, mean = _world(50, kind="factor")
    table = whole.table.copy()
    table.loc[::7, ["sigma_x", "sigma_y"]] = np.nan
    table.loc[3::500, ["sigma_x", "sigma_y"]] = 1e6
    block = _block(whole.with_table(table))
    assert choose_noise_form(block, wanted_blocks=20).name == "factor"
    noise = fit_free(with_noise_form(block, "factor")).noise
    assert noise.diffusion[0] == pytest.approx(D, rel=0.06)
    assert noise.localisation_variance == pytest.approx(mean, rel=0.15)


def test_the_fit_reports_form_and_factor() -> None:
    whole, mean = _world(51, kind="factor")
    bundle = fit(whole.between(0, 90), whole.between(90, FRAMES), FitConfig(knots=(0,)), rng=1)
    sigma = bundle.diagnostics["stated_sigma"]
    assert sigma["form"] == "factor"
    assert sigma["factor"] == pytest.approx(2.0, rel=0.12)
    assert bundle.metrics["localisation_variance"][0]["value"] == pytest.approx(mean, rel=0.12)
    assert 0.6 < min(bundle.diagnostics["bootstrap"]["ratio"]) <= max(bundle.diagnostics["bootstrap"]["ratio"]) < 1.6


def test_a_factor_is_no_choice_where_blur_outweighs_the_noise() -> None:
    """Unknown exposure: s2 comes out below zero, and no factor on the stated errors can be that."""
    rng = np.random.default_rng(2)
    path = brownian(rng, n=60, frames=200, diffusion=1.0, dt=0.01, blurred=True)
    whole = tracks(path, side=60.0, dt=0.01)
    sigma = 0.3 + 0.5 * rng.random(len(whole.table))
    whole = whole.with_table(whole.table.assign(sigma_x=sigma, sigma_y=sigma))
    block = _block(whole)
    assert fit_free(block).noise.localisation_variance < 0.0
    choice = choose_noise_form(block, wanted_blocks=20)
    assert choice.name != "factor"
    assert "factor" not in choice.gains
