"""Settings of the comparison between experiment and rollouts."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from colloid_cg.settings import Settings
from colloid_cg.simulation.config import Baseline


class AssessConfig(Settings):
    """How experiment and rollouts are compared.

    Parameters
    ----------
    r_max : float or None
        Largest pair distance of g(r) in um; None: four mean spacings, at most half the smaller view.
    rdf_bins : int
        Bins of g(r).
    rdf_frames : int
        Frames of each series that enter g(r), evenly spaced (neighbouring frames repeat each other).
    lag_fraction : float
        Longest lag as a share of the shorter of block and rollout.
    minimum_lags : int
        Number of lags used even where ``lag_fraction`` would leave fewer.
    van_hove_lags : int
        Number of lags, spread evenly in logarithm, at which displacements are compared.
    van_hove_bins : int
        Bins of each displacement distribution.
    rrmse_floor : float
        RRMSE that is good whatever the reference says.
    reference_factor : float
        RRMSE that is good, in units of the experiment's agreement with itself.
    dilute_limit : float
        g(r) is inverted only where density x pi x range^2 (2-D; the sphere in 3-D) stays below this number.
    vacf_floor : float
        RRMSE of the velocity autocorrelation that is good whatever the reference says.
    reference : str, tuple of str or None
        Archives (.npz) of curves measured elsewhere, r and g, t_msd (or t) and msd, t and vacf, that rollouts with
        velocities are compared with beside the test block.
    reference_fraction : float
        Longest lag in comparisons with these, as a share of the rollout.
    baselines : tuple of "langevin", "dpd", "graph_network"
        Simpler dynamics that are fitted to the same data and judged by the same figures, where there are velocities.
        The network takes minutes to train.
    """

    table: ClassVar[str] = "assess"
    files: ClassVar[dict[str, tuple[str, ...]]] = {"reference": ()}

    r_max: float | None = Field(default=None, gt=0)
    rdf_bins: int = Field(default=50, ge=5)
    rdf_frames: int = Field(default=60, ge=2)
    lag_fraction: float = Field(default=0.1, gt=0, le=0.5)
    minimum_lags: int = Field(default=5, ge=2)
    van_hove_lags: int = Field(default=3, ge=1)
    van_hove_bins: int = Field(default=41, ge=7)
    rrmse_floor: float = Field(default=0.03, gt=0)
    reference_factor: float = Field(default=1.5, ge=1)
    dilute_limit: float = Field(default=0.3, gt=0)
    vacf_floor: float = Field(default=0.05, gt=0)
    reference: str | tuple[str, ...] | None = None
    reference_fraction: float = Field(default=0.4, gt=0, le=0.9)
    baselines: tuple[Baseline, ...] = ("langevin", "dpd")

    @property
    def references(self) -> tuple[str, ...]:
        """The archives of curves, none or several."""
        return (self.reference,) if isinstance(self.reference, str) else self.reference or ()
