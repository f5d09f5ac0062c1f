"""Rounds of estimating the hidden energies and improving the model, from which a stopped fit goes on."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import torch

from colloid_cg.errors import DataError
from colloid_cg.learn.checkpoint import Arrays, Checkpoint
from colloid_cg.learn.thermal.config import ThermalFitConfig
from colloid_cg.learn.thermal.guesses import internal_energy_gain
from colloid_cg.learn.thermal.hidden import HiddenEnergies, hidden_energies
from colloid_cg.learn.thermal.observed import Observed
from colloid_cg.learn.thermal.parameters import ThermalParameters, gradient
from colloid_cg.learn.thermal.transition import innovation, negative_log_likelihood, transition
from colloid_cg.progress import Progress
from colloid_cg.seeding import generator

SCHEMA = 4
_DAMPING, _TINY, _LONGEST = 1e-4, 1e-8, 0.5
"""Of a scoring step: share of the diagonal added to it, least curvature, largest change of a parameter."""
FILTER_FROM = 2
"""Rounds before the energies are corrected by the motion: a model far off would lead them astray."""
_TRIED_FRAMES, _COARSE_ROUNDS = 120, 5


@dataclass
class Progressed:
    """Where a fit stands after a number of rounds: scores of the selection block, and the best parameters so far."""

    round: int = 0
    scores: list[float] = field(default_factory=list)
    best: dict[str, torch.Tensor] = field(default_factory=dict)


def score(
    parameters: ThermalParameters, observed: Observed, hidden: HiddenEnergies, frames: list[int], first: int = 0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return -ln L per particle of the impulses that follow ``frames`` and r Sigma^-1 r / d, means over particles.

    ``first`` is the frame with which ``hidden`` begins.
    """
    model, rows = parameters.model(), [frame - first for frame in frames]
    change = transition(model, observed, frames, hidden.energy[rows].flatten(), hidden.entropy[rows].flatten())
    rest, covariance = innovation(model, change, hidden.variance[rows].flatten())
    values, squares = negative_log_likelihood(rest, covariance + hidden.spread[rows].flatten(0, 1))
    return values.mean(), squares.mean()


def train(
    parameters: ThermalParameters, observed: Observed, config: ThermalFitConfig, *, n_train: int, seed: int,
    checkpoint: Checkpoint, mark: str = "", progress: Progress,
) -> tuple[Progressed, HiddenEnergies]:  # fmt: skip
    """Improve ``parameters`` in place; return the scores and the hidden energies of the best round.

    Frames 0 to ``n_train`` - 1 are learned from, the rest decides which round is best. The same seed, data and settings
    give the same numbers, also after a stop; ``mark`` says of which data and settings a checkpoint is. Under
    torch.distributed every process takes its own frames and gradients are averaged.
    """
    optimiser = torch.optim.Adam([p for p in parameters.parameters() if p.requires_grad], lr=config.learning_rate)
    done = _resumed(parameters, optimiser, checkpoint, mark)
    hidden = _estimate(parameters, observed, done.round)
    while done.round < config.rounds and not _exhausted(done.scores, config.patience):
        _improve(parameters, optimiser, observed, hidden, config, n_train=n_train, round_=done.round, seed=seed)
        done.round += 1
        if done.round > FILTER_FROM:
            for parameter in (parameters.heat, parameters.gain):
                _adjust(parameter, parameters, observed, n_train=n_train, round_=done.round)
        hidden = _estimate(parameters, observed, done.round)
        done.scores.append(selection_scores(parameters, observed, hidden, n_train)[0])
        if done.round <= FILTER_FROM or done.scores[-1] <= min(done.scores[FILTER_FROM - 1 :]):
            done.best = {name: value.detach().clone() for name, value in parameters.state_dict().items()}
        checkpoint.save("round", _kept(parameters, optimiser, done) | {"mark": np.array(mark)})
        progress(done.round, config.rounds)
    parameters.load_state_dict(done.best)
    return done, _estimate(parameters, observed, max(config.rounds, FILTER_FROM))


def _exhausted(scores: list[float], patience: int) -> bool:
    filtered = scores[FILTER_FROM - 1 :]
    return len(filtered) > patience and min(filtered[-patience:]) > min(filtered[:-patience])


def _estimate(parameters: ThermalParameters, observed: Observed, round_: int) -> HiddenEnergies:
    with torch.no_grad():
        gain = float(parameters.gain.exp()) if round_ >= FILTER_FROM else 0.0
        return hidden_energies(parameters.model(), observed, gain=gain)


