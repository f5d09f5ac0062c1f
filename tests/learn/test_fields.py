"""External fields: known strengths are found, whatever the noise; ignoring a field spoils what is left."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from colloid_cg.errors import ColloidError, DataError, InputError
from colloid_cg.learn import FieldTables, FitConfig, fit
from colloid_cg.learn.field_fit import first_strengths, fit_in_fields
from colloid_cg.learn.fields import Strengths, fields_of
from colloid_cg.learn.problem import Candidate, fit_free, prepare
from colloid_cg.records import ModelBundle, Trajectories
from colloid_cg.states import from_trajectories
from tests.learn.field_worlds import DT, PUSH, REACH, D, needle, pushing_wells, uniform_flow, wells
from tests.learn.worlds import brownian, tracks

RATE = 10.0
"""Stiffness with k D dt = 0.1."""


def _fit_wells(
    whole: Trajectories, traps: pd.DataFrame | str, *, quartic: bool = False, jackknife: bool = True
) -> tuple[Strengths, Candidate]:
    from dataclasses import replace

    series = from_trajectories(whole)
    block = prepare(series, n_species=1, drift_velocity=np.zeros(2))
    fields = fields_of(
        series, traps=traps, pixel_size=0.1, quartic=quartic, flow=None, frame_interval=DT, n_species=1, exact=True
    )
    if not jackknife:
        fields = replace(fields, halves=None)
    free = fit_free(block)
    first = first_strengths(block, fields, diffusion=float(free.noise.diffusion[0]), flow_count=0)
    found = fit_in_fields(
        block, replace(free, strengths=first), fields=fields, model=free.model, z_rng=np.random.default_rng(0),
        smoothness=0.01, iterations=12,
    )  # fmt: skip
    return found.acting, found


def _naive_rate(whole: Trajectories, traps: pd.DataFrame) -> float:
    """Regression of the next step on the same noisy position, as an exponential relaxation rate times D dt."""
    series = from_trajectories(whole)
    fields = fields_of(
        series, traps=traps, pixel_size=0.1, quartic=False, flow=None, frame_interval=DT, n_species=1, exact=True
    )
    rows = np.flatnonzero(series.following >= 0)
    u, step = (
        (series.positions - fields.centre)[rows],
        series.positions[series.following[rows]] - series.positions[rows],
    )
    return float(-np.log1p((u * step).sum() / (u**2).sum()))


@pytest.mark.parametrize(("ratio", "blurred"), [(0.0, False), (1.0, False), (0.25, True), (1.0, True)])
def test_stiffness_d_and_noise_of_harmonic_wells(ratio: float, blurred: bool) -> None:
    found, naive, noise, diffusion = [], [], [], []
    for seed in range(6):
        whole, centres = wells(seed, k=RATE, ratio=ratio, blurred=blurred)
        strengths, candidate = _fit_wells(whole, centres)
        found.append(strengths.stiffness / RATE)
        diffusion.append(candidate.noise.diffusion[0] / D)
        noise.append(candidate.noise.localisation_variance - ratio * 2 * D * DT)
        naive.append(_naive_rate(whole, centres) / (RATE * D * DT))
    for values, limit in ((found, 0.10 if ratio == 1.0 else 0.05), (diffusion, 0.02)):
        assert abs(np.mean(values) - 1.0) < max(limit, 2 * np.std(values, ddof=1) / np.sqrt(6))
    assert abs(np.mean(noise)) < max(0.05 * ratio * 2 * D * DT, 0.02 * 2 * D * DT)
    assert np.std(found) < 0.1
    if ratio == 1.0:
        assert np.mean(naive) > 1.6  # the plug-in control fails


def test_naive_regression_overestimates_a_weak_trap_more_than_twice() -> None:
    whole, centres = wells(0, k=2.0, ratio=1.0, frames=1200)
    strengths, _ = _fit_wells(whole, centres)
    assert abs(strengths.stiffness / 2.0 - 1.0) < 0.15
    assert _naive_rate(whole, centres) / (2.0 * D * DT) > 1.9


def test_bias_of_estimated_centres_is_gone() -> None:
    """Same films, centres known, estimated, and estimated without the correction (2 tau/T = 13 % at T = 150)."""
    known, own, plain = [], [], []
    for seed in range(5):
        whole, centres = wells(seed, k=RATE, ratio=0.25, frames=150)
        known.append(_fit_wells(whole, centres)[0].stiffness / RATE)
        own.append(_fit_wells(whole, "each")[0].stiffness / RATE)
        plain.append(_fit_wells(whole, "each", jackknife=False)[0].stiffness / RATE)
    assert np.mean(np.subtract(plain, known)) > 0.08
    assert abs(np.mean(np.subtract(own, known))) < 0.03


@pytest.mark.parametrize("ratio", [0.0, 0.25])
def test_quartic_well(ratio: float) -> None:
    """Mean force of -(k + q u^2) u: right where a deterministic step errs by 15 %."""
    k, q = 3.0, 50.0
    square = np.abs(np.random.default_rng(0).normal(0.0, np.sqrt(2.0 / q), 4000))  # u^2 as the well spreads it
    true = k + q * square
    found, diffusion = [], []
    for seed in range(6):
        whole, centres = wells(seed, k=k, q=q, ratio=ratio, n=60)
        strengths, candidate = _fit_wells(whole, centres, quartic=True)
        mine = strengths.stiffness + strengths.quartic * square
        found.append(float((square * mine * true).sum() / (square * true**2).sum()))
        diffusion.append(candidate.noise.diffusion[0] / D)
    assert abs(np.mean(found) - 1.0) < max(0.05, 2 * np.std(found, ddof=1) / np.sqrt(6))
    assert abs(np.mean(diffusion) - 1.0) < max(0.02, 2 * np.std(diffusion, ddof=1) / np.sqrt(6))
    assert np.std(found) < 0.1


@pytest.fixture(scope="module")
def trapped() -> ModelBundle:
    whole, centres = wells(3, k=RATE, ratio=0.25, frames=400, n=25)
    assert len(centres) == 25
    return fit(whole.between(0, 300), whole.between(300, 400), FitConfig(traps="each", knots=(0,)), rng=1)


def test_bundle_of_a_fit_with_traps(trapped: ModelBundle) -> None:
    shared, *own = trapped.metrics["trap_stiffness"]
    assert shared["low90"] < RATE < shared["high90"]
    assert shared["high90"] - shared["low90"] < 0.4 * RATE
    assert "25 traps" in shared["note"]
    assert len(own) == 25
    assert np.mean([entry["low90"] < RATE < entry["high90"] for entry in own]) > 0.75
    assert {entry["unit"] for entry in (shared, *own)} == {"k_B T/um2"}
    assert "particle 3 " in own[3]["note"]
    diffusion = trapped.metrics["diffusion_coefficient"][0]
    assert abs(diffusion["value"] - D) < 1.5 * (diffusion["high90"] - diffusion["low90"]) / 2
    assert not any("confinement" in item for item in trapped.diagnostics["not_modelled"])
    assert trapped.diagnostics["half_rate"]["note"].startswith("agrees")
    assert trapped.config["fields"]["wells"] == "each"


def test_traps_that_were_not_given_are_suspected() -> None:
    whole, _ = wells(3, k=RATE, ratio=0.25, frames=200, n=25)
    path = brownian(np.random.default_rng(0), n=60, frames=200, diffusion=D, dt=DT)
    settings = FitConfig(knots=(0,), stride=1)
    found = [
        fit(film.between(0, 150), film.between(150, 200), settings, rng=1).diagnostics.get("trap_warnings")
        for film in (whole, tracks(path, side=60.0, dt=DT))
    ]
    assert found[1] is None
    assert 'fit.traps = "each"' in found[0][0]


def test_trapped_particles_that_push_each_other() -> None:
    """Pairs of wells nearer than the range of a spring that pushes: stiffness and force are both found."""
    whole, centres = pushing_wells(5, pairs=60, frames=300)
    blocks = whole.between(0, 240), whole.between(240, 300)
    settings = {"knots": (0, 4), "cutoff": 1.8, "stride": 1}
    both = fit(*blocks, FitConfig(traps="t.csv", **settings), rng=1, fields=FieldTables(traps=centres))
    shared = both.metrics["trap_stiffness"][0]
    assert shared["low90"] < RATE < shared["high90"]
    assert shared["high90"] - shared["low90"] < 0.4 * RATE
    assert both.config["pair_force_used"]
    row = both.pair_force[both.pair_force["r"].between(1.1, 1.7)]
    truth = PUSH * (REACH - row["r"].to_numpy())
    assert float((row["force"] * truth).sum() / (truth**2).sum()) == pytest.approx(1.0, abs=0.15)
    alone = fit(*blocks, FitConfig(traps="t.csv", knots=(0,), stride=1), rng=1, fields=FieldTables(traps=centres))
    without = alone.metrics["trap_stiffness"][0]
    assert not without["low90"] < RATE < without["high90"]


def _affine(rng: np.random.Generator) -> Trajectories:
    """Free particles in the flow u = (5 + 0.5 y, -0.25 x) um/s, seen while they are in the view.

    They start upstream of the view too, so that it stays full; folding them back into it would put them where the flow
    is another one.
    """
    x, path, h = rng.uniform([-50.0, 0.0], [60.0, 90.0], (400, 2)), np.empty((160, 400, 2)), DT / 5
    for t in range(160):
        path[t] = x
        for _ in range(5):
            drift = np.stack([5.0 + 0.5 * x[:, 1], -0.25 * x[:, 0]], axis=1)
            x = x + drift * h + np.sqrt(2 * D * h) * rng.standard_normal(x.shape)
    path += np.sqrt(0.25 * 2 * D * DT) * rng.standard_normal(path.shape)
    whole = tracks(path[:, :1] % 60.0, side=60.0, dt=DT)
    table = pd.DataFrame(
        {"frame": np.repeat(np.arange(160), 400), "particle": np.tile(np.arange(400), 160), "species": 0, "flags": 0}
    )
    table[["x", "y"]] = path.reshape(-1, 2) / 0.1
    return whole.with_table(table[((path > 0.0) & (path < 60.0)).all(axis=2).ravel()])


def test_smooth_flow_is_found_and_given_flow_leaves_d_alone() -> None:
    whole = _affine(np.random.default_rng(4))
    train, select = whole.between(0, 120), whole.between(120, 160)
    config = FitConfig(flow="smooth", flow_splines=(1, 2, 4), knots=(0,))
    bundle = fit(train, select, config, rng=1)
    curve = bundle.diagnostics["flow"]
    x, y = np.array(curve["x"]), np.array(curve["y"])
    for name, truth in (("u_x", 5.0 + 0.5 * y), ("u_y", -0.25 * x)):
        value = np.array(curve[name])
        assert np.sqrt(((value - truth) ** 2).mean()) < 0.1 * np.sqrt((truth**2).mean())
        inside = (np.array(curve[f"{name}_low90"]) < truth) & (truth < np.array(curve[f"{name}_high90"]))
        assert inside.mean() > 0.6
    scores = {entry["splines"]: entry["log_likelihood"] for entry in curve["scores"]}
    assert scores[1] < max(scores[2], scores[4])
    assert bundle.metrics["diffusion_coefficient"][0]["value"] == pytest.approx(D, rel=0.03)
    nodes = np.linspace(-100.0, 700.0, 9)
    grid = np.stack(np.meshgrid(nodes, nodes, indexing="ij"), axis=-1).reshape(-1, 2)
    table = pd.DataFrame({"frame": 0, "x": grid[:, 0], "y": grid[:, 1]})
    table["u_x"], table["u_y"] = 5.0 + 0.05 * table["y"], -0.025 * table["x"]
    given = fit(train, select, FitConfig(flow="u.csv", knots=(0,)), rng=1, fields=FieldTables(flow=table))
    assert given.metrics["diffusion_coefficient"][0]["value"] == pytest.approx(D, rel=0.03)
    ignored = fit(train, select, FitConfig(knots=(0,), stride=1, regime="overdamped"), rng=1)
    assert ignored.metrics["diffusion_coefficient"][0]["value"] > 1.3 * D


def _needle_force(bundle: ModelBundle, nearest: float) -> tuple[float, float]:
    """Factor on the true force between needle (species 1) and discs from ``nearest`` to contact, and its half width.

    Errors at neighbouring distances hang together: their half widths are added.
    """
    table = bundle.pair_force
    row = table[(table["species_a"] == 0) & (table["species_b"] == 1) & table["r"].between(nearest, 1.5)]
    truth, half = 120.0 * (1.5 - row["r"].to_numpy()), (row["high90"] - row["low90"]).to_numpy() / 2
    return float((row["force"] * truth).sum() / (truth**2).sum()), float((half * truth).sum() / (truth**2).sum())


def test_force_of_a_needle_in_a_solvent_that_follows_it() -> None:
    """Within 10 % where contacts are many; deep ones are few, and there the reported interval has to tell."""
    whole, beads, speed = needle(2, frames=300, ratio=0.25)
    blocks = whole.between(0, 240), whole.between(240, 300)
    settings = {"prescribed": "beads.csv", "knots": (6,), "cutoff": 1.8, "stride": 1, "regime": "overdamped"}
    tables = FieldTables(prescribed=beads, flow=uniform_flow(speed))
    right = fit(*blocks, FitConfig(flow="u.csv", **settings), rng=1, fields=tables)
    wrong = fit(*blocks, FitConfig(**settings), rng=1, fields=FieldTables(prescribed=beads))
    assert _needle_force(right, 1.25)[0] == pytest.approx(1.0, abs=0.1)
    deep, half = _needle_force(right, 1.0)
    assert abs(deep - 1.0) < half < 0.5
    assert abs(_needle_force(wrong, 1.0)[0] - 1.0) > 0.5
    diffusion = [bundle.metrics["diffusion_coefficient"][0]["value"] for bundle in (right, wrong)]
    assert diffusion[0] == pytest.approx(1.0, rel=0.03)
    assert diffusion[1] > 1.5


GOOD = pd.DataFrame({"x": [1.0, 2.0], "y": [1.0, 2.0]})


@pytest.mark.parametrize(
    ("name", "table", "match"),
    [
        ("traps", GOOD[["x"]], "no column y"),
        ("traps", GOOD.iloc[:0], "no rows"),
        ("traps", GOOD.assign(x=[np.nan, 1.0]), "no finite numbers"),
        ("traps", GOOD.assign(x=1.0, y=1.0), "two rows with the same x and y"),
        ("prescribed", GOOD.assign(frame=0.5, particle=0, species=0), "no whole number"),
        ("flow", GOOD.assign(frame=0, u_x=1.0), "no column u_y"),
    ],
)
def test_bad_tables_are_refused(name: str, table: pd.DataFrame, match: str) -> None:
    with pytest.raises(InputError, match=match) as caught:
        FieldTables(**{name: table})
    assert caught.value.expected
    assert caught.value.action


def test_tables_that_do_not_fit_the_movie_are_refused() -> None:
    path = brownian(np.random.default_rng(0), n=30, frames=60, diffusion=D, dt=DT)
    whole = tracks(path, side=60.0, dt=DT)
    blocks = whole.between(0, 40), whole.between(40, 60)
    corners = pd.DataFrame({"frame": 0, "x": [0.0, 0, 9, 9], "y": [0.0, 9, 0, 9], "u_x": 0.0, "u_y": 0.0})
    bead = pd.DataFrame({"frame": [0, 1], "particle": 0, "x": 1.0, "y": 1.0, "species": 0})
    cases: list[tuple[dict, FieldTables | None, str]] = [
        ({"flow": "u.csv"}, FieldTables(flow=corners), "leaves .* % of the detections outside"),
        ({"flow": "u.csv"}, FieldTables(flow=corners.iloc[:3]), "3 rows for 1 frames"),
        ({"traps": "t.csv"}, None, "no table for fit.traps"),
        ({"prescribed": "p.csv"}, FieldTables(prescribed=bead), "no prescribed particle in frame 2"),
        ({"prescribed_particles": (77,)}, None, "particle 77"),
        ({}, FieldTables(traps=GOOD), "no setting names"),
    ]
    for settings, tables, match in cases:
        with pytest.raises(ColloidError, match=match):
            fit(*blocks, FitConfig(**settings), fields=tables)
    short = whole.with_table(whole.table.assign(particle=whole.table["particle"] + 1000 * (whole.table["frame"] // 9)))
    with pytest.raises(DataError, match="wells of their own"):
        fit(short.between(0, 40), short.between(40, 60), FitConfig(traps="each"))
