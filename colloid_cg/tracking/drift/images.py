"""Common motion from the pictures themselves, as a check on the tracks: nothing is located, nothing linked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from colloid_cg.errors import ConfigError
from colloid_cg.progress import Progress, silent
from colloid_cg.records import CommonMotion, FrameStack
from colloid_cg.tracking.drift.estimate import MotionEstimator

SMALLEST_TILE = 64
"""Edge of a tile in px: below, a tile holds too few particles to be recognised."""
MOST_TILES = 6
MOST_PICTURES = 2000
_NEWTON_STEPS = 6
_TAPER = 0.5  # share of a tile over which its edges fade


def image_drift(
    stack: FrameStack,
    *,
    every: int = 1,
    tiles: int = 4,
    background: float = 15.0,
    fixed_frames: int = 0,
    progress: Progress = silent,
) -> CommonMotion:
    """Return the common motion of the pictures: translation, rotation and strain between every ``every``-th frames.

    The frame is cut into about ``tiles`` x ``tiles`` tiles. The shift s is the peak of the sum over the tiles of the
    cross-correlations c_j with the same tile of the picture before: scikit-image's ``phase_cross_correlation`` to .1 px
    and Newton steps on the trigonometric interpolation from there. The c_j are divided by the correlation of the
    window with itself, which has its maximum at zero and would pull s there, by some percent in small tiles. Each tile
    has its influence on s,

        d_j = s - K H^-1 grad c_j(s),    H = sum_j grad grad c_j(s),    K tiles,

    the infinitesimal jackknife; a tile with few particles has little. The d_j are then treated as displacements of
    particles are: a uniform motion is fitted to them, and the scatter of their accumulated sums gives its error. Two
    pictures at a time are in memory.

    What moves is what is seen: particles that diffuse carry their own mean motion with them, as in the tracks, and what
    stands still in the picture, such as dirt, pulls the shift towards zero; see ``fixed_frames``.

    Parameters
    ----------
    stack : FrameStack
    every : int
        Frames between pictures compared; 1 compares consecutive ones.
    tiles : int
        Tiles along the longer edge, at most 6; fewer where they would be smaller than 64 px.
    background : float
        Standard deviation in px of the Gaussian that is taken off each picture: uneven light does not move.
    fixed_frames : int
        Frames, spread over the movie, whose mean is taken off every picture: it removes what stands still. Only for
        particles that move by more than their width over the movie; otherwise they stand still themselves.
    progress : callable
        Called with (done, total) pictures.

    Returns
    -------
    CommonMotion
        ``kind`` "none", one entry per picture compared. Rotation and strain suppose that the tiles are alike.
    """
    if every < 1 or not 1 <= tiles <= MOST_TILES:
        raise ConfigError(
            f"every = {every}, tiles = {tiles}",
            expected=f"every of at least 1, tiles from 1 to {MOST_TILES}",
            action="use every = 1 and tiles = 4",
        )
    windows = _tiles(stack.height, stack.width, tiles)
    centres = np.array([[(w[1].start + w[1].stop - 1) / 2, (w[0].start + w[0].stop - 1) / 2] for w in windows])
    frames = range(0, stack.n_frames, every)
    fixed = _mean_picture(stack, fixed_frames)
    estimator = MotionEstimator(minimum_particles=2)
    taper = _taper(windows[0][0].stop - windows[0][0].start)
    position = centres.copy()
    before: np.ndarray | None = None
    for number, index in enumerate(frames):
        spectra = _spectra(stack[index] - fixed, windows, taper, background)
        if before is not None:
            position = position + _tile_shifts(np.conj(before) * spectra, taper)
        estimator.add(
            pd.DataFrame(
                {"frame": number, "particle": np.arange(len(windows)), "x": position[:, 0], "y": position[:, 1]}
            )
        )
        before = spectra
        progress(number + 1, len(frames))
    return replace(
        estimator.result(kind="none"),
        frame=np.array(frames, dtype=np.int64),
        reason=f"{len(windows)} tiles of {windows[0][1].stop - windows[0][1].start} px, every {every} frames",
        median_particles=float(len(windows)),
        n_steps_left=0,
        minimum_particles=0,
    )


def compare_drift(motion: CommonMotion, image: CommonMotion) -> dict[str, Any]:
    """Say whether the motion from tracks and that from pictures agree, JSON-able.

    Both see the same particles, so that they agree better than their errors, which count how well the motion of the
    stage is known, let expect: the joint error is an upper bound.

    Returns
    -------
    dict
        ``frame`` and, for each of dx, dy (px) and rotation (rad): ``difference`` (tracks less pictures, at the last
        common frame), ``error`` (joint), ``z``, ``largest`` (difference of any frame, in size); ``agree`` and
        ``verdict``.
    """
    frames, rows, image_rows = np.intersect1d(motion.frame, image.frame, return_indices=True)
    result: dict[str, Any] = {"frame": frames.tolist()}
    if len(frames) < 2:
        return result | {"agree": None, "verdict": "Tracks and pictures have no two frames in common."}
    worst, words = 0.0, []
    for name, (ours, our_error), (theirs, their_error) in (
        ("dx", _column(motion, 0), _column(image, 0)),
        ("dy", _column(motion, 1), _column(image, 1)),
        ("rotation", (motion.rotation, motion.rotation_error), (image.rotation, image.rotation_error)),
    ):
        difference = ours[rows] - theirs[image_rows]
        difference = difference - difference[0]
        error = np.hypot(our_error[rows], their_error[image_rows])
        z = difference[-1] / error[-1] if error[-1] > 0 else np.nan
        result[name] = {
            "difference": float(difference[-1]),
            "error": float(error[-1]) if np.isfinite(error[-1]) else None,
            "z": float(z) if np.isfinite(z) else None,
            "largest": float(np.abs(difference).max()),
        }
        if np.isfinite(z):
            worst = max(worst, abs(float(z)))
            unit = "rad" if name == "rotation" else "px"
            words.append(f"{name} by {difference[-1]:.2g} ± {error[-1]:.1g} {unit}")
    agree = worst <= 3.0
    verdict = f"{'They agree' if agree else 'They disagree'}: at the last frame they differ in {', '.join(words)}."
    return result | {"agree": agree, "verdict": verdict}


def check_with_images(stack: FrameStack, motion: CommonMotion, *, diameter: float) -> dict[str, Any]:
    """Return :func:`compare_drift` and the motion of the pictures under ``images``, JSON-able.

    At most ``MOST_PICTURES`` pictures are compared, and no further apart than particles move by half their diameter.
    What stands still is taken off if particles move by more than their diameter over the movie.
    """
    velocity = np.linalg.norm(motion.translation[-1]) / max(len(motion) - 1, 1) if len(motion) else 0.0
    step = float(np.nanmedian(motion.scatter)) if np.isfinite(motion.scatter).any() else 0.0
    furthest = 0.5 * diameter / max(float(np.hypot(velocity, step)), 1e-9)
    every = int(max(1, min(furthest, -(-stack.n_frames // MOST_PICTURES))))
    travel = velocity * stack.n_frames + step * np.sqrt(stack.n_frames)
    image = image_drift(stack, every=every, fixed_frames=50 if travel > diameter else 0)
    return compare_drift(motion, image) | {"images": image.as_dict()}


def _column(motion: CommonMotion, axis: int) -> tuple[np.ndarray, np.ndarray]:
    return motion.translation[:, axis], motion.translation_error[:, axis]


def _tiles(height: int, width: int, tiles: int) -> list[tuple[slice, slice]]:
    """Return the tiles of a frame, equal squares side by side."""
    edge = min(max(SMALLEST_TILE, max(height, width) // tiles), height, width)
    rows, columns = height // edge, width // edge
    top, left = (height - rows * edge) // 2, (width - columns * edge) // 2
    return [
        (slice(top + r * edge, top + (r + 1) * edge), slice(left + c * edge, left + (c + 1) * edge))
        for r in range(rows)
        for c in range(columns)
    ]


def _mean_picture(stack: FrameStack, n: int) -> np.ndarray:
    mean = np.zeros((stack.height, stack.width), dtype=np.float32)
    chosen = np.unique(np.linspace(0, stack.n_frames - 1, n).round().astype(int)) if n else ()
    for index in chosen:
        mean += stack[int(index)].astype(np.float32) / len(chosen)
    return mean


def _taper(edge: int) -> np.ndarray:
    from scipy.signal.windows import tukey

    fade = tukey(edge, _TAPER)
    return np.outer(fade, fade)


def _spectra(
    picture: np.ndarray, windows: list[tuple[slice, slice]], taper: np.ndarray, background: float
) -> np.ndarray:
    """Return the Fourier transforms of the tiles, background off and edges faded, shape (tiles, edge, edge)."""
    from scipy.fft import fft2
    from scipy.ndimage import gaussian_filter

    picture = picture.astype(np.float32)
    picture -= gaussian_filter(picture, background, mode="nearest")
    return np.asarray(fft2(np.stack([taper * (picture[window] - picture[window].mean()) for window in windows])))


def _tile_shifts(products: np.ndarray, taper: np.ndarray) -> np.ndarray:
    """Return d_j (x, y) of :func:`image_drift` from the cross-spectra of the tiles, shape (tiles, 2).

    Plain cross-correlation: normalised to pure phase every wavelength would count alike, and most hold only noise.
    """
    from skimage.registration import phase_cross_correlation

    total = products.sum(axis=0)
    reference = np.ones_like(total)
    found = phase_cross_correlation(np.conj(total), reference, space="fourier", upsample_factor=10, normalization=None)
    window = np.abs(np.fft.fft2(taper))[None] ** 2
    shift = -np.asarray(found[0], dtype=float)
    for _ in range(_NEWTON_STEPS):
        gradient, hessian = _ratio_slopes(total[None], window, shift)
        shift = shift - _within_a_pixel(np.linalg.solve(_downwards(hessian[0]), gradient[0]))
    gradient, hessian = _ratio_slopes(products, window, shift)
    change = np.linalg.solve(_downwards(hessian.sum(axis=0)), gradient.T).T
    return np.asarray(shift - len(products) * change)[:, ::-1]


def _ratio_slopes(products: np.ndarray, window: np.ndarray, shift: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return gradient and Hessian of c(s) / R(s), R the correlation of the window, both times R at that shift.

    With r = R' / R and r2 = R'' / R: c' - c r, and c'' - c' r^T - r c'^T - c r2 + 2 c r r^T.
    """
    value, gradient, hessian = _slopes(products, shift)
    whole, slope, curvature = (part[0] for part in _slopes(window, shift))
    r, r2 = slope / whole, curvature / whole
    mixed = gradient[:, :, None] * r
    value = value[:, None, None]
    bent = hessian - mixed - mixed.swapaxes(1, 2) - value * r2 + 2.0 * value * np.outer(r, r)
    return gradient - value[:, :, 0] * r, bent


