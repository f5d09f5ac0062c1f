"""The rule of true rearrangements on motion that was planted."""

from __future__ import annotations

import numpy as np
import pytest

from colloid_cg.records import EventTable
from colloid_cg.seeding import generator
from colloid_cg.twin import CameraConfig, TwinConfig
from colloid_cg.twin.driven_truth import event_table
from colloid_cg.twin.rearrangements import grouped, partings
from colloid_cg.twin.truth import TwinTruth, numbered_rows

LENGTHS = np.array([14.0, 12.0])


def rhombus(centre: tuple[float, float], *, share: float) -> np.ndarray:
    """Four touching unit discs round ``centre``: share 0: the first two touch, 1: the last two do (a T1)."""
    half = 0.5 + (np.sqrt(3) / 2 - 0.5) * share
    other = np.sqrt(1 - half**2)
    return np.array(centre) + np.array([[-half, 0], [half, 0], [0, -other], [0, other]])


def exchange(shares: np.ndarray, *, centre: tuple[float, float] = (5.0, 6.0)) -> np.ndarray:
    """One rhombus that follows ``shares`` and one at rest far away."""
    still = rhombus((11.0, 6.0), share=0.0)
    return np.array([np.concatenate([rhombus(centre, share=share), still]) for share in shares])


STEPS = np.concatenate([np.zeros(10), np.linspace(0, 1, 5), np.ones(20)])


def test_a_planted_exchange_is_found_with_its_partners_and_times() -> None:
    found = partings(exchange(STEPS), diameters=np.ones(8), lengths=LENGTHS)
    assert len(found) == 1
    row = found.iloc[0]
    assert (row["i"], row["j"]) == (0, 1)
    # r = 1 + .732 share: .25 -> 1.18, .5 -> 1.37, .75 -> 1.55
    assert (row["t_on"], row["t_off"]) == (10, 13)
    assert 11 <= row["t_peak"] <= 13


@pytest.mark.parametrize(("away", "expected"), [(4, 0), (5, 0), (6, 1), (12, 1)])
def test_only_a_lasting_parting_counts(away: int, expected: int) -> None:
    shares = np.concatenate([np.zeros(10), np.ones(away), np.zeros(20)])
    found = partings(exchange(shares), diameters=np.ones(8), lengths=LENGTHS)
    assert ((found["i"] == 0) & (found["j"] == 1)).sum() == expected
    # the way back parts the other two
    assert ((found["i"] == 2) & (found["j"] == 3)).sum() == (1 if away >= 1 else 0)


def test_the_last_frames_cannot_tell() -> None:
    assert partings(exchange(np.repeat([0.0, 1.0], [10, 5])), diameters=np.ones(8), lengths=LENGTHS).empty
    assert len(partings(exchange(np.repeat([0.0, 1.0], [10, 6])), diameters=np.ones(8), lengths=LENGTHS)) == 1


def test_partings_through_the_face_of_the_cell_and_between_sizes() -> None:
    diameters = np.array([1.0, 1.4])
    r = np.concatenate([np.full(5, 1.2), np.linspace(1.2, 1.2 * 1.49, 5), np.full(9, 1.2 * 1.49)])
    for last, expected in ((1.2 * 1.49, 0), (1.2 * 1.51, 1)):
        distance = np.where(r > 1.7, last, r)
        path = np.zeros((len(r), 2, 2))
        path[:, 1, 0] = LENGTHS[0] * 3 - distance
        assert len(partings(path, diameters=diameters, lengths=LENGTHS)) == expected


def test_strain_and_vibration_are_no_rearrangement() -> None:
    rng = generator(3)
    sites = np.stack(np.meshgrid(np.arange(10.0), np.arange(10.0)), axis=-1).reshape(-1, 2)
    path = []
    for frame in range(60):
        moved = sites + 0.03 * rng.standard_normal(sites.shape)
        moved[:, 0] += 0.2 * np.sin(frame / 9) * moved[:, 1]
        path.append(moved)
    # a cell so wide that its faces play no part
    assert partings(np.array(path), diameters=np.ones(100), lengths=np.array([40.0, 40.0])).empty


def test_events_are_groups_in_space_and_time_named_as_in_the_truth() -> None:
    """Two exchanges at once side by side, a third at another time, a fourth outside the view."""
    early, late = STEPS, np.concatenate([np.zeros(20), np.linspace(0, 1, 5), np.ones(10)])
    path = np.array(
        [
            np.concatenate(
                [
                    rhombus((2.0, 2.0), share=a),
                    rhombus((3.4, 2.0), share=a),
                    rhombus((2.5, 9.0), share=b),
                    rhombus((11.0, 6.0), share=a),
                ]
            )
            for a, b in zip(early, late, strict=True)
        ]
    )
    config = TwinConfig(n_frames=35, width=60, height=120, camera=CameraConfig(exposure=0.0, drift=(0.2, 0.0)))
    diameters = np.ones(16)
    pairs = partings(path, diameters=diameters, lengths=LENGTHS)
    chosen = pairs[(pairs["i"] % 4 == 0) & (pairs["j"] == pairs["i"] + 1)]
    number, middle = grouped(chosen, path, contact=1.0, lengths=LENGTHS)
    assert len(chosen) == 4
    assert len(set(number)) == 3
    assert number[chosen["i"] == 0] == number[chosen["i"] == 4]
    assert middle[chosen["i"].to_numpy() == 8][0] == pytest.approx([2.5, 9.0])
    truth = TwinTruth(
        instants=path,
        means=path[:, None],
        species=np.zeros(16, dtype=np.int64),
        cell=np.array([[-0.05, -0.05], LENGTHS]),
        config=config,
        parameters={},
        partings=chosen,
        diameters=diameters,
    )
    rows = numbered_rows(truth, visible=[np.ones(16, dtype=bool)] * 35)
    events = event_table(truth, rows)
    assert isinstance(events, EventTable)
    table = events.table
    assert table["score"].tolist() == [2.0, 1.0]
    assert table["n_particles"].tolist() == [4, 2]
    # px, with the drift up to the frame of the event
    assert table["x"].tolist() == pytest.approx([27.0 + 0.2 * table["t_peak"][0], 25.0 + 0.2 * table["t_peak"][1]])
    assert table["y"].tolist() == pytest.approx([20.0, 90.0])
    for _, event in table.iterrows():
        members = rows[(rows["frame"] == event["t_peak"]) & rows["particle"].isin(event["particles"])]
        expected = {0, 1, 4, 5} if event["score"] == 2 else {8, 9}
        assert set(members["original"]) == expected


def test_a_pair_that_came_back_has_not_parted_when_it_loosens_later() -> None:
    shares = np.repeat([0.0, 1.0, 0.0, 0.4], [10, 3, 10, 12])
    found = partings(exchange(shares), diameters=np.ones(8), lengths=LENGTHS)
    assert not ((found["i"] == 0) & (found["j"] == 1)).any()
