"""Whether a hidden structural variable tells where a real jammed packing will give way.

826 discs of two sizes in 14 quasi-static steps of pure shear (COLLOID_CG_DATA/jammed_shear), halved in time. The
structure is fitted on one half; the ridge regression is trained, and signs and the hand-made variable to compare with
are chosen, on parts of the same half; figures are those of the other one. The early half comes first; the other way
round is a second look at the same question. A rearrangement: D2min of the next step above the 95 % quantile of the
fitted half. Writes benchmarks/results/structure_shear.json and the picture docs/pictures/hidden_shear.png.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.record import Record, data_folder
from colloid_cg.assessment.reading import ReadingConfig, read_hidden
from colloid_cg.pipeline.run import import_tracks
from colloid_cg.pipeline.study import study_from_dict
from colloid_cg.records import Trajectories
from colloid_cg.reporting.figures.hidden_variables import figure_hidden_map
from colloid_cg.reporting.figures.style import png_bytes
from colloid_cg.store import RunFolder, read_trajectories
from colloid_cg.structure import StructureConfig, encode, fit_structure

HALVES = {
    "early to late": {"fit": (0, 7), "train": (0, 4), "select": (4, 7), "test": (7, 14)},
    "late to early": {"fit": (7, 14), "train": (7, 11), "select": (11, 14), "test": (0, 7)},
}
READING = ReadingConfig(lag=1, lags=(1,), labels=("d2min", "displacement"))
PICTURE = Path(__file__).parents[1] / "docs" / "pictures" / "hidden_shear.png"
SIZES = {"0": "small discs", "1": "large discs"}
PROBABLE = 0.05


def shear() -> Trajectories:
    """Return the discs as the product imports them; lengths in px."""
    calibration = {"import": {"pixel_size": "1 um", "frame_interval": "1 s"}}
    with tempfile.TemporaryDirectory() as scratch:
        folder = RunFolder(Path(scratch) / "run")
        import_tracks(data_folder() / "jammed_shear", folder, study_from_dict(calibration))
        return read_trajectories(folder.path / "trajectories.parquet")


def prediction_figures(record: Record, of: str, part: dict[str, Any]) -> None:
    """Add how well the variables rank the discs of one size."""
    hidden, handmade = part["chosen"]["hidden"], part["chosen"]["handmade"]
    of = f"{of}, {part['label']} of the next step"
    note = f"{part['positives']} rearrangements among {part['rows']} discs x steps, {part['blocks']} blocks of space"
    words = {hidden: "hidden variable", handmade: f"best hand-made variable ({handmade})"}
    for name in dict.fromkeys((hidden, handmade, "local_density", "past_displacement", "ridge")):
        if name in part["auc"]:
            entry = part["auc"][name]
            record.add(
                f"{of}: AUC of {words.get(name, name)}", entry["value"], target=0.5 if name == hidden else None,
                better="higher", interval=[entry["low90"], entry["high90"]], note=note,
            )  # fmt: skip
    record.add(
        f"{of}: p of the hidden variable", part["p_value"][hidden], target=PROBABLE, better="lower",
        note="999 shifts of s across the view within species and frame",
    )  # fmt: skip
    lead = part["differences"]["handmade"]
    record.add(
        f"{of}: AUC of the hidden variable over the best hand-made one", lead["value"], target=0.0, better="higher",
        interval=[lead["low90"], lead["high90"]], note="paired block bootstrap",
    )  # fmt: skip


def draw(tracks: Trajectories, found: dict[str, Any]) -> None:
    """Draw s beside D2min of the next step in the frame with most rearrangements."""
    shown = found["map"]
    columns = {name: shown[name] for name in ("particle", "s0", "d2min", "rearranges")}
    table = pd.DataFrame(columns).merge(tracks.at(shown["frame"])[["particle", "x", "y"]], on="particle")
    table[["s0", "d2min"]] = table[["s0", "d2min"]].astype(float)
    figure = figure_hidden_map(table, "s0", frame=None, index=shown["frame"], seconds="step", unit=" (px²)")
    PICTURE.write_bytes(png_bytes(figure))


def main() -> None:
    """Fit on one half, read the other, keep the picture."""
    record, tracks = Record("structure_shear"), shear()
    for way, spans in HALVES.items():
        model = fit_structure(tracks.between(*spans["fit"]), StructureConfig(lag=1), rng=1)
        blocks = {name: span for name, span in spans.items() if name != "fit"}
        found = read_hidden(tracks, encode(model, tracks), blocks=blocks, config=READING, model=model, rng=1)
        if spans["fit"][0] == 0:
            draw(tracks, found)
        for kind, size in SIZES.items():
            own = found["species"][kind]
            for part in own["prediction"]:
                if "auc" in part:
                    prediction_figures(record, f"{way}, {size}", part)
            for part in own["associations"]:
                if part["with"] == "local_density":
                    rank = part["spearman"]
                    record.add(
                        f"{way}, {size}: rank correlation of the hidden variable with local density", rank["value"],
                        interval=[rank["low90"], rank["high90"]],
                    )  # fmt: skip
    record.write()


if __name__ == "__main__":
    main()
