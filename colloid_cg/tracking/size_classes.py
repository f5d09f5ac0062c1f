"""The populations of a movie that differ in width, estimated from crowded frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from colloid_cg.errors import DataError
from colloid_cg.tracking.background import NARROWEST, mesh
from colloid_cg.tracking.config import TrackConfig
from colloid_cg.tracking.crowd import Crowd, begin
from colloid_cg.tracking.detections import Detections
from colloid_cg.tracking.image_model import ImageModel, SpotClass
from colloid_cg.tracking.joint import drop_spurious, has_classes, include_hidden, with_first_class
from colloid_cg.tracking.spot_evidence import width_information
from colloid_cg.tracking.spot_kernels import FIT_REACH, PIXEL_VARIANCE
from colloid_cg.tracking.width_mixture import Mixture, choose_mixture, fit_mixture

FEWEST = 10  # particles from which a distribution of widths is looked at
FREE_SWEEPS = 6
ROUNDS = 4  # of assigning classes and fitting their widths
LONGEST_STEP = 0.25  # of the width of a class in one round
OUTLIER = 4.0  # standard deviations at which the pull of one particle on the width of its class is cut


def estimate_classes(
    frames: Sequence[np.ndarray], found_per_frame: Sequence[Detections], config: TrackConfig, model: ImageModel
) -> ImageModel:
    """Return the model with classes, background level and scale of variation estimated from whole frames.

    The width of one particle in a crowd is measured together with its neighbours and the background (joint fit with a
    free width each), never alone: alone it takes in their light. A mixture over the particles of all frames gives
    the number of classes (``config.size_classes``, or by information criterion) and first widths; then particles are
    put in their most likely class and each class width is fitted to all its particles, in turn.

    Parameters
    ----------
    frames : sequence of arrays, shape (height, width)
        A few frames spread over the movie.
    found_per_frame : sequence of Detections
        Positions in each to within about a spot width.
    config : TrackConfig
        ``size_classes``, ``invert``, and ``diameter`` as the start; without it the commonest class of the model is.
    model : ImageModel
        Noise; background level as a start.

    Raises
    ------
    DataError
        If there are fewer than ten particles.
    """
    if sum(len(found) for found in found_per_frame) < FEWEST:
        raise DataError(
            f"{sum(len(found) for found in found_per_frame)} particles in the frames looked at",
            expected=f"at least {FEWEST} to tell size classes",
            action="use track.refine = 'likelihood' or a longer movie",
        )
    start = _one_class(frames[0], found_per_frame[0], config, model)
    crowds = [
        begin(frame, found.x, found.y, start, invert=bool(config.invert))
        for frame, found in zip(frames, found_per_frame, strict=True)
    ]
    for crowd in crowds:
        for _ in range(3):
            crowd.move()
            crowd.fit_background()
            crowd.weigh()
        drop_spurious(crowd)
        _fit_single_widths(crowd)
    scale = background_scale(crowds[0], largest_width=float(np.median(crowds[0].spots[:, 3])))
    for crowd in crowds:
        crowd.use_mesh(mesh(crowd.picture.shape, scale))
        _fit_single_widths(crowd)
    for crowd in crowds:
        include_hidden(crowd)
        drop_spurious(crowd)
        _fit_single_widths(crowd, sweeps=3)
    widths, errors = _single_widths(crowds)
    mixture = (
        fit_mixture(widths, errors, config.size_classes) if config.size_classes else choose_mixture(widths, errors)
    )
    table = _first_table(crowds, mixture)
    for _ in range(ROUNDS):
        table = _refined(crowds, table)
    level = float(np.median([crowd.sign * np.median(crowd.functions.picture(crowd.coefficients)) for crowd in crowds]))
    classes = tuple(_spot_class(row, crowds[0].sign) for row in table)
    return replace(model, classes=classes, background=level, background_scale=scale)


def background_scale(crowd: Crowd, *, largest_width: float) -> float:
    """Return the length over which the background varies: the coarsest mesh that explains the frame.

    Meshes of ever closer knots are fitted with the particles; the smallest chi^2 / c + k log(n) decides, n pixels, k
    coefficients, c the chi^2 per pixel of the finest mesh, so that a misfit of the spots does not pass for background.
    """
    longest = float(max(crowd.picture.shape))
    scales = [np.inf, longest]
    while scales[-1] / 2.0 >= NARROWEST * largest_width:
        scales.append(scales[-1] / 2.0)
    squares, sizes = [], []
    for scale in scales:
        crowd.use_mesh(mesh(crowd.picture.shape, scale))
        for _ in range(3):
            crowd.fit_background()
            crowd.move()
        squares.append(float((crowd.weight * crowd.residual**2).sum()))
        sizes.append(crowd.functions.size)
    pixels = crowd.picture.size
    unit = max(min(squares) / pixels, 1.0)
    criterion = np.array(squares) / unit + np.array(sizes) * np.log(pixels)
    return float(scales[int(np.argmin(criterion))])


def classes_of_tracks(evidence: np.ndarray, particle: np.ndarray) -> np.ndarray:
    """Return the class of each detection when a particle keeps its class through the movie, shape (n,).

    The log evidence of independent frames adds up; the share of the class, part of each, is counted once.

    Parameters
    ----------
    evidence : array, shape (n, classes)
        Log likelihood of each class for each detection, without the share.
    particle : int array, shape (n,)
        Track of each detection.
    """
    _, track = np.unique(particle, return_inverse=True)
    total = np.zeros((int(track.max(initial=-1)) + 1, evidence.shape[1]))
    np.add.at(total, track, evidence)
    return np.asarray(np.argmax(total, axis=1)[track])


def _one_class(frame: np.ndarray, found: Detections, config: TrackConfig, model: ImageModel) -> ImageModel:
    """Start from the diameter and the heights at all places found.

    What isolated particles look like is the fallback only: in a crowd those that stand alone are not like the others.
    """
    if config.diameter is not None or not has_classes(model):
        return with_first_class(frame, found, config, replace(model, classes=()))
    common = max(model.classes, key=lambda item: item.share)
    return replace(model, classes=(common,))


def _fit_single_widths(crowd: Crowd, *, sweeps: int = FREE_SWEEPS) -> None:
    for number in range(sweeps):
        crowd.move(free_widths=number > 0)
        crowd.fit_background()
        crowd.weigh()


def _single_widths(crowds: Sequence[Crowd]) -> tuple[np.ndarray, np.ndarray]:
    """Widths and their errors of the particles well inside the frames, where the fit did not end at a limit."""
    widths, errors = [], []
    for crowd in crowds:
        information = width_information(crowd.residual, crowd.weight, crowd.spots)[:, 1]
        width = crowd.spots[:, 3]
        usable = _inside(crowd) & (information * width**2 > 4.0)
        widths.append(width[usable])
        errors.append(1.0 / np.sqrt(information[usable]))
    return np.concatenate(widths), np.concatenate(errors)


def _inside(crowd: Crowd) -> np.ndarray:
    height, length = crowd.picture.shape
    x, y, _, width = crowd.spots.T
    edge = np.minimum.reduce([x, y, length - 1.0 - x, height - 1.0 - y])
    return np.asarray(edge > FIT_REACH * width)


def _first_table(crowds: Sequence[Crowd], mixture: Mixture) -> np.ndarray:
    """Classes of the mixture, in the columns of :func:`as_seen`, with the peaks of the particles of like width."""
    widths = np.concatenate([crowd.spots[:, 3] for crowd in crowds])
    peaks = np.concatenate([crowd.spots[:, 2] for crowd in crowds])
    nearest = np.argmin(np.abs(widths[:, None] - mixture.means), axis=1)
    rows = []
    for k, (mean, share) in enumerate(zip(mixture.means, mixture.shares, strict=True)):
        own = peaks[nearest == k] if (nearest == k).any() else peaks
        rows.append((mean, float(np.median(own)), 0.5 * float(np.median(own)), share))
    return np.array(rows)


def _refined(crowds: Sequence[Crowd], table: np.ndarray) -> np.ndarray:
    """One round: classes by evidence, sweeps, then width, peak, spread and share of each class."""
    evidence = []
    for crowd in crowds:
        crowd.classes = table
        crowd.classify()
        for _ in range(2):
            crowd.move()
            crowd.fit_background()
        crowd.weigh()
        sums = width_information(crowd.residual, crowd.weight, crowd.spots)
        evidence.append(np.column_stack([crowd.species, crowd.spots[:, 2], sums, _inside(crowd)]))
    species, peak, score, information, square, inside = np.concatenate(evidence).T
    rows = []
    for k, (width, old_peak, old_spread, _) in enumerate(table):
        own = (species == k) & (inside > 0) & (information > 0)
        if own.sum() < 3:
            rows.append((width, old_peak, old_spread, 1e-3))
            continue
        middle = float(np.median(peak[own]))
        scatter = (1.4826 * float(np.median(np.abs(peak[own] - middle)))) ** 2
        spread = np.sqrt(max(scatter - float(np.median(1.0 / square[own])), (1e-3 * middle) ** 2))
        step = float(np.clip(_shared_step(score[own], information[own]), -LONGEST_STEP * width, LONGEST_STEP * width))
        rows.append((width + step, middle, spread, own.sum() / (inside > 0).sum()))
    refined = np.array(rows)
    return refined[np.argsort(refined[:, 0])]


def _shared_step(score: np.ndarray, information: np.ndarray) -> float:
    """Weighted mean of the steps of single particles; the weights know the true spread, outliers are cut."""
    steps, variance = score / information, 1.0 / information
    middle = float(np.median(steps))
    scatter = (1.4826 * float(np.median(np.abs(steps - middle)))) ** 2
    total = variance + max(scatter - float(np.median(variance)), 0.0)
    limit = OUTLIER * np.sqrt(total)
    return float(np.average(np.clip(steps, middle - limit, middle + limit), weights=1.0 / total))


def _spot_class(row: np.ndarray, sign: float) -> SpotClass:
    seen, peak, spread, share = (float(value) for value in row)
    width = float(np.sqrt(max(seen**2 - PIXEL_VARIANCE, 1e-6)))
    raised = (seen / width) ** 2
    return SpotClass(width=width, amplitude=sign * peak * raised, amplitude_spread=spread * raised, share=share)
