"""Detections drawn on frames of a real, dense movie, for a person to check."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from benchmarks.record import Record
from colloid_cg.records import Box
from colloid_cg.tracking import TrackConfig, locate, resolve, score_detections, suggest
from colloid_cg.video import open_video

PICTURES = Path(__file__).resolve().parents[1] / "docs" / "pictures"
WALLS = (150.0, 1160.0)
"""Left and right of these (px) hydrogel.mp4 shows the walls of the cell and the dark outside."""
FRAMES = (0, 25, 49)
ZOOM = 2
LEFT, TOP, LENGTH, HEIGHT = 320, 180, 640, 360  # px: the middle quarter of the frame
COLOURS = ((60, 220, 255), (255, 170, 40), (120, 255, 120))


def drawn(frame: np.ndarray, x: np.ndarray, y: np.ndarray, radius: np.ndarray, species: np.ndarray) -> np.ndarray:
    """Return the middle of a frame, enlarged, with a circle of the fitted size and a dot for each detection."""
    part = frame[TOP : TOP + HEIGHT, LEFT : LEFT + LENGTH].astype(float)
    low, high = np.percentile(part, [0.5, 99.5])
    grey = np.clip((part - low) / (high - low) * 255, 0, 255).astype(np.uint8)
    picture = cv2.cvtColor(cv2.resize(grey, None, fx=ZOOM, fy=ZOOM, interpolation=cv2.INTER_CUBIC), cv2.COLOR_GRAY2BGR)
    fraction = 16  # cv2 draws at fractions of a pixel given in powers of two
    for at_x, at_y, r, kind in zip(x, y, radius, species, strict=True):
        centre = ((at_x - LEFT + 0.5) * ZOOM - 0.5, (at_y - TOP + 0.5) * ZOOM - 0.5)
        place = tuple(round(value * fraction) for value in centre)
        colour = COLOURS[int(kind) % len(COLOURS)]
        cv2.circle(picture, place, round(r * ZOOM * fraction), colour, 1, cv2.LINE_AA, shift=4)
        cv2.circle(picture, place, round(1.2 * fraction), colour, -1, cv2.LINE_AA, shift=4)
    return picture


def draw_overlays(record: Record, data: Path) -> None:
    """Locate hydrogel.mp4 with suggested settings; write pictures of its first, middle and last frame.

    Particles are half their distance wide, so that a detection more than a quarter of the diameter from every one
    that trackpy finds is on the wrong place.
    """
    stack = open_video(data / "videos/hydrogel.mp4", pixel_size=1.0, frame_interval=1.0)
    suggestion = suggest(stack, TrackConfig())
    config = resolve(TrackConfig(), suggestion)
    peer = config.model_copy(update={"engine": "trackpy"})
    PICTURES.mkdir(exist_ok=True)
    tables, theirs = [], []
    for number in FRAMES:
        found = locate(stack, config, suggestion.image_model, start=number, stop=number + 1)
        tables.append(found)
        theirs.append(locate(stack, peer, start=number, stop=number + 1))
        radius = np.full(len(found), (config.diameter or 9) / 2)
        picture = drawn(stack[number], *(found[name].to_numpy() for name in ("x", "y")), radius,
                        found["species"].to_numpy())  # fmt: skip
        cv2.imwrite(str(PICTURES / f"hydrogel_{number:02d}.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 80])
    view = Box(lower=(-0.5, -0.5), upper=(stack.width - 0.5, stack.height - 0.5), periodic=(False, False))
    border = float(config.diameter or 0)
    both = score_detections(pd.concat(theirs), pd.concat(tables), gate="d/4", diameter=config.diameter,
                            border=border, view=view)  # fmt: skip
    inside = Box(lower=(WALLS[0], -0.5), upper=(WALLS[1], stack.height - 0.5), periodic=(False, False))
    between = score_detections(_inside(pd.concat(theirs)), _inside(pd.concat(tables)), gate="d/4",
                               diameter=config.diameter, border=border, view=inside)  # fmt: skip
    note = (
        f"frames {FRAMES}: {[len(table) for table in tables]} particles, trackpy {[len(table) for table in theirs]}; "
    )
    note += f"shape {config.shape}, refine {config.refine}, diameter {config.diameter} px; docs/pictures/hydrogel_*.jpg"
    record.add("hydrogel.mp4: share of trackpy's particles found within d/4", both.recall, target=0.98,
               better="higher", note=note)  # fmt: skip
    record.add("hydrogel.mp4: share of the particles found that trackpy finds within d/4", both.precision, target=0.98,
               better="higher", note="what differs lies on the walls of the cell")  # fmt: skip
    record.add("hydrogel.mp4, between the walls: share of trackpy's particles found", between.recall, target=0.98,
               better="higher", note=f"x from {WALLS[0]} to {WALLS[1]} px")  # fmt: skip
    record.add("hydrogel.mp4, between the walls: share of the particles found that trackpy finds", between.precision,
               target=0.98, better="higher")  # fmt: skip


def _inside(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["x"].between(*WALLS)]
