from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import KDTree

from colloid_cg.errors import ConfigError
from colloid_cg.records import FLAG_EDGE, FLAG_POOR_FIT
from colloid_cg.tracking import joint
from colloid_cg.tracking.background import RIDGE, mesh, solve_background
from colloid_cg.tracking.bounds import render
from colloid_cg.tracking.config import TrackConfig
from colloid_cg.tracking.crowd import Crowd
from colloid_cg.tracking.detections import Detections, no_detections
from colloid_cg.tracking.image_model import ImageModel, SpotClass
from colloid_cg.tracking.joint import drop_spurious, refine_joint
from colloid_cg.tracking.size_classes import estimate_classes
from colloid_cg.tracking.spot_evidence import background_sums
from tests.tracking.crowds import NOISE, Scene, first_guess, packing, scene

BRIGHT = TrackConfig(diameter=9, invert=False)
WHITE = ImageModel(noise_offset=4.0, noise_slope=0.0, background=20.0)


def fitted(crowd: Scene, config: TrackConfig = BRIGHT) -> tuple[ImageModel, list[Detections]]:
    start = replace(NOISE, background=float(np.median(crowd.background)) + 2.0)
    model = estimate_classes(crowd.frames[:3], crowd.found[:3], config, start)
    refined = [refine_joint(*pair, config, model) for pair in zip(crowd.frames, crowd.found, strict=True)]
    return model, refined


@pytest.mark.parametrize("amplitude", [100.0, 30.0])
@pytest.mark.parametrize("ratio", [1.0, 1.4])
def test_touching_particles_reach_the_bound_with_classes_and_background_estimated(
    ratio: float, amplitude: float
) -> None:
    crowd = scene(ratio=ratio, amplitude=amplitude)
    model, refined = fitted(crowd)
    scores = crowd.scores(refined)
    assert len(model.classes) == len(np.unique(crowd.widths))
    assert scores["efficiency"] < 1.10
    assert 0.95 < scores["stated"] < 1.05
    assert min(scores["recall"], scores["precision"]) >= 0.99
    assert scores["classes"] >= 0.99


def test_dark_particles_before_an_uneven_background_reach_the_bound() -> None:
    edge = 200
    y, x = np.mgrid[:edge, :edge]
    background = 150.0 + 20.0 * x / edge + 12.0 * np.exp(-((x - 80) ** 2 + (y - 120) ** 2) / (2 * 50.0**2))
    crowd = scene(ratio=1.4, amplitude=-100.0, background=background)
    model, refined = fitted(crowd, TrackConfig(diameter=9, invert=True))
    assert np.isfinite(model.background_scale)
    assert all(item.amplitude == pytest.approx(-100.0, abs=3.0) for item in model.classes)
    functions = mesh(background.shape, model.background_scale)
    basis = (functions.rows.T[:, None, :, None] * functions.columns.T[None, :, None, :]).reshape(-1, edge, edge)
    scores = crowd.scores(refined, basis=basis)
    assert scores["efficiency"] < 1.10
    assert 0.94 < scores["stated"] < 1.05
    assert min(scores["recall"], scores["precision"]) >= 0.99


def test_missed_particles_are_found_in_the_residual_and_false_ones_are_dropped() -> None:
    crowd = scene(ratio=1.4, amplitude=100.0, n_frames=3)
    model, _ = fitted(crowd)
    rng = np.random.default_rng(0)
    spoiled = []
    for found in crowd.found:
        kept = found.select(rng.random(len(found)) > 0.1)
        x, y = rng.uniform(15, 185, (2, 20))
        spoiled.append(Detections.at(np.append(kept.x, x), np.append(kept.y, y)))
    scores = crowd.scores(
        [refine_joint(frame, found, BRIGHT, model) for frame, found in zip(crowd.frames, spoiled, strict=True)]
    )
    assert min(scores["recall"], scores["precision"]) >= 0.99
    assert scores["efficiency"] < 1.10


