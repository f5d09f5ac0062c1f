"""Areas as dark (or bright) as particles and far wider: walls of the cell, masks, the border of the light."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from colloid_cg.tracking.choices import Choice
from colloid_cg.tracking.detections import Detections

WIDER = 2.0  # diameters: particles, touching ones too, hold no disc of that diameter of their centre's level
NOTICED_AREA = 0.01  # of the frame


def wide_areas(picture: np.ndarray, found: Detections, *, diameter: int, invert: bool) -> np.ndarray:
    """Return the pixels of areas that pass the level of the usual particle and are wider than particles, bool mask.

    Pixels beyond the median level of the centres found, opened by a disc of ``WIDER`` diameters: between particles,
    however dense, the level falls back.
    """
    sign = -1.0 if invert else 1.0
    smooth = sign * cv2.GaussianBlur(picture.astype(np.float32), (0, 0), 1.0)
    row = np.clip(np.round(found.y).astype(int), 0, picture.shape[0] - 1)
    column = np.clip(np.round(found.x).astype(int), 0, picture.shape[1] - 1)
    if not len(found):
        return np.zeros(picture.shape, dtype=bool)
    beyond = (smooth >= np.median(smooth[row, column])).astype(np.uint8)
    edge = int(WIDER * diameter) | 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (edge, edge))
    # What lies outside of the frame counts as part of the area: a wall goes on there.
    core = cv2.erode(beyond, disc, borderType=cv2.BORDER_CONSTANT, borderValue=1)
    return np.asarray(cv2.dilate(core, disc, borderType=cv2.BORDER_CONSTANT, borderValue=0) > 0)


def with_doubt(choice: Choice, picture: np.ndarray, found: Detections, *, diameter: int, invert: bool) -> Choice:
    """Return the choice of minmass with a warning where part of the frame is no place for particles."""
    area = wide_areas(picture, found, diameter=diameter, invert=invert)
    share = float(area.mean())
    if share < NOTICED_AREA:
        return choice
    reach = 2 * diameter + 1
    near = cv2.dilate(area.astype(np.uint8), np.ones((reach, reach), dtype=np.uint8)) > 0
    row = np.clip(np.round(found.y).astype(int), 0, picture.shape[0] - 1)
    column = np.clip(np.round(found.x).astype(int), 0, picture.shape[1] - 1)
    held = int(near[row, column].sum())
    words = "dark" if invert else "bright"
    warning = (
        f"{100 * share:.0f} % of the frame is as {words} as the particles and much wider (walls, masks?): {held} of "
        f"{len(found)} detections lie in it or at its edge; crop the recording, or drop the tracks found there"
    )
    evidence = choice.evidence | {"wide_area_share": share, "detections_there": held}
    return replace(choice, evidence=evidence, warning=warning)
