"""Rollouts: the fitted model run forward, its ledger, and what a camera would have seen of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from colloid_cg.dynamics import (
    OverdampedModel,
    close_pairs,
    overdamped_step,
    pair_force,
    potential_energy,
    well_forces_and_energy,
)
from colloid_cg.errors import DataError
from colloid_cg.learn import model_from_bundle
from colloid_cg.learn.kinds import in_phase_space
from colloid_cg.learn.latent import hidden_model
from colloid_cg.progress import Progress, silent
from colloid_cg.records import Ledger, ModelBundle, Rollout, State, Trajectories
from colloid_cg.simulation.cell import initial_state
from colloid_cg.simulation.config import SimulateConfig
from colloid_cg.simulation.fields import RolloutFields, placed, rollout_fields, shown, start_without_driven
from colloid_cg.simulation.hidden import CHANGE, COARSER, HiddenRun, fastest, hidden_run
from colloid_cg.simulation.phase import MOST_ROWS, simulate_phase

_EXPOSURE_PARTS = 8
_STIFFNESS = 0.05
"""Largest D |dF/dr| dt of a pair in one step; the stochastic Heun step errs by its square."""
_MOST_SUBSTEPS = 500
_MOST_HELD = 4
"""Time steps over which a mobility is held: what the noise does to it must not relax before it is seen."""


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Time steps of a frame: ``dt`` in s, ``substeps`` per frame, of which the shutter is open for ``exposed``.

    A mobility that depends on hidden variables is held over ``held`` of them.
    """

    dt: float
    substeps: int
    exposed: int
    held: int = 1

    def divided(self, times: int) -> Schedule:
        """Return the schedule with every time step divided."""
        return replace(self, dt=self.dt / times, substeps=self.substeps * times, exposed=self.exposed * times)


def schedule(
    model: OverdampedModel, *, frame_interval: float, exposure: float | None, substeps: int | None
) -> Schedule:
    """Return time steps that resolve the stiffest pair force and the exposure."""
    if substeps is None:
        stiffness = 0.0
        if model.n_knots:
            distance = np.linspace(model.lower, model.cutoff, 400)
            pairs = [(a, b) for a in range(model.n_species) for b in range(a, model.n_species)]
            slopes = [np.gradient(pair_force(model, distance, species=pair), distance) for pair in pairs]
            stiffness = float(model.diffusion.max() * np.abs(slopes).max())
        substeps = max(1, int(np.ceil(stiffness * frame_interval / _STIFFNESS)))
        if exposure:
            substeps = max(substeps, int(np.ceil(_EXPOSURE_PARTS * frame_interval / min(exposure, frame_interval))))
        substeps = min(substeps, _MOST_SUBSTEPS)
    share = min((exposure or 0.0) / frame_interval, 1.0)
    exposed = max(round(share * substeps), 1) if share > 0 else 0
    return Schedule(dt=frame_interval / substeps, substeps=substeps, exposed=exposed)


