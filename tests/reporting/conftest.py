"""One synthetic run, drawn in full only once."""

from __future__ import annotations

import pytest

from colloid_cg.reporting import ReportContent, render, write
from tests.reporting.synthetic import complete


@pytest.fixture(scope="session")
def content() -> ReportContent:
    return complete()


@pytest.fixture(scope="session")
def rendered(content: ReportContent) -> tuple[str, dict[str, bytes]]:
    return render(content)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Build every figure but leave out the pixels, the slow part."""
    monkeypatch.setattr(write, "png_bytes", lambda figure: b"\x89PNG" + str(len(figure.axes)).encode())
