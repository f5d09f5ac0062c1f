"""Systems with known truth for the benchmark of inference: one function per system, from a seed to a recording."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmarks.inference_wells import WELL_SIDE, Wells, motion_in_wells
from colloid_cg.records import Box, Trajectories
from colloid_cg.twin import TwinConfig, simulate_case
from colloid_cg.twin.settings import CameraConfig
from colloid_cg.twin.truth import TwinTruth, truth_table

FULL_FRAME = CameraConfig(exposure=1.0)


@dataclass(frozen=True, kw_only=True, eq=False)
class Recording:
    """What a perfect camera sees of a system, at the frame times and averaged over whole frames, with the truth.

    Parameters
    ----------
    table : DataFrame
        frame, particle, species, and positions in px: x, y averaged over the frame, x_start, y_start at its beginning.
    view : Box
        In px, open: particles enter and leave through its edges.
    diffusion : array, shape (n_species,)
        um2/s.
    pair_force : DataFrame or None
        r (um), force (k_B T/um), species_a, species_b.
    probes : tuple of (species_a, species_b, r)
        Distances (um) at which the interval of the force is judged.
    cutoff : float or None
        Range of the force (um) given to the fit.
    wells : Wells or None
        The well of each particle, in place of a pair force.
    """

    table: pd.DataFrame
    view: Box
    pixel_size: float
    frame_interval: float
    n_frames: int
    diffusion: np.ndarray
    pair_force: pd.DataFrame | None = None
    probes: tuple[tuple[int, int, float], ...] = ()
    cutoff: float | None = None
    wells: Wells | None = None

    def force(self, pair: tuple[int, int], r: np.ndarray) -> np.ndarray:
        """Return the true force between two species at distances r (um), zero beyond its range."""
        curve = given(self.pair_force)
        curve = curve[(curve["species_a"] == pair[0]) & (curve["species_b"] == pair[1])]
        return np.asarray(np.interp(r, curve["r"], curve["force"], right=0.0))

    def variance(self, ratio: float) -> float:
        """Return the localisation variance (um2) that is ``ratio`` times the step variance 2 D dt of species 0."""
        return ratio * 2.0 * float(self.diffusion[0]) * self.frame_interval

    def observed(self, *, ratio: float, blurred: bool, rng: np.random.Generator) -> Trajectories:
        """Return tracks with localisation noise, exposed over whole frames or for an instant."""
        columns = ["x", "y"] if blurred else ["x_start", "y_start"]
        sigma = np.sqrt(self.variance(ratio)) / self.pixel_size
        seen = self.table[columns].to_numpy() + sigma * rng.standard_normal((len(self.table), 2))
        table = self.table[["frame", "particle", "species"]].assign(x=seen[:, 0], y=seen[:, 1])
        return Trajectories(
            table=table,
            pixel_size=self.pixel_size,
            frame_interval=self.frame_interval,
            exposure=self.frame_interval if blurred else 0.0,
            field_of_view=self.view,
            n_frames=self.n_frames,
        )


def yukawa(seed: int) -> Recording:
    """Charged colloids at the twin's density; a particle's cage relaxes within some five frames."""
    config = TwinConfig(n_frames=160, frame_interval=0.02, width=200, height=200, seed=seed, camera=FULL_FRAME)
    return recording_of(simulate_case("yukawa", config), ((0, 0, 1.45), (0, 0, 1.7), (0, 0, 2.0)), cutoff=2.8)


def soft_discs(seed: int) -> Recording:
    """Two sizes of harmonic discs that touch now and then."""
    config = TwinConfig(n_frames=240, frame_interval=0.01, width=220, height=220, seed=seed, camera=FULL_FRAME)
    return recording_of(simulate_case("soft_discs", config), ((0, 0, 1.44), (0, 1, 1.73), (1, 1, 2.0)), cutoff=2.4)


def ornstein_uhlenbeck(seed: int) -> Recording:
    """Harmonic wells, one particle each, that relax within five frames."""
    return _in_wells(Wells(stiffness=20.0, quartic=0.0), seed)


def quartic(seed: int) -> Recording:
    """Wells whose force grows with the cube of the distance: mean curvature 2 (2 q)^(1/2) near that of the harmonic."""
    return _in_wells(Wells(stiffness=2.0, quartic=60.0), seed)


SYSTEMS: dict[str, Callable[[int], Recording]] = {
    "OU": ornstein_uhlenbeck,
    "quartic": quartic,
    "yukawa": yukawa,
    "soft discs": soft_discs,
}


def given(curve: pd.DataFrame | None) -> pd.DataFrame:
    """Return the pair force of a recording that has one."""
    if curve is None:
        raise ValueError("a recording without pair forces")
    return curve


def _in_wells(wells: Wells, seed: int) -> Recording:
    table = motion_in_wells(wells, pixel_size=0.1, rng=np.random.default_rng([seed, 77]))
    return Recording(
        table=table,
        view=Box(lower=(0.0, 0.0), upper=(WELL_SIDE / 0.1, WELL_SIDE / 0.1), periodic=(False, False)),
        pixel_size=0.1,
        frame_interval=wells.frame_interval,
        n_frames=int(table["frame"].max()) + 1,
        diffusion=np.array([wells.diffusion]),
        wells=wells,
    )


def recording_of(truth: TwinTruth, probes: tuple[tuple[int, int, float], ...], *, cutoff: float) -> Recording:
    """Cut the open view out of the cell of a twin."""
    config = truth.config
    everyone = [np.ones(len(truth.species), dtype=bool)] * truth.n_frames
    if truth.pair_force is None:
        raise ValueError("a twin without pair forces")
    species = np.arange(int(truth.species.max()) + 1)
    # the twin gives the larger species the smaller mobility of its size
    return Recording(
        table=truth_table(truth, visible=everyone),
        view=Box(lower=(-0.5, -0.5), upper=(config.width - 0.5, config.height - 0.5), periodic=(False, False)),
        pixel_size=config.pixel_size,
        frame_interval=config.frame_interval,
        n_frames=config.n_frames,
        diffusion=config.diffusion_coefficient / np.where(species == 0, 1.0, 1.4),
        pair_force=truth.pair_force,
        probes=probes,
        cutoff=cutoff,
    )
