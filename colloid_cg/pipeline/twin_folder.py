"""Twin movies on disk: video with metadata, truth and a README."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from colloid_cg.errors import StorageError
from colloid_cg.pipeline.stage import ProgressFactory, no_progress
from colloid_cg.pipeline.study import Study
from colloid_cg.store import atomic_path, write_events, write_json, write_table
from colloid_cg.twin import FILES, TwinConfig, make_twin
from colloid_cg.video import save_movie

MOVIE = "movie.ome.tif"


def write_twin(case: str, folder: Path, study: Study, *, progress: ProgressFactory = no_progress) -> dict[str, Any]:
    """Make a folder with movie.ome.tif, truth.parquet, parameters.json, README.md and the tables of the case.

    These are pair_force.csv, traps.csv, driven.csv, flow.csv, deformation.csv, pair_friction.csv and events.parquet,
    where the case has them; README.md says what each file holds.

    Raises
    ------
    StorageError
        If the folder exists and is not empty.
    ConfigError
        If the case is unknown.
    """
    folder = folder.resolve()
    if folder == Path.cwd():
        raise StorageError(
            "the current folder as the place of a twin", expected="a folder to make", action="name a new folder with -o"
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise StorageError(
            f"{folder} that is not empty", expected="a new or empty folder", action="choose another folder with -o"
        )
    with progress("twin") as advance:
        advance(0, 1)
        twin = make_twin(case, study.section(TwinConfig))
        advance(1, 1)
    stack = twin.stack()
    with atomic_path(folder, folder=True) as temporary, progress("render") as advance:

        def frames() -> Any:
            for index, frame in enumerate(twin.frames()):
                advance(index, len(stack))
                yield frame

        save_movie(
            temporary / MOVIE,
            frames(),
            pixel_size=stack.pixel_size,
            frame_interval=stack.frame_interval,
            exposure=stack.exposure,
        )
        advance(len(stack), len(stack))
        write_table(temporary / "truth.parquet", twin.truth_table)
        write_json(temporary / "parameters.json", twin.parameters)
        tables = twin.tables if twin.pair_force is None else {"pair_force": twin.pair_force, **twin.tables}
        for name, table in tables.items():
            table.to_csv(temporary / FILES[name], index=False, float_format="%.10g")
        if twin.events is not None:
            write_events(temporary / FILES["events"], twin.events)
        (temporary / "README.md").write_text(twin.readme, encoding="utf-8")
    return {"case": case, "folder": str(folder), "video": MOVIE, "frames": len(stack), "parameters": twin.parameters}
