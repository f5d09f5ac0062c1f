"""The Cramer-Rao bound of pictures of Gaussian spots, written independently of the package."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array
from scipy.special import erf

REACH = 5.0  # widths


def edge_profiles(distance: np.ndarray, width: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the light of a unit spot in pixels at ``distance`` from its centre, and its slope with the centre."""
    scale = np.sqrt(2.0) * width
    upper, lower = (distance + 0.5) / scale, (distance - 0.5) / scale
    return 0.5 * (erf(upper) - erf(lower)), -(np.exp(-(upper**2)) - np.exp(-(lower**2))) / (scale * np.sqrt(np.pi))


def fisher(
    positions: np.ndarray, widths: np.ndarray, amplitudes: np.ndarray, shape: tuple[int, int], *,
    background: float, read_noise: float,
) -> csr_array:  # fmt: skip
    """Return the Fisher matrix of x, y and flux of every particle, shape (3 n, 3 n), widths and background known.

    F_ab = sum_pixels (dmu/da)(dmu/db)/v with v = mu + read noise^2 + 1/12 of rounding.
    """
    n = len(positions)
    reach = int(np.ceil(REACH * widths.max()))
    steps = np.arange(-reach, reach + 1)
    centre = np.rint(positions).astype(int)
    column, row = centre[:, :1] + steps, centre[:, 1:] + steps
    (ex, dx), (ey, dy) = (
        edge_profiles(pixels - positions[:, axis, None], widths[:, None]) for axis, pixels in ((0, column), (1, row))
    )
    flux = (amplitudes * 2 * np.pi * widths**2)[:, None, None]
    slopes = np.stack(
        [
            flux * ey[:, :, None] * dx[:, None, :],
            flux * dy[:, :, None] * ex[:, None, :],
            ey[:, :, None] * ex[:, None, :],
        ],
        axis=1,
    )
    pixel = row[:, :, None] * shape[1] + column[:, None, :]
    seen = ((row >= 0) & (row < shape[0]))[:, :, None] & ((column >= 0) & (column < shape[1]))[:, None, :]
    mean = np.full(shape[0] * shape[1], background)
    np.add.at(mean, pixel[seen], (flux * slopes[:, 2])[seen])
    which = np.broadcast_to(np.arange(3 * n).reshape(n, 3, 1, 1), slopes.shape)
    everywhere = np.broadcast_to(seen[:, None], slopes.shape)
    where = np.broadcast_to(pixel[:, None], slopes.shape)[everywhere]
    jacobian = csr_array((slopes[everywhere], (which[everywhere], where)), shape=(3 * n, len(mean)))
    weight = 1.0 / (mean + read_noise**2 + 1.0 / 12.0)
    return csr_array((jacobian * weight[None, :]) @ jacobian.T)


def crowd_bound(
    positions: np.ndarray, widths: np.ndarray, amplitudes: np.ndarray, shape: tuple[int, int], *,
    background: float, read_noise: float, alone: bool = False, tile: float = 60.0, margin: float = 20.0,
) -> np.ndarray:  # fmt: skip
    """Return the smallest standard errors of x and y of each particle, shape (n, 2), in px.

    Positions and fluxes of all particles are unknown (a neighbour further than ``margin`` does not matter), or with
    ``alone`` those of the neighbours are known and only their light adds noise.
    """
    information = fisher(positions, widths, amplitudes, shape, background=background, read_noise=read_noise)
    bound = np.full((len(positions), 2), np.nan)
    if alone:
        for k in range(len(positions)):
            own = information[3 * k : 3 * k + 3, 3 * k : 3 * k + 3].toarray()
            bound[k] = np.sqrt(np.diag(np.linalg.inv(own))[:2])
        return bound
    for left in np.arange(0.0, shape[1], tile):
        for low in np.arange(0.0, shape[0], tile):
            far = np.maximum(np.abs(positions - [left + tile / 2, low + tile / 2]) - tile / 2, 0.0).max(axis=1)
            near = np.flatnonzero(far <= margin)
            if not (far == 0).any():
                continue
            index = (3 * near[:, None] + np.arange(3)).ravel()
            inverse = np.linalg.inv(information[index][:, index].toarray())
            errors = np.sqrt(np.diag(inverse)).reshape(-1, 3)[:, :2]
            bound[near[far[near] == 0]] = errors[far[near] == 0]
    return bound
