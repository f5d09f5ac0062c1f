"""The encoder trained together with the dynamics: what in the neighbourhood goes with a mobility that lasts.

One round of expectation and maximisation: the posterior of each particle's log-mobility, from memory alone and all of
its track but the steps that the present detection begins or ends (they know its error, as the descriptors do), is the
target of a ridge regression on the descriptors. It holds far less noise than a single displacement, which is all the
encoder was trained on at first. What training rows are given is predicted by a regression that has not
seen their particle (cross-fitting), so that an overfitted encoder cannot pass for a good one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from colloid_cg.learn.latent.law import LatentLaw
from colloid_cg.learn.latent.rows import LatentRows, beside, filtered, moments
from colloid_cg.records import Trajectories
from colloid_cg.structure import StructureModel
from colloid_cg.structure.sampling import FrameRows, Movie

PENALTIES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
"""Of the ridge, over the number of rows; descriptors have unit variance."""
FOLDS = 5
_FRAMES = 60
"""Frames the regression is fitted to, spread over the training block."""
SURE = 2.0
"""Standard errors, with one independent row per particle, by which a correlation must exceed zero."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Regression:
    """Weights (p,) of all rows, those without each fold (FOLDS, p), and what was predicted of unseen particles."""

    whole: np.ndarray
    folds: np.ndarray
    correlation: float


def refined(
    encoder: StructureModel, tracks: Trajectories, rows: LatentRows, law: LatentLaw, *, stride: int
) -> tuple[StructureModel, LatentRows] | None:
    """Return the encoder of one latent that tells the posterior log-mobility, and the rows with cross-fitted values.

    Parameters
    ----------
    encoder : StructureModel
        With one latent, of single frames.
    tracks : Trajectories
        Training block.
    rows : LatentRows
        Its steps.
    law : LatentLaw
        Memory alone.
    stride : int
        Frames of the movie per step.

    Returns
    -------
    StructureModel, LatentRows, or None
        None where nothing in the neighbourhood of unseen particles goes with their mobility.
    """
    found = filtered(law, rows)
    target = law.memory_slope[rows.species] * moments(beside(law, found, rows), found.grid)[0]
    place = _Places(rows)
    frames = np.unique(np.linspace(0, int(rows.frame.max()), _FRAMES).round().astype(int))
    sample = list(_described(encoder, tracks, frames, stride))
    regressions: dict[int, _Regression] = {}
    for species in encoder.species:
        x, y, particle, density = _gathered(encoder, sample, place, target, species)
        if len(y) <= 10 * FOLDS or not float(np.ptp(y)) > 0.0:
            continue
        told = _regression(x, y, particle % FOLDS)
        if told.correlation > SURE / np.sqrt(len(np.unique(particle))):
            sign = 1.0 if np.corrcoef(x @ told.whole, density)[0, 1] >= 0.0 else -1.0
            regressions[species] = replace(told, whole=sign * told.whole, folds=sign * told.folds)
    if not regressions:
        return None
    values, seen = _cross_fitted(encoder, tracks, rows, place, regressions, stride)
    weights, scaled = dict(encoder.weights), values.copy()
    for species, regression in regressions.items():
        own = seen & (rows.species == species)
        mean, deviation = float(values[own].mean()), float(values[own].std()) or 1.0
        scaled[own] = (values[own] - mean) / deviation
        weights |= _linear(weights, f"species{species}.", regression.whole, mean, deviation)
    kept = np.where(np.isin(rows.species, list(regressions)) & seen, scaled, rows.structure[:, 0])
    metadata = encoder.metadata | {
        "refined": {str(species): {"correlation": each.correlation} for species, each in regressions.items()}
    }
    return replace(encoder, weights=weights, metadata=metadata), rows.with_structure(kept[:, None])


class _Places:
    """Finds the row of a particle in a frame."""

    def __init__(self, rows: LatentRows) -> None:
        self._base = int(rows.particle.max()) + 1
        key = rows.frame * self._base + rows.particle
        self._order = np.argsort(key)
        self._key = key[self._order]

    def of(self, frame: int, particle: np.ndarray) -> np.ndarray:
        """Return rows, -1 where there is none."""
        wanted = frame * self._base + particle
        at = np.clip(np.searchsorted(self._key, wanted), 0, len(self._key) - 1)
        return np.asarray(np.where((self._key[at] == wanted) & (particle < self._base), self._order[at], -1))


