"""The image model of a movie, estimated once from frames spread over it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from colloid_cg.records import FLAG_EDGE, FrameStack
from colloid_cg.tracking.background_tilt import background_tilt
from colloid_cg.tracking.choices import neighbour_distances
from colloid_cg.tracking.config import TrackConfig
from colloid_cg.tracking.detections import Detections
from colloid_cg.tracking.image_model import ImageModel, SpotClass
from colloid_cg.tracking.native_engine import detect
from colloid_cg.tracking.photon_transfer import find_hot_pixels, photon_transfer
from colloid_cg.tracking.prepared import fit_picture, picture_noise
from colloid_cg.tracking.size_classes import estimate_classes
from colloid_cg.tracking.spot_profile import needed_lanes
from colloid_cg.tracking.spot_width import fit_widths

SAMPLED_FRAMES = 10
SAMPLED_PIXELS = 2_000_000  # for the noise
MOST_FITTED = 2000
MISFIT_NOTICED = 1.1  # of chi^2 per degree of freedom: below it may be the error of the noise estimate
SATURATED_SHARE = 1e-5
NOTICED = 0.1  # of the standard error: shifts by less change it by half a percent
ISOLATED = 1.5  # diameters to the nearest neighbour


def sampled_starts(n_frames: int) -> list[int]:
    """Return the first frames of pairs of consecutive frames spread over a movie."""
    return [int(start) for start in np.unique(np.linspace(0, n_frames - 2, SAMPLED_FRAMES).astype(int))]


def estimate_image_model(stack: FrameStack, config: TrackConfig) -> ImageModel:
    """Return noise, bad pixels, background and the look of the particles of a movie.

    Parameters
    ----------
    stack : FrameStack
    config : TrackConfig
        Complete settings.
    """
    starts = sampled_starts(stack.n_frames)
    pictures = {index: stack[index] for index in sorted({*starts, *(start + 1 for start in starts)})}
    model = estimate_noise(pictures, starts)
    found = {start: detect(pictures[start], config, model) for start in starts}
    model = with_spots(model, pictures, found, config)
    if config.refine != "joint":
        return model
    few = spread(starts)
    return estimate_classes([pictures[start] for start in few], [found[start] for start in few], config, model)


def spread(starts: Sequence[int]) -> list[int]:
    """Return the first, middle and last of some frames, on which crowds are fitted."""
    return [starts[k] for k in sorted({0, len(starts) // 2, len(starts) - 1})]


def estimate_noise(pictures: Mapping[int, np.ndarray], starts: Sequence[int]) -> ImageModel:
    """Return an image model without particles from the frames ``starts`` and the frames that follow them."""
    few = max(1, min(len(starts), SAMPLED_PIXELS // pictures[starts[0]].size))
    chosen = [starts[k] for k in np.linspace(0, len(starts) - 1, few).astype(int)]
    sample = [pictures[start] for start in chosen]
    if len(chosen) == 1:
        sample.append(pictures[max(pictures)])
    saturation = _saturation(sample)
    noise = photon_transfer([(pictures[start], pictures[start + 1]) for start in chosen], saturation=saturation)
    return ImageModel(
        noise_offset=noise.offset,
        noise_slope=noise.slope,
        background=float(np.median([np.median(picture) for picture in sample])),
        hot_pixels=find_hot_pixels(sample, noise),
        saturation=saturation,
    )


def _saturation(pictures: Sequence[np.ndarray]) -> float:
    """Highest level, if pixels pile up there; infinite if not."""
    highest = max(float(picture.max()) for picture in pictures)
    values = np.concatenate([picture[picture >= 0.9 * highest].ravel() for picture in pictures]).astype(float)
    top = int((values >= highest).sum())
    levels, counts = np.unique(values, return_counts=True)
    if top < SATURATED_SHARE * sum(picture.size for picture in pictures) or len(levels) < 2 or top < 20:
        return float("inf")
    return highest if top > 5 * counts[-2] else float("inf")


def with_spots(
    model: ImageModel, pictures: Mapping[int, np.ndarray], found: Mapping[int, Detections], config: TrackConfig
) -> ImageModel:
    """Return the model with the width and height of the particles, from fits of the isolated ones."""
    radius = (config.diameter or 3) // 2
    noise = picture_noise(config, model)
    parts = []
    share = max(1, MOST_FITTED // max(len(found), 1))
    for index, detections in found.items():
        chosen = isolated(detections, config)
        if not len(chosen):
            continue
        chosen = chosen.select(
            np.argsort(-chosen.mass, kind="stable")[
                np.linspace(0, len(chosen) - 1, min(len(chosen), share)).astype(int)
            ]
        )
        parts.append(
            fit_widths(
                fit_picture(pictures[index], config, model, margin=needed_lanes(radius)),
                chosen.x,
                chosen.y,
                radius=radius,
                noise=noise,
            )
        )
    model = replace(model, per_frame=max((len(part) for part in found.values()), default=0) or None)
    fits = np.concatenate(parts) if parts else np.empty((0, 10))
    fits = fits[np.isfinite(fits).all(axis=1) & (fits[:, 2] > 0)]
    if not len(fits):
        return replace(
            model, classes=(SpotClass(width=max(0.5, (config.diameter or 3) / 5.0), amplitude=float("nan")),)
        )
    spot = spot_class(fits, invert=bool(config.invert))
    return replace(model, classes=(spot,), background_scale=_background_scale(model, pictures, found, spot, config))


def _background_scale(
    model: ImageModel,
    pictures: Mapping[int, np.ndarray],
    found: Mapping[int, Detections],
    spot: SpotClass,
    config: TrackConfig,
) -> float:
    """Height of a particle over the usual slope of the background; infinite where that slope does not matter.

    It matters where it shifts a particle by more than ``NOTICED`` of its standard error.
    """
    parts = []
    for index, detections in found.items():
        picture = fit_picture(pictures[index], config, model)
        parts.append(background_tilt(picture, detections.x, detections.y, diameter=config.diameter or 3))
    slopes, errors = (np.concatenate([getattr(part, name) for part in parts]) for name in ("slope", "error"))
    if not len(slopes):
        return float("inf")
    # what the slopes vary by beyond their own errors, of which chance leaves some
    by_chance = float(np.mean(errors**2))
    beyond = float(np.mean(slopes**2)) - by_chance * (1.0 + 3.0 * np.sqrt(2.0 / slopes.size))
    usual = float(np.sqrt(max(beyond, 0.0)))
    noise = float(np.sqrt(model.variance(np.array(model.background))))
    shift, error = 4.0 * usual * spot.width**2, np.sqrt(2.0 / np.pi) * noise
    return abs(spot.amplitude) / usual if shift > NOTICED * error else float("inf")


def spot_class(fits: np.ndarray, *, invert: bool) -> SpotClass:
    """Return the population that free fits, rows (width, error of the width, height, ...), come from."""
    width, error, height, chi2, freedom = fits[:, 0], fits[:, 1], fits[:, 2], fits[:, 4], fits[:, 5]
    # each width counts with its precision, never more than half the best half does
    weight = 1.0 / np.maximum(error, np.median(error)) ** 2
    middle = weighted_median(width, weight)
    scatter = 1.4826 * weighted_median(np.abs(width - middle), weight)
    misfit = max(1.0, float(np.median(chi2 / np.maximum(freedom, 1.0))))
    noise = np.sqrt(misfit) * weighted_median(error, weight)
    sign = -1.0 if invert else 1.0
    usual = float(np.median(height))
    return SpotClass(
        width=middle,
        amplitude=sign * usual,
        amplitude_spread=float(1.4826 * np.median(np.abs(height - usual))),
        width_spread=float(np.sqrt(max(scatter**2 - noise**2, 0.0))),
        misfit=misfit if misfit > MISFIT_NOTICED else 1.0,
    )


def weighted_median(values: np.ndarray, weights: np.ndarray) -> float:
    """Return the value below which half of the weight lies."""
    order = np.argsort(values, kind="stable")
    total = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(total, 0.5 * total[-1])])


def isolated(detections: Detections, config: TrackConfig) -> Detections:
    """Return the detections whose neighbours are far enough not to matter; all that are inside if few are."""
    inside = detections.select((detections.flags & FLAG_EDGE) == 0)
    if len(inside) < 2:
        return inside
    distances = neighbour_distances(np.column_stack([inside.x, inside.y]))
    alone = distances > ISOLATED * (config.diameter or 3)
    return (
        inside.select(alone)
        if alone.sum() >= 5
        else inside.select(np.argsort(-distances, kind="stable")[: max(5, len(inside) // 10)])
    )
