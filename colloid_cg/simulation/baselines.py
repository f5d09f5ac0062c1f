"""Rollouts of simpler dynamics fitted to the same data, from the same start: what a fitted model must beat."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from colloid_cg.dynamics.metriplectic.model import MetriplecticModel
from colloid_cg.learn.baselines import dpd, graph_network, langevin
from colloid_cg.records import PhaseSeries, Rollout
from colloid_cg.simulation.config import Baseline, SimulateConfig
from colloid_cg.simulation.phase import Step, phase_rollout, two_stage

_MOST_REPLICAS = 3


def baseline_rollout(
    name: Baseline,
    train: PhaseSeries,
    select: PhaseSeries,
    start: PhaseSeries,
    like: Rollout,
    *,
    thermal_energy: float,
    rng: np.random.Generator,
) -> Rollout:
    """Fit a baseline and run it from the first frame of ``start`` for the length of ``like``, in up to three replicas.

    Parameters
    ----------
    name : {"langevin", "dpd", "graph_network"}
        Friction and noise of single particles; dissipative particle dynamics (doi:10.1063/1.474784); a graph network
        that knows no law.
    train, select : PhaseSeries
        Blocks to fit and to choose with.
    start : PhaseSeries
    like : Rollout
        Of the model, in phase space.
    thermal_energy : float
        k_B T.
    rng : numpy.random.Generator

    Raises
    ------
    DataError
        If the baseline cannot be fitted, or its rollout leaves all bounds.
    """
    model, step, substeps = _FITS[name](train, select, rng)
    every = round(like.frame_interval / start.frame_interval)
    config = SimulateConfig(
        replicas=min(like.n_replicas, _MOST_REPLICAS),
        frames=(like.positions.shape[1] - 1) * every + 1,
        every=every,
        substeps=substeps,
    )
    return phase_rollout(model, start, step, thermal_energy=thermal_energy, config=config, rng=rng)


Fit = Callable[[PhaseSeries, PhaseSeries, np.random.Generator], tuple[MetriplecticModel, Step, int | None]]


def _langevin(
    train: PhaseSeries, select: PhaseSeries, rng: np.random.Generator
) -> tuple[MetriplecticModel, Step, None]:
    return langevin(train), two_stage, None


def _dpd(train: PhaseSeries, select: PhaseSeries, rng: np.random.Generator) -> tuple[MetriplecticModel, Step, None]:
    return dpd(train, select), two_stage, None


def _network(train: PhaseSeries, select: PhaseSeries, rng: np.random.Generator) -> tuple[MetriplecticModel, Step, int]:
    network = graph_network(train, select, rng=rng)
    return network.carrier, network.step, 1


_FITS: dict[str, Fit] = {"langevin": _langevin, "dpd": _dpd, "graph_network": _network}
