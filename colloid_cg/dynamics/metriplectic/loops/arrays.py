"""When the loops can stand in for torch operations, and tensors as the arrays they read."""

from __future__ import annotations

import numpy as np
import torch
from torch.autograd import forward_ad

NOTHING = {dtype: np.zeros(0, dtype=name) for dtype, name in ((torch.float32, "f4"), (torch.float64, "f8"))}
"""Stands for a function that a model does not have."""


def usable(*tensors: torch.Tensor | None) -> bool:
    """Tell whether the loops can stand in: in main memory, and nobody asks for derivatives, backward or forward."""
    # torch.func has no public way to ask whether a transformation is under way.
    if torch._C._functorch.peek_interpreter_stack() is not None or forward_ad._current_level >= 0:
        return False
    recorded = torch.is_grad_enabled()
    return all(
        tensor is None or (tensor.is_cpu and tensor.dtype in NOTHING and not (recorded and tensor.requires_grad))
        for tensor in tensors
    )


def array(values: torch.Tensor) -> np.ndarray:
    """Return a tensor as an array that shares its memory where it can."""
    return values.detach().contiguous().numpy()


def optional(values: torch.Tensor | None, like: torch.Tensor) -> np.ndarray:
    """Return a tensor as an array; an empty one for None."""
    return NOTHING[like.dtype] if values is None else array(values)
