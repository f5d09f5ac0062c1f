"""``make demo``: the whole way on a real movie where one is found, else on a generated twin."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from colloid_cg.cli.display import bar, note, show, show_error
from colloid_cg.errors import ColloidError

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "demo"


def find_movie() -> tuple[Path, dict[str, Any]]:
    """Return a movie and the tables of the study that belong to it.

    In this order: bulk_water below COLLOID_CG_DATA, the first movie of data/manifest.json that can be downloaded
    and has the stated sha256, a twin made on the spot.
    """
    data = os.environ.get("COLLOID_CG_DATA")
    real = Path(data) / "bulk_water" / "bulk_water_green.tif" if data else None
    if real is not None and real.is_file():
        note(f"real movie: {real.name} (1 um latex spheres in water)")
        return real, {"video": {"pixel_size": f"{1 / 2.85} um", "frame_interval": f"{1 / 24} s"}}
    for entry in json.loads((ROOT / "data" / "manifest.json").read_text(encoding="utf-8"))["movies"]:
        path = _download(entry)
        if path is not None:
            note(f"real movie: {entry['name']} ({entry['what']})")
            return path, {"video": entry["video"]}
    return _twin(), {}


def _download(entry: dict[str, Any]) -> Path | None:
    import pooch
    import requests

    try:
        return Path(
            pooch.retrieve(
                entry["url"],
                known_hash=f"sha256:{entry['sha256']}",
                fname=entry["name"],
                path=FOLDER / "downloads",
            )
        )
    except (OSError, ValueError, requests.RequestException) as error:
        note(f"{entry['name']} cannot be downloaded ({type(error).__name__}); going on without it")
        return None


def _twin() -> Path:
    from colloid_cg.pipeline.study import Study
    from colloid_cg.pipeline.twin_folder import MOVIE, write_twin

    folder = FOLDER / "twin"
    if not (folder / MOVIE).is_file():
        note("no real movie at hand: making a twin of charged colloids")
        write_twin("yukawa", folder, Study(), progress=bar)
    return folder / MOVIE


def main() -> int:
    """Run the demo; return the exit code."""
    from colloid_cg.cli.announcing import Announcer
    from colloid_cg.pipeline.run import run_video
    from colloid_cg.pipeline.study import Study
    from colloid_cg.store import RunFolder

    try:
        movie, tables = find_movie()
        folder = FOLDER / f"run-{movie.name.split('.')[0]}"
        result = run_video(movie, RunFolder(folder), Study(tables), progress=bar, announce=Announcer(RunFolder(folder)))
    except ColloidError as error:
        show_error(error, as_json=False)
        return error.exit_code
    show(f"report: {folder / 'report.html'}")
    return 2 if result.failures else 0


if __name__ == "__main__":
    sys.exit(main())
