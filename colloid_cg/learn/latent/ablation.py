"""What a hidden variable is worth on frames it was not fitted to, and what is left of it when it is shuffled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from colloid_cg.learn.latent.law import FULL, MEMORY, NONE, SPREAD, STRUCTURE, LatentLaw
from colloid_cg.learn.latent.maximum import Found, first_law, maximise
from colloid_cg.learn.latent.rows import Filtered, LatentRows, filtered
from colloid_cg.learn.sandwich import mean_interval
from colloid_cg.progress import Progress

LAWS = {"none": NONE, "spread": SPREAD, "memory": MEMORY, "full": FULL}
"""Laws that are fitted by default. ``spread`` is the ablation without s: mobilities differ from step to step by chance,
so that heavy tails alone do not pass for a hidden variable; ``none`` has one mobility per species."""
_SPANS = 10


@dataclass(frozen=True, kw_only=True)
class Gain:
    """Log-likelihood gained on unseen rows, nats per particle and frame, with its 90 % interval."""

    value: float
    low90: float
    high90: float

    def as_dict(self) -> dict[str, float]:
        """Return the numbers by name."""
        return {"value": self.value, "low90": self.low90, "high90": self.high90}


def gain(values: np.ndarray, rows: LatentRows) -> Gain:
    """Return the mean of ``values`` (m,); clustered over spans of time and over particles, the wider counts."""
    span = (rows.frame - rows.frame.min()) * _SPANS // (int(np.ptp(rows.frame)) + 1)
    widths = [mean_interval(values, clusters)[1] for clusters in (span, rows.particle)]
    mean = float(values.mean())
    return Gain(value=mean, low90=mean - max(widths), high90=mean + max(widths))


def predicted_mobility(law: LatentLaw, found: Filtered, rows: LatentRows) -> np.ndarray:
    """Return s as the past of the particle and its present structure predict it, shape (m, 1), variance 1.

    Per species; a constant where the law predicts nothing.
    """
    expected = law.log_mobility(rows.structure, found.predicted @ found.grid.points, rows.species)
    for species in range(rows.n_species):
        own = rows.species == species
        spread = float(expected[own].std()) if own.any() else 0.0
        expected[own] = (expected[own] - expected[own].mean()) / spread if spread > 1e-9 else 0.0
    return np.asarray(expected[:, None])


def shuffled(values: np.ndarray, rows: LatentRows, *, rng: np.random.Generator) -> np.ndarray:
    """Return ``values`` exchanged at random among particles of the same species in the same frame."""
    group = np.unique(rows.frame * rows.n_species + rows.species, return_inverse=True)[1]
    target = np.argsort(group, kind="stable")
    source = np.lexsort((rng.random(len(rows)), group))
    mixed = np.empty_like(values)
    mixed[target] = values[source]
    return mixed


def fit_laws(
    train: LatentRows, diffusion: np.ndarray, localisation_variance: float, *, progress: Progress,
    names: tuple[str, ...] = tuple(LAWS),
) -> dict[str, Found]:  # fmt: skip
    """Return the laws of these names."""
    start, found = first_law(train, diffusion, localisation_variance), {}
    for name in names:
        found[name] = maximise(train, start, LAWS[name])
        progress(1 + list(LAWS).index(name) + 1, len(LAWS) + 3)
    return found


def worth(laws: dict[str, Found], select: LatentRows) -> dict[str, Gain]:
    """Return what each law gains over the ablation without s, on unseen rows; ``over_none``: over one mobility."""
    rows = {name: filtered(found.law, select, keep=False).rows for name, found in laws.items()}
    gains = {name: gain(values - rows["spread"], select) for name, values in rows.items() if name != "spread"}
    return gains | {"over_none": gain(rows["full"] - rows["none"], select)}


def shuffled_worth(
    laws: dict[str, Found], train: LatentRows, select: LatentRows, *, rng: np.random.Generator
) -> dict[str, Gain]:
    """Return the gains of predicted s as a given variable, its slope refitted: as it is, and shuffled.

    Both over the ablation without s. s is predicted from the past and the present structure alone, so that it can be
    exchanged among particles of the same species and frame.
    """
    law, base = laws["full"].law, laws["spread"].law
    parts = [(rows, predicted_mobility(law, filtered(law, rows), rows)) for rows in (train, select)]
    start = LatentLaw(
        diffusion=base.diffusion, localisation_variance=base.localisation_variance, memory_slope=base.memory_slope,
        structure_slope=np.zeros((train.n_species, 1)), persistence=0.0,
    )  # fmt: skip
    before = filtered(start, parts[1][0].with_structure(parts[1][1])).rows
    gains = {}
    for name in ("predicted", "shuffled"):
        given = [
            rows.with_structure(shuffled(values, rows, rng=rng) if name == "shuffled" else values)
            for rows, values in parts
        ]
        found = maximise(given[0], start, STRUCTURE)
        gains[name] = gain(filtered(found.law, given[1]).rows - before, select)
    return gains


def as_table(gains: dict[str, Gain]) -> dict[str, Any]:
    """Return the gains JSON-able."""
    return {name: value.as_dict() for name, value in gains.items()}
