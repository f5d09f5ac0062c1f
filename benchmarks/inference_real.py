"""bulk_water: D with its interval against the frame interval used and against the lag, beside Stokes-Einstein.

A right noise model gives the same D whatever share of the frames is used; MSD/(4 lag) of the same tracks is the
control, which localisation noise inflates at short lags. Then the simulated optical trap of others (FORMA,
doi:10.1038/s41467-018-07437-x), whose truth is in its file. Needs COLLOID_CG_DATA. Writes
benchmarks/results/inference_real.json.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.foundation import STOKES_EINSTEIN
from benchmarks.optical_trap import fitted as fitted_trap
from benchmarks.optical_trap import trapped
from benchmarks.record import Record, data_folder
from colloid_cg.learn import FitConfig, fit
from colloid_cg.records import ModelBundle, Trajectories
from colloid_cg.tracking import TrackConfig, track
from colloid_cg.video import open_video

STRIDES = (1, 2, 3, 4, 6, 9)
TRAINING_SHARE = 0.8


def naive_diffusion(tracks: Trajectories, stride: int) -> float:
    """Return MSD/(4 lag) at a lag of ``stride`` frames, um2/s, common drift taken off."""
    table = tracks.table.set_index(["particle", "frame"])[["x", "y"]]
    later = table.reindex(
        list(zip(table.index.get_level_values(0), table.index.get_level_values(1) + stride, strict=True))
    )
    step = (later.to_numpy() - table.to_numpy()) * tracks.pixel_size
    step = step[np.isfinite(step).all(axis=1)]
    step -= step.mean(axis=0)
    return float((step**2).sum(axis=1).mean() / (4.0 * stride * tracks.frame_interval))


def subsampled(record: Record, tracks: Trajectories) -> None:
    """D from the frames the fit chooses, from every frame of fewer, and from a share of those it chooses.

    Where frames are mixed by the recording (this movie was compressed) the fit leaves some out by itself; from there on
    D must not depend on the share of frames, below it may.
    """
    border = int(TRAINING_SHARE * tracks.n_frames)
    train, select = tracks.between(0, border), tracks.between(border, tracks.n_frames)

    def fitted(stride: int | None) -> ModelBundle:
        return fit(train, select, FitConfig(stride=stride, regime="overdamped"), rng=1)

    chosen = fitted(None)
    (first,) = chosen.metrics["diffusion_coefficient"]
    own = int(chosen.config["stride"])
    record.add("bulk_water: D", first["value"], unit="um2/s", interval=[first["low90"], first["high90"]],
               peer="Stokes-Einstein", peer_value=STOKES_EINSTEIN,
               note=f"one frame in {own} is used: {chosen.diagnostics['stride']['reason']}")  # fmt: skip
    half = chosen.diagnostics["half_rate"]
    if half.get("value") is not None:
        record.add("bulk_water: D at half that rate over D", half["value"] / first["value"],
                   interval=[half["low90"] / first["value"], half["high90"] / first["value"]],
                   target=[0.95, 1.05], note=half["note"])  # fmt: skip
    against_lag(record, chosen.diagnostics["diffusion_against_lag"])
    for stride in STRIDES:
        bundle = fitted(stride)
        (entry,), (noise,) = bundle.metrics["diffusion_coefficient"], bundle.metrics["localisation_variance"]
        record.add(
            f"bulk_water: D from one frame in {stride}", entry["value"], unit="um2/s",
            interval=[entry["low90"], entry["high90"]], peer="MSD/(4 lag) of the same tracks",
            peer_value=naive_diffusion(tracks, stride),
            target=[first["low90"], first["high90"]] if stride >= own else None,
            note=f"s2 {noise['value']:.2g} ({noise['low90']:.2g} to {noise['high90']:.2g}) um2",
        )  # fmt: skip


def against_lag(record: Record, curve: dict[str, list[float]]) -> None:
    """D that explains the displacements of each lag, noise taken off."""
    for lag, value, low, high in zip(*(curve[name] for name in ("lag_s", "value", "low90", "high90")), strict=True):
        record.add(f"bulk_water: D at a lag of {lag:.3g} s", value, unit="um2/s", interval=[low, high],
                   peer="Stokes-Einstein", peer_value=STOKES_EINSTEIN)  # fmt: skip


def optical_trap(record: Record, path: Path) -> None:
    """D and stiffness of a bead in a trap that others simulated."""
    tracks, truths = trapped(path)
    found = fitted_trap(tracks)
    for name, true in truths.items():
        entry = found[name][0]
        record.add(f"optical trap: {name.replace('_', ' ')}", entry["value"], unit=entry["unit"],
                   target=[entry["low90"] - entry["value"] + true, entry["high90"] - entry["value"] + true],
                   interval=[entry["low90"], entry["high90"]], peer="truth", peer_value=true,
                   note="within its own 90 % interval of the truth")  # fmt: skip


def main() -> None:
    data = data_folder()
    stack = open_video(
        data / "bulk_water/bulk_water_green.tif",
        pixel_size=100 / 285.0,
        frame_interval=1 / 24,
    )
    record = Record("inference_real")
    subsampled(record, track(stack, TrackConfig()))
    optical_trap(record, data / "optical_trap/forma1d.mat")
    record.write()


if __name__ == "__main__":
    main()
