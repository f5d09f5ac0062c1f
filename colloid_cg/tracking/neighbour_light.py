"""How far the light of neighbours moves a particle that is fitted alone."""

from __future__ import annotations

import numpy as np
from scipy.spatial import KDTree

from colloid_cg.tracking.choices import Choice
from colloid_cg.tracking.detections import Detections
from colloid_cg.tracking.spot_profile import pixel_light, pixel_slopes

LIGHT_REACH = 5.0  # widths: exp(-12.5) of the height is left out beyond
NOTICED = 0.5  # of the error: a shift that raises the whole error of the particle by an eighth
NOTICED_SHARE = 0.2  # of the particles shifted by as much: above, all are fitted together


def neighbour_shifts(found: Detections, width: float, *, radius: int, noise: tuple[float, float, float]) -> np.ndarray:
    """Return the shift along x and y in px that the light of the neighbours gives each fit, shape (n, 2).

    A fit of q = (x, y, height, background) to the pixels p of its square moves by C sum(w dm/dq L) to first order,
    m its own spot, w one over the variance of a pixel, C = (sum w dm/dq dm/dq')^-1, L the light of all others. A
    light that is even or symmetric about the particle moves nothing.

    Parameters
    ----------
    found : Detections
        Fitted alone, with heights in ``signal``.
    width : float
        Standard deviation of the spots in px.
    radius : int
        Half the edge of the square of pixels a fit uses.
    noise : (offset, slope, least)
        Variance of a pixel of expected level m: max(offset + slope m, least).
    """
    n = len(found)
    if n < 2:
        return np.zeros((n, 2))
    flux = found.signal[:, None] * 2.0 * np.pi * width**2
    offset = np.arange(-radius, radius + 1.0)
    column, row = np.round(found.x)[:, None] + offset, np.round(found.y)[:, None] + offset
    u, v = column - found.x[:, None], row - found.y[:, None]
    across, down = pixel_light(u, width), pixel_light(v, width)
    own = flux[:, :, None] * down[:, :, None] * across[:, None, :]
    derivatives = [
        flux[:, :, None] * down[:, :, None] * pixel_slopes(u, width)[0][:, None, :],
        flux[:, :, None] * pixel_slopes(v, width)[0][:, :, None] * across[:, None, :],
        own / found.signal[:, None, None],
        np.ones_like(own),
    ]
    slopes = np.stack(derivatives, axis=-1).reshape(n, -1, 4)
    weight = (1.0 / np.maximum(noise[0] + noise[1] * own, noise[2])).reshape(n, -1)
    fisher = np.einsum("npa,np,npb->nab", slopes, weight, slopes, optimize=True)
    pull = np.einsum("npa,np,np->na", slopes, weight, _light_of_others(found, width, flux, row, column))
    return np.asarray(np.linalg.solve(fisher, pull[:, :, None])[:, :2, 0])


def _light_of_others(
    found: Detections, width: float, flux: np.ndarray, row: np.ndarray, column: np.ndarray
) -> np.ndarray:
    """Light of the neighbours in the square of each particle, shape (n, pixels)."""
    n, edge = row.shape
    reach = LIGHT_REACH * width + edge / np.sqrt(2.0)
    pairs = KDTree(np.column_stack([found.x, found.y])).query_pairs(reach, output_type="ndarray")
    light = np.zeros((n, edge, edge))
    for here, there in (pairs.T, pairs.T[::-1]):
        across = pixel_light(column[here] - found.x[there, None], width)
        down = pixel_light(row[here] - found.y[there, None], width)
        np.add.at(light, here, (flux[there] * down)[:, :, None] * across[:, None, :])
    return light.reshape(n, -1)


def choose_refinement(shift: np.ndarray, error: np.ndarray) -> Choice:
    """Refinement: all particles together where a fifth of them are moved by their neighbours by half their error.

    What counts is the shift against the error that the particle has anyway, the noise of its pixels and the misfit of
    its shape: a little light of a neighbour always arrives.

    Parameters
    ----------
    shift, error : arrays, shape (n, 2)
        Shift by the neighbours (:func:`neighbour_shifts`) and error of the fit, along x and y in px.
    """
    length, usual = np.hypot(*shift.T), np.hypot(*error.T)
    ratio = length / usual
    share = float((ratio > NOTICED).mean()) if len(ratio) else 0.0
    evidence = {
        "share_shifted": share,
        "particles": len(ratio),
        "shift_over_error": {f"{q:g}": float(np.quantile(ratio, q)) for q in (0.5, 0.75, 0.9)} if len(ratio) else {},
        "median_shift_px": float(np.median(length)) if len(ratio) else None,
        "median_error_px": float(np.median(usual)) if len(ratio) else None,
    }
    reason = f"the light of neighbours shifts {100 * share:.0f} % of the particles by more than half their error"
    return Choice(value="joint" if share > NOTICED_SHARE else "likelihood", reason=reason, evidence=evidence)
