"""Traps and soft discs under localisation noise, beside StochasticForceInference 2 on the same positions.

``make bench-inference_agreement`` installs that package first (extra ``peers``: MIT licence, JAX), which nothing else
here uses. Writes benchmarks/results/inference_agreement.json.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata

import numpy as np
import pandas as pd

from benchmarks.record import Record
from colloid_cg.learn import FieldTables, FitConfig, fit
from colloid_cg.records import Box, ModelBundle, Trajectories

SEEDS = tuple(range(1, 11))
DISC_SEEDS, PEER_DISC_SEEDS = SEEDS[:8], 3
"""The peer needs a minute and more for one recording of the discs: it gets the first few."""
RATIOS = (0.0, 0.25, 1.0)
DIFFUSION, DT, RELAXATION = 0.5, 0.04, 0.3
"""um2/s, s, and k D dt of the traps."""
PARTICLES, FRAMES = 20, 400
CONTACT, PUSH, DISCS, SIDE = 1.0, 60.0, 50, 8.5
"""Soft discs: force PUSH (1 - r/CONTACT) in k_B T/um, so many in a periodic square of that side, um."""
DISC_DT, DISC_FRAMES, STEPS = 0.006, 400, 40
PIXEL = 0.1


def trapped(rng: np.random.Generator) -> np.ndarray:
    """Exact Ornstein-Uhlenbeck positions about the origin: (frames, particles, 2) in um."""
    decay, spread = np.exp(-RELAXATION), DIFFUSION * DT / RELAXATION
    x, path = np.sqrt(spread) * rng.standard_normal((PARTICLES, 2)), np.empty((FRAMES, PARTICLES, 2))
    for frame in range(FRAMES):
        path[frame] = x
        x = decay * x + np.sqrt(spread * (1.0 - decay**2)) * rng.standard_normal((PARTICLES, 2))
    return path


def soft_discs(rng: np.random.Generator) -> np.ndarray:
    """Unfolded positions of discs that push on contact, Euler-Maruyama: (frames, discs, 2) in um."""
    h = DISC_DT / STEPS
    x, path = SIDE * rng.random((DISCS, 2)), np.empty((DISC_FRAMES, DISCS, 2))
    for frame in range(-100, DISC_FRAMES):
        if frame >= 0:
            path[frame] = x
        for _ in range(STEPS):
            x = x + DIFFUSION * h * disc_forces(x) + np.sqrt(2.0 * DIFFUSION * h) * rng.standard_normal(x.shape)
    return path


def disc_forces(x: np.ndarray) -> np.ndarray:
    """Return the true forces, (discs, 2) in k_B T/um."""
    apart = x[:, None] - x[None]
    apart -= SIDE * np.round(apart / SIDE)
    r = np.linalg.norm(apart, axis=2)
    np.fill_diagonal(r, np.inf)
    size = np.where(r < CONTACT, PUSH * (1.0 - r / CONTACT), 0.0)
    return np.asarray(((size / r)[:, :, None] * apart).sum(axis=1))


def seen(path: np.ndarray, ratio: float, dt: float, rng: np.random.Generator) -> np.ndarray:
    """Return positions with a localisation variance of ``ratio`` steps 2 D dt."""
    return np.asarray(path + np.sqrt(ratio * 2.0 * DIFFUSION * dt) * rng.standard_normal(path.shape))


def tracks(path: np.ndarray, dt: float, *, side: float, periodic: bool) -> Trajectories:
    """Return positions (um) as tracks in a square view."""
    frames, n, _ = path.shape
    folded = path % side if periodic else path
    frame, particle = (index.ravel() for index in np.meshgrid(np.arange(frames), np.arange(n), indexing="ij"))
    table = pd.DataFrame({"frame": frame, "particle": particle, "species": 0})
    table["x"], table["y"] = folded.reshape(-1, 2).T / PIXEL
    view = Box(lower=(0.0, 0.0), upper=(side / PIXEL, side / PIXEL), periodic=(periodic, periodic))
    return Trajectories(
        table=table, pixel_size=PIXEL, frame_interval=dt, exposure=0.0, field_of_view=view, n_frames=frames
    )


def fitted(whole: Trajectories, config: FitConfig, fields: FieldTables | None = None) -> ModelBundle:
    border = int(0.8 * whole.n_frames)
    return fit(whole.between(0, border), whole.between(border, whole.n_frames), config, rng=1, fields=fields)


def our_traps(path: np.ndarray) -> tuple[float, float]:
    """Return stiffness and D over the truth, each particle in a well of known centre."""
    centres = 10.0 + 10.0 * np.stack(np.divmod(np.arange(PARTICLES), 5), axis=1)
    whole = tracks(path + centres, DT, side=70.0, periodic=False)
    table = pd.DataFrame(centres / PIXEL, columns=["x", "y"]).assign(particle=np.arange(PARTICLES))
    config = FitConfig(traps="centres.csv", knots=(0,), regime="overdamped", stride=1)
    metrics = fitted(whole, config, FieldTables(traps=table)).metrics
    stiffness, diffusion = (metrics[name][0]["value"] for name in ("trap_stiffness", "diffusion_coefficient"))
    return stiffness * DIFFUSION * DT / RELAXATION, diffusion / DIFFUSION


def our_discs(path: np.ndarray) -> tuple[float, float]:
    """Return the factor on the true force, weighted by the pairs seen, and D over the truth."""
    whole = tracks(path, DISC_DT, side=SIDE, periodic=True)
    bundle = fitted(whole, FitConfig(cutoff=1.2 * CONTACT, knots=(0, 6), regime="overdamped", stride=1))
    apart = (path[::5, :, None] - path[::5, None])[:, *np.triu_indices(DISCS, 1)]
    r = np.linalg.norm(apart - SIDE * np.round(apart / SIDE), axis=-1).ravel()
    curve = bundle.pair_force
    r = r[(r > curve["r"].min()) & (r < CONTACT)]
    true, found = PUSH * (1.0 - r / CONTACT), np.interp(r, curve["r"], curve["force"])
    diffusion = bundle.metrics["diffusion_coefficient"][0]["value"]
    return float((true * found).sum() / (true**2).sum()), diffusion / DIFFUSION


def peer_traps(path: np.ndarray) -> float:
    """Return the stiffness over the truth by StochasticForceInference, linear basis."""
    import SFI

    inference = SFI.OverdampedLangevinInference(SFI.TrajectoryCollection.from_arrays(X=path, dt=DT))
    inference.infer_force(SFI.bases.X(2))
    return -float(np.ravel(inference.force_coefficients)[0]) * DT / RELAXATION


def peer_discs(path: np.ndarray) -> float:
    """Return the factor on the true force by StochasticForceInference, which is given its shape."""
    import jax.numpy as jnp
    import SFI
    from SFI.bases.pairs import radial_pair_basis

    shape = (lambda r: jnp.where(r < CONTACT, -PUSH * DIFFUSION * (1.0 - r / CONTACT), 0.0), "contact")
    basis = radial_pair_basis([shape], dim=2, box=jnp.array([SIDE, SIDE])).dispatch_pairs()
    inference = SFI.OverdampedLangevinInference(SFI.TrajectoryCollection.from_arrays(X=path, dt=DISC_DT))
    inference.infer_force(basis)
    return float(np.ravel(inference.force_coefficients)[0])


def naive_traps(path: np.ndarray) -> float:
    """Return the stiffness by regression of the displacement on the position in the same frame."""
    return -float(((path[1:] - path[:-1]) * path[:-1]).sum() / (path[:-1] ** 2).sum()) / RELAXATION


def naive_discs(path: np.ndarray) -> float:
    """Return the factor on the true force by regression on the positions of the same frame."""
    drift = DIFFUSION * DISC_DT * np.stack([disc_forces(x) for x in path[:-1]])
    return float(((path[1:] - path[:-1]) * drift).sum() / (drift**2).sum())


def compare(
    record: Record, name: str, paths: list[np.ndarray], dt: float, *, ours: Callable[[np.ndarray], tuple[float, float]],
    peer: Callable[[np.ndarray], float], naive: Callable[[np.ndarray], float], peer_seeds: int,
) -> None:  # fmt: skip
    """Add the figures of one system at every noise; the peer gets the same positions, of the first seeds."""
    label = f"StochasticForceInference {metadata.version('StochasticForceInference')}"
    for ratio in RATIOS:
        noisy = [
            seen(path, ratio, dt, np.random.default_rng([seed, int(100 * ratio)]))
            for seed, path in enumerate(paths, start=1)
        ]
        found, theirs = np.array([ours(path) for path in noisy]), np.array([peer(path) for path in noisy[:peer_seeds]])
        plain = float(np.mean([naive(path) for path in noisy]))
        mean, diffusion = found.mean(axis=0)
        error, other = found.std(axis=0, ddof=1) / np.sqrt(len(paths))
        limit = max(0.10 if ratio == 1.0 else 0.05, 2.0 * error)
        peer_error = float(theirs.std(ddof=1) / np.sqrt(peer_seeds))
        record.add(
            f"{name} over truth, s2/2Ddt {ratio:g}", float(mean), target=[1.0 - limit, 1.0 + limit],
            interval=[float(mean - 1.645 * error), float(mean + 1.645 * error)], peer=label,
            peer_value=float(theirs.mean()),
            note=f"{len(paths)} seeds, s.e. {error:.4f}; peer on {peer_seeds}, s.e. {peer_error:.4f}; "
            f"plain regression {plain:.3f}",
        )  # fmt: skip
        note = f"s.e. {other:.4f}"
        record.add(f"D over truth with it, s2/2Ddt {ratio:g} ({name})", float(diffusion), note=note)


def main() -> None:
    record = Record("inference_agreement")
    compare(record, "trap stiffness", [trapped(np.random.default_rng(seed)) for seed in SEEDS], DT,
            ours=our_traps, peer=peer_traps, naive=naive_traps, peer_seeds=len(SEEDS))  # fmt: skip
    compare(record, "force of soft discs", [soft_discs(np.random.default_rng(seed)) for seed in DISC_SEEDS], DISC_DT,
            ours=our_discs, peer=peer_discs, naive=naive_discs, peer_seeds=PEER_DISC_SEEDS)  # fmt: skip
    record.write()


if __name__ == "__main__":
    main()
