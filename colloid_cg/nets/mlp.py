"""Multilayer perceptrons, initialised from a private random stream."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import nn

from colloid_cg.errors import ConfigError

ACTIVATIONS: dict[str, type[nn.Module]] = {"silu": nn.SiLU, "tanh": nn.Tanh, "softplus": nn.Softplus}
"""Smooth activations only: what is differentiated for forces must have continuous derivatives."""


def mlp(
    sizes: Sequence[int],
    *,
    generator: torch.Generator,
    activation: str = "silu",
    zero_last: bool = False,
    dtype: torch.dtype = torch.float64,
) -> nn.Sequential:
    """Return a multilayer perceptron with layers of the given sizes, the last one linear.

    Weights are uniform in +-sqrt(1 / inputs), biases zero.

    Parameters
    ----------
    sizes : sequence of int
        Inputs, hidden layers, outputs; at least two numbers.
    generator : torch.Generator
        Source of the initial weights.
    activation : {"silu", "tanh", "softplus"}
    zero_last : bool
        Start with a last layer of zeros: the network is the zero function until it is trained.
    dtype : torch.dtype

    Raises
    ------
    ConfigError
        If fewer than two sizes are given, one is not positive, or the activation is unknown.
    """
    if len(sizes) < 2 or min(sizes) < 1:
        raise ConfigError(
            f"layer sizes {list(sizes)}",
            expected="at least two positive numbers: inputs, hidden layers, outputs",
            action="correct the sizes of the network",
        )
    if activation not in ACTIVATIONS:
        raise ConfigError(
            f"the activation {activation!r}", expected=f"one of {sorted(ACTIVATIONS)}", action="choose one of them"
        )
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [_linear(inputs, outputs, generator=generator, dtype=dtype), ACTIVATIONS[activation]()]
    layers.pop()
    if zero_last:
        nn.init.zeros_(cast(nn.Linear, layers[-1]).weight)
    return nn.Sequential(*layers)


class SkipNetwork(nn.Module):
    """A linear map plus a perceptron that starts at zero: before training it is exactly the linear map.

    Parameters
    ----------
    matrix : tensor, shape (outputs, inputs)
        Initial linear map (trained along with the rest).
    hidden : sequence of int
        Sizes of the hidden layers.
    generator : torch.Generator
    """

    def __init__(self, matrix: torch.Tensor, *, hidden: Sequence[int], generator: torch.Generator) -> None:
        super().__init__()
        outputs, inputs = matrix.shape
        self.linear = _linear(inputs, outputs, generator=generator, dtype=matrix.dtype)
        with torch.no_grad():
            self.linear.weight.copy_(matrix)
        self.residual = mlp((inputs, *hidden, outputs), generator=generator, zero_last=True, dtype=matrix.dtype)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Return linear(values) + residual(values), shape (n, outputs)."""
        return cast(torch.Tensor, self.linear(values) + self.residual(values))


def _linear(inputs: int, outputs: int, *, generator: torch.Generator, dtype: torch.dtype) -> nn.Linear:
    # skip_init: the usual constructor would draw from torch's global random stream.
    layer = cast(nn.Linear, nn.utils.skip_init(nn.Linear, inputs, outputs, dtype=dtype))  # type: ignore[no-untyped-call]
    bound = math.sqrt(1.0 / inputs)
    with torch.no_grad():
        layer.weight.copy_((2.0 * torch.rand(outputs, inputs, generator=generator, dtype=dtype) - 1.0) * bound)
        layer.bias.zero_()
    return layer
