"""The fit of one crowded frame while it is being made: picture = background + all spots + noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from colloid_cg.tracking.background import Mesh, mesh, solve_background
from colloid_cg.tracking.image_model import ImageModel, SpotClass
from colloid_cg.tracking.spot_evidence import background_sums, change_widths, class_evidence
from colloid_cg.tracking.spot_kernels import PIXEL_VARIANCE, add_spots, sweep

LEAST_SPREAD = 0.1  # of the amplitude: prior spread of a class, so that no class is surer than a lamp is even
WIDTH_RANGE = (0.4, 2.5)  # of the narrowest and widest class, for widths fitted to single particles


@dataclass(kw_only=True, eq=False)
class Crowd:
    """State of the fit; ``residual`` always is the picture less the background less all spots.

    Parameters
    ----------
    picture : array, shape (height, width)
        Frame, its sign turned for dark particles.
    residual, weight : array, shape (height, width)
        See above; one over the variance, 0 for hot and saturated pixels.
    spots : array, shape (n, 4)
        x, y, peak, width of each particle as the pixels see it (see :mod:`spot_kernels`).
    species : int array, shape (n,)
        Class of each particle.
    hidden : bool array, shape (n,)
        Whether the particle was found in the residual.
    classes : array, shape (classes, 4)
        Width as the pixels see it, peak, its standard deviation, share.
    functions, coefficients, covariance
        The background, and the covariance of its coefficients.
    """

    picture: np.ndarray
    residual: np.ndarray
    weight: np.ndarray
    spots: np.ndarray
    species: np.ndarray
    hidden: np.ndarray
    classes: np.ndarray
    functions: Mesh
    coefficients: np.ndarray
    covariance: np.ndarray
    model: ImageModel
    sign: float

    def weigh(self) -> None:
        """Set the weights from the fitted mean: scoring with them is maximum likelihood for Poisson plus Gaussian."""
        self.weight = 1.0 / self.model.variance(self.sign * (self.picture - self.residual))
        for row, column in self.model.hot_pixels:
            self.weight[row, column] = 0.0
        if np.isfinite(self.model.saturation):
            self.weight[self.sign * self.picture >= self.model.saturation] = 0.0

    def move(self, *, free_widths: bool = False) -> np.ndarray:
        """Sweep once over all particles; returns how far each moved in px."""
        width = self.classes[:, 0]
        usual = width[np.argmax(self.classes[:, 3])]
        limits = np.array([WIDTH_RANGE[0] * width.min(), WIDTH_RANGE[1] * width.max(), usual])
        return np.asarray(sweep(self.residual, self.weight, self.spots, limits, 4 if free_widths else 3))

    def classify(self) -> np.ndarray:
        """Put each particle in its most likely class; returns the log evidence, shape (n, classes)."""
        evidence = np.asarray(class_evidence(self.residual, self.weight, self.spots, self.classes))
        self.species = np.argmax(evidence, axis=1)
        self.set_widths(self.classes[self.species, 0])
        return evidence

    def set_widths(self, widths: np.ndarray) -> None:
        """Give each particle a width, and the peak that goes with it."""
        change_widths(self.residual, self.weight, self.spots, np.ascontiguousarray(widths, dtype=float))

    def fit_background(self) -> None:
        """Fit the background with the peaks of all particles eliminated."""
        light = self.picture - self.residual
        light -= self.functions.picture(self.coefficients)
        sums = background_sums(self.residual, self.weight, light, self.spots)
        change, self.covariance = solve_background(self.functions, self.residual, self.weight, self.spots, sums)
        self.coefficients = self.coefficients + change
        self.residual -= self.functions.picture(change)

    def use_mesh(self, functions: Mesh) -> None:
        """Start the background again from the level of the model with other functions."""
        self.residual += self.functions.picture(self.coefficients)
        self.functions = functions
        self.coefficients = np.full(functions.size, self.sign * self.model.background)
        self.covariance = np.zeros((functions.size, functions.size))
        self.residual -= self.functions.picture(self.coefficients)

    def include(self, spots: np.ndarray, species: np.ndarray, *, hidden: bool = False) -> None:
        """Add particles."""
        add_spots(self.residual, np.ascontiguousarray(spots), -1.0)
        self.spots = np.concatenate([self.spots, spots])
        self.species = np.concatenate([self.species, species])
        self.hidden = np.concatenate([self.hidden, np.full(len(spots), hidden)])

    def exclude(self, chosen: np.ndarray) -> None:
        """Take out the particles of a mask."""
        add_spots(self.residual, self.spots[chosen], 1.0)
        self.spots, self.species = np.ascontiguousarray(self.spots[~chosen]), self.species[~chosen]
        self.hidden = self.hidden[~chosen]

    def diverged(self) -> bool:
        """Return whether the fit leaves more of the frame than there is above the background level of the movie.

        Then no particles at all would have been better, and no place can be believed. Pixels without weight do not
        count.
        """
        seen = self.weight > 0.0
        light, left = seen * (self.picture - self.sign * self.model.background), seen * self.residual
        return bool(np.vdot(left, left) > np.vdot(light, light))

    def background_variance(self) -> np.ndarray:
        """Variance of the fitted background where each particle is, shape (n,)."""
        values = self.functions.at(self.spots[:, 0], self.spots[:, 1])
        return np.asarray(np.einsum("na,ab,nb->n", values, self.covariance, values, optimize=True))


def as_seen(classes: tuple[SpotClass, ...]) -> np.ndarray:
    """Return width, peak, its standard deviation and share of each class as the pixels see it, shape (classes, 4)."""
    width = np.array([item.width for item in classes])
    amplitude = np.abs([item.amplitude for item in classes])
    spread = np.maximum([item.amplitude_spread for item in classes], LEAST_SPREAD * amplitude)
    share = np.maximum([item.share for item in classes], 1e-3)
    seen = np.sqrt(width**2 + PIXEL_VARIANCE)
    lowered = (width / seen) ** 2
    return np.column_stack([seen, amplitude * lowered, spread * lowered, share])


def begin(frame: np.ndarray, x: np.ndarray, y: np.ndarray, model: ImageModel, *, invert: bool) -> Crowd:
    """Return the fit of a frame as it starts: spots of the commonest class where particles were found."""
    sign = -1.0 if invert else 1.0
    picture = sign * np.asarray(frame, dtype=float)
    classes = as_seen(model.classes)
    common = int(np.argmax(classes[:, 3]))
    functions = mesh(picture.shape, model.background_scale)
    row = np.clip(np.round(y).astype(int), 0, picture.shape[0] - 1)
    column = np.clip(np.round(x).astype(int), 0, picture.shape[1] - 1)
    peak = np.maximum(picture[row, column] - sign * model.background, 0.2 * classes[common, 1])
    spots = np.column_stack([x, y, peak, np.full(len(x), classes[common, 0])])
    coefficients = np.full(functions.size, sign * model.background)
    crowd = Crowd(
        picture=picture,
        residual=picture - functions.picture(coefficients),
        weight=np.zeros_like(picture),
        spots=np.empty((0, 4)),
        species=np.empty(0, dtype=int),
        hidden=np.empty(0, dtype=bool),
        classes=classes,
        functions=functions,
        coefficients=coefficients,
        covariance=np.zeros((functions.size, functions.size)),
        model=model,
        sign=sign,
    )
    crowd.include(spots, np.full(len(x), common))
    crowd.weigh()
    return crowd
