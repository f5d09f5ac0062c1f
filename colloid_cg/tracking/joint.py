"""Maximum likelihood for particles that touch: all particles of a frame and its background at once."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from scipy.spatial import KDTree

from colloid_cg.errors import ConfigError
from colloid_cg.records import FLAG_EDGE, FLAG_POOR_FIT
from colloid_cg.tracking.config import TrackConfig
from colloid_cg.tracking.crowd import Crowd, begin
from colloid_cg.tracking.detections import Detections, no_detections
from colloid_cg.tracking.image_model import ImageModel, SpotClass
from colloid_cg.tracking.joint_errors import covariances
from colloid_cg.tracking.spot_evidence import inflation, misfit
from colloid_cg.tracking.spot_kernels import PIXEL_VARIANCE

MOST_SWEEPS = 10  # once the classes are settled
FREE_SWEEPS = 2  # with a width of each particle
CLASS_SWEEPS = 2  # with a new choice of classes before each
CONVERGED = 2e-3  # px: largest move of the last sweep
SIGNIFICANT = 5.0  # standard errors of its peak a particle must hold; 4.5e-7 false ones for each independent place
FAINTEST = 0.25  # of the peak of its class: fainter ones are out of focus, or a misfit
NEAREST = (
    2.0  # widths between a particle hidden in the residual and the others: nearer, shape and number cannot be told
)
MISFIT = 0.15  # of the peak: rms residual within two widths beyond noise, from which on a fit is called poor


def refine_joint(frame: np.ndarray, found: Detections, config: TrackConfig, model: ImageModel) -> Detections:
    """Return the particles of a frame fitted all together.

    Each particle in turn takes a Fisher-scoring step for peak and position on what is left of the frame once the
    background and all other particles are taken off (Gauss-Seidel); sweeps are repeated until nothing moves. Widths
    are those of the classes of the movie; the class of a particle is the one of largest evidence, its peak
    integrated over the prior of the class (:func:`class_evidence`). The prior of the peak decides the class only:
    positions and masses are maximum-likelihood values. The background is fitted with the peaks eliminated.
    Particles that stand out of the residual are added, those without a significant peak are dropped.

    Parameters
    ----------
    frame : array, shape (height, width)
        Any type of pixel.
    found : Detections
        Positions to within about a spot width.
    config : TrackConfig
        ``invert`` and ``diameter`` are used.
    model : ImageModel
        With its classes (see :func:`estimate_classes`); without any, one class of width diameter / 5.

    Returns
    -------
    Detections
        Sorted by y, then x. ``sigma_x``, ``sigma_y`` are the errors of a fit in which peaks and positions of the
        neighbours and the background are unknown too. ``size`` is the width of the class in px, ``signal`` the peak
        height of the spot before integration over a pixel, ``mass`` 2 pi size^2 signal; ``ecc`` is not measured.
        FLAG_POOR_FIT: the residual within two widths exceeds noise by 15 % of the peak (rms); all particles, without
        errors, where the fit of the frame diverged.
    """
    if not has_classes(model):
        model = with_first_class(frame, found, config, model)
    crowd = begin(frame, found.x, found.y, model, invert=bool(config.invert))
    settle(crowd)
    covariance = drop_spurious(crowd)
    return _detections(crowd, covariance, config) if len(crowd.spots) else no_detections()


def has_classes(model: ImageModel) -> bool:
    """Return whether width and amplitude of the particles are known."""
    return bool(model.classes) and all(np.isfinite([item.width, item.amplitude]).all() for item in model.classes)


def with_first_class(frame: np.ndarray, found: Detections, config: TrackConfig, model: ImageModel) -> ImageModel:
    """Return the model with one class: its width if known, else diameter / 5, and the peaks at the places found.

    Raises
    ------
    ConfigError
        If neither a class nor a diameter is known.
    """
    width = model.classes[0].width if model.classes else (config.diameter or 0) / 5.0
    if width == 0.0:
        raise ConfigError(
            "neither a spot width nor track.diameter",
            expected="the size of the particles",
            action="give track.diameter or call suggest first",
        )
    row = np.clip(np.round(found.y).astype(int), 0, frame.shape[0] - 1)
    column = np.clip(np.round(found.x).astype(int), 0, frame.shape[1] - 1)
    heights = np.abs(np.asarray(frame, dtype=float)[row, column] - model.background)
    amplitude = float(np.median(heights)) if len(heights) else 1.0
    first = SpotClass(width=width, amplitude=amplitude, amplitude_spread=0.5 * amplitude)
    return replace(model, classes=(first,))


def settle(crowd: Crowd) -> None:
    """Sweep until nothing moves.

    Where there are several classes, each particle first has a width of its own for a few sweeps: a class decided next
    to neighbours of the wrong width can be wrong with great confidence, and hold the neighbours there. Then follow
    the classes, hidden particles once, and positions alone.
    """
    several = len(crowd.classes) > 1
    free = range(1, 1 + FREE_SWEEPS) if several else range(0)
    classes = range(free.stop, free.stop + CLASS_SWEEPS) if several else range(0)
    begun = max(classes.stop, 2)
    for number in range(begun + MOST_SWEEPS):
        if number in classes or (several and number == begun + 1):  # once more with hidden particles in place
            crowd.classify()
        moves = crowd.move(free_widths=number in free)
        if number <= begun and (number % 2 == 0 or number >= begun - 1):
            crowd.fit_background()
            crowd.weigh()
        if number == begun - 1:
            include_hidden(crowd)
        elif number > begun + several and moves.max(initial=0.0) < CONVERGED:
            break
    crowd.fit_background()


def include_hidden(crowd: Crowd) -> None:
    """Add particles that the residual shows: maxima of the matched filter sum(w g r) / sqrt(sum(w g^2)).

    Its unit is the standard error of a peak. Where the spots do not have the shape of the particles the residual is
    structured: the filter is divided by its own robust standard deviation, where that is larger than 1.
    """
    for species, (width, peak, _, _) in enumerate(crowd.classes):
        score = _filtered(crowd.weight * crowd.residual, width)
        square = _filtered(crowd.weight, width / np.sqrt(2.0))
        score *= 2.0 * np.pi * width**2
        square *= np.pi * width**2
        height = score / np.maximum(square, 1e-30)
        ratio = score / np.sqrt(np.maximum(square, 1e-30))
        unit = max(1.0, 1.4826 * float(np.median(np.abs(ratio[::4, ::4]))))
        size = 2 * int(np.ceil(width)) + 1
        highest = cv2.dilate(ratio, np.ones((size, size), dtype=np.uint8))
        row, column = np.nonzero((ratio == highest) & (ratio > SIGNIFICANT * unit) & (height > FAINTEST * peak))
        if len(row) and len(crowd.spots):
            nearest = KDTree(crowd.spots[:, :2]).query(np.column_stack([column, row]))[0]
            row, column = row[nearest > NEAREST * width], column[nearest > NEAREST * width]
        added = np.column_stack([column, row, height[row, column], np.full(len(row), width)]).astype(float)
        crowd.include(added, np.full(len(row), species), hidden=True)


def drop_spurious(crowd: Crowd) -> np.ndarray:
    """Drop particles without a significant peak, sweep again if there were any; returns the covariances of the rest.

    The peak squared over its variance, neighbours unknown, is twice the log likelihood ratio of the particle being
    there or not. Of a pair that shares one particle both peaks are ill-determined: only the worst of particles
    within two widths is dropped at a time.
    """
    for _ in range(4):
        covariance = covariances(crowd.weight, crowd.spots, crowd.background_variance())
        bad = _spurious(crowd, covariance)
        if not bad.any():
            break
        crowd.exclude(bad)
        for _ in range(3):
            crowd.move()
            crowd.fit_background()
    else:
        covariance = covariances(crowd.weight, crowd.spots, crowd.background_variance())
    return covariance


def _spurious(crowd: Crowd, covariance: np.ndarray) -> np.ndarray:
    if len(crowd.spots) == 0:
        return np.zeros(0, dtype=bool)
    x, y, peak, width = crowd.spots.T
    usual = crowd.classes[crowd.species, 1]
    with np.errstate(invalid="ignore"):
        ratio = np.minimum(peak / np.sqrt(covariance[:, 0, 0]) / SIGNIFICANT, peak / usual / FAINTEST)
    pairs = KDTree(crowd.spots[:, :2]).query_pairs(NEAREST * float(width.max()), output_type="ndarray")
    apart = np.hypot(x[pairs[:, 0]] - x[pairs[:, 1]], y[pairs[:, 0]] - y[pairs[:, 1]])
    merged = pairs[apart < 0.75 * np.minimum(width[pairs[:, 0]], width[pairs[:, 1]])]
    bad = ~(ratio >= 1.0)  # no number where no pixel with weight is left
    bad[np.where(peak[merged[:, 0]] < peak[merged[:, 1]], merged[:, 0], merged[:, 1])] = True
    # What was found in the residual and does not look like a particle is a part of something else.
    bad |= crowd.hidden & (misfit(crowd.residual, crowd.weight, crowd.spots) > MISFIT)
    both = pairs[bad[pairs].all(axis=1)]
    bad[np.where(ratio[both[:, 0]] < ratio[both[:, 1]], both[:, 1], both[:, 0])] = False
    return np.asarray(bad)


def _filtered(picture: np.ndarray, width: float) -> np.ndarray:
    size = 2 * int(np.ceil(3.0 * width)) + 1
    return np.asarray(cv2.GaussianBlur(picture.astype(np.float32), (size, size), width, borderType=cv2.BORDER_CONSTANT))


def _detections(crowd: Crowd, covariance: np.ndarray, config: TrackConfig) -> Detections:
    x, y, peak, seen = crowd.spots.T
    height, length = crowd.picture.shape
    edge = np.minimum.reduce([x + 0.5, y + 0.5, length - 0.5 - x, height - 0.5 - y])
    width = np.sqrt(np.maximum(seen**2 - PIXEL_VARIANCE, 1e-6))
    signal = peak * (seen / width) ** 2
    flags = np.where(edge < (config.diameter or 5.0 * seen) / 2, FLAG_EDGE, 0) | np.where(
        misfit(crowd.residual, crowd.weight, crowd.spots) > MISFIT, FLAG_POOR_FIT, 0
    )
    sigma = np.sqrt(covariance[:, [1, 2], [1, 2]])
    sigma *= inflation(crowd.residual, crowd.weight, crowd.spots)[:, None]
    # An error of more than the width of the spot is none: the pixels do not say where it is.
    lost = ~(sigma < width[:, None]).all(axis=1) | crowd.diverged()
    sigma[lost] = np.nan
    flags = np.where(lost, flags | FLAG_POOR_FIT, flags)
    found = Detections.at(
        x, y, sigma_x=sigma[:, 0], sigma_y=sigma[:, 1],
        mass=2.0 * np.pi * width**2 * signal, size=width, signal=signal,
        flags=flags.astype(np.int32), species=crowd.species.astype(np.int32),
    )  # fmt: skip
    order = np.lexsort((x, y))
    return found.select(order[edge[order] > 0.0])
