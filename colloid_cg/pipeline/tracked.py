"""What tracking found, and with what, in two lines for a person."""

from __future__ import annotations

from typing import Any

from colloid_cg.pipeline.from_tracks import TRACKS
from colloid_cg.store import RunFolder, open_trajectories


def tracked_lines(folder: RunFolder) -> list[str]:
    """Return how much was found and kept, and the settings and scales it was found with.

    Parameters
    ----------
    folder : RunFolder
        With trajectories.parquet of the track stage; of it only the head is read.
    """
    header = open_trajectories(folder.path / TRACKS).header
    counts, settings = header.metadata["counts"], header.metadata["settings"]
    found = f"{counts['n_detections']:,} detections, {counts['n_tracks_kept']:,} tracks"
    if settings.get("minimum_length"):
        found += f" of {settings['minimum_length']} frames or more"
    interval = f"{1e3 * header.frame_interval:.4g} ms"
    return [
        f"{found} kept ({counts['n_detections_kept']:,} rows)",
        f"{_with(settings)}; {header.pixel_size:.4g} um per px, one frame every {interval}",
    ]


def _with(settings: dict[str, Any]) -> str:
    kind = "dark particles" if settings.get("invert") else "bright particles"
    if settings.get("shape") == "ring":
        kind = "rings"
    method = "trackpy" if settings.get("engine") == "trackpy" else settings.get("refine")
    words = [
        f"diameter {settings.get('diameter')} px",
        kind,
        method,
        f"search range {settings['search_range']:.3g} px" if settings.get("search_range") else None,
    ]
    return ", ".join(word for word in words if word)
