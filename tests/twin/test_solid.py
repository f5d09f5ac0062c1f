"""The quiet solid: exact vibrations, exact affine shear, and nothing a detector should find."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import dblquad

from colloid_cg.errors import ConfigError
from colloid_cg.neighbors import delaunay
from colloid_cg.observables import bond_statistics, d2min, d2min_noise_floor
from colloid_cg.records import Box
from colloid_cg.seeding import generator
from colloid_cg.twin import CameraConfig, TwinConfig, make_twin, simulate_case
from colloid_cg.twin.rearrangements import partings
from colloid_cg.twin.solid import ornstein_uhlenbeck, shear

RATE, VARIANCE = 30.0, 0.7


@pytest.mark.parametrize("dt", [1e-6, 0.01, 0.2])
def test_the_step_has_the_moments_of_an_ornstein_uhlenbeck_process(dt: float) -> None:
    """Covariances of end and average from the kernel s2 exp(-rate |t - t'|), integrated by quadrature."""
    n = 200_000
    start = np.sqrt(VARIANCE) * generator(1, "start").standard_normal((n, 2))
    after, mean = ornstein_uhlenbeck(start, np.full(n, RATE), variance=VARIANCE, dt=dt, rng=generator(1, "step"))

    def kernel(t: float, u: float) -> float:
        return float(np.exp(-RATE * dt * abs(t - u)))

    below = 2 * dblquad(kernel, 0, 1, 0, lambda t: t, epsabs=1e-10)[0]
    to_end = (1 - np.exp(-RATE * dt)) / (RATE * dt)
    error = 5 * np.sqrt(2 / (2 * n))
    assert np.var(after) / VARIANCE == pytest.approx(1.0, abs=error)
    assert np.mean(after * start) / VARIANCE == pytest.approx(np.exp(-RATE * dt), abs=error)
    assert np.var(mean) / VARIANCE == pytest.approx(below, abs=error)
    assert np.mean(mean * after) / VARIANCE == pytest.approx(to_end, abs=error)
    # what the average adds to the mean of the ends: for a short step the bridge of variance D dt/6
    rest = np.var(mean - 0.5 * (start + after))
    a = RATE * dt
    expected = VARIANCE * (below + 0.5 * (1 + np.exp(-a)) - 2 * to_end)
    if a > 1e-3:
        assert rest == pytest.approx(expected, rel=5 * np.sqrt(2 / (2 * n)))
    else:
        assert rest == pytest.approx(VARIANCE * RATE * dt / 6, rel=5 * np.sqrt(2 / (2 * n)))


def test_shear_is_averaged_over_a_part_of_the_exposure() -> None:
    config = TwinConfig(strain_amplitude=0.1, drive_period=0.7)
    fine = np.linspace(0.2, 0.25, 20001)
    assert shear(np.array(0.2), 0.05, config) == pytest.approx(np.mean(0.1 * np.sin(2 * np.pi * fine / 0.7)), rel=1e-6)
    assert shear(fine, 0.0, config) == pytest.approx(0.1 * np.sin(2 * np.pi * fine / 0.7))


@pytest.mark.parametrize("exposure", [0.0, 1.0])
def test_positions_are_affine_plus_vibrations_of_the_stated_variance(exposure: float) -> None:
    config = TwinConfig(
        n_frames=80, strain_amplitude=0.08, drive_period=0.4, camera=CameraConfig(exposure=exposure), exposure_parts=2
    )
    twin = make_twin("quiet_solid", config)
    truth, gradient = twin.truth, twin.tables["deformation"]
    centre = np.array(twin.parameters["shear_centre_px"]) * config.pixel_size
    assert list(gradient.columns) == ["frame", "F_xx", "F_xy", "F_yx", "F_yy"]
    assert gradient["F_xy"].abs().max() == pytest.approx(0.08, rel=1e-3)
    matrix = gradient[["F_xx", "F_xy", "F_yx", "F_yy"]].to_numpy().reshape(-1, 2, 2)
    # pulled back by the given F, every frame shows the same sites but for the vibration
    back = np.einsum("tij,tnj->tni", np.linalg.inv(matrix), truth.instants - centre)
    sites = back.mean(axis=0)
    about = np.einsum("tij,tnj->tni", matrix, back - sites)
    variance = about.var(axis=(0, 1)) * config.site_stiffness
    # the mean over 80 frames, correlated over about two, has been taken off
    assert variance == pytest.approx(1.0, abs=0.06)
    if exposure:
        blurred = truth.means.mean(axis=1) - truth.instants
        rate = config.site_stiffness * config.diffusion_coefficient
        small = truth.species == 0
        a = rate * config.frame_interval
        expected = 1 + 2 * (a - 1 + np.exp(-a)) / a**2 - 2 * (1 - np.exp(-a)) / a
        found = blurred[:, small, 1].var() * config.site_stiffness
        assert found == pytest.approx(expected, rel=4 * np.sqrt(2 / blurred[:, small, 1].size) * 1.5)


def test_packing_is_amorphous_dense_and_made_of_touching_discs() -> None:
    config = TwinConfig(n_frames=2, strain_amplitude=0.0, site_stiffness=1e8)
    truth = simulate_case("quiet_solid", config)
    sites, diameters = truth.instants[0], truth.diameters
    assert diameters is not None
    inner = np.flatnonzero(((sites > 0) & (sites < [32, 30])).all(axis=1))
    area = np.pi / 4 * np.sum(diameters[inner] ** 2) / (32 * 30)
    assert area == pytest.approx(0.9, abs=0.03)
    difference = sites[inner][:, None] - sites[None]
    ratio = np.linalg.norm(difference, axis=-1) / (0.5 * (diameters[inner][:, None] + diameters[None]))
    ratio[np.arange(len(inner)), inner] = np.inf
    assert ratio.min() > 0.75
    contacts = (ratio < 1.0).sum(axis=1)
    # above the isostatic 4 of frictionless discs, below the 6 of a crystal
    assert 4.0 < contacts.mean() < 5.6


def test_d2min_is_what_the_stated_vibration_gives_and_no_event_is_true() -> None:
    config = TwinConfig(n_frames=60, strain_amplitude=0.06, drive_period=1.0, camera=CameraConfig(exposure=0.0))
    twin = make_twin("quiet_solid", config)
    assert twin.events is not None
    assert len(twin.events) == 0
    truth = twin.truth
    lower, upper = truth.instants[0].min(axis=0) - 1, truth.instants[0].max(axis=0) + 1
    box = Box(lower=tuple(lower), upper=tuple(upper), periodic=(False, False))
    graph = delaunay(truth.instants[0], box)
    count, shared = bond_statistics(truth.instants[0], graph)
    inner = ((truth.instants[0] > 1) & (truth.instants[0] < [31, 29])).all(axis=1)
    floor = d2min_noise_floor(1 / np.sqrt(config.site_stiffness), count, shared)
    values = [d2min(truth.instants[0], truth.instants[frame], graph)[inner] / floor[inner] for frame in (25, 40, 55)]
    # one reference frame for all three: its vibration is shared; 330 particles, neighbours correlated
    assert np.mean(values) == pytest.approx(1.0, abs=0.1)
    assert np.max(values) < 6.0
    assert truth.diameters is not None
    cell = np.ptp(truth.instants, axis=(0, 1)) + 10.0
    assert partings(truth.instants, diameters=truth.diameters, lengths=cell).empty


def test_shear_and_drift_never_uncover_an_edge() -> None:
    config = TwinConfig(
        n_frames=60,
        strain_amplitude=0.2,
        drive_period=0.4,
        camera=CameraConfig(drift=(0.9, -0.7)),
        width=160,
        height=150,
    )
    table = make_twin("quiet_solid", config).truth_table
    for _, rows in table.groupby("frame"):
        seen = np.histogram2d(rows["x"], rows["y"], bins=3, range=[[-0.5, 159.5], [-0.5, 149.5]])[0]
        assert seen.min() >= 3


def test_wrong_requests_are_refused() -> None:
    with pytest.raises(ConfigError, match="area_fraction"):
        simulate_case("quiet_solid", TwinConfig(particles=100))
    with pytest.raises(ConfigError, match="drift"):
        simulate_case("quiet_solid", TwinConfig(n_frames=5000, camera=CameraConfig(drift=(1.0, 0.0))))
