"""How fast particles are located, how well, and how honest the stated errors are; trackpy beside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import trackpy

from benchmarks import bounds, synthetic
from benchmarks.record import Record
from benchmarks.synthetic import DIAMETER, WIDTH, Scene
from benchmarks.timing import cpu, cpu_pair
from colloid_cg.tracking import DetectionScores, TrackConfig, score_detections
from colloid_cg.tracking.image_model import ImageModel
from colloid_cg.tracking.native_engine import locate_frame
from colloid_cg.tracking.suggest import resolve, suggest

TRACKPY = f"trackpy {trackpy.__version__}"
SNR = (3.0, 5.0, 9.0, 17.0, 30.0)
GATE = DIAMETER / 4
BORDER = 12.0  # px


@dataclass(frozen=True)
class Located:
    """What an engine found in a scene, and how good that is."""

    table: pd.DataFrame
    scores: DetectionScores
    bound: float

    @property
    def ratio(self) -> float:
        """Root mean square error over the Cramer-Rao bound of the same particles."""
        return self.scores.rmse / self.bound


def settings(scene: Scene, **given: Any) -> tuple[TrackConfig, ImageModel]:
    """Return what a user gets who gives no more than ``given``: all else is decided and estimated from the movie."""
    config = TrackConfig(diameter=int(DIAMETER), **given)
    suggestion = suggest(scene.stack, config)
    return resolve(config, suggestion), suggestion.image_model


def located(scene: Scene, config: TrackConfig, model: ImageModel) -> pd.DataFrame:
    return pd.concat(
        [locate_frame(frame, config, model).table(number) for number, frame in enumerate(scene.frames)],
        ignore_index=True,
    )


def by_trackpy(scene: Scene, *, minmass: float = 300.0, separation: float = 7.0, diameter: int = 9) -> pd.DataFrame:
    tables = []
    for number, frame in enumerate(scene.frames):
        found = trackpy.locate(frame, diameter, minmass=minmass, separation=separation, engine="numba")
        error = found["ep"].where(found["ep"] > 0)
        tables.append(found.assign(frame=number, sigma_x=error, sigma_y=error))
    return pd.concat(tables, ignore_index=True)


def judged(scene: Scene, table: pd.DataFrame, bound: float) -> Located:
    """Score detections against the truth and the bound of the scene."""
    scores = score_detections(scene.truth, table, gate=GATE, border=BORDER, view=scene.view)
    return Located(table=table, scores=scores, bound=bound)


def bound_of(scene: Scene, *, alone: bool = False) -> float:
    """Return the root mean square bound along one axis over the particles inside the border."""
    squares = []
    for _, part in scene.truth.groupby("frame"):
        points = part[["x", "y"]].to_numpy()
        errors = bounds.crowd_bound(
            points, part["width"].to_numpy(), part["amplitude"].to_numpy(), scene.frames.shape[1:],
            background=scene.background, read_noise=scene.read_noise, alone=alone,
        )  # fmt: skip
        squares.append(errors[scene.view.edge_distance(points) >= BORDER] ** 2)
    return float(np.sqrt(np.concatenate(squares).mean()))


def words(found: Located) -> str:
    """Say what stands behind a ratio."""
    s = found.scores
    return (
        f"RMSE {s.rmse:.4f} px, bound {found.bound:.4f}, robust error {s.robust_error:.4f}, recall {s.recall:.4f}, "
        f"precision {s.precision:.4f}, sub-pixel bias {s.phase_bias:.4f}, |z|<1 {s.z_within_1:.3f}, "
        f"|z|<1.96 {s.z_within_2:.3f}"
    )


def speed_of_locate(record: Record) -> None:
    """Time one frame B and compare errors."""
    scene = synthetic.sparse_scene(5000, 1024, 4)
    frame = scene.frames[0]

    def peer() -> None:
        trackpy.locate(frame, 9, minmass=300, separation=7, engine="numba")

    bound = bound_of(scene)
    theirs = judged(scene, by_trackpy(scene), bound)
    for refine, target, label in (("centroid", 5.0, "centroid"), ("likelihood", 15.0, "maximum likelihood")):
        config, model = settings(scene, refine=refine, separation=7.0)
        own, other = cpu_pair(lambda c=config, m=model: locate_frame(frame, c, m), peer, repeats=6)
        found = judged(scene, located(scene, config, model), bound)
        record.add(f"locate B, {label}", 1e3 * own, unit="ms", target=target, better="lower", peer=TRACKPY,
                   peer_value=1e3 * other, note=words(found))  # fmt: skip
        record.add(f"locate B, {label}: speed over trackpy", other / own, unit="x",
                   note="both single thread, taking turns in one run")  # fmt: skip
        record.add(f"locate B, {label}: RMSE/bound", found.ratio, peer=TRACKPY, peer_value=theirs.ratio,
                   note=f"trackpy: {words(theirs)}")  # fmt: skip


def amplitude_for(snr: float) -> float:
    """Return the peak height a with a/sqrt(a + background + read noise^2) = snr."""
    noise = synthetic.BACKGROUND + synthetic.READ_NOISE**2
    return 0.5 * (snr**2 + snr * np.sqrt(snr**2 + 4 * noise))


def isolated(record: Record) -> None:
    """RMSE over the bound and stated over true error of isolated particles."""
    for number, snr in enumerate(SNR):
        scene = synthetic.isolated_scene(amplitude_for(snr), seed=100 + number)
        bound = bound_of(scene)
        found = judged(scene, located(scene, *settings(scene, refine="likelihood")), bound)
        mass = 2 * np.pi * WIDTH**2 * amplitude_for(snr)
        theirs = judged(scene, by_trackpy(scene, minmass=0.2 * mass, separation=10.0), bound)
        record.add(f"isolated, SNR {snr:g}: RMSE/bound", found.ratio, target=1.06, better="lower", peer=TRACKPY,
                   peer_value=theirs.ratio, note=words(found))  # fmt: skip
        record.add(f"isolated, SNR {snr:g}: stated/true error", found.scores.stated_over_true, target=[0.95, 1.05],
                   peer=TRACKPY, peer_value=theirs.scores.stated_over_true,
                   note=f"z: sd {found.scores.z_sd:.3f}, kurtosis {found.scores.z_kurtosis:+.2f}")  # fmt: skip


def dense(record: Record) -> None:
    """The same where particles of two sizes touch, everything but the diameter estimated from the movie."""
    for amplitude in (100.0, 30.0):
        label = f"touching 1:1.4, area fraction .75, amplitude {amplitude:g}"
        scene = synthetic.dense_scene(amplitude, seed=5)
        config, model = settings(scene, refine="joint")
        bound = bound_of(scene)
        seconds = cpu(lambda s=scene, c=config, m=model: locate_frame(s.frames[0], c, m), repeats=2)
        found = judged(scene, located(scene, config, model), bound)
        theirs = best_trackpy(scene, bound)
        widths = ", ".join(f"{item.width:.3f}" for item in model.classes)
        record.add(f"{label}: RMSE/bound", found.ratio, target=1.10, better="lower", peer=TRACKPY,
                   peer_value=theirs.ratio,
                   note=f"{words(found)}; over the bound of a particle whose neighbours are known "
                   f"{found.scores.rmse / bound_of(scene, alone=True):.3f}; estimated widths {widths} "
                   f"(true 1.689, 2.364), background {model.background:.2f} (true 20); "
                   f"{1e3 * seconds:.0f} ms per frame of {len(scene.truth) // len(scene.frames)}")  # fmt: skip
        record.add(f"{label}: stated/true error", found.scores.stated_over_true, target=[0.95, 1.05], peer=TRACKPY,
                   peer_value=theirs.scores.stated_over_true,
                   note=f"z: sd {found.scores.z_sd:.3f}, kurtosis {found.scores.z_kurtosis:+.2f}")  # fmt: skip
        record.add(f"{label}: recall", found.scores.recall, peer=TRACKPY, peer_value=theirs.scores.recall,
                   note=f"precision {found.scores.precision:.4f}, trackpy {theirs.scores.precision:.4f}")  # fmt: skip


def best_trackpy(scene: Scene, bound: float) -> Located:
    """Return trackpy at its best: the diameter and least mass with the largest Jaccard index."""
    tries = []
    for diameter, separation in ((7, 5.0), (9, 7.0)):
        table = by_trackpy(scene, minmass=0.0, separation=separation, diameter=diameter)
        for share in (0.0, 0.02, 0.05, 0.1, 0.2):
            kept = table[table["mass"] > table["mass"].quantile(share)]
            scores = score_detections(scene.truth, kept, gate=GATE, border=BORDER, view=scene.view)
            tries.append((scores.jaccard, len(tries), kept))
    return judged(scene, max(tries)[2], bound)
