"""Residuals of a block in the form the filter of the hidden variable reads, with the structural variables beside."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np
import pandas as pd

from colloid_cg.dynamics import OverdampedModel
from colloid_cg.learn.banded import Residuals
from colloid_cg.learn.latent.filter import run_filter, run_smoother
from colloid_cg.learn.latent.grid import Grid, normal_grid
from colloid_cg.learn.latent.law import LatentLaw
from colloid_cg.learn.problem import Block
from colloid_cg.learn.series import frame_of_rows

_GAINS = (0.05, 3.0)
"""Where the gain of a frame is held: a contact much stiffer than the frame interval resolves tells nothing of it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LatentRows:
    """Rows in chain order; arrays (m, d) unless stated, at mobility lambda = 1.

    ``step`` displacement less drift and ``phi`` what the force moves (um), ``rate`` -ln of the gain; variance of a
    residual: D ``own`` + s2 (``noise`` + g^2 ``share``) + ``fixed`` + g^2 ``fixed_share``; its covariance with the one
    before: D ``coupling_own`` - g (s2 ``share`` + ``fixed_share``). ``structure`` (m, k); ``species``,
    ``frame``, ``particle``, ``detection`` (row of the table) (m,). ``joined`` (m,) continues the row before without a
    gap, ``gap`` (m,) steps after it: 0 where a particle begins. ``reference`` (n_species,): D with which phi was made.
    """

    step: np.ndarray
    phi: np.ndarray
    rate: np.ndarray
    own: np.ndarray
    noise: np.ndarray
    fixed: np.ndarray
    coupling_own: np.ndarray
    share: np.ndarray
    fixed_share: np.ndarray
    joined: np.ndarray
    gap: np.ndarray
    species: np.ndarray
    frame: np.ndarray
    particle: np.ndarray
    detection: np.ndarray
    structure: np.ndarray
    reference: np.ndarray

    @property
    def n_species(self) -> int:
        """Number of mobile species."""
        return len(self.reference)

    @property
    def present(self) -> np.ndarray:
        """Which species have rows, shape (n_species,)."""
        return np.bincount(self.species, minlength=self.n_species) > 0

    def __len__(self) -> int:
        return len(self.step)

    def with_structure(self, structure: np.ndarray) -> Self:
        """Return the same rows with other structural variables, shape (m, k)."""
        return replace(self, structure=structure)

    def thinned(self, most: int) -> Self:
        """Return whole tracks of every species, evenly drawn by their number, of at most about ``most`` rows."""
        every = -(-len(self) // max(most, 1))
        if every <= 1:
            return self
        kept = np.zeros(len(self), dtype=bool)
        for species in np.flatnonzero(self.present):
            own = np.flatnonzero(self.species == species)
            kept[own] = np.unique(self.particle[own], return_inverse=True)[1] % every == 0
        return self.taken(kept)

    def without_rare(self, fewest: int) -> tuple[Self, np.ndarray]:
        """Return the rows of species of at least so many particles, and which species have rows then."""
        seen = np.unique(np.stack([self.species, self.particle]), axis=1)[0]
        many = np.bincount(seen, minlength=self.n_species) >= fewest
        return self.taken(many[self.species]), many

    def taken(self, kept: np.ndarray) -> Self:
        """Return the rows where ``kept`` (m,): whole particles."""
        arrays = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "reference"}
        return replace(self, **{name: array[kept] for name, array in arrays.items()})


def latent_rows(block: Block, model: OverdampedModel, structure: np.ndarray, detection: np.ndarray) -> LatentRows:
    """Return the rows of the targets of a block whose structural variables are known.

    Parameters
    ----------
    block : Block
        With the fields and the noise of its detections.
    model : OverdampedModel
        Its force, and the D at which the flow is expanded.
    structure : array, shape (n, k)
        Structural variables that go with the step from each row of the series, NaN where they are not known.
    detection : int array, shape (n,)
        Row of the table of tracks that each row of the series is.
    """
    block = replace(block, targets=block.targets & np.isfinite(structure).all(axis=1))
    found = block.residuals(model)
    series, row = block.series, found.row
    step = series.positions[series.following[row]] - series.positions[row] - block.drift
    share, fixed_share = _carried(found)
    frame, particle = frame_of_rows(series)[row], series.particle[row]
    return LatentRows(
        step=step, phi=step - found.value, rate=-np.log(np.clip(found.gain, *_GAINS)),
        own=found.spread.per_diffusion, noise=found.spread.per_noise - found.gain**2 * share,
        fixed=found.spread.fixed - found.gain**2 * fixed_share, coupling_own=found.coupling.per_diffusion,
        share=share, fixed_share=fixed_share, joined=found.joined, gap=_gaps(frame, particle),
        species=found.species, frame=frame, particle=particle, detection=detection[row], structure=structure[row],
        reference=model.diffusion,
    )  # fmt: skip


