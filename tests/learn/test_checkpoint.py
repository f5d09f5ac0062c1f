"""A fit that was stopped takes up its finished candidates and ends with the same numbers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from colloid_cg.learn import FitConfig, fit
from colloid_cg.learn.checkpoint import Arrays
from colloid_cg.records import ModelBundle, Trajectories
from tests.learn.field_worlds import pushing_wells
from tests.learn.worlds import tracks, yukawa


class Stopped(Exception):
    """The power went."""


class Shelf:
    """A checkpoint in memory that stops the fit when it has kept ``last`` candidates."""

    def __init__(self, last: int) -> None:
        self.kept: dict[str, Arrays] = {}
        self.last, self.asked = last, 0

    def load(self, name: str) -> Arrays | None:
        self.asked += 1
        return self.kept.get(name)

    def save(self, name: str, arrays: Arrays) -> None:
        assert name not in self.kept, "fitted twice"
        self.kept[name] = {key: value.copy() for key, value in arrays.items()}
        if len(self.kept) == self.last:
            raise Stopped


def crowd() -> tuple[Trajectories, FitConfig]:
    positions, side = yukawa(5, frames=60)
    seen = positions + 0.03 * np.random.default_rng(8).standard_normal(positions.shape)
    return tracks(seen, side=side, dt=0.005), FitConfig(knots=(0, 4, 6), cutoff=3.0, regime="overdamped")


def held() -> tuple[Trajectories, FitConfig]:
    whole, _ = pushing_wells(3, pairs=16, frames=100)
    return whole, FitConfig(
        knots=(0, 4), cutoff=2.0, regime="overdamped", traps="each", flow="smooth", flow_splines=(1, 2)
    )


@pytest.mark.parametrize(("world", "stops"), [(crowd, (1, 2)), (held, (1, 3))])
def test_a_stopped_fit_goes_on_to_the_same_numbers(
    world: Callable[[], tuple[Trajectories, FitConfig]], stops: tuple[int, ...]
) -> None:
    whole, config = world()
    border = int(0.8 * whole.n_frames)
    shelf = Shelf(0)

    def run() -> ModelBundle:
        return fit(whole.between(0, border), whole.between(border, whole.n_frames), config, rng=1, checkpoint=shelf)

    for stop in stops:
        shelf.last = stop
        with pytest.raises(Stopped):
            run()
        assert len(shelf.kept) == stop
    shelf.last = 0
    found = run()
    undisturbed = fit(whole.between(0, border), whole.between(border, whole.n_frames), config, rng=1)
    assert found.metrics == undisturbed.metrics
    assert found.pair_force.equals(undisturbed.pair_force)
    assert all((found.weights[name] == value).all() for name, value in undisturbed.weights.items())
