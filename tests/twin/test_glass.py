"""The driven glass: equilibrium without a drive, exact paths, flow, and events where the needle is."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.interpolate import RegularGridInterpolator

from colloid_cg.errors import ConfigError
from colloid_cg.seeding import generator
from colloid_cg.twin import CameraConfig, Twin, TwinConfig, make_twin, noiseless_frame, simulate_case
from colloid_cg.twin.drive import Driven, FlowBetweenRows, FlowRoundPoint, FlowRoundRow, Oscillation, shortest
from colloid_cg.twin.driven_truth import flow_table
from colloid_cg.twin.forces import no_force
from colloid_cg.twin.glass import disc_diameters, disc_potentials, even_start
from colloid_cg.twin.truth import TwinTruth

INSTANT = CameraConfig(exposure=0.0)
SMALL = TwinConfig(width=160, height=150, n_frames=30, equilibration=0.5, repulsion=500.0, exposure_parts=2)


def scaled_pairs(truth: TwinTruth, edges: np.ndarray) -> np.ndarray:
    """Counts of r over the contact distance per particle and frame, one row per frame, all pairs of species."""
    assert truth.cell is not None
    size = np.where(truth.species == 0, 1.6, 2.24)
    contact = 0.5 * (size[:, None] + size[None])[np.triu_indices(len(size), 1)]
    rows = []
    for positions in truth.instants:
        difference = shortest(positions[None] - positions[:, None], truth.cell[1])
        r = np.linalg.norm(difference, axis=-1)[np.triu_indices(len(size), 1)]
        rows.append(np.histogram(r / contact, bins=edges)[0] / len(size))
    return np.array(rows)


def test_undriven_glass_is_the_soft_disc_fluid_at_equal_settings() -> None:
    """Same density and A, other random numbers: the same pair distribution, within the scatter of four seeds."""
    view = {"width": 170, "height": 150, "n_frames": 60, "frame_interval": 0.05, "margin": 4.0, "camera": INSTANT}
    count = 0.25 * np.pi * (1.6**2 + 2.24**2) / 2
    edges = np.array([0.6, 0.85, 0.95, 1.0, 1.05, 1.15, 1.3])
    glass, fluid = [], []
    for seed in (1, 2, 3, 4):
        both = view | {"repulsion": 100.0, "equilibration": 4.0, "seed": seed}
        particles = round(0.7 * 17 * 15 / count)
        fluid.append(scaled_pairs(simulate_case("soft_discs", TwinConfig(**both, particles=particles)), edges).mean(0))
        density = particles / (17 * 15) * count
        driven = TwinConfig(**both, drive="none", area_fraction=density)
        glass.append(scaled_pairs(simulate_case("soft_glass", driven), edges).mean(0))
    error = np.sqrt((np.var(glass, axis=0, ddof=1) + np.var(fluid, axis=0, ddof=1)) / 4)
    mean = np.mean(fluid, axis=0)
    assert (error < 0.06 * mean).all()
    # both counts of particles are rounded: by up to .4 % of the density
    assert np.mean(glass, axis=0) == pytest.approx(mean, abs=4 * error.max())


def test_glass_with_a_needle_at_rest_is_at_equilibrium() -> None:
    """Hypervirial theorem for the free discs, k_B T = 1: <sum F^2> = <sum div grad U>, needle as an outer field."""
    config = TwinConfig(
        width=120, height=110, n_frames=150, frame_interval=0.02, repulsion=300.0, equilibration=3.0, camera=INSTANT,
        drive_amplitude=0.0, margin=5.5,
    )  # fmt: skip
    truth = simulate_case("soft_glass", config)
    assert truth.cell is not None
    sizes = disc_diameters(truth.config)[truth.species]
    free = truth.species < 2
    assert truth.parameters["area_fraction"] == pytest.approx(0.9, abs=0.01)
    values = []
    for positions in truth.instants:
        away = shortest(positions[free][:, None] - positions[None], truth.cell[1])
        r = np.linalg.norm(away, axis=-1)
        contact = 0.5 * (sizes[free][:, None] + sizes[None])
        touching = (r < contact) & (r > 0)
        strength = np.where(touching, 300.0 / contact * (1 - r / contact), 0.0)
        r = np.where(r > 0, r, 1.0)
        force = np.einsum("ij,ijk->ik", strength / r, away)
        values.append((np.sum(force**2), np.sum(np.where(touching, 300.0 / contact**2 - strength / r, 0.0))))
    squared, curved = np.array(values).T
    parts = np.array([part.mean() for part in np.array_split(squared - curved, 15)]) / curved.mean()
    error = parts.std(ddof=1) / np.sqrt(15)
    assert error < 0.02
    assert parts.mean() == pytest.approx(0.0, abs=4 * error)


@pytest.mark.parametrize("drive", ["needle", "wall"])
def test_prescribed_particles_are_exactly_on_their_path(drive: str) -> None:
    camera = CameraConfig(exposure=0.6, drift=(0.3, -0.2))
    config = SMALL.model_copy(update={"drive": drive, "drive_period": 0.22, "drive_amplitude": 0.9, "camera": camera})
    twin = make_twin("soft_glass", config)
    truth, parameters = twin.truth, twin.parameters
    assert truth.prescribed is not None
    sites = np.array(parameters["drive_sites_px"]) * 0.1
    signs = np.array(parameters["drive_signs"])
    time = 0.01 * np.arange(30)
    expected = np.repeat(sites[None], 30, axis=0)
    expected[:, :, 0] += signs * 0.9 * np.sin(2 * np.pi * time / 0.22)[:, None]
    assert np.abs(truth.instants[:, truth.prescribed] - expected).max() < 1e-12
    fine = np.linspace(0, 0.003, 2001)
    for part in (0, 1):
        mean = np.mean(np.sin(2 * np.pi * (time[:, None] + 0.003 * part + fine) / 0.22), axis=1)
        found = truth.means[:, part, truth.prescribed, 0] - sites[:, 0]
        assert np.abs(found - 0.9 * mean[:, None] * signs).max() < 1e-6
    driven = twin.tables["driven"]
    assert list(driven.columns) == ["frame", "particle", "x", "y", "species"]
    assert set(driven["species"]) == {2}
    assert not driven.duplicated(["frame", "particle"]).any()
    table = twin.truth_table
    shown = table[table["prescribed"]].merge(driven, on=["frame", "particle"], suffixes=("", "_driven"))
    assert len(shown) == table["prescribed"].sum() > 0
    assert (shown["x_start"] - shown["x_driven"]).abs().max() < 1e-9
    assert (shown["y_start"] - shown["y_driven"]).abs().max() < 1e-9
    assert table["prescribed"].equals(table["species"] == 2)
    if drive == "wall":
        assert set(signs) == {-1.0, 1.0}
        assert parameters["strain_amplitude"] == pytest.approx(2 * 0.9 / (0.8 * 15))
        # also those beyond the edge, with numbers of their own
        assert driven["x"].min() < -5
        assert len(set(driven["particle"]) - set(table["particle"])) > 0
        assert set(driven["particle"]) & set(table[~table["prescribed"]]["particle"]) == set()
    pairs = {(a, b) for a, b in twin.pair_force[["species_a", "species_b"]].to_numpy()}  # type: ignore[index]
    assert pairs == {(0, 0), (0, 1), (1, 1), (0, 2), (1, 2)}


def test_needle_pushes_and_is_not_pushed() -> None:
    """A lone disc in the way of a needle is moved aside; the force is that of the written law."""
    diameters = np.array([1.6, 2.24, 3.2])
    potential = disc_potentials(400.0, diameters)[(0, 2)]
    assert potential.cutoff == pytest.approx(2.4)
    assert potential.force(2.0) == pytest.approx(400 / 2.4 * (1 - 2.0 / 2.4))
    assert (2, 2) not in disc_potentials(400.0, diameters)


def advected(flow: object, start: np.ndarray, times: np.ndarray, path: Oscillation) -> np.ndarray:
    motion = Driven(force=no_force, diffusion=np.full(len(start), 1e-12), path=path, flow=flow)  # type: ignore[arg-type]
    positions, out = np.concatenate([start, path.positions(0.0)]), []
    rng, dt = generator(0), 1e-4
    for time in np.arange(0.0, times[-1] + dt / 2, dt):
        if np.isclose(time, times).any():
            out.append(positions[: len(start)])
        positions = motion.step(positions, time=time, dt=dt, rng=rng)
    return np.array(out)


def test_free_particles_are_carried_by_the_solvent() -> None:
    """Against the ordinary differential equation, and the closed form where the flow does not depend on x."""
    lengths, start = np.array([40.0, 30.0]), np.array([[4.0, 1.0], [-6.0, 9.0], [19.0, -11.0]])
    times = np.array([0.05, 0.12, 0.2])
    needle = Oscillation(sites=np.array([[0.0, 0.0]]), signs=np.ones(1), amplitude=1.5, period=0.31)
    flow = FlowRoundPoint(path=needle, share=0.6, decay=2.5, lengths=lengths)
    rate = 2 * np.pi / 0.31

    def slope(t: float, x: np.ndarray) -> list[float]:
        away = np.array([x[0] - 1.5 * np.sin(rate * t), x[1]])
        away -= lengths * np.round(away / lengths)
        return [0.6 * 1.5 * rate * np.cos(rate * t) * np.exp(-np.hypot(*away) / 2.5), 0.0]

    found = advected(flow, start, times, needle)
    for k, place in enumerate(start):
        exact = solve_ivp(slope, (0, 0.2), place, t_eval=times, rtol=1e-9, atol=1e-12).y.T
        assert found[:, k] == pytest.approx(exact, abs=2e-5)
        assert np.abs(exact[:, 0] - place[0]).max() > 1e-4
    offset = 1.5 * np.sin(rate * times)
    row = Oscillation(sites=np.array([[0.0, 2.0], [3.0, 2.0]]), signs=np.ones(2), amplitude=1.5, period=0.31)
    found = advected(FlowRoundRow(path=row, share=0.6, decay=2.5, lengths=lengths), start, times, row)
    # distances of 1, 7 and, through the face of the cell, 13 um
    for k, distance in enumerate((1.0, 7.0, 13.0)):
        assert found[:, k, 0] - start[k, 0] == pytest.approx(0.6 * np.exp(-distance / 2.5) * offset, abs=2e-5)
    rows = Oscillation(
        sites=np.array([[0.0, -5.0], [0.0, 5.0]]), signs=np.array([-1.0, 1.0]), amplitude=1.5, period=0.31
    )
    found = advected(FlowBetweenRows(path=rows, share=0.6, lengths=lengths), start, times, rows)
    # linear: .2 at y = 1; outside, 4 of the 20 um from one row round the cell to the other: 1 - 2 * 4/20; and -.4
    for k, share in enumerate((0.2, 0.6, -0.4)):
        assert found[:, k, 0] - start[k, 0] == pytest.approx(0.6 * share * offset, abs=2e-5)
    assert found[:, :, 1] == pytest.approx(np.repeat(start[None, :, 1], 3, axis=0), abs=1e-5)


@pytest.mark.parametrize("drive", ["needle", "wall"])
def test_lone_discs_of_the_case_follow_the_flow_table(drive: str) -> None:
    """Discs that hardly repel: the displacement is the integral of the written flow, interpolated in space and time."""
    config = SMALL.model_copy(
        update={
            "drive": drive, "area_fraction": 0.3, "diffusion_coefficient": 1e-9, "equilibration": 0.0,
            "drive_period": 0.4, "drive_amplitude": 0.4, "solvent_follows": 0.8, "camera": INSTANT, "substeps": 20,
            "repulsion": 1e-6,
        }
    )  # fmt: skip
    twin = make_twin("soft_glass", config)
    flow = twin.tables["flow"]
    assert list(flow.columns) == ["frame", "x", "y", "u_x", "u_y"]
    x, y = np.unique(flow["x"]), np.unique(flow["y"])
    assert (x[0], x[-1], y[0], y[-1]) == (-0.5, 159.5, -0.5, 149.5)
    grid = flow["u_x"].to_numpy().reshape(30, len(y), len(x))
    assert (flow["u_y"] == 0).all()
    table = twin.truth_table[~twin.truth_table["prescribed"]].set_index(["particle", "frame"])["x_start"].unstack()
    heights = twin.truth_table.groupby("particle")["y_start"].first()
    checked = 0
    for particle, place in table.iterrows():
        if place.isna().any():
            continue
        points = np.stack([np.full(30, heights[particle]), place.to_numpy()], axis=1)
        speed = np.array(
            [RegularGridInterpolator((y, x), now)(p[None])[0] for now, p in zip(grid, points, strict=True)]
        )
        carried = 0.01 * np.concatenate([[0], np.cumsum(0.5 * (speed[1:] + speed[:-1]))]) / 0.1
        assert np.abs(place.to_numpy() - place.iloc[0] - carried).max() < 0.03 * 4 + 0.02 * np.abs(carried).max()
        checked += int(np.abs(carried).max() > 0.2)
    assert checked >= 3


def test_flow_table_is_the_flow_of_the_sample_behind_the_drifting_image() -> None:
    camera = CameraConfig(drift=(2.0, -3.0))
    config = TwinConfig(width=60, height=50, n_frames=5, camera=camera, solvent_decay=1.5)
    path = Oscillation(sites=np.array([[3.0, 2.0]]), signs=np.ones(1), amplitude=0.5, period=0.21)
    flow = FlowRoundPoint(path=path, share=0.7, decay=1.5, lengths=np.array([20.0, 20.0]))
    table = flow_table(flow, config)
    for frame, rows in table.groupby("frame"):
        sample = 0.1 * (rows[["x", "y"]].to_numpy() - np.array([2.0, -3.0]) * frame)
        time = 0.01 * frame
        away = sample - [3.0 + 0.5 * np.sin(2 * np.pi * time / 0.21), 2.0]
        speed = 0.5 * 2 * np.pi / 0.21 * np.cos(2 * np.pi * time / 0.21)
        assert rows["u_x"].to_numpy() == pytest.approx(0.7 * speed * np.exp(-np.hypot(*away.T) / 1.5))
    assert np.diff(np.unique(table["x"])).max() <= 0.25 * 15 + 1e-9


@pytest.fixture(scope="module")
def needle() -> Twin:
    """A cold glass with a needle, instantaneous exposures."""
    return make_twin(
        "soft_glass",
        TwinConfig(width=200, height=190, n_frames=110, drive_period=0.5, drive_amplitude=2.4, equilibration=2.0),
    )


def test_events_are_near_the_needle_and_none_without_a_drive(needle: Twin) -> None:
    assert needle.events is not None
    events = needle.events.table
    assert len(events) >= 6
    distance = np.hypot(events["x"] - 99.5, events["y"] - 94.5)
    # a tenth and a third of the view: events spread evenly would do so once in a thousand films
    assert np.median(distance) < 40
    assert np.mean(distance < 60) >= 0.75
    for _, event in events.iterrows():
        rows = needle.truth_table.query("frame == @event.t_peak")
        members = rows[rows["particle"].isin(event["particles"])]
        assert len(members) == event["n_particles"]
        assert not members["prescribed"].any()
        assert np.hypot(members["x"] - event["x"], members["y"] - event["y"]).max() < 60
    cold = TwinConfig(width=160, height=150, n_frames=60, drive="none", repulsion=50_000.0, equilibration=0.3)
    quiet = make_twin("soft_glass", cold.model_copy(update={"camera": INSTANT}))
    assert quiet.events is not None
    assert len(quiet.events) == 0
    assert "driven" not in quiet.tables


def test_the_needle_is_drawn_or_not(needle: Twin) -> None:
    rows = needle.truth_table[(needle.truth_table["frame"] == 20) & needle.truth_table["prescribed"]]
    x, y = rows[["x", "y"]].round().astype(int).to_numpy()[0]
    assert noiseless_frame(needle.truth, 20)[y, x] - 100.0 == pytest.approx(150.0, rel=0.15)
    assert needle.truth.config.camera.psf_sigma == pytest.approx((1.5, 2.1, 3.0))
    hidden = TwinTruth(
        **{**vars(needle.truth), "config": needle.truth.config.model_copy(update={"show_driven": False})}
    )
    assert noiseless_frame(hidden, 20)[y, x] - 100.0 < 5.0
    twin = make_twin("soft_glass", SMALL.model_copy(update={"show_driven": False, "n_frames": 3}))
    assert (twin.truth_table["visible"] == ~twin.truth_table["prescribed"]).all()
    assert "driven" in twin.tables


def test_walls_enclose_equal_densities() -> None:
    cell = np.array([[-5.0, -7.0], [40.0, 50.0]])
    species, positions = even_start((300, 300), cell, rng=generator(1))
    assert len(positions) == 600
    for kind in (0, 1):
        inside = (positions[species == kind, 1] >= 5.0) & (positions[species == kind, 1] < 30.0)
        assert abs(inside.sum() - 150) <= 1
    assert np.ptp(positions[:, 0]) == pytest.approx(40, abs=1)


def test_wrong_requests_are_refused() -> None:
    with pytest.raises(ConfigError, match="area_fraction"):
        simulate_case("soft_glass", TwinConfig(particles=10))
    with pytest.raises(ConfigError, match="wall_gap"):
        simulate_case("soft_glass", TwinConfig(drive="wall", wall_gap=90.0, margin=5.0))
    with pytest.raises(ConfigError, match="drive"):
        TwinConfig(drive="shaker")
