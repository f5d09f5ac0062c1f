"""Models (safetensors, JSON, CSV) and rollouts (zarr); nothing is ever pickled."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from colloid_cg.errors import InputError
from colloid_cg.records import Box, Ledger, ModelBundle, Rollout
from colloid_cg.store.atomic import atomic_path, read_json, write_json

_MORE_TABLES = ("pair_friction", "equation_of_state")
"""Tables that only some models have, by the names of their fields and files."""


def write_model(folder: Path, model: ModelBundle) -> None:
    """Write RUN/model/: config.json, weights.safetensors, pair_force.csv, metrics.json, diagnostics.json.

    Models with pair friction between particles also have pair_friction.csv, those with hidden entropies
    equation_of_state.csv.
    """
    with atomic_path(folder, folder=True) as temporary:
        write_json(temporary / "config.json", model.config)
        write_weights(temporary / "weights.safetensors", model.weights)
        model.pair_force.to_csv(temporary / "pair_force.csv", index=False, float_format="%.10g")
        write_json(temporary / "metrics.json", model.metrics)
        write_json(temporary / "diagnostics.json", model.diagnostics)
        for name in _MORE_TABLES:
            table = getattr(model, name)
            if table is not None:
                table.to_csv(temporary / f"{name}.csv", index=False, float_format="%.10g")


def read_model(folder: Path) -> ModelBundle:
    """Read what :func:`write_model` wrote, validated again."""
    if not (folder / "weights.safetensors").is_file():
        raise InputError(f"no model in {folder}", expected="a fitted model", action="run 'colloid-cg fit' first")
    more = {name: folder / f"{name}.csv" for name in _MORE_TABLES}
    return ModelBundle(
        config=read_json(folder / "config.json"),
        weights=read_weights(folder / "weights.safetensors"),
        metrics=read_json(folder / "metrics.json"),
        pair_force=pd.read_csv(
            folder / "pair_force.csv", dtype=dict.fromkeys(("r", "force", "low90", "high90"), float)
        ),
        diagnostics=read_json(folder / "diagnostics.json"),
        **{name: pd.read_csv(path) for name, path in more.items() if path.is_file()},
    )


def write_weights(path: Path, weights: dict[str, np.ndarray]) -> None:
    """Write named arrays as safetensors, in name order."""
    from safetensors.numpy import save

    ordered = {name: np.ascontiguousarray(weights[name]) for name in sorted(weights)}
    with atomic_path(path) as temporary:
        temporary.write_bytes(save(ordered))


def read_weights(path: Path) -> dict[str, np.ndarray]:
    """Read named arrays from safetensors."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        return dict(load(path.read_bytes()))
    except SafetensorError as error:
        raise InputError(
            f"{path.name} that cannot be read ({error})",
            expected="a complete safetensors file",
            action="run the stage that makes it again",
        ) from error


def write_rollout(folder: Path, rollout: Rollout) -> None:
    """Write rollout.zarr: positions, observed, ledger and, where present, velocities and s."""
    import zarr

    with atomic_path(folder, folder=True) as temporary:
        group = zarr.open_group(temporary, mode="w")
        arrays = {
            "positions": rollout.positions,
            "observed": rollout.observed,
            "species": rollout.species,
            "velocities": rollout.velocities,
            "s": rollout.s,
            **{f"ledger/{account.name}": getattr(rollout.ledger, account.name) for account in fields(Ledger)},
        }
        for name, array in arrays.items():
            if array is not None:
                group.create_array(name, data=np.ascontiguousarray(array))
        box = rollout.box
        group.attrs.update(
            {
                "lower": list(box.lower),
                "upper": list(box.upper),
                "periodic": list(box.periodic),
                "frame_interval": rollout.frame_interval,
                "exposure": rollout.exposure,
                "metadata": rollout.metadata,
                "units": {
                    "positions": rollout.metadata.get("length_unit", "um"),
                    "frame_interval": rollout.metadata.get("time_unit", "s"),
                    "energy": "k_B T0",
                    "bath_entropy": "k_B",
                },
            }
        )


def read_rollout(folder: Path) -> Rollout:
    """Read what :func:`write_rollout` wrote, validated again."""
    import zarr

    if not folder.is_dir():
        raise InputError(f"no {folder.name}", expected="a simulated rollout", action="run 'colloid-cg simulate' first")
    group: Any = zarr.open_group(folder, mode="r")
    attributes = dict(group.attrs)

    def array(name: str) -> Any:
        return group[name][...] if name in group else None

    ledger = Ledger(**{account.name: array(f"ledger/{account.name}") for account in fields(Ledger)})
    return Rollout(
        positions=array("positions"),
        observed=array("observed"),
        species=array("species"),
        velocities=array("velocities"),
        s=array("s"),
        ledger=ledger,
        box=Box(
            lower=tuple(attributes["lower"]), upper=tuple(attributes["upper"]), periodic=tuple(attributes["periodic"])
        ),
        frame_interval=attributes["frame_interval"],
        exposure=attributes["exposure"],
        metadata=attributes["metadata"],
    )


def write_structure(folder: Path, weights: dict[str, np.ndarray], description: dict[str, Any]) -> None:
    """Write RUN/structure/: weights.safetensors and description.json of the autoencoder."""
    with atomic_path(folder, folder=True) as temporary:
        write_weights(temporary / "weights.safetensors", weights)
        write_json(temporary / "description.json", description)


def read_structure(folder: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read what :func:`write_structure` wrote."""
    if not (folder / "weights.safetensors").is_file():
        raise InputError(
            f"no structure model in {folder}", expected="a trained encoder", action="run 'colloid-cg structure' first"
        )
    return read_weights(folder / "weights.safetensors"), read_json(folder / "description.json")
