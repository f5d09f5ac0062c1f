"""The learned functions of arXiv:2508.12569, U(S, V), a(s, T) and W(s), each with its derivatives written out.

Everything is in the units of the published model (k_B and mass are numbers that come with the weights) and made of
torch operations, so automatic differentiation goes through as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Self, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import linear, logsigmoid

Values: TypeAlias = Float[Tensor, " n"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Layers:
    """Weights and offsets of a perceptron, from its inputs to its single output.

    Parameters
    ----------
    weights : tuple of tensor, shapes (outputs, inputs)
    biases : tuple of tensor, shapes (outputs,)
    """

    weights: tuple[Tensor, ...]
    biases: tuple[Tensor, ...]

    def to(self, *, dtype: torch.dtype, device: torch.device) -> Self:
        """Return the same layers in another precision or on another device; itself where nothing changes."""
        if all((tensor.dtype, tensor.device) == (dtype, device) for tensor in (*self.weights, *self.biases)):
            return self
        return type(self)(
            weights=tuple(tensor.to(device=device, dtype=dtype) for tensor in self.weights),
            biases=tuple(tensor.to(device=device, dtype=dtype) for tensor in self.biases),
        )


class EnergyValues(NamedTuple):
    """U and its derivatives, each of shape (n,): T = U_S, P = -U_V, C_V = T/U_SS."""

    U: Tensor
    U_S: Tensor
    U_SS: Tensor
    U_V: Tensor
    U_SV: Tensor


class FunctionValues(NamedTuple):
    """A function and its derivative by one argument, each of shape (n,)."""

    value: Tensor
    slope: Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class PublishedEnergy:
    """Internal energy of a particle, U(S, V): rising and convex in S, falling and convex in V, for any weights.

    With z_1 = |W_1| (S, -V) + b_1, z_k = |W_k| softplus(z_{k-1}) + b_k, the last z is U: sums with weights >= 0 of
    convex rising functions are convex and rising, and V enters with its sign turned.

    Notes
    -----
    The softplus is ln(1 + e^z) at every z; implementations that switch to z above 20 differ by at most 2e-9 there.
    """

    layers: Layers

    def evaluate(self, S: Values, V: Values) -> EnergyValues:
        """Return U, U_S, U_SS, U_V, U_SV at entropies ``S`` and volumes ``V`` = 1/d, shapes (n,)."""
        layers = self.layers.to(dtype=S.dtype, device=S.device)
        weights = [weight.abs() for weight in layers.weights]
        rate_S, minus_rate_V = weights[0].unbind(dim=1)
        z = linear(torch.stack([S, -V], dim=1), weights[0], layers.biases[0])
        z_S, z_V = rate_S.expand_as(z), -minus_rate_V.expand_as(z)
        z_SS, z_SV = torch.zeros_like(z), torch.zeros_like(z)
        for weight, bias in zip(weights[1:], layers.biases[1:], strict=True):
            value, slope, curvature = _softplus(z)
            z = linear(value, weight, bias)
            # Chain rule, second derivatives before the first ones that they need are replaced.
            z_SS = linear(curvature * z_S * z_S + slope * z_SS, weight)
            z_SV = linear(curvature * z_S * z_V + slope * z_SV, weight)
            z_S, z_V = linear(slope * z_S, weight), linear(slope * z_V, weight)
        return EnergyValues(*(field[:, 0] for field in (z, z_S, z_SS, z_V, z_SV)))


@dataclass(frozen=True, kw_only=True, eq=False)
class PublishedPairFunction:
    """One particle's factor a(s, T) of a pair coefficient A_ij = a(s, T_i) a(s, T_j); a SiLU perceptron of either sign.

    It is not forced to vanish at the cut-off s = 1.
    """

    layers: Layers

    def evaluate(self, s: Values, T: Values) -> FunctionValues:
        """Return a and da/dT at distances ``s`` = r/h and temperatures ``T``, shapes (p,)."""
        return FunctionValues(*_silu_perceptron(self.layers, torch.stack([s, T], dim=1), along=1))


@dataclass(frozen=True, kw_only=True, eq=False)
class PublishedKernel:
    """Kernel of the local density, W(s) = exp(n(s)) (1 - s^2) below the cut-off s = 1 and zero from there on.

    W has a corner at the cut-off, dW/ds = -2 exp(n(1)) just below, so forces jump there. d_i includes W(0).
    """

    layers: Layers

    def evaluate(self, s: Values) -> FunctionValues:
        """Return W and dW/ds at distances ``s`` = r/h, shape (p,)."""
        exponent, exponent_slope = _silu_perceptron(self.layers, s[:, None], along=0)
        amplitude = torch.exp(exponent)
        value = amplitude * (1.0 - s * s)
        slope = exponent_slope * value - 2.0 * s * amplitude
        outside, nothing = s >= 1.0, torch.zeros_like(s)
        return FunctionValues(torch.where(outside, nothing, value), torch.where(outside, nothing, slope))


def _silu_perceptron(layers: Layers, inputs: Tensor, *, along: int) -> tuple[Tensor, Tensor]:
    """Return the perceptron and its derivative by input column ``along``, shapes (n,); inputs (n, columns)."""
    layers = layers.to(dtype=inputs.dtype, device=inputs.device)
    z = linear(inputs, layers.weights[0], layers.biases[0])
    z_x = layers.weights[0][:, along].expand_as(z)
    for weight, bias in zip(layers.weights[1:], layers.biases[1:], strict=True):
        sigmoid = torch.sigmoid(z)
        value, slope = z * sigmoid, sigmoid * (1.0 + z * (1.0 - sigmoid))
        z, z_x = linear(value, weight, bias), linear(slope * z_x, weight)
    return z[:, 0], z_x[:, 0]


def _softplus(z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return ln(1 + e^z) and its first two derivatives."""
    sigmoid = torch.sigmoid(z)
    # sigmoid(-z), not 1 - sigmoid: the difference loses every digit at large z.
    return -logsigmoid(-z), sigmoid, sigmoid * torch.sigmoid(-z)
