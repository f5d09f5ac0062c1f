"""One protocol for all models: a rollout from a fresh thermal state, its statistics and its ledger, kept on disk."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from benchmarks.star_melts import StarMelt
from benchmarks.star_polymer.analysis import pair_correlation, velocity_autocorrelation
from colloid_cg.dynamics.metriplectic.cell import Cell
from colloid_cg.dynamics.metriplectic.model import MetriplecticModel
from colloid_cg.dynamics.metriplectic.state import PhaseState, kinetic_energy, momentum, phase_state, total_energy
from colloid_cg.provenance import code_version, sha256_of_json

Step = Callable[[MetriplecticModel, PhaseState, float, torch.Generator], PhaseState]

STEPS, BURN = 10_000, 400
"""Frames of a rollout, and before it, so that positions and velocities drawn apart meet; both in frame intervals."""
KEPT_EVERY = 2
"""Frame intervals between the frames that are kept."""
LEDGER_EVERY = 100
RDF_FRAMES = 150
COMMON_MOTION = 1.0
"""Momentum over sum m|v| above which the curves are also taken relative to the common motion."""
TOO_CLOSE, TOO_HOT = 4.0, 25.0
"""Growth of the number of pairs, and of the kinetic energy about the common motion: collapsed, blown up."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Candidate:
    """A fitted model, how it steps, how many frame intervals a step is, and figures of the fit."""

    model: MetriplecticModel
    step: Step
    frames_per_step: int = 1
    figures: dict[str, float] = field(default_factory=dict)


def start(melt: StarMelt, model: MetriplecticModel, seed: int) -> PhaseState:
    """Return positions of a frame drawn from the recording with velocities drawn from Maxwell's law, no net momentum.

    Velocities of the recording would carry its slow shear modes, which outlive it, into every rollout.
    """
    rng, series = np.random.default_rng(seed), melt.recording
    frame = int(rng.integers(series.n_frames))
    spread = np.sqrt((series.thermal_energy or 1.0) / series.masses)[:, None]
    velocities = spread * rng.standard_normal((series.n_particles, 3))
    velocities -= (series.masses[:, None] * velocities).sum(axis=0) / series.masses.sum()
    return phase_state(
        model,
        torch.as_tensor(series.positions[frame]),
        torch.as_tensor(velocities),
        cell=Cell(box=series.box),
        skin=0.4,
    )


class Broken(Exception):
    """A rollout that collapsed or blew up: the frame intervals it lasted, growth of pairs and of kinetic energy."""


