"""Which inertial candidate is used, what is said of the others, and the maximum of a likelihood."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from colloid_cg.errors import DataError
from colloid_cg.learn import FitConfig
from colloid_cg.learn.inertial import selection
from colloid_cg.learn.inertial.candidate import Candidate, fit_free
from colloid_cg.learn.inertial.dissipation import Balance
from colloid_cg.learn.inertial.equation import Frames, frames_of
from colloid_cg.learn.inertial.maximum import maximise, with_scores
from colloid_cg.learn.inertial.model import InertialModel
from colloid_cg.learn.inertial.selection import choose, with_friction
from colloid_cg.learn.problem import prepare
from colloid_cg.progress import silent
from colloid_cg.states import from_trajectories
from tests.learn.langevin_worlds import RANGE, Fluid, interacting, noisy
from tests.learn.worlds import tracks

BLOCKS = np.repeat(np.arange(10), 100)


def _densities(gain: float) -> dict[tuple[int, int], np.ndarray]:
    """Densities of the rows: pair friction changes each by a tenth of a nat, and all by ``gain`` for the worse."""
    rng = np.random.default_rng(1)
    bare, rubbing = rng.standard_normal(1000), 0.1 * rng.standard_normal(1000)
    rubbing -= rubbing.mean()
    return {(0, 0): bare - 1.0, (6, 0): bare, (6, 6): bare + rubbing - gain, (6, 4): bare - 0.5}


def test_pair_friction_is_kept_where_the_selection_block_does_not_decide() -> None:
    used, note = with_friction((6, 0), _densities(0.002), BLOCKS)
    assert used == (6, 6)
    assert "does not tell" in note


def test_pair_friction_is_left_out_where_it_predicts_worse() -> None:
    used, note = with_friction((6, 0), _densities(0.1), BLOCKS)
    assert used == (6, 0)
    assert "0.1 +-" in note


def test_a_bath_friction_that_could_not_be_told_from_that_of_pairs_says_so() -> None:
    used, note = with_friction((6, 0), {(0, 0): np.zeros(1000), (6, 0): np.ones(1000)}, BLOCKS)
    assert used == (6, 0)
    assert "drag of neighbours" in note
    assert with_friction((6, 6), _densities(0.0), BLOCKS) == ((6, 6), "")


def test_a_candidate_that_fails_says_why_and_friction_survives_a_short_selection_block() -> None:
    """Without a force, what turns particles round at contact looks like a bath that speeds them up."""
    fluid = Fluid(n_side=9)
    seen, _ = noisy(interacting(1, fluid, frames=170), 0.2, 1)
    whole = tracks(seen, side=fluid.side, dt=fluid.dt)
    parts = []
    for first, last in ((0, 150), (150, 170)):
        block = prepare(
            from_trajectories(whole.between(first, last)), n_species=1, drift_velocity=np.zeros(2), cutoff=RANGE,
            diffusion=fluid.theta * fluid.dt / 2,
        )  # fmt: skip
        parts.append(frames_of(block, np.random.default_rng(0)))
    found = choose(parts[0], parts[1], FitConfig(knots=(0, 5), cutoff=RANGE), cutoff=RANGE, progress=silent)
    assert found.pairs_used
    assert found.final.model.n_friction == 5
    entries = {(entry["knots"], entry["friction_knots"]): entry for entry in found.scores}
    assert set(entries) == {(0, 0), (0, 5), (5, 5), (5, 0)}
    for entry in entries.values():
        assert entry["log_likelihood"] is not None or entry["note"]
    assert entries[0, 5]["log_likelihood"] is None
    free = fit_free(parts[0], cutoff=RANGE).model.bath
    assert found.final.model.bath < 0.7 * free


def test_candidates_are_fitted_to_one_block_and_judged_on_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    fluid = Fluid(n_side=7)
    whole = tracks(interacting(2, fluid, frames=60, settle=20), side=fluid.side, dt=fluid.dt)
    train, select = (
        frames_of(
            prepare(from_trajectories(part), n_species=1, drift_velocity=np.zeros(2), cutoff=RANGE, diffusion=0.02),
            np.random.default_rng(0),
        )
        for part in (whole.between(0, 40), whole.between(40, 60))
    )
    seen: dict[str, list[Frames]] = {"fitted": [], "judged": [], "free": [], "overdamped": []}

    def fitted(frames: Frames, start: InertialModel, **_: float) -> Candidate:
        seen["fitted"].append(frames)
        scales = np.ones(3 if start.n_friction else 1)
        return Candidate(model=replace(start, noise_scale=scales), strength=np.zeros(5), solution=None)

    def spied(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(frames: Frames, *args: Any, **options: Any) -> Any:
            seen[name].append(frames)
            return original(frames, *args, **options)

        return call

    def unbalanced(_: Frames, candidate: Candidate, __: FitConfig) -> Balance:
        return Balance(candidate=candidate, influence=np.zeros((0, 0)), scales=np.ones(1), p_value=1.0)

    monkeypatch.setattr(selection, "fit_pairs", fitted)
    monkeypatch.setattr(selection, "balanced", unbalanced)
    for name, function in (("judged", "held_out"), ("free", "fit_free"), ("overdamped", "_overdamped")):
        monkeypatch.setattr(selection, function, spied(name, getattr(selection, function)))
    found = choose(train, select, FitConfig(knots=(0, 4), cutoff=RANGE), cutoff=RANGE, progress=silent)
    selection.gain_over_overdamped(train, select, found.free, FitConfig())
    assert len(seen["fitted"]) >= 2
    assert all(frames is train for frames in seen["fitted"] + seen["free"])
    assert all(frames is select for frames in seen["judged"])
    first, second = seen["overdamped"]
    assert first is train
    assert second is select


def test_maximum_of_a_heavy_tailed_likelihood() -> None:
    """Rows of a normal law fitted to values that are not normal: squared scores misjudge the curvature."""
    values = np.random.default_rng(2).standard_t(3, size=4000)

    def rows(parameters: np.ndarray) -> np.ndarray:
        return np.asarray(norm.logpdf(values, parameters[0], np.exp(parameters[1])))

    best = maximise(rows, np.array([0.8, 1.5]), np.array([0.1, 0.1]))
    assert best == pytest.approx([values.mean(), np.log(values.std())], abs=2e-4)
    found = with_scores(rows, best, np.full(2, 1e-4))
    assert found.information == pytest.approx(len(values) * np.diag([1.0 / values.var(), 2.0]), rel=1e-2, abs=2.0)


def test_a_likelihood_without_a_maximum_is_an_error() -> None:
    with pytest.raises(DataError, match="no maximum"):
        maximise(lambda p: np.full(10, p[0]) * np.linspace(0.5, 1.5, 10), np.array([0.0]), np.array([0.1]))
    with pytest.raises(DataError, match="not positive"):
        maximise(lambda p: np.full(10, -np.inf), np.array([0.0]), np.array([0.1]))
