"""A small model in the published format with random weights."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

SETTINGS = {"h": 1.5, "boxsize": 6.0, "dt": 0.01, "n_hidden": 2, "dim_hidden": 7, "m": 1.0, "k_B": 1.0}


def random_parameters(*, hidden: int = 2, width: int = 7, seed: int = 5) -> dict[str, Tensor]:
    """Weights of every network of the published model, float32 as published."""
    generator = torch.Generator().manual_seed(seed)
    inputs = {"model_W.MLP": 1, "teacher": 4, "model_A": 2, "model_B": 2, "model_C": 2, "model_U_vol": 2}
    parameters = {"log_k_B": torch.tensor(-3.0), "log_m": torch.tensor(0.5), "model_U_vol.t": torch.tensor([1, -1])}
    for network, columns in inputs.items():
        for layer in range(hidden + 1):
            index = layer if network == "model_U_vol" else 2 * layer
            rows = width if layer < hidden else 1
            parameters[f"{network}.layers.{index}.weight"] = torch.randn(rows, columns, generator=generator)
            parameters[f"{network}.layers.{index}.bias"] = torch.randn(rows, generator=generator)
            columns = rows
    return parameters


@pytest.fixture
def published_folder(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a model; its arguments change or (None) drop tensors and settings."""

    def write(
        *, tensors: dict[str, Any] | None = None, settings: dict[str, Any] | None = None, hidden: int = 2
    ) -> Path:
        parameters = {**random_parameters(hidden=hidden), **(tensors or {})}
        content = {**SETTINGS, "n_hidden": hidden, **(settings or {})}
        torch.save({name: tensor for name, tensor in parameters.items() if tensor is not None}, tmp_path / "params.pt")
        kept = {name: value for name, value in content.items() if value is not None}
        (tmp_path / "args.json").write_text(json.dumps(kept))
        return tmp_path

    return write
