"""Particles found on a second look."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import least_squares

from colloid_cg.errors import InputError
from colloid_cg.records import FLAG_POOR_FIT, FLAG_REFOUND
from colloid_cg.tracking.detections import Detections
from colloid_cg.tracking.linking import find_gaps, refind
from tests.tracking.linked_worlds import settings
from tests.tracking.pictures import paint

NOISE, WIDTH, AMPLITUDE = 3.0, 2.0, 40.0


def fit(picture: np.ndarray, places: Detections, known: Detections) -> Detections:
    """Least-squares fit of a Gaussian spot of known width at each place, with its errors."""
    result = {name: np.full(len(places), np.nan) for name in ("x", "y", "sigma_x", "sigma_y", "mass")}
    flags = np.zeros(len(places), dtype="int32")
    for k, (x, y) in enumerate(zip(places.x, places.y, strict=True)):
        rows, columns = np.mgrid[round(y) - 6 : round(y) + 7, round(x) - 6 : round(x) + 7]
        pixels = picture[rows, columns] - 60.0

        def residual(
            p: np.ndarray, rows: np.ndarray = rows, columns: np.ndarray = columns, pixels: np.ndarray = pixels
        ) -> np.ndarray:
            spot = p[2] * np.exp(-((columns - p[0]) ** 2 + (rows - p[1]) ** 2) / (2 * WIDTH**2))
            return ((spot - pixels) / NOISE).ravel()

        found = least_squares(residual, [x, y, AMPLITUDE / 2])
        errors = np.sqrt(np.diag(np.linalg.pinv(found.jac.T @ found.jac)))
        result["x"][k], result["y"][k] = found.x[:2]
        result["sigma_x"][k], result["sigma_y"][k] = errors[:2]
        result["mass"][k] = 2 * np.pi * WIDTH**2 * found.x[2]
        flags[k] = FLAG_POOR_FIT if found.x[2] < 0 else 0
    return Detections.at(result.pop("x"), result.pop("y"), size=np.full(len(places), WIDTH), flags=flags, **result)


def scene() -> tuple[list[np.ndarray], pd.DataFrame, np.ndarray]:
    """Pictures, the linked table with gaps, and the true positions (frames, particles, 2)."""
    rng = np.random.default_rng(1)
    start = np.array([(x, y) for x in range(20, 200, 30) for y in range(20, 200, 30)], dtype=float)
    at = start + np.cumsum(rng.normal(0, 0.5, (8, *start.shape)), axis=0)
    # the first four are in the dark in frame 4: not there to be found
    pictures = [
        paint(
            at[t] if t != 4 else at[t, 4:],
            edge=200,
            width=WIDTH,
            amplitude=AMPLITUDE,
            background=60.0,
            noise=NOISE,
            rng=rng,
        )
        for t in range(8)
    ]
    table = pd.DataFrame({"frame": np.repeat(np.arange(8), 36), "particle": np.tile(np.arange(36), 8)})
    table[["x", "y"]] = at.reshape(-1, 2)
    table = table.assign(mass=2 * np.pi * WIDTH**2 * AMPLITUDE, size=WIDTH)
    missing = ((table["frame"] == 4) & (table["particle"] < 12)) | (
        table["frame"].isin([2, 3]) & (table["particle"] == 20)
    )
    return pictures, table[~missing].reset_index(drop=True), at


def test_gaps_are_listed_with_their_place_and_its_spread_however_the_table_is_cut() -> None:
    _, table, _ = scene()
    gaps = find_gaps([table], longest=3, step_variance=0.25)
    assert gaps["frame"].tolist() == [2, 3, *[4] * 12]
    two = gaps[gaps["particle"] == 20]
    ends = table[(table["particle"] == 20) & table["frame"].isin([1, 4])][["x", "y"]].to_numpy()
    np.testing.assert_allclose(two[["x", "y"]], [ends[0] + (ends[1] - ends[0]) * part for part in (1 / 3, 2 / 3)])
    np.testing.assert_allclose(two["spread"], np.sqrt(0.25 * 2 / 3))
    np.testing.assert_allclose(gaps["spread"][2:], np.sqrt(0.25 / 2))
    for cuts in ([3], [1, 2, 3, 4, 5, 6, 7]):
        parts = [table[table["frame"].between(a, b - 1)] for a, b in pairwise([0, *cuts, 8])]
        pd.testing.assert_frame_equal(find_gaps(parts, longest=3, step_variance=0.25), gaps)
    assert find_gaps([table], longest=1, step_variance=0.25)["particle"].tolist() == list(range(12))


def test_particles_that_are_there_are_found_where_they_are_and_others_are_not() -> None:
    pictures, table, at = scene()
    gaps = find_gaps([table], longest=3, step_variance=0.25)
    found = refind(pictures.__getitem__, gaps, present=table, locate_near=fit, config=settings(5.0))
    keys = list(zip(found["frame"], found["particle"], strict=True))
    assert keys == [(2, 20), (3, 20), *[(4, k) for k in range(4, 12)]]
    off = found[["x", "y"]].to_numpy() - [at[key] for key in keys]
    assert np.sqrt((off**2).mean()) < 0.15
    assert (found["flags"] == FLAG_REFOUND).all()


def test_a_particle_that_is_known_already_is_not_found_twice() -> None:
    pictures, table, at = scene()
    gaps = find_gaps([table], longest=3, step_variance=0.25)
    taken = pd.DataFrame({"frame": [4], "x": [at[4, 5, 0] + 1.0], "y": [at[4, 5, 1]]})
    found = refind(pictures.__getitem__, gaps, present=pd.concat([table, taken]), locate_near=fit, config=settings(5.0))
    assert 5 not in set(found.loc[found["frame"] == 4, "particle"])
    doubled = pd.concat([gaps, gaps[gaps["particle"] == 6].assign(particle=99)])
    found = refind(pictures.__getitem__, doubled, present=table, locate_near=fit, config=settings(5.0))
    assert 99 not in set(found["particle"])


def test_a_fit_that_failed_is_not_believed_and_a_missing_one_refused() -> None:
    pictures, table, _ = scene()
    gaps = find_gaps([table], longest=3, step_variance=0.25)

    def poor(picture: np.ndarray, places: Detections, known: Detections) -> Detections:
        return fit(picture, places, known).updated(flags=np.full(len(places), FLAG_POOR_FIT, dtype="int32"))

    assert refind(pictures.__getitem__, gaps, present=table, locate_near=poor, config=settings(5.0)).empty
    assert refind(pictures.__getitem__, gaps.iloc[:0], present=table, locate_near=fit, config=settings(5.0)).empty
    with pytest.raises(InputError, match="one fit for each place"):
        refind(
            pictures.__getitem__,
            gaps,
            present=table,
            locate_near=lambda picture, places, known: places.select(np.array([0])),
            config=settings(5.0),
        )


def test_a_fit_must_stand_out_of_its_own_noise() -> None:
    # amplitude over its error is sqrt(2) times width over the error of the place: 5.7 and 4.7 for these
    _, table, _ = scene()
    gaps = find_gaps([table], longest=3, step_variance=0.25)
    found = {}
    for error in (0.5, 0.6):
        sigma = np.full(12, error)

        def located(
            picture: np.ndarray, places: Detections, known: Detections, sigma: np.ndarray = sigma
        ) -> Detections:
            return places.updated(sigma_x=sigma[: len(places)], sigma_y=sigma[: len(places)])

        found[error] = refind(lambda frame: np.empty(0), gaps, present=table, locate_near=located, config=settings(5.0))
    assert len(found[0.5]) == len(gaps)
    assert found[0.6].empty
