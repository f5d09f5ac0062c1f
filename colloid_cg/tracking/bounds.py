"""Cramer-Rao bounds of localisation: the smallest error any unbiased method can reach on a given frame.

Written apart from the fit, with spots integrated exactly over each pixel, so that the one can be held to the other.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu
from scipy.special import erf

from colloid_cg.tracking.image_model import ImageModel

REACH = 6.0  # widths


def spot_light(offset: np.ndarray, width: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the share of a Gaussian line of light in pixels of length 1, and its derivative by the position.

    Parameters
    ----------
    offset : array, shape (n,)
        Centre of each pixel less the position, px.
    width : float
        Standard deviation in px.
    """
    high, low = (offset + 0.5) / width, (offset - 0.5) / width
    share = 0.5 * (erf(high / np.sqrt(2.0)) - erf(low / np.sqrt(2.0)))
    slope = (np.exp(-0.5 * low**2) - np.exp(-0.5 * high**2)) / (np.sqrt(2.0 * np.pi) * width)
    return share, slope


def render(
    shape: tuple[int, int], positions: np.ndarray, widths: np.ndarray, amplitudes: np.ndarray, background: np.ndarray
) -> np.ndarray:
    """Return the mean grey level of each pixel.

    Parameters
    ----------
    shape : (rows, columns)
    positions : array, shape (n, 2)
        x, y in px, centre of the first pixel at (0, 0).
    widths, amplitudes : arrays, shape (n,)
        Standard deviation in px and peak height in grey levels of each Gaussian spot before integration over pixels.
    background : array that broadcasts to ``shape``
        Grey levels.
    """
    picture = np.array(np.broadcast_to(background, shape), dtype=float)
    for (x, y), width, amplitude in zip(positions, widths, amplitudes, strict=True):
        rows, columns = _window(shape, x, y, width)
        down, across = spot_light(rows - y, width)[0], spot_light(columns - x, width)[0]
        picture[np.ix_(rows, columns)] += amplitude * 2.0 * np.pi * width**2 * down[:, None] * across[None, :]
    return picture


def crowded_bound(
    positions: np.ndarray,
    widths: np.ndarray,
    amplitudes: np.ndarray,
    model: ImageModel,
    *,
    background: np.ndarray,
    basis: np.ndarray | None = None,
) -> np.ndarray:
    """Return the smallest standard errors of the positions in a crowd, shape (n, 2), px.

    All positions, all amplitudes and the coefficients of the background are unknown, the widths are known:
    F = J' V^-1 J with the sparse Jacobian J of all pixels, V the variances of the pixels at the true mean (the
    information that the variance itself carries is left out), errors sqrt(diag F^-1).

    Parameters
    ----------
    positions, widths, amplitudes : arrays, shapes (n, 2), (n,), (n,)
        As in :func:`render`.
    model : ImageModel
        Noise.
    background : array, shape (rows, columns)
        True background in grey levels.
    basis : array, shape (k, rows, columns), or None
        Functions of which the background is a sum; None is one unknown level.
    """
    rows_total, columns_total = background.shape
    mean = render(background.shape, positions, widths, amplitudes, background)
    scale = 1.0 / np.sqrt(model.variance(mean))
    entries, pixels, unknowns = [], [], []
    for n, ((x, y), width, amplitude) in enumerate(zip(positions, widths, amplitudes, strict=True)):
        rows, columns = _window(background.shape, x, y, width)
        (down, down_slope), (across, across_slope) = spot_light(rows - y, width), spot_light(columns - x, width)
        light = 2.0 * np.pi * width**2
        parts = (
            amplitude * light * np.outer(down, across_slope),
            amplitude * light * np.outer(down_slope, across),
            light * np.outer(down, across),
        )
        where = rows[:, None] * columns_total + columns[None, :]
        for k, part in enumerate(parts):
            entries.append((part * scale[np.ix_(rows, columns)]).ravel())
            pixels.append(where.ravel())
            unknowns.append(np.full(where.size, 3 * n + k))
    shape = (rows_total * columns_total, 3 * len(positions))
    jacobian = sparse.coo_matrix((np.concatenate(entries), (np.concatenate(pixels), np.concatenate(unknowns))), shape)
    levels = np.ones((1, rows_total * columns_total)) if basis is None else basis.reshape(len(basis), -1)
    jacobian = sparse.hstack([jacobian, sparse.csc_matrix((levels * scale.ravel()).T)]).tocsc()
    return _errors((jacobian.T @ jacobian).tocsc(), len(positions))


def _window(shape: tuple[int, int], x: float, y: float, width: float) -> tuple[np.ndarray, np.ndarray]:
    reach = int(np.ceil(REACH * width))
    rows = np.arange(max(0, round(y) - reach), min(shape[0], round(y) + reach + 1))
    columns = np.arange(max(0, round(x) - reach), min(shape[1], round(x) + reach + 1))
    return rows, columns


def _errors(fisher: sparse.csc_matrix, n: int) -> np.ndarray:
    factor = splu(fisher, diag_pivot_thresh=0.0, options={"SymmetricMode": True}, permc_spec="MMD_AT_PLUS_A")
    variances = np.empty((n, 2))
    for begin in range(0, n, 200):
        chosen = np.arange(begin, min(begin + 200, n))
        for axis in range(2):
            unit = np.zeros((fisher.shape[0], len(chosen)))
            unit[3 * chosen + axis, np.arange(len(chosen))] = 1.0
            variances[chosen, axis] = factor.solve(unit)[3 * chosen + axis, np.arange(len(chosen))]
    return np.sqrt(variances)