def simulate(
    bundle: ModelBundle,
    start: Trajectories,
    config: SimulateConfig | None = None,
    *,
    rng: int | np.random.Generator = 0,
    progress: Progress = silent,
    most_rows: int = MOST_ROWS,
) -> Rollout:
    """Run the fitted model from the first frame of ``start`` in the field of view, made periodic.

    Models fitted to positions and velocities run in phase space and in the cell of the simulation they were fitted to
    (:func:`~colloid_cg.simulation.phase.phase_rollout`).

    Parameters
    ----------
    bundle : ModelBundle
        Made by :func:`colloid_cg.learn.fit`.
    start : Trajectories
        Block that gives initial positions, field of view, frame interval, exposure and length.
    config : SimulateConfig, optional
    rng : int or numpy.random.Generator
    progress : callable
        Called with (done, total) frames.
    most_rows : int
        Of rollouts with velocities, frames x particles x replicas to keep.

    Returns
    -------
    Rollout
        ``positions`` (true) and ``observed`` (averaged over the exposure, with the fitted localisation noise) in um;
        the ledger in k_B T0 and k_B. Prescribed particles and a background flow do work; without them energy + bath
        entropy stays constant.

    Raises
    ------
    DataError
        If the first frame holds no particles, or a time step throws particles across the cell.
    """
    config = config or SimulateConfig()
    if not len(start):
        raise DataError("no particles in the test block", expected="a first frame to start from", action="track again")
    if in_phase_space(bundle.config):
        return simulate_phase(bundle, start, config, rng=rng, progress=progress, most_rows=most_rows)
    moved = bool((start.metadata.get("drift") or {}).get("removed"))
    hidden = hidden_model(bundle)
    hidden = hidden if hidden is not None and hidden.used else None
    model, whole = model_from_bundle(bundle) if hidden is None else hidden.dynamics, placed(bundle, start)
    start = start_without_driven(bundle, whole)
    frames = config.frames or int(start.table["frame"].max() - start.table["frame"].min() + 1)
    quick = model if hidden is None else replace(model, diffusion=fastest(hidden) * model.diffusion)
    steps = schedule(quick, frame_interval=start.frame_interval, exposure=start.exposure, substeps=config.substeps)
    fields = rollout_fields(bundle, whole, n_mobile_species=len(model.diffusion), frames=frames)
    steps = resolving_wells(steps, model, fields)
    state = with_driven(initial_state(model, start), fields)
    variance = bundle.value("localisation_variance") if hidden is None else hidden.living.localisation_variance
    noise = np.sqrt(max(variance, 0.0))
    streams = np.random.default_rng(rng).spawn(config.replicas)
    acting = [None if hidden is None else hidden_run(hidden, bundle, start, rng=stream) for stream in streams]
    notes = list(fields.notes)
    if acting[0] is not None:
        finer, note = resolving_mobility(steps, acting[0], state, rng=streams[0])
        steps = finer if config.substeps is None else steps
        notes += note
    runs = []
    for replica, stream in enumerate(streams):

        def advance(done: int, replica: int = replica) -> None:
            progress(replica * frames + done, config.replicas * frames)

        runs.append(
            _run(model, state, steps, fields, frames=frames, rng=stream, advance=advance, hidden=acting[replica])
        )
    positions, seen, energy, entropy, work, s = (np.stack(parts) for parts in zip(*runs, strict=True))
    positions, seen = (shown(part, fields) for part in (positions, seen))
    observed = seen + noise * np.stack([stream.standard_normal(seen.shape[1:]) for stream in streams])
    if moved:
        observed = _without_common_motion(observed)
    return Rollout(
        positions=positions,
        observed=observed,
        species=state.species[: positions.shape[2]],
        box=state.box,
        frame_interval=start.frame_interval,
        exposure=start.exposure,
        ledger=Ledger(energy=energy, work=work, bath_entropy=entropy),
        s=None if hidden is None else s,
        metadata={"substeps": steps.substeps, "exposed_substeps": steps.exposed, "localisation_error_um": float(noise)}
        | ({"warnings": notes} if notes else {}),
    )


def _without_common_motion(observed: np.ndarray) -> np.ndarray:
    """Take off the mean displacement since the first frame, as the drift removal of the experiment did."""
    return np.asarray(observed - (observed - observed[:, :1]).mean(axis=2, keepdims=True))


def with_driven(state: State, fields: RolloutFields) -> State:
    """Return the state with the prescribed particles, which come last."""
    if fields.driven is None:
        return state
    return replace(
        state,
        positions=np.concatenate([state.positions, fields.driven.at(0.0)]),
        species=np.concatenate([state.species, fields.driven.species]),
    )


def resolving_wells(steps: Schedule, model: OverdampedModel, fields: RolloutFields) -> Schedule:
    """Return time steps that resolve the wells too, as fine at the edge of what a particle reaches."""
    if fields.wells is None:
        return steps
    k, q = float(np.abs(fields.wells.stiffness).max()), float(np.abs(fields.wells.quartic).max())
    reach = 9.0 / max(k, np.sqrt(q), 1e-300)  # three standard deviations, squared
    rate = float(model.diffusion.max()) * (k + 3.0 * q * reach)
    times = int(np.ceil(min(rate * steps.dt / _STIFFNESS, _MOST_SUBSTEPS / steps.substeps)))
    if times <= 1:
        return steps
    return steps.divided(times)


