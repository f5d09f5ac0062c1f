import numpy as np
import pytest

from colloid_cg.tracking.bounds import crowded_bound, render
from colloid_cg.tracking.image_model import ImageModel
from colloid_cg.tracking.joint_errors import covariances
from tests.tracking.crowds import NOISE, packing

POSITIONS = np.array([[9.3, 10.1], [15.2, 11.0], [12.0, 16.4], [20.6, 17.3]])
WIDTHS = np.array([1.6, 1.6, 2.3, 1.2])
AMPLITUDES = np.array([80.0, 30.0, 60.0, 100.0])
SHAPE = (27, 30)


def mean_of(unknowns: np.ndarray) -> np.ndarray:
    x, y, amplitudes = unknowns[:-2].reshape(3, -1)
    slope = np.arange(SHAPE[1]) / SHAPE[1]
    return render(SHAPE, np.column_stack([x, y]), WIDTHS, amplitudes, unknowns[-2] + unknowns[-1] * slope)


def test_the_bound_is_the_inverse_of_a_fisher_matrix_of_numerical_derivatives() -> None:
    unknowns = np.concatenate([POSITIONS[:, 0], POSITIONS[:, 1], AMPLITUDES, [15.0, 6.0]])
    steps = 1e-4 * np.maximum(np.abs(unknowns), 1.0)
    slopes = np.array(
        [
            (mean_of(unknowns + step) - mean_of(unknowns - step)).ravel() / (2.0 * size)
            for size, step in zip(steps, np.diag(steps), strict=True)
        ]
    )
    mean = mean_of(unknowns)
    expected = np.sqrt(np.diag(np.linalg.inv(slopes / NOISE.variance(mean).ravel() @ slopes.T)))[:8].reshape(2, 4).T
    ramp = np.broadcast_to(np.arange(SHAPE[1]) / SHAPE[1], SHAPE)
    found = crowded_bound(
        POSITIONS, WIDTHS, AMPLITUDES, NOISE, background=15.0 + 6.0 * ramp, basis=np.stack([np.ones(SHAPE), ramp])
    )
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_an_isolated_wide_spot_in_white_noise_has_the_closed_form() -> None:
    # sum over pixels of (dm/dx)^2 = A^2 pi / 2 for a Gaussian, whatever its width
    white = ImageModel(noise_offset=9.0, noise_slope=0.0, background=10.0)
    bound = crowded_bound(
        np.array([[40.2, 39.7]]), np.array([4.0]), np.array([50.0]), white, background=np.full((80, 80), 10.0)
    )
    np.testing.assert_allclose(bound, 3.0 * np.sqrt(2.0 / np.pi) / 50.0, rtol=0.01)


@pytest.mark.parametrize("tightness", [1.0, 1.4])
def test_stated_errors_are_the_bound_neighbours_and_background_unknown(tightness: float) -> None:
    edge = 110
    centres, sizes = packing(np.random.default_rng(3), edge=edge, fraction=0.75, diameter=8.0, ratio=1.4)
    widths, amplitudes = tightness * sizes * 1.9 / 9, np.full(len(centres), 60.0)
    background = np.full((edge, edge), 20.0)
    bound = crowded_bound(centres, widths, amplitudes, NOISE, background=background)
    weight = 1.0 / NOISE.variance(render((edge, edge), centres, widths, amplitudes, background))
    seen = np.sqrt(widths**2 + 1.0 / 12.0)
    spots = np.column_stack([centres, amplitudes * (widths / seen) ** 2, seen])
    stated = np.sqrt(covariances(weight, spots, np.zeros(len(spots)))[:, [1, 2], [1, 2]])
    np.testing.assert_allclose(stated, bound, rtol=0.01)
    alone = np.array([covariances(weight, spot[None], np.zeros(1))[0, [1, 2], [1, 2]] for spot in spots]) ** 0.5
    assert np.mean(alone / bound) < (0.998 if tightness == 1.0 else 0.95)


def test_an_unsure_background_widens_the_errors() -> None:
    spots = np.array([[20.0, 20.0, 50.0, 2.0], [24.0, 20.0, 50.0, 2.0]])
    weight = np.full((40, 40), 0.04)
    sure, unsure = (covariances(weight, spots, np.full(2, variance)) for variance in (0.0, 4.0))
    assert unsure[0, 1, 1] > sure[0, 1, 1]
    np.testing.assert_allclose(unsure[0, 2, 2], sure[0, 2, 2], rtol=1e-6)  # no neighbour above or below