def _improve(
    parameters: ThermalParameters, optimiser: torch.optim.Optimizer, observed: Observed, hidden: HiddenEnergies,
    config: ThermalFitConfig, *, n_train: int, round_: int, seed: int,
) -> None:  # fmt: skip
    """Take many small steps while the model is far off, then one by Fisher scoring."""
    usable = training_frames(config, n_train)
    if round_ < FILTER_FROM:
        rng = generator(seed, "thermal fit", round_, _rank())
        for _ in range(config.steps):
            frames = np.sort(rng.choice(usable, config.batch_frames, replace=False)).tolist()
            training_step(parameters, optimiser, observed, hidden, frames, config)
        return
    scoring_step(parameters, observed, hidden, spread(_share(usable), config.scoring_frames), config)


def scoring_step(
    parameters: ThermalParameters, observed: Observed, hidden: HiddenEnergies, frames: list[int],
    config: ThermalFitConfig,
) -> None:  # fmt: skip
    """Change the parameters by -(I + R)^-1 g: g the gradient, R the curvature of the roughness penalty.

    I, the information of a particle, is n times the covariance of the gradient from frame to frame: increments of
    different frames are independent given the energies. Where the likelihood is flat in one direction and steep in
    another, as between temperature and force, plain gradients take thousands of steps.
    """
    free = [parameter for parameter in parameters.parameters() if parameter.requires_grad]
    rows = torch.stack([gradient(score(parameters, observed, hidden, [frame])[0], free) for frame in frames])
    slope = _averaged(rows.mean(dim=0))
    centred = rows - rows.mean(dim=0)
    information = _averaged(observed.n_particles * (centred.T @ centred) / max(len(frames) - 1, 1))
    penalty = config.roughness * parameters.roughness()
    slope = slope + gradient(penalty, free)
    stiffness = config.roughness * parameters.roughness_curvature(free)
    damping = _DAMPING * torch.diag(torch.diagonal(information))
    change = -torch.linalg.solve(information + stiffness + damping + _TINY * torch.eye(len(slope)).to(slope), slope)
    change = change * min(1.0, _LONGEST / float(change.abs().max()))
    first = 0
    for parameter in free:
        parameter.data += change[first : first + parameter.numel()].view_as(parameter)
        first += parameter.numel()


def training_step(
    parameters: ThermalParameters, optimiser: torch.optim.Optimizer, observed: Observed, hidden: HiddenEnergies,
    frames: list[int], config: ThermalFitConfig,
) -> float:  # fmt: skip
    """Take one step of the optimiser on the likelihood of the impulses after ``frames``; return their mean score."""
    optimiser.zero_grad()
    value, _ = score(parameters, observed, hidden, frames)
    (value + config.roughness * parameters.roughness()).backward()  # type: ignore[no-untyped-call]
    _average_gradients(parameters)
    optimiser.step()
    return float(value.detach())


def training_frames(config: ThermalFitConfig, n_train: int) -> np.ndarray:
    """Return the frames of the training block that are followed by another one and settled."""
    frames = np.arange(config.settling_frames, n_train - 1)
    least = max(config.batch_frames, 2 * config.time_blocks)
    if len(frames) < least:
        raise DataError(
            f"{n_train} frames to train on, {config.settling_frames} of them to settle",
            expected=f"at least {config.settling_frames + least + 1}",
            action="use a longer training block, a smaller thermal.settling_frames or fewer thermal.time_blocks",
        )
    return frames


def spread(frames: np.ndarray, most: int | None) -> list[int]:
    """Return at most so many frames, evenly spread."""
    if most is None or len(frames) <= most:
        return [int(frame) for frame in frames]
    return [int(frame) for frame in frames[np.linspace(0, len(frames) - 1, most).round().astype(int)]]


@torch.no_grad()
def selection_scores(
    parameters: ThermalParameters, observed: Observed, hidden: HiddenEnergies, n_train: int
) -> tuple[float, float]:
    """Return -ln L per particle and r Sigma^-1 r / d, means over every transition of the selection block."""
    frames = range(n_train, observed.n_frames - 1)
    found = np.mean([[float(part) for part in score(parameters, observed, hidden, [f])] for f in frames], axis=0)
    return float(found[0]), float(found[1])