def resolving_mobility(
    steps: Schedule, hidden: HiddenRun, state: State, *, rng: np.random.Generator
) -> tuple[Schedule, list[str]]:
    """Return time steps in which the mobility changes no more than it may, held over some; a sentence if it does more.

    The sentence is about ``steps`` themselves where nothing finer is possible: there are at most 500 in a frame.
    """
    rate = hidden.rate_of_change(state, dt=steps.dt, rng=rng)
    allowed = CHANGE**2 / max(rate, 1e-300)
    if allowed >= 1.0:
        return replace(steps, held=int(min(allowed, _MOST_HELD))), []
    times, most = int(np.ceil(min(1.0 / allowed, 1e6))), max(_MOST_SUBSTEPS // steps.substeps, 1)
    finer = steps.divided(min(times, most))
    if times <= most:
        return finer, []
    return finer, [
        f"Mobilities change by {CHANGE * np.sqrt(times / most):.2g} (root mean square of the logarithm) within a time "
        f"step of the rollout, {finer.substeps} per frame; {CHANGE:g} is wanted. Averages may be off by its square."
    ]


def _run(
    model: OverdampedModel,
    state: State,
    steps: Schedule,
    fields: RolloutFields,
    *,
    frames: int,
    rng: np.random.Generator,
    advance: Callable[[int], None],
    hidden: HiddenRun | None = None,
) -> tuple[np.ndarray, ...]:
    """Return positions and exposure means (frames, n, d); Psi, bath entropy and work (frames,); s (frames, n, 1)."""
    positions = np.empty((frames, *state.positions.shape))
    seen, energy, entropy, work = np.empty_like(positions), np.empty(frames), np.empty(frames), np.zeros(frames)
    quickest = 1.0 if hidden is None else COARSER * fastest(hidden.model)
    near, done = _Neighbours(model, state, steps.dt, fastest=quickest), 0.0
    s = np.zeros((frames, len(state.species), 1))
    if hidden is not None:
        hidden.begin(state)
    for frame in range(frames):
        positions[frame], entropy[frame], work[frame] = state.positions, state.bath_entropy, done
        energy[frame] = potential_energy(model, state) + well_forces_and_energy(fields.wells, state)[1]
        if hidden is not None:
            s[frame] = hidden.mobility(state.species)[1]
            energy[frame] += hidden.energy
        total = 0.5 * state.positions if steps.exposed else state.positions.copy()
        for step in range(1, steps.substeps + 1):
            if fields.driven is not None:
                state, gained = _driven_to(model, state, fields.driven.at(frame + step / steps.substeps), near)
                done += gained
            previous, around = state, fields.at(state, frame + (step - 1) / steps.substeps)
            if hidden is None:
                state, increments = overdamped_step(
                    model, state, dt=steps.dt, rng=rng, pairs=near.of(state), surroundings=around
                )
                gained = increments.work
            else:
                state, gained = hidden.step(state, dt=steps.dt, rng=rng, pairs=near.of, surroundings=around)
            done += gained
            if model.n_knots:
                _resolved(previous, state, frame)
            if hidden is not None and (step % steps.held == 0 or step == steps.substeps):
                state = hidden.update(state, rng=rng, frame_ends=step == steps.substeps)
            if step <= steps.exposed:
                total = total + (0.5 if step == steps.exposed else 1.0) * state.positions
        seen[frame] = total / max(steps.exposed, 1)
        advance(frame + 1)
    return positions, seen, energy, entropy, work, s


def _resolved(before: State, after: State, frame: int) -> None:
    """Raise DataError where a time step of interacting particles cannot be right."""
    farthest = np.abs(after.positions - before.positions).max(initial=0.0)
    if farthest > 0.5 * before.box.lengths.min() or not np.isfinite(after.bath_entropy):
        raise DataError(
            f"a particle moved by {farthest:.3g} um in one time step, frame {frame} of the rollout",
            expected="steps short against the cell",
            action="set simulate.substeps higher, or fit again: few pairs tell the force at short distance",
        )


def _driven_to(model: OverdampedModel, state: State, places: np.ndarray, near: _Neighbours) -> tuple[State, float]:
    """Move the prescribed particles at rest of all others; returns the work W = Psi(moved) - Psi (k_B T0)."""
    moved = replace(state, positions=np.concatenate([state.positions[: -len(places)], places]))
    if not model.n_knots:
        return moved, 0.0
    before = potential_energy(model, state, pairs=near.of(state))
    return moved, potential_energy(model, moved, pairs=near.of(moved)) - before


class _Neighbours:
    """Candidate pairs, searched again only when a particle has moved half the skin."""

    def __init__(self, model: OverdampedModel, state: State, dt: float, *, fastest: float = 1.0) -> None:
        self.model = model
        self.margin = 8.0 * float(np.sqrt(2.0 * fastest * model.diffusion.max() * dt))
        self.skin = max(0.2 * model.cutoff, 4.0 * self.margin)
        self.origin: np.ndarray | None = None
        self.pairs = np.zeros((0, 2), dtype=np.int64)

    def of(self, state: State) -> np.ndarray:
        """Return pairs that hold for the state and one step further."""
        if not self.model.n_knots:
            return self.pairs
        moved = np.inf if self.origin is None else np.linalg.norm(state.positions - self.origin, axis=1).max()
        if moved > 0.5 * self.skin - self.margin:
            half_cell = 0.5 * float(state.box.lengths.min())
            reach = min(self.model.cutoff + self.skin, half_cell)
            self.skin = reach - self.model.cutoff
            self.pairs, self.origin = close_pairs(state.positions, reach, state.box), state.positions
        return self.pairs
