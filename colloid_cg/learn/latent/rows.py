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
    before: D ``coupling_own`` - g (s2 ``share`` + ``fixed_share``). ``structure`` (m, k), ``species``, ``frame``,
    ``particle`` (m,), ``joined`` (m,) continues the row before. ``reference`` (n_species,): D with which phi was made.
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
    species: np.ndarray
    frame: np.ndarray
    particle: np.ndarray
    structure: np.ndarray
    reference: np.ndarray

    @property
    def n_species(self) -> int:
        """Number of mobile species."""
        return len(self.reference)

    def __len__(self) -> int:
        return len(self.step)

    def with_structure(self, structure: np.ndarray) -> Self:
        """Return the same rows with other structural variables, shape (m, k)."""
        return replace(self, structure=structure)

    def thinned(self, most: int) -> Self:
        """Return whole tracks, evenly drawn by their number, of at most about ``most`` rows."""
        every = -(-len(self) // max(most, 1))
        if every <= 1:
            return self
        kept = np.unique(self.particle, return_inverse=True)[1] % every == 0
        arrays = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "reference"}
        return replace(self, **{name: array[kept] for name, array in arrays.items()})


def latent_rows(block: Block, model: OverdampedModel, structure: np.ndarray) -> LatentRows:
    """Return the rows of the targets of a block whose structural variables are known.

    Parameters
    ----------
    block : Block
        With the fields and the noise of its detections.
    model : OverdampedModel
        Its force, and the D at which the flow is expanded.
    structure : array, shape (n, k)
        Structural variables of every row of the series, NaN where the edge hides them.
    """
    block = replace(block, targets=block.targets & np.isfinite(structure).all(axis=1))
    found = block.residuals(model)
    series, row = block.series, found.row
    step = series.positions[series.following[row]] - series.positions[row] - block.drift
    share, fixed_share = _carried(found)
    return LatentRows(
        step=step, phi=step - found.value, rate=-np.log(np.clip(found.gain, *_GAINS)),
        own=found.spread.per_diffusion, noise=found.spread.per_noise - found.gain**2 * share,
        fixed=found.spread.fixed - found.gain**2 * fixed_share, coupling_own=found.coupling.per_diffusion,
        share=share, fixed_share=fixed_share, joined=found.joined, species=found.species,
        frame=frame_of_rows(series)[row], particle=series.particle[row], structure=structure[row],
        reference=model.diffusion,
    )  # fmt: skip


def _carried(found: Residuals) -> tuple[np.ndarray, np.ndarray]:
    """Return the share of s2, and the known variance, of the detection a step starts from: coupling = -gain share."""
    gain = np.where(np.abs(found.gain) > 1e-9, found.gain, 1e-9)
    return -found.coupling.per_noise / gain, -found.coupling.fixed / gain


def pushed(diffusion: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Return D F over D0 F0 per species, F = F0 <D0/D>: the drift is what the data fix, one potential moves all."""
    return np.asarray(diffusion / reference * force_factor(diffusion, reference))


def force_factor(diffusion: np.ndarray, reference: np.ndarray) -> float:
    """Return F/F0 = <D0/D>, mean over species."""
    return float(np.mean(reference / diffusion))


@dataclass(frozen=True, kw_only=True, eq=False)
class Filtered:
    """Log-likelihood of every row (nats), and probabilities of z before and after it, shape (m, grid points)."""

    rows: np.ndarray
    predicted: np.ndarray
    filtered: np.ndarray
    grid: Grid
    kernel: np.ndarray


def filtered(law: LatentLaw, rows: LatentRows, grid: Grid | None = None) -> Filtered:
    """Run the filter of z along every track."""
    grid = grid or normal_grid()
    m, count = len(rows), len(grid.points)
    kernel = grid.kernel(law.memory)
    out = np.empty(m), np.empty((m, count)), np.empty((m, count))
    run_filter(
        rows.step, rows.phi, rows.rate, rows.own, rows.noise, rows.fixed, rows.coupling_own, rows.share,
        rows.fixed_share, rows.joined, law.diffusion[rows.species], law.localisation_variance,
        law.level(rows.structure, rows.species), law.memory_slope[rows.species],
        pushed(law.diffusion, rows.reference)[rows.species], grid.points, grid.weights, kernel,
        *out,
    )  # fmt: skip
    return Filtered(rows=np.maximum(out[0], -1e6), predicted=out[1], filtered=out[2], grid=grid, kernel=kernel)


def smoothed(found: Filtered, rows: LatentRows) -> np.ndarray:
    """Return the probabilities of z given the whole track, shape (m, grid points)."""
    out = np.empty_like(found.filtered)
    if len(out):
        run_smoother(rows.joined, found.kernel, found.predicted, found.filtered, out)
    return out


def moments(probabilities: np.ndarray, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of z, shape (m,)."""
    mean = probabilities @ grid.points
    square = probabilities @ grid.points**2
    return mean, np.sqrt(np.maximum(square - mean**2, 0.0))


def structure_of_rows(encoded: pd.DataFrame, *, latents: int) -> np.ndarray:
    """Return s0, s1, ... of an encoded table, shape (n, latents)."""
    return encoded[[f"s{k}" for k in range(latents)]].to_numpy(dtype=float)