@torch.no_grad()
def _adjust(
    logarithm: torch.nn.Parameter, parameters: ThermalParameters, observed: Observed, *, n_train: int, round_: int
) -> None:
    """Multiply heat exchange or gain by the factor, of a parabola through three, that predicts the motion best.

    They act on the motion only through the energies, of which the likelihood at given energies knows nothing.
    """
    first = max(0, n_train - _TRIED_FRAMES)
    frames = range(first + (n_train - first) // 4, n_train - 1, 3)
    mean = float(internal_energy_gain(observed, parameters.scales.body)[first])
    start, scores = logarithm.data.clone(), []
    step = math.log(2.0 if round_ <= _COARSE_ROUNDS else math.sqrt(2.0))
    for shift in (-step, 0.0, step):
        logarithm.data = start + shift
        found = hidden_energies(
            parameters.model(), observed, first=first, last=n_train, mean_energy=mean, gain=float(parameters.gain.exp())
        )
        values = [float(score(parameters, observed, found, [frame], first)[0]) for frame in frames]
        scores.append(sum(values) / len(values))
    logarithm.data = start + step * lowest_of_three(scores)


def lowest_of_three(values: list[float]) -> float:
    """Return where the parabola through values at -1, 0 and 1 is lowest within these bounds."""
    left, middle, right = values
    bend = left - 2.0 * middle + right
    if bend <= 0.0:
        return -1.0 if left < right else 1.0
    return max(-1.0, min(1.0, 0.5 * (left - right) / bend))


def _average_gradients(parameters: ThermalParameters) -> None:
    """Average gradients over the processes of torch.distributed, if there are any."""
    for parameter in parameters.parameters():
        if parameter.grad is not None:
            parameter.grad = _averaged(parameter.grad)


def _averaged(values: torch.Tensor) -> torch.Tensor:
    if not _distributed():
        return values
    torch.distributed.all_reduce(values)
    return values / torch.distributed.get_world_size()


def _share(frames: np.ndarray) -> np.ndarray:
    """Return the frames of this process."""
    return frames[_rank() :: torch.distributed.get_world_size()] if _distributed() else frames


def _distributed() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def _rank() -> int:
    return torch.distributed.get_rank() if _distributed() else 0


def _kept(parameters: ThermalParameters, optimiser: torch.optim.Optimizer, done: Progressed) -> Arrays:
    """Return the state of a fit as named arrays."""
    arrays = {"schema": np.array(SCHEMA), "round": np.array(done.round), "scores": np.array(done.scores)}
    arrays |= {f"parameters.{name}": value.cpu().numpy() for name, value in parameters.state_dict().items()}
    arrays |= {f"best.{name}": value.cpu().numpy() for name, value in done.best.items()}
    for number, state in optimiser.state_dict()["state"].items():
        arrays |= {f"optimiser.{number}.{name}": torch.as_tensor(value).cpu().numpy() for name, value in state.items()}
    return arrays


def _resumed(
    parameters: ThermalParameters, optimiser: torch.optim.Optimizer, checkpoint: Checkpoint, mark: str
) -> Progressed:
    """Return where a stopped fit was, with its parameters and optimiser put back; the start if there is none.

    Raises
    ------
    DataError
        If the checkpoint is of another schema, of a model of another size, or of other data or settings.
    """
    kept = checkpoint.load("round")
    if kept is None:
        return Progressed()
    if int(kept.get("schema", -1)) != SCHEMA:
        raise DataError(
            f"a checkpoint of schema {int(kept.get('schema', -1))}",
            expected=f"schema {SCHEMA}",
            action="delete the checkpoint and fit from the start, or use the version that wrote it",
        )
    own = parameters.state_dict()
    found = {name: kept.get(f"parameters.{name}") for name in own}
    wrong = [name for name, value in found.items() if value is None or value.shape != tuple(own[name].shape)]
    if wrong:
        raise DataError(
            f"a checkpoint in which {wrong[0]} has another shape",
            expected="one of the same settings",
            action="delete the checkpoint, or fit with the settings it was made with",
        )
    if str(kept["mark"]) != mark:
        raise DataError(
            "a checkpoint of a fit to other data, or with other settings or another seed",
            expected="one of the same fit; only thermal.rounds, patience, time_blocks and refit_rounds may differ",
            action="delete the checkpoint, or keep the checkpoints of every fit in a place of their own",
        )

    def tensors(prefix: str) -> dict[str, torch.Tensor]:
        return {
            name.removeprefix(prefix): torch.as_tensor(value).to(parameters.grueneisen)
            for name, value in kept.items()
            if name.startswith(prefix)
        }

    parameters.load_state_dict(tensors("parameters."))
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in tensors("optimiser.").items():
        number, part = name.split(".", 1)
        state.setdefault(int(number), {})[part] = value
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
    return Progressed(round=int(kept["round"]), scores=[float(v) for v in kept["scores"]], best=tensors("best."))
