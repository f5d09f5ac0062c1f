"""One cell of the table of inference: a recording with noise and blur, fitted, beside a control that ignores both."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from benchmarks.inference_systems import Recording, given
from benchmarks.inference_wells import Wells
from colloid_cg.learn import FieldTables, FitConfig, fit
from colloid_cg.records import ModelBundle, Trajectories

RATIOS = (0.0, 0.25, 1.0)
TRAINING_SHARE = 0.8
KNOTS = (0, 7)
_GRID = 60


def cell(recording: Recording, *, ratio: float, blurred: bool, seed: int) -> dict[str, Any]:
    """Fit one noisy view; JSON-able: every quantity with value, low90, high90 and truth, and the naive figures."""
    rng = np.random.default_rng([seed, int(100 * ratio), blurred])
    tracks = recording.observed(ratio=ratio, blurred=blurred, rng=rng)
    border = int(TRAINING_SHARE * tracks.n_frames)
    settings, fields = configured(recording)
    started = time.process_time()
    bundle = fit(tracks.between(0, border), tracks.between(border, tracks.n_frames), settings, rng=seed, fields=fields)
    seconds = time.process_time() - started
    diffusion, force = naive(recording, tracks)
    return {
        "quantities": quantities(recording, bundle, ratio),
        "amplitude": amplitude(recording, bundle),
        "step_variance": 2.0 * float(recording.diffusion[0]) * recording.frame_interval,
        "naive": {"D": diffusion, "force": force},
        "half_rate": bundle.diagnostics["half_rate"] or {"value": None, "note": "in fields: not applicable"},
        "stride": bundle.config["stride"],
        "knots": bundle.config["n_knots"],
        "cutoff": bundle.config["cutoff"],
        "force_used": bundle.config["pair_force_used"],
        "seconds": seconds,
    }


def configured(recording: Recording) -> tuple[FitConfig, FieldTables | None]:
    """Return the settings of the fit, and the table of the wells with their centres if there are any."""
    if recording.wells is None:
        return FitConfig(cutoff=recording.cutoff, knots=KNOTS), None
    centres = pd.DataFrame(recording.wells.centres / recording.pixel_size, columns=["x", "y"])
    config = FitConfig(traps="traps.csv", well="quartic" if recording.wells.quartic else "harmonic", knots=(0,))
    return config, FieldTables(traps=centres.assign(particle=np.arange(len(centres))))


def quantities(recording: Recording, bundle: ModelBundle, ratio: float) -> list[dict[str, Any]]:
    """Return every reported number whose truth is known, with its 90 % interval."""
    found = [
        _judged("D", entry, float(recording.diffusion[entry["species"]]))
        for entry in bundle.metrics["diffusion_coefficient"]
    ]
    found.append(_judged("s2", bundle.metrics["localisation_variance"][0], recording.variance(ratio)))
    if recording.wells is not None:
        found.append(_judged("k", bundle.metrics["trap_stiffness"][0], recording.wells.stiffness))
    if recording.wells is not None and recording.wells.quartic:
        found.append(_judged("q", bundle.metrics["trap_quartic"][0], recording.wells.quartic))
    for a, b, r in recording.probes:
        curve = bundle.pair_force
        curve = curve[(curve["species_a"] == a) & (curve["species_b"] == b)]
        if not len(curve) or not curve["r"].min() <= r <= curve["r"].max():
            continue
        entry = {
            "value" if name == "force" else name: float(np.interp(r, curve["r"], curve[name]))
            for name in ("force", "low90", "high90")
        }
        found.append(_judged(f"F{a}{b}({r})", entry, float(recording.force((a, b), np.array([r]))[0])))
    return found


def amplitude(recording: Recording, bundle: ModelBundle) -> float:
    """Return the factor on the true force that fits the found curve best, weighted by the pairs seen per distance.

    sum n F_fit F_true / sum n F_true^2 over all pairs of species; n counts true pairs inside the listed range. In wells
    the sums run over the true positions.
    """
    if recording.wells is not None:
        return _well_amplitude(recording, recording.wells, bundle)
    product = square = 0.0
    for (a, b), curve in bundle.pair_force.groupby(["species_a", "species_b"]):
        edges = np.linspace(curve["r"].min(), curve["r"].max(), _GRID + 1)
        r = 0.5 * (edges[1:] + edges[:-1])
        true, found = recording.force((a, b), r), np.interp(r, curve["r"], curve["force"])
        weight = _pairs_per_distance(recording, (a, b), edges)
        product += float((weight * found * true).sum())
        square += float((weight * true**2).sum())
    return product / square if square else 0.0


def _well_amplitude(recording: Recording, wells: Wells, bundle: ModelBundle) -> float:
    found = replace(
        wells,
        stiffness=bundle.metrics["trap_stiffness"][0]["value"],
        quartic=bundle.metrics["trap_quartic"][0]["value"] if wells.quartic else 0.0,
    )
    points = recording.table[["x_start", "y_start"]].to_numpy() * recording.pixel_size
    particle = recording.table["particle"].to_numpy()
    true = wells.force(points, particle)
    return float((true * found.force(points, particle)).sum() / (true**2).sum())


def naive(recording: Recording, tracks: Trajectories) -> tuple[float, float]:
    """Return D from MSD/(4 dt) over the true one, and the factor on the true drift D F dt by plain regression.

    Displacements are regressed on the true force at the same noisy positions, away from the edge of the view.
    """
    pixel, dt = recording.pixel_size, recording.frame_interval
    table = tracks.table
    reach = 0.0 if recording.wells else float(given(recording.pair_force)["r"].max())
    reach += 5.0 * float(np.sqrt(2 * recording.diffusion[0] * dt))
    step_square = free_square = product = square = 0.0
    later = table.set_index(["frame", "particle"])[["x", "y"]]
    ahead = later.reindex(list(zip(table["frame"] + 1, table["particle"], strict=True))).to_numpy() * pixel
    for rows in table.groupby("frame").indices.values():
        points = table[["x", "y"]].to_numpy()[rows] * pixel
        species = table["species"].to_numpy()[rows]
        particle = table["particle"].to_numpy()[rows]
        drift = recording.diffusion[species][:, None] * dt * _forces(recording, points, species, particle)
        inner = (points > reach).all(axis=1) & (points < np.array(tracks.box.upper) - reach).all(axis=1)
        use = inner & np.isfinite(ahead[rows]).all(axis=1)
        step = (ahead[rows] - points)[use]
        step_square += float((step**2).sum())
        free_square += float((2.0 * recording.diffusion[species[use]] * dt * 2.0).sum())
        product += float((step * drift[use]).sum())
        square += float((drift[use] ** 2).sum())
    return step_square / free_square, product / square


def _judged(name: str, entry: dict[str, Any], true: float) -> dict[str, Any]:
    return {"name": name, "true": true} | {key: float(entry[key]) for key in ("value", "low90", "high90")}


def _forces(recording: Recording, points: np.ndarray, species: np.ndarray, particle: np.ndarray) -> np.ndarray:
    """Return the true forces (k_B T/um) at ``points`` (um), shape (n, 2)."""
    if recording.wells is not None:
        return recording.wells.force(points, particle)
    pairs = cKDTree(points).query_pairs(float(given(recording.pair_force)["r"].max()), output_type="ndarray")
    i, j = pairs.T
    difference = points[i] - points[j]
    distance = np.linalg.norm(difference, axis=1)
    size = np.zeros(len(pairs))
    low, high = np.minimum(species[i], species[j]), np.maximum(species[i], species[j])
    for a, b in {(int(a), int(b)) for a, b in zip(low, high, strict=True)}:
        of_kind = (low == a) & (high == b)
        size[of_kind] = recording.force((a, b), distance[of_kind])
    vector = (size / distance)[:, None] * difference
    force = np.zeros_like(points)
    np.add.at(force, i, vector)
    np.add.at(force, j, -vector)
    return force


def _pairs_per_distance(recording: Recording, kind: tuple[int, int], edges: np.ndarray) -> np.ndarray:
    """Count pairs of two species by their true distance (um) in every tenth frame."""
    counts = np.zeros(len(edges) - 1)
    table = recording.table[recording.table["frame"] % 10 == 0]
    for _, frame in table.groupby("frame"):
        points, species = frame[["x_start", "y_start"]].to_numpy() * recording.pixel_size, frame["species"].to_numpy()
        pairs = cKDTree(points).query_pairs(edges[-1], output_type="ndarray")
        kinds = np.sort(species[pairs], axis=1)
        of_kind = (kinds == np.array(kind)).all(axis=1)
        distance = np.linalg.norm(np.diff(points[pairs[of_kind]], axis=1)[:, 0], axis=1)
        counts += np.histogram(distance, edges)[0]
    return counts
