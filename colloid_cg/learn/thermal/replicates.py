"""Errors of a fit with hidden energies: refits without one block of time each (delete-a-group jackknife)."""

from __future__ import annotations

import numpy as np
import torch

from colloid_cg.learn.checkpoint import Checkpoint, digest
from colloid_cg.learn.thermal.config import ThermalFitConfig
from colloid_cg.learn.thermal.hidden import hidden_energies
from colloid_cg.learn.thermal.observed import Observed
from colloid_cg.learn.thermal.parameters import ThermalParameters
from colloid_cg.learn.thermal.training import scoring_step, spread, training_frames
from colloid_cg.progress import Progress


def refits(
    parameters: ThermalParameters, observed: Observed, config: ThermalFitConfig, *, n_train: int,
    checkpoint: Checkpoint, progress: Progress, stamp: np.ndarray,
) -> list[dict[str, torch.Tensor]]:  # fmt: skip
    """Return the parameters of fits without one block of time each, from those given on.

    The filter sees every frame, the likelihood those outside the block: what a block says of the model is left out,
    what it does to the energies is kept. Heat exchange and gain stay as they are, and ``parameters`` are put back.

    Parameters
    ----------
    checkpoint : Checkpoint
        Where every refit is kept, with a digest of ``stamp`` and of what it began with; others are made anew.
    progress : callable
        Called with (done, total) refits.
    """
    best = {name: value.detach().clone() for name, value in parameters.state_dict().items()}
    start = digest(stamp, str((config.time_blocks, config.refit_rounds)), *(v.cpu().numpy() for v in best.values()))
    frames = training_frames(config, n_train)
    found = []
    for number, block in enumerate(np.array_split(frames, config.time_blocks) if config.time_blocks else []):
        kept = checkpoint.load(f"without-{number}")
        if kept is None or not np.array_equal(kept.get("stamp", []), start):
            parameters.load_state_dict(best)
            chosen = spread(np.setdiff1d(frames, block), config.scoring_frames)
            for _ in range(config.refit_rounds):
                with torch.no_grad():
                    hidden = hidden_energies(
                        parameters.model(), observed, last=n_train, gain=float(parameters.gain.exp())
                    )
                scoring_step(parameters, observed, hidden, chosen, config)
            kept = {name: value.detach().cpu().numpy().copy() for name, value in parameters.state_dict().items()}
            checkpoint.save(f"without-{number}", kept | {"stamp": start})
        found.append({name: torch.as_tensor(kept[name]).to(value) for name, value in best.items()})
        progress(number + 1, config.time_blocks)
    parameters.load_state_dict(best)
    return found


def jackknife_error(values: torch.Tensor) -> torch.Tensor:
    """Return the standard error from refits without one of k blocks each; ``values`` (k, ...).

    sqrt[(k - 1)/k sum (x_b - mean)^2]; Efron and Stein 1981, doi:10.1214/aos/1176345462.
    """
    k = len(values)
    return ((k - 1) / k * (values - values.mean(dim=0)).square().sum(dim=0)).sqrt()
