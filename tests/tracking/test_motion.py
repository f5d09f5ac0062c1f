"""Translation, rotation and strain from tracks: unbiased, with honest errors, and apart from each other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from colloid_cg.errors import DataError
from colloid_cg.records import CommonMotion
from colloid_cg.tracking import TrackConfig, estimate_motion, remove_common_motion
from colloid_cg.tracking.drift import MotionEstimator
from colloid_cg.tracking.drift.path import polar, polar_jacobian
from colloid_cg.tracking.drift.smoothing import smooth, step_weights

VIEW = np.array([400.0, 300.0])
RATES = np.array([0.05, -0.03, 2e-4, 1e-4, -2e-4, 1.5e-4])
"""Translation (px), rotation, dilation, shear_plus, shear_cross, per frame."""


def sheared(
    seed: int, *, n: int = 150, n_frames: int = 40, step: float = 0.5, noise: float = 0.3, lost: float = 0.05,
    rates: np.ndarray = RATES,
) -> tuple[pd.DataFrame, np.ndarray]:  # fmt: skip
    """Diffusing particles in a moving, turning, strained sample larger than the view; some detections are missing.

    Returns the table and the true map from the first frame, shape (n_frames, 3, 3).
    """
    rng = np.random.default_rng(seed)
    tx, ty, w, e, p, c = rates
    a = np.array([[e + p, c - w], [c + w, e - p]])
    one = np.eye(3)
    one[:2, :2] += a
    one[:2, 2] = (tx, ty) - a @ (VIEW / 2)
    margin = 40.0
    inside = int(n * np.prod(VIEW + 2 * margin) / np.prod(VIEW))
    x = rng.uniform(-margin, VIEW + margin, (inside, 2))
    maps, rows = [np.eye(3)], []
    for t in range(n_frames):
        if t:
            x = x @ one[:2, :2].T + one[:2, 2] + rng.normal(0.0, step, x.shape)
            maps.append(one @ maps[-1])
        y = x + rng.normal(0.0, noise, x.shape)
        seen = np.flatnonzero(((y > 0) & (y < VIEW)).all(axis=1) & (rng.random(inside) > lost))
        rows.append(pd.DataFrame({"frame": t, "particle": seen, "x": y[seen, 0], "y": y[seen, 1]}))
    return pd.concat(rows, ignore_index=True), np.array(maps)


def true_parameters(maps: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Displacement of the centre, rotation and strain of maps of shape (t, 3, 3)."""
    moved = maps[:, :2, :2] @ centre + maps[:, :2, 2] - centre
    return np.column_stack([moved, [polar(m[:2, :2]) for m in maps]])


def estimated(motion: CommonMotion) -> tuple[np.ndarray, np.ndarray]:
    values = np.column_stack([motion.translation, motion.rotation, motion.strain])
    return values, np.column_stack([motion.translation_error, motion.rotation_error, motion.strain_error])


SMOOTHING = (0.0, 4.0)


@pytest.fixture(scope="module")
def pulls() -> np.ndarray:
    """(estimate - truth) / stated error at the last frame, not smoothed and smoothed, shape (2, runs, 6)."""
    found = []
    for seed in range(100):
        table, maps = sheared(seed, n_frames=25)
        estimator = MotionEstimator(minimum_particles=20)
        estimator.add(table)
        for smoothing in SMOOTHING:
            motion = estimator.result(kind="affine", smoothing=smoothing)
            value, error = estimated(motion)
            found.append((value[-1] - true_parameters(maps, motion.centre)[-1]) / error[-1])
    return np.array(found).reshape(-1, 2, 6).swapaxes(0, 1)


@pytest.mark.parametrize("which", [0, 1])
def test_translation_rotation_and_strain_are_unbiased_with_honest_errors(pulls: np.ndarray, which: int) -> None:
    found = pulls[which]
    assert np.abs(found.mean(axis=0)).max() < 0.3  # three standard errors of a mean over 100 runs
    # Each standard deviation is known to 7 %, that of all six components together to 3 %.
    assert np.abs(found.std(axis=0) - 1.0).max() < 0.22
    assert 0.91 < np.sqrt((found**2).mean()) < 1.09


def test_noise_and_the_edge_of_the_view_do_not_shrink_a_sample_at_rest() -> None:
    # Ordinary least squares: -2 (noise / half width)^2 per step, about eight standard errors here.
    dilation = []
    for seed in range(12):
        table, _ = sheared(seed, n=600, n_frames=60, noise=2.0, rates=np.zeros(6))
        motion = estimate_motion([table], kind="affine", minimum_particles=20)
        dilation.append((motion.strain[-1, 0], motion.strain_error[-1, 0]))
    value, error = np.array(dilation).T
    assert abs(value.mean()) < 3.0 * np.sqrt((error**2).mean() / len(value))


def test_parts_of_any_size_give_the_same_bytes() -> None:
    table, _ = sheared(1, n_frames=130)
    whole = estimate_motion([table], kind="affine", minimum_particles=20, smoothing=2.0)
    for size in (1, 7, 64):
        parts = (table[(table["frame"] >= k) & (table["frame"] < k + size)] for k in range(0, 130, size))
        assert estimate_motion(parts, kind="affine", minimum_particles=20, smoothing=2.0).as_dict() == whole.as_dict()


