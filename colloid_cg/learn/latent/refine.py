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
FEWEST_PARTICLES = 30
"""Of a species that has an own law."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Regression:
    """Weights (p,) of all rows, those without each fold (FOLDS, p), and what was predicted of unseen particles."""

    whole: np.ndarray
    folds: np.ndarray
    correlation: float


def refined(
    encoder: StructureModel, tracks: Trajectories, structure: np.ndarray, rows: LatentRows, law: LatentLaw
) -> tuple[StructureModel, np.ndarray] | None:
    """Return the encoder of one latent that tells the posterior log-mobility, and its cross-fitted values.

    Parameters
    ----------
    encoder : StructureModel
        With one latent, of single frames.
    tracks : Trajectories
        Training block.
    structure : array, shape (n, 1)
        What the encoder says of its detections, NaN where they are hidden.
    rows : LatentRows
        Its steps.
    law : LatentLaw
        Memory alone.

    Returns
    -------
    StructureModel, array of shape (n, 1), or None
        None where nothing in the neighbourhood of unseen particles goes with their mobility, or no better than what the
        encoder says already.
    """
    found = filtered(law, rows)
    target = np.full(len(tracks), np.nan)
    target[rows.detection] = law.memory_slope[rows.species] * moments(beside(law, found, rows), found.grid)[0]
    regressions = _regressions(encoder, tracks, structure[:, 0], target)
    if not regressions:
        return None
    values, species = _cross_fitted(encoder, tracks, regressions), tracks.table["species"].to_numpy()
    weights, changed = dict(encoder.weights), structure[:, 0].copy()
    for kind, regression in regressions.items():
        own = (species == kind) & np.isfinite(values)
        mean, deviation = float(values[own].mean()), float(values[own].std()) or 1.0
        changed[species == kind] = (values[species == kind] - mean) / deviation
        weights |= _linear(weights, f"species{kind}.", regression.whole, mean, deviation)
    metadata = encoder.metadata | {
        "refined": {str(kind): {"correlation": each.correlation} for kind, each in regressions.items()}
    }
    return replace(encoder, weights=weights, metadata=metadata), changed[:, None]


def _regressions(
    encoder: StructureModel, tracks: Trajectories, told: np.ndarray, target: np.ndarray
) -> dict[int, _Regression]:
    """Return the regressions, signed by the local density, of species whose mobility they tell better than ``told``."""
    frame = tracks.table["frame"].to_numpy()[np.isfinite(target)]
    frames = np.unique(np.linspace(frame.min(), frame.max(), _FRAMES).round().astype(int))
    sample = list(_described(encoder, tracks, frames))
    found: dict[int, _Regression] = {}
    for species in encoder.species:
        x, at, particle, density = _gathered(encoder, sample, np.isfinite(target), species)
        fold = np.unique(particle, return_inverse=True)[1]
        if len(at) <= 10 * FOLDS or fold.max() + 1 < FEWEST_PARTICLES or not float(np.ptp(target[at])) > 0.0:
            continue
        one = _regression(x, target[at], fold % FOLDS)
        before = float(np.corrcoef(told[at], target[at])[0, 1]) if float(told[at].std()) > 0.0 else 0.0
        if one.correlation > max(SURE / np.sqrt(fold.max() + 1), abs(before)):
            sign = 1.0 if np.corrcoef(x @ one.whole, density)[0, 1] >= 0.0 else -1.0
            found[species] = replace(one, whole=sign * one.whole, folds=sign * one.folds)
    return found


def _described(
    encoder: StructureModel, tracks: Trajectories, frames: np.ndarray
) -> Iterator[tuple[np.ndarray, FrameRows]]:
    """Yield the detections of each frame whose neighbourhood is in view, and its description."""
    movie, particle = Movie(tracks, neighbourhood=encoder.neighbourhood), tracks.table["particle"].to_numpy()
    for frame in frames:
        part, found = movie.describe(int(frame))
        rows = movie.rows(part, found)
        yield part.start + np.searchsorted(particle[part], rows.particle), rows


def _standardised(encoder: StructureModel, values: np.ndarray, species: int) -> np.ndarray:
    prefix = f"species{species}."
    return np.asarray((values - encoder.weights[prefix + "mean"]) * encoder.weights[prefix + "inverse_scale"])


def _gathered(
    encoder: StructureModel, sample: list[tuple[np.ndarray, FrameRows]], wanted: np.ndarray, species: int
) -> tuple[np.ndarray, ...]:
    """Return descriptors, detections, particles and local density of the wanted detections of one species."""
    parts = []
    for at, described in sample:
        own = (described.species == species) & wanted[at]
        values = _standardised(encoder, described.values[own], species)
        parts.append((values, at[own], described.particle[own], described.density[own]))
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


def _cross_fitted(encoder: StructureModel, tracks: Trajectories, regressions: dict[int, _Regression]) -> np.ndarray:
    """Return the prediction for every detection by the regression without its particle, shape (n,), NaN: hidden."""
    table = tracks.table
    values, fold = np.full(len(table), np.nan), np.unique(table["particle"], return_inverse=True)[1]
    for at, described in _described(encoder, tracks, np.unique(table["frame"])):
        for species, regression in regressions.items():
            own = described.species == species
            x = _standardised(encoder, described.values[own], species)
            values[at[own]] = (x * regression.folds[fold[at[own]] % FOLDS]).sum(axis=1)
    return values


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
