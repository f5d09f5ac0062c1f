"""The camera model: spots, exposure, noise, saturation, and the bound on localisation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import dblquad
from scipy.optimize import least_squares

from colloid_cg.errors import ConfigError
from colloid_cg.seeding import generator
from colloid_cg.twin import CameraConfig, localisation_bound
from colloid_cg.twin.bounds import fisher_information, spot_model
from colloid_cg.twin.camera import expose, illumination, mean_image, pixel_type, pixel_variance, spot_image


def one_spot(x: float, y: float, *, sigma: float = 1.5, amplitude: float = 100.0) -> np.ndarray:
    return spot_image(
        np.array([[[x, y]]]), sigma=np.array([sigma]), amplitude=np.array([amplitude]), height=40, width=50
    )


@pytest.mark.parametrize(("x", "y"), [(20.0, 17.0), (20.5, 17.5), (20.31, 17.87)])
def test_flux_and_centroid_do_not_depend_on_the_place_in_the_pixel(x: float, y: float) -> None:
    image = one_spot(x, y)
    assert image.sum() == pytest.approx(2 * np.pi * 1.5**2 * 100.0, rel=2e-6)
    rows, columns = np.indices(image.shape)
    assert (image * columns).sum() / image.sum() == pytest.approx(x, abs=1e-5)
    assert (image * rows).sum() / image.sum() == pytest.approx(y, abs=1e-5)


def test_pixels_hold_the_integral_of_the_gaussian() -> None:
    image = one_spot(20.3, 17.8, sigma=0.7)

    def density(y: float, x: float) -> float:
        return float(100.0 * np.exp(-((x - 20.3) ** 2 + (y - 17.8) ** 2) / (2 * 0.7**2)))

    for column, row in [(20, 18), (21, 17), (22, 19)]:
        exact = dblquad(density, column - 0.5, column + 0.5, row - 0.5, row + 0.5)[0]
        assert image[row, column] == pytest.approx(exact, rel=1e-7)


def test_spots_add_and_are_cut_at_the_edge() -> None:
    both = spot_image(
        np.array([[[10.2, 9.0], [-0.4, 39.8]]]),
        sigma=np.array([1.0, 2.0]),
        amplitude=np.array([50.0, 80.0]),
        height=40,
        width=50,
    )
    separate = one_spot(10.2, 9.0, sigma=1.0, amplitude=50.0) + one_spot(-0.4, 39.8, sigma=2.0, amplitude=80.0)
    assert both == pytest.approx(separate, abs=1e-4)
    assert separate[39, 0] > 60
    assert separate[0, 49] == 0.0
    empty = spot_image(np.zeros((2, 0, 2)), sigma=np.zeros(0), amplitude=np.zeros(0), height=4, width=5)
    assert empty.shape == (4, 5)


def test_exposure_averages_images_not_positions() -> None:
    path = np.array([[[20.0, 17.0]], [[21.5, 17.5]], [[19.0, 18.0]]])
    image = spot_image(path, sigma=np.array([1.5]), amplitude=np.array([100.0]), height=40, width=50)
    expected = np.mean([one_spot(*position[0]) for position in path], axis=0)
    assert image == pytest.approx(expected, abs=1e-4)
    assert np.abs(image - one_spot(*path.mean(axis=0)[0])).max() > 5.0


def test_mean_image_with_gradient_and_dark_particles() -> None:
    camera = CameraConfig(background=80.0, illumination_gradient=(0.4, -0.2))
    spots = one_spot(25.0, 20.0, amplitude=60.0)
    light = illumination(camera, height=40, width=50)
    assert light[:, -1].mean() - light[:, 0].mean() == pytest.approx(0.4)
    assert light[-1].mean() - light[0].mean() == pytest.approx(-0.2)
    assert light.mean() == pytest.approx(1.0)
    assert mean_image(spots, camera) == pytest.approx((80.0 + spots) * light)
    dark = CameraConfig(background=80.0, amplitude=60.0, dark_particles=True)
    assert mean_image(spots, dark) == pytest.approx(80.0 - spots)


@pytest.mark.parametrize(("gain", "read_noise", "level"), [(1.0, 2.0, 100.0), (2.5, 4.0, 300.0), (0.3, 1.0, 20.0)])
def test_noise_has_the_stated_mean_and_variance(gain: float, read_noise: float, level: float) -> None:
    camera = CameraConfig(gain=gain, read_noise=read_noise, bit_depth=16)
    image = expose(np.full((500, 500), level), camera, rng=generator(1)).astype(float)
    variance = gain * level + read_noise**2 + 1 / 12
    assert pixel_variance(level, camera) == pytest.approx(variance)
    assert image.mean() == pytest.approx(level, abs=4 * np.sqrt(variance / image.size))
    assert image.var() == pytest.approx(variance, rel=4 * np.sqrt(2.1 / image.size))


def test_mean_of_many_frames_is_the_mean_image() -> None:
    camera = CameraConfig(background=30.0, gain=0.5, read_noise=1.0)
    mean = mean_image(one_spot(20.3, 17.8), camera)
    frames = np.array([expose(mean, camera, rng=generator(1, k)) for k in range(400)])
    score = (frames.mean(axis=0) - mean) / np.sqrt(pixel_variance(mean, camera) / 400)
    assert np.abs(score).max() < 5.0
    assert score.var() == pytest.approx(1.0, abs=4 * np.sqrt(2 / score.size))


@pytest.mark.parametrize(("bit_depth", "top", "kind"), [(8, 255, "uint8"), (12, 4095, "uint16"), (16, 65535, "uint16")])
def test_pixels_saturate_at_the_bit_depth(bit_depth: int, top: int, kind: str) -> None:
    camera = CameraConfig(bit_depth=bit_depth, read_noise=3.0)
    image = expose(np.array([[0.0, top * 3.0]] * 50), camera, rng=generator(1))
    assert image.dtype == np.dtype(kind) == pixel_type(camera)
    assert (image[:, 1] == top).all()
    assert image[:, 0].min() == 0


def test_bound_equals_the_error_of_maximum_likelihood() -> None:
    """Weighted least squares with the true variances is maximum likelihood here, and reaches the bound."""
    camera = CameraConfig(background=100.0, gain=1.0, read_noise=2.0)
    grid = np.arange(-8.0, 9.0)
    rng = generator(6, "bound")
    found = []
    for _ in range(250):
        place = rng.random(2) - 0.5
        mean = spot_model(np.array([*place, 150.0, 100.0]), sigma=1.5, grid=grid, sign=1.0)
        image = expose(mean, camera, rng=rng)
        weight = 1.0 / np.sqrt(pixel_variance(mean, camera))
        fit = least_squares(
            lambda p, image=image, weight=weight: (
                (spot_model(p, sigma=1.5, grid=grid, sign=1.0) - image) * weight
            ).ravel(),
            [0.0, 0.0, 120.0, 90.0],
            method="lm",
        )
        found.append(fit.x[:2] - place)
    bound = localisation_bound(camera, sigma=1.5, amplitude=150.0)
    assert np.mean(np.square(found)) == pytest.approx(bound**2, rel=4 * np.sqrt(2 / 500))


def test_fisher_matrix_equals_the_curvature_of_the_poisson_likelihood() -> None:
    """Without read noise, -E[d2 log L/da db] is the curvature of the relative entropy, taken by differences."""
    camera = CameraConfig(background=50.0, gain=2.0, read_noise=0.0)
    grid = np.arange(-8.0, 9.0)
    truth = np.array([0.2, -0.3, 120.0, 50.0])
    mean = spot_model(truth, sigma=1.5, grid=grid, sign=1.0) / 2.0

    def entropy(step: np.ndarray) -> float:
        other = spot_model(truth + step, sigma=1.5, grid=grid, sign=1.0) / 2.0
        return float(np.sum(other - mean - mean * np.log(other / mean)))

    size = np.array([1e-2, 1e-2, 1.0, 1.0])
    expected = np.empty((4, 4))
    for a in range(4):
        for b in range(4):
            one, two = np.eye(4)[a] * size, np.eye(4)[b] * size
            mixed = entropy(one + two) - entropy(one - two) - entropy(two - one) + entropy(-one - two)
            expected[a, b] = mixed / (4 * size[a] * size[b])
    found = fisher_information(0.2, -0.3, camera=camera, sigma=1.5, amplitude=120.0)
    scale = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
    assert found / scale == pytest.approx(expected / scale, abs=2e-3)


def test_bound_grows_with_motion_and_noise() -> None:
    camera = CameraConfig()
    still = localisation_bound(camera, sigma=1.5, amplitude=150.0)
    assert localisation_bound(camera, sigma=1.5, amplitude=150.0, motion_variance=0.5) > still
    noisy = camera.model_copy(update={"read_noise": 20.0})
    assert localisation_bound(noisy, sigma=1.5, amplitude=150.0) > 1.5 * still
    # bright and without background: sigma/sqrt(photons), widened by the pixel: variance + 1/12
    clean = camera.model_copy(update={"background": 1e-6, "read_noise": 0.0})
    photons = 2 * np.pi * 1.5**2 * 1e5
    limit = np.sqrt((1.5**2 + 1 / 12) / photons)
    assert localisation_bound(clean, sigma=1.5, amplitude=1e5) == pytest.approx(limit, rel=0.01)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"bit_depth": 10}, "8, 12 or 16"),
        ({"dark_particles": True, "amplitude": 200.0, "background": 100.0}, "background"),
        ({"illumination_gradient": (1.5, 1.0)}, "illumination_gradient"),
        ({"exposure": 1.2}, "twin.camera.exposure"),
        ({"gian": 2.0}, "twin.camera.gain"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        CameraConfig.parse(settings)
