"""Fields that do not belong to the data: refused, or said in a sentence; right ones raise none."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from colloid_cg.errors import ColloidError, ConfigError, DataError
from colloid_cg.learn import FieldTables, FitConfig, fit
from colloid_cg.learn.field_warnings import unsettled
from colloid_cg.records import ModelBundle, Trajectories
from tests.learn.field_worlds import DT, uniform_flow, wells
from tests.learn.worlds import brownian, tracks


def _fit(whole: Trajectories, tables: FieldTables | None = None, **settings: object) -> ModelBundle:
    end = whole.n_frames
    config = FitConfig.parse({"knots": (0,), "stride": 1, "regime": "overdamped"} | settings)
    return fit(whole.between(0, end - 40), whole.between(end - 40, end), config, fields=tables)


def _sentences(whole: Trajectories, tables: FieldTables | None = None, **settings: object) -> list[str]:
    return list(_fit(whole, tables, **settings).diagnostics.get("field_warnings", []))


def _free(speed: float = 0.0, frames: int = 140) -> Trajectories:
    path = brownian(np.random.default_rng(1), n=30, frames=frames, diffusion=1.0, dt=DT)
    return tracks(path + speed * DT * np.arange(frames)[:, None, None] * [1, 0], side=60.0, dt=DT)


@pytest.fixture(scope="module")
def held() -> tuple[Trajectories, pd.DataFrame]:
    return wells(3, k=10.0, ratio=0.25, frames=190, n=16)


def test_right_wells_raise_no_warning_and_unknown_exposure_is_named(held: tuple[Trajectories, pd.DataFrame]) -> None:
    bundle = _fit(held[0], FieldTables(traps=held[1]), traps="t.csv")
    assert "field_warnings" not in bundle.diagnostics
    assert "exposure unknown, no blur assumed" in bundle.metrics["trap_stiffness"][0]["note"]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda table: table + 3.0, "means lie 0.4"),
        (lambda table: table.iloc[:8].assign(particle=np.arange(8)), "8 of 16 particles have no row"),
        (lambda table: table.iloc[[5, 10]], "In 2 of 2 wells more than one particle was seen at a time, up to"),
    ],
)
def test_wrong_centres_are_said(held, change, match: str) -> None:  # type: ignore[no-untyped-def]
    found = _sentences(held[0], FieldTables(traps=change(held[1])), traps="t.csv")
    assert any(match in line for line in found), found


def test_centres_outside_the_view_are_refused(held: tuple[Trajectories, pd.DataFrame]) -> None:
    far = pd.DataFrame({"x": [5000.0], "y": [100.0]})
    with pytest.raises(DataError, match=r"1 of 1 wells outside the view, one at \(5000, 100\) px"):
        _sentences(held[0], FieldTables(traps=far), traps="t.csv")


def test_free_particles_in_given_wells_are_noticed() -> None:
    whole = _free()
    first = whole.table[whole.table["frame"] == 0][["x", "y"]].reset_index(drop=True)
    found = _sentences(whole, FieldTables(traps=first), traps="t.csv")
    assert any("spread" in line or "No confinement" in line for line in found), found
    own = _sentences(whole, traps="each")
    assert any("Free particles would look the same" in line for line in own), own
    middle = _sentences(whole, FieldTables(traps=pd.DataFrame({"x": [300.0], "y": [300.0]})), traps="t.csv")
    assert any("No confinement was found" in line for line in middle), middle


def test_a_flow_in_another_unit_is_noticed() -> None:
    whole = _free(4.0)
    corners = uniform_flow(np.ones(1)) * [1, 3, 3, 1, 1]
    tables = {speed: FieldTables(flow=corners.assign(u_x=speed)) for speed in (4.0, 2.0, 0.0, 40.0)}
    assert _sentences(whole, tables[4.0], flow="u.csv") == []
    found = _sentences(whole, tables[2.0], flow="u.csv")[0]
    assert float(found.split("move ")[1].split("(")[0]) == pytest.approx(2.0, abs=0.4)
    assert "is zero wherever there are particles" in _sentences(whole, tables[0.0], flow="u.csv")[0]
    with pytest.raises(DataError, match=r"move 0\.1\d* times as fast along the flow"):
        _sentences(whole, tables[40.0], flow="u.csv")


def test_prescribed_particles_far_away_or_with_gaps() -> None:
    whole = _free(frames=100)
    rows = [(frame, bead, -900.0 + 0.1 * frame, 20.0 * bead, 0) for frame in range(100) for bead in (0, 1)]
    beads = pd.DataFrame(rows, columns=["frame", "particle", "x", "y", "species"])
    settings = {"prescribed": "p.csv", "cutoff": 2.0}
    assert "No prescribed particle came within" in _sentences(whole, FieldTables(prescribed=beads), **settings)[0]
    gappy = beads[~((beads["particle"] == 1) & beads["frame"].isin([7, 8]))]
    with pytest.raises(DataError, match=r"prescribed particle 1 without a row in frame 7 \(2 such frames"):
        _sentences(whole, FieldTables(prescribed=gappy), **settings)


def test_an_equation_that_did_not_settle_is_said() -> None:
    for converged in (True, False):
        forces = SimpleNamespace(converged=converged)
        found = unsettled(SimpleNamespace(final=SimpleNamespace(forces=forces)), FitConfig())  # type: ignore[arg-type]
        assert ["did not settle in 12 iterations" in line for line in found] == [True] * (not converged)


def test_settings_that_contradict_each_other() -> None:
    with pytest.raises(ConfigError, match="needs traps"):
        FitConfig.parse({"well": "quartic"})


def test_blocks_without_wells_are_named_by_their_frames(held: tuple[Trajectories, pd.DataFrame]) -> None:
    whole, centres = held
    with pytest.raises(ColloidError, match=r"at most 15 used frames .* \(frames 100 to 114 of the movie"):
        fit(whole.between(0, 100), whole.between(100, 115), FitConfig(traps="each", knots=(0,), stride=1))
    strange = centres.assign(particle=np.arange(16) + 500)
    with pytest.raises(ColloidError, match=r"in any of the wells of fit.traps \(frames 0 to 149"):
        _sentences(whole, FieldTables(traps=strange), traps="t.csv")
