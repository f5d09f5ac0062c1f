"""Rollouts: the fitted model run forward, its ledger, and what a camera would have seen of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from colloid_cg.dynamics import OverdampedModel, close_pairs, overdamped_step, pair_force, potential_energy
from colloid_cg.errors import DataError
from colloid_cg.learn import model_from_bundle
from colloid_cg.progress import Progress, silent
from colloid_cg.records import Ledger, ModelBundle, Rollout, State, Trajectories
from colloid_cg.simulation.cell import initial_state
from colloid_cg.simulation.config import SimulateConfig

_EXPOSURE_PARTS = 8
_STIFFNESS = 0.05
"""Largest D |dF/dr| dt of a pair in one step; the stochastic Heun step errs by its square."""
_MOST_SUBSTEPS = 500


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Time steps of a frame: ``dt`` in s, ``substeps`` per frame, of which the shutter is open for ``exposed``."""

    dt: float
    substeps: int
    exposed: int


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
) -> Rollout:
    """Run the fitted model from the first frame of ``start`` in the field of view, made periodic.

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

    Returns
    -------
    Rollout
        ``positions`` (true) and ``observed`` (averaged over the exposure, with the fitted localisation noise) in um;
        the ledger in k_B T0 and k_B. No work is done on the system, so energy + bath entropy stays constant.

    Raises
    ------
    DataError
        If the first frame holds no particles.
    """
    config = config or SimulateConfig()
    if not len(start):
        raise DataError("no particles in the test block", expected="a first frame to start from", action="track again")
    model = model_from_bundle(bundle)
    frames = config.frames or int(start.table["frame"].max() - start.table["frame"].min() + 1)
    steps = schedule(model, frame_interval=start.frame_interval, exposure=start.exposure, substeps=config.substeps)
    state = initial_state(model, start)
    noise = np.sqrt(max(bundle.value("localisation_variance"), 0.0))
    streams = np.random.default_rng(rng).spawn(config.replicas)
    runs = []
    for replica, stream in enumerate(streams):

        def advance(done: int, replica: int = replica) -> None:
            progress(replica * frames + done, config.replicas * frames)

        runs.append(_run(model, state, steps, frames=frames, rng=stream, advance=advance))
    positions, seen, energy, entropy = (np.stack(parts) for parts in zip(*runs, strict=True))
    observed = seen + noise * np.stack([stream.standard_normal(seen.shape[1:]) for stream in streams])
    if (start.metadata.get("drift") or {}).get("removed"):
        observed = _without_common_motion(observed)
    return Rollout(
        positions=positions,
        observed=observed,
        species=state.species,
        box=state.box,
        frame_interval=start.frame_interval,
        exposure=start.exposure,
        ledger=Ledger(energy=energy, work=np.zeros_like(energy), bath_entropy=entropy),
        metadata={"substeps": steps.substeps, "exposed_substeps": steps.exposed, "localisation_error_um": float(noise)},
    )


def _without_common_motion(observed: np.ndarray) -> np.ndarray:
    """Take off the mean displacement since the first frame, as the drift removal of the experiment did."""
    return np.asarray(observed - (observed - observed[:, :1]).mean(axis=2, keepdims=True))


def _run(
    model: OverdampedModel,
    state: State,
    steps: Schedule,
    *,
    frames: int,
    rng: np.random.Generator,
    advance: Callable[[int], None],
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return positions and exposure means, shape (frames, n, d), and Psi and bath entropy, shape (frames,)."""
    positions = np.empty((frames, *state.positions.shape))
    seen, energy, entropy = np.empty_like(positions), np.empty(frames), np.empty(frames)
    near = _Neighbours(model, state, steps.dt)
    for frame in range(frames):
        positions[frame], entropy[frame] = state.positions, state.bath_entropy
        energy[frame] = potential_energy(model, state)
        total = 0.5 * state.positions if steps.exposed else state.positions.copy()
        for step in range(1, steps.substeps + 1):
            state, _ = overdamped_step(model, state, dt=steps.dt, rng=rng, pairs=near.of(state))
            if step <= steps.exposed:
                total = total + (0.5 if step == steps.exposed else 1.0) * state.positions
        seen[frame] = total / max(steps.exposed, 1)
        advance(frame + 1)
    return positions, seen, energy, entropy


class _Neighbours:
    """Candidate pairs, searched again only when a particle has moved half the skin."""

    def __init__(self, model: OverdampedModel, state: State, dt: float) -> None:
        self.model = model
        self.margin = 8.0 * float(np.sqrt(2.0 * model.diffusion.max() * dt))
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
            self.pairs, self.origin = close_pairs(state.positions, reach, state.box), state.positions
        return self.pairs
