"""The native engine against known positions, the Cramer-Rao bound, and what users complain of in other programs."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec

import cv2
import numpy as np
import pandas as pd
import pytest
import trackpy
from scipy.spatial import KDTree

from colloid_cg.errors import ConfigError, DataError
from colloid_cg.records import FLAG_EDGE, FLAG_POOR_FIT
from colloid_cg.tracking import ImageModel, SpotClass, TrackConfig, estimate_image_model, locate, resolve, suggest
from colloid_cg.tracking.detections import Detections
from colloid_cg.tracking.filters import bandpass, bandpass_inside, centred, noise_gain, noise_kernel, reach
from colloid_cg.tracking.likelihood import refine_likelihood
from colloid_cg.tracking.maxima import find_maxima
from colloid_cg.tracking.native_engine import detect, locate_frame
from colloid_cg.tracking.photon_transfer import find_hot_pixels, photon_transfer
from colloid_cg.tracking.spot_profile import FARTHEST, PHASES_PER_PIXEL, light_table, pixel_light
from colloid_cg.tracking.subpixel_bias import bias_of_movie, measured_bias
from colloid_cg.twin.bounds import localisation_bound
from colloid_cg.twin.settings import CameraConfig
from tests.tracking.pictures import stack_of

WIDTH, DIAMETER, BACKGROUND, READ_NOISE = 1.9, 9, 20.0, 2.0


def config_for(**changes: object) -> TrackConfig:
    known = {"diameter": DIAMETER, "invert": False, "minmass": 0.0, "separation": 10.0, "threshold": 2.0}
    known |= {"search_range": 4.0, "minimum_length": 2, "shape": "spot", "refine": "likelihood", "size_classes": 1}
    return TrackConfig(**(known | changes))


def painted(positions: np.ndarray, amplitude: float | np.ndarray, *, edge: int, width: float = WIDTH) -> np.ndarray:
    """Light of pixel-integrated spots, shape (edge, edge)."""
    grid, picture = np.arange(edge), np.zeros((edge, edge))
    for (x, y), height in zip(positions, np.broadcast_to(amplitude, len(positions)), strict=True):
        light = np.outer(pixel_light(grid - y, width), pixel_light(grid - x, width))
        picture += height * 2.0 * np.pi * width**2 * light
    return picture


def positions_on(rng: np.random.Generator, *, edge: int, spacing: float) -> np.ndarray:
    axis = np.arange(spacing, edge - spacing / 2, spacing)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    return grid + rng.uniform(-1.0, 1.0, grid.shape)


def camera(rng: np.random.Generator, light: np.ndarray) -> np.ndarray:
    """Photon noise, read noise, rounding."""
    return np.rint(rng.poisson(light) + rng.normal(0.0, READ_NOISE, light.shape)).clip(0, 65535).astype(np.uint16)


def height_for(snr: float) -> float:
    """Height A of a peak with A / sqrt(A + background + read noise^2) = snr."""
    return 0.5 * (snr**2 + np.sqrt(snr**4 + 4.0 * snr**2 * (BACKGROUND + READ_NOISE**2)))


def bound_for(amplitude: float) -> float:
    settings = CameraConfig(background=BACKGROUND, read_noise=READ_NOISE, gain=1.0)
    return localisation_bound(settings, sigma=WIDTH, amplitude=amplitude)


def error_of(table: pd.DataFrame, truth: np.ndarray, *, within: float = 1.5) -> tuple[np.ndarray, pd.DataFrame]:
    """Errors (n, 2) of the detections nearest to the true positions that have one, and their rows."""
    distance, nearest = KDTree(table[["x", "y"]]).query(truth)
    seen = distance < within
    rows = table.iloc[nearest[seen]]
    return rows[["x", "y"]].to_numpy() - truth[seen], rows


@pytest.fixture(scope="module", params=[3.0, 10.0, 30.0], ids=["snr 3", "snr 10", "snr 30"])
def isolated(request: pytest.FixtureRequest) -> tuple[float, np.ndarray, np.ndarray]:
    """Height, positions (8, n, 2) and frames (8, h, w) of spots far apart."""
    rng = np.random.default_rng(int(request.param))
    amplitude, edge = height_for(request.param), 420
    truth = np.stack([positions_on(rng, edge=edge, spacing=27.0) for _ in range(8)])
    frames = np.stack([camera(rng, BACKGROUND + painted(part, amplitude, edge=edge)) for part in truth])
    return amplitude, truth, frames


def test_likelihood_reaches_the_bound_and_states_its_error(isolated: tuple[float, np.ndarray, np.ndarray]) -> None:
    amplitude, truth, frames = isolated
    if frames.max() <= 255:
        frames = frames.astype(np.uint8)
    stack = stack_of(frames)
    config = resolve(TrackConfig(), suggest(stack, config_for(threshold=None, minmass=None)))
    config = config.model_copy(update={"diameter": DIAMETER, "invert": False, "refine": "likelihood"})
    table = locate(stack, config)
    parts = [error_of(part, truth[index]) for index, part in table.groupby("frame")]
    error, rows = np.concatenate([part[0] for part in parts]), pd.concat([part[1] for part in parts])
    assert len(error) > 0.985 * truth.shape[0] * truth.shape[1]
    rmse = np.sqrt(np.mean(error**2))
    chance = 3.0 / np.sqrt(2.0 * error.size)  # three standard errors of an rms
    assert rmse / bound_for(amplitude) < 1.06 + chance
    assert rmse / bound_for(amplitude) > 1.0 - chance
    stated = np.sqrt(np.mean(rows[["sigma_x", "sigma_y"]].to_numpy() ** 2))
    assert 0.95 - chance < stated / rmse < 1.05 + chance
    normal = error / rows[["sigma_x", "sigma_y"]].to_numpy()
    assert np.mean(np.abs(normal) < 1.0) == pytest.approx(0.683, abs=0.03)
    assert ((rows["flags"] & FLAG_POOR_FIT) != 0).mean() < 0.01
    assert np.median(rows["signal"]) == pytest.approx(amplitude, rel=0.03)
    assert np.median(rows["mass"]) == pytest.approx(amplitude * 2 * np.pi * WIDTH**2, rel=0.05)


def test_centroid_is_no_worse_than_trackpy(isolated: tuple[float, np.ndarray, np.ndarray]) -> None:
    amplitude, truth, frames = isolated
    model = estimate_image_model(stack_of(frames), config_for(refine="centroid"))
    ours, theirs, stated = [], [], []
    for frame, positions in zip(frames, truth, strict=True):
        found = detect(frame, config_for(threshold=0.25 * amplitude), model).table(0)
        error, rows = error_of(found, positions)
        ours.append(error)
        stated.append(rows[["sigma_x", "sigma_y"]].to_numpy())
        reference = trackpy.locate(frame, DIAMETER, threshold=1.0, minmass=0, separation=10, engine="python")
        theirs.append(error_of(reference, positions)[0])
    rms = [np.sqrt(np.mean(np.concatenate(part) ** 2)) for part in (ours, theirs)]
    assert rms[0] <= 1.01 * rms[1]
    ratio = np.sqrt(np.nanmean(np.concatenate(stated) ** 2)) / rms[0]
    assert 0.85 < ratio < 1.1  # the part of the error that noise makes; the sub-pixel bias is not stated


def test_noise_model_is_that_of_the_camera() -> None:
    rng = np.random.default_rng(3)
    truth = positions_on(rng, edge=400, spacing=20.0)
    frames = np.stack(
        [camera(rng, BACKGROUND + painted(truth + rng.normal(0, 0.5, truth.shape), 100.0, edge=400)) for _ in range(6)]
    )
    model = estimate_image_model(stack_of(frames), config_for(minmass=300.0))
    levels = np.array([20.0, 60.0, 110.0])
    assert model.variance(levels) == pytest.approx(levels + READ_NOISE**2 + 1 / 12, rel=0.06)
    assert model.background == pytest.approx(BACKGROUND, abs=1.0)
    (spot,) = model.classes
    assert spot.width == pytest.approx(WIDTH, rel=0.01)
    assert spot.amplitude == pytest.approx(100.0, rel=0.02)
    assert spot.width_spread < 0.05
    assert (spot.misfit, model.hot_pixels, model.saturation) == (1.0, (), float("inf"))
    assert model.background_scale == float("inf")
    assert ImageModel.parse(model.as_dict()) == model


def test_widths_that_differ_are_noticed() -> None:
    rng = np.random.default_rng(4)
    truth = positions_on(rng, edge=400, spacing=24.0)
    light = sum(painted(truth[k::5], 400.0, edge=400, width=1.5 + 0.2 * k) for k in range(5))
    frames = np.stack([camera(rng, BACKGROUND + light) for _ in range(3)])
    (spot,) = estimate_image_model(stack_of(frames), config_for(minmass=300.0)).classes
    assert spot.width == pytest.approx(1.9, abs=0.1)
    # standard deviation .28; the robust one of five equal steps is larger
    assert 0.2 < spot.width_spread < 0.45


@pytest.mark.parametrize("noise", [0.0, 0.05, 0.3, 1.0])
def test_noise_below_a_grey_level_is_no_less_than_rounding(noise: float) -> None:
    rng = np.random.default_rng(5)
    light = 60.0 + painted(positions_on(rng, edge=300, spacing=20.0), 90.0, edge=300)
    pair = [np.rint(light + rng.normal(0.0, noise, light.shape)).astype(np.uint8) for _ in range(2)]
    found = photon_transfer([(pair[0], pair[1])])
    assert found.at(60.0) >= np.sqrt(1 / 12) - 1e-9
    if noise >= 0.3:
        assert found.at(60.0) == pytest.approx(np.sqrt(noise**2 + 1 / 12), rel=0.15)


def test_positions_do_not_depend_on_the_pixel_type() -> None:
    rng = np.random.default_rng(6)
    truth = positions_on(rng, edge=200, spacing=20.0)
    frame = camera(rng, BACKGROUND + painted(truth, 150.0, edge=200)).astype(np.uint8)
    frames = np.stack([frame, frame])
    model = ImageModel(
        noise_offset=4.0, noise_slope=1.0, background=20.0, classes=(SpotClass(width=WIDTH, amplitude=150.0),)
    )
    reference = locate(stack_of(frames), config_for(minmass=200.0), model)
    assert len(reference) == 2 * len(truth)
    versions: dict[str, tuple[np.ndarray, float, float]] = {
        "uint16": (frames.astype(np.uint16) * 100, 100.0, 0.0),
        "int16": (frames.astype(np.int16) - 3000, 1.0, -3000.0),
        "uint32 far from zero": (frames.astype(np.uint32) + 4_000_000_000, 1.0, 4e9),
        "int64 far from zero": (frames.astype(np.int64) - 10**12, 1.0, -1e12),
        "float32": (frames.astype(np.float32) / np.float32(255.0), 1 / 255.0, 0.0),
        "float64 far from zero": (frames.astype(float) * 1e-3 + 1e7, 1e-3, 1e7),
        "big-endian": (frames.astype(">u2"), 1.0, 0.0),
    }
    for name, (version, unit, level) in versions.items():
        slope = model.noise_slope * unit
        scaled = replace(
            model,
            noise_slope=slope,
            background=20.0 * unit + level,
            noise_offset=24.0 * unit**2 - slope * (20.0 * unit + level),
        )
        table = locate(stack_of(version), config_for(minmass=200.0 * unit, threshold=2.0 * unit), scaled)
        assert len(table) == len(reference), name
        columns = ["x", "y", "sigma_x", "sigma_y", "size", "ecc"]
        assert np.abs(table[columns].to_numpy() - reference[columns].to_numpy()).max() < 2e-4, name
        assert np.allclose(table["mass"], reference["mass"] * unit, rtol=1e-4), name


def test_dark_particles_are_bright_ones_mirrored() -> None:
    rng = np.random.default_rng(7)
    truth = positions_on(rng, edge=200, spacing=20.0)
    bright = camera(rng, BACKGROUND + painted(truth, 150.0, edge=200)).astype(np.uint8)
    model = ImageModel(
        noise_offset=4.0, noise_slope=1.0, background=20.0, classes=(SpotClass(width=WIDTH, amplitude=150.0),)
    )
    # noise that grows with what is missing from 255: negative slope
    mirrored = replace(model, noise_offset=4.0 + 255.0, noise_slope=-1.0, background=235.0)
    one = locate_frame(bright, config_for(minmass=200.0), model)
    other = locate_frame(255 - bright, config_for(minmass=200.0, invert=True), mirrored)
    pd.testing.assert_frame_equal(one.table(0), other.table(0), rtol=1e-5)
    # with all estimated from the movie (noise the same at each level, so that the mirrored camera can exist)
    light = 40.0 + painted(truth, 150.0, edge=200)
    frames = np.stack([np.rint(rng.normal(light, 4.0)).clip(0, 255).astype(np.uint8) for _ in range(4)])
    bright_table = locate(stack_of(frames), config_for(minmass=200.0))
    dark_table = locate(stack_of(255 - frames), config_for(minmass=200.0, invert=True))
    assert np.abs(bright_table[["x", "y"]].to_numpy() - dark_table[["x", "y"]].to_numpy()).max() < 1e-3
    assert np.allclose(bright_table["sigma_x"], dark_table["sigma_x"], rtol=1e-2)


def test_hot_and_dead_pixels_neither_make_nor_move_particles() -> None:
    rng = np.random.default_rng(8)
    truth = positions_on(rng, edge=300, spacing=22.0)
    moving = [truth + rng.normal(0.0, 0.7, truth.shape) for _ in range(6)]
    clean = np.stack([camera(rng, 60.0 + painted(part, 150.0, edge=300)) for part in moving])
    bad = [tuple(place) for place in np.round(truth[::6, ::-1]).astype(int) + rng.integers(-3, 4, truth[::6].shape)]
    bad += [(5, 7), (250, 11), (100, 101), (203, 150)]
    frames = clean.copy()
    for k, (row, column) in enumerate(bad):
        frames[:, row, column] = 900 if k % 3 else 0
    stack = stack_of(frames)
    config = resolve(config_for(threshold=None, minmass=None), suggest(stack, config_for(threshold=None, minmass=None)))
    model = estimate_image_model(stack, config)
    assert set(model.hot_pixels) == {(int(row), int(column)) for row, column in bad}
    reference = estimate_image_model(stack_of(clean), config)
    assert reference.hot_pixels == ()  # a spot is no hot pixel
    table, without = locate(stack, config, model, stop=1), locate(stack_of(clean), config, reference, stop=1)
    assert len(table) == len(without) == len(truth)
    error, _ = error_of(table, moving[0])
    assert np.sqrt(np.mean(error**2)) < 1.15 * np.sqrt(np.mean(error_of(without, moving[0])[0] ** 2))
    ignored = locate(stack, config, replace(model, hot_pixels=()), stop=1)
    assert len(ignored) > len(truth)  # without the list they would be particles


def test_saturated_pixels_are_left_out() -> None:
    rng = np.random.default_rng(9)
    truth = positions_on(rng, edge=300, spacing=25.0)
    light = 20.0 + painted(truth, 500.0, edge=300)
    frames = np.stack([camera(rng, light).clip(0, 255).astype(np.uint8) for _ in range(3)])
    model = estimate_image_model(stack_of(frames), config_for(minmass=500.0))
    assert model.saturation == 255.0
    table = locate(stack_of(frames), config_for(minmass=500.0), model)
    parts = [error_of(part, truth) for _, part in table.groupby("frame")]
    error, rows = np.concatenate([part[0] for part in parts]), pd.concat([part[1] for part in parts])
    stated = np.sqrt(np.mean(rows[["sigma_x", "sigma_y"]].to_numpy() ** 2))
    assert stated / np.sqrt(np.mean(error**2)) == pytest.approx(1.0, abs=0.15)
    assert np.median(rows["signal"]) == pytest.approx(500.0, rel=0.1)


@pytest.mark.parametrize("refine", ["centroid", "likelihood"])
def test_uneven_light_does_not_pull(refine: str) -> None:
    rng = np.random.default_rng(10)
    edge = 400
    illumination = 0.2 + 1.8 * np.arange(edge) / edge
    frames, truths = [], []
    for _ in range(4):
        truth = positions_on(rng, edge=edge, spacing=24.0)
        heights = 100.0 * np.interp(truth[:, 0], np.arange(edge), illumination)
        frames.append(camera(rng, 100.0 * illumination + painted(truth, heights, edge=edge)))
        truths.append(truth)
    stack = stack_of(np.stack(frames))
    config = config_for(refine=refine, minmass=400.0, threshold=4.0)
    table = locate(stack, config)
    error = np.concatenate([error_of(part, truths[index])[0] for index, part in table.groupby("frame")])
    error = error[np.abs(error).max(axis=1) < 0.6]
    assert len(error) > 0.8 * sum(map(len, truths))
    # a plane of 0.45 grey levels per px would shift the fit by 4 g w^2 / A = .06 px in the middle
    assert abs(error[:, 0].mean()) < 3.5 * error[:, 0].std() / np.sqrt(len(error))
    assert abs(error[:, 0].mean()) < 0.015


@pytest.mark.parametrize(("wavelength", "amplitude"), [(40.0, 20.0), (60.0, 40.0), (120.0, 40.0)])
def test_light_that_varies_over_a_few_particles_does_not_pull(wavelength: float, amplitude: float) -> None:
    rng = np.random.default_rng(12)
    edge = 300
    light = 80.0 + amplitude * np.sin(2.0 * np.pi * np.arange(edge) / wavelength)
    truths = [positions_on(rng, edge=edge, spacing=24.0) for _ in range(12)]
    stack = stack_of(np.stack([camera(rng, light + painted(truth, 100.0, edge=edge)) for truth in truths]))
    suggestion = suggest(stack)
    table = locate(stack, resolve(TrackConfig(refine="likelihood"), suggestion), suggestion.image_model)
    parts = [error_of(part, truths[index]) for index, part in table.groupby("frame")]
    error, rows = np.concatenate([part[0] for part in parts]), pd.concat([part[1] for part in parts])
    near = np.abs(error).max(axis=1) < 1.0
    assert near.mean() > 0.97
    along = error[near, 0]
    stated = float(np.sqrt(np.mean(rows["sigma_x"].to_numpy()[near] ** 2)))
    assert stated / np.sqrt(np.mean(along**2)) == pytest.approx(1.0, abs=0.1)
    # left in, a slope g shifts by 4 g w^2 / A: regressed on it the errors show what was not taken off
    slope = np.gradient(light)[np.round(rows["x"].to_numpy()[near]).astype(int)]
    left = (along @ slope) / (slope @ slope) / (4.0 * WIDTH**2 / 100.0)
    assert abs(left) < 0.12


def test_an_error_larger_than_the_spot_is_no_error() -> None:
    rng = np.random.default_rng(13)
    frame = camera(rng, BACKGROUND + painted(np.array([[20.0, 20.0]]), 100.0, edge=41))
    model = ImageModel(
        noise_offset=4.0, noise_slope=1.0, background=20.0, classes=(SpotClass(width=WIDTH, amplitude=100.0),)
    )
    places = Detections.at(np.array([20.0, 8.0]), np.array([20.0, 8.0]))
    config = config_for(minmass=0.0)
    fitted = refine_likelihood(frame, places, config, replace(model, noise_offset=1e6))
    assert np.isnan(fitted.sigma_x).all()
    assert (fitted.flags & FLAG_POOR_FIT != 0).all()
    bright = refine_likelihood(frame, places, config, model)
    assert bright.sigma_x[0] < 0.2
    assert bright.flags[0] & FLAG_POOR_FIT == 0


def test_particles_at_the_edge_are_found_flagged_and_unbiased_in_the_fit() -> None:
    rng = np.random.default_rng(11)
    edge, n = 160, 7
    along = np.linspace(14.0, edge - 15.0, n) + rng.uniform(-0.5, 0.5, n)
    depth = np.array([0.2, 0.8, 1.4, 2.1, 2.7, 3.1, 3.5])
    truth = np.concatenate(
        [
            np.column_stack([along, depth]),
            np.column_stack([along, edge - 1 - depth]),
            np.column_stack([depth[:-1], along[1:]]),
            np.column_stack([edge - 1 - depth[:-1], along[1:]]),
        ]
    )
    truth = truth[KDTree(truth).query(truth, k=2)[0][:, 1] > 12.0]
    frames = np.stack([camera(rng, BACKGROUND + painted(truth, 400.0, edge=edge)) for _ in range(20)])
    model = ImageModel(
        noise_offset=4.0, noise_slope=1.0, background=20.0, classes=(SpotClass(width=WIDTH, amplitude=400.0),)
    )
    table = locate(stack_of(frames), config_for(minmass=200.0, threshold=10.0), model)
    parts = [error_of(part, truth) for _, part in table.groupby("frame")]
    error, rows = np.concatenate([part[0] for part in parts]), pd.concat([part[1] for part in parts])
    assert len(error) == len(truth) * len(frames) == len(table)
    assert (rows["flags"] & FLAG_EDGE).all()
    normal = error / rows[["sigma_x", "sigma_y"]].to_numpy()
    assert np.sqrt(np.mean(normal**2)) == pytest.approx(1.0, abs=0.1)
    assert np.abs(normal.mean(axis=0)).max() < 0.2


def test_a_particle_that_is_no_spot_is_flagged_and_its_error_grows() -> None:
    rng = np.random.default_rng(12)
    truth = positions_on(rng, edge=200, spacing=30.0)
    light = BACKGROUND + painted(truth, 200.0, edge=200) + painted(truth[:5] + np.array([3.6, 1.0]), 160.0, edge=200)
    model = ImageModel(
        noise_offset=4.0, noise_slope=1.0, background=20.0, classes=(SpotClass(width=WIDTH, amplitude=200.0),)
    )
    table = locate_frame(camera(rng, light), config_for(minmass=200.0, threshold=10.0), model).table(0)
    _, nearest = KDTree(table[["x", "y"]]).query(truth)
    rows = table.iloc[nearest]
    flagged = ((rows["flags"] & FLAG_POOR_FIT) != 0).to_numpy()
    assert flagged[:5].all()
    assert not flagged[5:].any()
    assert rows["sigma_x"].to_numpy()[:5].min() > 1.7 * np.median(rows["sigma_x"].to_numpy()[5:])


def test_subpixel_bias_is_measured() -> None:
    model = ImageModel(
        noise_offset=4.0, noise_slope=1.0, background=20.0, classes=(SpotClass(width=WIDTH, amplitude=900.0),)
    )
    rng = np.random.default_rng(13)
    centroid, fit = (
        measured_bias(config_for(refine=name), model, rng, spots=1500) for name in ("centroid", "likelihood")
    )
    assert fit["found"] == centroid["found"] == 1.0
    assert fit["largest"] < 2.0 * fit["standard_error"]
    assert fit["rms_error"] == pytest.approx(bound_for(900.0), rel=0.07)
    assert fit["stated_error"] == pytest.approx(fit["rms_error"], rel=0.05)
    # the cut neighbourhood pulls to the middle of the pixel, the more the smaller it is
    small = measured_bias(config_for(refine="centroid", diameter=5), model, rng, spots=1500)
    assert small["largest"] > 3.0 * small["standard_error"]
    assert small["largest"] > 2.0 * centroid["largest"]
    assert np.all(np.sign(small["bias_x"])[[1, 2]] == -np.sign(small["phase"])[[1, 2]])


def test_the_bias_of_a_movie_takes_a_second_and_needs_spots() -> None:
    spot = SpotClass(width=WIDTH, amplitude=900.0)
    model = ImageModel(
        noise_offset=4.0, noise_slope=1.0, background=20.0, classes=(spot,), hot_pixels=((5, 3000), (2, 2))
    )
    config = config_for(refine="likelihood")
    first, again = (bias_of_movie(config, model, np.random.default_rng(4)) for _ in range(2))
    assert first is not None
    assert first == again
    assert first["largest"] < 3.0 * first["standard_error"]
    large = bias_of_movie(config_for(refine="centroid", diameter=41), model, np.random.default_rng(4))
    assert large is not None
    assert len(large["phase"]) == 10
    for unfit in (config.model_copy(update={"shape": "ring"}), config.model_copy(update={"engine": "trackpy"})):
        assert bias_of_movie(unfit, model, np.random.default_rng(4)) is None
    assert bias_of_movie(config, replace(model, classes=()), np.random.default_rng(4)) is None
    assert bias_of_movie(config, None, np.random.default_rng(4)) is None


def test_spot_table_is_the_integral_of_the_gaussian() -> None:
    from scipy.integrate import quad

    def gauss(t: float) -> float:
        return float(np.exp(-0.5 * (t / 1.3) ** 2) / (1.3 * np.sqrt(2 * np.pi)))

    for offset in (-3.2, 0.0, 0.4, 2.0):
        assert pixel_light(np.array(offset), 1.3) == pytest.approx(quad(gauss, offset - 0.5, offset + 0.5)[0], rel=1e-9)
    table, position = light_table(1.3, 4), 0.37
    nearest = round((position + FARTHEST) * PHASES_PER_PIXEL)
    rest = position + FARTHEST - nearest / PHASES_PER_PIXEL
    taylor = sum(table[nearest, k, :9] * rest**k / (1, 1, 2, 6)[k] for k in range(4))
    assert taylor == pytest.approx(pixel_light(np.arange(-4, 5) - position, 1.3), abs=1e-6)


@pytest.mark.parametrize("smoothing", [9, 21])
def test_filter_is_a_gaussian_minus_a_mean_up_to_the_edge(smoothing: int) -> None:
    rng = np.random.default_rng(14)
    frame = rng.normal(0.0, 1.0, (300, 310))
    picture = centred(frame, level=0.0, invert=False)
    filtered = bandpass(picture, noise_size=1.0, smoothing=smoothing)
    mirrored = np.pad(frame, 30, mode="symmetric")
    kernel = noise_kernel(1.0).astype(float)
    rows = np.apply_along_axis(np.convolve, 1, mirrored, kernel, mode="same")
    smooth = np.apply_along_axis(np.convolve, 0, rows, kernel, mode="same")
    flat = np.full(smoothing, 1.0 / smoothing)
    mean = np.apply_along_axis(
        np.convolve, 0, np.apply_along_axis(np.convolve, 1, mirrored, flat, "same"), flat, "same"
    )
    assert filtered == pytest.approx((smooth - mean)[30:-30, 30:-30], abs=1e-5)
    gain = noise_gain(noise_size=1.0, smoothing=smoothing)
    assert filtered[20:-20, 20:-20].std() == pytest.approx(gain, rel=0.03)
    level = np.full((60, 60), 7.5)
    assert np.abs(bandpass(centred(level, level=7.0, invert=False), noise_size=1.0, smoothing=9)).max() < 1e-6


@pytest.mark.parametrize(("noise_size", "smoothing"), [(1.0, 9), (0.0, 7), (1.6, 21)])
def test_filtering_row_by_row_is_the_bandpass(noise_size: float, smoothing: int) -> None:
    rng = np.random.default_rng(14)
    margin = max(16, reach(noise_size, smoothing))
    for shape in ((90, 61), (30, 200)):  # the memory is used again
        picture = centred(rng.normal(0.0, 50.0, shape), level=0.0, invert=False, margin=margin)
        whole = bandpass(picture, noise_size=noise_size, smoothing=smoothing)
        whole[:margin], whole[-margin:], whole[:, :margin], whole[:, -margin:] = 0.0, 0.0, 0.0, 0.0
        filtered = bandpass_inside(picture, noise_size=noise_size, smoothing=smoothing, margin=margin)
        assert np.abs(filtered - whole).max() < 5e-5


@pytest.mark.parametrize(("separation", "edge"), [(7.0, 9), (5.0, 7), (15.5, 21)])
def test_maxima_are_the_highest_of_their_square_and_apart(separation: float, edge: int) -> None:
    whole = np.random.default_rng(15).normal(0.0, 1.0, (500, 90)).astype(np.float32)
    whole = cv2.GaussianBlur(whole, (0, 0), 1.5)
    maxima = find_maxima(whole, threshold=0.1, separation=separation)
    # each is the highest of its square, and no two are closer than the separation
    square = cv2.dilate(whole, np.ones((edge, edge), dtype=np.uint8))
    candidates = np.argwhere((whole == square) & (whole > np.float32(0.1)))
    height = whole[tuple(candidates.T)]
    near = KDTree(candidates).query_ball_point(candidates, separation - 1e-9)
    lone = [height[k] >= height[others].max() for k, others in enumerate(near)]
    assert {tuple(place) for place in candidates[lone].tolist()} == {tuple(place) for place in maxima.tolist()}
    assert len(candidates) > len(maxima) > 50


def test_a_plateau_is_one_maximum() -> None:
    flat = np.zeros((40, 40), dtype=np.float32)
    flat[10:13, 20:22] = 5.0
    flat[30, 5] = flat[30, 9] = 4.0
    maxima = find_maxima(flat, threshold=1.0, separation=5.0)
    assert maxima.tolist() == [[10, 20], [30, 5]]


def test_threads_give_the_same_bytes() -> None:
    rng = np.random.default_rng(16)
    frames = np.stack(
        [camera(rng, 20.0 + painted(positions_on(rng, edge=150, spacing=20.0), 90.0, edge=150)) for _ in range(9)]
    )
    one = locate(stack_of(frames), config_for(minmass=200.0))
    calls: list[tuple[int, int]] = []
    two = locate(stack_of(frames), config_for(minmass=200.0), threads=2, progress=lambda *done: calls.append(done))
    for name in one.columns:
        assert one[name].to_numpy().tobytes() == two[name].to_numpy().tobytes()
    assert calls == [(k, 9) for k in range(1, 10)]


def test_a_frame_unlike_the_others_is_refused() -> None:
    rng = np.random.default_rng(17)
    model = ImageModel(
        noise_offset=4.0,
        noise_slope=1.0,
        background=20.0,
        classes=(SpotClass(width=WIDTH, amplitude=90.0),),
        per_frame=30,
    )
    stormy = rng.integers(0, 255, (2, 300, 300)).astype(np.uint8)
    with pytest.raises(DataError, match=r"maxima in frame 0.*at most 30.*track\.minmass"):
        locate(stack_of(stormy), config_for(), model)


def test_refinement_that_is_not_there_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "colloid_cg.tracking.joint", None)
    frame = np.random.default_rng(18).integers(0, 99, (80, 80)).astype(np.uint8)
    model = ImageModel(noise_offset=1.0, noise_slope=0.0, background=20.0)
    with pytest.raises(ConfigError, match=r"track\.refine = 'joint'.*'likelihood'"):
        locate_frame(frame, config_for(refine="joint"), model)


def test_hot_pixels_need_to_be_hot_always() -> None:
    rng = np.random.default_rng(19)
    frames = [rng.normal(50.0, 2.0, (120, 120)) for _ in range(4)]
    frames[1][30, 40] = 400.0  # a cosmic ray
    for frame in frames:
        frame[60, 70] += 60.0
    noise = photon_transfer([(frames[0], frames[2]), (frames[2], frames[3])])
    assert noise.at(50.0) == pytest.approx(2.0, rel=0.1)
    assert find_hot_pixels(frames, noise) == ((60, 70),)


def test_compressed_noise_is_measured_at_the_scale_of_a_particle() -> None:
    # Smoothed noise has next to nothing at the scale of a pixel, yet moves particles as its coarse part says.
    rng = np.random.default_rng(20)
    frames = [100.0 + 20.0 * cv2.GaussianBlur(rng.normal(size=(300, 300)), (0, 0), 1.5) for _ in range(4)]
    noise = photon_transfer([(frames[0], frames[1]), (frames[2], frames[3])])
    assert not noise.white
    assert noise.at(100.0) > 2.0


def test_suggestion_carries_the_image_model_and_how_to_refine() -> None:
    rng = np.random.default_rng(21)
    frames = np.stack(
        [camera(rng, 20.0 + painted(positions_on(rng, edge=260, spacing=26.0), 90.0, edge=260)) for _ in range(4)]
    )
    found = suggest(stack_of(frames))
    assert (found.shape, found.refine, found.size_classes) == ("spot", "likelihood", 1)
    assert found.image_model is not None
    assert ImageModel.parse(found.as_dict()["image_model"]) == found.image_model
    close = positions_on(rng, edge=260, spacing=26.0)
    pairs = np.concatenate([close, close + np.array([7.0, 0.0])])
    frames = np.stack([camera(rng, 20.0 + painted(pairs, 90.0, edge=260)) for _ in range(4)])
    touching = suggest(stack_of(frames), TrackConfig(diameter=9, separation=5.0)).choices["refine"]
    assert touching.evidence["share_shifted"] > 0.8
    assert touching.value == ("joint" if find_spec("colloid_cg.tracking.joint") else "likelihood")
    reference = suggest(stack_of(frames), TrackConfig(engine="trackpy"))
    assert (reference.refine, reference.image_model) == ("centroid", None)
