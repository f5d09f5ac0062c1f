from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_t

from colloid_cg.structure.autoencoder import Block
from colloid_cg.structure.config import StructureConfig
from colloid_cg.structure.displacements import flat_guess, logarithm, surprise, told_by
from colloid_cg.structure.sampling import LaggedRows
from colloid_cg.structure.species import chosen_latents, fit_species
from colloid_cg.structure.starts import Evidence, Stability, best_start, paired_error, within_one_error


def steps_of(width: np.ndarray, *, freedom: float, dimension: int, rng: np.random.Generator) -> np.ndarray:
    """Return squared lengths per axis of Student steps whose squared width is ``width``."""
    chi = rng.chisquare(freedom, size=len(width)) / freedom
    return np.asarray((rng.normal(size=(len(width), dimension)) ** 2).mean(axis=1) * width / chi)


def rows(n: int, *, slope: float = 1.0, seed: int = 0, columns: int = 6) -> Block:
    """Return rows whose first column varies most and whose last alone says how far a particle goes."""
    rng = np.random.default_rng(seed)
    data = rng.normal(size=(n, columns)) * np.linspace(2.0, 0.7, columns)
    moved = steps_of(np.exp(slope * data[:, -1] / 0.7), freedom=4.0, dimension=2, rng=rng)
    shown = torch.from_numpy(data)
    return Block(shown=shown, target=torch.cat([shown, shown], dim=1), moved=torch.from_numpy(moved), dimension=2)


def stability(n: int, least: float = 0.9) -> Stability:
    return Stability(particle=np.arange(n), least=least, rng=np.random.default_rng(3))


def evidence(block: Block) -> Evidence:
    """Return rows that each are a particle of their own."""
    n = len(block.shown)
    return Evidence(block=block, unit=np.arange(n))


EVEN = torch.ones(6, dtype=torch.float64)


@pytest.mark.parametrize("dimension", [2, 3])
@pytest.mark.parametrize("freedom", [2.0, 9.0])
def test_surprise_is_that_of_students_t_up_to_a_constant(dimension, freedom):
    steps = np.random.default_rng(0).normal(size=(50, dimension)) * 3
    width = np.exp(np.linspace(-2, 2, 50))
    law = [multivariate_t(np.zeros(dimension), w * np.eye(dimension), df=freedom) for w in width]
    expected = -np.array([each.logpdf(step) for each, step in zip(law, steps, strict=True)])
    found = surprise(
        torch.from_numpy(np.log(width)), torch.from_numpy((steps**2).mean(axis=1)), dimension=dimension,
        log_freedom=torch.tensor(np.log(freedom)),
    ).numpy()  # fmt: skip
    # The constant is that of the normal law, (d/2) ln 2 pi.
    np.testing.assert_allclose(expected - found, 0.5 * dimension * np.log(2 * np.pi), rtol=1e-10)


def test_flat_guess_finds_width_and_tails():
    moved = steps_of(np.full(40_000, 0.6), freedom=3.0, dimension=3, rng=np.random.default_rng(1))
    width, freedom = flat_guess(torch.from_numpy(moved), dimension=3).exp().tolist()
    assert width == pytest.approx(0.6, rel=0.04)
    assert freedom == pytest.approx(3.0, rel=0.35)  # a grid of freedoms a factor 1.8 apart


def test_slope_of_the_mobility_is_found_despite_heavy_tails():
    rng = np.random.default_rng(2)
    code = rng.normal(size=20_000)
    moved = torch.from_numpy(steps_of(np.exp(0.3 + 0.7 * code), freedom=3.0, dimension=2, rng=rng))
    found = told_by(
        torch.from_numpy(code[:, None]), moved, dimension=2, first=flat_guess(moved, dimension=2)
    ).numpy()  # fmt: skip
    assert found[0] == pytest.approx(0.3, abs=0.05)
    assert found[2] == pytest.approx(0.7, abs=0.03)
    assert np.exp(found[1]) == pytest.approx(3.0, rel=0.1)


