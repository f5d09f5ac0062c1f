"""T1 exchanges with p-values: calibrated on noise of any lattice, exact under affine motion, planted ones found."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from colloid_cg.errors import InputError
from colloid_cg.events.t1 import find_exchanges, frame_bonds
from colloid_cg.events.t1null import quad_change
from colloid_cg.events.t1variance import window_variance
from colloid_cg.observables.exchanges import ends_of
from colloid_cg.records import Box, Trajectories
from tests.events.movies import crystal

NOISE = 0.05
"""Localisation error of the lattices in um, a twentieth of the spacing."""


def lattice(kind, *, seed=0, shear=0.0, drift=0.0, n_frames=30, size=16, noise=NOISE, missing=0.0):
    """Particles at rest on a lattice that is sheared and carried along; lengths in px of 0.1 um, spacing 10."""
    rng = np.random.default_rng(seed)
    column, row = np.meshgrid(np.arange(size), np.arange(size))
    square = 10.0 * np.stack([column, row], axis=-1).reshape(-1, 2)
    hexagonal = 10.0 * np.stack([column + 0.5 * (row % 2), np.sqrt(0.75) * row], axis=-1).reshape(-1, 2)
    places = {"square": square, "hexagonal": hexagonal, "disordered": square + rng.normal(0, 1.5, square.shape)}[kind]
    centre, frames = places.mean(axis=0), []
    for t in range(n_frames):
        seen = (places - centre) @ np.array([[1.0, 0.0], [shear * t, 1.0]]) + centre + [drift * t, 0.0]
        seen = seen + rng.normal(0, 10 * noise, places.shape)
        frames.append(pd.DataFrame({"frame": t, "particle": np.arange(len(seen)), "x": seen[:, 0], "y": seen[:, 1]}))
    table = pd.concat(frames)
    low, high = table[["x", "y"]].min() - 8.0, table[["x", "y"]].max() + 8.0
    view = Box(lower=tuple(low), upper=tuple(high), periodic=(False, False))
    table = table[rng.uniform(size=len(table)) >= missing]
    return Trajectories(table=table, pixel_size=0.1, frame_interval=1.0, field_of_view=view, n_frames=n_frames)


def all_changes(tracks, variance, *, persistence=5, every=10):
    """Change and deviation of every inner quad, flipped or not, at some frames."""
    bonds, found = list(frame_bonds(tracks)), []
    for t in range(persistence, tracks.n_frames - persistence + 1, every):
        before = bonds[t - 1]
        inner = before.opposite[:, 0] >= 0
        quads = np.stack([*ends_of(before.code[inner]), *before.opposite[inner].T], axis=1)
        quads = quads[(before.is_sound(quads) & bonds[t].sees(quads)).all(axis=1)]
        found.append(quad_change(tracks, quads, t, persistence=persistence, bonds=before, variance=variance))
    change, deviation = (np.concatenate([getattr(f, name) for f in found]) for name in ("change", "deviation"))
    return change, deviation


@pytest.mark.parametrize("kind", ["square", "hexagonal", "disordered"])
@pytest.mark.parametrize(("shear", "missing"), [(0.0, 0.0), (0.02, 0.0), (0.0, 0.05)])
def test_change_of_any_quad_is_normal_with_the_stated_deviation(kind, shear, missing):
    """Missing frames come with a drift of .3 um per frame: means over different frames would be off by that much."""
    tracks = lattice(kind, shear=shear, drift=3.0 if missing else 0.0, missing=missing, n_frames=60 if missing else 40)
    change, deviation = all_changes(tracks, np.full(len(tracks), 2 * NOISE**2 / 5))
    z = (change / deviation)[np.isfinite(change)]
    assert len(z) > 1000
    # Quads share particles: the effective number is several times smaller.
    assert z.std() == pytest.approx(1.0, abs=0.05)
    assert abs(z.mean()) < 0.05
    assert stats.kstest(z[::7], "norm").pvalue > 1e-3


def test_noise_of_the_ring_alone_enters_with_its_weights():
    """The four at rest among particles that rattle: all of the change comes from the affine map."""
    tracks = lattice("hexagonal", seed=3, n_frames=600, size=8)
    quad, four = np.array([[35, 36, 27, 43]]), tracks.table["particle"].isin([35, 36, 27, 43]).to_numpy()
    table = tracks.table.copy()
    table.loc[four, ["x", "y"]] = table[four].groupby("particle")[["x", "y"]].transform("mean")
    still = tracks.with_table(table)
    variance = np.where(four, 0.0, 2 * NOISE**2)
    bonds = next(iter(frame_bonds(still.between(0, 2))))
    found = [quad_change(still, quad, t, persistence=1, bonds=bonds, variance=variance) for t in range(1, 600)]
    z = np.array([f.change[0] / f.deviation[0] for f in found])
    assert z.std() == pytest.approx(1.0, abs=4 * np.sqrt(1.5 / 2 / 599))
    assert found[0].deviation[0] < NOISE


def test_affine_motion_alone_changes_nothing():
    tracks = lattice("disordered", shear=0.04, drift=2.0, noise=0.0)
    change, _ = all_changes(tracks, np.full(len(tracks), 0.01))
    assert np.isfinite(change).sum() > 500
    assert np.nanmax(np.abs(change)) < 1e-11
    # Bonds do change under shear; none of them is an event.
    found = find_exchanges(tracks, persistence=3, variance=1e-30)
    assert len(found.table) > 20
    assert (found.table["p_value"] == 1.0).all()


@pytest.mark.parametrize(
    ("kind", "shear"), [("square", 0.0), ("square", 0.01), ("hexagonal", 0.03), ("disordered", 0.0)]
)
def test_p_values_of_noise_are_super_uniform(kind, shear):
    p_values, flips = [], 0
    for seed in range(4):
        found = find_exchanges(lattice(kind, seed=seed, shear=shear), persistence=4, share=0.75)
        p_values.append(found.fields["t1_p"].dropna().to_numpy())
        flips += len(found.table)
    p = np.concatenate(p_values)
    assert len(p) > 15_000
    # Enough exchanges, or silence would prove nothing.
    assert flips > 100
    for level in (0.1, 0.01, 0.001):
        error = np.sqrt(level * (1 - level) / (len(p) / 8))
        assert (p < level).mean() < level + 3 * error


def test_flips_of_a_square_lattice_have_small_p_values_before_the_correction():
    """The test above can fail: the quads themselves, taken one by one where they flipped, are selected by chance."""
    quads = pd.concat(find_exchanges(lattice("square", seed=s), persistence=4, share=0.75).table for s in range(4))
    assert (quads["p_value"] < 0.05).mean() > 0.1


PLANTED = (210, 211, 190, 230)


def planted(seed, *, amount=0.45, noise=0.5, **settings):
    """A rhombus of a hexagonal crystal of spacing 10 px exchanges its diagonals at frame 15."""
    jump = {210: (-5.0, 0.0), 211: (5.0, 0.0), 190: (0.0, 8.66), 230: (0.0, -8.66)}
    return crystal(
        seed, noise=noise, planted={p: amount * np.array(v) for p, v in jump.items()}, jump_at=15, **settings
    )


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("affine", [0.0, 0.003])
def test_a_planted_exchange_is_found_in_the_right_frame(seed, affine):
    found = find_exchanges(planted(seed, affine=affine), persistence=5)
    best = found.table.loc[found.table["p_value"].idxmin()]
    assert (best["frame"], best["i"], best["j"], best["k"], best["l"]) == (15, *PLANTED)
    # .45 (10 + 17.3) px = 1.23 um.
    assert best["change"] == pytest.approx(1.23, abs=4 * best["deviation"] + 0.1)
    assert best["p_value"] < 1e-20
    own = found.fields[found.fields["particle"].isin(PLANTED) & (found.fields["frame"] == 15)]
    assert (own["t1_p"] < 1e-18).all()
    np.testing.assert_allclose(own["t1_change"], best["change"])
    others = found.fields.drop(own.index)
    assert others["t1_p"].min() > 1e-3
    assert others["t1_p"].notna().mean() > 0.4


def test_frames_and_particles_that_cannot_be_judged_are_nan():
    tracks = planted(4)
    persistence = 5
    found = find_exchanges(tracks, persistence=persistence).fields
    assert found.loc[~found["frame"].between(5, 25), "t1_p"].isna().all()
    inner = found["frame"].between(5, 25) & (tracks.edge_distance > 2.5)
    assert found.loc[inner, "t1_p"].notna().all()
    assert found.loc[tracks.edge_distance < 0.75, "t1_p"].isna().all()
    gone = tracks.table[~((tracks.table["particle"] == 108) & tracks.table["frame"].between(9, 12))]
    holed = find_exchanges(tracks.with_table(gone), persistence=persistence).fields.set_index(["frame", "particle"])
    # Missing in four of five frames of a window.
    assert np.isnan(holed.loc[(8, 108), "t1_p"])
    assert np.isnan(holed.loc[(13, 108), "t1_p"])
    assert np.isfinite(holed.loc[(20, 108), "t1_p"])
    short = find_exchanges(tracks.between(0, 8), persistence=persistence)
    assert short.fields["t1_p"].isna().all()
    assert len(short.table) == 0
    assert "too few" in short.null["warnings"][0]


def test_variance_of_two_species_is_found_and_exchanges_do_not_inflate_it():
    tracks = crystal(3, size=24, n_frames=40, species_noise=(0.25, 0.75))
    found = window_variance(tracks, persistence=4).null["variance_um2"]
    assert found["0"] == pytest.approx(2 * 0.025**2 / 4, rel=0.1)
    assert found["1"] == pytest.approx(2 * 0.075**2 / 4, rel=0.1)
    quiet, loud = (window_variance(t, persistence=5) for t in (crystal(5), planted(5)))
    assert loud.null["variance_um2"]["0"] == pytest.approx(quiet.null["variance_um2"]["0"], rel=0.03)
    # Under a strong shear, too, as each particle is compared with its own neighbours.
    sheared = window_variance(lattice("disordered", shear=0.02), persistence=5)
    assert sheared.null["variance_um2"]["0"] == pytest.approx(2 * NOISE**2 / 5, rel=0.1)


def test_own_variances_replace_those_of_the_movie():
    tracks = planted(6)
    plain = find_exchanges(tracks, variance=0.001).table
    per_row = find_exchanges(tracks, variance=np.full(len(tracks), 0.004)).table
    np.testing.assert_allclose(per_row["deviation"], 2 * plain["deviation"], rtol=1e-12)
    wide = find_exchanges(tracks, variance=0.001, dispersion=0.5).table
    assert (wide["p_value"].min() > plain["p_value"].min()) or plain["p_value"].min() == 0
    unknown = np.full(len(tracks), 0.001)
    unknown[(tracks.table["particle"] == 210).to_numpy()] = np.nan
    fields = find_exchanges(tracks, variance=unknown).fields.set_index(["frame", "particle"])
    assert np.isnan(fields.loc[(15, 211), "t1_p"])
    with pytest.raises(InputError, match="one per detection"):
        find_exchanges(tracks, variance=np.ones(3))


def test_periodic_cell_finds_the_same_exchange_wherever_the_face_is():
    rng = np.random.default_rng(7)
    size, n_frames = 14, 16
    box = Box(lower=(0.0, 0.0), upper=(140.0, 140.0 * np.sqrt(0.75)), periodic=(True, True))
    column, row = np.meshgrid(np.arange(size), np.arange(size))
    places = 10 * np.stack([column + 0.5 * (row % 2), np.sqrt(0.75) * row], axis=-1).reshape(-1, 2)
    path = np.repeat(places[None], n_frames, axis=0) + rng.normal(0, 0.4, (n_frames, *places.shape))
    quad = [6 * 14 + 6, 6 * 14 + 7, 5 * 14 + 6, 7 * 14 + 6]
    path[8:, quad] += 0.45 * np.array([(-5.0, 0.0), (5.0, 0.0), (0.0, 8.66), (0.0, -8.66)])
    found = []
    for shift in (np.zeros(2), 10 * np.array([-6.5, -6 * np.sqrt(0.75)])):
        seen = box.wrap(path + shift).reshape(-1, 2)
        ids = {"frame": np.repeat(np.arange(n_frames), size**2), "particle": np.tile(np.arange(size**2), n_frames)}
        tracks = Trajectories(
            table=pd.DataFrame({**ids, "x": seen[:, 0], "y": seen[:, 1]}),
            pixel_size=0.1,
            frame_interval=1.0,
            field_of_view=box,
            n_frames=n_frames,
        )
        found.append(find_exchanges(tracks, persistence=4, variance=0.001))
    assert found[0].table.iloc[0, :5].tolist() == [8, *quad]
    pd.testing.assert_frame_equal(found[0].table, found[1].table)
    pd.testing.assert_frame_equal(found[0].fields, found[1].fields)


def test_three_dimensions_are_refused():
    tracks = crystal(8, n_frames=3)
    view = Box(lower=(-8.0, -8.0, -1.0), upper=(205.0, 205.0, 1.0), periodic=(False,) * 3)
    with pytest.raises(InputError, match="in the plane"):
        find_exchanges(replace(tracks, table=tracks.table.assign(z=0.0), field_of_view=view))
