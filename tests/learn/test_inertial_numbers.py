"""What the numbers of an inertial fit are made of: residuals, noise, intervals and bands, by other means."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.stats import multivariate_normal
from scipy.stats import t as student

from colloid_cg.learn import FitConfig, fit
from colloid_cg.learn.inertial import report
from colloid_cg.learn.inertial.candidate import Candidate, fit_free
from colloid_cg.learn.inertial.dissipation import imposed
from colloid_cg.learn.inertial.equation import Frames, Solution, design_of, frames_of, residuals
from colloid_cg.learn.inertial.model import InertialModel, with_coefficients
from colloid_cg.learn.inertial.pair_terms import contacts, force_terms, own_friction, own_stiffness, pair_drag
from colloid_cg.learn.inertial.selection import _overdamped, gain_over_overdamped
from colloid_cg.learn.inertial.sequences import Residuals, sequences
from colloid_cg.learn.problem import prepare
from colloid_cg.learn.regime import Regime
from colloid_cg.records import Box
from colloid_cg.states import from_trajectories
from tests.learn.langevin_worlds import free_particles, noisy
from tests.learn.worlds import tracks

DT = 0.05
BOX = Box(lower=(0.0, 0.0), upper=(60.0, 60.0), periodic=(False, False))
MODEL = InertialModel(
    bath=1.5, parallel=np.array([9.0, 7.0, 4.0, 1.0]), perpendicular=np.array([1.0, 3.0, 1.0, 0.5]),
    force=np.array([60.0, 35.0, 15.0, 6.0, 2.0]), thermal_speed_squared=1.3, localisation_variance=0.002,
    lower=0.6, cutoff=1.8, noise_scale=np.ones(3),
)  # fmt: skip


def _frames(path: np.ndarray, model: InertialModel = MODEL) -> Frames:
    series = from_trajectories(tracks(path, side=60.0, dt=DT))
    return frames_of(
        prepare(series, n_species=1, drift_velocity=np.zeros(2), cutoff=model.cutoff), np.random.default_rng(0)
    )


def _pulls(model: InertialModel, x: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Acceleration of every particle, written out pair by pair."""
    total = -model.bath * v
    for i in range(len(x)):
        for j in range(len(x)):
            apart = x[i] - x[j]
            r = float(np.linalg.norm(apart))
            if i != j and r < model.cutoff:
                e, (parallel, perpendicular, force) = apart / r, (float(c[0]) for c in model.curves(np.array([r])))
                closing = e * (e @ (v[i] - v[j]))
                total[i] += force * e - parallel * closing - perpendicular * (v[i] - v[j] - closing)
    return np.asarray(total)


def _quiet_path(dt: float, frames: int = 9) -> np.ndarray:
    """Three particles that pull, rub and turn without any random force."""
    x = np.array([[30.0, 30.0], [31.1, 30.2], [30.5, 31.2]])
    v = np.array([[0.6, -0.3], [-0.5, 0.4], [0.1, -0.8]])

    def slope(_: float, state: np.ndarray) -> np.ndarray:
        at, speed = state.reshape(2, 3, 2)
        return np.concatenate([speed.ravel(), _pulls(MODEL, at, speed).ravel()])

    times = dt * np.arange(frames)
    found = solve_ivp(slope, (0, times[-1]), np.stack([x, v]).ravel(), t_eval=times, rtol=1e-11, atol=1e-12)
    return np.asarray(found.y.T.reshape(frames, 2, 3, 2)[:, 0])


def test_residuals_of_a_motion_without_noise_vanish_in_the_order_of_the_step() -> None:
    """Newton's equation integrated on its own: signs, axes, who rubs on whom, Numerov's weights."""
    sizes = []
    for dt, n in ((0.04, 17), (0.02, 33)):
        series = from_trajectories(tracks(_quiet_path(dt, n), side=60.0, dt=dt))
        block = prepare(series, n_species=1, drift_velocity=np.zeros(2), cutoff=MODEL.cutoff)
        frames = frames_of(block, np.random.default_rng(0))
        found = residuals(frames, MODEL)
        assert len(found.row) == 3 * (n - 2)
        sizes.append(float(np.sqrt((found.value**2).mean() / (frames.second**2).mean())))
    assert sizes[1] < 1e-3
    assert sizes[0] / sizes[1] > 3.0  # 4 for the second order, relative to the acceleration


