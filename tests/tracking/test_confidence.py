"""Is a link stated to be right with some probability right that often?"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from colloid_cg.tracking import link
from colloid_cg.tracking.linking import Linker
from tests.tracking.linked_worlds import free_particles, scored, settings

EDGES = (0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 0.99, 1.0)


def reliability(links: pd.DataFrame) -> pd.DataFrame:
    """Stated probability, observed frequency and number of links by stated probability."""
    bins = links.groupby(np.digitize(links["confidence"], EDGES[:-1]))
    return bins.agg(stated=("confidence", "mean"), observed=("right", "mean"), n=("right", "size"))


@pytest.mark.parametrize(
    ("edge", "step", "missed", "false", "faster", "search_range"),
    [
        pytest.param(630, 2.0, 0.05, 0.02, 1.0, 8.0, id="dense"),
        pytest.param(630, 2.0, 0.20, 0.05, 1.0, 8.0, id="missed"),
        pytest.param(300, 2.0, 0.05, 0.02, 1.0, 8.0, id="crowd"),
        pytest.param(630, 1.5, 0.05, 0.02, 3.0, 15.0, id="two mobilities"),
    ],
)
def test_links_are_right_as_often_as_stated(
    edge: float, step: float, missed: float, false: float, faster: float, search_range: float
) -> None:
    table = free_particles(11, n=1000, edge=edge, n_frames=30, step=step, missed=missed, false=false, faster=faster)
    links = scored(link(table, settings(search_range, memory=3, gap_growth=0.5)))
    assert links["confidence"].notna().all()
    for row in reliability(links).itertuples():
        if row.n >= 100:
            # 3.5 standard errors of the frequency, and two points for what is learnt while linking
            error = 3.5 * np.sqrt(row.stated * (1.0 - row.stated) / row.n)
            assert abs(row.observed - row.stated) < error + 0.02
    brier = float(((links["confidence"] - links["right"]) ** 2).mean())
    assert brier < links["right"].var() * 0.85


def test_a_doubtful_link_is_said_to_be_doubtful_and_a_lone_one_safe() -> None:
    rng = np.random.default_rng(1)
    others = rng.permutation([(x, y) for x in np.arange(0, 600, 30.0) for y in np.arange(0, 600, 30.0)])
    linker = Linker(settings(8.0))
    pair = np.array([[1000.0, 0.0], [1001.0, 0.0]])
    for frame in range(6):
        links = linker.add(frame, np.vstack([pair, others + rng.normal(0, 1.0, others.shape)]))
    assert links.particle.tolist() == list(range(len(others) + 2))
    # a pair 1 px apart that moves by 1 px: swapped almost as likely as not; log odds of the swap are -1/s^2
    swapped = 1.0 / (1.0 + np.exp(1.0 / linker.model.mean_variance))
    np.testing.assert_allclose(1.0 - links.confidence[:2], swapped, atol=0.05)
    assert np.quantile(links.confidence[2:], 0.05) > 0.99


def test_the_first_detection_of_a_track_has_no_confidence() -> None:
    table = free_particles(2, n=100, edge=200, n_frames=6, step=1.0, missed=0.1)
    linked = link(table, settings(4.0, memory=2))
    first = ~linked.duplicated("particle")
    assert linked.loc[first, "link_confidence"].isna().all()
    assert linked.loc[~first, "link_confidence"].between(0, 1).all()


def test_the_statistics_learnt_are_the_true_ones() -> None:
    table = free_particles(3, n=1500, edge=900, n_frames=30, step=2.0, missed=0.2, false=0.05)
    linker = Linker(settings(9.0, memory=3, gap_growth=0.5))
    for frame, rows in table.groupby("frame"):
        linker.add(int(frame), rows[["x", "y"]].to_numpy())
    model = linker.model
    assert model.mean_variance == pytest.approx(4.0, rel=0.03)
    gap = model.squared.sum(axis=0) / model.pairs.sum(axis=0) / 2
    np.testing.assert_allclose(gap[:3], [4.0, 8.0, 12.0], rtol=0.08)
    assert model.detection[1, 0] == pytest.approx(0.8, abs=0.03)
    assert model.density(9.0) == pytest.approx(75 / 900**2, rel=0.35)


def test_a_particle_whose_track_went_astray_is_still_expected() -> None:
    # where many are missed, tracks are continued by false detections and neighbours, and the particle comes back beside
    table = free_particles(2, n=2000, edge=900, n_frames=30, step=2.0, missed=0.2, false=0.05)
    links = scored(link(table, settings(8.0, memory=3)))
    assert links["right"].mean() < 0.93
    assert links["confidence"].mean() == pytest.approx(links["right"].mean(), abs=0.005)
