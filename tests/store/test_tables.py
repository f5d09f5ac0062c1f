"""Reading tables that other programs wrote."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from colloid_cg.errors import InputError
from colloid_cg.store.tables import read_foreign_table


@pytest.fixture
def table() -> pd.DataFrame:
    return pd.DataFrame({"frame": [0, 1, 1], "particle": [0, 0, 1], "x": [1.5, 1.25, 8.0], "y": [2.0, 2.5, 9.0]})


@pytest.mark.parametrize(("name", "separator"), [("a.csv", ","), ("b.csv", ";"), ("c.tsv", "\t"), ("d.txt", " ")])
def test_text_tables(tmp_path: Path, table: pd.DataFrame, name: str, separator: str) -> None:
    table.to_csv(tmp_path / name, sep=separator, index=False, encoding="utf-8-sig")
    read, info = read_foreign_table(tmp_path / name)
    pd.testing.assert_frame_equal(read, table)
    assert info == {"format": "csv", "files": [name], "n_rows": 3}


def test_parquet(tmp_path: Path, table: pd.DataFrame) -> None:
    table.to_parquet(tmp_path / "tracks.parquet")
    read, info = read_foreign_table(tmp_path / "tracks.parquet")
    pd.testing.assert_frame_equal(read, table)
    assert info["format"] == "parquet"


def frame_file(folder: Path, name: str, rows: list[list[float]]) -> None:
    np.savetxt(folder / f"{name}_ParticleData.dlm", np.array(rows), delimiter=",")


def test_folder_of_frames(tmp_path: Path) -> None:
    frame_file(tmp_path, "B", [[1, 11.0, 20.0, 30.0, 0.5], [2, 60.0, 20.0, 19.0, 0.0]])
    frame_file(tmp_path, "A", [[1, 10.0, 20.0, 29.0, 0.1], [2, 60.0, 21.0, 26.0, 0.2], [3, 5.0, 5.0, 20.0, 0.0]])
    frame_file(tmp_path, "C", [[2, 60.0, 22.0, 20.0, 0.0]])
    read, info = read_foreign_table(tmp_path)
    assert list(read.columns) == ["frame", "particle", "x", "y", "size", "force", "species"]
    assert read["frame"].tolist() == [0, 0, 0, 1, 1, 2]
    assert read["x"].tolist() == [10.0, 60.0, 5.0, 11.0, 60.0, 60.0]
    # particle 2 is once taken for a large one: its median radius decides
    assert read.groupby("particle")["species"].first().to_dict() == {1: 1, 2: 0, 3: 0}
    assert (read.groupby("particle")["species"].nunique() == 1).all()
    assert info["files"] == [f"{name}_ParticleData.dlm" for name in "ABC"]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty.csv", "", r"empty\.csv, which cannot be read as csv"),
        ("header.csv", "frame,particle,x,y\n", r"no rows in header\.csv"),
        ("broken.parquet", "PAR1 not really", r"broken\.parquet, which cannot be read as parquet"),
        ("tracks.xlsx", "x", r"\.xlsx \(tracks\.xlsx\); expected one of \.csv"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, name: str, content: str, words: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=words):
        read_foreign_table(tmp_path / name)


def test_missing_paths_and_folders(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no file"):
        read_foreign_table(tmp_path / "nowhere.csv")
    with pytest.raises(InputError, match=r"ParticleData\.dlm in the folder"):
        read_foreign_table(tmp_path)
    frame_file(tmp_path, "A", [[1, 2, 3]])
    with pytest.raises(InputError, match=r"1 rows of 3 columns in A_ParticleData\.dlm"):
        read_foreign_table(tmp_path)
    (tmp_path / "A_ParticleData.dlm").write_text("1,2,three,4,5\n")
    with pytest.raises(InputError, match="no table of numbers"):
        read_foreign_table(tmp_path)


@pytest.mark.parametrize("suffix", [".h5", ".hdf5", ".pkl", ".pickle"])
def test_files_that_could_execute_code_are_refused_unread(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"tracks{suffix}").write_bytes(b"")
    with pytest.raises(InputError, match=r"pickled code.*to_parquet"):
        read_foreign_table(tmp_path / f"tracks{suffix}")


@pytest.mark.data
def test_jammed_discs(data: Path) -> None:
    table, info = read_foreign_table(data / "jammed_shear")
    assert table["frame"].nunique() == 14
    assert table["particle"].nunique() == 826
    assert len(table) == 14 * 826
    assert info["species_radius"] == pytest.approx([20.0, 29.0], abs=1.5)
    share = table.groupby("particle")["species"].first().mean()
    assert 0.3 < share < 0.7
    first = table[(table["frame"] == 0) & (table["particle"] == 1)].iloc[0]
    assert first[["x", "y", "size", "force"]].tolist() == [121.0, 1563.5, 30.0, 0.0]
