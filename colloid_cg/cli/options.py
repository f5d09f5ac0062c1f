"""Options that several verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Video = Annotated[
    Path, typer.Argument(help="The movie: TIFF, AVI/MP4, .cine, .seq, .nd2, .npy, .zarr or a folder of images.")
]
Table = Annotated[
    Path,
    typer.Argument(
        help="Trajectories: .csv, .txt, .tsv, .parquet, a folder of tables, one per frame; "
        "a LAMMPS text dump or an .npz of a simulation."
    ),
]
Run = Annotated[Path, typer.Argument(help="A run folder made by run, track or import.")]
Output = Annotated[Path, typer.Option("--output", "-o", help="The folder to make or to go on with.")]
Config = Annotated[Path | None, typer.Option("--config", "-c", help="A TOML file with a table per stage.")]
PixelSize = Annotated[str | None, typer.Option("--pixel-size", help="Edge of a pixel, e.g. '0.108 um'.")]
FrameInterval = Annotated[str | None, typer.Option("--frame-interval", help="Time between frames, e.g. '10 ms'.")]
Exposure = Annotated[str | None, typer.Option("--exposure", help="Exposure time, e.g. '5 ms'.")]
Timestep = Annotated[
    float | None, typer.Option("--timestep", help="Time step of the simulation behind a LAMMPS dump, in its own units.")
]
Channel = Annotated[
    str | None, typer.Option("--channel", help="Colour to use of an RGB movie: red, green, blue or mean.")
]
Diameter = Annotated[
    int | None, typer.Option("--diameter", help="Particle diameter in px, odd; suggested if not given.")
]
Seed = Annotated[int | None, typer.Option("--seed", help="Seed of all random streams.")]
Json = Annotated[bool, typer.Option("--json", help="Print a machine-readable summary to standard output.")]
Figure = Annotated[Path | None, typer.Option("--figure", "-o", help="Where to write the figure (PNG).")]
Case = Annotated[
    str,
    typer.Argument(
        help="Physics of the twin: brownian, traps, yukawa, soft_discs, soft_glass, quiet_solid or inertial."
    ),
]
Reference = Annotated[
    Path,
    typer.Argument(help="What to match with: a twin folder, a run folder, an events.parquet or a review (.csv)."),
]
Distance = Annotated[
    str | None, typer.Option("--distance", help="Largest distance of a match, e.g. '2 um'; by default gap_space.")
]
Frames = Annotated[
    float | None, typer.Option("--frames", help="Largest time apart in frames; by default the lag plus half a window.")
]
AmplitudeRecall = Annotated[
    str | None,
    typer.Option("--amplitude-recall", help="Recall is over reference events of at least this, e.g. '0.3 um'."),
]
AmplitudeFalse = Annotated[
    str | None, typer.Option("--amplitude-false", help="Reference events below this are as good as none.")
]
Workers = Annotated[
    int | None,
    typer.Option("--workers", help="Processes that locate particles; 1: this one alone. By default as many as pay."),
]
Scheduler = Annotated[
    str | None,
    typer.Option("--scheduler", help="Address of a dask cluster to locate on instead, e.g. tcp://host:8786."),
]