def test_order_of_rows_and_ids_does_not_matter() -> None:
    table, _ = sheared(2)
    shuffled = table.sample(frac=1.0, random_state=1).assign(particle=lambda t: 977 * t["particle"] % 1009)
    one = estimate_motion([table], kind="rigid", minimum_particles=20)
    other = estimate_motion([shuffled], kind="rigid", minimum_particles=20)
    np.testing.assert_allclose(estimated(other)[0], estimated(one)[0], atol=1e-12)


def test_a_few_wrong_links_change_nothing() -> None:
    table, _ = sheared(3)
    wrong = table.copy()
    jumping = (wrong["particle"] % 40 == 7) & (wrong["frame"] >= 20)
    wrong["x"] += 60.0 * jumping
    wrong["y"] += 25.0 * jumping
    clean = estimate_motion([table[~((table["particle"] % 40 == 7) & (table["frame"] == 20))]], kind="affine",
                            minimum_particles=20)  # fmt: skip
    found = estimate_motion([wrong], kind="affine", minimum_particles=20)
    assert found.n_links_left_out == (wrong["frame"][jumping] == 20).sum() - _unlinked(wrong, jumping)
    z = (estimated(found)[0] - estimated(clean)[0])[-1] / estimated(clean)[1][-1]
    assert np.abs(z).max() < 0.5
    assert np.abs(estimated(found)[0] - estimated(clean)[0])[-1, :2].max() < 0.1


def _unlinked(table: pd.DataFrame, jumping: pd.Series) -> int:
    before = set(table["particle"][table["frame"] == 19])
    return sum(particle not in before for particle in table["particle"][jumping & (table["frame"] == 20)])


@pytest.mark.parametrize(("kind", "expected"), [("translation", 1.0), ("rigid", 1.5), ("affine", 3.0)])
def test_removal_lowers_the_diffusion_by_the_stated_share(kind: str, expected: float) -> None:
    # n particles on a ring of positions that barely move, so that the least-squares projector is known: p / n of the
    # variance, p the number of coefficients per axis (3 for two axes of rotation and translation: 1.5).
    rng = np.random.default_rng(4)
    n, n_frames = 12, 1500
    angle = 2 * np.pi * np.arange(n) / n
    start = 1e6 * np.column_stack([np.cos(angle), np.sin(angle)])
    x = start + np.cumsum(rng.normal(0.0, 1.0, (n_frames, n, 2)), axis=0)
    table = pd.DataFrame({"frame": np.repeat(np.arange(n_frames), n), "particle": np.tile(np.arange(n), n_frames)})
    table = table.assign(x=x[..., 0].ravel(), y=x[..., 1].ravel())
    motion = estimate_motion([table], kind=kind, minimum_particles=4)
    assert motion.diffusion_bias == pytest.approx(-expected / n, rel=1e-3)
    left = motion.remove(table)[["x", "y"]].to_numpy().reshape(n_frames, n, 2)
    assert np.diff(left, axis=0).var() == pytest.approx(1.0 + motion.diffusion_bias, rel=0.02)


def test_removal_from_part_of_the_particles_counts_what_it_adds_to_the_others() -> None:
    # Short movies: over long ones the strain that is found by chance stretches the steps themselves.
    tables = [sheared(seed, n=60, n_frames=12, noise=0.0, lost=0.0, rates=np.zeros(6))[0] for seed in range(40)]
    for kind in ("rigid", "affine"):
        change, expected = [], []
        for table in tables:
            motion = estimate_motion([table], kind=kind, minimum_particles=20)
            before, after = _consecutive(table), _consecutive(motion.remove(table))
            change.append((after**2).mean() / (before**2).mean() - 1.0)
            expected.append(motion.diffusion_bias)
        error = np.std(change) / np.sqrt(len(change))
        assert np.mean(change) == pytest.approx(np.mean(expected), abs=3 * error)
        assert error < 0.1 * abs(np.mean(expected))


def _consecutive(table: pd.DataFrame) -> np.ndarray:
    table = table.sort_values(["particle", "frame"])
    linked = (np.diff(table["particle"]) == 0) & (np.diff(table["frame"]) == 1)
    return np.diff(table[["x", "y"]].to_numpy(), axis=0)[linked]


def test_smoothing_keeps_a_constant_velocity_to_the_ends() -> None:
    line = np.outer(np.arange(50.0), [0.3, -0.2])
    smoothed, _ = smooth(line, np.ones_like(line), np.zeros_like(line), 5.0)
    np.testing.assert_allclose(smoothed, line, atol=1e-12)
    centre, square = step_weights(5.0)
    assert centre == pytest.approx(1 / (5.0 * np.sqrt(2 * np.pi)), rel=1e-3)
    assert square == pytest.approx(1 / (5.0 * np.sqrt(4 * np.pi)), rel=1e-3)


