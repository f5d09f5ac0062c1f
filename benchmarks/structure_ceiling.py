"""How much of what can be known about a single run a hidden variable knows: against the leave-run-out oracle.

Soft discs without a drive, of the digital twin. The structure is fitted to a movie of one glass; other glasses are
run 12 times each from one configuration with other thermal noise. The oracle ranks the particles of a run by how far
they move in the other runs. Two species, averages over glasses. Also the oracle of Kob-Andersen glasses
(COLLOID_CG_DATA/kob_andersen). Writes benchmarks/results/structure_ceiling.json. About five minutes of one core.
"""

from __future__ import annotations

import numpy as np

from benchmarks.kob_andersen import glasses
from benchmarks.record import Record
from colloid_cg.assessment.reading import (
    displacements_of_runs,
    oracle_areas,
    resampling,
    single_run_areas,
    space_time_blocks,
)
from colloid_cg.records import Trajectories
from colloid_cg.structure import StructureConfig, StructureModel, encode, fit_structure
from colloid_cg.twin import CameraConfig, TwinConfig, isoconfigurational_runs, truth_trajectories

GLASS = TwinConfig(
    n_frames=200, frame_interval=0.1, width=300, height=300, repulsion=800.0, area_fraction=0.82, drive="none",
    camera=CameraConfig(exposure=0.0),
)  # fmt: skip
RUNS, GLASSES, LAG, RESAMPLES = 12, 6, 20, 300
EFFICIENCY = 0.65
PUBLISHED = {0: 0.704, 1: 0.692}
"""Oracle of the other 31 runs, all configurations pooled, as another program measured it."""
NAMES = ("s0", "local_density", "voronoi_area")


def one_glass(seed: int, model: StructureModel, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return for each variable and species the areas (1 + resamples) of one glass; "oracle" is the ceiling."""
    config = GLASS.model_copy(update={"seed": seed, "n_frames": LAG + 1})
    runs = [truth_trajectories(truth) for truth in isoconfigurational_runs(config, runs=RUNS)]
    particles, moved = displacements_of_runs(runs, LAG)
    start: Trajectories = runs[0].between(0, 1)
    fields = encode(model, start).set_index("particle").loc[particles]
    species = start.table.set_index("particle").loc[particles, "species"].to_numpy()
    found = {}
    for kind in (0, 1):
        own = species == kind
        places = start.positions[own]
        index = space_time_blocks(np.zeros(own.sum(), dtype=int), places, start.box, frames_per_block=1, side=7.0)
        drawn = resampling(index, resamples=RESAMPLES, rng=rng)
        found[f"oracle {kind}"] = oracle_areas(moved[:, own], drawn)
        for name in NAMES:
            found[f"{name} {kind}"] = single_run_areas(fields[name].to_numpy()[own], moved[:, own], drawn)
    return found


def main() -> None:
    """Fit once, run every glass, record."""
    record, rng = Record("structure_ceiling"), np.random.default_rng(0)
    (movie,) = isoconfigurational_runs(GLASS.model_copy(update={"seed": 1000}), runs=1)
    model = fit_structure(truth_trajectories(movie), StructureConfig(lag=LAG), rng=1)
    # Which way round a variable goes is learned from the same movie; nothing of the other glasses decides.
    movie_tracks = truth_trajectories(movie).between(0, 180)
    signs = signs_of(movie_tracks, model)
    each = [one_glass(seed, model, rng) for seed in range(1, GLASSES + 1)]
    for kind in (0, 1):
        oracle = np.mean([found[f"oracle {kind}"] for found in each], axis=0)
        add(record, f"twin, species {kind}: AUC of the leave-run-out oracle", oracle)
        for name in NAMES:
            areas = np.mean([found[f"{name} {kind}"] for found in each], axis=0)
            areas = areas if signs[f"{name} {kind}"] > 0 else 1.0 - areas
            add(record, f"twin, species {kind}: AUC of {name} against single runs", areas)
            efficiency = (areas - 0.5) / (oracle - 0.5)
            target = EFFICIENCY if name == "s0" else None
            add(record, f"twin, species {kind}: single-run efficiency of {name}", efficiency, target=target)
    all_glasses = glasses()
    for kind, published in PUBLISHED.items():
        outcomes = [glass.distances[:, glass.species == kind] for glass in all_glasses]
        index = np.repeat(np.arange(len(outcomes)), [part.shape[1] for part in outcomes])
        row = oracle_areas(np.concatenate(outcomes, axis=1), resampling(index, resamples=RESAMPLES, rng=rng))
        record.add(
            f"Kob-Andersen, {'AB'[kind]}: AUC of the leave-run-out oracle", float(row[0]),
            target=[published - 0.002, published + 0.002], peer="prototype", peer_value=published,
            interval=[float(value) for value in np.quantile(row[1:], (0.05, 0.95))],
            note="8 configurations pooled, mean over 32 runs, top 5 % of each run; resampled configurations",
        )  # fmt: skip
    record.write()


def signs_of(tracks: Trajectories, model: StructureModel) -> dict[str, float]:
    """Return 1 or -1 for each variable and species: whether it goes up or down with the displacement that follows."""
    fields = encode(model, tracks)
    frame, particle = tracks.table["frame"].to_numpy(), tracks.table["particle"].to_numpy()
    places = tracks.positions.reshape(int(frame.max()) + 1, -1, 2)
    assert (particle[: places.shape[1]] == np.arange(places.shape[1])).all()
    moved = np.full(places.shape[:2], np.nan)
    moved[:-LAG] = np.linalg.norm(places[LAG:] - places[:-LAG], axis=2)
    found = {}
    for kind in (0, 1):
        known = np.isfinite(moved.ravel()) & (tracks.table["species"].to_numpy() == kind)
        for name in NAMES:
            values = fields[name].to_numpy()[known]
            found[f"{name} {kind}"] = float(np.sign(np.corrcoef(values, moved.ravel()[known])[0, 1]))
    return found


def add(record: Record, name: str, row: np.ndarray, *, target: float | None = None) -> None:
    """Add a mean over glasses with its interval."""
    # A resample of a small glass may hold nobody who moved.
    low, high = np.nanquantile(row[1:], (0.05, 0.95))
    note = f"{GLASSES} glasses x {RUNS} runs, {LAG} frames ahead, top 5 %; blocks of space, each glass resampled"
    record.add(name, float(row[0]), target=target, better="higher", interval=[float(low), float(high)], note=note)


if __name__ == "__main__":
    main()
