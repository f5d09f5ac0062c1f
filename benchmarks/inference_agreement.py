"""Stiffness of harmonic traps under localisation noise, beside StochasticForceInference 2 on the same tracks.

Needs that package (``pip install StochasticForceInference``, MIT licence, JAX), which nothing else here uses. Writes
benchmarks/results/inference_agreement.json.
"""

from __future__ import annotations

from importlib import metadata

import numpy as np
import pandas as pd

from benchmarks.record import Record
from colloid_cg.dynamics import Flow
from colloid_cg.learn.banded import residuals
from colloid_cg.learn.exposure import mean_weight
from colloid_cg.learn.noise import fit_noise
from colloid_cg.learn.series import chains
from colloid_cg.records import Box, StateSeries, Trajectories
from colloid_cg.states import from_trajectories

SEEDS = (1, 2, 3, 4)
RATIOS = (0.0, 0.25, 1.0)
DIFFUSION, DT, RELAXATION = 0.5, 0.04, 0.3
PARTICLES, FRAMES = 20, 400


def trapped(rng: np.random.Generator, ratio: float) -> np.ndarray:
    """Exact Ornstein-Uhlenbeck positions about the origin, seen with noise: (frames, particles, 2) in um."""
    decay, spread = np.exp(-RELAXATION), DIFFUSION * DT / RELAXATION
    x, path = np.sqrt(spread) * rng.standard_normal((PARTICLES, 2)), np.empty((FRAMES, PARTICLES, 2))
    for frame in range(FRAMES):
        path[frame] = x
        x = decay * x + np.sqrt(spread * (1.0 - decay**2)) * rng.standard_normal((PARTICLES, 2))
    return path + np.sqrt(ratio * 2.0 * DIFFUSION * DT) * rng.standard_normal(path.shape)


def naive_stiffness(path: np.ndarray) -> float:
    """Return k D dt by regression of the displacement on the position in the same frame."""
    return -float(((path[1:] - path[:-1]) * path[:-1]).sum() / (path[:-1] ** 2).sum())


def our_fit(path: np.ndarray) -> tuple[float, float]:
    """Return k D dt by the lag-1 instrument and D by the banded likelihood, our equations for a linear force.

    For F = -k x the drift is Phi = (phi - 1) y with H(y_{t-1}) proportional to y_{t-1}, so that the equation
    sum y_{t-1} (y_{t+1} - phi y_t) = 0 has a closed solution.
    """
    phi = float((path[2:] * path[:-2]).sum() / (path[1:-1] * path[:-2]).sum())
    series = _series(path)
    gain = np.full_like(series.positions, phi)
    flow = Flow(
        displacement=(phi - 1.0) * series.positions,
        variance=2.0 * DT * mean_weight(-2.0 * np.log(gain)),
        gain=gain,
        leak=np.zeros_like(gain),
        sensitivity=np.zeros((*gain.shape, 0)),
    )
    everyone = np.ones(len(gain), dtype=bool)
    data = residuals(series, chains(series), flow, diffusion=np.ones(1), targets=everyone)
    return -float(np.log(phi)), float(
        fit_noise(data, n_species=1, blur=0.0, frame_interval=DT, scores=False).diffusion[0]
    )


def peer_fit(path: np.ndarray) -> float:
    """Return k D dt by StochasticForceInference, each particle a trajectory of its own in the plane."""
    import SFI

    tracks = SFI.TrajectoryCollection.from_arrays(X=path, dt=DT)
    inference = SFI.OverdampedLangevinInference(tracks)
    inference.infer_force(SFI.bases.X(2))
    return -float(np.ravel(inference.force_coefficients)[0]) * DT


def _series(path: np.ndarray) -> StateSeries:
    frame, particle = (index.ravel() for index in np.meshgrid(range(FRAMES), range(PARTICLES), indexing="ij"))
    table = pd.DataFrame({"frame": frame, "particle": particle, "x": path[..., 0].ravel(), "y": path[..., 1].ravel()})
    view = Box(lower=(-99.0, -99.0), upper=(99.0, 99.0), periodic=(False, False))
    return from_trajectories(
        Trajectories(table=table, pixel_size=1.0, frame_interval=DT, exposure=0.0, field_of_view=view, n_frames=FRAMES)
    )


def main() -> None:
    record = Record("inference_agreement")
    peer = f"StochasticForceInference {metadata.version('StochasticForceInference')}"
    for ratio in RATIOS:
        paths = [trapped(np.random.default_rng([seed, int(100 * ratio)]), ratio) for seed in SEEDS]
        ours = np.array([our_fit(path) for path in paths])
        theirs, naive = (
            np.array([method(path) for path in paths]) / RELAXATION for method in (peer_fit, naive_stiffness)
        )
        stiffness, diffusion = ours[:, 0] / RELAXATION, ours[:, 1] / DIFFUSION
        error, peer_error = (float(found.std(ddof=1) / np.sqrt(len(found))) for found in (stiffness, theirs))
        note = (
            f"{len(SEEDS)} seeds, s.e. {error:.4f}; peer's s.e. {peer_error:.4f}; plain regression {naive.mean():.3f}"
        )
        half, limit = 1.645 * error, max(0.05, 2.0 * error)
        mean = float(stiffness.mean())
        record.add(
            f"trap stiffness over truth, s2/2Ddt {ratio:g}", mean, target=[1.0 - limit, 1.0 + limit],
            interval=[mean - half, mean + half], peer=peer, peer_value=float(theirs.mean()), note=note,
        )  # fmt: skip
        error = float(diffusion.std(ddof=1) / np.sqrt(len(diffusion)))
        record.add(f"D over truth in traps, s2/2Ddt {ratio:g}", float(diffusion.mean()), note=f"s.e. {error:.4f}")
    record.write()


if __name__ == "__main__":
    main()
