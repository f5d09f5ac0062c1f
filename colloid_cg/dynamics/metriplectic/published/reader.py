"""Reader of the trained weights of arXiv:2508.12569: params.pt and args.json of one folder."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from colloid_cg.dynamics.metriplectic.published.networks import (
    Layers,
    PublishedEnergy,
    PublishedKernel,
    PublishedPairFunction,
)
from colloid_cg.errors import InputError
from colloid_cg.store.foreign_model import read_settings, read_torch_tensors

SIGNS_OF_S_AND_V = (1, -1)
"""U rises with the first input, S, and falls with the second, V."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PublishedModel:
    """The functions and constants of one published model, all in its own units.

    Parameters
    ----------
    energy : PublishedEnergy
        U(S, V) of one particle, V = 1/d with d_i = W(0) + sum_j W(r_ij/h).
    kernel : PublishedKernel
        W(s), s = r/h.
    shear, bulk, heat : PublishedPairFunction
        a, b, c with A_ij = a(s, T_i) a(s, T_j) and so on: gamma_perp = A^2/2, gamma_par = A^2 (1 - 1/D) + B^2/D,
        C2 = C^2.
    k_B, mass : float
        Boltzmann constant and mass of one particle, both learned.
    cutoff : float
        h, the distance from which on no pair interacts.
    box_size : float
        Edge of the cubic periodic box, as given for training (may be rounded: take the data's own where known).
    dt : float
        Time step of training.
    dimension : int
        D.
    """

    energy: PublishedEnergy
    kernel: PublishedKernel
    shear: PublishedPairFunction
    bulk: PublishedPairFunction
    heat: PublishedPairFunction
    k_B: float
    mass: float
    cutoff: float
    box_size: float
    dt: float
    dimension: int

    def to(self, *, dtype: torch.dtype, device: torch.device) -> Self:
        """Return the same model with its weights in another precision or on another device."""
        return replace(
            self,
            energy=PublishedEnergy(layers=self.energy.layers.to(dtype=dtype, device=device)),
            kernel=PublishedKernel(layers=self.kernel.layers.to(dtype=dtype, device=device)),
            shear=PublishedPairFunction(layers=self.shear.layers.to(dtype=dtype, device=device)),
            bulk=PublishedPairFunction(layers=self.bulk.layers.to(dtype=dtype, device=device)),
            heat=PublishedPairFunction(layers=self.heat.layers.to(dtype=dtype, device=device)),
        )


def read_published(folder: Path | str, *, dimension: int = 3) -> PublishedModel:
    """Read a published model, in double precision on the processor.

    The encoder of the entropies ("teacher") is checked for its presence only: the dynamics do not use it.

    Parameters
    ----------
    folder : path
        Holds params.pt and args.json.
    dimension : int
        D of the data the model was trained on; the files do not say.

    Raises
    ------
    InputError
        If a file is missing or damaged, a setting is missing or impossible, a weight is missing, left over, of another
        shape or not finite.
    """
    if dimension not in (2, 3):
        raise InputError(f"the dimension {dimension!r}", expected="2 or 3", action="give that of the training data")
    settings = read_settings(Path(folder) / "args.json")
    hidden, width = (_count(settings, name) for name in ("n_hidden", "dim_hidden"))
    constants = {name: _positive(settings, key) for name, key in _CONSTANTS.items()}
    tensors = read_torch_tensors(Path(folder) / "params.pt")
    _check(tensors, _expected_shapes(hidden, width))
    weights = {name: tensor.to(torch.float64) for name, tensor in tensors.items()}
    indices = range(0, 2 * hidden + 1, 2)
    return PublishedModel(
        energy=PublishedEnergy(layers=_layers(weights, "model_U_vol", range(hidden + 1))),
        kernel=PublishedKernel(layers=_layers(weights, "model_W.MLP", indices)),
        shear=PublishedPairFunction(layers=_layers(weights, "model_A", indices)),
        bulk=PublishedPairFunction(layers=_layers(weights, "model_B", indices)),
        heat=PublishedPairFunction(layers=_layers(weights, "model_C", indices)),
        k_B=_exponential(weights, "log_k_B"),
        mass=_exponential(weights, "log_m"),
        dimension=dimension,
        **constants,
    )


