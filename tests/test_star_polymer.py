"""The star-polymer benchmark: the melt it writes, and its statistics where the answer is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.star_polymer.analysis import displacements, pair_correlation, velocity_autocorrelation
from benchmarks.star_polymer.melt import STARS, spread_directions, write_melt


@pytest.mark.parametrize(("beads", "stars", "edge"), [(11, 1000, 30.18405), (51, 2000, 63.413)])
def test_boxes_as_published(beads: int, stars: int, edge: float) -> None:
    assert STARS[beads].published_stars == stars
    assert STARS[beads].box_edge(stars) == pytest.approx(edge, abs=1e-3)


def test_the_melt_is_made_of_stars(tmp_path: Path) -> None:
    star = STARS[51]
    write_melt(tmp_path / "melt.data", star, 7, np.random.default_rng(3))
    head, _, rest = (tmp_path / "melt.data").read_text().partition("Atoms # bond\n\n")
    atoms_text, _, bonds_text = rest.partition("\nBonds\n\n")
    atoms = np.array([line.split() for line in atoms_text.splitlines()], dtype=float)
    bonds = np.array([line.split() for line in bonds_text.splitlines()], dtype=int)
    assert "357 atoms" in head
    assert "350 bonds" in head
    edge = star.box_edge(7)
    assert ((atoms[:, 3:6] >= 0) & (atoms[:, 3:6] <= edge)).all()
    place = atoms[:, 3:6] + edge * atoms[:, 6:9]
    first, second = bonds[:, 2] - 1, bonds[:, 3] - 1
    np.testing.assert_allclose(np.linalg.norm(place[first] - place[second], axis=1), 0.97, atol=1e-7)
    assert (atoms[first, 1] == atoms[second, 1]).all()
    degree = np.bincount(np.r_[first, second], minlength=357).reshape(7, 51)
    assert (degree[:, 0] == 10).all()
    assert (np.sort(degree[:, 1:]) == [1] * 10 + [2] * 40).all()
    assert (atoms[:, 2].reshape(7, 51)[:, 0] == 1).all()


def test_arms_keep_apart() -> None:
    directions = spread_directions(10, np.random.default_rng(0))
    angle = np.arccos(np.clip(directions @ directions.T - 2.0 * np.eye(10), -1.0, 1.0))
    # The best packing of ten points on a sphere has a least angle of 66.1 degrees (Tammes problem).
    assert 60.0 < np.degrees(angle.min()) <= 66.2


def test_pair_correlation_of_a_lattice_and_of_a_gas() -> None:
    rng = np.random.default_rng(1)
    edge, n = 10.0, 400
    gas = [edge * (3.0 * rng.random((n, 3)) - 1.0) for _ in range(40)]
    r_edges = np.arange(0.0, 5.01, 0.5)
    g = pair_correlation(gas, edge, r_edges)
    pairs = 40 * n * (n - 1) / 2 * 4 / 3 * np.pi * np.diff(r_edges**3) / edge**3
    assert (np.abs(g - 1.0)[1:] < 4.5 / np.sqrt(pairs[1:])).all()
    lattice = np.stack(np.meshgrid(*[np.arange(5) * 2.0] * 3), axis=-1).reshape(-1, 3)
    g = pair_correlation([lattice], edge, np.array([1.9, 2.1, 2.7]))
    assert g[0] * 4 / 3 * np.pi * (2.1**3 - 1.9**3) * 124 / edge**3 == pytest.approx(6.0, rel=1e-12)
    assert g[1] == 0.0


def test_statistics_of_an_inertial_walk() -> None:
    """Ornstein-Uhlenbeck velocities: <v(0) v(t)> = s2 exp(-t/tau); free flight: displacement v t."""
    rng = np.random.default_rng(4)
    s2, decay, frames = 0.3, 0.9, 3000
    v = np.empty((frames, 100, 3))
    v[0] = np.sqrt(s2) * rng.normal(size=(100, 3))
    for t in range(1, frames):
        v[t] = decay * v[t - 1] + np.sqrt(s2 * (1 - decay**2)) * rng.normal(size=(100, 3))
    c = velocity_autocorrelation(v, 20)
    # variance of the estimate: about s2^2 (1 + decay^2) / (1 - decay^2) / (frames 300)
    error = s2 * np.sqrt((1 + decay**2) / (1 - decay**2) / (frames * 300))
    np.testing.assert_allclose(c, s2 * decay ** np.arange(20), atol=5 * error)
    direct = (v[:-7] * v[7:]).mean()
    assert c[7] == pytest.approx(direct, rel=1e-12)
    flight = v[0] * 0.1 * np.arange(200)[:, None, None]
    t, msd, error = displacements(flight, 0.1, 10.0)
    np.testing.assert_allclose(msd, np.broadcast_to((v[0] ** 2).sum(axis=-1).mean() * t**2, msd.shape), rtol=1e-12)
    np.testing.assert_allclose(error, 0.0, atol=1e-12)