def _described(
    encoder: StructureModel, tracks: Trajectories, steps: np.ndarray, stride: int, *, before: int = 0
) -> Iterator[tuple[int, FrameRows]]:
    """Yield each step and what is described so many frames of the movie ``before`` it begins."""
    movie, first = Movie(tracks, neighbourhood=encoder.neighbourhood), int(tracks.table["frame"].min())
    for step in steps:
        frame = int(step) * stride - before
        if frame >= 0:
            yield int(step), movie.rows(*movie.describe(first + frame))


def _standardised(encoder: StructureModel, values: np.ndarray, species: int) -> np.ndarray:
    prefix = f"species{species}."
    return np.asarray((values - encoder.weights[prefix + "mean"]) * encoder.weights[prefix + "inverse_scale"])


def _gathered(
    encoder: StructureModel, sample: list[tuple[int, FrameRows]], place: _Places, target: np.ndarray, species: int
) -> tuple[np.ndarray, ...]:
    """Return descriptors, targets, particles and local density of the rows of one species."""
    parts = []
    for frame, described in sample:
        row = place.of(frame, described.particle)
        own = (described.species == species) & (row >= 0)
        values = _standardised(encoder, described.values[own], species)
        parts.append((values, target[row[own]], described.particle[own], described.density[own]))
    return tuple(np.concatenate(column) for column in zip(*parts, strict=True))


def _regression(x: np.ndarray, y: np.ndarray, fold: np.ndarray) -> _Regression:
    """Fit ridges with each penalty without each fold; keep the penalty that tells unseen particles best."""
    y = y - y.mean()
    products = [(x[fold == k].T @ x[fold == k], x[fold == k].T @ y[fold == k], int((fold == k).sum()))
                for k in range(FOLDS)]  # fmt: skip
    square, aim = sum(each[0] for each in products), sum(each[1] for each in products)
    best, chosen, kept = -np.inf, PENALTIES[-1], np.zeros((FOLDS, x.shape[1]))
    for penalty in PENALTIES:
        maps = np.stack([
            _ridge(square - own, aim - cross, penalty * (len(y) - count)) for own, cross, count in products
        ])  # fmt: skip
        told = (x * maps[fold]).sum(axis=1)
        correlation = float(np.corrcoef(told, y)[0, 1]) if told.std() > 0 else 0.0
        if correlation > best:
            best, chosen, kept = correlation, penalty, maps
    return _Regression(whole=_ridge(square, aim, chosen * len(y)), folds=kept, correlation=best)


def _ridge(square: np.ndarray, aim: np.ndarray, penalty: float) -> np.ndarray:
    return np.asarray(np.linalg.solve(square + penalty * np.eye(len(aim)), aim))


def _cross_fitted(
    encoder: StructureModel, tracks: Trajectories, rows: LatentRows, place: _Places,
    regressions: dict[int, _Regression], stride: int,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Return the prediction for every row by the regression without its particle, and which rows have one.

    Like all structural variables of rows it is that of the frame before.
    """
    values, seen = np.zeros(len(rows)), np.zeros(len(rows), dtype=bool)
    steps = np.arange(int(rows.frame.max()) + 1)
    for frame, described in _described(encoder, tracks, steps, stride, before=1):
        row = place.of(frame, described.particle)
        for species, regression in regressions.items():
            own = (described.species == species) & (row >= 0)
            x = _standardised(encoder, described.values[own], species)
            values[row[own]] = (x * regression.folds[described.particle[own] % FOLDS]).sum(axis=1)
            seen[row[own]] = True
    return values, seen


def _linear(
    weights: dict[str, np.ndarray], prefix: str, slope: np.ndarray, mean: float, deviation: float
) -> dict[str, np.ndarray]:
    """Return the arrays of an encoder that is a linear map with this mean and standard deviation."""
    changed = {
        name: np.zeros_like(array) for name, array in weights.items() if name.startswith(f"{prefix}encoder.residual.")
    }
    return changed | {
        f"{prefix}encoder.linear.weight": slope[None].copy(),
        f"{prefix}encoder.linear.bias": np.zeros(1),
        f"{prefix}latent_mean": np.array([mean]),
        f"{prefix}latent_map": np.array([[1.0 / deviation]]),
    }
