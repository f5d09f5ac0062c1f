"""Tables of other programs become the same trajectories."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from colloid_cg.errors import ConfigError, InputError
from colloid_cg.records import FLAG_AFTER_GAP
from colloid_cg.tracking import ImportConfig, import_table

CALIBRATED = {"pixel_size": "0.2 um", "frame_interval": "10 ms"}


@pytest.fixture
def plain() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "frame": [0, 0, 1, 2, 2, 4],
            "particle": [17, 4, 17, 17, 4, 17],
            "x": [10.0, 30.0, 10.5, 11.0, 31.0, 12.0],
            "y": [20.0, 40.0, 20.5, 21.0, 41.0, 22.0],
        }
    )


def test_plain_table(plain: pd.DataFrame) -> None:
    tracks = import_table(plain, ImportConfig(**CALIBRATED))
    assert (tracks.pixel_size, tracks.frame_interval, tracks.n_frames) == (0.2, 0.01, 5)
    table = tracks.table
    assert table["particle"].tolist() == [0, 1, 1, 0, 1, 1]  # ids by first appearance, ties in order of the old ids
    assert table.loc[table["particle"] == 1, "x"].tolist() == [10.0, 10.5, 11.0, 12.0]
    flagged = table[(table["flags"] & FLAG_AFTER_GAP) != 0]
    assert list(zip(flagged["particle"], flagged["frame"], strict=True)) == [(0, 2), (1, 4)]
    assert table["sigma_x"].isna().all()


def test_trackmate_names_units_and_header_rows(plain: pd.DataFrame) -> None:
    spots = plain.rename(columns={"frame": "FRAME", "particle": "TRACK_ID", "x": "POSITION_X", "y": "POSITION_Y"})
    spots[["POSITION_X", "POSITION_Y"]] *= 0.2
    spots["RADIUS"] = 0.5
    header = pd.DataFrame([dict.fromkeys(spots.columns, text) for text in ("Long name", "Short", "(micron)")])
    alone = spots.iloc[:1].assign(TRACK_ID=np.nan)
    foreign = pd.concat([header, spots, alone], ignore_index=True)
    tracks = import_table(foreign, ImportConfig(**CALIBRATED, units="um"))
    reference = import_table(plain, ImportConfig(**CALIBRATED))
    assert np.allclose(tracks.table[["x", "y"]], reference.table[["x", "y"]])
    assert np.allclose(tracks.table["size"], 2.5)
    assert tracks.metadata["import"]["rows_without_track"] == 1


def test_trackpy_table_with_frame_as_index_and_error(plain: pd.DataFrame) -> None:
    linked = plain.assign(mass=100.0, size=2.0, ecc=0.1, signal=9.0, raw_mass=500.0, ep=0.07)
    tracks = import_table(linked.set_index("frame", drop=False), ImportConfig(**CALIBRATED))
    assert (tracks.table[["sigma_x", "sigma_y"]] == 0.07).all(axis=None)
    assert (tracks.table["mass"] == 100.0).all()


def test_chosen_columns_and_given_frame(plain: pd.DataFrame) -> None:
    odd = plain.rename(columns={"x": "centroid-1", "y": "centroid-0"})
    config = ImportConfig(**CALIBRATED, x="centroid-1", y="centroid-0", field_of_view=(64, 48), n_frames=9)
    tracks = import_table(odd, config)
    assert tracks.n_frames == 9
    assert tracks.field_of_view.upper == (63.5, 47.5)


def test_errors_name_the_way_out(plain: pd.DataFrame) -> None:
    with pytest.raises(InputError, match=r"no column for y in spots\.csv.*frame, particle, x.*import\.y"):
        import_table(plain.drop(columns="y"), ImportConfig(**CALIBRATED), name="spots.csv")
    with pytest.raises(InputError, match=r"import\.x = 'X-pos'"):
        import_table(plain, ImportConfig(**CALIBRATED, x="X-pos"))
    with pytest.raises(InputError, match=r"missing pixel size.*--pixel-size"):
        import_table(plain, ImportConfig(frame_interval=0.01))
    with pytest.raises(InputError, match=r"missing frame interval.*--frame-interval"):
        import_table(plain, ImportConfig(pixel_size=0.2))
    with pytest.raises(InputError, match=r"no number in column 'x', row 3"):
        import_table(plain.assign(x=[1.0, 2.0, np.nan, 4.0, 5.0, 6.0]), ImportConfig(**CALIBRATED))
    with pytest.raises(InputError, match=r"frame 0\.5"):
        import_table(plain.assign(frame=plain["frame"] / 2), ImportConfig(**CALIBRATED))
    with pytest.raises(InputError, match="particle 0 twice in frame 0"):
        import_table(plain.assign(particle=1), ImportConfig(**CALIBRATED))
    with pytest.raises(InputError, match="no row with a track"):
        import_table(plain.assign(particle=np.nan), ImportConfig(**CALIBRATED))
    with pytest.raises(ConfigError, match=r"import\.pixel_size"):
        ImportConfig(pixel_siz=1.0)


def test_settings_of_simulations_have_no_meaning_for_a_table(plain: pd.DataFrame) -> None:
    with pytest.raises(ConfigError, match=r"import\.timestep for spots\.csv, a table of tracks"):
        import_table(plain, ImportConfig(**CALIBRATED, timestep=0.005), name="spots.csv")
