"""Whether a movie shows rings rather than spots, and how large they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar

from colloid_cg.tracking.choices import Choice
from colloid_cg.tracking.profile_means import ring_light
from colloid_cg.tracking.radius_classes import split_radii
from colloid_cg.tracking.ring_search import INNER_SIDE, SEARCHED, strong_rings, strongest_edges

LARGEST = 70.0  # px: radius of the largest edge looked for
SMALLEST = 1.8  # px: so that small spots are there to compete
LADDER = 1.35  # from one largest radius looked for to the next
MOST_PICTURES = 3
PART = (150.0, 25.0)  # px and radii: edge of the part of the picture that is looked at, whichever is more
RELATIVE = np.linspace(0.0, 2.0, 81)  # distances from the centre in units of the radius
HOLLOW = 0.35  # of the contrast that no Gaussian spot explains: discs with a rim have more, spots less
CONCENTRATED = 0.06  # relative deviation from the radius of its class
LEAST_RINGS = 3
DOUBT = 2.0  # factor by which what one picture says may be off
MARGIN = 1.5  # times what the best spots explain: rings must explain more


@dataclass(frozen=True, kw_only=True, eq=False)
class _Trial:
    """Edges of one range of radii and one polarity in all pictures."""

    highest: float
    inside: float
    radii: np.ndarray
    explained: float
    profile: np.ndarray
    share: np.ndarray
    hollowness: float

    @property
    def ring(self) -> bool:
        return self.hollowness > HOLLOW


def choose_ring(pictures: Sequence[np.ndarray], noise: float) -> Choice:
    """Decide between "ring" and "spot" from a few pictures.

    Round edges are looked for in a ladder of radii and in both polarities. The radii and the polarity whose rings
    explain most of the picture are those of the particles; if the mean radial profile around them is no Gaussian
    spot, they are rings.

    Parameters
    ----------
    pictures : sequence of arrays
        Frames spread over the movie; three of them are looked at.
    noise : float
        Standard deviation of a pixel in grey levels.

    Returns
    -------
    Choice
        "ring" or "spot". Evidence of both: ``hollowness``, the share of the contrast around the particles that no
        Gaussian spot explains. Of rings: ``diameter_px`` (odd, for ``TrackConfig.diameter``), ``invert`` (whether
        the edge to look for has a dark inside, for ``TrackConfig.invert``), ``radii_px`` and the mean ``profile``.
    """
    few = [pictures[k] for k in np.unique(np.linspace(0, len(pictures) - 1, MOST_PICTURES).astype(int))]
    trials = _trials(few, noise)
    if not trials:
        return Choice(value="spot", reason="no round edges that stand out of the noise")
    spots = [trial for trial in trials if not trial.ring]
    rings = [trial for trial in trials if trial.ring]
    rival = max(spots, key=_explained, default=None)
    best = max(rings, key=_explained, default=rival)
    of_spots = rival.explained if rival is not None else 0.0
    if best is None or (rival is not None and best.explained < MARGIN * of_spots):
        return _spot_choice(rival, of_rings=best.explained if rings and best is not None else 0.0)
    hollow = best.hollowness
    evidence: dict[str, Any] = {"hollowness": round(hollow, 4), "explained": best.explained, "by_spots": of_spots}
    widths, _ = split_radii(best.radii, None)
    diameter = _diameter(float(widths[-1]), best.inside)
    evidence |= {
        "diameter_px": diameter,
        "invert": best.inside < 0,
        "radii_px": widths.round(2).tolist(),
        "rings": len(best.radii),
        "profile_relative_radius": RELATIVE.round(4).tolist(),
        "profile": best.profile.round(4).tolist(),
    }
    reason = (
        f"round edges of radius {', '.join(f'{width:.1f}' for width in widths)} px; a Gaussian spot explains only "
        f"{100 * (1 - hollow):.0f} % of the radial profile around their centres"
    )
    return Choice(value="ring", reason=reason, evidence=evidence)


def _trials(pictures: Sequence[np.ndarray], noise: float) -> list[_Trial]:
    """Try all radii on the middle picture; those that may win on all pictures, if rings may win at all."""
    scouted = _scouted(pictures[len(pictures) // 2], noise)
    of_spots, of_rings = (max((t.explained for t in scouted if t.ring == ring), default=0.0) for ring in (False, True))
    if len(pictures) == 1 or DOUBT * of_rings < MARGIN * of_spots:
        return scouted
    able = {t.highest for t in scouted if DOUBT * t.explained > (of_rings if t.ring else of_spots)}
    return [trial for highest in sorted(able) for trial in _tried(pictures, noise, highest)]


def _scouted(picture: np.ndarray, noise: float) -> list[_Trial]:
    return [trial for highest in _ladder(picture.shape) for trial in _tried([picture], noise, highest)]


def _spot_choice(trial: _Trial | None, *, of_rings: float) -> Choice:
    if trial is None:
        return Choice(value="spot", reason="no round edges that stand out of the noise")
    hollow = trial.hollowness
    evidence = {"hollowness": round(hollow, 4), "radius_px": round(float(np.median(trial.radii)), 2)}
    evidence |= {"explained": trial.explained, "by_rings": of_rings}
    return Choice(
        value="spot",
        reason=f"a Gaussian spot explains {100 * (1 - hollow):.0f} % of the mean radial profile of the particles",
        evidence=evidence,
    )


def _explained(trial: _Trial) -> float:
    return trial.explained


def _ladder(shape: tuple[int, ...]) -> np.ndarray:
    largest = min(LARGEST, min(shape) / 4.0)
    steps = max(1, int(np.ceil(np.log(max(largest / SMALLEST, 1.0)) / np.log(LADDER))))
    return np.asarray(SMALLEST * (largest / SMALLEST) ** (np.arange(1, steps + 1) / steps))


def _tried(pictures: Sequence[np.ndarray], noise: float, highest: float) -> list[_Trial]:
    lowest = SEARCHED[0] / SEARCHED[1] * highest
    trials = []
    for inside in (-1.0, 1.0):
        light, share = np.zeros((2, len(RELATIVE)))
        area, radii, support = 0.0, [], []
        for picture in pictures:
            part = _middle(picture, max(PART[0], PART[1] * highest)).astype(np.float64)
            found = strong_rings(strongest_edges(part, noise, lowest=lowest, highest=highest, inside=inside))
            found = found.select(found.support > 0.45)
            circles = np.column_stack([found.x, found.y, found.radius])
            here, seen = ring_light(part, circles, np.arange(len(found)), RELATIVE)
            light, share, area = light + here, share + seen, area + part.size
            radii.append(found.radius)
            support.append(found.support)
        all_radii, all_support = np.concatenate(radii), np.concatenate(support)
        if len(all_radii) < LEAST_RINGS:
            continue
        profile = light / np.maximum(share, 1.0)
        tight = _concentrated(all_radii)
        spread = _energy(profile, share)
        trials.append(
            _Trial(
                highest=highest, inside=inside, radii=all_radii, profile=profile, share=share,
                explained=spread / area * float(np.sum(tight * all_support**2) / np.sum(all_support**2)),
                hollowness=hollowness(profile, share),
            )
        )  # fmt: skip
    return trials


def _middle(picture: np.ndarray, edge: float) -> np.ndarray:
    height, width = picture.shape
    tall, wide = min(height, int(edge)), min(width, int(edge))
    top, left = (height - tall) // 2, (width - wide) // 2
    return picture[top : top + tall, left : left + wide]


def _concentrated(radii: np.ndarray) -> np.ndarray:
    widths, which = split_radii(radii, None)
    return np.asarray(np.abs(np.log(radii / widths[which])) < CONCENTRATED)


def _energy(profile: np.ndarray, share: np.ndarray) -> float:
    """Squared deviation of the mean profile from its mean, summed over pixels."""
    inside = (RELATIVE <= 1.5) & (share > 0)
    mean = np.average(profile[inside], weights=share[inside])
    return float(np.sum(share[inside] * (profile[inside] - mean) ** 2))


def hollowness(profile: np.ndarray, share: np.ndarray) -> float:
    """Share of the variance of a mean radial profile that no Gaussian on a flat background explains.

    Parameters
    ----------
    profile, share : arrays, shape (81,)
        Mean grey level and number of pixels at the distances ``RELATIVE``.
    """
    seen = share > 0
    weight, value, radius = share[seen], profile[seen], RELATIVE[seen]

    def unexplained(log_width: float) -> float:
        spot = np.exp(-0.5 * (radius / np.exp(log_width)) ** 2)
        a, b = spot - np.average(spot, weights=weight), value - np.average(value, weights=weight)
        total = np.sum(weight * b * b)
        return float(1.0 - np.sum(weight * a * b) ** 2 / max(np.sum(weight * a * a) * total, 1e-300))

    starts = np.log([0.15, 0.3, 0.6, 1.0])
    fits = [minimize_scalar(unexplained, bounds=(start - 0.7, start + 0.7), method="bounded").fun for start in starts]
    return float(min(fits))


def _diameter(edge: float, inside: float) -> int:
    """Odd diameter of the particles whose edge has this radius; an inner side is inside of the rim."""
    radius = edge + (2.0 * INNER_SIDE if inside < 0 else 0.0)
    return int(2.0 * radius) | 1