def test_instruments_of_a_residual_know_none_of_its_positions() -> None:
    """r_t holds y_{t-1}, y_t and y_{t+1}: moving one detection must leave the instruments of all three as they are."""
    path = _quiet_path(DT, 12) + 0.02 * np.random.default_rng(7).standard_normal((12, 3, 2))
    moved = path.copy()
    moved[5, 0] += 0.05
    designs = [design_of(_frames(where), MODEL) for where in (path, moved)]
    frame = designs[0].rows // 3
    changed = np.abs(designs[0].instruments - designs[1].instruments).max(axis=(1, 2)) > 0.0
    assert set(frame) == set(range(3, 11))
    assert not changed[(frame >= 4) & (frame <= 6)].any()
    assert changed[frame == 7].any()


def test_a_row_beside_a_neighbour_of_unknown_velocity_is_left_out() -> None:
    path = _quiet_path(DT, 12)
    whole = tracks(path, side=60.0, dt=DT)
    lost = (whole.table["frame"] == 5) & (whole.table["particle"] == 1)
    series = from_trajectories(whole.with_table(whole.table[~lost]))
    block = prepare(series, n_species=1, drift_velocity=np.zeros(2), cutoff=MODEL.cutoff)
    found = residuals(frames_of(block, np.random.default_rng(0)), MODEL)
    used = {(int(frame), int(series.particle[row])) for frame, row in zip(found.frame, found.row, strict=True)}
    assert {(3, 0), (3, 2), (7, 0), (7, 2), (5, 0), (5, 2)} <= used
    assert not used & {(frame, who) for frame in (4, 6) for who in range(3)}


def test_terms_are_freed_of_the_noise_they_are_evaluated_at() -> None:
    """Mean over noise of the deconvolved force terms: those of the true distance, which the plain ones miss."""
    s = 0.1
    corner = np.stack(np.meshgrid(np.arange(14), np.arange(14)), axis=-1).reshape(-1, 2) * 4.0 + 2.0
    still = np.concatenate([corner, corner + np.array([0.9, 0.4])])
    seen = still + s * np.random.default_rng(8).standard_normal((12, *still.shape))
    frames, half = _frames(seen), len(corner)
    first = 1 + 2 * MODEL.n_friction
    truth = MODEL.force_basis(np.array([np.hypot(0.9, 0.4)]))[0] @ MODEL.force * np.array([0.9, 0.4])
    truth = DT**2 * truth / np.hypot(0.9, 0.4)
    errors = {}
    for noise in (0.0, s**2):
        design = design_of(frames, replace(MODEL, localisation_variance=noise))
        own = design.rows[design.rows % (2 * half) < half]
        errors[noise] = design.terms[own][:, :, first:] @ MODEL.force
    size = float(np.linalg.norm(truth))
    off = {noise: float(np.linalg.norm(found.mean(axis=0) - truth)) / size for noise, found in errors.items()}
    assert off[0.0] > 0.05
    assert off[s**2] < 0.02