def _slopes(products: np.ndarray, shift: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return c (tiles,), c' (tiles, 2) and c'' (tiles, 2, 2) of c(s) = Re sum_k P_k exp(i k s) at one shift (y, x)."""
    n = products.shape[-1]
    k = 2.0 * np.pi * np.fft.fftfreq(n)
    if n % 2 == 0:
        k[n // 2] = 0.0  # the wavelength of two pixels has no direction
    down, across = (np.stack([wave, 1j * k * wave, -(k**2) * wave]) for wave in (np.exp(1j * k * s) for s in shift))
    values = np.einsum("tax,bx->tab", np.einsum("ay,tyx->tax", down, products, optimize=True), across).real
    gradient = np.stack([values[:, 1, 0], values[:, 0, 1]], axis=-1)
    hessian = np.stack(
        [np.stack([values[:, 2, 0], values[:, 1, 1]], axis=-1), np.stack([values[:, 1, 1], values[:, 0, 2]], axis=-1)],
        axis=-2,
    )
    return values[:, 0, 0], gradient, hessian


def _downwards(hessian: np.ndarray) -> np.ndarray:
    """Return the Hessian with its eigenvalues negative: next to a maximum that noise has bent."""
    values, vectors = np.linalg.eigh(hessian)
    values = -np.maximum(np.abs(values), 1e-12 * max(float(np.abs(values).max()), 1e-300))
    return np.asarray((vectors * values) @ vectors.T)


def _within_a_pixel(change: np.ndarray) -> np.ndarray:
    return np.asarray(change / max(1.0, float(np.abs(change).max())))
