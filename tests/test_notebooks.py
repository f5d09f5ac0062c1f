"""Each notebook and its text twin hold the same cells."""

from __future__ import annotations

from pathlib import Path

import jupytext
import pytest

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"


@pytest.mark.parametrize("name", [path.stem for path in sorted(NOTEBOOKS.glob("*.py"))])
def test_pairs_are_in_step(name: str) -> None:
    text, notebook = (jupytext.read(NOTEBOOKS / f"{name}{suffix}") for suffix in (".py", ".ipynb"))
    cells = [[(cell.cell_type, cell.source) for cell in content.cells] for content in (text, notebook)]
    assert cells[0] == cells[1]
    assert len(cells[0]) > 5
