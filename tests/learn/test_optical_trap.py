"""Stiffness and diffusion of an optical trap that others simulated, against the truth in their file."""

from __future__ import annotations

from pathlib import Path

from benchmarks.optical_trap import fitted, trapped


def test_stiffness_and_diffusion_of_the_published_trap(data: Path) -> None:
    tracks, truth = trapped(data / "optical_trap" / "forma1d.mat", frames=15_000)
    metrics = fitted(tracks)
    for name, close in (("diffusion_coefficient", 0.04), ("trap_stiffness", 0.2)):
        entry, true = metrics[name][0], truth[name]
        error = (entry["high90"] - entry["low90"]) / 3.29
        assert error < close * true  # sharp enough to be a check
        assert abs(entry["value"] - true) < 2.5 * error