def test_own_friction_and_stiffness_are_the_diagonals_of_the_matrices() -> None:
    rng = np.random.default_rng(1)
    x = 30.0 + 1.2 * rng.random((5, 2))
    pairs = np.stack(np.triu_indices(5, 1), axis=1)
    found = contacts(x, pairs, box=BOX, cutoff=MODEL.cutoff)
    parallel, perpendicular, _ = MODEL.curves(found.distance)
    own = own_friction(MODEL, found, x.shape)
    stiff = own_stiffness(MODEL, found, x.shape)

    def force(where: np.ndarray) -> np.ndarray:
        near = contacts(where, pairs, box=BOX, cutoff=MODEL.cutoff)
        return force_terms(near, MODEL.curves(near.distance)[2][:, None], len(where))[..., 0]

    zero = np.zeros_like(parallel)
    for i in range(5):
        for a in range(2):
            unit = np.zeros_like(x)
            unit[i, a] = 1.0
            assert own[0, i, a] == MODEL.bath
            assert own[1, i, a] == pytest.approx(pair_drag(found, parallel, zero, unit)[i, a])
            assert own[2, i, a] == pytest.approx(pair_drag(found, zero, perpendicular, unit)[i, a])
            slope = (force(x + 1e-5 * unit) - force(x - 1e-5 * unit))[i, a] / 2e-5
            assert stiff[i, a] == pytest.approx(-slope, rel=1e-3, abs=1e-2)


def test_localisation_noise_of_a_sequence_whose_friction_and_stiffness_change() -> None:
    """Cov(r) = s2 R R^T with R written out: rows a, b, c of each frame, and the first displacement before them."""
    rng = np.random.default_rng(2)
    m = 9
    friction, stiffness = 0.3 + rng.random((m, 1)), rng.random((m, 1)) - 0.3
    data = Residuals(
        row=np.arange(1, m + 1), frame=np.arange(1, m + 1), value=np.zeros((m, 1)), step=np.zeros((m, 1)),
        friction=friction, stiffness=stiffness, shares=np.ones((1, m, 1)), joined=np.arange(m) > 0,
        fresh=np.arange(m) == 0,
    )  # fmt: skip
    found = sequences(data, exposure_share=0.0)
    weights = np.zeros((m + 1, m + 2))
    weights[0, :2] = -1.0, 1.0
    for t in range(m):
        tau, k = float(np.tanh(friction[t, 0] / 2)), float(stiffness[t, 0]) / 12.0
        weights[t + 1, t : t + 3] = 1.0 - tau + k, -2.0 + 10.0 * k, 1.0 + tau + k
    covariance = weights @ weights.T
    for lag in range(3):
        expected = np.diagonal(covariance, -lag)
        assert found.noise[lag, lag:, 0] == pytest.approx(expected)
    # one sees y_2, y_3, ...: the density of positions is that of r times its derivative by the newest of them
    assert found.log_jacobian[1:] == pytest.approx(np.log(np.diagonal(weights[1:, 2:])))


def test_first_displacement_of_a_particle_in_a_well_is_shorter_than_that_of_a_free_one() -> None:
    """Without friction, <d^2> = 2 theta (1 - cos w dt)/w^2."""
    for squared in (0.04, 0.2):
        data = Residuals(
            row=np.array([1]), frame=np.array([1]), value=np.zeros((1, 1)), step=np.zeros((1, 1)),
            friction=np.full((1, 1), 1e-6), stiffness=np.full((1, 1), squared), shares=np.ones((1, 1, 1)),
            joined=np.array([False]), fresh=np.array([True]),
        )  # fmt: skip
        found = sequences(data, exposure_share=0.0)
        assert found.thermal[0, 0] == pytest.approx(2.0 * (1.0 - np.cos(np.sqrt(squared))) / squared, abs=2e-4)


INFLUENCES = [np.random.default_rng(3).standard_normal((12, 3 + 8 + 5 + 3)) * 0.01]


