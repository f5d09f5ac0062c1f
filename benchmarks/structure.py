"""Hidden variables in the dynamics: a soft glass from video; a dilute suspension and a crystal that have none.

Writes benchmarks/results/structure.json. Each glass is filmed, tracked and fitted by the command line with settings
that were fixed on another seed; figures are those of its test block, which no fit has seen. Folders are kept in
benchmarks/checkpoint/structure, so that an interrupted run goes on; --seeds chooses
the glasses, --part makes one part only.

The companions: kob_andersen.json (propensity, seeds, invariance), star_memory.json (memory of star polymers),
structure_shear.json (real jammed discs), structure_ceiling.json (how well one run can be predicted at all).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from benchmarks.inference_video import command
from benchmarks.record import Record
from benchmarks.structure_nulls import crystal_figures, null_figures
from colloid_cg.assessment.reading import ReadingConfig, read_hidden
from colloid_cg.learn.latent import hidden_fields, hidden_gain, hidden_model
from colloid_cg.records import EventTable, ModelBundle, Trajectories
from colloid_cg.simulation import SimulateConfig, simulate
from colloid_cg.states import blocks_of_frames, rollout_trajectories, split_by_time
from colloid_cg.store import read_events, read_frames, read_json, read_model, read_trajectories, write_json
from colloid_cg.store.arrays import read_structure
from colloid_cg.structure import StructureModel

KEPT = Path(__file__).parent / "checkpoint" / "structure"
SEEDS = (42, 43)
STUDY = """
[twin]
n_frames = 500
width = 600
height = 600
frame_interval = "100 ms"
repulsion = 3000.0
area_fraction = 0.88
drive = "none"
[track]
size_classes = 2
[structure]
cutoff = 3.0
lag = 10
window = 10
[fit]
hidden_variables = 1
knots = [0, 5, 9]
"""
_FRACTIONS = (0.6, 0.2, 0.2)
_MADE_ANEW = 30.0
"""Seconds beyond which a fit was not taken from the cache of the run folder."""
_LAG = 10
"""Frames ahead in which rearrangements are predicted."""
_NEAR = 4.0
"""Largest distance (px) of a detection from the true place of its particle."""
_LABELS = {"d2min": "D2min", "displacement": "displacement", "events": "true rearrangement"}


def glass_run(seed: int) -> tuple[Path, float]:
    """Film, track and fit one glass; returns the run folder and the seconds that the fit took (0: kept from before)."""
    folder = KEPT / f"glass{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "study.toml").write_text(f"seed = {seed}\n{STUDY}")
    common = ("--config", "study.toml")
    if not (folder / "twin" / "movie.ome.tif").is_file():
        command("twin", "soft_glass", "-o", "twin", *common, folder=folder)
    if not (folder / "run" / "trajectories.parquet").is_file():
        command("track", "twin/movie.ome.tif", "-o", "run", *common, "--workers", "1", folder=folder)
    command("structure", "run", *common, folder=folder)
    began = time.perf_counter()
    command("fit", "run", *common, folder=folder)
    if (seconds := time.perf_counter() - began) > _MADE_ANEW:
        (folder / "seconds").write_text(str(seconds))
    return folder / "run", float((folder / "seconds").read_text())


def entry(bundle: ModelBundle, name: str) -> dict[str, Any]:
    """Return the first entry of a metric."""
    return bundle.metrics[name][0]


def gain_figures(record: Record, of: str, bundle: ModelBundle, test: Trajectories) -> None:
    """Add what s is worth on the test block and what is left when it is shuffled."""
    unit = "nats per particle and frame"
    found = hidden_gain(bundle, test)
    assert found is not None
    record.add(f"{of}: gain of s on the test block", found.value, unit=unit, target=0.0, better="higher",
               interval=[found.low90, found.high90], note="over mobilities that differ by chance alone")  # fmt: skip
    full, mixed, memory = (entry(bundle, f"latent_gain{name}") for name in ("", "_shuffled", "_memory"))
    record.add(f"{of}: gain on the selection block", full["value"], unit=unit, target=0.0, better="higher",
               interval=[full["low90"], full["high90"]], note="decides whether s is used")  # fmt: skip
    record.add(f"{of}: gain of memory without structure", memory["value"], unit=unit,
               interval=[memory["low90"], memory["high90"]])  # fmt: skip
    record.add(f"{of}: gain of refitted shuffled s over that of s", mixed["value"] / full["value"], target=0.1,
               better="lower", note="s predicted from the past; exchanged within species and frame")  # fmt: skip
    tau = entry(bundle, "latent_persistence_time")
    record.add(f"{of}: persistence time of the memory variable", tau["value"], unit="s",
               interval=[tau["low90"], tau["high90"]])  # fmt: skip
    for share in bundle.metrics["latent_structure_share"]:
        record.add(f"{of}: share of s in the present structure, species {share['species']}", share["value"])


def true_events(tracks: Trajectories, twin: Path) -> EventTable:
    """Return the true rearrangements of a twin with the particle numbers of the tracks."""
    truth = read_frames(twin / "truth.parquet", (0, tracks.n_frames)).set_index(["frame", "particle"])[["x", "y"]]
    events, seen = read_events(twin / "events.parquet").table, tracks.as_seen()
    members = []
    for frame, own in zip(events["t_peak"], events["particles"], strict=True):
        there = seen.at(int(frame))
        places = truth.reindex([(int(frame), int(each)) for each in own]).dropna().to_numpy()
        away, row = cKDTree(there[["x", "y"]].to_numpy()).query(places)
        members.append(there["particle"].to_numpy()[row[away < _NEAR]].tolist())
    return EventTable(table=events.assign(particles=members))


def prediction_figures(record: Record, of: str, bundle: ModelBundle, tracks: Trajectories, run: Path) -> None:
    """Add how well hidden variables, from the past alone, tell who rearranges next, beside the best hand-made one.

    s0 is that of the encoder over the last frames (``structure``), s1 that of the dynamics (``fit``) without its
    future. Which of them stands for each species and kind of rearrangement is decided on the selection block.
    """
    before = hidden_fields(bundle, tracks, future=False)
    assert before is not None
    fields = read_frames(run / "fields" / "structure.parquet", (0, tracks.n_frames))
    fields["s1"] = before["s"].to_numpy()
    names = ("train", "select", "test")
    spans = dict(zip(names, blocks_of_frames(tracks.n_frames, _FRACTIONS), strict=True))
    config = ReadingConfig(lag=_LAG, lags=(_LAG,), labels=("d2min", "displacement", "events"))
    encoder = StructureModel.from_arrays(*read_structure(run / "structure"))
    found = read_hidden(
        tracks, fields, blocks=spans, config=config, model=encoder,
        events=true_events(tracks, run.parent / "twin"), rng=1,
    )  # fmt: skip
    for species, part in found["species"].items():
        for each in part["prediction"]:
            if "auc" not in each:
                continue
            label = f"{of}, species {species}, {_LABELS[each['label']]} over {_LAG} frames"
            hidden, best = each["chosen"]["hidden"], each["chosen"]["handmade"]
            shown = {hidden: "the hidden variable", "s0": "s of the encoder", "s1": "s of the dynamics"} | {
                name: name for name in (best, "ridge")
            }
            for name, words in shown.items():
                if name in each["auc"]:
                    value = each["auc"][name]
                    record.add(f"{label}: AUC of {words}", value["value"], interval=[value["low90"], value["high90"]])
            for other, value in each["differences"].items():
                record.add(f"{label}: AUC of the hidden variable less that of the {other} variable", value["value"],
                           better="higher", target=0.0 if other == "handmade" else None,
                           interval=[value["low90"], value["high90"]],
                           note=f"{hidden} against {best}, both chosen on the selection block")  # fmt: skip


def rollout_figures(record: Record, of: str, bundle: ModelBundle, test: Trajectories, frames: int | None) -> None:
    """Add P9: s of a rollout against the smoother's posterior from what a camera sees of it."""
    model = hidden_model(bundle)
    assert model is not None
    late = int(max(100, 5.0 * model.law.persistence * int(bundle.config["stride"])))
    total = frames or late + 150
    rollout = simulate(bundle, test, SimulateConfig(replicas=1, frames=total), rng=3)
    assert rollout.s is not None
    seen = rollout_trajectories(rollout, pixel_size=test.pixel_size)
    fields = hidden_fields(bundle, seen)
    assert fields is not None
    count = len(rollout.species)
    true = rollout.s[0, fields["frame"].to_numpy(), fields["particle"].to_numpy() % count, 0]
    species = rollout.species[fields["particle"].to_numpy() % count]
    score = ((fields["s"] - true) / fields["s_std"]).to_numpy()
    used = np.isfinite(score) & (fields["frame"] >= min(late, total // 2)) & (fields["frame"] < total - 5)
    note = f"frames {min(late, total // 2)} to {total - 5} of a rollout, 5 tau = {late} frames"
    for kind in (None, *np.unique(species)):
        rows = used if kind is None else used & (species == kind)
        name = of if kind is None else f"{of}, species {kind}"
        part = score[rows]
        target = ([-0.1, 0.1], [0.8, 1.25]) if kind is None else (None, None)
        record.add(f"{name}: mean z-score of s in rollouts", float(part.mean()), target=target[0], note=note)
        record.add(f"{name}: variance of the z-scores", float(part.var()), target=target[1], note=note)
    record.add(f"{of}: correlation of s in the rollout with its estimate",
               float(np.corrcoef(fields["s"][used], true[used])[0, 1]))  # fmt: skip
    residual = float(np.abs(rollout.ledger.residual()).max())
    record.add(f"{of}: first law in the rollout, largest violation", residual, unit="k_B T0", target=1e-6,
               better="lower")  # fmt: skip


def glass_figures(seed: int, frames: int | None) -> list[dict[str, Any]]:
    """Return the figures of one glass."""
    record = Record("structure")
    run, seconds = glass_run(seed)
    of = f"soft glass from video, seed {seed}"
    tracks, bundle = read_trajectories(run / "trajectories.parquet"), read_model(run / "model")
    test = split_by_time(tracks, fractions=_FRACTIONS)[2]
    per_frame = len(tracks) / tracks.n_frames
    record.add(f"{of}: fit with hidden variable, {per_frame:.0f} particles x {tracks.n_frames} frames", seconds / 60.0,
               unit="min", target=10.0, better="lower",
               note="one core; pair force, encoder, four laws, errors, shuffled control")  # fmt: skip
    gain_figures(record, of, bundle, test)
    prediction_figures(record, of, bundle, tracks, run)
    rollout_figures(record, of, bundle, test, frames)
    return record.figures


def kept(name: str, make: Callable[[], list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Return the figures of a part, made now or kept from a run that was interrupted."""
    path = KEPT / f"{name}.json"
    if not path.is_file():
        KEPT.mkdir(parents=True, exist_ok=True)
        write_json(path, {"figures": make()})
    return list(read_json(path)["figures"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="*", default=SEEDS)
    parser.add_argument("--frames", type=int, help="length of the rollouts; default: 150 beyond 5 tau")
    parser.add_argument("--part", help="make one part only (glass42, null, crystal) and keep it for the whole")
    chosen = parser.parse_args()
    parts: dict[str, Callable[[], list[dict[str, Any]]]] = {
        f"glass{seed}": partial(glass_figures, seed, chosen.frames) for seed in chosen.seeds
    } | {"null": null_figures, "crystal": crystal_figures}
    if chosen.part:
        kept(f"figures_{chosen.part}", parts[chosen.part])
        return
    record = Record("structure")
    for name, make in parts.items():
        record.figures += kept(f"figures_{name}", make)
    record.write()


if __name__ == "__main__":
    main()
