"""Wells that pass for a pair force are named; crystals, whose particles hold each other, and fluids are not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from colloid_cg.learn import FitConfig, fit
from colloid_cg.learn.confinement import well_warnings
from colloid_cg.learn.problem import Block, prepare
from colloid_cg.records import Trajectories
from colloid_cg.states import from_trajectories
from tests.learn.field_worlds import wells
from tests.learn.worlds import tracks, yukawa

SPACING, STIFFNESS = 1.0, 200.0


def springs(seed: int, *, sites: int = 12, frames: int = 200) -> Trajectories:
    """Square net whose neighbours are tied in x and y by springs, D = 1: drawn exactly, mode by mode, dt = 10 ms."""
    rng, wave = np.random.default_rng(seed), 2.0 * np.pi * np.fft.fftfreq(sites)
    rate = 2.0 * STIFFNESS * (2.0 - np.cos(wave)[:, None] - np.cos(wave))[..., None]
    rate[0, 0] = np.inf  # the whole net stays where it is
    decay, spread = np.exp(-rate * 0.01), 1.0 / np.sqrt(rate)
    modes, path = np.zeros((sites, sites, 2), dtype=complex), np.empty((frames, sites * sites, 2))
    grid = SPACING * (np.stack(np.meshgrid(np.arange(sites), np.arange(sites), indexing="ij"), axis=-1) + 0.5)
    for t in range(-300, frames):
        kick = np.fft.fft2(rng.standard_normal((sites, sites, 2)), axes=(0, 1), norm="ortho")
        modes = decay * modes + spread * np.sqrt(1.0 - decay**2) * kick
        if t >= 0:
            path[t] = (grid + np.fft.ifft2(modes, axes=(0, 1), norm="ortho").real).reshape(-1, 2)
    return tracks(path, side=sites * SPACING, dt=0.01)


def _block(whole: Trajectories, *, cutoff: float) -> Block:
    return prepare(from_trajectories(whole), n_species=1, drift_velocity=np.zeros(2), cutoff=cutoff, diffusion=1.0)


def test_wells_are_named_and_only_where_a_force_was_found() -> None:
    block = _block(wells(3, k=10.0, ratio=0.25, frames=240)[0], cutoff=9.0)
    (said,) = well_warnings(block, force_used=True, noise=0.005, spacing=6.0)
    assert 'fit.traps = "each"' in said
    # 4/k less what is left after the lag, e^(-4): the plateau of the mean squared displacement in two dimensions
    assert float(said.split("displacement ")[1].split(" and")[0]) == pytest.approx(4.0 / 10.0, rel=0.15)
    assert well_warnings(block, force_used=False, noise=0.005, spacing=6.0) == []


def test_wells_that_drift_with_the_stage_are_named_too() -> None:
    whole = wells(3, k=10.0, ratio=0.25, frames=240)[0]
    still, velocity = from_trajectories(whole), np.array([4.0, -2.0])  # um/s: 10 spreads of a well over the movie
    times = np.repeat(still.times, np.diff(still.offsets))[:, None]
    moving = replace(still, positions=still.positions + velocity * times)
    block = prepare(moving, n_species=1, drift_velocity=velocity, cutoff=9.0, diffusion=1.0)
    (said,) = well_warnings(block, force_used=True, noise=0.005, spacing=6.0)
    assert said == well_warnings(_block(whole, cutoff=9.0), force_used=True, noise=0.005, spacing=6.0)[0]


def test_particles_that_hold_each_other_are_not_suspected() -> None:
    net = _block(springs(1), cutoff=1.6)
    assert well_warnings(net, force_used=True, noise=0.0, spacing=SPACING) == []
    path, side = yukawa(0, frames=240)
    fluid = _block(tracks(path, side=side, dt=0.005), cutoff=2.5)
    assert well_warnings(fluid, force_used=True, noise=0.0, spacing=1.28) == []


def test_the_fit_says_that_a_pair_force_may_imitate_wells() -> None:
    whole, _ = wells(4, k=40.0, ratio=0.1, frames=240, n=64)
    # asked for a force in any case: distances between wells are few, and the force at those imitates them
    bundle = fit(whole.between(0, 180), whole.between(180, 240), FitConfig(knots=(4,), cutoff=9.0, stride=1), rng=1)
    assert bundle.config["pair_force_used"]
    assert any("imitate" in line for line in bundle.diagnostics["trap_warnings"])
