"""The layers of the design hold, and a wrong import is noticed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def _lint(root: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    return subprocess.run(
        command, cwd=root, env={**os.environ, "PYTHONPATH": str(root)}, capture_output=True, text=True
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "colloid_cg", tmp_path / "colloid_cg", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_layers_hold(copy: Path) -> None:
    result = _lint(copy)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    ("module", "statement"),
    [
        ("records/box.py", "import colloid_cg.store.atomic"),
        ("structure/__init__.py", "import colloid_cg.dynamics"),
        ("learn/__init__.py", "import trackpy"),
        ("twin/__init__.py", "import pint"),
        ("reporting/__init__.py", "import napari"),
    ],
)
def test_a_wrong_import_is_noticed(copy: Path, module: str, statement: str) -> None:
    path = copy / "colloid_cg" / module
    path.write_text(path.read_text(encoding="utf-8") + f"\n{statement}\n", encoding="utf-8")
    result = _lint(copy)
    assert result.returncode != 0
    assert "BROKEN" in result.stdout


def test_import_is_light() -> None:
    code = (
        "import sys, time; start = time.perf_counter(); import colloid_cg; elapsed = time.perf_counter() - start;"
        "heavy = {'torch', 'trackpy', 'cv2', 'pandas', 'matplotlib', 'numba', 'PyQt6', 'qtpy'} & set(sys.modules);"
        "assert not heavy, heavy; print(elapsed)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert result.returncode == 0, result.stderr
