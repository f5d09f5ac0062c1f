"""Reading of hidden variables as a whole: a planted variable is found worth having, noise is not."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from colloid_cg.assessment.reading import ReadingConfig, read_hidden
from colloid_cg.errors import DataError, InputError
from colloid_cg.records import Box, EventTable, Trajectories

SIDE, FRAMES, SITES = 24, 45, 24 * 24
BLOCKS = {"train": (0, 15), "select": (15, 30), "test": (30, 45)}
SETTINGS = ReadingConfig(lag=2, lags=(1, 2), labels=("d2min", "displacement"), resamples=200, permutations=199)


@pytest.fixture(scope="module")
def planted() -> tuple[Trajectories, pd.DataFrame]:
    """A shaken lattice whose particles swap places with rates exp(a + 1.2 s); s changes slowly and cannot be seen."""
    rng = np.random.default_rng(0)
    sites = np.stack(np.meshgrid(np.arange(SIDE), np.arange(SIDE)), axis=-1).reshape(-1, 2) + 4.0
    s = np.empty((FRAMES, SITES))
    s[0] = rng.normal(size=SITES)
    for t in range(1, FRAMES):
        s[t] = 0.9 * s[t - 1] + np.sqrt(1 - 0.81) * rng.normal(size=SITES)
    hops = rng.random((FRAMES, SITES)) < -np.expm1(-0.008 * np.exp(1.2 * s))
    kicks = np.where(hops[..., None], rng.normal(size=(FRAMES, SITES, 2)), 0.0)
    places = sites + 0.05 * rng.normal(size=(FRAMES, SITES, 2))
    # Hops last: who has moved is not about to move back.
    hopped = 0.8 * kicks[:-1] / np.maximum(np.linalg.norm(kicks[:-1], axis=-1, keepdims=True), 1e-9)
    places[1:] += hopped.cumsum(axis=0)
    table = pd.DataFrame({"frame": np.repeat(np.arange(FRAMES), SITES), "particle": np.tile(np.arange(SITES), FRAMES)})
    table[["x", "y"]] = places.reshape(-1, 2)
    view = Box(lower=(0.0, 0.0), upper=(SIDE + 7.0,) * 2, periodic=(False, False))
    tracks = Trajectories(table=table, pixel_size=1.0, frame_interval=0.5, field_of_view=view, n_frames=FRAMES)
    fields = table[["frame", "particle"]].assign(s0=s.ravel(), local_density=rng.normal(size=len(table)))
    return tracks, fields


def main_part(found: dict, label: str = "displacement") -> dict:
    return next(
        part for part in found["species"]["0"]["prediction"] if part["lag"] == found["lag"] and part["label"] == label
    )


def test_a_planted_variable_is_worth_having(planted):
    tracks, fields = planted
    found = read_hidden(tracks, fields, blocks=BLOCKS, config=SETTINGS)
    part = main_part(found)
    assert part["differences"]["handmade"]["low90"] > 0.05
    assert part["p_value"]["s0"] == 1 / 200
    assert part["auc"]["s0"]["value"] > 0.7
    assert part["auc"]["local_density"]["value"] == pytest.approx(0.5, abs=0.06)
    assert part["average_precision"]["s0"]["low90"] > part["positives"] / part["rows"]
    lasting = found["species"]["0"]["persistence"]["s0"]["time"]
    error = (lasting["high90"] - lasting["low90"]) / 3.29
    assert error < 0.4
    assert abs(lasting["value"] + 0.5 / np.log(0.9)) < 3 * error
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_the_slope_of_the_rate_is_the_planted_one(planted):
    tracks, fields = planted
    settings = SETTINGS.model_copy(update={"lag": 1, "lags": (1,), "labels": ("displacement",), "share": 0.015})
    found = read_hidden(tracks, fields, blocks=BLOCKS, config=settings)
    slope = found["species"]["0"]["rates"]["s0"]["slope"]
    error = (slope["high90"] - slope["low90"]) / 3.29
    assert abs(slope["value"] - 1.2) < 3 * error
    assert error < 0.15


def test_noise_is_not_worth_having(planted):
    tracks, fields = planted
    noise = fields.assign(s0=np.random.default_rng(1).normal(size=len(fields)))
    found = read_hidden(tracks, noise, blocks=BLOCKS, config=SETTINGS)
    part = main_part(found)
    assert part["auc"]["s0"]["low90"] < 0.5
    assert part["differences"]["handmade"]["low90"] <= 0.0
    assert part["p_value"]["s0"] > 0.05
    assert found["species"]["0"]["associations"][0]["mutual_information"]["value"] == pytest.approx(0.0, abs=0.03)


def test_nothing_of_the_test_block_decides(planted):
    tracks, fields = planted
    before = read_hidden(tracks, fields, blocks=BLOCKS, config=SETTINGS)
    turned = fields.assign(s0=np.where(fields["frame"] >= 30, -fields["s0"], fields["s0"]))
    after = read_hidden(tracks, turned, blocks=BLOCKS, config=SETTINGS)
    one, other = main_part(before), main_part(after)
    assert (one["chosen"], one["threshold"]) == (other["chosen"], other["threshold"])
    assert other["auc"]["s0"]["value"] == pytest.approx(1.0 - one["auc"]["s0"]["value"], abs=1e-12)
    # The test block may move as it likes: what counts as a rearrangement was said before.
    table, late = tracks.table.copy(), (tracks.table["frame"] >= 30).to_numpy()
    table.loc[late, ["x", "y"]] += 0.3 * np.random.default_rng(2).normal(size=(late.sum(), 2))
    third = main_part(read_hidden(tracks.with_table(table), fields, blocks=BLOCKS, config=SETTINGS))
    assert (third["chosen"], third["threshold"]) == (one["chosen"], one["threshold"])
    assert third["positives"] > 2 * one["positives"]


def test_the_best_handmade_variable_is_that_of_the_selection_block(planted):
    tracks, fields = planted
    told = fields.assign(local_density=fields["local_density"].where(~fields["frame"].between(15, 29), fields["s0"]))
    found = read_hidden(tracks, told, blocks=BLOCKS, config=SETTINGS)
    assert main_part(found)["chosen"]["handmade"] == "local_density"


def test_events_are_labels_too_and_equal_input_gives_equal_bytes(planted):
    tracks, fields = planted
    frames = np.arange(3, 44, 2)
    rows = {
        "event": np.arange(len(frames)), "t_on": frames, "t_peak": frames, "t_off": frames, "x": 0.0, "y": 0.0,
        "radius": 1.0, "n_particles": 8, "particles": [list(range(40 + k, 360 + k, 40)) for k in range(len(frames))],
        "score": 1.0, "p_value": 0.0, "q_value": 0.0, "detector": "truth", "source": "twin",
    }  # fmt: skip
    events = EventTable(table=pd.DataFrame(rows), metadata={})
    settings = SETTINGS.model_copy(update={"labels": ("events",), "lags": (2,)})
    found = [read_hidden(tracks, fields, blocks=BLOCKS, config=settings, events=events, rng=3) for _ in range(2)]
    assert found[0] == found[1]
    assert main_part(found[0], "events")["positives"] > 50


def test_what_cannot_be_read_is_refused(planted):
    tracks, fields = planted
    with pytest.raises(InputError, match="these very tracks"):
        read_hidden(tracks, fields.iloc[1:], blocks=BLOCKS)
    with pytest.raises(InputError, match="without s0"):
        read_hidden(tracks, fields.drop(columns="s0"), blocks=BLOCKS)
    with pytest.raises(DataError, match="block of 1 frame"):
        read_hidden(tracks, fields, blocks=BLOCKS | {"select": (15, 16)})
    with pytest.raises(InputError, match="lags of 1 to 40"):
        read_hidden(tracks, fields, blocks=BLOCKS, config=ReadingConfig(lag=40))
