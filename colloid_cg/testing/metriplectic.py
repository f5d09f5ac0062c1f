"""All laws at once, for any model that has the fields of a metriplectic model."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch

from colloid_cg.dynamics.metriplectic.model import MetriplecticModel
from colloid_cg.dynamics.metriplectic.state import PhaseState
from colloid_cg.testing.energy import (
    assert_angular_momentum,
    assert_energy_function,
    assert_force,
    assert_momentum,
    assert_reversible,
)
from colloid_cg.testing.equivalence import (
    GAUGE_TOLERANCE,
    assert_density_gauge,
    assert_entropy_gauge,
    assert_offset_gauge,
)
from colloid_cg.testing.friction import (
    assert_drift,
    assert_friction_degenerate,
    assert_friction_positive,
    assert_friction_symmetric,
    assert_law_slopes,
    assert_noise_covariance,
)
from colloid_cg.testing.symmetry import (
    assert_galilean,
    assert_images,
    assert_orientation,
    assert_relabelling,
    assert_translation,
)
from colloid_cg.testing.verdicts import SYMMETRY_TOLERANCE, TOLERANCE

Law = Callable[..., None]

OPERATOR_LAWS: tuple[Law, ...] = (
    assert_energy_function,
    assert_force,
    assert_law_slopes,
    assert_friction_symmetric,
    assert_friction_positive,
    assert_friction_degenerate,
    assert_drift,
    assert_noise_covariance,
)
"""Each ``law(model, state, *, tolerance)``, against automatic differentiation."""

CONSERVATION_LAWS: tuple[Law, ...] = (assert_reversible, assert_momentum, assert_angular_momentum)
"""Each ``law(model, state, *, tolerance)``, to round-off."""

SYMMETRIES: tuple[Law, ...] = (
    assert_relabelling,
    assert_orientation,
    assert_translation,
    assert_images,
    assert_galilean,
)
"""Each ``law(model, state, *, rng, tolerance)``, to round-off."""

GAUGES: tuple[Law, ...] = (assert_density_gauge, assert_entropy_gauge, assert_offset_gauge)
"""Each ``law(model, state, *, tolerance)``."""


def assert_metriplectic(
    model: MetriplecticModel,
    states: PhaseState | Iterable[PhaseState],
    *,
    tolerance: float = TOLERANCE,
    symmetry_tolerance: float = SYMMETRY_TOLERANCE,
    gauge_tolerance: float = GAUGE_TOLERANCE,
    rng: torch.Generator | None = None,
) -> None:
    """Require every law of the metriplectic structure at every state, the laws of single steps in time excepted.

    Parameters
    ----------
    model : MetriplecticModel
        Or any object with its fields; in double precision. Bath and drive are outside of these laws: the bath is not
        looked at, prescribed particles are refused.
    states : PhaseState or several
        Of at most 24 particles, as matrices are written out in full.
    tolerance : float
        Of operators against automatic differentiation, in units of the largest value.
    symmetry_tolerance : float
        Of symmetries and conservation laws.
    gauge_tolerance : float
        Of gauges.
    rng : torch.Generator, optional
        Chooses orders, rotations and shifts; default: the same ones every time.

    Raises
    ------
    AssertionError
        Names the law, by how much it is broken and where.

    Examples
    --------
    >>> from colloid_cg.testing import assert_metriplectic, example_system
    >>> model, state = example_system()
    >>> assert_metriplectic(model, state)
    """
    rng = torch.Generator().manual_seed(0) if rng is None else rng
    for number, state in enumerate([states] if isinstance(states, PhaseState) else states):
        try:
            for law in OPERATOR_LAWS:
                law(model, state, tolerance=tolerance)
            for law in CONSERVATION_LAWS:
                law(model, state, tolerance=symmetry_tolerance)
            for law in SYMMETRIES:
                law(model, state, rng=rng, tolerance=symmetry_tolerance)
            for law in GAUGES:
                law(model, state, tolerance=gauge_tolerance)
        except AssertionError as broken:
            if isinstance(states, PhaseState):
                raise
            raise AssertionError(f"state {number}: {broken}") from broken
