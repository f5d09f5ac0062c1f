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
    "soft_glass": "Small (species 0) and large (species 1) Brownian discs, size 1 : 1.4, packed into a glass, that "
    "repel on contact: phi(r) = (A/2)(1 - r/a)^2. The reduced temperature is k_B T/A = 1/repulsion. Prescribed discs "
    "(species 2: a needle, or rows of a wall) move along x by sign * drive_amplitude sin(2 pi t/drive_period) from "
    "their sites, t = frame * frame_interval; they push the others by the same law and are never pushed. Where the "
    "solvent follows, dx = [u + D F] dt + noise. The view is a window into a larger periodic cell.",
    "quiet_solid": "An amorphous packing of small (species 0) and large (species 1) particles under oscillatory simple "
    "shear, x(t) = c + F(t) (X - c) + v(t): every particle vibrates about its affinely moving site, with "
    "<v^2> = 1/site_stiffness per axis, and none ever rearranges. A detector that finds events here is wrong.",
    "inertial": "Discs with inertia that repel on contact, phi(r) = (A/2)(1 - r/a)^2, and rub against the bath and "
    "each other: m dv_i = F_i dt - m bath_friction v_i dt - sum_j m [gamma_par(r) e e^T + gamma_perp(r) (1 - e e^T)] "
    "(v_i - v_j) dt + noise at temperature T, <v^2> = thermal_speed_squared = k_B T/m per axis.",
}
"""One paragraph about each case."""

FILES: dict[str, str] = {
    "movie": "movie.ome.tif",
    "truth": "truth.parquet",
    "parameters": "parameters.json",
    "pair_force": "pair_force.csv",
    "traps": "traps.csv",
    "driven": "driven.csv",
    "flow": "flow.csv",
    "deformation": "deformation.csv",
    "pair_friction": "pair_friction.csv",
    "events": "events.parquet",
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
TABLE_TEXT: dict[str, str] = {
    "traps": "x, y (px, without drift) of the centre of every trap, as the fit takes them: a study file with traps = "
    '"traps.csv" under [fit]; without it a fit knows of no traps',
    "pair_force": "r (um), force (k_B T/um, positive = repulsive), species_a, species_b",
    "driven": "frame, particle, x, y (px, at the frame time, drift included), species of the prescribed particles in "
    'view or within reach of it; numbered as in truth.parquet; in a study file: prescribed = "driven.csv" under [fit]',
    "flow": "frame, x, y (px of the image), u_x, u_y (um/s): velocity of the solvent in the sample at the frame time, "
    "on a grid; bilinear in between; the drift of the image comes on top",
    "deformation": "frame, F_xx, F_xy, F_yx, F_yy at the frame time; x, y in the image, y downwards; X are the sites "
    "without strain, c = shear_centre_px",
    "pair_friction": "r (um), gamma_par, gamma_perp (1/s, friction over mass)",
    "events": "the true rearrangements centred in view, columns as those of a detector: t_on, t_peak, t_off in frames, "
    "x, y, radius in px, particles numbered as in truth.parquet, score = number of pairs that part. Rule, on the "
    "noiseless positions: two free particles of contact distance a are neighbours below 1.1 a and part above 1.5 a; "
    "a parting counts if they stay above 1.1 a for 5 frames; partings fastest within 2 frames and 1.5 large contact "
    "distances of each other are one event. No rows where nothing rearranges",
}
"""What stands in each table that not every case has."""

_COLUMN_TEXT = {
    "soft_glass": "  prescribed is True for the particles on a given path.\n",
    "inertial": "  vx, vy (um/s) are the velocities at the frame time, without the drift.\n",
}

_USE = """\
Track the movie as if it were yours (colloid-cg run {movie} -o RUN), then compare the tracks with {truth} and the fitted
values (RUN/model/metrics.json, RUN/model/pair_force.csv) with {parameters}.
A perfect tracker finds x, y with a standard error of about localisation_bound_px per axis (Cramer-Rao bound of an
isolated spot, amplitude and background unknown). Exposure blur lowers the variance of a one-frame displacement of x to
2 D dt (1 - 2 R), with R = blur_coefficient = exposure/(6 frame_interval), where nothing but diffusion acts.
"""


_UNITS = """\
Lengths in um, times in s, energies in k_B T, and what is made of them: D in um^2/s, a stiffness in k_B T/um^2. Names
that hold px in pixels of the movie; area_fraction, blur_coefficient and reduced_temperature are pure numbers.
"""


def describe(case: str, parameters: dict[str, Any], *, tables: tuple[str, ...]) -> str:
    """Return the README of a twin; ``tables`` are the names in FILES of those that not every case has."""
    hidden = ("settings", "trap_centres_px", "drive_sites_px", "drive_signs")
    shown = {name: value for name, value in parameters.items() if name not in hidden}
    values = "\n".join(f"    {name} = {_short(value)}" for name, value in shown.items())
    first, last = _FILE_TEXT.split("- {parameters}", 1)
    files = first + _COLUMN_TEXT.get(case, "") + "- {parameters}" + last
    files += "".join(f"- {{{name}}}: {TABLE_TEXT[name]}\n" for name in tables)
    title = f"Digital twin: {case}"
    parts = [
        f"{title}\n{'=' * len(title)}\n",
        CASE_TEXT.get(case, "") + "\n",
        "Files\n-----\n\n" + files.format(**FILES),
        "Use\n---\n\n" + _USE.format(**FILES),
        f"True values\n-----------\n\n{_UNITS}\n{values}\n",
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