def states(melt: StarMelt, candidate: Candidate, seed: int) -> Iterator[PhaseState]:
    """Yield the state after the burn-in and after every step.

    Raises
    ------
    Broken
        If particles collapse onto each other or fly apart.
    """
    dt, rng = candidate.frames_per_step * melt.recording.frame_interval, torch.Generator().manual_seed(seed)
    state = start(melt, candidate.model, seed)
    pairs, heat = max(len(state.pairs), len(state.species)), _heat(state)
    burn = BURN // candidate.frames_per_step
    for k in range(burn + STEPS // candidate.frames_per_step + 1):
        if k >= burn:
            yield state
        state = candidate.step(candidate.model, state, dt, rng)
        closer, hotter = len(state.pairs) / pairs, _heat(state) / heat
        if closer > TOO_CLOSE or not hotter < TOO_HOT:
            raise Broken((k - burn) * candidate.frames_per_step, closer, hotter)


def _heat(state: PhaseState) -> float:
    """Return the mean square of the velocities about their mean."""
    return float(state.velocities.var(dim=0, correction=0).sum())


def rollout(melt: StarMelt, candidate: Candidate, seed: int) -> dict[str, np.ndarray]:
    """Return the curves and the ledger of one rollout of 10,000 frame intervals, or when it broke."""
    started = time.process_time()
    try:
        found = _measured(melt, candidate, states(melt, candidate, seed))
    except Broken as broken:
        lasted, closer, hotter = broken.args
        return {
            "broken": np.asarray(lasted * melt.recording.frame_interval),
            "closer": np.asarray(closer),
            "hotter": np.asarray(hotter),
        }
    return found | {"seconds": np.asarray(time.process_time() - started)}


def _measured(melt: StarMelt, candidate: Candidate, course: Iterator[PhaseState]) -> dict[str, np.ndarray]:
    model, stride = candidate.model, candidate.frames_per_step
    dt, kept_every = stride * melt.recording.frame_interval, max(KEPT_EVERY // stride, 1)
    state = next(course)
    energy, kinetic = float(total_energy(model, state)), float(kinetic_energy(model, state).sum())
    carried, absorbed = momentum(model, state), float(state.account.absorbed)
    bath, scale = float(state.account.bath), float((melt.recording.masses[0] * state.velocities).abs().sum())
    places, speeds, drift, gained = [state.positions.numpy()], [state.velocities.numpy()], [0.0], [0.0]
    for k, state in enumerate(course, start=1):
        if k % kept_every == 0:
            places.append(state.positions.numpy().astype(np.float32))
            speeds.append(state.velocities.numpy().astype(np.float32))
        if k % max(LEDGER_EVERY // stride, 1) == 0:
            lost = float(total_energy(model, state)) - energy + float(state.account.bath) - bath
            drift.append(abs(lost) / kinetic)
            gained.append(float((momentum(model, state) - carried).abs().max()) / scale)
    positions, velocities = np.array(places, dtype=float), np.array(speeds, dtype=float)
    curves = statistics(melt, positions, velocities, dt * kept_every)
    if max(gained) > COMMON_MOTION:
        positions -= positions.mean(axis=1, keepdims=True)
        velocities -= velocities.mean(axis=1, keepdims=True)
        relative = statistics(melt, positions, velocities, dt * kept_every)
        curves |= {f"{name}_relative": curve for name, curve in relative.items()}
    return curves | {
        "energy_drift": np.asarray(np.max(drift)),
        "momentum_drift": np.asarray(np.max(gained)),
        "absorbed": np.asarray((float(state.account.absorbed) - absorbed) / kinetic),
        "redrawn": np.asarray(state.account.redrawn),
        "temperature": np.asarray(float(state.thermal.temperature.mean())),
    }


def statistics(melt: StarMelt, positions: np.ndarray, velocities: np.ndarray, interval: float) -> dict[str, np.ndarray]:
    """Return RDF, MSD and VACF at the abscissae of the reference; frames (T, N, 3) ``interval`` apart."""
    n, n_frames = positions.shape[1], len(positions)
    width = melt.rdf.at[1] - melt.rdf.at[0]
    edges = np.append(melt.rdf.at - 0.5 * width, melt.rdf.at[-1] + 0.5 * width)
    sampled = positions[:: max(n_frames // RDF_FRAMES, 1)]
    lags = np.round(melt.msd.at / interval).astype(int)
    longest = round(float(melt.vacf.at[-1] / interval)) + 1
    vacf = velocity_autocorrelation(velocities, longest)
    tenths = np.array_split(velocities, 10)
    return {
        "rdf": pair_correlation(sampled, float(melt.recording.box.lengths[0]), edges) * (n - 1) / n,
        "msd": np.array([mean_square(positions, lag, interval) for lag in lags]),
        "vacf": np.interp(melt.vacf.at, interval * np.arange(longest), vacf),
        "kinetic_temperature": np.array([melt.recording.masses[0] * (part**2).mean() for part in tenths]),
    }


def mean_square(positions: np.ndarray, lag: int, interval: float) -> float:
    """Return the mean squared displacement over ``lag`` frames, from origins a twentieth of the lag apart."""
    if lag == 0:
        return 0.0
    origins = np.arange(0, len(positions) - lag, max(1, lag // 20))
    return float(((positions[origins + lag] - positions[origins]) ** 2).sum(axis=-1).mean())


class Kept:
    """Finished fits and rollouts in a folder: a run that was killed goes on where it stopped.

    What was computed by other settings of the protocol is computed again; changes of the package are not looked for,
    but its version is written to every file.
    """

    def __init__(self, folder: Path, melt: StarMelt, name: str) -> None:
        settings = {"steps": STEPS, "burn": BURN, "kept": KEPT_EVERY, "frames": melt.recording.n_frames}
        digest = sha256_of_json([settings, melt.beads, melt.recording.n_particles])[:8]
        self.folder = folder / f"star{melt.beads}_{name}_{digest}"

    def figures(self) -> dict[str, float] | None:
        """Return the figures of the fit, or None where it is not done."""
        path = self.folder / "fit.json"
        return json.loads(path.read_text()) if path.is_file() else None

    def keep_figures(self, figures: dict[str, float]) -> None:
        """Write the figures of the fit."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "fit.json").write_text(json.dumps(figures | {"code": code_version()}, indent=1))

    def rollouts(self, seeds: range) -> dict[int, dict[str, np.ndarray]]:
        """Return the finished rollouts by seed."""
        found = {}
        for seed in seeds:
            path = self.folder / f"{seed}.npz"
            if path.is_file():
                with np.load(path) as known:
                    found[seed] = dict(known)
        return found

    def keep(self, seed: int, curves: dict[str, np.ndarray]) -> None:
        """Write one rollout, under a temporary name first."""
        temporary = self.folder / f"{seed}.tmp-.npz"
        np.savez(temporary, code=np.array(code_version()), **curves)
        temporary.rename(self.folder / f"{seed}.npz")


def run(
    melt: StarMelt, name: str, fit: Callable[[StarMelt], Candidate], seeds: range, folder: Path, *, missing: bool = True
) -> tuple[dict[str, float], list[dict[str, np.ndarray]]]:
    """Return the figures of the fit and the rollouts of all seeds; what is ``missing`` is computed, or left out."""
    kept = Kept(folder, melt, name)
    done, figures = kept.rollouts(seeds), kept.figures()
    if not missing:
        return figures or {}, [done[seed] for seed in seeds if seed in done]
    if len(done) < len(seeds):
        candidate = fit(melt)
        figures = candidate.figures
        kept.keep_figures(figures)
        for seed in seeds:
            if seed in done:
                continue
            done[seed] = rollout(melt, candidate, seed)
            kept.keep(seed, done[seed])
            said = "broke down" if "broken" in done[seed] else f"{float(done[seed]['seconds']):.0f} s"
            print(f"star {melt.beads}, {name}, seed {seed}: {said}", flush=True)
    return figures or {}, [done[seed] for seed in seeds if seed in done]
