"""The text that goes with a twin: what was simulated, what the files hold, how to compare."""

from __future__ import annotations

from typing import Any

CASE_TEXT: dict[str, str] = {
    "brownian": "Free Brownian motion. Particles do not interact (their images may overlap) and come and go through "
    "the edges of the view.",
    "traps": "One Brownian particle in each of many harmonic traps, started at equilibrium.",
    "yukawa": "Brownian particles that repel each other by a screened electrostatic (Yukawa) potential "
    "phi(r) = A exp(-(r - a)/l) a/r, shifted to zero force at the cutoff; the view is a window into a larger cell.",
    "soft_discs": "Small (species 0) and large (species 1) Brownian discs, size 1 : 1.4, that repel on contact: "
    "phi(r) = (A/2)(1 - r/a)^2; the view is a window into a larger cell.",
}
"""One paragraph about each case."""

FILES: dict[str, str] = {
    "movie": "movie.ome.tif",
    "truth": "truth.parquet",
    "parameters": "parameters.json",
    "pair_force": "pair_force.csv",
    "readme": "README.md",
}
"""Names under which a twin is written to a folder."""

_FILE_TEXT = """\
- {movie}: the movie, with pixel size, frame interval and exposure in its metadata
- {truth}: frame, particle, x, y, species, x_start, y_start, visible; one row for each particle in view.
  x, y (px) are averaged over the exposure: compare localisations with these. x_start, y_start (px) are the positions at
  the frame time, when the exposure begins. All include the drift. Pixel centres are at integers. visible is False where
  the particle dropped out.
- {parameters}: every true value and every setting; lengths in um, times in s, energies in k_B T
- {readme}: this text
"""
_PAIR_TEXT = "- {pair_force}: r (um), force (k_B T/um, positive = repulsive), species_a, species_b\n"

_USE = """\
Track the movie as if it were yours, then compare the tracks with {truth} and the fitted values with {parameters}.
A perfect tracker finds x, y with a standard error of about localisation_bound_px per axis (Cramer-Rao bound of an
isolated spot, amplitude and background unknown). Exposure blur lowers the variance of a one-frame displacement of x to
2 D dt (1 - 2 R), with R = blur_coefficient = exposure/(6 frame_interval), where nothing but diffusion acts.
"""


def describe(case: str, parameters: dict[str, Any], *, has_pair_force: bool) -> str:
    """Return the README of a twin."""
    shown = {name: value for name, value in parameters.items() if name not in ("settings", "trap_centres_px")}
    values = "\n".join(f"    {name} = {_short(value)}" for name, value in shown.items())
    files = _FILE_TEXT + (_PAIR_TEXT if has_pair_force else "")
    title = f"Digital twin: {case}"
    parts = [
        f"{title}\n{'=' * len(title)}\n",
        CASE_TEXT.get(case, "") + "\n",
        "Files\n-----\n\n" + files.format(**FILES),
        "Use\n---\n\n" + _USE.format(**FILES),
        f"True values\n-----------\n\n{values}\n",
    ]
    return "\n".join(parts)


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list):
        return "[" + ", ".join(_short(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {_short(item)}" for name, item in value.items()) + "}"
    return str(value)
