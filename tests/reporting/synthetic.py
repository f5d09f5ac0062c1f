"""A run that never happened: every part of a report, made of known numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from colloid_cg.assessment import assess
from colloid_cg.assessment.reading import ReadingConfig, read_hidden
from colloid_cg.records import Box, EventTable, FrameStack, Ledger, ModelBundle, Rollout, Trajectories, metric
from colloid_cg.reporting import ReportContent
from colloid_cg.reporting.event_evidence import EventEvidence, event_views, surveyed

PIXEL, INTERVAL, DIFFUSION, SIGMA = 0.2, 0.05, 0.4, 0.03
WIDTH, HEIGHT, FRAMES, PARTICLES = 320, 240, 200, 60


def brownian(rng: np.random.Generator, frames: int, diffusion: float, start: np.ndarray) -> np.ndarray:
    """Free diffusion in a periodic cell (unwrapped), um, shape (frames, n, 2)."""
    steps = rng.normal(scale=np.sqrt(2 * diffusion * INTERVAL), size=(frames - 1, *start.shape))
    return np.concatenate([start[None], start + np.cumsum(steps, axis=0)])


def cell() -> Box:
    return Box(lower=(-0.1, -0.1), upper=((WIDTH - 0.5) * PIXEL, (HEIGHT - 0.5) * PIXEL), periodic=(True, True))


def rollout(seed: int, *, diffusion: float = DIFFUSION, frames: int = 80, replicas: int = 4) -> Rollout:
    rng = np.random.default_rng(seed)
    start = rng.uniform((0, 0), cell().upper, size=(PARTICLES, 2))
    positions = np.stack([brownian(rng, frames, diffusion, start) for _ in range(replicas)])
    observed = positions + rng.normal(scale=SIGMA, size=positions.shape)
    energy = np.cumsum(rng.normal(scale=0.1, size=positions.shape[:2]), axis=1) + 12.0
    bath = -(energy - energy[:, :1])
    return Rollout(
        positions=positions, observed=observed, species=np.zeros(PARTICLES, dtype=int), box=cell(),
        frame_interval=INTERVAL, ledger=Ledger(energy=energy, work=np.zeros_like(energy), bath_entropy=bath),
    )  # fmt: skip


def tracks(seed: int, *, frames: int = FRAMES) -> Trajectories:
    from colloid_cg.states import rollout_trajectories

    rng = np.random.default_rng(seed + 1)
    found = rollout_trajectories(rollout(seed, frames=frames, replicas=1), pixel_size=PIXEL)
    n = len(found)
    table = found.table.assign(
        mass=rng.normal(1500.0, 120.0, n), size=rng.normal(2.1, 0.1, n), sigma_x=SIGMA / PIXEL, sigma_y=SIGMA / PIXEL
    )
    grow = np.sqrt(np.arange(frames))
    drift = {
        "removed": True, "reason": f"a median of {PARTICLES} particles per step", "diffusion_bias": -1 / PARTICLES,
        "frame": list(range(frames)), "dx": (0.02 * np.arange(frames)).tolist(),
        "dy": (-0.01 * np.arange(frames)).tolist(), "se_x": (0.06 * grow).tolist(), "se_y": (0.06 * grow).tolist(),
    }  # fmt: skip
    return found.with_table(table, metadata={"drift": drift, "settings": {"diameter": 9}})


def frame_of(found: Trajectories, index: int) -> np.ndarray:
    rng = np.random.default_rng(index)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    image = rng.normal(100.0, 4.0, (HEIGHT, WIDTH))
    for px, py in found.at(index)[["x", "y"]].to_numpy():
        image += 90.0 * np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * 2.1**2))
    return image.astype(np.uint16)


def suggestion() -> dict[str, Any]:
    scale, mass, step = np.geomspace(0.84, 20, 20), np.linspace(2.0, 3.6, 49), np.linspace(0, 4, 41)
    masses = 40 * np.exp(-(((mass[:-1] - 2.2) / 0.1) ** 2)) + 90 * np.exp(-(((mass[:-1] - 3.2) / 0.12) ** 2))
    size = {"scale_px": scale.tolist(), "energy": np.exp(-3 * np.log(scale / 1.8) ** 2).tolist(), "width_px": 1.8}
    brightness = {"noise_level": 220.0, "log10_mass_edges": mass.tolist(), "counts": masses.tolist(), "valley": 400.0}
    steps = {"step_edges_px": step.tolist(), "counts": (400 * step[:-1] * np.exp(-(step[:-1] ** 2) / 2)).tolist()}
    choices = {
        "invert": {"value": False, "reason": "bright blobs explain most contrast", "evidence": {}},
        "diameter": {"value": 9, "reason": "blobs have a Gaussian width of 1.8 px", "evidence": size},
        "minmass": {"value": 400.0, "reason": "the histogram has a valley at 400", "evidence": brightness},
        "search_range": {"value": 5.2, "reason": "steps of 1.00 px", "evidence": steps | {"limit_px": 11.2}},
    }
    return {"frames": [0, 1, 100, 101], "noise": 4.0, "choices": choices}


def bundle(*, gain: float = 210.0) -> ModelBundle:
    r = np.linspace(1.5, 4.0, 40)
    force = 6.0 * np.exp(-(r - 1.5) / 0.5)
    width = 0.3 + 0.5 * np.exp(-(r - 1.5) / 0.3)
    table = pd.DataFrame({"r": r, "force": force, "low90": force - width, "high90": force + width})
    table = table.assign(species_a=0, species_b=0)
    lags = list(range(1, 11))
    return ModelBundle(
        config={"kind": "overdamped"},
        weights={"force": np.ones(4)},
        metrics={
            "regime": [metric("overdamped", note="lags above one agree with white displacements")],
            "diffusion_coefficient": [metric(0.40312, low90=0.39421, high90=0.41203, unit="um2/s", species=0)],
            "localisation_variance": [metric(0.00091, low90=0.00071, high90=0.00112, unit="um2")],
            "blur_coefficient": [metric(0.0, unit="", note="assumed: exposure unknown")],
            "log_likelihood_gain": [metric(gain, low90=gain - 40, high90=gain + 40, unit="nats")],
        },
        pair_force=table,
        diagnostics={
            "regime": {
                "lags": list(range(6)), "covariance": [0.042, -0.001, 1e-4, -2e-4, 1e-4, 0.0],
                "standard_error": [2e-4] * 6,
                "log_likelihood": {"overdamped": 5210.2, "underdamped": 5211.3},
                "margin": 6.0,
                "reason": "Beyond lag 1 displacements are uncorrelated within their errors.",
            },
            "diffusion_against_lag": {
                "lag_s": [INTERVAL * k for k in lags], "value": [0.40 + 0.004 * (-1) ** k for k in lags],
                "low90": [0.39 - 0.002 * k for k in lags], "high90": [0.41 + 0.002 * k for k in lags],
            },
            "half_rate": {"value": 0.4061, "low90": 0.3905, "high90": 0.4217, "note": ""},
            "innovations": {"lags": lags, "autocorrelation": [0.008 * (-1) ** k for k in lags], "band": 0.016},
            "selection": [{"knots": k, "log_likelihood": s} for k, s in ((0, 100.0), (4, 250.0), (6, 310.0))],
            "force_samples": {"r_min": 1.6, "r_max": 4.0, "n_pairs": 5210},
            "stated_sigma": {"stated_variance": SIGMA**2, "fitted_variance": 0.00091},
            "not_modelled": ["torques and rotation"],
        },
    )  # fmt: skip


def event_table(n: int = 30) -> EventTable:
    rng = np.random.default_rng(5)
    on = np.sort(rng.integers(0, FRAMES - 20, n))
    table = pd.DataFrame({
        "event": np.arange(n), "t_on": on, "t_peak": on + 4, "t_off": on + rng.integers(5, 15, n),
        "x": rng.uniform(20, 300, n), "y": rng.uniform(20, 220, n), "radius": rng.uniform(6, 20, n),
        "n_particles": rng.integers(1, 9, n), "particles": [[int(k)] for k in range(n)], "score": rng.uniform(5, 50, n),
        "p_value": np.sort(rng.uniform(0, 1e-5, n)), "q_value": np.sort(rng.uniform(0, 0.05, n)),
        "detector": "d2min", "source": "experiment", "id": [f"{t + 4}-{k}" for k, t in enumerate(on)],
        "amplitude": rng.gamma(4.0, 0.1, n), "strain_before": rng.gamma(3.0, 0.01, n),
        "s0_before": rng.normal(0.7, 1.0, n),
        "flags": np.where(np.arange(n) % 10 == 3, "swap|merge", np.where(np.arange(n) % 10 == 7, "swap", "")),
    })  # fmt: skip
    settings = {"tests": ["d2min"]}
    return EventTable(table=table, metadata={"false_discovery_rate": 0.05, "n_tests": 12_000, "settings": settings})


class Camera:
    """Draws a frame where the camera saw the particles."""

    def __init__(self, found: Trajectories) -> None:
        self.seen = found.as_seen()

    def read(self, index: int) -> np.ndarray:
        return frame_of(self.seen, index)


def movie(found: Trajectories) -> FrameStack:
    return FrameStack(
        reader=Camera(found), n_frames=found.n_frames, height=HEIGHT, width=WIDTH, dtype=np.dtype(np.uint16)
    )


def evidence(events: EventTable, found: Trajectories, fields: pd.DataFrame) -> EventEvidence:
    exposure, before = surveyed(events, [(found, fields)], lead=2)
    return EventEvidence(views=event_views(events, found, movie(found)), exposure=exposure, before=before, lead=2)


def stage(name: str) -> dict[str, Any]:
    versions = {"colloid_cg": "0.1.0+abc", "numpy": "2"}
    settings = {name: {"key": "value"}}
    return {"status": "complete", "seed": 1, "seconds": 12.3, "settings": settings, "versions": versions}


def complete() -> ReportContent:
    found = tracks(1)
    rng = np.random.default_rng(7)
    keys = found.table[["frame", "particle"]]
    model, runs = bundle(), rollout(3)
    p_values = np.where(
        rng.uniform(size=len(keys)) < 0.02, rng.uniform(0, 1e-4, len(keys)), rng.uniform(size=len(keys))
    )
    fields = keys.assign(s0=rng.normal(size=len(keys)), psi6=rng.uniform(size=len(keys)))
    moved = keys.assign(
        d2min=rng.gamma(2.0, size=len(keys)), d2min_p=p_values, shear_strain=rng.gamma(2.0, 0.01, len(keys))
    )
    events = event_table()
    return ReportContent(
        title="Synthetic <movie> & check",
        run={
            "input": {"name": "movie.tif", "path": "somewhere/movie.tif", "sha256": "ab" * 32},
            "stages": {name: stage(name) for name in ("track", "fit", "report")},
        },
        frames=[(index, frame_of(found, index)) for index in (0, FRAMES // 2, FRAMES - 1)],
        suggestion=suggestion(),
        tracks=found,
        fields=fields,
        structure={"windows": 5, "training": {"epochs": 3, "loss": [1.0] * 20}},
        model=model,
        rollout=runs,
        assessment=assess(found.between(120, 200), runs, model),
        reading=read_hidden(
            found, fields, blocks={"train": (0, 100), "select": (100, 120), "test": (120, 200)},
            config=ReadingConfig(lag=2, lags=(1, 2), labels=("displacement",), resamples=50, permutations=19),
        ),
        events=events,
        event_fields=moved,
        event_evidence=evidence(events, found, moved.assign(s0=fields["s0"])),
    )  # fmt: skip