def _half_by_differences(curve: Callable[[InertialModel], np.ndarray]) -> np.ndarray:
    """Half width from the covariance of (theta, s2, coefficients) and slopes found by shifting each of them."""
    shifts: list[Callable[[float], InertialModel]] = [
        lambda h: replace(MODEL, thermal_speed_squared=MODEL.thermal_speed_squared + h),
        lambda h: replace(MODEL, localisation_variance=MODEL.localisation_variance + h),
    ]
    for k in range(MODEL.coefficients.size):
        unit = (np.arange(MODEL.coefficients.size) == k).astype(float)
        shifts.append(lambda h, unit=unit: with_coefficients(MODEL, MODEL.coefficients + h * unit))  # type: ignore[misc]
    slopes = np.stack([(curve(shift(1e-6)) - curve(shift(-1e-6))) / 2e-6 for shift in shifts], axis=-1)
    covariance = len(INFLUENCES[0]) * np.cov(INFLUENCES[0][:, : slopes.shape[-1]].T)
    spread = np.sqrt(np.einsum("...k,kl,...l->...", slopes, covariance, slopes))
    return np.asarray(student.ppf(0.95, len(INFLUENCES[0]) - 1) * spread)


DISTANCES = np.linspace(0.65, 1.8, 50)
FREE_OF_THE_END = 40
"""Points of a curve before the last two knots, where bands are held (100 points, 4 or 5 knots)."""


@pytest.mark.parametrize("share", [1.0, 0.8])
def test_bands_are_those_of_the_joint_covariance(share: float) -> None:
    def force(model: InertialModel) -> np.ndarray:
        return report.pair_force_table(model, INFLUENCES, DISTANCES, share)["force"].to_numpy()

    table = report.pair_force_table(MODEL, INFLUENCES, DISTANCES, share)
    assert np.interp(1.0, table["r"], force(MODEL)) == pytest.approx(
        MODEL.curves(np.array([1.0]))[2][0] / (MODEL.thermal_speed_squared / share), rel=1e-3
    )
    half = (table["high90"] - table["low90"]).to_numpy() / 2.0
    assert half[:FREE_OF_THE_END] == pytest.approx(_half_by_differences(force)[:FREE_OF_THE_END], rel=1e-4)

    def potential(model: InertialModel) -> np.ndarray:
        return np.array(report.pair_potential(model, INFLUENCES, DISTANCES, share)[0]["value"])

    curve = report.pair_potential(MODEL, INFLUENCES, DISTANCES, share)[0]
    by_steps = np.trapezoid(force(MODEL), table["r"])
    assert curve["value"][0] == pytest.approx(by_steps, rel=1e-3)
    assert curve["value"][-1] == 0.0
    held = (table["high90"] - table["low90"]).to_numpy() / 2.0
    added = np.sqrt(np.maximum(held**2 - _half_by_differences(force) ** 2, 0.0))
    added[:FREE_OF_THE_END] = 0.0
    end = np.array([np.trapezoid(added[k:], table["r"][k:]) for k in range(100)])
    half = (np.array(curve["high90"]) - curve["low90"]) / 2.0
    assert half == pytest.approx(np.hypot(_half_by_differences(potential), end), rel=2e-3, abs=1e-6)


def test_bands_of_pair_friction_and_mobility() -> None:
    found = report.pair_friction(MODEL, INFLUENCES, DISTANCES)
    mobile = report.pair_mobility(MODEL, INFLUENCES, DISTANCES, 0.8, range_known=True)
    r = np.array(found["r"])
    for name, mobility, curve in (("g_par", "along", 0), ("g_perp", "across", 1)):
        truth = MODEL.curves(r)[curve]
        assert found[name] == pytest.approx(truth)
        half = (np.array(found[f"{name}_high90"]) - found[f"{name}_low90"]) / 2.0

        def friction(model: InertialModel, curve: int = curve) -> np.ndarray:
            return np.asarray(model.curves(r)[curve])

        def resistance(model: InertialModel, curve: int = curve) -> np.ndarray:
            return np.asarray((model.bath + 2.0 * model.curves(r)[curve]) / model.thermal_speed_squared)

        assert half[:FREE_OF_THE_END] == pytest.approx(_half_by_differences(friction)[:FREE_OF_THE_END], rel=1e-4)
        # theta is what remains of the true one after drift removal
        assert mobile[mobility] == pytest.approx(1.3 / 0.8 / (1.5 + 2.0 * truth))
        width = _half_by_differences(resistance)[:FREE_OF_THE_END]
        low, high = (np.array(mobile[f"{mobility}_{end}"][:FREE_OF_THE_END]) for end in ("low90", "high90"))
        assert 1.0 / (0.8 * low) == pytest.approx(resistance(MODEL)[:FREE_OF_THE_END] + width, rel=1e-4)
        assert 1.0 / (0.8 * high) == pytest.approx(resistance(MODEL)[:FREE_OF_THE_END] - width, rel=1e-4)
    unknown = report.pair_mobility(MODEL, INFLUENCES, DISTANCES, 1.0, range_known=False)
    assert unknown["along_low90"] is None
    assert len(unknown["along"]) == len(r)


