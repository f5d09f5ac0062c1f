"""Arrays from which a stopped pass goes on: whole, or none at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from colloid_cg.store import Kept


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_damaged_checkpoint_is_none(tmp_path: Path, share: float) -> None:
    kept = Kept(tmp_path)
    assert kept.load("round") is None
    kept.save("round", {"numbers": np.arange(5.0), "mark": np.array("abc")})
    found = kept.load("round")
    assert found is not None
    assert found["numbers"].tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]
    path = tmp_path / "round.npz"
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    assert kept.load("round") is None
