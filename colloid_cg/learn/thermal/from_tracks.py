"""The fit of hidden entropies to a simulation that was imported with its velocities."""

from __future__ import annotations

from colloid_cg.learn.checkpoint import NOWHERE, Checkpoint
from colloid_cg.learn.momentum import MomentumFitConfig, interaction_reach, require_velocities
from colloid_cg.learn.thermal.bundle import bundle_of
from colloid_cg.learn.thermal.config import ThermalFitConfig
from colloid_cg.learn.thermal.fit import fit_thermal
from colloid_cg.progress import Progress, silent
from colloid_cg.records import ModelBundle, Trajectories
from colloid_cg.states import phase_series


def fit_hidden_entropy(
    train: Trajectories,
    select: Trajectories,
    config: ThermalFitConfig | None = None,
    momentum: MomentumFitConfig | None = None,
    *,
    seed: int = 0,
    checkpoint: Checkpoint = NOWHERE,
    progress: Progress = silent,
) -> ModelBundle:
    """Learn U(S, V), frictions and heat exchange from imported positions and velocities.

    :func:`~colloid_cg.learn.thermal.fit_thermal`, without a force from outside. Where ``config`` has no cutoff, it is
    that of ``momentum`` or the range at which pair force and friction at one temperature end.

    Raises
    ------
    DataError
        If velocities or masses are missing, the blocks do not follow each other, or there are too few frames.
    ConfigError, InputError
        If the cutoff exceeds half the periodic cell.
    """
    config = config or ThermalFitConfig()
    require_velocities(train)
    first, second = phase_series(train), phase_series(select)
    if config.cutoff is None:
        config = config.model_copy(update={"cutoff": interaction_reach(first, second, momentum)})
    dynamics = fit_thermal(first, second, config, seed=seed, checkpoint=checkpoint, progress=progress)
    return bundle_of(dynamics, first, second, config, length_unit=train.length_unit, time_unit=train.time_unit)
