"""Steps of a block with the structural variables that go with them, and what is known of z when it ends."""

from __future__ import annotations

import numpy as np

from colloid_cg.dynamics import OverdampedModel
from colloid_cg.learn.latent.law import LatentLaw
from colloid_cg.learn.latent.living import Followed
from colloid_cg.learn.latent.rows import LatentRows, filtered, latent_rows, moments, structure_of_rows
from colloid_cg.learn.noise_form import with_noise_form
from colloid_cg.learn.problem import prepare
from colloid_cg.learn.series import every_nth_frame, frame_of_rows
from colloid_cg.records import ModelBundle, StateSeries, Trajectories
from colloid_cg.states import from_trajectories
from colloid_cg.structure import StructureModel, encode


def leading(tracks: Trajectories, most: int) -> Trajectories:
    """Return the first frames that hold at most ``most`` detections (at least three frames)."""
    if len(tracks) <= most:
        return tracks
    first, last = int(tracks.table["frame"].min()), int(np.searchsorted(tracks.frame_offsets(), most, side="right")) - 1
    return tracks.between(first, max(last, first + 3))


def structure_of(encoder: StructureModel, tracks: Trajectories) -> np.ndarray:
    """Return the structural variables of every detection, shape (n, k)."""
    return structure_of_rows(encode(encoder, tracks), latents=encoder.latents)


def rows_of(bundle: ModelBundle, model: OverdampedModel, tracks: Trajectories, known: Followed) -> LatentRows:
    """Return the steps of a block with the true structure that the frames before each of them tell."""
    stride = int(bundle.config["stride"])
    whole = from_trajectories(tracks)
    block = prepare(
        every_nth_frame(whole, stride),
        n_species=int(bundle.config["n_species"]),
        drift_velocity=np.asarray(bundle.diagnostics["drift_velocity_um_per_s"]),
        cutoff=float(bundle.config["cutoff"]) if model.n_knots else None,
        diffusion=float(model.diffusion.max()),
        resolution=float(bundle.config.get("resolution", 0.0)),
    )
    form = bundle.diagnostics["stated_sigma"].get("form", "constant")
    block = with_noise_form(block, form)
    kept = kept_rows(whole, stride)
    return latent_rows(block, model, known.before[kept], kept)


def kept_rows(series: StateSeries, stride: int) -> np.ndarray:
    """Return the rows of a series that :func:`every_nth_frame` keeps."""
    return np.flatnonzero(frame_of_rows(series) % stride == 0)


def last_frames(tracks: Trajectories, most: int) -> Trajectories:
    """Return the last frames that hold at most ``most`` detections (at least three), the block itself where all do."""
    if len(tracks) <= most:
        return tracks
    frame = tracks.table["frame"].to_numpy()
    last = int(frame.max())
    return tracks.between(min(int(frame[-most]) + 1, last - 2), last + 1)


def at_the_end(law: LatentLaw, rows: LatentRows, *, first: int, stride: int) -> dict[str, np.ndarray]:
    """Return what is known of z at the last step of every track of a block, and when: where rollouts begin.

    ``first``: frame of the movie in which the block begins.
    """
    found = filtered(law, rows)
    mean, deviation = moments(found.filtered, found.grid)
    last = np.append(~rows.joined[1:], True)[: len(rows)] & (rows.frame >= rows.frame.max(initial=0) - 1)
    return {
        "hidden.start_particles": rows.particle[last].astype(float),
        "hidden.start_frames": (first + stride * rows.frame[last]).astype(float),
        "hidden.start_mean": mean[last],
        "hidden.start_deviation": deviation[last],
    }
