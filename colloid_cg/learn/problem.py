"""One block of the movie prepared for fitting, and the fit of one candidate model to it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from colloid_cg.dynamics import External, Flow, FramePairs, OverdampedModel, closure_flow, force_design, series_pairs
from colloid_cg.learn.banded import Residuals, log_likelihood_rows, residuals
from colloid_cg.learn.detection import DetectionNoise, NoiseForm, detection_noise
from colloid_cg.learn.fields import Strengths
from colloid_cg.learn.forces import ForceFit, force_data, solve_forces
from colloid_cg.learn.noise import NoiseFit, fit_noise
from colloid_cg.learn.series import Chains, blur_coefficient, chains, later_rows
from colloid_cg.records import StateSeries

_EDGE_STEPS = 5.0
_SKIN = 2.0
"""Pairs are listed up to the cutoff plus this many rms relative displacements of one frame."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Block:
    """A block with its chains, pairs and targets (rows far enough from the edge to see all their neighbours).

    ``external``: the fields at every row, or None; ``n_prescribed``: species that follow the ``n_species`` mobile ones.
    """

    series: StateSeries
    links: Chains
    neighbours: FramePairs
    targets: np.ndarray
    n_species: int
    drift: np.ndarray
    external: External | None = None
    n_prescribed: int = 0
    detection: DetectionNoise | None = None

    def flow(self, model: OverdampedModel) -> Flow:
        """Return the flow of every row over one frame."""
        return closure_flow(
            model,
            self.series.positions,
            species=self.series.species,
            frame_offsets=self.series.offsets,
            neighbours=self.neighbours,
            dt=self.series.frame_interval,
            external=self.external,
        )

    def noise_of_rows(self, mean: float) -> float | np.ndarray:
        """Return the localisation variance of every row (um2, mean over axes) for a mean s2."""
        if self.detection is None:
            return mean
        return np.asarray((self.detection.share * mean + self.detection.fixed).mean(axis=1))

    def residuals(self, model: OverdampedModel) -> Residuals:
        """Return the residuals of the targets."""
        return residuals(
            self.series,
            self.links,
            self.flow(model),
            diffusion=model.diffusion,
            targets=self.targets,
            drift=self.drift,
            detection=self.detection,
        )

    def noise(self, data: Residuals, start: np.ndarray | None = None, *, scores: bool = False) -> NoiseFit:
        """Fit D and s2 to given residuals."""
        return fit_noise(
            data,
            n_species=self.n_species,
            blur=blur_coefficient(self.series),
            frame_interval=self.series.frame_interval,
            start=start,
            scores=scores,
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Candidate:
    """A fitted model: its force (None for free diffusion), its noise, and the strengths of fields if any."""

    n_knots: int
    model: OverdampedModel
    noise: NoiseFit
    forces: ForceFit | None
    strengths: Strengths | None = None

    @property
    def acting(self) -> Strengths:
        """Strengths of the fields it was fitted in; none of them acts on free particles."""
        return self.strengths or Strengths()


def free_model(n_species: int, diffusion: float = 1.0, *, n_prescribed: int = 0) -> OverdampedModel:
    """Return particles without forces."""
    total = n_species + n_prescribed
    return OverdampedModel(
        diffusion=np.full(n_species, diffusion),
        coefficients=np.zeros((total * (total + 1) // 2, 0)),
        lower=1e-6,
        cutoff=1.0,
        n_prescribed=n_prescribed,
    )


def prepare(
    series: StateSeries,
    *,
    n_species: int,
    drift_velocity: np.ndarray,
    cutoff: float | None = None,
    diffusion: float = 1.0,
    resolution: float = 0.0,
    n_prescribed: int = 0,
    noise_form: NoiseForm = "constant",
) -> Block:
    """Return a block; without a cutoff no pairs are listed. Drift in um/s.

    Targets are at least a cutoff and :func:`edge_margin` away from the edge of the view, and from every neighbour
    at least ``resolution`` (um).
    """
    pairs = _listed(series, np.zeros((0, 2), dtype=np.int64), np.zeros(series.n_frames + 1, dtype=np.int64))
    targets = series.edge_distance > edge_margin(series)
    if cutoff is not None:
        reach = cutoff + min(_SKIN * np.sqrt(4.0 * diffusion * series.frame_interval), 0.3 * cutoff)
        found, offsets = series_pairs(series, reach)
        if n_prescribed:
            found, offsets = _pushing(found, offsets, series.species < n_species)
        pairs = _listed(series, found, offsets)
        targets &= series.edge_distance > cutoff
        targets[found[_distances(series, found) < resolution].ravel()] = False
    return Block(
        series=series,
        links=chains(series),
        neighbours=pairs,
        targets=targets,
        n_species=n_species,
        drift=drift_velocity * series.frame_interval,
        n_prescribed=n_prescribed,
        detection=detection_noise(series, noise_form),
    )


def _listed(series: StateSeries, pairs: np.ndarray, offsets: np.ndarray) -> FramePairs:
    apart = series.positions[pairs[:, 0]] - series.positions[pairs[:, 1]]
    return FramePairs(pairs=pairs, offsets=offsets, images=series.box.image(apart))


def _pushing(pairs: np.ndarray, offsets: np.ndarray, mobile: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the pairs of which at least one can move."""
    kept = mobile[pairs].any(axis=1)
    return pairs[kept], np.concatenate([[0], np.cumsum(kept)])[offsets]


def edge_margin(series: StateSeries, lag: int = 1) -> float:
    """Return five rms steps (um): particles that near to an open edge may leave the view, and only their short steps
    are seen. At most a quarter of the shortest side of the view.
    """
    later = later_rows(series, lag)
    rows = np.flatnonzero(later >= 0)
    if not len(rows):
        return 0.0
    step = series.positions[later[rows]] - series.positions[rows]
    return min(_EDGE_STEPS * float(np.sqrt((step**2).mean())), 0.25 * float(series.box.lengths.min()))


def _distances(series: StateSeries, pairs: np.ndarray) -> np.ndarray:
    difference = series.positions[pairs[:, 1]] - series.positions[pairs[:, 0]]
    return np.asarray(np.linalg.norm(series.box.shortest(difference), axis=1))


def fit_free(block: Block, *, scores: bool = False) -> Candidate:
    """Fit free diffusion to the targets of a block."""
    model = free_model(block.n_species, n_prescribed=block.n_prescribed)
    noise = block.noise(block.residuals(model), scores=scores)
    return Candidate(n_knots=0, model=replace(model, diffusion=noise.diffusion), noise=noise, forces=None)


def fit_candidate(
    block: Block,
    start: Candidate,
    *,
    model: OverdampedModel,
    z_rng: np.random.Generator,
    smoothness: float,
    iterations: int,
) -> Candidate:
    """Alternate force (given D, s2) and D, s2 (given the drift) from a starting model until the force settles."""
    data = force_data(block.series, block.neighbours, targets=block.targets, drift=block.drift, rng=z_rng)
    noise = start.noise
    model = replace(model, diffusion=noise.diffusion)
    fitted: ForceFit | None = None
    for _ in range(3):
        before = model
        fitted = solve_forces(
            model,
            data,
            localisation_variance=block.noise_of_rows(noise.localisation_variance),
            smoothness=smoothness,
            iterations=iterations,
        )
        noise = block.noise(block.residuals(fitted.model), noise.parameters)
        # the drift D F is what the data fix: keep it while D is corrected
        ratio = float(np.mean(fitted.model.diffusion / noise.diffusion))
        model = replace(fitted.model, diffusion=noise.diffusion, coefficients=fitted.model.coefficients * ratio)
        if abs(ratio - 1.0) < 2e-3 and before is not start.model:
            break
    return Candidate(n_knots=model.n_knots, model=model, noise=noise, forces=fitted)


def with_knots(model: OverdampedModel, *, n_knots: int, lower: float, cutoff: float) -> OverdampedModel:
    """Return the model's force expressed with another number of knots (least squares), the start of the next fit."""
    n_pairs = len(model.coefficients)
    if not model.n_knots:
        coefficients = np.zeros((n_pairs, n_knots))
    else:
        r = np.linspace(lower, cutoff, 8 * max(n_knots, model.n_knots), endpoint=False)
        old = force_design(r, lower=model.lower, cutoff=model.cutoff, n_knots=model.n_knots) @ model.coefficients.T
        new = force_design(r, lower=lower, cutoff=cutoff, n_knots=n_knots)
        coefficients = np.linalg.lstsq(new, old, rcond=None)[0].T
    return replace(model, coefficients=np.ascontiguousarray(coefficients), lower=lower, cutoff=cutoff)


def held_out(block: Block, candidate: Candidate) -> tuple[np.ndarray, np.ndarray]:
    """Return the log-likelihood of every residual of a block and the rows they belong to."""
    data = block.residuals(candidate.model)
    noise = candidate.noise
    rows = log_likelihood_rows(data, diffusion=noise.diffusion, localisation_variance=noise.localisation_variance)
    return np.maximum(rows, -1e6), data.row
