"""Fit of a metriplectic model with internal energies that nobody sees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from colloid_cg.dynamics.metriplectic.model import BodyForce, MetriplecticModel
from colloid_cg.errors import DataError
from colloid_cg.learn.checkpoint import NOWHERE, Checkpoint
from colloid_cg.learn.sandwich import quantile
from colloid_cg.learn.thermal.config import ThermalFitConfig
from colloid_cg.learn.thermal.guesses import Guess, first_guess
from colloid_cg.learn.thermal.hidden import HiddenEnergies, hidden_energies
from colloid_cg.learn.thermal.marks import mark_of
from colloid_cg.learn.thermal.observed import Observed, observed
from colloid_cg.learn.thermal.parameters import Scales, ThermalParameters, mean_kernel
from colloid_cg.learn.thermal.replicates import jackknife_error, refits
from colloid_cg.learn.thermal.training import selection_scores, train
from colloid_cg.nets import torch_generator
from colloid_cg.progress import Progress, silent
from colloid_cg.records import PhaseSeries
from colloid_cg.seeding import generator


@dataclass(frozen=True, kw_only=True, eq=False)
class ThermalDynamics:
    """A metriplectic model learned from positions and velocities, with what was not seen.

    Parameters
    ----------
    model : MetriplecticModel
        k_B = 1, mean density 1 on the training block, U = 0 at (S = 0, V = 1), phi = 0. With a pair potential
        P = 0 there: of the equivalent U - c d and phi + 2 c W the one whose pair potential holds all that it can.
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
    replicates : tuple of MetriplecticModel
        Fits without one block of time each.
    """

    model: MetriplecticModel
    parameters: dict[str, torch.Tensor]
    hidden: HiddenEnergies
    scores: tuple[float, ...]
    innovation_square: float
    guess: Guess
    replicates: tuple[MetriplecticModel, ...] = ()

    @property
    def gain(self) -> float:
        """Factor of the corrections of the energies by the impulses."""
        return float(self.parameters["gain"].exp())

    def interval(
        self, function: Callable[[MetriplecticModel], torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return what a function of the model gives, and half its 90 % interval; None without replicates.

        Student's t with one degree of freedom less than there are blocks.
        """
        value = function(self.model)
        if not self.replicates:
            return value, None
        values = torch.stack([function(model) for model in self.replicates])
        return value, quantile(len(values)) * jackknife_error(values)

    def heat_capacity(self) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return C/k_B of every species at (T0, V0), and half its 90 % interval; shapes (n_species,)."""
        return self.interval(heat_capacity)


def heat_capacity(model: MetriplecticModel) -> torch.Tensor:
    """Return C/k_B of every species at S = 0 and V = 1, shape (n_species,)."""
    zero = torch.zeros_like(model.masses)
    return model.energy.at(zero, zero + 1.0, torch.arange(len(zero), device=zero.device)).heat_capacity


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
        The force that drives the system, known; its time counts from frame 0 of the recording.
    seed : int
    checkpoint : Checkpoint, optional
        Where each round is kept; a stopped fit goes on from there.
    progress : callable
        Called with (done, total) rounds and refits.

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
    parameters, guess = starting_point(seen, config, body, n_train=n_train, seed=seed)
    mark = mark_of(seen, config, body, n_train=n_train, seed=seed)
    total = config.rounds + config.time_blocks
    done, hidden = train(
        parameters, seen, config, n_train=n_train, seed=seed, checkpoint=checkpoint, mark=mark,
        progress=lambda finished, _: progress(finished, total),
    )  # fmt: skip
    square = selection_scores(parameters, seen, hidden, n_train)[1]
    others = refits(
        parameters, seen, config, n_train=n_train, checkpoint=checkpoint, mark=mark,
        progress=lambda finished, _: progress(config.rounds + finished, total),
    )  # fmt: skip
    model, *replicates = models(parameters, [done.best, *others])
    return ThermalDynamics(
        model=model, parameters=done.best, hidden=hidden, scores=tuple(done.scores), innovation_square=square,
        guess=guess, replicates=tuple(replicates),
    )  # fmt: skip


@torch.no_grad()
def models(parameters: ThermalParameters, states: list[dict[str, torch.Tensor]]) -> list[MetriplecticModel]:
    """Return the models that several sets of numbers stand for; ``parameters`` hold the first set in the end."""
    found = []
    for state in [*states[1:], states[0]]:
        parameters.load_state_dict(state)
        found.append(parameters.model())
    return [found[-1], *found[:-1]]


def starting_point(
    seen: Observed, config: ThermalFitConfig, body: BodyForce | None, *, n_train: int, seed: int = 0
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
    guess = first_guess(seen, body, config.heat_capacity, cutoff=config.reach)
    kernel = mean_kernel(seen, frames, cutoff=config.reach, n_knots=config.n_knots)
    like = seen.masses
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
        scales, config, heat_capacity=guess.heat_capacity, friction=guess.friction,
        heat=guess.friction * guess.temperature * guess.heat_capacity / float(like.mean()),
        generator=torch_generator(generator(seed, "thermal networks")),
    )  # fmt: skip
    return parameters, guess


def _joined(first: PhaseSeries, second: PhaseSeries) -> PhaseSeries:
    alike = all(
        np.array_equal(getattr(first, name), getattr(second, name)) for name in ("species", "masses", "frame_interval")
    )
    if first.first_frame + first.n_frames != second.first_frame or not alike or first.box != second.box:
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
    """Return the internal energies behind another recording; ``mean_energy`` is the mean U_i of its first frame.

    Zero is the mean energy at which the training block began: a recording that begins hotter or colder needs its own.

    Raises
    ------
    DataError
        If the species of the recording are not those of the model, by number and mass.
    """
    seen, known = observed(series, dynamics.model.cutoff), dynamics.model.masses
    found = seen.masses
    if len(found) > len(known) or not torch.allclose(found, known[: len(found)].to(found), rtol=1e-6, atol=0.0):
        raise DataError(
            f"species of masses {found.tolist()}",
            expected=f"those of the model, {known.tolist()}",
            action="number species and choose units as in the recording that was learned from",
        )
    return hidden_energies(dynamics.model, seen, mean_energy=mean_energy, gain=dynamics.gain)
