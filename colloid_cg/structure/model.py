"""A fitted structure model as data: settings, weights and what was found while fitting."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from colloid_cg.errors import InputError
from colloid_cg.nets import SkipNetwork, from_arrays
from colloid_cg.structure.config import StructureConfig
from colloid_cg.structure.neighbourhood import Neighbourhood


@dataclass(frozen=True, kw_only=True, eq=False)
class StructureModel:
    """Encoders from descriptors to hidden variables, one per species of the central particle.

    Parameters
    ----------
    config : StructureConfig
    weights : dict of float64 arrays
        ``species{a}.{mean, inverse_scale, latent_mean, latent_map, encoder.*, decoder.*}``.
    metadata : dict
        JSON-able: ``neighbourhood`` (resolved lengths), ``lag``, ``blocks``, ``descriptors``, ``seed`` and per species
        ``species`` -> rows, epochs, scores of the network and of the linear baseline, gauge and collapse check.
    """

    config: StructureConfig
    weights: dict[str, np.ndarray]
    metadata: dict[str, Any]

    def __post_init__(self) -> None:
        for name, array in self.weights.items():
            if not np.isfinite(array).all():
                raise InputError(
                    f"NaN or infinite weights in {name}",
                    expected="finite weights",
                    action="fit again with a lower structure.learning_rate",
                )
        if "neighbourhood" not in self.metadata:
            raise InputError(
                "a structure model without its neighbourhood",
                expected="metadata written by fit_structure",
                action="store weights and document together",
            )

    @property
    def neighbourhood(self) -> Neighbourhood:
        """Resolved lengths of the neighbourhood."""
        return Neighbourhood(**self.metadata["neighbourhood"])

    @property
    def latents(self) -> int:
        """Number of hidden variables."""
        chosen = self.metadata.get("latents", self.config.latents)
        return int(chosen)

    @property
    def species(self) -> tuple[int, ...]:
        """Species that have an encoder."""
        return tuple(sorted(int(name) for name, found in self.metadata["species"].items() if "left_out" not in found))

    def to_arrays(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return the weights and a JSON-able document, for the store to write."""
        return dict(self.weights), {"config": self.config.as_dict(), "metadata": self.metadata}

    @classmethod
    def from_arrays(cls, weights: dict[str, np.ndarray], document: dict[str, Any]) -> StructureModel:
        """Return the model that :meth:`to_arrays` took apart."""
        return cls(
            config=StructureConfig.parse(document["config"]), weights=dict(weights), metadata=document["metadata"]
        )

    @cached_property
    def _encoders(self) -> dict[int, SkipNetwork]:
        """Networks of the species, made once: rollouts encode every few time steps."""
        made = {}
        for species in self.species:
            prefix = f"species{species}."
            blank = torch.zeros(self.latents, len(self.weights[prefix + "mean"]), dtype=torch.float64)
            made[species] = SkipNetwork(blank, hidden=self.config.hidden, generator=torch.Generator())
            from_arrays(made[species], self.weights, prefix=prefix + "encoder.")
        return made

    def encoded(self, values: np.ndarray, *, species: int) -> np.ndarray:
        """Return s, shape (n, k), of what the encoder sees, shape (n, p), around particles of one species.

        Run inside :func:`colloid_cg.nets.single_thread` for repeatable bytes.
        """
        prefix = f"species{species}."
        mean, inverse = self.weights[prefix + "mean"], self.weights[prefix + "inverse_scale"]
        with torch.no_grad():
            code = self._encoders[species](torch.from_numpy((values - mean) * inverse)).numpy()
        centred = code - self.weights[prefix + "latent_mean"]
        # An explicit sum over k terms: no linear algebra library, whose threads could change the last bit.
        return np.asarray((centred[:, None, :] * self.weights[prefix + "latent_map"][None]).sum(axis=-1))
