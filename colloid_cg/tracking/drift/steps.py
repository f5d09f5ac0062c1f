"""Common motion between two consecutive frames: displacement = t + A (x - c), by least squares over the particles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

OUTLIER_CUT = 8.0
"""Displacements further from the common motion, in robust standard deviations, are taken for wrong links."""
EDGE_MARGIN = 8.0
"""Particles closer to the edge, in standard deviations of a step, tell nothing about strain: see :func:`fit_step`."""
FEWEST_FOR_GRADIENT = 4
FEWEST_FOR_OUTLIERS = 20
_NORMAL = 1.4826  # standard deviation of a normal variable / its median absolute deviation
_SMALLEST_REMAINDER = 0.1  # of 1 - leverage: keeps the correction finite where one particle decides the fit
_WORST_CONDITION = 1e8


@dataclass(frozen=True, kw_only=True)
class Links:
    """Particles seen in frames k - 1 and k: positions in k - 1 and displacements to k; where they were in k - 2.

    All (n, 2), in px, positions relative to the centre of the motion; ``before`` is NaN for particles that were not
    seen in k - 2. ``lower, upper`` (2,) bound the region where particles have been seen so far; ``open_view`` says
    that some were lost from one frame to the next.
    """

    position: np.ndarray
    displacement: np.ndarray
    before: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    open_view: bool

    def __len__(self) -> int:
        return len(self.position)


@dataclass(frozen=True, kw_only=True)
class Step:
    """Common motion of one step, and how much each particle had to say in it.

    Attributes
    ----------
    mean : numpy.ndarray
        Mean displacement, shape (2,), px.
    mean_influence : numpy.ndarray
        Influence of each particle on it, shape (2, n).
    gradient : numpy.ndarray
        (A | t), shape (2, 3).
    weight, residual : numpy.ndarray
        Influence of a particle on (A | t) is the outer product of its ``residual`` (2, n) and ``weight`` (3, n).
    has_gradient : bool
        False where A could not be estimated and is zero.
    taken, added : dict
        Variance, in units of that of one coordinate of one displacement, that removing each kind of motion takes from
        the displacements (2 tr H) and puts into them (tr H H^T), summed over all of them.
    scatter : float
        Root mean square of a coordinate of the displacements about the motion, px.
    n_left_out : int
    """

    mean: np.ndarray
    mean_influence: np.ndarray
    gradient: np.ndarray
    weight: np.ndarray
    residual: np.ndarray
    has_gradient: bool
    taken: dict[str, float]
    added: dict[str, float]
    scatter: float
    n_left_out: int


def fit_step(links: Links, *, minimum_particles: int) -> Step:
    """Return the common motion of one step.

    Two effects would make a sample at rest seem to shrink, by a little in every step, and they add up:

    - The localisation error e of frame k - 1 enters the position and, with the other sign, the displacement: ordinary
      least squares gives A = -var e / var x. The position in frame k - 2, whose error is independent of both, is
      therefore the instrument: A = D^T Z (X^T Z)^-1 with rows (x, y, 1) of Z from k - 2 and of X from k - 1.
    - Of the particles near the edge of the view those that step outwards are not seen again. Where particles get lost
      at all, only those that were ``EDGE_MARGIN`` standard deviations of a step inside in frame k - 2 are used (a
      choice by x in k - 1 would again depend on e).

    Displacements more than ``OUTLIER_CUT`` robust standard deviations off this motion are left out, and the fit is
    repeated once.

    The mean displacement, which neither effect changes, is that of all particles, as in ``trackpy.compute_drift``.
    """
    n = len(links)
    mean = links.displacement.mean(axis=0)
    about = (links.displacement - mean).T
    mean_influence = about / np.sqrt(n * (n - 1))
    taken, added = {"translation": 4.0}, {"translation": 2.0}
    good = np.ones(n, dtype=bool)
    fit = _gradient(links, _for_gradient(links, good, minimum_particles))
    if fit is not None:
        good = _not_jumping(links.displacement - _common(links, fit))
        if not good.all():
            fit = _gradient(links, _for_gradient(links, good, minimum_particles))
    if fit is None:
        return Step(
            mean=mean, mean_influence=mean_influence, gradient=np.column_stack([np.zeros((2, 2)), mean]),
            weight=np.vstack([np.zeros((2, n)), np.ones(n)]), residual=mean_influence, has_gradient=False,
            taken=taken, added=added, scatter=float(np.sqrt((about**2).sum() / (2 * n - 2))), n_left_out=0,
        )  # fmt: skip
    residual = links.displacement - _common(links, fit)
    taken |= {"rigid": 6.0, "affine": 12.0}
    added["rigid"] = _spread_rigid(fit.covariance, links.position)
    added["affine"] = _spread_affine(fit.covariance, links.position)
    return Step(
        mean=mean, mean_influence=mean_influence, gradient=fit.coefficients.T, weight=fit.weight,
        residual=residual.T, has_gradient=True, taken=taken, added=added,
        scatter=float(np.sqrt((residual[good] ** 2).mean())), n_left_out=n - int(good.sum()),
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class _Gradient:
    coefficients: np.ndarray  # (3, 2): rows A^T, t
    weight: np.ndarray  # (3, n), zero for particles that were not used
    covariance: np.ndarray  # (3, 3) of a column of the coefficients, for displacements of unit variance


def _for_gradient(links: Links, good: np.ndarray, minimum: int) -> np.ndarray:
    """Return the particles for the fit of A: with an instrument and inside, if these are at least half of all."""
    known = good & np.isfinite(links.before[:, 0])
    choices = [known, good]
    if links.open_view and known.any():
        centred = links.displacement - np.median(links.displacement, axis=0)
        step = _NORMAL * float(np.median(np.abs(centred)))
        margin = EDGE_MARGIN * step + 2.0 * np.abs(links.displacement.mean(axis=0))
        inside = (links.before > links.lower + margin) & (links.before < links.upper - margin)
        choices.insert(0, known & inside.all(axis=1))
    enough = max(minimum, FEWEST_FOR_GRADIENT, len(links) // 2)
    return next((choice for choice in choices if choice.sum() >= enough), good)


def _gradient(links: Links, chosen: np.ndarray) -> _Gradient | None:
    """Return the instrumental-variable fit to the chosen particles, None where they cannot decide it."""
    if chosen.sum() < FEWEST_FOR_GRADIENT:
        return None
    ones = np.ones((int(chosen.sum()), 1))
    x = np.hstack([links.position[chosen], ones])
    before = links.before[chosen]
    z = np.hstack([np.where(np.isfinite(before), before, links.position[chosen]), ones])
    size = np.array([*np.maximum(np.abs(x[:, :2]).max(axis=0), 1e-12), 1.0])
    moments = (z / size).T @ (x / size)
    if np.linalg.cond(moments) > _WORST_CONDITION:
        return None
    inverse = np.linalg.inv(moments) / np.outer(size, size)
    projected = z @ inverse.T  # rows P z_i
    leverage = (projected * x).sum(axis=1)
    weight = np.zeros((3, len(links)))
    # White's estimator with the correction for leverage (MacKinnon and White 1985, HC2,
    # doi:10.1016/0304-4076(85)90158-7): the residual of a particle that draws the fit to itself is too small.
    weight[:, chosen] = (projected / np.sqrt(np.maximum(1.0 - leverage, _SMALLEST_REMAINDER))[:, None]).T
    return _Gradient(
        coefficients=projected.T @ links.displacement[chosen],
        weight=weight,
        covariance=projected.T @ projected,
    )


def _common(links: Links, fit: _Gradient) -> np.ndarray:
    """Return the common displacement at every particle, shape (n, 2)."""
    return np.asarray(links.position @ fit.coefficients[:2] + fit.coefficients[2])


def _not_jumping(residual: np.ndarray) -> np.ndarray:
    if len(residual) < FEWEST_FOR_OUTLIERS:
        return np.ones(len(residual), dtype=bool)
    scale = _NORMAL * float(np.median(np.abs(residual)))
    if scale == 0.0:  # most particles stand still: then nothing says what a jump is
        return np.ones(len(residual), dtype=bool)
    return np.asarray(np.abs(residual).max(axis=1) <= OUTLIER_CUT * scale)


def _spread_affine(k: np.ndarray, position: np.ndarray) -> float:
    """Return the summed variance of t + A x over the particles (both axes), for displacements of unit variance."""
    x = np.hstack([position, np.ones((len(position), 1))])
    return 2.0 * float(((x.T @ x) * k).sum())


def _spread_rigid(k: np.ndarray, position: np.ndarray) -> float:
    """Return the summed variance of t + omega (-y, x) with omega = (A_yx - A_xy) / 2.

    var omega = (K_xx + K_yy) / 4, cov(t_x, omega) = -K_y1 / 2, cov(t_y, omega) = K_x1 / 2.
    """
    turning = (k[0, 0] + k[1, 1]) / 4.0 * float((position**2).sum())
    return float(2.0 * len(position) * k[2, 2] + turning + position.sum(axis=0) @ k[:2, 2])
