"""What a notebook shows of a movie and of its tracks: two lines."""

from __future__ import annotations

import numpy as np

from colloid_cg.video import open_video
from tests.reporting.synthetic import tracks


def test_a_movie_shows_its_size_and_scales() -> None:
    shown = repr(open_video(np.zeros((3, 8, 9), np.uint8), pixel_size="0.108 um"))
    assert shown.splitlines() == [
        "<FrameStack array: 3 frames of 9 x 8 px, uint8",
        " 0.108 um per px, frame interval unknown, exposure unknown>",
    ]


def test_tracks_show_their_counts_and_scales() -> None:
    found = tracks(1, frames=5)
    first, second = repr(found).splitlines()
    assert first == f"<Trajectories: {len(found):,} detections of {found.n_particles:,} particles in 5 frames"
    assert second == " 0.2 um per px, a frame every 0.05 s, exposure unknown>"
