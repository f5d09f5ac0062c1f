"""How each suggested setting is decided, with the evidence beside it (JSON-able)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy import ndimage, signal
from scipy.spatial import KDTree

from colloid_cg.tracking.detections import Detections
from colloid_cg.tracking.scale_space import Blobs

DISAGREEMENT = 1.6  # between the diameter given and the one suggested
CLEAR_RATIO = 1.3  # of explained contrast: below it bright or dark is a matter of taste
COVERED = 5.0  # diameter / scale: a neighbourhood of +-2.5 standard deviations of a Gaussian spot
NEEDED_WIDTHS = 5.0  # standard deviations of a step: a Gaussian step is longer once in 270,000
SEARCH_WIDTHS = 8.0  # what is taken where neighbours allow: particles are not all alike, and a cut tail lowers D
LASTING = 0.5  # share of faint detections found again a frame later above which they are particles
NEXT_TO = 0.125  # of the mean spacing of detections: so near it must be found again
FAINTEST_SHARE = 0.2  # of the mass of the bright particles: fainter ones are out of focus or debris
LARGEST_SHARE = 0.45  # of the distance between neighbours: beyond one half identities are a guess


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A value, the sentence that says why, the numbers behind it, and what to check by eye (empty if nothing)."""

    value: Any
    reason: str
    evidence: dict[str, Any] = field(default_factory=dict)
    warning: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON-able dictionary."""
        return {"value": self.value, "reason": self.reason, "evidence": self.evidence, "warning": self.warning}


def compared(given: Choice | None, suggested: Choice, *, setting: str) -> Choice:
    """Return what is suggested, or what was given, with a warning where the movie clearly speaks against it.

    A diameter counts as spoken against beyond a factor of ``DISAGREEMENT``.
    """
    if given is None:
        return suggested
    if setting == "diameter":
        ratio = max(given.value, suggested.value) / min(given.value, suggested.value)
        against = ratio > DISAGREEMENT
    else:
        against = given.value != suggested.value and not suggested.warning
    if not against:
        return given
    value, other = (str(choice.value).lower() for choice in (given, suggested))
    words = f"track.{setting} = {value}, but the movie suggests {other} ({suggested.reason}): look at the detections"
    return replace(given, warning=words, evidence=suggested.evidence)


def choose_polarity(blobs: Sequence[Blobs]) -> Choice:
    """Bright or dark: the sign whose blobs explain more picture energy around their best scale."""
    scales = blobs[0].scales
    bright, dark = (_smoothed(sum(found.energy(invert=sign) for found in blobs)) for sign in (False, True))
    invert = bool(dark.max() > bright.max())
    strong, weak = (dark.max(), bright.max()) if invert else (bright.max(), dark.max())
    unclear = "bright and dark blobs explain similar contrast: look at a frame and give track.invert and track.diameter"
    words = ("dark", "bright") if invert else ("bright", "dark")
    return Choice(
        value=invert,
        reason=f"{words[0]} blobs explain {_ratio(strong, weak)} times the contrast of {words[1]} ones",
        evidence={"scale_px": scales.tolist(), "bright_energy": bright.tolist(), "dark_energy": dark.tolist()},
        warning=unclear if strong < CLEAR_RATIO * weak else "",
    )


def choose_diameter(blobs: Sequence[Blobs], *, invert: bool) -> tuple[Choice, float]:
    """Diameter: ``COVERED`` times the scale that explains most contrast, at most the distance between neighbours.

    Returns the choice and the median distance between neighbouring blobs of that scale (px; NaN without any).
    """
    scales = blobs[0].scales
    energy = _smoothed(sum(found.energy(invert=invert) for found in blobs))
    best = int(np.argmax(energy))
    window = slice(max(0, best - 2), best + 3)
    scale = float(np.exp(np.average(np.log(scales[window]), weights=energy[window] + 1e-300)))
    spacings = np.concatenate([_blob_spacing(found, best, invert) for found in blobs])
    spacing = float(np.median(spacings)) if len(spacings) else float("nan")
    wanted = int(np.ceil(COVERED * scale)) | 1
    value, limit = max(3, wanted), ""
    if np.isfinite(spacing) and spacing < value:
        value = max(3, int(spacing) - 1 + int(spacing) % 2)
        limit = f", limited to the {spacing:.1f} px between neighbours"
    reason = f"the blobs that explain most contrast have a Gaussian width of {scale:.2f} px; {COVERED:g} widths{limit}"
    evidence = {"scale_px": scales.tolist(), "energy": energy.tolist(), "width_px": scale, "spacing_px": _json(spacing)}
    return Choice(value=value, reason=reason, evidence=evidence), spacing


def _blob_spacing(found: Blobs, best: int, invert: bool) -> np.ndarray:
    sign = -1.0 if invert else 1.0
    chosen = (np.abs(found.level - best) <= 2) & (sign * found.response > 0)
    strength = np.abs(found.response[chosen])
    if len(strength) < 3:
        return np.empty(0)
    strong = strength > 0.5 * np.average(strength, weights=strength)
    points = np.column_stack([found.x[chosen], found.y[chosen]])[strong]
    return neighbour_distances(points)


def neighbour_distances(points: np.ndarray) -> np.ndarray:
    """Return the distance of each point, shape (n, 2), to its nearest neighbour; empty for fewer than two points."""
    if len(points) < 2:
        return np.empty(0)
    distances, _ = KDTree(points).query(points, k=2)
    return np.asarray(distances)[:, 1]


def choose_minmass(
    masses: np.ndarray, false_masses: np.ndarray, *, lasting: Callable[[float, float], float] | None = None
) -> Choice:
    """Minmass: the valley between false and true detections, or what noise alone reaches.

    A valley counts if it is well below both its peaks and the lower peak lies where noise could put it; a valley
    between two populations of true particles does not, nor one below which most detections are there again in the
    next frame, as noise never is. Without one, ``FAINTEST_SHARE`` of the mass of the bright particles, or what noise
    reaches where that is more.

    Parameters
    ----------
    masses, false_masses : arrays
        Of all detections, and of those that noise of the same strength alone would give.
    lasting : callable or None
        (lower, upper) -> share of the detections between these masses that last (:func:`share_that_lasts`).
    """
    noise_level = float(1.5 * false_masses.max()) if len(false_masses) else 0.0
    positive = masses[masses > 0]
    bright = float(np.quantile(positive, 0.95)) if len(positive) else 0.0
    evidence: dict[str, Any] = {"noise_level": noise_level, "mass_95": bright}
    without = Choice(value=noise_level, reason=_noise_reason(noise_level), evidence=evidence)
    if FAINTEST_SHARE * bright > noise_level:
        reason = f"no valley among the masses; {FAINTEST_SHARE:g} of the bright ones (95th percentile {bright:.4g})"
        without = Choice(value=FAINTEST_SHARE * bright, reason=reason, evidence=evidence)
    if len(positive) < 20:
        return without
    counts, edges = np.histogram(np.log10(positive), bins=48)
    smooth = ndimage.gaussian_filter1d(counts.astype(float), 1.5, mode="constant")
    evidence.update({"log10_mass_edges": edges.tolist(), "counts": counts.tolist()})
    valley = _valley(smooth, edges, noise_level)
    if valley is None or valley < 0.5 * noise_level:
        return without
    evidence["valley"] = valley
    if lasting is not None and lasting(noise_level, valley) > LASTING:
        reason = f"the fainter of two populations of particles, below {valley:.4g}, lasts from frame to frame"
        return replace(without, reason=f"{reason}; {without.reason}")
    return Choice(value=valley, reason=f"the histogram of masses has a valley at {valley:.4g}", evidence=evidence)


def share_that_lasts(pairs: Sequence[tuple[Detections, Detections]], lower: float, upper: float) -> float:
    """Return the share of detections between two masses that have one of twice that range next to them a frame later.

    Next to means within an eighth of the mean spacing of all detections, where chance puts one with
    1 - exp(-pi/64) = 5 %.
    """
    again = total = 0
    for before, after in pairs:
        faint = before.select((before.mass > lower) & (before.mass < upper))
        later = after.select((after.mass > lower / 2.0) & (after.mass < 2.0 * upper))
        total += len(faint)
        if not len(faint) or not len(later):
            continue
        extent = np.ptp(np.concatenate([before.x, after.x])) * np.ptp(np.concatenate([before.y, after.y]))
        reach = NEXT_TO * np.sqrt(extent / len(before))
        tree = KDTree(np.column_stack([later.x, later.y]))
        distance, _ = tree.query(np.column_stack([faint.x, faint.y]))
        again += int((distance < reach).sum())
    return again / total if total else 0.0


def _valley(smooth: np.ndarray, edges: np.ndarray, noise_level: float) -> float | None:
    peaks = signal.find_peaks(np.pad(smooth, 1), prominence=0.08 * smooth.max())[0] - 1
    if len(peaks) < 2:
        return None
    low, high = int(peaks[0]), int(peaks[1])
    bottom = low + int(np.argmin(smooth[low : high + 1]))
    if smooth[bottom] > 0.6 * min(smooth[low], smooth[high]) or 10.0 ** edges[low] > 2.0 * max(noise_level, 1e-12):
        return None
    return float(10.0 ** (0.5 * (edges[bottom] + edges[bottom + 1])))


def _noise_reason(level: float) -> str:
    return f"the histogram of masses shows no valley; white noise alone reaches {level / 1.5:.4g}, times 1.5"


def choose_search_range(pairs: Sequence[tuple[pd.DataFrame, pd.DataFrame]]) -> Choice:
    """Search range: eight standard deviations of a step and the common motion, below half the neighbours' distance.

    Less than five standard deviations is warned of: the cut tail then biases every diffusion coefficient.

    Steps are those of mutual nearest neighbours in consecutive frames; their common motion is the median vector.
    Their standard deviation per axis follows from the lengths of what is left, by the median (Rayleigh: 1.1774 sigma)
    or by the nine-tenths quantile (2.1460 sigma) if that gives more: some particles move faster than most.
    """
    spacings = [neighbour_distances(table[["x", "y"]].to_numpy(dtype=float)) for pair in pairs for table in pair]
    steps = np.concatenate([_mutual_steps(*pair) for pair in pairs]) if pairs else np.empty((0, 2))
    spacing = float(np.median(np.concatenate(spacings))) if any(len(part) for part in spacings) else float("nan")
    if len(steps) < 5:
        value = 0.25 * spacing if np.isfinite(spacing) else 5.0
        return Choice(value=round(value, 2), reason="too few particles to measure a step", evidence={"n": len(steps)})
    drift = np.median(steps, axis=0)
    length = np.linalg.norm(steps - drift, axis=1)
    middle, upper = np.quantile(length, [0.5, 0.9])
    sigma = float(max(middle / 1.1774, upper / 2.1460))
    motion = float(np.linalg.norm(drift))
    needed, wanted = motion + NEEDED_WIDTHS * sigma, motion + SEARCH_WIDTHS * sigma
    limit = LARGEST_SHARE * spacing if np.isfinite(spacing) else np.inf
    value = max(1.0, min(wanted, limit))
    reason = f"steps have a standard deviation of {sigma:.2f} px about a common motion of {np.hypot(*drift):.2f} px"
    reason += f"; neighbours are {spacing:.1f} px apart"
    warning = f"steps need {needed:.1f} px, more than neighbours allow: links will be wrong, record faster"
    warning = warning if needed > limit else ""
    counts, edges = np.histogram(length, bins=40)
    evidence = {"step_edges_px": edges.tolist(), "counts": counts.tolist(), "sigma_px": sigma}
    evidence |= {
        "drift_px": drift.tolist(),
        "spacing_px": _json(spacing),
        "needed_px": needed,
        "wanted_px": wanted,
        "limit_px": _json(limit),
    }
    return Choice(value=round(value, 2), reason=reason, evidence=evidence, warning=warning)


def _mutual_steps(before: pd.DataFrame, after: pd.DataFrame) -> np.ndarray:
    a, b = (table[["x", "y"]].to_numpy(dtype=float) for table in (before, after))
    if not len(a) or not len(b):
        return np.empty((0, 2))
    forward, back = np.asarray(KDTree(b).query(a)[1]), np.asarray(KDTree(a).query(b)[1])
    mutual = back[forward] == np.arange(len(a))
    return np.asarray(b[forward[mutual]] - a[mutual])


def _smoothed(energy: Any) -> np.ndarray:
    return np.asarray(ndimage.convolve1d(np.asarray(energy, dtype=float), [0.25, 0.5, 0.25], mode="constant"))


def _ratio(strong: float, weak: float) -> str:
    return f"{strong / weak:.2g}" if weak > 0 else "many"


def _json(value: float) -> float | None:
    return value if np.isfinite(value) else None
