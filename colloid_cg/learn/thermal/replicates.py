"""Errors of a fit with hidden energies: refits without one block of time each (delete-a-group jackknife)."""

from __future__ import annotations

import numpy as np
import torch

from colloid_cg.learn.checkpoint import Checkpoint
from colloid_cg.learn.thermal.config import ThermalFitConfig
from colloid_cg.learn.thermal.hidden import hidden_energies
from colloid_cg.learn.thermal.marks import mark_of_refit
from colloid_cg.learn.thermal.observed import Observed
from colloid_cg.learn.thermal.parameters import ThermalParameters
from colloid_cg.learn.thermal.training import scoring_step, spread, training_frames
from colloid_cg.progress import Progress


def refits(
    parameters: ThermalParameters, observed: Observed, config: ThermalFitConfig, *, n_train: int,
    checkpoint: Checkpoint, mark: str = "", progress: Progress,
) -> list[dict[str, torch.Tensor]]:  # fmt: skip
    """Return the parameters of fits without one block of time each, from those given on.

    The filter sees every frame, the likelihood those outside the block: what a block says of the model is left out,
    what it does to the energies is kept. Heat exchange and gain stay as they are, and ``parameters`` are put back.

    Parameters
    ----------
    checkpoint : Checkpoint
        Where every refit is kept; one from other parameters, of other frames or of another fit is made again.
    mark : str
        Of the fit (:func:`~colloid_cg.learn.thermal.marks.mark_of`).
    progress : callable
        Called with (done, total) refits.
    """
    best = {name: value.detach().clone() for name, value in parameters.state_dict().items()}
    frames = training_frames(config, n_train)
    found = []
    for number, block in enumerate(np.array_split(frames, config.time_blocks) if config.time_blocks else []):
        chosen = spread(np.setdiff1d(frames, block), config.scoring_frames)
        own = mark_of_refit(mark, best, chosen, config.refit_rounds)
        kept = checkpoint.load(f"without-{number}")
        if kept is None or str(kept.get("mark", "")) != own:
            parameters.load_state_dict(best)
            for _ in range(config.refit_rounds):
                with torch.no_grad():
                    hidden = hidden_energies(
                        parameters.model(), observed, last=n_train, gain=float(parameters.gain.exp())
                    )
                scoring_step(parameters, observed, hidden, chosen, config)
            kept = {name: value.detach().cpu().numpy().copy() for name, value in parameters.state_dict().items()}
            checkpoint.save(f"without-{number}", kept | {"mark": np.array(own)})
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
