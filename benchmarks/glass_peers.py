"""Kob-Andersen configurations, linear variables of the same neighbourhoods, and how well a variable tells who moves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from benchmarks.record import data_folder
from colloid_cg.records import Box, Trajectories
from colloid_cg.structure.sampling import LaggedRows

EDGE = 15.05658
BOX = Box(lower=(0.0,) * 3, upper=(EDGE,) * 3, periodic=(True,) * 3)
HOT = 0.95
PENALTY = 1000.0


@dataclass(frozen=True, eq=False)
class Glass:
    """One configuration: positions (n, 3), species (n,), positions at the alpha time (32, n, 3)."""

    start: np.ndarray
    species: np.ndarray
    ends: np.ndarray

    @property
    def distances(self) -> np.ndarray:
        """How far every particle moves in every run, shape (32, n)."""
        return np.asarray(np.linalg.norm(self.ends - self.start, axis=2))

    def movie(self) -> Trajectories:
        """Return two frames: the start and the end of the first run."""
        return movie_of([self.start, self.ends[0]], self.species, BOX)


def movie_of(frames: list[np.ndarray], species: np.ndarray, box: Box) -> Trajectories:
    """Return positions (n, d) of some frames as a movie in the units of the simulation."""
    n, axes = len(species), ["x", "y", "z"][: box.dimension]
    table = pd.DataFrame(
        {"frame": np.repeat(np.arange(len(frames)), n), "particle": np.tile(np.arange(n), len(frames))}
    )
    table["species"] = np.tile(species, len(frames))
    table[axes] = np.concatenate(frames)
    return Trajectories(table=table, pixel_size=1.0, frame_interval=1.0, field_of_view=box, n_frames=len(frames))


def glasses() -> list[Glass]:
    """Return all configurations."""
    found = []
    for path in sorted((data_folder() / "kob_andersen").glob("*.npz")):
        with np.load(path) as archive:
            found.append(
                Glass(
                    start=archive["initial_positions"].astype(float), species=archive["types"].astype(int),
                    ends=archive["positions"].astype(float),
                )
            )  # fmt: skip
    return found


def area_under_curve(scores: np.ndarray, positive: np.ndarray) -> float:
    """Return the probability that a positive has the larger score."""
    return area_of_ranks(rankdata(scores), positive)


def area_of_ranks(ranks: np.ndarray, positive: np.ndarray) -> float:
    """Return the same from the ranks, 1 the smallest."""
    n = int(positive.sum())
    return float((ranks[positive].sum() - n * (n + 1) / 2) / n / (len(positive) - n))


def hot_and_oracle(distances: np.ndarray, run: int) -> tuple[np.ndarray, float]:
    """Return the fastest 5 % of a run (mask) and AUC - 1/2 of the mean of all other runs for them."""
    hot = distances[run] > np.quantile(distances[run], HOT)
    others = (distances.sum(axis=0) - distances[run]) / (len(distances) - 1)
    return hot, area_under_curve(others, hot) - 0.5


def pooled_efficiencies(
    scores: dict[str, list[np.ndarray]], distances: list[np.ndarray], *, runs: range = range(1)
) -> dict[str, float]:
    """Return what each score reaches of what the other runs reach, all configurations together, mean over ``runs``."""
    moved = np.concatenate(distances, axis=1)
    cases = [hot_and_oracle(moved, run) for run in runs]
    oracle = sum(each for _, each in cases)
    together = {name: rankdata(np.concatenate(each)) for name, each in scores.items()}
    return {
        name: float(sum(area_of_ranks(ranks, hot) - 0.5 for hot, _ in cases) / oracle)
        for name, ranks in together.items()
    }


def ridge(values: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return the weights of standardised ``values`` that predict ``target``."""
    return np.asarray(
        np.linalg.solve(values.T @ values + PENALTY * np.eye(values.shape[1]), values.T @ (target - target.mean()))
    )


def lagged_correlation(now: np.ndarray, later: np.ndarray, *, shrink: float = 0.03) -> np.ndarray:
    """Return the weights of the first canonical variable of neighbourhoods now and a lag later."""
    n, q = now.shape
    first, second = (np.linalg.cholesky(x.T @ x / n + shrink * np.eye(q)) for x in (now, later))
    cross = np.linalg.solve(second, np.linalg.solve(first, now.T @ later / n).T).T
    return np.asarray(np.linalg.solve(first.T, np.linalg.svd(cross)[0][:, 0]))


def linear_peers(rows: list[LaggedRows], runs: list[np.ndarray]) -> dict[str, np.ndarray]:
    """Return weights of the linear variables of one species, for values standardised over the rows.

    ``runs`` holds the distances (32, n) of the same particles. Components have no sign of their own: here they rise
    with the displacements of the one run that is seen.
    """
    now, later = (np.concatenate([getattr(each, name) for each in rows]) for name in ("present", "later"))
    now, later = ((values - values.mean(axis=0)) / (values.std(axis=0) + 1e-9) for values in (now, later))
    single = np.log(np.concatenate([each[0] for each in runs]) + 0.02)
    propensity = np.concatenate([each.mean(axis=0) for each in runs])

    def signed(weights: np.ndarray) -> np.ndarray:
        return np.asarray(weights * np.sign(np.corrcoef(now @ weights, single)[0, 1]))

    return {
        "first principal component": signed(np.linalg.eigh(now.T @ now)[1][:, -1]),
        "time-lagged canonical correlation": signed(lagged_correlation(now, later)),
        "ridge on the displacements of one run": ridge(now, single),
        "ridge on propensity (supervised, 32 runs)": ridge(now, propensity),
    }
