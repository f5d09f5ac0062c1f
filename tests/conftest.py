"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data() -> Path:
    """Folder of real data; absent data is a skip on a laptop and a failure in CI."""
    folder = os.environ.get("COLLOID_CG_DATA")
    if folder and Path(folder).is_dir():
        return Path(folder)
    message = "COLLOID_CG_DATA does not name a folder with the real data"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)
