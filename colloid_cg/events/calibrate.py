"""Variances of the null from the movie itself: by class, by particle, and what spread is left between tests."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from colloid_cg.events.deformation import Deformation
from colloid_cg.events.nulls import d2min_draw
from colloid_cg.shapes import Scalars

_ROUNDS = 20
_SUBSAMPLE = 50_000
_SMALLEST_SHARE = 0.1
_FEWEST_ROWS = 8
_FEWEST_GROUPS = 20
_SURE = 2.0


@dataclass(frozen=True, kw_only=True, eq=False)
class NullLaw:
    """Gamma and centre part of every test's null law, shapes (n,).

    D2min summed over bonds is scale [chi2_(d (count - d - 1)) + (1 + shared) chi2_d], of mean ``mean``.
    """

    scale: Scalars
    count: Scalars
    shared: Scalars
    mean: Scalars


def null_law(motion: Deformation, rows: np.ndarray, variance: np.ndarray, *, dimension: int) -> NullLaw:
    """Return the null law of D2min where class k has non-affine displacements of variance V_k.

    With v_j = V_k(j) + s_j the residual P (delta_neighbours - delta_centre 1) has per coordinate the covariance
    P (diag v + v_i 1 1^T) P: weights near v_j, and one c v_i more along the common direction. The n - d - 1 weights of
    the neighbours are replaced by equal ones with the same sum and sum of squares (Satterthwaite 1946,
    doi:10.2307/3002019), which is exact for equal v.
    """
    d = dimension
    free = motion.count[rows] - d
    weight, own_class = motion.weight[rows], motion.classes[rows]
    typical = (weight @ variance) / free
    level = np.maximum(typical + motion.noise[rows] / free, _SMALLEST_SHARE * typical)
    own = np.maximum(variance[own_class] + motion.own[rows], _SMALLEST_SHARE * variance[own_class])
    uneven = np.maximum((weight @ variance**2) / free / typical**2, 1.0)
    scale = level * uneven
    centre = level + motion.shared[rows] * own
    return NullLaw(
        scale=scale,
        count=(free - 1.0) / uneven + d + 1.0,
        shared=np.maximum(centre / scale - 1.0, 0.0),
        mean=d * (level * free + motion.shared[rows] * own),
    )


def class_variances(
    motion: Deformation, rows: np.ndarray, rng: np.random.Generator, *, dimension: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return V_k (um2) for which the median of every class is that of its null, and draws over their means.

    Medians are hardly moved by rare events. Each step multiplies V_k by the ratio of the observed median to that of
    draws of the null; neighbourhoods are mixed, so a few steps are needed.
    """
    some = rows[np.linspace(0, len(rows) - 1, min(len(rows), _SUBSAMPLE)).astype(int)]
    classes = motion.classes[some]
    variance = np.full(motion.weight.shape[1], np.median(motion.total[some] / motion.count[some]) / (2 * dimension))
    seed = rng.integers(2**63)
    drawn = np.zeros(len(some))
    for _ in range(_ROUNDS):
        law = null_law(motion, some, variance, dimension=dimension)
        draw = np.random.default_rng(seed)
        drawn = law.scale * d2min_draw(law.count, law.shared, draw, dimension=dimension) / law.mean
        seen = motion.total[some] / law.mean
        for k in range(len(variance)):
            own = classes == k
            if own.any():
                variance[k] *= np.median(seen[own]) / np.median(drawn[own])
    return variance, drawn


@dataclass(frozen=True, kw_only=True, eq=False)
class Levels:
    """How much more each test's group moves than all do, as a logarithm (n,), and its spread between groups."""

    log_level: Scalars
    spread: float


def particle_levels(log_ratio: np.ndarray, particle: np.ndarray, frame: np.ndarray, *, lag: int) -> Levels:
    """Return each particle's own level, from what alternate stretches of the movie share (see ``shared_levels``).

    ``lag`` is the number of frames over which values of one particle depend on each other.
    """
    stretch = 4 * lag
    return shared_levels(log_ratio, particle, (frame // stretch) % 2, frame % stretch >= lag)


def frame_levels(log_ratio: np.ndarray, frame: np.ndarray, positions: np.ndarray) -> Levels:
    """Return each frame's own level, from what both sides of the view share (see ``shared_levels``).

    A frame in which the picture is blurred, or tracking goes wrong all over, has a level of its own.
    """
    side = (positions[:, 0] > np.median(positions[:, 0])).astype(int)
    return shared_levels(log_ratio, frame, side, np.ones(len(frame), dtype=bool))


def shared_levels(log_ratio: np.ndarray, group: np.ndarray, half: np.ndarray, counted: np.ndarray) -> Levels:
    """Return the level of each group of tests, shrunk by how well the movie knows it.

    The median of ln(value / null) of a group is compared between two halves of it that share nothing but the group:
    their covariance over groups is tau^2, the variance of the groups' own levels; what else they vary by is chance.
    The level is the median times tau^2 / (tau^2 + its own chance). Medians ignore rearrangements in less than
    half of the tests. Where groups are too few or too small to tell, or tau is not told from zero, levels are zero.
    """
    none = Levels(log_level=np.zeros(len(log_ratio)), spread=0.0)
    table = pd.DataFrame({"group": group, "value": log_ratio, "half": half})
    halves = table[counted].groupby(["group", "half"])["value"].agg(["median", "size"]).unstack()
    if halves.shape[1] < 4:
        return none
    median, size = halves["median"].to_numpy(), halves["size"].to_numpy()
    enough = (np.nan_to_num(size) >= _FEWEST_ROWS).all(axis=1)
    if enough.sum() < _FEWEST_GROUPS:
        return none
    first, second = median[enough].T
    own = float(np.cov(first, second)[0, 1])
    single = 0.5 * float(np.var(first, ddof=1) + np.var(second, ddof=1))
    # Were there nothing, the covariance would have this standard error.
    if own <= _SURE * single / np.sqrt(enough.sum()):
        return none
    chance = 0.5 * (single - own)
    whole = table.groupby("group")["value"].agg(["median", "size"])
    relative = whole["size"].median() / whole["size"]
    shrunk = (whole["median"] - whole["median"].median()) * own / (own + chance * relative)
    return Levels(log_level=shrunk.loc[group].to_numpy(), spread=float(np.sqrt(own)))


def scaled(law: NullLaw, factor: np.ndarray | float) -> NullLaw:
    """Return the law with all variances multiplied."""
    return replace(law, scale=law.scale * factor, mean=law.mean * factor)
