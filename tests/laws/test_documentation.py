"""The examples of the documentation run as they stand."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

from colloid_cg.testing import energy, metriplectic, strategies

PAGE = Path(__file__).resolve().parents[2] / "docs" / "testing_kit.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)


@pytest.mark.parametrize("code", BLOCKS)
def test_examples_of_the_page(code: str) -> None:
    exec(compile(code, str(PAGE), "exec"), {})


@pytest.mark.parametrize("module", [energy, metriplectic, strategies])
def test_examples_of_the_docstrings(module) -> None:
    result = doctest.testmod(module)
    assert result.attempted > 2
    assert result.failed == 0


def test_the_page_names_every_law() -> None:
    import colloid_cg.testing as kit

    page = PAGE.read_text(encoding="utf-8")
    assert len(BLOCKS) == 2
    assert [name for name in kit.__all__ if name.startswith("assert_") and f"`{name}`" not in page] == []
