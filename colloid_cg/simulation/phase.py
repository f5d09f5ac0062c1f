"""Rollouts in phase space: positions, velocities and internal energies, with the ledger of the laws."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from colloid_cg.dynamics.metriplectic.model import MetriplecticModel
from colloid_cg.dynamics.metriplectic.state import PhaseState, kinetic_energy, momentum, total_energy
from colloid_cg.dynamics.metriplectic.steps.hidden import hidden_at_pairs, memory_step
from colloid_cg.dynamics.metriplectic.steps.reinjection import reinjection_step
from colloid_cg.errors import DataError
from colloid_cg.learn.kinds import HIDDEN_ENTROPY
from colloid_cg.learn.momentum import phase_model
from colloid_cg.learn.thermal import hidden_entropy_model
from colloid_cg.progress import Progress, silent
from colloid_cg.records import Ledger, ModelBundle, PhaseSeries, Rollout, Trajectories
from colloid_cg.simulation.config import SimulateConfig
from colloid_cg.simulation.phase_schedule import PhaseSchedule, phase_schedule
from colloid_cg.simulation.phase_start import hidden_start, starting_state
from colloid_cg.states import phase_series

Step = Callable[[MetriplecticModel, PhaseState, float, torch.Generator], PhaseState]
"""Advances a state of a model by a time, with noise from a generator: any dynamics that is to be compared."""

MOST_ROWS = 20_000_000
"""Positions (of one particle in one frame) that a rollout holds where nothing is said: 1 GB with velocities, in 3-D."""
_ACCOUNTS = ("energy", "kinetic", "internal", "work", "bath_entropy", "absorbed", "entropy", "redrawn", "hidden")


def two_stage(model: MetriplecticModel, state: PhaseState, dt: float, rng: torch.Generator) -> PhaseState:
    """Return the state after one re-injection step with two stages: energy and momentum to round-off.

    With the hidden vectors of its pairs first, where the model has memory.
    """
    if model.memory is not None:
        return memory_step(model, state, dt, rng)
    return reinjection_step(model, state, dt, rng, stages=2)


def simulate_phase(
    bundle: ModelBundle,
    start: Trajectories,
    config: SimulateConfig | None = None,
    *,
    rng: int | np.random.Generator = 0,
    progress: Progress = silent,
    most_rows: int = MOST_ROWS,
) -> Rollout:
    """Run a model fitted to positions and velocities from the first frame of ``start``; see phase_rollout.

    Pair dynamics starts at its temperature, a model with hidden entropies at the temperatures that were estimated
    (:func:`~colloid_cg.simulation.phase_start.hidden_start`).
    """
    series = phase_series(start)
    state: PhaseState | None = None
    told: list[str] = []
    if bundle.config["kind"] == HIDDEN_ENTROPY:
        model = hidden_entropy_model(bundle)
        require_known_species(model, series)
        state, told = hidden_start(model, bundle, series)
    else:
        model = phase_model(bundle)
    rollout = phase_rollout(
        model, series, config=config, rng=rng, progress=progress, most_rows=most_rows, state=state,
        thermal_energy=float(bundle.config["thermal_energy"]), length_unit=start.length_unit, time_unit=start.time_unit,
    )  # fmt: skip
    found: Any = rollout.metadata["warnings"]
    return replace(rollout, metadata={**rollout.metadata, "warnings": [*told, *found]})


def phase_rollout(
    model: MetriplecticModel,
    start: PhaseSeries,
    step: Step = two_stage,
    *,
    thermal_energy: float,
    state: PhaseState | None = None,
    config: SimulateConfig | None = None,
    rng: int | np.random.Generator = 0,
    progress: Progress = silent,
    most_rows: int = MOST_ROWS,
    length_unit: str = "reduced",
    time_unit: str = "reduced",
) -> Rollout:
    """Run a model from the first frame of ``start``: its positions, and its velocities at rest and at k_B T.

    The common motion is taken off the velocities and the rest is scaled to k_B T per degree of freedom, where the model
    knows one temperature; entropies start at zero, where every particle has that temperature. Steps per frame:
    :func:`~colloid_cg.simulation.phase_schedule.phase_schedule`.

    Parameters
    ----------
    model : MetriplecticModel
    start : PhaseSeries
    step : callable
        ``step(model, state, dt, rng) -> state``: another dynamics, to be compared on equal terms.
    thermal_energy : float
        k_B T, also the unit of the ledger.
    state : PhaseState, optional
        Of ``model``, to start from as it is: velocities and temperatures of their own.
    config : SimulateConfig, optional
    rng : int or numpy.random.Generator
    progress : callable
        Called with (done, total) frames.
    most_rows : int
        Frames x particles x replicas that are stored; more are thinned out evenly.
    length_unit, time_unit : str
        Names of the units of ``start``.

    Returns
    -------
    Rollout
        Unwrapped positions, ``observed`` the same, velocities; the ledger in k_B T and k_B.

    Raises
    ------
    DataError
        If a particle is of a species the model does not know, or the dynamics leaves all bounds.
    """
    config = config or SimulateConfig()
    require_known_species(model, start)
    scale = 1.0
    if state is None:
        state, scale = starting_state(model, start, thermal_energy)
    steps = phase_schedule(model, state, frame_interval=start.frame_interval, substeps=config.substeps)
    frames = config.frames or start.n_frames
    every = config.every or thinning(frames, config.replicas * start.n_particles, most_rows)
    stored = (frames - 1) // every + 1
    runs = []
    for replica, stream in enumerate(np.random.default_rng(rng).spawn(config.replicas)):

        def advance(done: int, replica: int = replica) -> None:
            progress(replica * stored + done, config.replicas * stored)

        generator = torch.Generator().manual_seed(int(stream.integers(2**62)))
        first = state if model.memory is None else hidden_at_pairs(model, state, generator)
        runs.append(_run(model, first, step, steps, generator, stored=stored, every=every, advance=advance))
    positions, velocities = (np.stack([getattr(run, name) for run in runs]) for name in ("positions", "velocities"))
    ledger = _ledger(runs, thermal_energy, model.boltzmann)
    if model.memory is None:
        ledger = replace(ledger, hidden=None)
    return Rollout(
        positions=positions,
        observed=positions,
        velocities=velocities,
        species=start.species,
        box=start.box,
        frame_interval=start.frame_interval * every,
        ledger=ledger,
        metadata=_record(steps, every, (stored - 1) * every)
        | {
            "velocity_scale": scale,
            "thermal_energy": thermal_energy,
            "masses": [float(mass) for mass in model.masses],
            "length_unit": length_unit,
            "time_unit": time_unit,
            "warnings": _warnings(start, every, config),
        },
    )


def require_known_species(model: MetriplecticModel, start: PhaseSeries) -> None:
    """Refuse particles of a species the model does not know."""
    if int(start.species.max()) >= model.n_species:
        raise DataError(
            f"species {int(start.species.max())} in the block to start from",
            expected=f"the {model.n_species} species of the model",
            action="fit a block that holds every species",
        )


def _record(steps: PhaseSchedule, every: int, frames: int) -> dict[str, object]:
    """Return the time steps of a rollout for its metadata."""
    return {
        "substeps": steps.substeps,
        "every": every,
        "time_step": steps.dt,
        "steps": frames * steps.substeps,
        "time_step_rule": steps.rule,
    }


def thinning(frames: int, rows_per_frame: int, most_rows: int) -> int:
    """Return the smallest k with which every k-th frame needs no more than ``most_rows`` rows; two frames at least."""
    every = 1
    while every < frames - 1 and ((frames - 1) // every + 1) * rows_per_frame > most_rows:
        every += 1
    return every


@dataclass(frozen=True, kw_only=True, eq=False)
class _Run:
    """One replica: positions and velocities (T, n, d), accounts (T, number of accounts), momentum (T, d)."""

    positions: np.ndarray
    velocities: np.ndarray
    accounts: np.ndarray
    momentum: np.ndarray


def _run(
    model: MetriplecticModel,
    state: PhaseState,
    step: Step,
    steps: PhaseSchedule,
    generator: torch.Generator,
    *,
    stored: int,
    every: int,
    advance: Callable[[int], None],
) -> _Run:
    shape = (stored, *state.positions.shape)
    run = _Run(
        positions=np.empty(shape), velocities=np.empty(shape), accounts=np.empty((stored, len(_ACCOUNTS))),
        momentum=np.empty((stored, shape[2])),
    )  # fmt: skip
    for frame in range(stored):
        if frame:
            for _ in range(every * steps.substeps):
                state = step(model, state, steps.dt, generator)
            if not bool(torch.isfinite(state.velocities).all()):
                raise DataError(
                    f"velocities that are no numbers any more after {frame * every} frames",
                    expected="dynamics that stay bounded",
                    action="use more simulate.substeps, or another model",
                )
        run.positions[frame], run.velocities[frame] = state.positions.numpy(), state.velocities.numpy()
        account = _account(model, state)
        run.accounts[frame] = [account[name] for name in _ACCOUNTS]
        run.momentum[frame] = momentum(model, state).numpy()
        advance(frame + 1)
    return run


def _account(model: MetriplecticModel, state: PhaseState) -> dict[str, float]:
    """Return energies in the units of the model and the entropy in its units of k_B; bath: energy given to it."""
    account = state.account
    return {
        "energy": float(total_energy(model, state)),
        "kinetic": float(kinetic_energy(model, state).sum()),
        "internal": float(state.internal.sum()),
        "work": float(account.work),
        "bath_entropy": float(account.bath),
        "absorbed": float(account.absorbed),
        "entropy": float(state.entropy.sum()),
        "redrawn": float(account.redrawn),
        "hidden": 0.0 if state.hidden is None else float(state.hidden.energy),
    }


def _ledger(runs: list[_Run], thermal_energy: float, boltzmann: float) -> Ledger:
    """Return the accounts of all replicas: energies in k_B T0, the entropy in k_B."""
    accounts: dict[str, Any] = {
        name: np.stack([run.accounts[:, place] for run in runs]) for place, name in enumerate(_ACCOUNTS)
    }
    for name in ("energy", "kinetic", "internal", "work", "bath_entropy", "absorbed", "hidden"):
        accounts[name] = accounts[name] / thermal_energy
    accounts["entropy"] = accounts["entropy"] / boltzmann
    return Ledger(momentum=np.stack([run.momentum for run in runs]), **accounts)


def _warnings(start: PhaseSeries, every: int, config: SimulateConfig) -> list[str]:
    found = []
    if not all(start.box.periodic):
        found.append("The cell is open along an axis: nothing keeps particles in, walls are not modelled.")
    if every > 1 and config.every is None:
        found.append(f"One frame in {every} of the rollouts is kept, to stay within the memory (memory_rows).")
    return found