def test_scalars_with_intervals() -> None:
    bare = replace(MODEL, parallel=np.zeros(0), perpendicular=np.zeros(0), force=np.zeros(0), noise_scale=np.ones(1))
    influences = [INFLUENCES[0][:, :4]]
    series = from_trajectories(tracks(_quiet_path(DT), side=60.0, dt=DT, exposure=0.5 * DT))
    found = report.metrics(
        series, Candidate(model=bare, strength=np.zeros(3), solution=None), influences,
        Regime(name="underdamped", evidence={"reason": "said so"}), (0.3, 0.1, ""), 0.8,
    )  # fmt: skip
    width = student.ppf(0.95, 11) * np.sqrt(12 * np.diag(np.cov(influences[0].T)))
    expected = {"friction": (1.5, width[2]), "thermal_speed_squared": (1.3 / 0.8, width[0] / 0.8),
                "localisation_variance": (0.002 / 0.8, width[1] / 0.8)}  # fmt: skip
    slope = np.array([1.0 / 1.5, 0.0, -1.3 / 1.5**2, 0.0])
    spread = np.sqrt(12 * slope @ np.cov(influences[0].T) @ slope) * student.ppf(0.95, 11)
    expected["diffusion_coefficient"] = (1.3 / 0.8 / 1.5, spread / 0.8)
    for name, (value, half) in expected.items():
        entry = found[name][0]
        assert entry["value"] == pytest.approx(value)
        assert entry["high90"] - entry["value"] == pytest.approx(half)
        assert entry["value"] - entry["low90"] == pytest.approx(half)
    assert found["blur_coefficient"][0]["value"] == pytest.approx(0.5 / 6.0)
    gain = found["log_likelihood_gain"][0]
    assert (gain["low90"], gain["high90"]) == pytest.approx((0.2, 0.4))


def test_a_gain_on_a_handful_of_rows_claims_no_interval() -> None:
    free = replace(MODEL, parallel=np.zeros(0), perpendicular=np.zeros(0), force=np.zeros(0), noise_scale=np.ones(1))
    rng = np.random.default_rng(9)
    parts = [_frames(np.cumsum(0.05 * rng.standard_normal((n, 6, 2)), axis=0) + 30.0, free) for n in (40, 6)]
    candidate = Candidate(model=free, strength=np.zeros(3), solution=None)
    value, half, note = gain_over_overdamped(parts[0], parts[1], candidate, FitConfig())
    assert (value, half) == (0.0, None)
    assert "too few" in note


