"""Whether hidden variables of a glass former tell who will move, beside other variables of the same neighbourhoods.

Kob-Andersen mixtures of COLLOID_CG_DATA: 8 configurations with 32 runs each from the same positions with other
velocities. Two configurations are left out in turn. The network, time-lagged correlations and ridge regression on
displacements see one run of each other configuration, as in a movie; ridge regression on propensity sees all 32.
The number of averaging rounds is chosen in every fold by the likelihood of single displacements in the validation
configuration: no propensity and no left-out configuration takes part. Fits from other seeds and from resampled
configurations are compared, and symmetries of fitted encoders are checked in space and in the plane.
Writes benchmarks/results/kob_andersen.json.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from scipy.stats import spearmanr

from benchmarks.glass_peers import Glass, glasses, linear_peers, pooled_efficiencies
from benchmarks.glass_symmetry import symmetry_figures
from benchmarks.record import Record
from colloid_cg.seeding import generator
from colloid_cg.structure import Neighbourhood, StructureConfig, StructureModel, typical_neighbourhood
from colloid_cg.structure.fit import fit_rows
from colloid_cg.structure.sampling import LaggedRows, described, joined, lagged_rows

CANDIDATES = {
    "two generations": StructureConfig(lag=1, cutoff=3.0, generations=2, radial_functions=12),
    "three generations": StructureConfig(lag=1, cutoff=3.0, generations=3, radial_functions=12),
}
FOLDS = ((0, 1), (2, 3), (4, 5), (6, 7))
SPECIES = ((0, "A", 0.45), (1, "B", 0.50))
SEEDS, RESAMPLES = 3, 4
RESAMPLED = 300
ALL_RUNS = range(32)
NETWORK = "network"


@dataclass(frozen=True, kw_only=True)
class Described:
    """The rows of every configuration under one set of settings."""

    config: StructureConfig
    neighbourhood: Neighbourhood
    rows: list[LaggedRows]

    def fit(self, training: list[int], held: int, *, seed: int) -> StructureModel:
        """Return the model of some configurations (repeats count as others), checked against another."""
        parts = [
            replace(
                self.rows[k], particle=self.rows[k].particle + 10_000 * i, movie=np.full_like(self.rows[k].movie, i)
            )
            for i, k in enumerate(training)
        ]
        return fit_rows(
            joined(parts), self.rows[held], self.config, stream=generator(seed, "structure"),
            metadata={"neighbourhood": self.neighbourhood.as_dict(), "lag": 1},
        )  # fmt: skip


def describe_all(all_glasses: list[Glass], config: StructureConfig) -> Described:
    """Describe both frames of the first run of every configuration."""
    movies = [glass.movie() for glass in all_glasses]
    neighbourhood = typical_neighbourhood(movies[0], config)
    rows = []
    for movie in movies:
        frames = described(movie, [0, 1], neighbourhood=neighbourhood)
        rows.append(lagged_rows(frames, np.array([0]), lag=1, box=movie.box))
    return Described(config=config, neighbourhood=neighbourhood, rows=rows)


def told(model: StructureModel) -> float:
    """Return what s adds to the likelihood of a displacement in the validation configuration, in nats."""
    found = model.metadata["species"].values()
    rows = sum(each["validation_rows"] for each in found)
    return float(sum(each["validation_rows"] * each["validation_scores"]["mobility"] for each in found) / rows)


def in_table_order(values: dict[int, np.ndarray], species: np.ndarray) -> np.ndarray:
    """Return one column from the values of each species."""
    column = np.full(len(species), np.nan)
    for kind, each in values.items():
        column[species == kind] = each
    return column


def encoded(model: StructureModel, rows: LaggedRows, sign: dict[int, float] | None = None) -> np.ndarray:
    """Return s0 of the rows, times the sign of its species."""
    values = {
        kind: (sign or {}).get(kind, 1.0) * model.encoded(rows.seen[rows.species == kind], species=kind)[:, 0]
        for kind in model.species
    }
    return in_table_order(values, rows.species)


def moving_signs(model: StructureModel, rows: LaggedRows) -> dict[int, float]:
    """Return per species the sign of s0 that rises with the displacements of the rows."""
    s, moved = encoded(model, rows), np.log(rows.moved + 1e-4)
    parts = {kind: rows.species == kind for kind in model.species}
    return {kind: float(np.sign(np.corrcoef(s[own], moved[own])[0, 1])) for kind, own in parts.items()}


def resampled(train: list[int], rng: np.random.Generator) -> tuple[list[int], int]:
    """Return configurations drawn with replacement to train on, and one that is not among them to check against."""
    held = int(rng.choice(train))
    return [int(k) for k in rng.choice([k for k in train if k != held], len(train) - 1)], held


def run_fold(
    fold: tuple[int, int], all_glasses: list[Glass], tried: dict[str, Described]
) -> tuple[dict[str, dict[int, np.ndarray]], str, dict[str, list[np.ndarray]], StructureModel]:
    """Return values of every variable in the left-out configurations, the settings, values of refits and the model."""
    train = [k for k in range(len(all_glasses)) if k not in fold]
    models = {name: each.fit(train[:-1], train[-1], seed=1) for name, each in tried.items()}
    name = max(models, key=lambda each: told(models[each]))
    chosen, model = tried[name], models[name]
    seen = joined([chosen.rows[k] for k in train])
    signs = moving_signs(model, seen)
    values: dict[str, dict[int, np.ndarray]] = {NETWORK: {k: encoded(model, chosen.rows[k], signs) for k in fold}}
    for kind, _, _ in SPECIES:
        own = {k: chosen.rows[k].take(chosen.rows[k].species == kind) for k in range(len(all_glasses))}
        runs = [all_glasses[k].distances[:, all_glasses[k].species == kind] for k in train]
        together = np.concatenate([own[k].present for k in train])
        mean, scale = together.mean(axis=0), together.std(axis=0) + 1e-9
        for peer, weights in linear_peers([own[k] for k in train], runs).items():
            for k in fold:
                column = values.setdefault(peer, {}).setdefault(k, np.full(len(all_glasses[k].species), np.nan))
                # Penalties shrink one fold more than another; pooled values need one scale.
                column[all_glasses[k].species == kind] = (
                    (own[k].present - mean) / scale @ weights / (((together - mean) / scale @ weights).std())
                )
    rng = np.random.default_rng(fold[0])
    refits = [chosen.fit(train[:-1], train[-1], seed=seed) for seed in range(2, 1 + SEEDS)]
    others = [chosen.fit(*resampled(train, rng), seed=1) for _ in range(RESAMPLES)]
    again = {"seeds": [model, *refits], "resampled configurations": [model, *others]}
    found = {
        label: [np.concatenate([encoded(each, chosen.rows[k]) for k in fold]) for each in fits]
        for label, fits in again.items()
    }
    return values, name, found, model


def add_quality(record: Record, values: dict[str, dict[int, np.ndarray]], all_glasses: list[Glass]) -> None:
    """Add Pearson and efficiency of every variable, and what the network gains on each, by paired bootstrap."""
    drawn = np.random.default_rng(0).integers(len(all_glasses), size=(RESAMPLED, len(all_glasses)))
    every = [np.arange(len(all_glasses)), *drawn]
    for kind, name, target in SPECIES:
        own = [glass.species == kind for glass in all_glasses]
        distances = [glass.distances[:, rows] for glass, rows in zip(all_glasses, own, strict=True)]
        scores = {variable: [each[k][rows] for k, rows in enumerate(own)] for variable, each in values.items()}
        pearson = {
            variable: np.array([np.corrcoef(s, d.mean(axis=0))[0, 1] for s, d in zip(each, distances, strict=True)])
            for variable, each in scores.items()
        }

        statistics = {
            "Pearson with propensity": (
                target, [{v: float(p[rows].mean()) for v, p in pearson.items()} for rows in every],
            ),
            "single-run efficiency": (0.65, [efficiencies(scores, distances, rows) for rows in every]),
        }  # fmt: skip
        for label, (wanted, found) in statistics.items():
            each = {v: np.array([one[v] for one in found]) for v in values}
            for variable, figures in each.items():
                record.add(
                    f"{name}, {variable}: {label}", float(figures[0]),
                    target=wanted if variable == NETWORK else None, better="higher", interval=interval(figures[1:]),
                    note="8 configurations, each left out of its fit; bootstrap over configurations",
                )  # fmt: skip
            for variable in [v for v in values if v != NETWORK]:
                gain = each[NETWORK] - each[variable]
                record.add(
                    f"{name}, network less {variable}: {label}", float(gain[0]), interval=interval(gain[1:]),
                    note="paired bootstrap over configurations",
                )  # fmt: skip
        for variable, share in pooled_efficiencies(scores, distances).items():
            record.add(
                f"{name}, {variable}: efficiency, the one run of the movies alone", share, better="higher",
                note="205 (A), 51 (B) particles of each configuration: its sampling error is that of one run",
            )  # fmt: skip


def efficiencies(
    scores: dict[str, list[np.ndarray]], distances: list[np.ndarray], rows: np.ndarray
) -> dict[str, float]:
    """Return the single-run efficiency of every variable over some configurations, every run scored in turn."""
    chosen = {name: [s[k] for k in rows] for name, s in scores.items()}
    return pooled_efficiencies(chosen, [distances[k] for k in rows], runs=ALL_RUNS)


def interval(values: np.ndarray) -> list[float]:
    """Return the 90 % interval."""
    return [float(v) for v in np.quantile(values, (0.05, 0.95))]


def add_agreement(record: Record, refits: list[dict[str, list[np.ndarray]]], all_glasses: list[Glass]) -> None:
    """Add rank correlations between fits that differ in the seed or in the drawn configurations."""
    for label in refits[0]:
        for kind, name, _ in SPECIES:
            agreement = []
            for fold, found in zip(FOLDS, refits, strict=True):
                own = np.concatenate([all_glasses[k].species == kind for k in fold])
                agreement += [abs(spearmanr(a[own], b[own]).statistic) for a, b in combinations(found[label], 2)]
            for word, value, target in (("median", np.median(agreement), 0.95), ("minimum", min(agreement), 0.90)):
                record.add(
                    f"{name}, {word} |Spearman| between fits, {label}", float(value), target=target, better="higher",
                    note=f"{len(agreement)} pairs in {len(FOLDS)} folds, configurations left out of all of them",
                )  # fmt: skip


def main() -> None:
    """Run everything."""
    record, all_glasses = Record("kob_andersen"), glasses()
    tried = {name: describe_all(all_glasses, config) for name, config in CANDIDATES.items()}
    values: dict[str, dict[int, np.ndarray]] = {}
    refits = []
    for fold in FOLDS:
        found, name, again, model = run_fold(fold, all_glasses, tried)
        for variable, each in found.items():
            values.setdefault(variable, {}).update(each)
        refits.append(again)
        starts = [model.metadata["species"][kind]["start"] for kind in ("0", "1")]
        epochs = [model.metadata["species"][kind]["best_epoch"] for kind in ("0", "1")]
        record.add(
            f"configurations {fold} left out: gain in the validation configuration", told(model), unit="nats",
            note=f"{name} of {', '.join(tried)}; A from {starts[0]}, epoch {epochs[0]}; "
            f"B from {starts[1]}, epoch {epochs[1]}",
        )  # fmt: skip
    add_quality(record, values, all_glasses)
    add_agreement(record, refits, all_glasses)
    symmetry_figures(record, model, all_glasses[0])
    record.write()


if __name__ == "__main__":
    main()
