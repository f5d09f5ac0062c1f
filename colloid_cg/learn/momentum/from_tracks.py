"""The fit of a simulation that was imported with its velocities."""

from __future__ import annotations

from colloid_cg.errors import DataError
from colloid_cg.learn.momentum.bundle import bundle_of
from colloid_cg.learn.momentum.config import MomentumFitConfig
from colloid_cg.learn.momentum.fit import fit_pair_dynamics
from colloid_cg.progress import Progress, silent
from colloid_cg.records import ModelBundle, Trajectories
from colloid_cg.states import phase_series


def is_simulation(tracks: Trajectories) -> bool:
    """Return whether trajectories come from a simulation: velocities of a video would be noise."""
    return bool(tracks.metadata.get("simulation"))


def require_velocities(tracks: Trajectories) -> None:
    """Refuse a simulation that was imported without velocities."""
    if not {f"v{axis}" for axis in tracks.axes} <= set(tracks.table.columns):
        raise DataError(
            "a simulation without velocities",
            expected="columns vx, vy and so on in the trajectories",
            action='write velocities too and import again; or set fit.regime = "overdamped" if particles forget theirs '
            "between frames",
        )


def fit_simulation(
    train: Trajectories,
    select: Trajectories,
    config: MomentumFitConfig | None = None,
    *,
    progress: Progress = silent,
) -> ModelBundle:
    """Fit momentum-conserving pair dynamics to imported positions and velocities.

    Force and friction come from ``train``, the windows of the friction from ``select``
    (:func:`~colloid_cg.learn.momentum.fit_pair_dynamics`).

    Raises
    ------
    DataError
        If velocities or masses are missing, or there are too few frames.
    ConfigError
        If the cutoff exceeds half the periodic cell.
    """
    config = config or MomentumFitConfig()
    require_velocities(train)
    progress(0, 1)
    series = phase_series(train)
    dynamics = fit_pair_dynamics(series, phase_series(select), config)
    progress(1, 1)
    return bundle_of(dynamics, series, config, length_unit=train.length_unit, time_unit=train.time_unit)