def line(amplitudes: list[float], *, spacing: float, width: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    positions = np.array([[30.3 + spacing * k, 30.6] for k in range(len(amplitudes))])
    widths = np.full(len(amplitudes), width)
    return positions, render((61, 90), positions, widths, np.array(amplitudes), np.array(20.0))


def test_a_dim_particle_between_two_bright_ones_is_seen() -> None:
    positions, picture = line([100.0, 40.0, 100.0], spacing=6.0)
    model = replace(WHITE, classes=(SpotClass(width=2.0, amplitude=100.0, amplitude_spread=20.0),))
    frame = picture + np.random.default_rng(1).normal(0.0, 2.0, picture.shape)
    refined = refine_joint(frame, Detections.at(*positions[[0, 2]].T.round()), BRIGHT, model)
    assert len(refined) == 3
    order = np.argsort(refined.x)
    np.testing.assert_allclose(refined.x[order], positions[:, 0], atol=0.3)
    np.testing.assert_allclose(refined.signal[order], [100.0, 40.0, 100.0], rtol=0.1)


def test_without_noise_position_signal_mass_and_size_are_exact() -> None:
    positions, picture = line([100.0, 60.0], spacing=7.0)
    model = replace(WHITE, classes=(SpotClass(width=2.0, amplitude=80.0, amplitude_spread=20.0),))
    refined = refine_joint(picture, Detections.at(*positions.T.round()), BRIGHT, model)
    refined = refined.select(np.argsort(refined.x))
    np.testing.assert_allclose(refined.x, positions[:, 0], atol=2e-3)
    np.testing.assert_allclose(refined.y, positions[:, 1], atol=2e-3)
    np.testing.assert_allclose(refined.signal, [100.0, 60.0], rtol=5e-3)
    np.testing.assert_allclose(refined.mass, 2 * np.pi * 4.0 * refined.signal)
    np.testing.assert_allclose(refined.size, 2.0)
    assert not (refined.flags & FLAG_POOR_FIT).any()


def test_dark_is_the_mirror_image_of_bright() -> None:
    crowd = scene(ratio=1.4, amplitude=100.0, n_frames=1)
    classes = tuple(SpotClass(width=width, amplitude=100.0, share=0.5) for width in np.unique(crowd.widths))
    bright = refine_joint(crowd.frames[0], crowd.found[0], BRIGHT, replace(WHITE, classes=classes))
    dark_model = replace(WHITE, background=230.0, classes=tuple(replace(item, amplitude=-100.0) for item in classes))
    dark = refine_joint(250.0 - crowd.frames[0], crowd.found[0], TrackConfig(diameter=9, invert=True), dark_model)
    np.testing.assert_allclose(dark.x, bright.x, atol=1e-9)
    np.testing.assert_allclose(dark.signal, bright.signal, rtol=1e-9)


def test_hot_and_saturated_pixels_have_no_weight() -> None:
    positions, picture = line([100.0, 60.0], spacing=7.0)
    model = replace(WHITE, classes=(SpotClass(width=2.0, amplitude=80.0, amplitude_spread=20.0),))
    guess = Detections.at(*positions.T.round())
    clean = refine_joint(picture, guess, BRIGHT, model)
    hot = picture.copy()
    hot[32, 31] = 255.0
    disturbed = np.sort(refine_joint(hot, guess, BRIGHT, model).x)
    assert np.abs(disturbed[0] - clean.x.min()) > 0.05
    for known in (replace(model, hot_pixels=((32, 31),)), replace(model, saturation=255.0)):
        np.testing.assert_allclose(np.sort(refine_joint(hot, guess, BRIGHT, known).x), np.sort(clean.x), atol=2e-3)


def test_particles_of_another_shape_are_flagged() -> None:
    y, x = np.mgrid[:61, :90]
    ring = 60.0 * np.exp(-((np.hypot(x - 30, y - 30) - 5.0) ** 2) / 2.0)
    _, picture = line([0.0, 0.0, 0.0, 0.0, 0.0, 100.0], spacing=8.0)
    model = replace(WHITE, classes=(SpotClass(width=2.0, amplitude=100.0, amplitude_spread=20.0),))
    refined = refine_joint(picture + ring, Detections.at(np.array([30.0, 70.0]), np.array([26.0, 31.0])), BRIGHT, model)
    poor = (refined.flags & FLAG_POOR_FIT) > 0
    at_spot = np.abs(refined.x - 70.3) < 1.0
    assert poor[~at_spot].all()
    assert not poor[at_spot].any()


def test_particles_unlike_the_model_have_larger_errors() -> None:
    rng = np.random.default_rng(8)
    y, x = np.mgrid[:61, :90]
    model = replace(WHITE, classes=(SpotClass(width=2.0, amplitude=100.0, amplitude_spread=20.0),))
    _, spots = line([0.0, 0.0, 0.0, 0.0, 0.0, 100.0], spacing=8.0)
    stretched = 100.0 * np.exp(-((x - 30.0) ** 2) / (2 * 3.4**2) - (y - 30.0) ** 2 / (2 * 1.4**2))
    picture = spots + stretched + rng.normal(0.0, 1.0, spots.shape)
    found = refine_joint(picture, Detections.at(np.array([30.0, 70.0]), np.array([30.0, 31.0])), BRIGHT, model)
    sigma = {round(float(place)): float(error) for place, error in zip(found.x, found.sigma_x, strict=True)}
    assert sigma[30] > 3.0 * sigma[70]
    assert 0.0 < sigma[70] < 0.05


def test_an_object_that_is_no_particle_is_not_filled_with_particles() -> None:
    rng = np.random.default_rng(5)
    positions, picture = line([100.0], spacing=8.0)
    picture[:, 60:66] += 120.0
    model = replace(WHITE, classes=(SpotClass(width=2.0, amplitude=100.0, amplitude_spread=20.0),))
    refined = refine_joint(picture + rng.normal(0.0, 2.0, picture.shape), Detections.at(*positions.T), BRIGHT, model)
    assert len(refined) == 1


def test_the_same_frame_gives_the_same_bytes_and_particles_at_the_edge_are_flagged() -> None:
    crowd = scene(ratio=1.0, amplitude=100.0, n_frames=1)
    frame = np.ascontiguousarray(crowd.frames[0][14:, 14:])
    classes = (SpotClass(width=1.9, amplitude=100.0),)
    guess = Detections.at(crowd.found[0].x - 14, crowd.found[0].y - 14)
    inside = guess.select((guess.x > 0) & (guess.y > 0))
    one, two = (refine_joint(frame, inside, BRIGHT, replace(NOISE, classes=classes)) for _ in range(2))
    assert all(getattr(one, name).tobytes() == getattr(two, name).tobytes() for name in vars(one))
    np.testing.assert_array_equal((one.flags & FLAG_EDGE) > 0, np.minimum(one.x, one.y) + 0.5 < 4.5)
    truth = crowd.positions[0] - 14
    error = np.column_stack([one.x, one.y])[:, None] - truth[None]
    nearest = np.abs(error).sum(axis=2).argmin(axis=1)
    near = (one.flags & FLAG_EDGE) > 0
    pull = (one.x - truth[nearest, 0])[near] / one.sigma_x[near]
    assert 0.6 < np.sqrt((pull**2).mean()) < 1.5


def test_nothing_found_is_no_error_and_an_unknown_size_is_one() -> None:
    picture = np.random.default_rng(0).normal(20.0, 2.0, (60, 60))
    model = replace(WHITE, classes=(SpotClass(width=2.0, amplitude=80.0),))
    assert len(refine_joint(picture, no_detections(), BRIGHT, model)) == 0
    with pytest.raises(ConfigError, match=r"track\.diameter"):
        refine_joint(picture, no_detections(), TrackConfig(invert=False), WHITE)


def test_a_particle_wide_for_the_mesh_leaves_the_background_a_covariance() -> None:
    # Eliminating its peak as if the splines were constant over it would make the information negative.
    functions = mesh((120, 120), 40.0)
    weight = np.full((120, 120), 1.0 / 4.0)
    spots = np.array([[60.0, 60.0, 800.0, 16.0], [61.0, 25.0, 14.0, 2.3]])
    light = render((120, 120), spots[:, :2], spots[:, 3], spots[:, 2], np.zeros((120, 120)))
    residual = np.random.default_rng(5).normal(0.0, 2.0, (120, 120))
    sums = background_sums(residual, weight, light, spots)
    covariance = solve_background(functions, residual, weight, spots, sums)[1]
    assert np.linalg.eigvalsh(covariance).min() > 0.0


def cut_out(seed: int, edge: int = 66) -> tuple[np.ndarray, np.ndarray, ImageModel]:
    """A bright, dense packing cut by the frame, the true places, and a model with an uneven background."""
    rng = np.random.default_rng(seed)
    centres, sizes = packing(rng, edge=edge + 48, fraction=0.9, diameter=7.5, ratio=1.4)
    mean = render((edge, edge), centres - 24, sizes / 4, np.full(len(sizes), 120.0), np.array(100.0))
    classes = tuple(SpotClass(width=float(width), amplitude=120.0, share=0.5) for width in np.unique(sizes / 4))
    noise = ImageModel(noise_offset=0.1, noise_slope=1.0, background=110.0, classes=classes, background_scale=33.0)
    return rng.poisson(mean), centres - 24, noise


@pytest.mark.parametrize("seed", [24, 54, 66, 287])  # of 300, where values of the splines at the centres diverged
def test_light_from_beyond_the_edge_does_not_make_the_background_diverge(seed: int) -> None:
    frame, truth, model = cut_out(seed)
    refined = refine_joint(frame, first_guess(frame.astype(np.float32), 10.0), BRIGHT, model)
    away = KDTree(truth).query(np.column_stack([refined.x, refined.y]))[0]
    assert np.median(away) < 0.25
    assert ((refined.flags & FLAG_POOR_FIT) > 0).mean() < 0.1
    assert np.isfinite(refined.sigma_x).mean() > 0.95


@pytest.mark.parametrize(("saturated", "least"), [(False, 0.15), (True, 0.1)])
def test_peaks_take_no_more_from_the_background_than_there_is(saturated: bool, least: float) -> None:
    # The left side of the normal equations is B'WB less what the peaks take over.
    for seed in range(12):
        frame, centres, _ = cut_out(seed)
        near = ((centres > -4.0) & (centres < len(frame) + 3.0)).all(axis=1)
        spots = np.column_stack([centres[near], np.full((near.sum(), 2), (120.0, 2.3))])
        light = render(frame.shape, spots[:, :2], spots[:, 3], spots[:, 2], np.zeros(frame.shape))
        weight, residual = np.full(frame.shape, 0.01), np.zeros(frame.shape)
        weight[saturated & (light > np.median(light))] = 0.0
        functions = mesh(frame.shape, 33.0)
        sums = background_sums(residual, weight, light, spots)
        left = np.linalg.inv(solve_background(functions, residual, weight, spots, sums)[1])
        basis = np.einsum("ip,jq->ijpq", functions.rows, functions.columns).reshape(-1, functions.size)
        whole = basis.T @ (weight.ravel()[:, None] * basis)
        whole += RIDGE * np.diag(whole).mean() * np.eye(functions.size)
        assert np.linalg.eigvals(np.linalg.solve(whole, left)).real.min() > least


def test_a_fit_that_diverged_is_flagged(monkeypatch: pytest.MonkeyPatch) -> None:
    positions, picture = line([100.0, 60.0], spacing=7.0)
    model = replace(WHITE, classes=(SpotClass(width=2.0, amplitude=80.0, amplitude_spread=20.0),))

    def diverge(crowd: Crowd) -> np.ndarray:
        covariance = drop_spurious(crowd)
        crowd.residual += 40.0
        return covariance

    monkeypatch.setattr(joint, "drop_spurious", diverge)
    refined = refine_joint(picture, Detections.at(*positions.T.round()), BRIGHT, model)
    assert len(refined) == 2
    assert (refined.flags & FLAG_POOR_FIT).all()
    assert np.isnan(refined.sigma_x).all()