def test_fluctuation_dissipation_lowers_the_variance_and_does_not_shift_the_mean() -> None:
    """Friction and strength of the noise with known errors: the corrected friction has variance A - C V^-1 C^T."""
    rng = np.random.default_rng(4)
    width = 3 + 8 + 5 + 3
    mixing = 0.1 * rng.standard_normal((width, width))
    clusters = rng.standard_normal((4000, width)) @ mixing.T / np.sqrt(4000)
    covariance = 4000 * np.cov(clusters.T)
    draws = rng.multivariate_normal(np.zeros(width), covariance, size=400)
    solution = Solution(model=MODEL, rows=np.zeros(0, int), contributions=np.zeros((0, 14)), stiffness=np.eye(14))
    found = []
    for draw in draws:
        model = replace(with_coefficients(MODEL, MODEL.coefficients + draw[2:-3]), noise_scale=1.0 + draw[-3:])
        balance = imposed(Candidate(model=model, strength=np.zeros(5), solution=solution), clusters, clusters)
        if balance.imposed:
            found.append(balance.candidate.model.coefficients - MODEL.coefficients)
    v = covariance[-3:, -3:]
    left = covariance - covariance[:, -3:] @ np.linalg.solve(v, covariance[-3:, :])
    assert len(found) > 390
    assert np.std(found, axis=0) == pytest.approx(np.sqrt(np.diag(left))[2:-3], rel=0.2)
    claimed = 4000 * np.cov(balance.influence.T)
    assert np.diag(claimed)[2:-3] == pytest.approx(np.diag(left)[2:-3], rel=1e-6)
    assert np.diag(claimed)[-3:] == pytest.approx(np.diag(covariance)[-3:])


def test_overdamped_rival_is_a_moving_average_of_noise() -> None:
    path = np.random.default_rng(5).standard_normal((12, 3, 2)) + 30.0 + 5.0 * np.arange(3)[:, None]
    free = replace(MODEL, parallel=np.zeros(0), perpendicular=np.zeros(0), force=np.zeros(0), noise_scale=np.ones(1))
    frames = _frames(path, free)
    likelihood, rows = _overdamped(frames, Candidate(model=free, strength=np.zeros(3), solution=None), 2.0)
    steps = np.diff(path, axis=0)
    n = len(steps)
    assert len(rows) == 3 * (n - 1)
    noise = 2.0 * 0.3
    covariance = (2.0 * np.exp(0.2) + 2 * noise) * np.eye(n) - noise * (np.eye(n, k=1) + np.eye(n, k=-1))
    expected = sum(multivariate_normal(cov=covariance).logpdf(steps[:, i, a]) for i in range(3) for a in range(2))
    # the inertial law knows the first step of a track when it predicts the second: so does its rival
    expected -= sum(
        multivariate_normal(cov=covariance[:1, :1]).logpdf(steps[0, i, a]) for i in range(3) for a in range(2)
    )
    assert likelihood(np.array([0.2, 0.3])).sum() == pytest.approx(expected)


def test_numbers_come_from_the_training_block_alone_and_know_no_common_drift() -> None:
    """The selection block is four times as hot: what is reported is the training block's, on every row of it."""
    rng = np.random.default_rng(6)
    cold, hot = (
        free_particles(rng, n=40, frames=90, theta=theta, friction=4.0, dt=DT) * 0.4 + 18.0 for theta in (1.0, 4.0)
    )
    seen = noisy(np.concatenate([cold, hot + cold[-1] - hot[0]]), 0.1, 6)[0]
    found: list[dict[str, Any]] = []
    for drift in (0.0, 0.8):
        moving = seen + drift * DT * np.arange(len(seen))[:, None, None] * np.array([1.0, 0.0])
        whole = tracks(moving, side=60.0, dt=DT)
        config = FitConfig(knots=(0,), regime="underdamped", cutoff=1.0)
        found.append(fit(whole.between(0, 90), whole.between(90, 180), config, rng=1).metrics)
    train = tracks(seen, side=60.0, dt=DT).between(0, 90)
    series = from_trajectories(train)
    rows = np.flatnonzero(series.following >= 0)
    mean = (series.positions[series.following[rows]] - series.positions[rows]).mean(axis=0) / DT
    frames = frames_of(prepare(series, n_species=1, drift_velocity=mean), np.random.default_rng(0))
    alone = fit_free(frames, cutoff=1.0).model
    for metrics in found:
        assert metrics["thermal_speed_squared"][0]["value"] == pytest.approx(alone.thermal_speed_squared, rel=1e-3)
        assert metrics["friction"][0]["value"] == pytest.approx(alone.bath, rel=1e-3)
