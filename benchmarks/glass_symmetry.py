"""Symmetries of fitted encoders: a glass in a periodic cell, a cut-out of it in the open, jammed discs in the plane."""

from __future__ import annotations

import numpy as np
import pandas as pd

from benchmarks.glass_peers import BOX, Glass, movie_of
from benchmarks.record import Record, data_folder
from colloid_cg.records import Box, Trajectories
from colloid_cg.structure import StructureConfig, StructureModel, encode, fit_structure

TARGET = 1e-12
VELOCITY = 0.37


def symmetry_figures(record: Record, space: StructureModel, glass: Glass) -> None:
    """Add the largest change of s under each symmetry; ``space`` was fitted to such a glass."""
    rng = np.random.default_rng(1)
    frames, species = [glass.start, glass.ends[0]], glass.species
    order = rng.permutation(len(species))
    before = hidden(space, movie_of(frames, species, BOX))
    for label, moved in (
        ("relabelling", [frame[order] for frame in frames]),
        ("Galilean shift", [frame + VELOCITY * np.array([1.0, -2.0, 0.5]) * (3 + k) for k, frame in enumerate(frames)]),
        ("quarter turn", [frame[:, [1, 0, 2]] * [1.0, -1.0, 1.0] for frame in frames]),
        ("reflection", [frame * [1.0, 1.0, -1.0] for frame in frames]),
    ):
        kinds, expected = (species[order], before[:, order]) if label == "relabelling" else (species, before)
        add(record, f"3-D glass, periodic: {label}", hidden(space, movie_of(moved, kinds, BOX)), expected)
    inside = np.linalg.norm(glass.start - 0.5 * BOX.lengths, axis=1) < 6.0
    cluster, far = (
        glass.start[inside] - 0.5 * BOX.lengths,
        Box(lower=(-50.0,) * 3, upper=(50.0,) * 3, periodic=(False,) * 3),
    )
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    found = [hidden(space, movie_of([each], species[inside], far)) for each in (cluster, cluster @ turn.T)]
    add(record, "3-D glass, open: any turn", found[1], found[0])
    plane_figures(record)


def plane_figures(record: Record) -> None:
    """Add the same of an encoder fitted to discs in the plane."""
    discs, species = jammed_discs()
    model = fit_structure(discs, StructureConfig(lag=1, epochs=5), rng=1)
    points = [discs.at(frame)[["x", "y"]].to_numpy() for frame in range(discs.n_frames)]
    centre = np.concatenate(points).mean(axis=0)
    points = [each - centre for each in points]
    far = Box(lower=(-9000.0,) * 2, upper=(9000.0,) * 2, periodic=(False,) * 2)
    order = np.random.default_rng(2).permutation(len(species))
    cosine, sine = np.cos(0.7), np.sin(0.7)
    turn = np.array([[cosine, -sine], [sine, cosine]])
    before = hidden(model, movie_of(points, species, far))
    for label, moved in (
        ("relabelling", [each[order] for each in points]),
        ("Galilean shift", [each + np.array([11.0, -7.0]) * k for k, each in enumerate(points)]),
        ("any turn", [each @ turn.T for each in points]),
        ("reflection", [each * [1.0, -1.0] for each in points]),
    ):
        kinds, expected = (species[order], before[:, order]) if label == "relabelling" else (species, before)
        add(record, f"2-D discs: {label}", hidden(model, movie_of(moved, kinds, far)), expected)


def jammed_discs() -> tuple[Trajectories, np.ndarray]:
    """Return the jammed discs of COLLOID_CG_DATA, in px, and the species of each."""
    parts = []
    for step, path in enumerate(sorted((data_folder() / "jammed_shear").glob("*_ParticleData.dlm"))):
        table = pd.read_csv(path, header=None, names=["particle", "x", "y", "r", "force"])
        parts.append(table.assign(frame=step).sort_values("particle"))
    table = pd.concat(parts, ignore_index=True)
    table["species"] = (table.groupby("particle")["r"].transform("median") > 24).astype(int)
    lower, upper = table[["x", "y"]].min() - 25, table[["x", "y"]].max() + 25
    view = Box(lower=tuple(lower), upper=tuple(upper), periodic=(False, False))
    tracks = Trajectories(table=table, pixel_size=1.0, frame_interval=1.0, field_of_view=view, n_frames=len(parts))
    return tracks, tracks.at(0)["species"].to_numpy()


def hidden(model: StructureModel, tracks: Trajectories) -> np.ndarray:
    """Return s0 of every particle in every frame, shape (frames, n)."""
    return np.asarray(encode(model, tracks)["s0"].to_numpy().reshape(tracks.n_frames, -1))


def add(record: Record, name: str, after: np.ndarray, before: np.ndarray) -> None:
    """Add the largest change of s0, which is of variance 1."""
    known = np.isfinite(before)
    if not np.array_equal(known, np.isfinite(after)):
        raise RuntimeError(f"{name}: other particles have a value")
    record.add(
        f"{name}, largest change of s", float(np.abs(after - before)[known].max()), target=TARGET, better="lower",
        note=f"fitted encoder, {known.sum()} values",
    )  # fmt: skip
