"""Hypothesis strategies: random models and states, for tests of laws that must hold for all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from colloid_cg.dynamics.metriplectic.cell import Cell
from colloid_cg.dynamics.metriplectic.model import MetriplecticModel
from colloid_cg.dynamics.metriplectic.state import PhaseState
from colloid_cg.errors import InputError
from colloid_cg.testing.systems import CELLS, random_cell, random_model, random_state

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy


def models() -> SearchStrategy[MetriplecticModel]:
    """Return a strategy of models of one or two species (masses 1 : 2.7, unequal heat capacities) with random splines.

    With and without kernel, potential, each friction and heat exchange; U with and without volume; exponents of the
    temperature or none; k_B other than one.

    Examples
    --------
    >>> from hypothesis import given, settings, strategies
    >>> from colloid_cg.testing import assert_metriplectic, models, states
    >>> @settings(max_examples=3, deadline=None, database=None)
    ... @given(data=strategies.data())
    ... def test_laws(data):
    ...     model = data.draw(models())
    ...     assert_metriplectic(model, data.draw(states(model)))
    >>> test_laws()
    """
    st = _strategies()

    @st.composite  # type: ignore[untyped-decorator]
    def build(draw: DrawFn) -> MetriplecticModel:
        functions = {name: draw(st.booleans()) for name in ("force", "kernel", "par", "perp", "heat")}
        if not any(functions.values()):
            functions["par"] = True
        powers = {name: draw(st.sampled_from([False, True])) for name in ("par", "perp", "heat")}
        return random_model(
            draw(st.integers(0, 2**31 - 1)),
            n_species=draw(st.sampled_from([1, 2])),
            functions=tuple(name for name, wanted in functions.items() if wanted),
            powers=tuple(name for name, wanted in powers.items() if wanted),
            boltzmann=draw(st.sampled_from([1.0, 0.05, 0.4])),
        )

    found: SearchStrategy[MetriplecticModel] = build()
    return found


def states(
    model: MetriplecticModel,
    *,
    dimension: int | None = None,
    cell: str | None = None,
    most_particles: int = 7,
) -> SearchStrategy[PhaseState]:
    """Return a strategy of states of a model: velocities and entropies of a thermal spread, positions unwrapped.

    Unless no pair interacts, one is closer than .8 of the cutoff.

    Parameters
    ----------
    model : MetriplecticModel
    dimension : {2, 3}, optional
        Default: either.
    cell : {"open", "periodic", "slab", "sheared"}, optional
        Default: any.
    most_particles : int
    """
    st = _strategies()
    from hypothesis import assume

    @st.composite  # type: ignore[untyped-decorator]
    def build(draw: DrawFn) -> PhaseState:
        d = draw(st.sampled_from([2, 3])) if dimension is None else dimension
        kind = draw(st.sampled_from(CELLS)) if cell is None else cell
        n = draw(st.integers(1, most_particles))
        box = random_cell(kind, dimension=d, edge=draw(st.floats(2.05, 2.8)) * model.cutoff)
        state = random_state(model, draw(st.integers(0, 2**31 - 1)), cell=Cell(box=box), n_particles=n)
        inside = state.distance[state.distance < model.cutoff]
        # Where all pairs sit at the cutoff every force is tiny, and its round-off relative to it is large.
        assume(not len(inside) or float(inside.min()) < 0.8 * model.cutoff)
        return state

    found: SearchStrategy[PhaseState] = build()
    return found


def _strategies() -> Any:
    try:
        from hypothesis import strategies
    except ImportError as missing:
        raise InputError(
            "no package hypothesis",
            expected="hypothesis for random models and states",
            action="install it: pip install hypothesis",
        ) from missing
    return strategies
