"""Rollouts: the model run forward, and what the same camera would have seen of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from colloid_cg.dynamics import OverdampedModel, close_pairs, overdamped_step, pair_force, potential_energy
from colloid_cg.learn import model_from_bundle
from colloid_cg.progress import Progress, silent
from colloid_cg.records import Ledger, ModelBundle, Rollout, State, Trajectories
from colloid_cg.simulate.cell import starting_state
from colloid_cg.simulate.config import SimulateConfig
from colloid_cg.states import from_trajectories

_RELAXATION = 0.1
"""Largest product of relaxation rate and time step with automatic sub-steps."""
_EXPOSURE_STEPS = 10
_MOST = 2000


@dataclass
class _Neighbours:
    """Pairs up to cutoff + skin, listed again once a particle has moved half the skin."""

    cutoff: float
    skin: float
    pairs: np.ndarray | None = None
    origin: np.ndarray | None = None

    def of(self, state: State) -> np.ndarray:
        if (
            self.pairs is None
            or self.origin is None
            or np.abs(state.positions - self.origin).max(initial=0.0) > self.skin / 4
        ):
            self.pairs = close_pairs(state.positions, self.cutoff + self.skin, state.box)
            self.origin = state.positions
        return self.pairs


def simulate(
    bundle: ModelBundle,
    start: Trajectories,
    config: SimulateConfig | None = None,
    *,
    rng: int | np.random.Generator = 0,
    progress: Progress = silent,
) -> Rollout:
    """Run a fitted model from the first frame of a block.

    The cell is the field of view made periodic. ``observed`` adds the exposure average (if the exposure is known) and
    the fitted localisation noise (none if its variance came out negative), so that a rollout is compared with an
    experiment as the camera would see both.
    """
    config = config or SimulateConfig()
    model, series = model_from_bundle(bundle), from_trajectories(start)
    state = starting_state(series, model)
    n_frames = config.frames or series.n_frames
    interval = series.frame_interval
    share = 0.0 if series.exposure is None else min(series.exposure / interval, 1.0)
    substeps = config.substeps or automatic_substeps(model, interval, share)
    streams = (np.random.default_rng(rng) if isinstance(rng, int) else rng).spawn(config.replicas)
    variance = max(float(bundle.weights["localisation_variance"][0]), 0.0)
    shape = (config.replicas, n_frames, *state.positions.shape)
    positions, observed = np.empty(shape), np.empty(shape)
    books = np.zeros((3, config.replicas, n_frames))
    for replica, stream in enumerate(streams):
        for frame, (true, seen, book) in enumerate(
            _frames(model, state, n_frames, interval=interval, substeps=substeps, share=share, rng=stream)
        ):
            positions[replica, frame] = true
            observed[replica, frame] = seen + np.sqrt(variance) * stream.standard_normal(seen.shape)
            books[:, replica, frame] = book
            progress(replica * n_frames + frame + 1, config.replicas * n_frames)
    return Rollout(
        positions=positions,
        observed=observed,
        species=state.species,
        box=state.box,
        frame_interval=interval,
        ledger=Ledger(energy=books[0], work=books[1], bath_entropy=books[2]),
        exposure=series.exposure,
        metadata={"substeps": substeps, "localisation_variance": variance, "config": config.as_dict()},
    )


def automatic_substeps(model: OverdampedModel, interval: float, exposure_share: float) -> int:
    """Return time steps per frame: stiffness of the worst observed pair times the step at most a tenth."""
    blurred = _EXPOSURE_STEPS if exposure_share > 0 else 1
    if not model.n_knots:
        return blurred
    r = np.linspace(model.lower, model.cutoff, 400)
    stiffness = 0.0
    for a in range(model.n_species):
        for b in range(a, model.n_species):
            slope = np.abs(np.gradient(pair_force(model, r, species=(a, b)), r)).max()
            stiffness = max(stiffness, 2.0 * float(model.diffusion[[a, b]].max()) * float(slope))
    spread = 2.0 * model.diffusion.max() * interval / (0.2 * model.width) ** 2  # a step is small against the spline
    return int(min(max(blurred, np.ceil(stiffness * interval / _RELAXATION), np.ceil(spread)), _MOST))


def _frames(model: OverdampedModel, state: State, n_frames: int, *, interval: float, substeps: int, share: float,
            rng: np.random.Generator):  # type: ignore[no-untyped-def]  # fmt: skip
    """Yield positions, exposure average and (energy, work, bath entropy) of every stored frame."""
    dt, exposed = interval / substeps, round(share * substeps)
    half_cell = 0.5 * float(state.box.lengths.min())
    jump = 8.0 * np.sqrt(2.0 * model.diffusion.max() * dt)
    skin = min(max(jump, 0.3 * model.cutoff), max(half_cell - model.cutoff, 0.0))
    neighbours = _Neighbours(cutoff=model.cutoff, skin=skin)
    energy, work = potential_energy(model, state), 0.0
    for _ in range(n_frames):
        before, book = state.positions, (energy, work, state.bath_entropy)
        total, last = np.zeros_like(before), before
        for step in range(substeps):
            pairs = neighbours.of(state) if model.n_knots else None
            state, increments = overdamped_step(model, state, dt=dt, rng=rng, pairs=pairs)
            energy, work = energy + increments.energy, work + increments.work
            if step < exposed:
                total += 0.5 * (last + state.positions) / exposed  # trapezoid over the exposure
            last = state.positions
        yield before, (total if exposed else before), book