def test_regression_of_displacements_is_the_start_only_where_it_tells_more():
    for slope, expected in ((1.0, "displacements"), (0.0, "principal")):
        start = best_start(
            rows(3000, slope=slope), None, evidence(rows(1500, slope=slope, seed=5)), weight=5.0, latents=1,
            stability=stability(3000), trust=EVEN,
        )  # fmt: skip
        assert start.name.startswith(expected)
        column = int(start.encode[0].abs().mul(rows(3000).shown.std(dim=0)).argmax())
        assert column == (5 if slope else 0)
    told = best_start(
        rows(3000), None, evidence(rows(1500, seed=5)), weight=0.0, latents=1, stability=stability(3000), trust=EVEN
    )
    assert told.name == "principal components"


def test_more_latents_start_uncorrelated_with_unit_variance():
    block = rows(4000)
    start = best_start(
        block, None, evidence(rows(2000, seed=5)), weight=5.0, latents=3, stability=stability(4000), trust=EVEN
    )
    assert start.name.startswith("displacements")
    code = (block.shown @ start.encode.T).numpy()
    np.testing.assert_allclose(code.T @ code / len(code), np.eye(3), atol=1e-8)


def test_turned_round_rows_are_used_where_they_help_and_not_where_they_mislead():
    """Rows turned round that follow the same law double the data; rows that follow the opposite one are refused."""
    few, check = rows(150, columns=40), rows(4000, seed=5, columns=40)
    honest, wrong = rows(3000, seed=7, columns=40), rows(3000, slope=-1.0, seed=7, columns=40)
    for backward, expected in ((honest, "both directions"), (wrong, "forward")):
        part = Block(shown=backward.shown[:150], target=backward.target[:150], moved=backward.moved[:150], dimension=2)
        start = best_start(
            few, part, evidence(check), weight=50.0, latents=1, stability=stability(150, least=0.0),
            trust=EVEN[0].expand(40),
        )  # fmt: skip
        assert expected in start.name


def test_penalty_rises_until_resampled_fits_agree():
    few, even = rows(200, columns=40), EVEN[0].expand(40)
    penalties = (0.01, 0.1, 1.0, 10.0, 100.0)
    loose, strict = (stability(200, least).first(penalties, few, even) for least in (0.0, 0.97))
    assert loose == 0
    assert strict > 1
    # Ten times the particles need less of it; ten copies of the same particles do not count as more.
    assert stability(20_000, 0.97).first(penalties, rows(20_000, columns=40), even) < strict
    copies = Block(
        shown=few.shown.repeat(10, 1), target=few.target.repeat(10, 1), moved=few.moved.repeat(10), dimension=2
    )
    same = Stability(particle=np.tile(np.arange(200), 10), least=0.97, rng=np.random.default_rng(3))
    assert same.first(penalties, copies, even) == strict


def test_a_weight_costs_the_less_the_more_its_column_is_trusted():
    block, trust = rows(2000), torch.tensor([0.1, 0.9, 0.5, 0.3, 1.0, 0.6], dtype=torch.float64)
    start = best_start(
        block, None, evidence(rows(1500, seed=5)), weight=5.0, latents=1, stability=stability(2000, least=0.0),
        trust=trust,
    )  # fmt: skip
    data, length = block.shown.numpy(), logarithm(block.moved).numpy()
    cost = np.mean(trust.numpy() ** 2) / trust.numpy() ** 2
    expected = np.linalg.solve(
        data.T @ data / 2000 + start.penalty * np.diag(cost), data.T @ (length - length.mean()) / 2000
    )
    np.testing.assert_allclose(start.encode[0] / start.encode[0].norm(), expected / np.linalg.norm(expected), atol=1e-9)


def test_a_prediction_the_wrong_way_round_is_worth_no_more_than_none():
    start = best_start(
        rows(3000), None, evidence(rows(1500, seed=5)), weight=5.0, latents=1, stability=stability(3000), trust=EVEN
    )
    # The wrong way round; the right way; and the right way in a block that is faster as a whole.
    for slope, faster in ((-1.0, 1.0), (1.0, 1.0), (1.0, 9.0)):
        plain = rows(1500, slope=slope, seed=6)
        block = Block(shown=plain.shown, target=plain.target, moved=faster * plain.moved, dimension=2)
        flat = flat_guess(block.moved, dimension=2)
        none = float(surprise(flat[0].expand(1500), block.moved, dimension=2, log_freedom=flat[1]).mean())
        gain = none - float(start.losses(block)[1].mean())
        if slope < 0:
            assert gain == pytest.approx(0.0, abs=1e-9)
            continue
        known = block.shown[:, -1] / 0.7 + np.log(faster)
        law = surprise(known, block.moved, dimension=2, log_freedom=torch.tensor(np.log(4.0)))
        assert gain > 0.95 * (none - float(law.mean()))


