import numpy as np
import pytest

from colloid_cg.errors import DataError
from colloid_cg.tracking.background import mesh, solve_background
from colloid_cg.tracking.bounds import render
from colloid_cg.tracking.config import TrackConfig
from colloid_cg.tracking.detections import no_detections
from colloid_cg.tracking.size_classes import classes_of_tracks, estimate_classes
from colloid_cg.tracking.spot_evidence import background_sums
from colloid_cg.tracking.width_mixture import choose_mixture
from tests.tracking.crowds import NOISE, scene

BRIGHT = TrackConfig(diameter=9, invert=False)


def test_widths_amplitudes_shares_and_background_of_a_bidisperse_crowd() -> None:
    crowd = scene(ratio=1.4, amplitude=100.0, spread=0.1, n_frames=3, seed=4)
    model = estimate_classes(crowd.frames, crowd.found, BRIGHT, NOISE)
    truth = np.unique(crowd.widths)
    np.testing.assert_allclose([item.width for item in model.classes], truth, rtol=0.01)
    np.testing.assert_allclose([item.amplitude for item in model.classes], 100.0, rtol=0.04)
    np.testing.assert_allclose([item.amplitude_spread for item in model.classes], 10.0, rtol=0.3)
    np.testing.assert_allclose([item.share for item in model.classes], 0.5, atol=0.02)
    assert model.background == pytest.approx(20.0, abs=0.3)
    assert model.background_scale == np.inf
    assert (model.noise_offset, model.noise_slope) == (NOISE.noise_offset, NOISE.noise_slope)


def test_the_number_of_classes_can_be_given() -> None:
    crowd = scene(ratio=1.4, amplitude=100.0, n_frames=2, edge=140)
    config = BRIGHT.model_copy(update={"size_classes": 1})
    (only,) = estimate_classes(crowd.frames, crowd.found, config, NOISE).classes
    assert crowd.widths.min() < only.width < crowd.widths.max()


def test_too_few_particles_are_refused() -> None:
    with pytest.raises(DataError, match="size classes"):
        estimate_classes([np.zeros((50, 50))], [no_detections()], BRIGHT, NOISE)


@pytest.mark.parametrize(
    ("centres", "spread"), [((2.0,), 0.0), ((2.0,), 0.2), ((1.7, 2.4), 0.05), ((1.5, 2.0, 2.8), 0.05)]
)
def test_the_number_of_populations(centres: tuple[float, ...], spread: float) -> None:
    rng = np.random.default_rng(2)
    errors = rng.uniform(0.05, 0.15, 1500)
    widths = rng.choice(centres, 1500) + rng.normal(0.0, 1.0, 1500) * np.hypot(spread, errors)
    widths[:15] = rng.uniform(0.7, 5.0, 15)
    mixture = choose_mixture(widths, errors)
    np.testing.assert_allclose(mixture.means, centres, rtol=0.02)
    np.testing.assert_allclose(mixture.spreads, spread, atol=0.03)


def test_a_particle_keeps_its_class_through_the_movie() -> None:
    particle = np.array([7, 7, 7, 3, 3])
    evidence = np.array([[0.0, 1.0], [0.0, 1.0], [9.0, 0.0], [0.0, 2.0], [1.0, 0.0]])
    np.testing.assert_array_equal(classes_of_tracks(evidence, particle), [0, 0, 0, 1, 1])


def test_splines_add_up_to_one_and_follow_a_bump() -> None:
    functions = mesh((90, 120), 40.0)
    np.testing.assert_allclose(functions.picture(np.ones(functions.size)), 1.0, atol=1e-12)
    y, x = np.mgrid[:90, :120]
    bump = 10.0 * np.exp(-((x - 60) ** 2 + (y - 40) ** 2) / (2 * 40.0**2))
    basis = (functions.rows[:, None, :, None] * functions.columns[None, :, None, :]).reshape(bump.size, -1)
    best = (basis @ np.linalg.lstsq(basis, bump.ravel(), rcond=None)[0]).reshape(bump.shape)
    fitted = np.zeros_like(bump)
    for _ in range(20):  # steps are damped, and sum the weights over cells
        change, _ = solve_background(functions, bump - fitted, np.ones_like(bump), np.empty((0, 4)), np.empty((0, 3)))
        fitted += functions.picture(change)
    np.testing.assert_allclose(fitted, best, atol=1e-3)
    np.testing.assert_allclose(best, bump, atol=0.1)


def test_a_step_finds_most_of_the_background_of_a_crowd_whose_peaks_were_fitted_on_a_wrong_one() -> None:
    # Peaks that have already given way to a background 5 too high: their own optimum for it.
    grid = np.stack(np.meshgrid(np.arange(10.0, 150.0, 8.0), np.arange(10.0, 150.0, 8.0)), axis=-1).reshape(-1, 2)
    widths = np.full(len(grid), 2.0)
    weight = np.full((160, 160), 0.05)
    seen = np.full(len(grid), np.sqrt(4.0 + 1.0 / 12.0))
    truth = render((160, 160), grid, widths, np.full(len(grid), 80.0), np.array(20.0))
    unit = render((160, 160), grid, widths, np.ones(len(grid)), np.array(0.0))
    inside = (slice(20, 140), slice(20, 140))
    lowered = 5.0 * unit[inside].sum() / (unit[inside] ** 2).sum()
    light = (80.0 - lowered) * unit
    spots = np.column_stack([grid, np.full(len(grid), (80.0 - lowered) * 4.0 / seen[0] ** 2), seen])
    residual = truth - light - 25.0
    functions = mesh((160, 160), np.inf)
    change, _ = solve_background(functions, residual, weight, spots, background_sums(residual, weight, light, spots))
    # Four fifths of what the peaks hold is taken into account; without any, a step would find 2 of 5.
    assert -5.0 < change[0] < -3.5
    assert (weight * residual).sum() / weight.sum() == pytest.approx(-2.0, abs=0.1)
