"""Fit of a metriplectic model with internal energies that nobody sees."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from colloid_cg.dynamics.metriplectic.model import BodyForce, MetriplecticModel
from colloid_cg.errors import DataError
from colloid_cg.learn.checkpoint import NOWHERE, Checkpoint
from colloid_cg.learn.thermal.config import ThermalFitConfig
from colloid_cg.learn.thermal.guesses import Guess, first_guess
from colloid_cg.learn.thermal.hidden import HiddenEnergies, hidden_energies
from colloid_cg.learn.thermal.observed import Observed, observed
from colloid_cg.learn.thermal.parameters import Scales, ThermalParameters, mean_kernel
from colloid_cg.learn.thermal.training import selection_scores, train
from colloid_cg.progress import Progress, silent
from colloid_cg.records import PhaseSeries


@dataclass(frozen=True, kw_only=True, eq=False)
class ThermalDynamics:
    """A metriplectic model learned from positions and velocities, with what was not seen.

    Parameters
    ----------
    model : MetriplecticModel
        k_B = 1, mean density 1 on the training block, U = S = 0 at (T0, V = 1), phi = 0 or dU/dd = 0 there.
    parameters : dict of tensors
        From which :func:`fit_thermal` goes on.
    hidden : HiddenEnergies
        Of training and selection block.
    scores : tuple of float
        -ln L per particle and frame of the selection block after each round.
    innovation_square : float
        r Sigma^-1 r / d on the selection block, one where the model says all there is to say: above it by a few per
        cent, friction is overestimated by as much, and frames should follow each other faster.
    guess : Guess
        Where the fit began.
    """

    model: MetriplecticModel
    parameters: dict[str, torch.Tensor]
    hidden: HiddenEnergies
    scores: tuple[float, ...]
    innovation_square: float
    guess: Guess


def fit_thermal(
    train_series: PhaseSeries, select: PhaseSeries, config: ThermalFitConfig, *, body: BodyForce | None = None,
    seed: int = 0, checkpoint: Checkpoint = NOWHERE, progress: Progress = silent,
) -> ThermalDynamics:  # fmt: skip
    """Learn U(S, V), frictions and heat exchange from positions and velocities; the entropies stay hidden.

    Rounds of two halves: a filter estimates every internal energy from the motion up to each frame, at fixed total
    energy; then the likelihood of the next impulse given these estimates is maximised, to second order in the frame
    interval and with what uncertain energies add to it. Masses are given, k_B = 1: k_B T, P, friction and heat capacity
    have no scale left.

    Parameters
    ----------
    train_series, select : PhaseSeries
        Blocks that follow each other; ``select`` decides which round is kept.
    config : ThermalFitConfig
    body : BodyForce, optional
        The force that drives the system, known.
    seed : int
    checkpoint : Checkpoint, optional
        Where each round is kept; a stopped fit goes on from there.
    progress : callable
        Called with (done, total) rounds.

    Raises
    ------
    DataError
        If the blocks do not follow each other or are too short, a particle mass differs within a species, the box is
        sheared, or a checkpoint does not fit.
    InputError
        If the cutoff exceeds half of a periodic edge.
    ConfigError
        If there is no cutoff.
    """
    whole = _joined(train_series, select)
    seen = observed(whole, config.reach)
    n_train = train_series.n_frames
    parameters, guess = starting_point(seen, config, body, n_train=n_train)
    done, hidden = train(
        parameters, seen, config, n_train=n_train, seed=seed, checkpoint=checkpoint, progress=progress
    )  # fmt: skip
    square = selection_scores(parameters, seen, hidden, n_train)[1]
    with torch.no_grad():
        model = parameters.model()
    return ThermalDynamics(
        model=model, parameters=done.best, hidden=hidden, scores=tuple(done.scores), innovation_square=square,
        guess=guess,
    )  # fmt: skip


def starting_point(
    seen: Observed, config: ThermalFitConfig, body: BodyForce | None, *, n_train: int
) -> tuple[ThermalParameters, Guess]:
    """Return the parameters a fit begins with."""
    m = len(seen.masses)
    frames = np.unique(np.linspace(0, n_train - 1, 20).round().astype(int)).tolist()
    neighbours = 2.0 * float(np.mean([len(seen.neighbours[frame].pairs) for frame in frames])) / seen.n_particles
    if neighbours < 0.5:
        raise DataError(
            f"{neighbours:.2g} neighbours per particle within thermal.cutoff = {config.reach:g}",
            expected="particles that meet",
            action="use a longer cutoff",
        )
    guess = first_guess(seen, body, config.heat_capacity)
    kernel = mean_kernel(seen, frames, cutoff=config.reach, n_knots=config.n_knots)
    like = seen.masses
    d = seen.positions.shape[2]
    # The mean of (1 - s)^2 over the disc or ball within the cutoff is 2 / [(d + 1)(d + 2)].
    acting = neighbours * 2.0 / ((d + 1) * (d + 2))
    rub = guess.friction_rate * float(like.mean()) * guess.temperature / acting
    scales = Scales(
        masses=like,
        cutoff=config.reach,
        entropy_range=like.new_tensor([guess.entropy_range] * m),
        volume_range=like.new_tensor([guess.volume_range] * m),
        mean_kernel=kernel,
        temperature=guess.temperature,
        body=body,
    )
    parameters = ThermalParameters(
        scales, n_entropy=config.n_entropy, n_volume=config.n_volume, n_knots=config.n_knots,
        heat_capacity=guess.heat_capacity, friction=rub,
        heat=rub * guess.temperature * guess.heat_capacity / float(like.mean()), pair_potential=config.pair_potential,
    )  # fmt: skip
    return parameters, guess


def _joined(first: PhaseSeries, second: PhaseSeries) -> PhaseSeries:
    if first.first_frame + first.n_frames != second.first_frame or first.n_particles != second.n_particles:
        raise DataError(
            f"a selection block from frame {second.first_frame} after training frames up to "
            f"{first.first_frame + first.n_frames - 1}",
            expected="blocks of one recording that follow each other",
            action="cut both from the same recording, without a gap: raise memory_rows where blocks were shortened",
        )
    return replace(
        first,
        positions=np.concatenate([first.positions, second.positions]),
        velocities=np.concatenate([first.velocities, second.velocities]),
    )


def energies_of(dynamics: ThermalDynamics, series: PhaseSeries, *, mean_energy: float = 0.0) -> HiddenEnergies:
    """Return the internal energies behind another recording; ``mean_energy`` is the mean U_i of its first frame."""
    return hidden_energies(dynamics.model, observed(series, dynamics.model.cutoff), mean_energy=mean_energy)
