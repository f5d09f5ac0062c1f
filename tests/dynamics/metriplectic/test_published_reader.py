"""What the reader of published weights refuses, and what it takes."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from colloid_cg.dynamics.metriplectic.published.reader import read_published
from colloid_cg.errors import InputError

Folder = Callable[..., Path]


def test_good_files(published_folder: Folder) -> None:
    model = read_published(published_folder(settings={"note": "settings of no concern here may stay"}), dimension=2)
    assert model.k_B == pytest.approx(math.exp(-3.0), rel=1e-15)
    assert model.mass == pytest.approx(math.exp(0.5), rel=1e-15)
    assert (model.cutoff, model.box_size, model.dt, model.dimension) == (1.5, 6.0, 0.01, 2)
    assert [weight.dtype for weight in model.energy.layers.weights] == [torch.float64] * 3


def test_networks_are_not_mixed_up(published_folder: Folder) -> None:
    """Each network of the file ends up under its own name: its last offset shifts that function alone."""
    plain = read_published(published_folder())
    s, T = torch.tensor([0.4]).double(), torch.tensor([1.3]).double()
    for key, field in (("model_A", "shear"), ("model_B", "bulk"), ("model_C", "heat")):
        folder = published_folder(tensors={f"{key}.layers.4.bias": torch.tensor([10.0])})
        changed = read_published(folder)
        moved = {
            name
            for name in ("shear", "bulk", "heat")
            if getattr(changed, name).evaluate(s, T).value != getattr(plain, name).evaluate(s, T).value
        }
        assert moved == {field}


@pytest.mark.parametrize("name", ["args.json", "params.pt"])
def test_missing_file(published_folder: Folder, name: str) -> None:
    folder = published_folder()
    (folder / name).unlink()
    with pytest.raises(InputError, match=f"no file .*{name}"):
        read_published(folder)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"model_A.layers.2.bias": None}, "model_A.layers.2.bias missing"),
        ({"log_m": None}, "log_m missing"),
        ({"teacher.layers.0.weight": None}, "teacher.layers.0.weight missing"),
        ({"model_D.layers.0.bias": torch.zeros(7)}, "model_D.layers.0.bias left over"),
        ({"model_A.layers.2.bias": torch.zeros(8)}, r"model_A.layers.2.bias of shape \(8,\)"),
        ({"model_B.layers.0.weight": torch.zeros(7, 3)}, r"expected shape \(7, 2\)"),
        ({"model_C.layers.2.weight": torch.zeros(49)}, r"model_C.layers.2.weight of shape \(49,\)"),
        ({"log_k_B": torch.zeros(1)}, r"log_k_B of shape \(1,\)"),
        ({"model_W.MLP.layers.4.bias": torch.tensor([torch.nan])}, "model_W.MLP.layers.4.bias .* not finite"),
        ({"model_U_vol.layers.0.weight": torch.full((7, 2), torch.inf)}, "not finite"),
        ({"model_U_vol.layers.2.bias": torch.zeros(1, dtype=torch.int64)}, "of type torch.int64"),
        ({"model_U_vol.t": torch.tensor([1, 1])}, r"model_U_vol.t = \[1, 1\]"),
        ({"log_k_B": torch.tensor(2000.0)}, "log_k_B = 2000"),
        ({"log_m": torch.tensor(-2000.0)}, "log_m = -2000"),
        ({"log_m": 0.3}, "something else than tensors"),
    ],
)
def test_bad_weights(published_folder: Folder, tensors: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_published(published_folder(tensors=tensors))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"h": None}, "args.json without 'h'"),
        ({"dim_hidden": None}, "args.json without 'dim_hidden'"),
        ({"h": 0.0}, "h = 0.0"),
        ({"dt": -0.1}, "dt = -0.1"),
        ({"boxsize": float("nan")}, "boxsize = nan"),
        ({"boxsize": float("inf")}, "boxsize = inf"),
        ({"h": "1.5"}, "h = '1.5'"),
        ({"dt": True}, "dt = True"),
        ({"n_hidden": 2.0}, "n_hidden = 2.0"),
        ({"n_hidden": 0}, "n_hidden = 0"),
        ({"dim_hidden": True}, "dim_hidden = True"),
        ({"dim_hidden": 8}, "of shape"),
        ({"n_hidden": 1}, "left over"),
        ({"n_hidden": 3}, "missing"),
    ],
)
def test_bad_settings(published_folder: Folder, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_published(published_folder(settings=settings))


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"{'h': 1}", "not valid JSON"), (b"", "not valid JSON"), (b"\xff\xfe\x00", "not valid JSON"), (b"[1]", "a list")],
)
def test_damaged_settings(published_folder: Folder, content: bytes, message: str) -> None:
    folder = published_folder()
    (folder / "args.json").write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_published(folder)


class Trap:
    """Runs code when unpickled by a reader that trusts its files."""

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (Path("trap_sprung"),))


@pytest.mark.parametrize("kind", ["empty", "text", "cut", "list", "code", "plain pickle"])
def test_damaged_weights(published_folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.chdir(tmp_path)
    path = published_folder() / "params.pt"
    whole = path.read_bytes()
    if kind in ("list", "code"):
        torch.save([torch.zeros(2)] if kind == "list" else {"log_m": Trap()}, path)
    else:
        path.write_bytes(
            {
                "empty": b"",
                "text": b"not weights",
                "cut": whole[: len(whole) // 2],
                "plain pickle": pickle.dumps(Trap(), protocol=2),
            }[kind]
        )
    with pytest.raises(InputError, match=r"params\.pt"):
        read_published(tmp_path)
    assert not (tmp_path / "trap_sprung").exists()


def test_damaged_bits(published_folder: Folder) -> None:
    """A wrong bit is reported or leaves weights that can be used; it never shows as an error of torch."""
    folder = published_folder()
    whole = (folder / "params.pt").read_bytes()
    generator = np.random.default_rng(11)
    refused = 0
    for position in generator.integers(0, len(whole), 150):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << int(generator.integers(8))
        (folder / "params.pt").write_bytes(damaged)
        try:
            read_published(folder)
        except InputError:
            refused += 1
    assert refused > 15


@pytest.mark.parametrize("dimension", [1, 4, 2.5])
def test_bad_dimension(published_folder: Folder, dimension: Any) -> None:
    with pytest.raises(InputError, match="the dimension"):
        read_published(published_folder(), dimension=dimension)
