"""From the pieces of a run: the training file, the statistics of the reference run, and how well it was equilibrated.

Units are those of Lennard-Jones. Errors are standard errors over the pieces of the run, for displacements over eight
stretches of time origins.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from benchmarks.star_polymer.molecular_dynamics import POSITION_EVERY, Melt, save

CORRELATION_TIME = 20.0
"""Longest lag of the velocity autocorrelation."""
BIN = 0.05
"""Width of a bin of the pair correlation, bead diameters."""
STRETCHES = 8
RDF_INTERVAL = 2.0
"""Time between the frames the pair correlation is counted in."""


def analyse(melt: Melt) -> dict[str, Any]:
    """Write starNN_train.npz, starNN_reference.npz and figures.json; return the figures."""
    name, star = f"star{melt.star.beads}", melt.star
    edge = star.box_edge(melt.stars)
    common = {
        "box": np.full(3, edge),
        "mass": float(star.beads),
        "n_beads": star.beads,
        "cutoff_paper": star.cutoff,
        "kT": 1.0,
    }
    with np.load(melt.folder / "train_000.npz") as train:
        save(melt.folder / f"{name}_train.npz", pos=train["pos"], vel=train["vel"], dt=star.interval, t0=0.0, **common)
    statistics, figures = _reference(melt, edge)
    save(melt.folder / f"{name}_reference.npz", **statistics, **common)
    figures = {"beads": star.beads, "stars": melt.stars, "box": edge, **_equilibration(melt), **figures}
    (melt.folder / "figures.json").write_text(json.dumps(figures, indent=1))
    return figures


def pieces(melt: Melt, kind: str) -> list[Path]:
    """Return the finished pieces of one kind, in order."""
    return sorted(melt.folder.glob(f"{kind}_[0-9]*.npz"))


def _reference(melt: Melt, edge: float) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    interval = melt.star.interval
    mass, n = float(melt.star.beads), melt.stars
    r_edges = np.arange(0.0, min(np.ceil(2.1 * melt.star.cutoff), 0.5 * edge) + 0.5 * BIN, BIN)
    lags = round(CORRELATION_TIME / interval) + 1
    vacf, rdf, heat, energy, radius, place = [], [], [], [], [], []
    for path in pieces(melt, "reference"):
        with np.load(path) as piece:
            velocities, positions = piece["vel"].astype(float), piece["pos"].astype(float)
            heat.append((float(piece["temperature"].mean()), mass * (velocities**2).mean() * n / (n - 1)))
            energy.append(float(piece["energy"].mean()))
            radius.append(float(np.sqrt((piece["gyration_radius"].astype(float) ** 2).mean())))
            vacf.append(velocity_autocorrelation(velocities, min(lags, len(velocities) // 2)))
            every = max(1, round(RDF_INTERVAL / (POSITION_EVERY * interval)))
            rdf.append(pair_correlation(positions[::every], edge, r_edges))
            place.append(positions)
    moved = np.concatenate(place)
    longest = 0.1 * len(moved) * POSITION_EVERY * interval
    t_msd, msd, msd_error = displacements(moved, POSITION_EVERY * interval, longest)
    window = (t_msd >= 0.1 * longest) & (t_msd <= 0.5 * longest)
    g, c = np.array(rdf), np.array(vacf)
    statistics = {
        "r": 0.5 * (r_edges[1:] + r_edges[:-1]),
        "g": g.mean(axis=0),
        "g_error": standard_error(g),
        "t": np.arange(c.shape[1]) * interval,
        "vacf": c.mean(axis=0),
        "vacf_error": standard_error(c),
        "t_msd": t_msd,
        "msd": msd.mean(axis=0),
        "msd_error": msd_error,
        "gyration_radius": np.array(radius),
        "temperature": np.array(heat),
        "energy": np.array(energy),
    }
    slopes = np.array([np.polyfit(t_msd[window], row[window], 1)[0] / 6.0 for row in msd])
    figures = {
        "time": len(moved) * POSITION_EVERY * interval,
        "bead_temperature": float(np.mean(heat, axis=0)[0]),
        "star_temperature": float(np.mean(heat, axis=0)[1]),
        "star_temperature_error": float(standard_error(np.array(heat))[1]),
        "energy_change_per_bead": energy[-1] - energy[0],
        "gyration_radius": float(np.mean(radius)),
        "gyration_radius_error": float(standard_error(np.array(radius))),
        "rdf_peak": float(statistics["g"].max()),
        "rdf_peak_at": float(statistics["r"][statistics["g"].argmax()]),
        "diffusion_window": [0.1 * longest, 0.5 * longest],
        "diffusion_from_msd": float(slopes.mean()),
        "diffusion_from_msd_error": float(standard_error(slopes)),
        "diffusion_from_vacf": float(np.trapezoid(statistics["vacf"], dx=interval)),
    }
    return statistics, figures


def _equilibration(melt: Melt) -> dict[str, Any]:
    """Return how the run at constant temperature went: sizes at its begin and end, and how far stars have moved."""
    radius, energy, place = [], [], []
    for path in pieces(melt, "equilibration"):
        with np.load(path) as piece:
            radius.append(float(np.sqrt((piece["gyration_radius"].astype(float) ** 2).mean())))
            energy.append(float(piece["energy"].mean()))
            place.append(piece["pos"].astype(float))
    moved = np.concatenate(place)
    return {
        "equilibration_time": melt.equilibration,
        "equilibration_gyration_radius": radius,
        "equilibration_energy_per_bead": energy,
        "equilibration_displacement": float(np.sqrt(((moved[-1] - moved[0]) ** 2).sum(axis=-1).mean())),
    }


def standard_error(values: np.ndarray) -> np.ndarray:
    """Return the standard error over the first axis; NaN for a single value."""
    if len(values) < 2:
        return np.full(np.shape(values)[1:], np.nan)
    return np.asarray(values.std(axis=0, ddof=1) / np.sqrt(len(values)))


def velocity_autocorrelation(velocities: np.ndarray, lags: int) -> np.ndarray:
    """Return ``<v(0) v(t)>`` per axis for the first lags, all time origins; velocities (T, N, 3)."""
    frames = len(velocities)
    total = np.zeros(lags)
    for star in np.array_split(velocities, max(1, velocities.shape[1] // 50), axis=1):
        spectrum = np.fft.rfft(star.reshape(frames, -1), 2 * frames, axis=0)
        total += np.fft.irfft((np.abs(spectrum) ** 2).sum(axis=1))[:lags]
    return np.asarray(total / np.arange(frames, frames - lags, -1) / velocities[0].size)


def displacements(positions: np.ndarray, interval: float, longest: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return 81 lags, the mean squared displacement by stretch of origins, (stretches, lags), and its error."""
    frames = len(positions)
    lags = np.unique(np.round(np.linspace(0.0, longest / interval, 81)).astype(int))
    msd = np.zeros((STRETCHES, len(lags)))
    for k, lag in enumerate(lags):
        origins = np.arange(0, frames - lag, max(1, lag // 20))
        moved = ((positions[origins + lag] - positions[origins]) ** 2).sum(axis=-1).mean(axis=-1)
        msd[:, k] = [part.mean() for part in np.array_split(moved, STRETCHES)]
    return lags * interval, msd, standard_error(msd)


def pair_correlation(frames: Sequence[np.ndarray], edge: float, r_edges: np.ndarray) -> np.ndarray:
    """Return g(r) in a periodic cube, averaged over frames (N, 3)."""
    n = len(frames[0])
    count = np.zeros(len(r_edges) - 1)
    for positions in frames:
        folded = np.mod(positions, edge)
        folded[folded >= edge] = 0.0
        tree = cKDTree(folded, boxsize=edge)
        count += np.diff(tree.count_neighbors(tree, r_edges).astype(float))
    shells = 4.0 / 3.0 * np.pi * np.diff(r_edges**3)
    return np.asarray(count / len(frames) / n / (shells * (n - 1) / edge**3))
