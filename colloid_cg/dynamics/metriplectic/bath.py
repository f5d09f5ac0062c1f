"""A solvent or substrate at fixed temperature: friction against it and heat exchanged with it."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from colloid_cg.errors import InputError


@dataclass(frozen=True, kw_only=True, eq=False)
class Bath:
    """M_b = Gamma g g^T, g = (1/m on v_i, -v_i/T0 on S_b), and heat C_b^2 c c^T, c = (1/T_i on S_i, -1/T0 on S_b).

    Parameters
    ----------
    temperature : float
        T0.
    friction : tensor, shape (n_species,)
        Gamma, so that Gamma/T0 is the mechanical friction.
    heat : tensor, shape (n_species,)
        C_b^2 >= 0; with zero T_i never meets T0.
    """

    temperature: float
    friction: torch.Tensor
    heat: torch.Tensor

    def __post_init__(self) -> None:
        if not self.temperature > 0 or bool((self.friction < 0).any()) or bool((self.heat < 0).any()):
            raise InputError(
                f"a bath at T0 = {self.temperature}, friction {self.friction.tolist()}, heat {self.heat.tolist()}",
                expected="T0 > 0, friction >= 0, heat >= 0",
                action="check the bath",
            )
