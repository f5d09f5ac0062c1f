"""Whether hidden variables of a glass former tell who will move, beside other variables of the same neighbourhoods.

Kob-Andersen mixtures of COLLOID_CG_DATA: 8 configurations with 32 runs each from the same positions with other
velocities. Two configurations are left out in turn. The network, time-lagged correlations and ridge regression on
displacements see one run of each other configuration, as in a movie; ridge regression on propensity sees all 32.
Writes benchmarks/results/kob_andersen.json. About 15 minutes of one core.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmarks.record import Record, data_folder
from colloid_cg.records import Box, Trajectories
from colloid_cg.structure import StructureConfig, StructureModel, encode, fit_structure
from colloid_cg.structure.descriptors import describe

EDGE = 15.05658
BOX = Box(lower=(0.0,) * 3, upper=(EDGE,) * 3, periodic=(True,) * 3)
CONFIG = StructureConfig(lag=1, cutoff=2.6, generations=2, radial_functions=14)
FOLDS = ((0, 1), (2, 3), (4, 5), (6, 7))
PENALTY = 1000.0
HOT = 0.95
RESAMPLED = 2000


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
        n = len(self.start)
        table = pd.DataFrame({"frame": np.repeat([0, 1], n), "particle": np.tile(np.arange(n), 2)})
        table["species"] = np.tile(self.species, 2)
        table[["x", "y", "z"]] = np.concatenate([self.start, self.ends[0]])
        return Trajectories(table=table, pixel_size=1.0, frame_interval=1.0, field_of_view=BOX, n_frames=2)


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
    ranks = np.argsort(np.argsort(scores))
    n = positive.sum()
    return float((ranks[positive].sum() - n * (n - 1) / 2) / n / (~positive).sum())


def efficiency(scores: np.ndarray, distances: np.ndarray) -> float:
    """Return (AUC - 1/2) for the fastest 5 % of the first run over that of the mean of all other runs."""
    hot = distances[0] > np.quantile(distances[0], HOT)
    oracle = area_under_curve(distances[1:].mean(axis=0), hot)
    return (area_under_curve(scores, hot) - 0.5) / (oracle - 0.5)


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


def linear_peers(
    train: list[Glass], described: list[tuple[np.ndarray, np.ndarray]], kind: int
) -> dict[str, np.ndarray]:
    """Return weights of the linear variables of one species, for values standardised over ``train``."""
    own = [glass.species == kind for glass in train]
    now, later = (np.concatenate([each[k][rows] for each, rows in zip(described, own, strict=True)]) for k in (0, 1))
    now, later = ((values - values.mean(axis=0)) / (values.std(axis=0) + 1e-9) for values in (now, later))
    single = np.concatenate([glass.distances[0][rows] for glass, rows in zip(train, own, strict=True)])
    propensity = np.concatenate([glass.distances.mean(axis=0)[rows] for glass, rows in zip(train, own, strict=True)])
    crowded = now[:, : 2 * CONFIG.radial_functions].sum(axis=1)

    def signed(weights: np.ndarray) -> np.ndarray:
        # Components have no sign of their own: here they rise with the number of neighbours.
        return np.asarray(weights * np.sign(np.corrcoef(now @ weights, crowded)[0, 1]))

    return {
        "first principal component": signed(np.linalg.eigh(now.T @ now)[1][:, -1]),
        "time-lagged canonical correlation": signed(lagged_correlation(now, later)),
        "ridge on the displacements of one run": ridge(now, np.log(single + 0.02)),
        "ridge on propensity (supervised, 32 runs)": ridge(now, propensity),
    }


def predictions(all_glasses: list[Glass], seed: int) -> dict[str, list[np.ndarray]]:
    """Return for every variable its values in every configuration, from fits that did not see it."""
    found: dict[str, list[np.ndarray]] = {}
    movies = [glass.movie() for glass in all_glasses]
    described: list[tuple[np.ndarray, np.ndarray]] = []
    for fold in FOLDS:
        train = [k for k in range(len(all_glasses)) if k not in fold]
        model = fit_structure([movies[k] for k in train], CONFIG, rng=seed)
        described = described or [both_frames(glass, model) for glass in all_glasses]
        for k in fold:
            s = encode(model, movies[k].between(0, 1))["s0"].to_numpy()
            found.setdefault("network", []).append(s)
        for kind in (0, 1):
            peers = linear_peers([all_glasses[k] for k in train], [described[k] for k in train], kind)
            seen = np.concatenate([described[k][0][all_glasses[k].species == kind] for k in train])
            for name, weights in peers.items():
                for k in fold:
                    rows = all_glasses[k].species == kind
                    column = found.setdefault(name, [np.full(len(g.species), np.nan) for g in all_glasses])[k]
                    column[rows] = (described[k][0][rows] - seen.mean(axis=0)) / (seen.std(axis=0) + 1e-9) @ weights
    return found


def both_frames(glass: Glass, model: StructureModel) -> tuple[np.ndarray, np.ndarray]:
    """Return the descriptors at the start and at the end of the first run."""
    now, later = (
        describe(BOX.wrap(frame), glass.species, BOX, neighbourhood=model.neighbourhood).values
        for frame in (glass.start, glass.ends[0])
    )
    return now, later


def summary(values: list[np.ndarray], all_glasses: list[Glass], kind: int) -> tuple[np.ndarray, np.ndarray]:
    """Return |Pearson| with propensity and efficiency in every configuration, the sign common to all of them."""
    signs, correlations, shares = [], [], []
    for each, glass in zip(values, all_glasses, strict=True):
        rows = glass.species == kind
        correlations.append(float(np.corrcoef(each[rows], glass.distances.mean(axis=0)[rows])[0, 1]))
        signs.append(np.sign(correlations[-1]))
    sign = np.sign(np.sum(signs)) or 1.0
    for each, glass in zip(values, all_glasses, strict=True):
        rows = glass.species == kind
        shares.append(efficiency(sign * each[rows], glass.distances[:, rows]))
    return sign * np.array(correlations), np.array(shares)


def main() -> None:
    """Run everything."""
    record, all_glasses = Record("kob_andersen"), glasses()
    found = predictions(all_glasses, seed=1)
    rng = np.random.default_rng(0)
    drawn = rng.integers(len(all_glasses), size=(RESAMPLED, len(all_glasses)))
    for kind, name, target in ((0, "A", 0.45), (1, "B", 0.50)):
        for variable, values in found.items():
            correlations, shares = summary(values, all_glasses, kind)
            for label, each, wanted in (
                ("Pearson with propensity", correlations, target),
                ("single-run efficiency", shares, 0.65),
            ):
                resampled = each[drawn].mean(axis=1)
                record.add(
                    f"{name}, {variable}: {label}", float(each.mean()),
                    target=wanted if variable == "network" else None, better="higher",
                    interval=[float(v) for v in np.quantile(resampled, (0.05, 0.95))],
                    note="mean over 8 configurations, each left out of its fit; bootstrap over configurations",
                )  # fmt: skip
    record.write()


if __name__ == "__main__":
    main()