def test_smoothing_removes_less_of_the_diffusion() -> None:
    table, _ = sheared(6, n=30, n_frames=1500, noise=0.0, lost=0.0, rates=np.zeros(6))
    motion = estimate_motion([table], kind="translation", minimum_particles=10, smoothing=2.0)
    unsmoothed = estimate_motion([table], kind="translation", minimum_particles=10)
    assert -0.4 < motion.diffusion_bias / unsmoothed.diffusion_bias - 0.26 < 0.05
    steps = [_consecutive(t) for t in (table, motion.remove(table))]
    assert steps[1].var() / steps[0].var() - 1.0 == pytest.approx(motion.diffusion_bias, abs=0.001)


def test_polar_decomposition_and_its_derivative() -> None:
    rng = np.random.default_rng(7)
    f = np.eye(2) + rng.normal(0.0, 0.3, (2, 2))
    theta, dilation, plus, cross = polar(f)
    r = np.array([[np.cos(theta), -np.sin(theta)], [np.sin(theta), np.cos(theta)]])
    np.testing.assert_allclose(r @ [[1 + dilation + plus, cross], [cross, 1 + dilation - plus]], f, atol=1e-14)
    small = 1e-6
    numeric = np.column_stack(
        [(polar(f + small * e) - polar(f - small * e)) / (2 * small) for e in np.eye(4).reshape(4, 2, 2)]
    )
    np.testing.assert_allclose(polar_jacobian(f), numeric, atol=1e-8)


def test_few_particles_or_none_wanted_keep_their_motion() -> None:
    table, _ = sheared(8, n=6)
    same, motion = remove_common_motion(table, TrackConfig(drift="affine"))
    pd.testing.assert_frame_equal(same, table)
    assert "track.drift_minimum_particles = 20" in motion.reason
    many, _ = sheared(8)
    kept, none = remove_common_motion(many, TrackConfig(drift="none"))
    pd.testing.assert_frame_equal(kept, many)
    assert (none.kind, none.reason) == ("none", "track.drift = 'none'")
    assert abs(none.components()["dx"]["z"]) > 3.0  # reported all the same


def test_particles_on_a_line_have_no_strain() -> None:
    x = np.repeat(np.linspace(0.0, 100.0, 30), 5).reshape(30, 5).T.ravel()
    table = pd.DataFrame({"frame": np.repeat(np.arange(5), 30), "particle": np.tile(np.arange(30), 5)})
    table = table.assign(x=x + 0.5 * table["frame"], y=3.0)
    motion = estimate_motion([table], kind="affine", minimum_particles=20)
    np.testing.assert_allclose(motion.translation[:, 0], 0.5 * np.arange(5), atol=1e-12)
    np.testing.assert_array_equal(motion.strain, 0.0)
    assert np.isnan(motion.strain_error[-1]).all()


def test_a_missing_frame_is_a_step_of_zero() -> None:
    table, _ = sheared(10, lost=0.0)
    motion = estimate_motion([table[table["frame"] != 15]], kind="affine", minimum_particles=20)
    assert motion.n_steps_left == 2
    np.testing.assert_array_equal(motion.rotation[14:17], motion.rotation[14])
    assert motion.frame.tolist() == list(range(40))


def test_frames_out_of_order_are_refused() -> None:
    table, _ = sheared(11, n_frames=4)
    with pytest.raises(DataError, match="after frame"):
        estimate_motion([table[table["frame"] > 1], table[table["frame"] <= 1]], kind="none", minimum_particles=2)
    with pytest.raises(DataError, match="no detections"):
        estimate_motion([table[:0]], kind="none", minimum_particles=2)


@pytest.mark.data
def test_pure_shear_of_jammed_discs_is_told_from_the_stage(data: Path) -> None:
    frames = []
    for t, file in enumerate(sorted((data / "jammed_shear").glob("*ParticleData.dlm"))):
        d = np.loadtxt(file, delimiter=",")
        frames.append(pd.DataFrame({"frame": t, "particle": d[:, 0].astype(int), "x": d[:, 1], "y": d[:, 2]}))
    table = pd.concat(frames)
    motion = estimate_motion([table], kind="affine", minimum_particles=20)
    dilation, plus, cross = motion.strain[-1]
    stretch = np.array([dilation + plus, dilation - plus])
    np.testing.assert_allclose(1.0 + stretch, [1.039, 0.960], atol=1e-3)
    assert plus > 50 * motion.strain_error[-1, 1]
    assert abs(cross) < 3 * motion.strain_error[-1, 2]
    assert abs(motion.rotation[-1]) < 3 * motion.rotation_error[-1]
    # What rigid removal leaves is the strain of the sample; affine removal leaves neither.
    for kind, expected in (("rigid", motion.strain[-1]), ("affine", np.zeros(3))):
        left = estimate_motion([replace(motion, kind=kind).remove(table)], kind="affine", minimum_particles=20)
        np.testing.assert_allclose(left.strain[-1], expected, atol=2e-4)
        assert abs(left.rotation[-1]) < 2e-4
