"""The radial profile of the particles of a movie, and the maximum-likelihood fit of every particle with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.interpolate import BSpline, make_smoothing_spline
from scipy.ndimage import gaussian_filter1d

from colloid_cg.errors import ConfigError, DataError
from colloid_cg.records import FLAG_EDGE, FLAG_POOR_FIT
from colloid_cg.tracking.config import TrackConfig
from colloid_cg.tracking.detections import Detections
from colloid_cg.tracking.image_model import ImageModel, SpotClass
from colloid_cg.tracking.profile_fit import (
    AMPLITUDE,
    LEVEL,
    SCALE,
    SCALE_LIMITS,
    ProfileFit,
    ProfileTables,
    X,
    Y,
    fit_profiles,
)
from colloid_cg.tracking.profile_means import binned_profile, ring_light
from colloid_cg.tracking.radial_symmetry import reduced
from colloid_cg.tracking.radius_classes import split_radii

Profile = tuple[np.ndarray, np.ndarray]
"""Increasing radii in px and the values there."""

ITERATIONS = 6
LATE = 5  # iterations from this one on smooth by cross-validation and cut the profile where it ends
REACH = 1.35  # of the radius: how far a profile is followed before it is cut where it ends
MOST_PARTICLES = 400  # a profile is estimated from, or fewer where they hold more pixels than
MOST_PIXELS = 2_500_000
LEAST_PARTICLES = 3
STRONG = 0.8  # of the support of the best edges: those the profile is first estimated from
FAINTEST = 0.2  # of the usual height: fainter fits are no particles
SIGNIFICANT = 5.0  # standard deviations of the height
POOR = 4.0  # times the chi-square that is usual in the frame
ENDED = 0.015  # of the height: the profile is cut where it stays below


def estimate_profile(
    frames: Sequence[np.ndarray], found_per_frame: Sequence[Detections], config: TrackConfig, model: ImageModel
) -> ImageModel:
    """Estimate the radial profile of each size class from the particles found in a few frames.

    The azimuthal means of all particles of a class, aligned at their fitted centres and scaled to their fitted
    sizes, are joined by a spline whose smoothness cross-validation decides; particles are fitted anew with it, and so
    on. The light of neighbours is taken off each time.

    Parameters
    ----------
    frames : sequence of arrays
    found_per_frame : sequence of Detections
        Of :func:`detect_rings`, one per frame.
    config : TrackConfig
        ``size_classes`` fixes the number of classes; None lets the radii decide.
    model : ImageModel
        Noise and background; profiles that it has are the start, and their size classes stay.

    Returns
    -------
    ImageModel
        With one class per size: ``width`` the radius of the edge that detection looks for, and ``profile``.

    Raises
    ------
    DataError
        If fewer than three rings were found.
    """
    samples = _samples(frames, found_per_frame)
    radii = np.concatenate([sample.found.size for sample in samples]) if samples else np.empty(0)
    if len(radii) < LEAST_PARTICLES:
        raise DataError(
            f"{len(radii)} rings in {len(frames)} frames",
            expected=f"at least {LEAST_PARTICLES} to estimate their profile from",
            action="check track.diameter, or set track.shape to spot",
        )
    known = [item for item in model.classes if item.profile is not None]
    widths = np.array([item.width for item in known]) if known else split_radii(radii, config.size_classes)[0]
    samples = [_classed(sample, widths) for sample in samples]
    profiles = [_of_class(item) for item in known] or [
        _first_profile(samples, index, width) for index, width in enumerate(widths)
    ]
    for turn in range(ITERATIONS - 2 if known else 0, ITERATIONS):
        fits = [_fit(sample, model, widths, profiles, first=turn < 2) for sample in samples]
        tables = ProfileTables.of(profiles)
        profiles = [
            _mean_profile(samples, fits, tables, index, float(width), late=turn >= LATE)
            for index, width in enumerate(widths)
        ]
    return replace(model, classes=_classes(samples, fits, profiles, widths))


def refine_profile(frame: np.ndarray, found: Detections, config: TrackConfig, model: ImageModel) -> Detections:
    """Fit position, height, background and size of every particle with the profile of its class.

    All particles of the frame are fitted in turn with the light of the others taken off. The stated errors are
    those of the inverse Fisher matrix, widened where the residuals are larger than the noise of the pixels allows:
    by chi-square, or by what the residuals of 16 sectors of the particle say if that is more.

    Parameters
    ----------
    frame : array, shape (height, width)
    found : Detections
        Of :func:`detect_rings`.
    config : TrackConfig
        ``minmass`` drops fainter particles.
    model : ImageModel
        With profiles, see :func:`estimate_profile`.

    Returns
    -------
    Detections
        ``size`` is the radius of the edge (px), ``signal`` the height of the profile and ``mass`` its light
        (absolute value, grey levels), ``species`` the size class. What has no height to speak of is left out.
    """
    classes = [item for item in model.classes if item.profile is not None]
    if not classes:
        raise ConfigError(
            "no radial profile of the particles in the image model",
            expected="a model estimated from frames of the movie",
            action="call ring_model first, or set track.refine to centroid",
        )
    widths = np.array([item.width for item in classes])
    profiles = [_of_class(item) for item in classes]
    if not len(found):
        return found
    sample = _Sample(frame=np.asarray(frame, dtype=np.float64), found=found, classes=_nearest(found.size, widths))
    heights = np.array([item.amplitude for item in classes])
    fit = _fit(sample, model, widths, profiles, heights=heights)
    keep = _real(fit, sample.classes, heights, widths)
    refined = _described(fit, sample, ProfileTables.of(profiles), widths)
    if config.minmass is not None:
        keep &= refined.mass >= config.minmass
    return refined.select(keep)


def _of_class(item: SpotClass) -> Profile:
    radius, value = np.array(item.profile).T
    return radius, value


@dataclass(frozen=True, kw_only=True, eq=False)
class _Sample:
    frame: np.ndarray
    found: Detections
    classes: np.ndarray


def _samples(frames: Sequence[np.ndarray], found_per_frame: Sequence[Detections]) -> list[_Sample]:
    """Frames spread over those given, until there are enough particles."""
    order = np.argsort([(0.5 + k * 0.6180339887) % 1.0 for k in range(len(frames))], kind="stable")
    chosen: list[_Sample] = []
    particles, pixels = 0, 0.0
    for index in order:
        found = found_per_frame[index]
        usual = float(np.quantile(found.signal, 0.9)) if len(found) else 0.0
        found = found.select(found.signal >= STRONG * usual)
        pixels += float(np.sum(4.0 * (REACH * found.size) ** 2))
        if particles and (particles + len(found) > MOST_PARTICLES or pixels > MOST_PIXELS):
            break
        if len(found):
            frame = np.asarray(frames[index], dtype=np.float64)
            chosen.append(_Sample(frame=frame, found=found, classes=np.zeros(len(found), np.int64)))
            particles += len(found)
    return chosen


def _classed(sample: _Sample, widths: np.ndarray) -> _Sample:
    """Particles of the sample that have the size of a class, and their classes."""
    classes = _nearest(sample.found.size, widths)
    relative = sample.found.size / widths[classes]
    known = (relative > SCALE_LIMITS[0]) & (relative < SCALE_LIMITS[1])
    return replace(sample, found=sample.found.select(known), classes=classes[known])


def _nearest(radii: np.ndarray, widths: np.ndarray) -> np.ndarray:
    return np.asarray(np.abs(np.log(radii)[:, None] - np.log(widths)).argmin(axis=1))


def _fit(
    sample: _Sample,
    model: ImageModel,
    widths: np.ndarray,
    profiles: list[Profile],
    *,
    heights: np.ndarray | None = None,
    first: bool = False,
) -> ProfileFit:
    found, classes = sample.found, sample.classes
    start = np.zeros((len(found), 7))
    start[:, X], start[:, Y], start[:, LEVEL] = found.x, found.y, model.background
    start[:, SCALE] = np.clip(found.size / widths[classes], SCALE_LIMITS[0] + 0.01, SCALE_LIMITS[1] - 0.01)
    # Without a height to start from nothing is taken off the neighbours in the first sweep.
    start[:, AMPLITUDE] = 0.0 if heights is None else heights[classes]
    weightless = np.zeros(sample.frame.shape, np.bool_)
    for row, column in model.hot_pixels:
        weightless[row, column] = True
    block = _block(profiles)
    floor = float(model.variance(np.array(-np.inf if model.noise_slope > 0 else 0.0)))
    coarse = max(1.5, 0.03 * float(widths.max()) / block)
    offset = (block - 1) / 2.0
    to_full = np.array([block, block, 1.0, 1.0, 1.0, 1.0 / block, 1.0 / block])
    start[:, [X, Y]] -= offset
    fit = fit_profiles(
        reduced(sample.frame, block).astype(np.float64),
        reduced(weightless.astype(np.float32), block) > 0.0,
        parameters=start / to_full,
        classes=classes,
        tables=ProfileTables.of([(radius / block, value) for radius, value in profiles]),
        noise=(model.noise_offset / block**2, model.noise_slope / block**2, floor / block**2),
        sloped=bool(np.isfinite(model.background_scale)),
        blurs=(coarse, coarse, 0.0) if first else (coarse, 0.0, 0.0, 0.0),
    )
    parameters = fit.parameters * to_full
    parameters[:, [X, Y]] += offset
    variance = fit.variance * to_full[:3] ** 2
    return replace(fit, parameters=parameters, variance=variance, spread=fit.spread * block**2)


def _block(profiles: list[Profile]) -> int:
    """Edge in px of the blocks a picture may be averaged over without loss: half the length of the steepest rise."""
    rises = [np.gradient(gaussian_filter1d(value, 1.0), radius) for radius, value in profiles]
    steepest = max(float(np.abs(rise).max()) for rise in rises)
    reach = min(float(radius[-1]) for radius, _ in profiles)
    return max(1, int(min(0.5 / steepest, reach / 15.0)))


def _first_profile(samples: list[_Sample], index: int, width: float) -> Profile:
    """Azimuthal mean of the picture around the particles of a class as they were detected."""
    radius, total, weight = _radii(width), 0.0, 0.0
    for sample in samples:
        mine = sample.classes == index
        centres = np.column_stack([sample.found.x, sample.found.y, sample.found.size])
        light, share = ring_light(sample.frame, centres, np.flatnonzero(mine), radius / width)
        total, weight = total + light, weight + share
    return _ended(radius, total / np.maximum(weight, 1e-12), trim=False)


def _mean_profile(
    samples: list[_Sample], fits: list[ProfileFit], tables: ProfileTables, index: int, width: float, *, late: bool
) -> Profile:
    """Profile of a class from the pixels of its fitted particles, their neighbours and backgrounds taken off."""
    radius = _radii(width)
    moments = np.zeros((3, len(radius)))
    scales = []
    for sample, fit in zip(samples, fits, strict=True):
        chosen = fit.converged & (sample.classes == index) & _trusted(fit, sample.classes, index)
        scales.append(fit.parameters[chosen, SCALE])
        moments += binned_profile(
            sample.frame, fit.parameters, sample.classes, np.flatnonzero(chosen), tables.value, tables.reach,
            float(radius[1] - radius[0]), len(radius),
        )  # fmt: skip
    common = float(np.median(np.concatenate(scales))) if sum(map(len, scales)) else 1.0
    seen = moments[0] > 0
    if seen.sum() < 8:
        return radius, np.interp(radius, np.arange(tables.value.shape[1]) * 0.05, tables.value[index])
    place, value = moments[1, seen] / moments[0, seen], moments[2, seen] / moments[0, seen]
    if not late:  # the smoothing that cross-validation finds takes longest, and matters at the end
        rough = gaussian_filter1d(np.interp(radius, place * common, value), 0.7, mode="nearest")
        return _ended(radius, rough, trim=False)
    return _ended(radius, _smoothed(place * common, value, moments[0, seen])(radius), trim=True)


def _radii(width: float) -> np.ndarray:
    """Radii at which the profile of particles of this edge radius is stored (px)."""
    reach = REACH * width + 3.0
    step = max(0.2, 0.01 * width)
    return np.arange(0.0, reach + step, step)


def _trusted(fit: ProfileFit, classes: np.ndarray, index: int) -> np.ndarray:
    """Fits whose height is that of most of their class."""
    height = fit.parameters[:, AMPLITUDE]
    usual = np.median(height[classes == index]) if np.any(classes == index) else 1.0
    ratio = height / usual if usual != 0 else np.ones_like(height)
    return np.asarray((ratio > 0.4) & (ratio < 2.5))


def _smoothed(place: np.ndarray, value: np.ndarray, weight: np.ndarray) -> BSpline:
    # Mirrored at the centre: the profile of a round particle is even in the radius.
    both = np.concatenate([-place[::-1], place])
    increasing = np.concatenate([[True], np.diff(both) > 1e-6])
    weights = np.concatenate([weight[::-1], weight])[increasing]
    return make_smoothing_spline(both[increasing], np.concatenate([value[::-1], value])[increasing], w=weights)


def _ended(radius: np.ndarray, value: np.ndarray, *, trim: bool) -> Profile:
    """Profile that is zero at its end, with a largest absolute value of 1."""
    tail = float(np.median(value[-max(3, len(value) // 25) :]))
    value = value - tail
    height = value[np.argmax(np.abs(value))]
    value = value / height
    if trim:
        beyond = np.flatnonzero(np.abs(value) > ENDED)
        last = min(len(value) - 1, int(beyond[-1]) + max(3, len(value) // 50))
        radius, value = radius[: last + 1], value[: last + 1]
    ending = np.clip((radius[-1] - radius) / max(3.0 * (radius[1] - radius[0]), 0.5), 0.0, 1.0)
    return radius, value * ending * ending * (3.0 - 2.0 * ending)


def _classes(
    samples: list[_Sample],
    fits: list[ProfileFit],
    profiles: list[Profile],
    widths: np.ndarray,
) -> tuple[SpotClass, ...]:
    total = sum(len(sample.found) for sample in samples)
    content = []
    for index, (radius, value) in enumerate(profiles):
        heights = np.concatenate(
            [
                fit.parameters[(sample.classes == index) & fit.converged, AMPLITUDE]
                for sample, fit in zip(samples, fits, strict=True)
            ]
        )
        middle = float(np.median(heights)) if len(heights) else 0.0
        spread = 1.4826 * float(np.median(np.abs(heights - middle))) if len(heights) else 0.0
        share = sum(int(np.sum(sample.classes == index)) for sample in samples) / total
        pairs = tuple((round(float(r), 6), round(float(v), 6)) for r, v in zip(radius, value, strict=True))
        content.append(
            SpotClass(width=float(widths[index]), amplitude=middle, amplitude_spread=spread, share=share, profile=pairs)
        )
    # Gaps between particles are round and of one size too, but hold no light of their own.
    brightest = max(abs(item.amplitude) for item in content)
    real = [item for item in content if abs(item.amplitude) >= FAINTEST * brightest]
    return tuple(replace(item, share=item.share / sum(other.share for other in real)) for item in real)


def _real(fit: ProfileFit, classes: np.ndarray, heights: np.ndarray, widths: np.ndarray) -> np.ndarray:
    """Fits that have the height of a particle, and of two on one place the one that fits better."""
    height = fit.parameters[:, AMPLITUDE] * np.sign(heights[classes])
    error = np.sqrt(np.maximum(fit.variance[:, AMPLITUDE], 1e-30) * np.maximum(fit.chi_square, 1.0))
    keep = np.asarray((height > FAINTEST * np.abs(heights[classes])) & (height > SIGNIFICANT * error))
    radius = widths[classes] * fit.parameters[:, SCALE]
    order = np.argsort(-height / error, kind="stable")
    for rank, index in enumerate(order):
        better = order[:rank][keep[order[:rank]]]
        far = np.hypot(*(fit.parameters[better, :2] - fit.parameters[index, :2]).T)
        if np.any(far < 0.6 * (radius[better] + radius[index])):
            keep[index] = False
    return keep


def _described(fit: ProfileFit, sample: _Sample, tables: ProfileTables, widths: np.ndarray) -> Detections:
    q, classes = fit.parameters, sample.classes
    excess = fit.chi_square > 1.0 + 4.0 * np.sqrt(2.0 / 200.0)
    inflated = fit.variance[:, :2] * np.maximum(fit.chi_square, 1.0)[:, None]
    variance = np.where(excess[:, None], np.maximum(inflated, fit.spread), fit.variance[:, :2])
    error = np.sqrt(variance)
    grid = np.arange(tables.value.shape[1]) * 0.05
    light = 2.0 * np.pi * np.trapezoid(np.abs(tables.value) * grid, grid, axis=1)
    radius = widths[classes] * q[:, SCALE]
    height, width = sample.frame.shape
    border = np.minimum.reduce([q[:, X] + 0.5, q[:, Y] + 0.5, width - 0.5 - q[:, X], height - 0.5 - q[:, Y]])
    poor = ~fit.converged | (fit.chi_square > POOR * max(1.0, float(np.median(fit.chi_square))))
    flags = np.where(border < radius, FLAG_EDGE, 0) | np.where(poor, FLAG_POOR_FIT, 0)
    strength = np.abs(q[:, AMPLITUDE])
    return Detections.at(
        q[:, X], q[:, Y], sigma_x=error[:, 0], sigma_y=error[:, 1], mass=strength * light[classes] * q[:, SCALE] ** 2,
        size=radius, signal=strength, flags=flags, species=classes,
    )  # fmt: skip
