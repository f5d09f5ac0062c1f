"""Azimuthal means around particles: the pixels a radial profile is estimated from."""

from __future__ import annotations

import math

import numba
import numpy as np

from colloid_cg.tracking.profile_fit import AMPLITUDE, LEVEL, SCALE, SLOPE_X, SLOPE_Y, X, Y, interpolated, window


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def ring_light(
    picture: np.ndarray, circles: np.ndarray, chosen: np.ndarray, relative: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Sum of the picture and number of pixels around circles, by distance in units of their radius.

    Pixels that are nearer to another circle (in terms of the power distance d^2 - R^2) are left out.

    Parameters
    ----------
    picture : array, shape (height, width)
    circles : array, shape (n, 3)
        x, y and radius of all particles (px).
    chosen : int array
        Those that are averaged.
    relative : array, shape (m,)
        Evenly spaced from 0: distance / radius.

    Returns
    -------
    light, share : arrays, shape (m,)
    """
    light, share = np.zeros(len(relative)), np.zeros(len(relative))
    step = relative[1] - relative[0]
    for index in chosen:
        x, y, radius = circles[index]
        reach = radius * relative[-1]
        near = np.empty(len(circles), np.int64)
        neighbours = 0
        for other in range(len(circles)):
            far = math.hypot(circles[other, 0] - x, circles[other, 1] - y)
            if other != index and far < reach + 1.5 * circles[other, 2]:
                near[neighbours] = other
                neighbours += 1
        top, bottom, left, right = window(x, y, reach, picture.shape[0], picture.shape[1])
        for row in range(top, bottom):
            for column in range(left, right):
                own = (column - x) ** 2 + (row - y) ** 2
                mine = True
                for k in range(neighbours):
                    q = circles[near[k]]
                    if (column - q[0]) ** 2 + (row - q[1]) ** 2 - q[2] ** 2 < own - radius**2:
                        mine = False
                        break
                place = int(math.sqrt(own) / radius / step + 0.5)
                if mine and place < len(relative):
                    light[place] += picture[row, column]
                    share[place] += 1.0
    return light, share


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def binned_profile(
    picture: np.ndarray,
    parameters: np.ndarray,
    classes: np.ndarray,
    chosen: np.ndarray,
    values: np.ndarray,
    reaches: np.ndarray,
    step: float,
    bins: int,
) -> np.ndarray:
    """Weight, weighted radius and weighted height of the pixels of fitted particles by radius, shape (3, bins).

    The height of a pixel is what is left of it without neighbours and background, divided by the height of the
    particle; its weight is the square of the latter.
    """
    height, width = picture.shape
    light = np.zeros(picture.shape)
    for index in range(len(parameters)):
        q, k = parameters[index], classes[index]
        top, bottom, left, right = window(q[X], q[Y], reaches[k] * q[SCALE], height, width)
        for row in range(top, bottom):
            for column in range(left, right):
                radius = math.hypot(column - q[X], row - q[Y]) / q[SCALE]
                light[row, column] += q[AMPLITUDE] * interpolated(values[k], radius)
    moments = np.zeros((3, bins))
    for index in chosen:
        q, k = parameters[index], classes[index]
        weight = q[AMPLITUDE] ** 2
        top, bottom, left, right = window(q[X], q[Y], step * bins * q[SCALE], height, width)
        for row in range(top, bottom):
            for column in range(left, right):
                dx, dy = column - q[X], row - q[Y]
                radius = math.hypot(dx, dy) / q[SCALE]
                place = int(radius / step + 0.5)
                if place >= bins:
                    continue
                own = q[AMPLITUDE] * interpolated(values[k], radius)
                background = q[LEVEL] + q[SLOPE_X] * dx + q[SLOPE_Y] * dy
                left_over = picture[row, column] - (light[row, column] - own) - background
                moments[0, place] += weight
                moments[1, place] += weight * radius
                moments[2, place] += weight * left_over / q[AMPLITUDE]
    return moments
