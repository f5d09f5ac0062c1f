"""The hidden variable against brute force, known laws and its own absence."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise, product
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_normal, norm

from colloid_cg.learn.latent.ablation import fit_laws, gain, shuffled, shuffled_worth, worth
from colloid_cg.learn.latent.grid import Grid, normal_grid
from colloid_cg.learn.latent.law import FULL, LatentLaw, pack, unpack
from colloid_cg.learn.latent.living import Reliability, followed
from colloid_cg.learn.latent.maximum import first_law, maximise, with_errors
from colloid_cg.learn.latent.prepare import at_the_end, last_frames
from colloid_cg.learn.latent.rows import LatentRows, beside, filtered, force_factor, moments, smoothed
from colloid_cg.progress import silent
from colloid_cg.records import Box, Trajectories
from tests.learn.latent.worlds import law_of, simulated_rows


@pytest.mark.parametrize("memory", [0.0, 0.3, 0.9, 0.995])
def test_grid_is_a_stationary_reversible_process_of_unit_variance(memory: float) -> None:
    grid = normal_grid()
    kernel = grid.kernel(memory)
    flux = grid.weights[:, None] * kernel
    assert np.allclose(kernel.sum(axis=1), 1.0, atol=1e-12)
    assert np.allclose(flux, flux.T, atol=1e-12)
    assert grid.weights @ grid.points**2 == pytest.approx(1.0, abs=1e-12)
    fourth = grid.weights @ grid.points**4
    assert fourth == pytest.approx(3.0, abs=0.1)
    correlation = grid.points @ flux @ grid.points
    assert correlation == pytest.approx(memory, abs=0.01)


def test_kernel_over_two_frames_is_the_kernel_twice() -> None:
    grid = normal_grid()
    assert np.allclose(grid.kernel(0.8) @ grid.kernel(0.8), grid.kernel(0.64), atol=1e-9)


def _exact(law: LatentLaw, rows: LatentRows, grid: Grid) -> float:
    """Return the log-likelihood of one free track: the sum over all paths of z of exact Gaussian densities."""
    m = len(rows)
    kernels = [grid.kernel(np.exp(-gap / law.persistence)) for gap in rows.gap[1:]]
    total = 0.0
    for path in product(range(len(grid.points)), repeat=m):
        moved = zip(kernels, pairwise(path), strict=True)
        weight = grid.weights[path[0]] * np.prod([kernel[a, b] for kernel, (a, b) in moved])
        z = grid.points[list(path)]
        diffusion = law.diffusion[0] * np.exp(law.log_mobility(rows.structure, z, rows.species))
        s2 = law.localisation_variance
        linked = np.diag(rows.joined[1:].astype(float), k=1)
        covariance = np.diag(2.0 * diffusion + 2.0 * s2) - s2 * (linked + linked.T)
        density = multivariate_normal(np.zeros(m), covariance)
        total += weight * np.exp(sum(density.logpdf(rows.step[:, a]) for a in range(2)))
    return float(np.log(total))


@pytest.mark.parametrize(("noise", "error"), [(0.0, 1e-9), (0.05, 0.02)])
def test_filter_is_the_sum_over_all_paths(noise: float, error: float) -> None:
    """Exact without noise of localisation; with it the mixing of moments costs less than .02 nats of 12 here."""
    law = replace(law_of(memory=0.9, persistence=4.0), localisation_variance=noise)
    grid = normal_grid(5, 2.0)
    for seed in range(3):
        rows, _ = simulated_rows(law, tracks=1, frames=5, rng=np.random.default_rng(seed))
        assert filtered(law, rows, grid).rows.sum() == pytest.approx(_exact(law, rows, grid), abs=error)


def test_memory_goes_on_after_a_missed_detection() -> None:
    """A gap of three frames: errors of position are not shared across it, z is, as it moves in three frames."""
    law, grid = law_of(memory=0.9, persistence=4.0), normal_grid(5, 2.0)
    rows, _ = simulated_rows(law, tracks=1, frames=5, rng=np.random.default_rng(3))
    gap, joined = np.array([0, 1, 3, 1, 1]), np.array([False, True, False, True, True])
    broken = replace(rows, gap=gap, joined=joined, frame=np.cumsum(gap))
    assert filtered(law, broken, grid).rows.sum() == pytest.approx(_exact(law, broken, grid), abs=0.02)
    forgotten = replace(broken, gap=np.array([0, 1, 0, 1, 1]))
    assert abs(filtered(law, forgotten, grid).rows.sum() - _exact(law, broken, grid)) > 0.03
    again = smoothed(filtered(law, broken, grid))
    assert np.allclose(again.sum(axis=1), 1.0)
    assert not np.allclose(again[0], smoothed(filtered(law, forgotten, grid))[0], atol=1e-3)


def test_posterior_beside_a_detection_does_not_know_its_steps() -> None:
    law = replace(law_of(memory=0.9, persistence=30.0), localisation_variance=0.0)
    rows, z = simulated_rows(law, tracks=40, frames=60, rng=np.random.default_rng(4))
    mean = moments(beside(law, found := filtered(law, rows), rows), found.grid)[0]
    whole = moments(smoothed(found), found.grid)[0]
    t = 100
    step = rows.step.copy()
    step[t - 1 : t + 2] *= 5.0
    other = replace(rows, step=step)
    there = filtered(law, other)
    assert moments(beside(law, there, other), there.grid)[0][t] == pytest.approx(mean[t], abs=1e-9)
    assert abs(moments(smoothed(there), there.grid)[0][t] - whole[t]) > 0.3
    assert np.corrcoef(whole, z)[0, 1] > np.corrcoef(mean, z)[0, 1] > 0.5


def test_species_without_rows_keeps_its_drift_and_has_no_hidden_variable() -> None:
    law = law_of(slope=0.4, memory=0.6)
    rows, _ = simulated_rows(law, tracks=30, frames=60, rng=np.random.default_rng(5))
    rows = replace(rows, reference=np.array([0.1, 0.3]))
    found = with_errors(maximise(rows, first_law(rows, np.array([0.1, 0.3]), 0.02), FULL), rows)
    assert found.law.memory_slope[1] == 0.0
    assert found.law.structure_slope[1] == 0.0
    factor = force_factor(found.law.diffusion, rows.reference, rows.present)
    assert found.law.diffusion[1] * factor == pytest.approx(0.3)
    assert found.law.diffusion[0] * factor == pytest.approx(0.1)


def test_slope_on_structure_that_is_followed_through_its_errors() -> None:
    """R = .6: the slope on f as measured is a third of the true one beside a memory; on what is followed it is not."""
    tracks, frames, share, steady = 150, 150, 0.6, np.exp(-1.0 / 40.0)
    law, rng = law_of(slope=0.6, memory=0.5, persistence=20.0), np.random.default_rng(6)
    rows, _ = simulated_rows(law, tracks=tracks, frames=frames, rng=rng, structure_persistence=40.0)
    f = np.sqrt(share) * rows.structure + np.sqrt(1.0 - share) * rng.standard_normal(rows.structure.shape)
    known = Reliability(share=np.array([[share]]), kept=np.array([[share * steady]]))
    by_frame = np.arange(tracks * frames).reshape(tracks, frames).T.ravel()
    back = np.argsort(by_frame)
    path = np.tile(np.arange(frames)[:, None], tracks).ravel()
    series: Any = SimpleNamespace(
        n_frames=frames, offsets=np.arange(frames + 1) * tracks, species=np.zeros(len(f), dtype=int),
        previous=np.where(path > 0, np.arange(len(f)) - tracks, -1),
    )  # fmt: skip
    told = followed(f[by_frame], series, known)
    truth = rows.structure[by_frame]
    seen = path > 0
    assert np.isnan(told.before[~seen]).all()
    for mean, variance in ((told.before[seen], told.before_variance[seen]), (told.now, told.now_variance)):
        assert ((truth[seen] if len(mean) < len(truth) else truth) - mean).var() == pytest.approx(
            float(variance.mean()), rel=0.1
        )
    found = {}
    for name, values in (("late", np.roll(f, 1, axis=0)), ("followed", told.before[back])):
        values = np.where((rows.gap > 0)[:, None], values, 0.0)
        law_found = maximise(rows.with_structure(values), first_law(rows, np.array([0.1]), 0.02), FULL).law
        found[name] = abs(float(law_found.structure_slope[0, 0]))
    assert found["followed"] == pytest.approx(0.6, abs=0.12)
    assert found["late"] < 0.3


def test_alike_particles_have_the_likelihood_of_free_diffusion() -> None:
    law = law_of(slope=0.0, memory=0.0)
    rows, _ = simulated_rows(law, tracks=1, frames=30, rng=np.random.default_rng(1))
    s2, diffusion = law.localisation_variance, law.diffusion[0]
    covariance = (2 * diffusion + 2 * s2) * np.eye(30) - s2 * (np.eye(30, k=1) + np.eye(30, k=-1))
    expected = sum(multivariate_normal(np.zeros(30), covariance).logpdf(rows.step[:, a]) for a in range(2))
    assert filtered(law, rows).rows.sum() == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("stiffness", [0.0, 4.0])
def test_posterior_of_z_is_calibrated(stiffness: float) -> None:
    """z-scores of the truth under the smoother have mean 0 and variance 1 (P9), in free diffusion and in wells."""
    law = law_of(memory=0.8, persistence=25.0)
    rows, z = simulated_rows(law, tracks=60, frames=150, rng=np.random.default_rng(2), stiffness=stiffness)
    mean, deviation = moments(smoothed(found := filtered(law, rows)), found.grid)
    score = (z - mean) / deviation
    assert abs(score.mean()) < 0.1
    assert 0.8 < score.var() < 1.25
    assert np.corrcoef(mean, z)[0, 1] > 0.4
    before, _ = moments(found.filtered, found.grid)
    assert ((mean - z) ** 2).mean() < ((before - z) ** 2).mean()


def test_parameters_come_back_within_their_intervals() -> None:
    law = law_of(slope=-0.5, memory=0.7, persistence=20.0)
    rows, _ = simulated_rows(law, tracks=150, frames=150, rng=np.random.default_rng(3))
    start = first_law(rows, np.array([0.07]), 0.01)
    found = with_errors(maximise(rows, start, FULL), rows)
    scale = float((rows.step**2).mean())
    error = (pack(found.law, FULL, scale) - pack(law, FULL, scale)) / found.half_widths
    assert np.abs(error).max() < 1.8  # five 90 % intervals, half widths of 1.65 standard errors
    assert found.half_widths[2] < 0.06
    assert found.half_widths[4] < 0.5


def test_vector_of_parameters_is_taken_apart_again() -> None:
    law = law_of()
    again = unpack(pack(law, FULL, 0.3), FULL, 0.3, shape=(1, 1))
    assert np.allclose(pack(again, FULL, 0.3), pack(law, FULL, 0.3))
    assert again.structure_share[0] == pytest.approx(0.25 / 0.61)


def test_gauge_makes_s_standard_normal() -> None:
    law, rng = law_of(), np.random.default_rng(4)
    f, z, species = rng.standard_normal((200_000, 1)), rng.standard_normal(200_000), np.zeros(200_000, dtype=int)
    logarithm = law.log_mobility(f, z, species)
    s = law.hidden(logarithm, species)
    assert np.exp(logarithm).mean() == pytest.approx(1.0, abs=0.01)
    assert s.mean() == pytest.approx(0.0, abs=0.01)
    assert s.std() == pytest.approx(1.0, abs=0.01)


def test_gains_are_those_of_s_and_vanish_when_it_is_shuffled() -> None:
    law, rng = law_of(slope=-0.5, memory=0.7, persistence=20.0), np.random.default_rng(5)
    train, select = (simulated_rows(law, tracks=60, frames=100, rng=rng)[0] for _ in range(2))
    laws = fit_laws(train, np.array([0.1]), 0.02, progress=silent)
    gains = worth(laws, select) | shuffled_worth(laws, train, select, rng=rng)
    assert gains["full"].low90 > 0.0
    assert gains["full"].value > gains["memory"].value > 0.0
    assert gains["predicted"].value > 0.7 * gains["full"].value
    assert abs(gains["shuffled"].value) < 0.1 * gains["full"].value


def test_alike_particles_have_no_hidden_variable_worth_having() -> None:
    law = law_of(slope=0.0, memory=0.0)
    found = []
    for seed in range(4):
        rng = np.random.default_rng(100 + seed)
        train, select = (simulated_rows(law, tracks=40, frames=80, rng=rng)[0] for _ in range(2))
        found.append(worth(fit_laws(train, np.array([0.1]), 0.02, progress=silent), select)["full"])
    assert sum(each.low90 > 0.0 for each in found) == 0
    assert max(abs(each.value) for each in found) < 2e-3


def test_heavy_tails_alone_are_no_hidden_variable() -> None:
    """Mobilities drawn anew in every frame gain over one mobility, and nothing over the ablation."""
    law, rng = law_of(slope=0.0, memory=0.9, persistence=0.0), np.random.default_rng(6)
    train, select = (simulated_rows(law, tracks=60, frames=100, rng=rng)[0] for _ in range(2))
    gains = worth(fit_laws(train, np.array([0.1]), 0.02, progress=silent), select)
    assert gains["over_none"].low90 > 0.0
    assert gains["full"].low90 <= 0.0


def test_shuffling_stays_within_species_and_frame() -> None:
    law = LatentLaw(
        diffusion=np.array([0.1, 0.2]), localisation_variance=0.0, structure_slope=np.zeros((2, 1)),
        memory_slope=np.zeros(2), persistence=5.0,
    )  # fmt: skip
    rows, _ = simulated_rows(law, tracks=20, frames=10, rng=np.random.default_rng(7))
    label = (rows.frame * 2 + rows.species)[:, None].astype(float)
    mixed = shuffled(label + 1e-6 * np.arange(len(rows))[:, None], rows, rng=np.random.default_rng(8))
    assert np.array_equal(np.round(mixed), label)
    assert (np.abs(mixed - label - 1e-6 * np.arange(len(rows))[:, None]) > 1e-9).mean() > 0.8


def test_interval_of_a_gain_knows_that_a_particle_repeats_itself() -> None:
    """Values that are one per particle: the interval is that of so many particles, not of so many rows."""
    rows, _ = simulated_rows(law_of(), tracks=50, frames=100, rng=np.random.default_rng(9))
    own = np.random.default_rng(10).standard_normal(50)[rows.particle]
    found = gain(own, rows)
    assert found.high90 - found.value == pytest.approx(norm.ppf(0.95) / np.sqrt(50), rel=0.35)


def test_rollouts_begin_at_the_end_of_a_block_however_long() -> None:
    """z of the last steps, with the frames they are of; a long block is read from its end, not from its start."""
    law = law_of(memory=0.8, persistence=25.0)
    rows, z = simulated_rows(law, tracks=400, frames=40, rng=np.random.default_rng(3))
    known = at_the_end(law, rows, first=70, stride=2)
    assert np.all(known["hidden.start_frames"] == 70 + 2 * 39)
    final = np.append(~rows.joined[1:], True)
    assert np.array_equal(known["hidden.start_particles"], rows.particle[final])
    score = (z[final] - known["hidden.start_mean"]) / known["hidden.start_deviation"]
    assert abs(score.mean()) < 0.2
    assert 0.8 < score.var() < 1.25
    table = pd.DataFrame({"frame": np.repeat(np.arange(10, 30), 5), "particle": np.tile(np.arange(5), 20)})
    view = Box(lower=(0.0, 0.0), upper=(9.0, 9.0), periodic=(False, False))
    tracks = Trajectories(
        table=table.assign(x=1.0, y=1.0, species=0), pixel_size=1.0, frame_interval=0.1, exposure=None,
        field_of_view=view, n_frames=30,
    )  # fmt: skip
    late = last_frames(tracks, 23).table
    assert sorted(late["frame"].unique()) == [26, 27, 28, 29]
    assert len(late) == 20
    assert last_frames(tracks, 100) is tracks


def test_law_without_drift_removal_has_larger_diffusion_and_noise() -> None:
    law = law_of()
    whole = law.corrected(0.98)
    assert np.allclose(whole.diffusion, law.diffusion / 0.98)
    assert whole.localisation_variance == pytest.approx(law.localisation_variance / 0.98)
    assert np.array_equal(whole.spread, law.spread)