def test_one_movie_alone_decides_nothing():
    rng = np.random.default_rng(4)
    losses = [rng.normal(size=500) + 5.0, rng.normal(size=500)]
    assert within_one_error(losses, np.arange(500)) == 1
    assert within_one_error(losses, np.zeros(500, dtype=int)) == 0
    assert paired_error(losses[0], np.zeros(500, dtype=int)) == np.inf


def test_a_movie_that_is_faster_as_a_whole_changes_nothing():
    """Of several movies only who moves farther than others of the same movie is learned from."""
    rng = np.random.default_rng(8)
    values, later = rng.normal(size=(2, 1200, 5))
    particle, movie = np.arange(1200), np.repeat(np.arange(3), 400)
    moved = steps_of(np.exp(values[:, 2]), freedom=4.0, dimension=2, rng=rng)
    found = []
    for faster in (1.0, 50.0):
        lagged = LaggedRows(
            present=values, later=later, seen=values, seen_later=later, shown=values, shown_later=later,
            species=np.zeros(1200, dtype=int), particle=particle, movie=movie, density=values[:, 0],
            moved=np.where(movie == 1, faster, 1.0) * moved,
        )  # fmt: skip
        fitted = fit_species(
            lagged.take(movie < 2), lagged.take(movie == 2), config=StructureConfig(epochs=1, both_directions=False),
            latents=1, dimension=2, stream=np.random.default_rng(0),
        )  # fmt: skip
        assert fitted.report["start"].startswith("displacements")
        found.append(fitted.arrays["encoder.linear.weight"])
    np.testing.assert_allclose(found[1], found[0], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(("told", "start"), [(0.5, "displacements"), (0.0, "principal components")])
def test_what_tells_displacements_stands_though_it_describes_less(told: float, start: str):
    """One factor in eleven columns, and a twelfth that decides who moves: s is the twelfth, not the description."""
    rng, n = np.random.default_rng(9), 4000
    values = 0.2 * rng.normal(size=(n, 12)) + rng.normal(size=(n, 1))
    values[:, 11] = rng.normal(size=n)
    rows = LaggedRows(
        present=values, later=values, seen=values, seen_later=values, shown=values, shown_later=values,
        species=np.zeros(n, dtype=int), particle=np.arange(n), movie=np.zeros(n, dtype=int), density=values[:, 0],
        moved=steps_of(np.exp(told * values[:, 11]), freedom=4.0, dimension=2, rng=rng),
    )  # fmt: skip
    first = np.arange(n) < 3000
    fitted = fit_species(
        rows.take(first), rows.take(~first), config=StructureConfig(epochs=8), latents=1, dimension=2,
        stream=np.random.default_rng(0),
    )  # fmt: skip
    assert fitted.report["start"].startswith(start)
    if told:
        weight = np.abs(fitted.arrays["encoder.linear.weight"][0])
        assert weight[11] > 5.0 * weight[:11].max()
        assert fitted.report["best_epoch"] == 0


def test_paired_error_counts_a_particle_once():
    rng = np.random.default_rng(4)
    each = rng.normal(size=500)
    assert paired_error(each, np.arange(500)) == pytest.approx(each.std() / np.sqrt(500))
    assert paired_error(np.repeat(each, 9), np.repeat(np.arange(500), 9)) == pytest.approx(each.std() / np.sqrt(500))


def test_smallest_number_of_latents_within_one_error_is_taken():
    rng, particle = np.random.default_rng(5), np.arange(400)
    base = rng.normal(size=400)
    wiggle = rng.normal(size=400)
    wiggle = 0.1 * (wiggle - wiggle.mean()) / wiggle.std()  # standard error .005
    losses = {1: base + 0.02 + wiggle, 2: base + 0.002 + wiggle, 3: base}
    chosen, candidates = chosen_latents(losses, particle)
    assert chosen == 2
    assert [each["latents"] for each in candidates] == [1, 2, 3]
    assert candidates[0]["excess"] == pytest.approx(0.02)
    assert candidates[1]["standard_error"] == pytest.approx(0.005)
    assert candidates[2]["excess"] == 0.0
    assert within_one_error([losses[3], losses[1]], particle) == 0
