"""Temperature and entropy of every particle in every frame, as the learned model estimates them."""

from __future__ import annotations

import pandas as pd

from colloid_cg.learn.kinds import HIDDEN_ENTROPY
from colloid_cg.learn.thermal.bundle import hidden_entropy_model
from colloid_cg.learn.thermal.hidden import hidden_energies
from colloid_cg.learn.thermal.observed import observed
from colloid_cg.records import ModelBundle, Trajectories
from colloid_cg.states import phase_series


def thermal_fields(bundle: ModelBundle, tracks: Trajectories) -> pd.DataFrame | None:
    """Return k_B T_i and S_i/k_B of every particle, estimated from all frames before.

    Parameters
    ----------
    bundle : ModelBundle
    tracks : Trajectories
        The recording from the first frame that was fitted: energies are counted from there.

    Returns
    -------
    pandas.DataFrame or None
        Columns ``frame, particle, temperature`` (k_B T, in the energy unit of the recording), ``entropy`` (k_B, zero at
        the reference state of the species), in the order of the tracks. None for other models.

    Raises
    ------
    DataError
        If velocities or masses are missing.
    """
    if bundle.config.get("kind") != HIDDEN_ENTROPY or "filter_gain" not in bundle.config:
        return None
    model = hidden_entropy_model(bundle)
    found = hidden_energies(
        model, observed(phase_series(tracks), model.cutoff), gain=float(bundle.config["filter_gain"])
    )
    heat = model.boltzmann * found.temperature
    return tracks.table[["frame", "particle"]].assign(
        temperature=heat.flatten().numpy(), entropy=found.entropy.flatten().numpy() / model.boltzmann
    )
