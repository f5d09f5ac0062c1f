"""Compose the picture of the README from the figures of a run: ``python docs/make_picture.py RUN``."""

from __future__ import annotations

import sys
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.image import imread

PARTS = ("movie_frame", "dynamics_force", "structure_map", "comparison_msd")


def main(run: Path) -> None:
    pictures = [imread(run / "figures" / f"{name}.png") for name in PARTS]
    figure = Figure(figsize=(11, 7.2), layout="constrained")
    for axes, picture in zip(figure.subplots(2, 2, width_ratios=(1.25, 1)).flat, pictures, strict=True):
        axes.imshow(picture)
        axes.set_axis_off()
    target = Path(__file__).parent / "pictures" / "run.png"
    figure.savefig(target, dpi=90, metadata={"Software": None})
    print(target.name)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
