"""Localisation against known positions, and what it must not depend on."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import pytest
from scipy.spatial import KDTree

from colloid_cg.errors import ConfigError, DataError
from colloid_cg.records import FLAG_EDGE
from colloid_cg.tracking import TrackConfig, locate
from tests.tracking.pictures import lattice, movie, paint, stack_of

EDGE = 160
CONFIG = TrackConfig(
    diameter=11,
    invert=False,
    minmass=100.0,
    separation=12,
    threshold=1.0,
    search_range=4.0,
    minimum_length=2,
)
TRACKPY = CONFIG.model_copy(update={"engine": "trackpy"})
ENGINES = pytest.mark.parametrize("config", [CONFIG, TRACKPY], ids=["native", "trackpy"])


def errors(table: pd.DataFrame, truth: np.ndarray) -> np.ndarray:
    """Displacement of each true particle's detection, shape (n, 2); every particle must have exactly one."""
    distance, nearest = KDTree(table[["x", "y"]]).query(truth)
    assert distance.max() < 1.0
    assert len(set(nearest)) == len(truth) == len(table)
    return table[["x", "y"]].to_numpy()[nearest] - truth


@pytest.fixture(scope="module")
def truth() -> np.ndarray:
    return lattice(np.random.default_rng(5), edge=EDGE, spacing=20.0)


@pytest.mark.parametrize(("noise", "largest"), [(2.0, 1.25), (8.0, 1.25)])
def test_error_of_trackpy_is_close_to_the_cramer_rao_bound(truth: np.ndarray, noise: float, largest: float) -> None:
    # For a Gaussian spot of amplitude A on white noise the bound is noise / A * sqrt(2 / pi), for any width.
    rng = np.random.default_rng(6)
    frames = movie(rng, np.repeat(truth[None], 8, axis=0), edge=EDGE, noise=noise)
    table = locate(stack_of(frames), TRACKPY.model_copy(update={"threshold": noise * 0.27, "minmass": 300.0}))
    error = np.concatenate([errors(part, truth) for _, part in table.groupby("frame")])
    bound = noise / 80.0 * np.sqrt(2.0 / np.pi)
    rmse = np.sqrt(np.mean(error**2))
    assert 0.9 * bound < rmse < largest * bound
    assert np.abs(error.mean(axis=0)).max() < 4.0 * rmse / np.sqrt(len(error))  # no bias
    # stated error: of the right size, though not exact (documented: .26-.85 of the truth, more for wide windows)
    assert 0.2 * rmse < table["sigma_x"].median() < 2.0 * rmse
    assert (table["sigma_x"] == table["sigma_y"]).all()


@ENGINES
def test_noiseless_positions_are_exact(config: TrackConfig, truth: np.ndarray) -> None:
    frames = np.stack([paint(truth, edge=EDGE)] * 2)
    error = errors(locate(stack_of(frames), config, stop=1), truth)
    assert np.abs(error).max() < 0.03  # what the tails of the neighbours and the finite window leave


@ENGINES
def test_pixel_type_does_not_matter(config: TrackConfig, truth: np.ndarray) -> None:
    rng = np.random.default_rng(7)
    picture = np.rint(movie(rng, truth[None], edge=EDGE, noise=3.0)).astype(np.uint8)
    frames = np.concatenate([picture, picture])
    reference = locate(stack_of(frames), config)
    versions = {
        "uint16": (frames.astype(np.uint16) * 200, 200.0),
        "float32": (frames.astype(np.float32) / 255, 1 / 255),
        "float64": (frames.astype(float) * 7.3 - 900.0, 7.3),
        "int16": (frames.astype(np.int16) - 100, 1.0),
    }
    for name, (version, unit) in versions.items():
        scaled = config.model_copy(update={"minmass": 100.0 * unit, "threshold": 1.0 * unit})
        table = locate(stack_of(version), scaled)
        assert len(table) == len(reference), name
        difference = (table[["x", "y", "size", "ecc"]] - reference[["x", "y", "size", "ecc"]]).abs().to_numpy()
        assert difference.max() < 1e-3, name
        assert np.allclose(table["mass"], reference["mass"] * unit, rtol=1e-4), name
        assert np.allclose(table["sigma_x"], reference["sigma_x"], rtol=1e-3, equal_nan=True), name


def test_the_trackpy_path_rounds_to_eight_bits_and_the_full_path_does_not(truth: np.ndarray) -> None:
    faint = np.stack([paint(truth, edge=EDGE, amplitude=12.0)] * 2)
    full = errors(locate(stack_of(faint), TRACKPY.model_copy(update={"threshold": 0.05}), stop=1), truth)
    rounded = TRACKPY.model_copy(update={"threshold": 0.05, "precision": "trackpy"})
    published = errors(locate(stack_of(faint), rounded, stop=1), truth)
    assert np.abs(full - published).max() > 1e-3
    assert np.sqrt((full**2).mean()) <= np.sqrt((published**2).mean()) + 1e-4


