"""Weights of a torch module as plain arrays, and back: what safetensors files hold."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from colloid_cg.errors import InputError


def to_arrays(module: nn.Module, *, prefix: str = "") -> dict[str, np.ndarray]:
    """Return a copy of every weight of ``module`` by name, in the module's own precision."""
    return {prefix + name: tensor.detach().cpu().numpy().copy() for name, tensor in module.state_dict().items()}


def from_arrays(module: nn.Module, arrays: dict[str, np.ndarray], *, prefix: str = "") -> None:
    """Load the weights named ``prefix + name`` into ``module``, in place.

    Raises
    ------
    InputError
        If a weight is missing, left over, or of another shape.
    """
    found = {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
    wanted = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    if {name: array.shape for name, array in found.items()} != wanted:
        raise InputError(
            f"weights { ({name: array.shape for name, array in found.items()}) }",
            expected=f"weights {wanted}",
            action="load the file with the version and settings that wrote it",
        )
    module.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in found.items()})
