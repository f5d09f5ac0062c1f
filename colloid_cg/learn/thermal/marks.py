"""Marks of what a checkpoint of a fit with hidden energies belongs to."""

from __future__ import annotations

import hashlib

import torch

from colloid_cg.dynamics.metriplectic.model import BodyForce
from colloid_cg.learn.thermal.config import ThermalFitConfig
from colloid_cg.learn.thermal.observed import Observed
from colloid_cg.provenance import sha256_of_json

_LATER = {"rounds", "patience", "time_blocks", "refit_rounds"}
"""Settings that do not change what a round makes: when to stop, and the refits, which have a mark of their own."""


def mark_of(observed: Observed, config: ThermalFitConfig, body: BodyForce | None, *, n_train: int, seed: int) -> str:
    """Return a digest of all that the rounds of a fit depend on: data, body force, settings, blocks and seed."""
    settings = {name: value for name, value in config.as_dict().items() if name not in _LATER}
    cell = observed.neighbours[0].cell.box
    about = {
        "settings": settings, "n_train": n_train, "seed": seed, "interval": observed.interval,
        "box": [list(cell.lower), list(cell.upper), list(cell.periodic)],
    }  # fmt: skip
    forces = [] if body is None else [observed.body_force(body, [0, observed.n_frames - 1])]
    arrays = [observed.positions, observed.velocities, observed.species, observed.masses, *forces]
    return sha256_of_json(about | {"arrays": [_digest(array) for array in arrays]})


def mark_of_refit(mark: str, best: dict[str, torch.Tensor], frames: list[int], rounds: int) -> str:
    """Return a digest of what a refit depends on: the fit, the parameters it starts from, its frames and rounds."""
    numbers = {name: _digest(value) for name, value in best.items()}
    return sha256_of_json({"fit": mark, "best": numbers, "frames": frames, "rounds": rounds})


def _digest(values: torch.Tensor) -> str:
    array = values.detach().cpu().contiguous().numpy()
    return hashlib.sha256(f"{array.dtype} {array.shape} ".encode() + array.tobytes()).hexdigest()