def _gaps(frame: np.ndarray, particle: np.ndarray) -> np.ndarray:
    """Return the frames since the row before, 0 where another particle begins."""
    gap = np.zeros(len(frame), dtype=np.int64)
    gap[1:] = np.where(particle[1:] == particle[:-1], frame[1:] - frame[:-1], 0)
    return gap


def _carried(found: Residuals) -> tuple[np.ndarray, np.ndarray]:
    """Return the share of s2, and the known variance, of the detection a step starts from: coupling = -gain share."""
    gain = np.where(np.abs(found.gain) > 1e-9, found.gain, 1e-9)
    return -found.coupling.per_noise / gain, -found.coupling.fixed / gain


def force_factor(diffusion: np.ndarray, reference: np.ndarray, present: np.ndarray | None = None) -> float:
    """Return F/F0 = <D0/D>, mean over the species that are ``present`` (None: all).

    The drift is what the data fix, and one potential moves all: D F over D0 F0 is D/D0 times this.
    """
    ratio = reference / diffusion
    return float(np.mean(ratio if present is None else ratio[present]))


@dataclass(frozen=True, kw_only=True, eq=False)
class Filtered:
    """Log-likelihood of every row (nats), and probabilities of z before and after it, shape (m, grid points).

    ``kernels`` (g, k, k) move z over the gaps that occur; ``which`` (m,) tells which led to a row, -1: none.
    """

    rows: np.ndarray
    predicted: np.ndarray
    filtered: np.ndarray
    grid: Grid
    kernels: np.ndarray
    which: np.ndarray


def filtered(
    law: LatentLaw, rows: LatentRows, grid: Grid | None = None, *, keep: bool = True, present: np.ndarray | None = None
) -> Filtered:
    """Run the filter of z along every track; without ``keep`` for its likelihood alone.

    ``present`` (n_species,): the species that a law in the making is fitted to; in one that is made the others have the
    D that leaves the force as it is.
    """
    grid = grid or normal_grid()
    m, count = len(rows), len(grid.points)
    gaps, which = np.unique(rows.gap, return_inverse=True)
    kernels = np.stack([grid.kernel(law.memory ** float(max(gap, 1))) for gap in gaps]) if m else np.empty((0, 0, 0))
    which = np.where(rows.gap > 0, which, -1)
    shape = (m if keep else 0, count)
    push = law.diffusion / rows.reference * force_factor(law.diffusion, rows.reference, present)
    out = np.empty(m), np.empty(shape), np.empty(shape)
    run_filter(
        rows.step, rows.phi, rows.rate, rows.own, rows.noise, rows.fixed, rows.coupling_own, rows.share,
        rows.fixed_share, rows.joined, which, law.diffusion[rows.species], law.localisation_variance,
        law.level(rows.structure, rows.species), law.memory_slope[rows.species],
        push[rows.species], grid.points, grid.weights,
        np.ascontiguousarray(kernels.transpose(0, 2, 1)), *out,
    )  # fmt: skip
    return Filtered(
        rows=np.maximum(out[0], -1e6), predicted=out[1], filtered=out[2], grid=grid, kernels=kernels, which=which
    )


def smoothed(found: Filtered) -> np.ndarray:
    """Return the probabilities of z given the whole track, shape (m, grid points)."""
    out = np.empty_like(found.filtered)
    if len(out):
        run_smoother(found.which, found.kernels, found.predicted, found.filtered, out)
    return out


def beside(law: LatentLaw, found: Filtered, rows: LatentRows, *, steps: int = 2) -> np.ndarray:
    """Return the probabilities of z at every row from rows at least ``steps`` before and after it, shape (m, k).

    What a detection says by its own error is left out with ``steps`` = 2: it is in the row that ends in it, in the one
    that begins in it, and, through the recursion, in the one after that.
    """
    kernel, m = found.grid.kernel(law.memory**steps), len(rows)
    before, after = np.tile(found.grid.weights, (m, 1)), np.ones_like(found.filtered)
    same = np.flatnonzero(
        (rows.particle[steps:] == rows.particle[:-steps]) & (rows.frame[steps:] - rows.frame[:-steps] == steps)
    )
    before[same + steps] = found.filtered[same] @ kernel
    later = smoothed(found)[same + steps] / np.maximum(found.predicted[same + steps], 1e-300)
    after[same] = later @ kernel.T
    product = before * after
    return np.asarray(product / np.maximum(product.sum(axis=1, keepdims=True), 1e-300))


def moments(probabilities: np.ndarray, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of z, shape (m,)."""
    mean = probabilities @ grid.points
    square = probabilities @ grid.points**2
    return mean, np.sqrt(np.maximum(square - mean**2, 0.0))


def structure_of_rows(encoded: pd.DataFrame, *, latents: int) -> np.ndarray:
    """Return s0, s1, ... of an encoded table, shape (n, latents)."""
    return encoded[[f"s{k}" for k in range(latents)]].to_numpy(dtype=float)
