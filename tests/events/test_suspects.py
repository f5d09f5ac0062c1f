"""Marks of likely tracking errors: each planted one is marked, clean tracks hardly ever, and no other mark is set."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from colloid_cg.errors import InputError
from colloid_cg.events.suspects import SUSPECTS, tracking_suspects
from colloid_cg.records import Box, Trajectories

SIDE = 200.0
N_FRAMES = 60


def movie(table, *, box=None):
    view = box or Box(lower=(0.0, 0.0), upper=(SIDE, SIDE), periodic=(False, False))
    return Trajectories(table=table, pixel_size=0.1, frame_interval=0.1, field_of_view=view, n_frames=N_FRAMES)


def clean(seed, *, step=0.5, caged=True, drift=0.2, missing=0.0, tails=None):
    """Particles 10 px apart that rattle or diffuse, drift through the view, of brightness 1 : 2, with noise."""
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(np.arange(-2, 24), np.arange(-2, 24)), axis=-1).reshape(-1, 2) * 10.0
    n = len(grid)
    moves = rng.normal(0, step, (N_FRAMES, n, 2))
    path = grid + rng.normal(0, 1.0, grid.shape) + (moves if caged else np.cumsum(moves, axis=0))
    path = path + np.arange(N_FRAMES)[:, None, None] * np.array([-drift, 0.5 * drift])
    flicker = rng.normal(size=(N_FRAMES, n)) if tails is None else rng.standard_t(tails, (N_FRAMES, n))
    mass = 1000.0 * np.exp(rng.uniform(0, 0.7, n) + 0.04 * flicker)
    size = 3.0 * np.exp(0.03 * rng.normal(size=(N_FRAMES, n)))
    table = pd.DataFrame(
        {
            "frame": np.repeat(np.arange(N_FRAMES), n),
            "particle": np.tile(np.arange(n), N_FRAMES),
            "x": path[..., 0].ravel(),
            "y": path[..., 1].ravel(),
            "mass": mass.ravel(),
            "size": size.ravel(),
        }
    )
    seen = (table[["x", "y"]] > 0).all(axis=1) & (table[["x", "y"]] < SIDE).all(axis=1)
    return table[seen & (rng.uniform(size=len(table)) >= missing)]


def marked(table, name):
    """Frame and particle of the detections marked, and how many other marks there are."""
    found = tracking_suspects(movie(table))
    others = found[[other for other in SUSPECTS if other != name]].to_numpy().sum()
    return set(found.loc[found[name], ["frame", "particle"]].itertuples(index=False, name=None)), int(others)


def at(table, frame, particle):
    return (table["frame"] == frame) & (table["particle"] == particle)


def later(table, frame, particle):
    return (table["frame"] >= frame) & (table["particle"] == particle)


def neighbors_of_centre(table):
    """Two neighbours near the middle of the view all the time, the brighter one last."""
    first = table[table["frame"] == 0].set_index("particle")
    near = np.hypot(first["x"] - 110, first["y"] - 90)
    a = near.idxmin()
    b = np.hypot(first["x"] - first.loc[a, "x"], first["y"] - first.loc[a, "y"]).drop(a).idxmin()
    return tuple(sorted((a, b), key=lambda p: first.loc[p, "mass"]))


@pytest.mark.parametrize("caged", [True, False])
@pytest.mark.parametrize("missing", [0.0, 0.03])
def test_clean_tracks_have_next_to_no_marks(caged, missing):
    totals, n = dict.fromkeys(SUSPECTS, 0), 0
    for seed in range(3):
        table = clean(seed, caged=caged, missing=missing)
        found = tracking_suspects(movie(table))
        n += len(found)
        for name in SUSPECTS:
            totals[name] += int(found[name].sum())
        assert found.attrs["suspects"]["mass_noise"] == pytest.approx(0.04 * np.sqrt(2), rel=0.1)
    assert n > 65_000
    assert all(total <= 1e-4 * n for total in totals.values()), totals


def test_flicker_with_heavy_tails_raises_the_threshold():
    found = tracking_suspects(movie(clean(4, tails=3)))
    # Medians alone would mark .56 % here.
    assert found["mass_jump"].mean() < 0.0045


def test_exchanged_identities_are_found_by_displacement_also_across_a_gap():
    table = clean(5)
    a, b = neighbors_of_centre(table)
    table["mass"] = np.nan
    swapped = table["particle"].copy()
    swapped[later(table, 30, a)], swapped[later(table, 30, b)] = b, a
    found, others = marked(table.assign(particle=swapped), "swap")
    assert found == {(30, a), (30, b)}
    assert others == 0
    gap = table[~((table["particle"] == a) & table["frame"].between(28, 29))]
    found, _ = marked(gap.assign(particle=swapped.reindex(gap.index)), "swap")
    assert found == {(30, a), (30, b)}
    # One that goes to where another was, which goes elsewhere, did not exchange with it; nor did two that hop.
    row = table.copy()
    shift = (
        table.loc[later(table, 30, b), ["x", "y"]].to_numpy() - table.loc[later(table, 30, a), ["x", "y"]].to_numpy()
    )
    for p in (a, b):
        row.loc[later(row, 30, p), ["x", "y"]] += shift
    assert marked(row, "swap")[0] == set()
    hops = table.copy()
    for p in (a, b):
        hops.loc[later(hops, 30, p), "x"] += 4.0
    assert marked(hops, "swap")[0] == set()


def test_exchange_of_neighbours_as_they_pass_is_found_by_their_masses():
    table = clean(6)
    a, b = neighbors_of_centre(table)
    table.loc[table["particle"] == b, "mass"] *= 3.0
    swapped = table["mass"].copy()
    swapped[later(table, 30, a)] = table.loc[later(table, 30, b), "mass"].to_numpy()
    swapped[later(table, 30, b)] = table.loc[later(table, 30, a), "mass"].to_numpy()
    found = tracking_suspects(movie(table.assign(mass=swapped)))
    assert set(found.loc[found["swap"], ["frame", "particle"]].itertuples(index=False, name=None)) == {(30, a), (30, b)}
    assert found["mass_jump"].sum() == 2
    # One mass that jumps alone is none.
    far = table.copy()
    far.loc[later(far, 30, b), "mass"] /= 3.0
    assert not tracking_suspects(movie(far))["swap"].any()


def test_links_that_are_more_likely_wrong_than_right_are_swaps():
    table = clean(7).assign(link_confidence=0.99)
    table.loc[at(table, 20, neighbors_of_centre(table)[0]), "link_confidence"] = 0.4
    assert marked(table, "swap") == ({(20, neighbors_of_centre(table)[0])}, 0)


@pytest.mark.parametrize("returns", [True, False])
def test_a_track_that_ends_in_a_brighter_neighbour_is_merged(returns):
    table = clean(8)
    a, b = neighbors_of_centre(table)
    during = table["frame"].between(30, 34 if returns else N_FRAMES)
    lost, kept = during & (table["particle"] == a), during & (table["particle"] == b)
    table.loc[kept, "mass"] = table.loc[kept, "mass"].to_numpy() + table.loc[lost, "mass"].to_numpy()
    table.loc[kept, ["x", "y"]] = 0.5 * (
        table.loc[kept, ["x", "y"]].to_numpy() + table.loc[lost, ["x", "y"]].to_numpy()
    )
    found = tracking_suspects(movie(table[~lost]))
    merged = {(t, b) for t in (range(30, 35) if returns else range(30, N_FRAMES))} | {(29, a)}
    merged |= {(35, a)} if returns else set()
    assert set(found.loc[found["merge"], ["frame", "particle"]].itertuples(index=False, name=None)) == merged
    assert found["mass_jump"].sum() == (2 if returns else 1)
    assert not found[["missing_link", "out_of_focus"]].any(axis=None)
    # The same end beside neighbours that stay as they were is none, nor is one beside a mass that rises tenfold.
    table.loc[kept, "mass"] = clean(8).loc[kept[kept].index, "mass"]
    assert marked(table[~lost], "merge")[0] == set()
    table.loc[kept, "mass"] *= 10.0
    assert marked(table[~lost], "merge")[0] == set()


def test_two_tracks_that_end_in_a_new_one_of_both_masses_are_merged():
    table = clean(9)
    a, b = neighbors_of_centre(table)
    new = int(table["particle"].max()) + 1
    own, other = later(table, 30, a), later(table, 30, b)
    masses = table.loc[own, "mass"].to_numpy(), table.loc[other, "mass"].to_numpy()
    share = (masses[1] / sum(masses))[:, None]
    table.loc[own, ["x", "y"]] += share * (
        table.loc[other, ["x", "y"]].to_numpy() - table.loc[own, ["x", "y"]].to_numpy()
    )
    table.loc[own, "mass"] += masses[1]
    table.loc[own, "particle"] = new
    kept = table[~other]
    found, _ = marked(kept, "merge")
    assert found == {(29, a), (29, b), (30, new)}
    single = kept.copy()
    single.loc[single["particle"] == new, "mass"] *= 0.5
    assert marked(single, "merge")[0] == set()
    away = kept.copy()
    away.loc[away["particle"] == new, "y"] += 8.0
    assert marked(away, "merge")[0] == set()


def test_without_masses_a_jump_of_size_tells_a_merger():
    table = clean(10)
    a, b = neighbors_of_centre(table)
    table["mass"] = np.nan
    table.loc[later(table, 30, b), "size"] *= 1.5
    found, _ = marked(table[~later(table, 30, a)], "merge")
    assert found == {(29, a), (30, b)}


@pytest.mark.parametrize("gap", [0, 1, 4])
def test_a_broken_track_is_a_missing_link(gap):
    table = clean(11, step=0.2)
    a = neighbors_of_centre(table)[0]
    new = int(table["particle"].max()) + 1
    table.loc[later(table, 30, a), "particle"] = new
    table = table[~((table["particle"] == new) & (table["frame"] < 30 + gap))]
    found, others = marked(table, "missing_link")
    assert found == {(29, a), (30 + gap, new)}
    assert others == 0
    # Too late, or too far.
    late = table[~((table["particle"] == new) & (table["frame"] < 36))]
    assert marked(late, "missing_link")[0] == set()
    far = table.copy()
    far.loc[far["particle"] == new, "x"] += 3.0
    assert marked(far, "missing_link")[0] == set()


def test_mass_jump_is_marked_where_it_happens_and_measured_by_the_particles_own_noise():
    table = clean(12)
    a, b = neighbors_of_centre(table)
    rng = np.random.default_rng(0)
    loud = table["particle"] == b
    table.loc[loud, "mass"] *= np.exp(0.3 * rng.normal(size=loud.sum()))
    table.loc[later(table, 30, a), "mass"] *= 1.6
    assert marked(table, "mass_jump") == ({(30, a)}, 0)
    assert marked(table.assign(mass=np.nan), "mass_jump")[0] == set()


def test_out_of_focus_needs_size_and_mass_for_some_frames():
    table = clean(13)
    a = neighbors_of_centre(table)[0]
    during = (table["particle"] == a) & table["frame"].between(25, 31)
    # In and out within a few frames, each step too small for a jump.
    shape = np.array([0.15, 0.3, 0.4, 0.4, 0.4, 0.3, 0.15])
    blurred = table.copy()
    blurred.loc[during, "mass"] *= np.exp(-shape)
    blurred.loc[during, "size"] *= np.exp(shape)
    found, others = marked(blurred, "out_of_focus")
    assert {(t, a) for t in range(26, 31)} <= found <= {(t, a) for t in range(25, 32)}
    assert others == 0
    dim = table.copy()
    dim.loc[during, "mass"] *= np.exp(-shape)
    assert marked(dim, "out_of_focus")[0] == set()
    short = blurred[~during | blurred["frame"].between(27, 28)]
    assert marked(short, "out_of_focus")[0] == set()


def test_periodic_cell_links_across_its_faces():
    rng = np.random.default_rng(14)
    box = Box(lower=(0.0, 0.0), upper=(SIDE, SIDE), periodic=(True, True))
    grid = np.stack(np.meshgrid(np.arange(20), np.arange(20)), axis=-1).reshape(-1, 2) * 10.0
    seen = box.wrap(grid + rng.normal(0, 0.5, (N_FRAMES, 400, 2)))
    ids = np.tile(np.arange(400), N_FRAMES).reshape(N_FRAMES, 400)
    ids[30:, [0, 19]] = [19, 0]
    ids[40:, 200] = 400
    frame = np.repeat(np.arange(N_FRAMES), 400)
    table = pd.DataFrame(
        {"frame": frame, "particle": ids.ravel(), "x": seen[..., 0].ravel(), "y": seen[..., 1].ravel()}
    )
    found = tracking_suspects(movie(table, box=box))
    rows = {
        name: set(found.loc[found[name], ["frame", "particle"]].itertuples(index=False, name=None)) for name in SUSPECTS
    }
    assert rows["swap"] == {(30, 0), (30, 19)}
    assert rows["missing_link"] == {(39, 200), (40, 400)}
    assert not rows["merge"] | rows["mass_jump"] | rows["out_of_focus"]


def test_tables_without_the_columns_have_no_marks_and_empty_ones_none_at_all():
    plain = clean(15)[["frame", "particle", "x", "y"]]
    found = tracking_suspects(movie(plain))
    assert found[list(SUSPECTS)].dtypes.eq(bool).all()
    assert not found[list(SUSPECTS)].any(axis=None)
    assert found.attrs["suspects"]["mass_noise"] is None
    assert len(tracking_suspects(movie(plain[:0]))) == 0
    assert len(tracking_suspects(movie(plain[:1]))) == 1
    with pytest.raises(InputError, match="reach"):
        tracking_suspects(movie(plain), reach=0)


def test_rows_are_those_of_the_table():
    tracks = movie(clean(16).sample(frac=1.0, random_state=1))
    found = tracking_suspects(tracks)
    pd.testing.assert_frame_equal(found[["frame", "particle"]], tracks.table[["frame", "particle"]], check_flags=False)
    pd.testing.assert_frame_equal(found, tracking_suspects(replace(tracks)))