_CONSTANTS = {"cutoff": "h", "box_size": "boxsize", "dt": "dt"}
# The entries m and k_B of args.json are only where the training started: the learned values are in params.pt.

_INPUTS = {"model_W.MLP": 1, "model_A": 2, "model_B": 2, "model_C": 2, "teacher": None}
# The inputs of the encoder depend on the data set: any number will do.


def _expected_shapes(hidden: int, width: int) -> dict[str, tuple[int | None, ...]]:
    """Return the shape of every tensor of params.pt; None stands for any number."""
    shapes: dict[str, tuple[int | None, ...]] = {"log_k_B": (), "log_m": (), "model_U_vol.t": (2,)}
    for network, inputs, stride in [("model_U_vol", 2, 1), *((name, inputs, 2) for name, inputs in _INPUTS.items())]:
        # Between two linear layers of a plain perceptron its activation takes an index of its own.
        for layer in range(hidden + 1):
            name = f"{network}.layers.{stride * layer}"
            outputs = width if layer < hidden else 1
            shapes[f"{name}.weight"] = (outputs, width if layer else inputs)
            shapes[f"{name}.bias"] = (outputs,)
    return shapes


def _check(tensors: dict[str, Tensor], shapes: dict[str, tuple[int | None, ...]]) -> None:
    for found, wanted, what in ((shapes, tensors, "missing"), (tensors, shapes, "left over")):
        if names := sorted(set(found) - set(wanted)):
            raise InputError(
                f"params.pt with {', '.join(names)} {what}",
                expected="the weights of a model of arXiv:2508.12569 with the layers that args.json names",
                action="take params.pt and args.json from the same published model",
            )
    for name, shape in shapes.items():
        _check_tensor(name, tensors[name], shape)
    if tuple(tensors["model_U_vol.t"].tolist()) != SIGNS_OF_S_AND_V:
        raise InputError(
            f"model_U_vol.t = {tensors['model_U_vol.t'].tolist()}",
            expected=f"{list(SIGNS_OF_S_AND_V)}: an energy that rises with S and falls with V",
            action="take a model whose energy depends on entropy and volume",
        )


def _check_tensor(name: str, tensor: Tensor, shape: tuple[int | None, ...]) -> None:
    sizes = tuple(tensor.shape)
    if len(sizes) != len(shape) or any(want not in (None, size) for size, want in zip(sizes, shape, strict=True)):
        raise InputError(
            f"{name} of shape {sizes} in params.pt",
            expected=f"shape {tuple('any' if want is None else want for want in shape)}",
            action="take params.pt and args.json from the same published model",
        )
    if not tensor.is_floating_point() and name != "model_U_vol.t":
        raise InputError(
            f"{name} of type {tensor.dtype}", expected="floating-point weights", action="take the published file"
        )
    if not bool(torch.isfinite(tensor).all()):
        raise InputError(
            f"{name} with values that are not finite", expected="finite weights", action="take another training state"
        )


def _layers(weights: dict[str, Tensor], network: str, indices: range) -> Layers:
    return Layers(
        weights=tuple(weights[f"{network}.layers.{index}.weight"] for index in indices),
        biases=tuple(weights[f"{network}.layers.{index}.bias"] for index in indices),
    )


def _exponential(weights: dict[str, Tensor], name: str) -> float:
    """Return e to the power of a learned logarithm, so that the constant is positive."""
    value = float(torch.exp(weights[name]))
    if not (math.isfinite(value) and value > 0.0):
        raise InputError(
            f"{name} = {float(weights[name])}",
            expected="a logarithm of a finite positive number",
            action="take another training state",
        )
    return value


def _positive(settings: dict[str, Any], key: str) -> float:
    value = _setting(settings, key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not (0.0 < value < math.inf):
        raise InputError(
            f"{key} = {value!r} in args.json", expected="a finite number above 0", action="correct the file"
        )
    return float(value)


def _count(settings: dict[str, Any], key: str) -> int:
    value = _setting(settings, key)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InputError(
            f"{key} = {value!r} in args.json", expected="a whole number of at least 1", action="correct the file"
        )
    return value


def _setting(settings: dict[str, Any], key: str) -> Any:
    if key not in settings:
        raise InputError(
            f"args.json without {key!r}",
            expected="the settings that the model was trained with",
            action="take the args.json that was published with params.pt",
        )
    return settings[key]