@ENGINES
def test_dark_particles_are_found_like_bright_ones(config: TrackConfig, truth: np.ndarray) -> None:
    bright = np.rint(movie(np.random.default_rng(8), truth[None], edge=EDGE, noise=3.0)).astype(np.uint8)
    frames = np.concatenate([bright, bright])
    dark = locate(stack_of(255 - frames), config.model_copy(update={"invert": True}))
    pd.testing.assert_frame_equal(dark, locate(stack_of(frames), config), rtol=1e-6)


@ENGINES
def test_chunks_give_the_same_bytes(config: TrackConfig, truth: np.ndarray) -> None:
    frames = movie(np.random.default_rng(9), np.repeat(truth[None], 5, axis=0), edge=EDGE, noise=4.0)
    stack = stack_of(frames)
    whole = locate(stack, config)
    parts = [locate(stack, config, start=a, stop=b) for a, b in ((0, 1), (1, 4), (4, 99))]
    joined = pd.concat(parts, ignore_index=True)
    assert list(joined.columns) == list(whole.columns)
    for name in whole.columns:
        assert joined[name].to_numpy().tobytes() == whole[name].to_numpy().tobytes()


def test_progress_counts_frames(truth: np.ndarray) -> None:
    stack = stack_of(np.stack([paint(truth, edge=EDGE)] * 4))
    calls: list[tuple[int, int]] = []
    locate(stack, CONFIG, start=1, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(1, 3), (2, 3), (3, 3)]


def test_detections_near_the_edge_are_flagged() -> None:
    positions = np.array([[4.7, 80.0], [30.0, 80.0], [154.2, 20.0], [153.4, 60.0]])
    table = locate(stack_of(np.stack([paint(positions, edge=EDGE)] * 2)), CONFIG, stop=1).sort_values("x")
    near = [True, False, False, True]
    assert len(table) == 4
    assert ((table["flags"] & FLAG_EDGE) != 0).tolist() == near


def test_an_empty_frame_is_no_error_and_nothing_is_printed(
    truth: np.ndarray, capsys: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    blank = np.full((EDGE, EDGE), 60.0)
    table = locate(stack_of(np.stack([paint(truth, edge=EDGE), blank, paint(truth, edge=EDGE)])), CONFIG)
    assert sorted(table["frame"].unique()) == [0, 2]
    assert capsys.readouterr() == ("", "")
    assert not [warning for warning in recwarn if "trackpy" in str(warning.filename)]
    assert logging.getLogger("trackpy").level in (logging.INFO, logging.NOTSET)


@pytest.mark.parametrize(
    ("values", "words"),
    [({"diameter": 10}, ("10", "odd", "11")), ({"smoothing": 20}, ("20", "21")), ({"memory": -1}, ("track.memory",))],
)
def test_bad_settings_name_the_way_out(values: dict[str, int], words: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError) as caught:
        TrackConfig(**values)
    assert all(word in str(caught.value) for word in words)


def test_a_diameter_larger_than_the_frame_is_refused(truth: np.ndarray) -> None:
    stack = stack_of(np.stack([paint(truth, edge=EDGE)] * 2))
    with pytest.raises(ConfigError, match=r"track\.diameter = 161 px for frames of 160 x 160 px"):
        locate(stack, CONFIG.model_copy(update={"diameter": 161}))


@pytest.mark.parametrize(
    ("frames", "words"),
    [
        (np.zeros((3, 40, 40), dtype=np.uint8), "same grey level \\(0\\)"),
        (np.full((3, 40, 40), 7, dtype=np.uint16), "same grey level \\(7\\)"),
        (np.random.default_rng(0).integers(0, 9, (1, 40, 40)), "at least two frames"),
    ],
)
def test_movies_without_information_are_refused(frames: np.ndarray, words: str) -> None:
    with pytest.raises(DataError, match=words):
        locate(stack_of(frames), CONFIG)


def test_far_too_many_maxima_name_the_settings() -> None:
    frames = np.random.default_rng(1).integers(0, 200, (2, 200, 200)).astype(np.uint8)
    config = CONFIG.model_copy(update={"diameter": 3, "separation": 3, "minmass": 0.0, "max_per_frame": 500})
    with pytest.raises(DataError, match=r"maxima in frame 0.*track\.minmass"):
        locate(stack_of(frames), config)


def test_open_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"track\.invert, track\.minmass"):
        locate(stack_of(np.ones((2, 9, 9))), CONFIG.model_copy(update={"invert": None, "minmass": None}))
