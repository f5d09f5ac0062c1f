"""Finished candidates of a fit as plain arrays, so that a fit that was stopped goes on where it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from colloid_cg.dynamics import OverdampedModel
from colloid_cg.learn.fields import Strengths
from colloid_cg.learn.forces import Equation, ForceFit
from colloid_cg.learn.noise import NoiseFit
from colloid_cg.learn.problem import Block, Candidate

Arrays = dict[str, np.ndarray]


class Checkpoint(Protocol):
    """Where finished candidates are kept: named sets of arrays."""

    def load(self, name: str) -> Arrays | None:
        """Return what was kept under a name, None if nothing was."""

    def save(self, name: str, arrays: Arrays) -> None:
        """Keep arrays under a name."""


class Nowhere:
    """Keeps nothing (the default)."""

    def load(self, name: str) -> Arrays | None:
        """Return None."""

    def save(self, name: str, arrays: Arrays) -> None:
        """Forget the arrays."""


NOWHERE = Nowhere()


def remembered(fit_one: Callable[..., Candidate], checkpoint: Checkpoint) -> Callable[..., Candidate]:
    """Return ``fit_one`` that takes a candidate fitted before from the checkpoint, and keeps each new one there.

    Within one fit a candidate is told by its knots, the splines of its flow and the number of rows it is fitted to.
    """

    def fit(block: Block, start: Candidate, *, model: OverdampedModel, **settings: Any) -> Candidate:
        flow = start.acting.flow
        splines = 0 if flow is None else len(flow)
        name = f"knots-{model.n_knots}-splines-{splines}-rows-{int(block.targets.sum())}"
        kept = checkpoint.load(name)
        if kept is not None:
            return candidate_of(kept)
        found = fit_one(block, start, model=model, **settings)
        checkpoint.save(name, arrays_of(found))
        return found

    return fit


def arrays_of(candidate: Candidate) -> Arrays:
    """Return a candidate as named arrays."""
    noise, forces, strengths = candidate.noise, candidate.forces, candidate.strengths
    arrays = _of_model("model", candidate.model) | {
        "noise.diffusion": noise.diffusion,
        "noise.values": np.array([noise.localisation_variance, noise.blur, noise.frame_interval]),
        "noise.scores": noise.scores,
        "noise.information": noise.information,
    }
    if forces is not None:
        arrays |= _of_model("forces.model", forces.model) | {
            "forces.rows": forces.equation.rows,
            "forces.slope": forces.equation.slope,
            "forces.stiffness": forces.stiffness,
            "forces.done": np.array([forces.iterations, forces.converged]),
        }
    if strengths is not None:
        arrays["strengths.wells"] = np.array([strengths.stiffness, strengths.quartic])
    if strengths is not None and strengths.flow is not None:
        arrays["strengths.flow"] = strengths.flow
    return arrays


def candidate_of(arrays: Arrays) -> Candidate:
    """Return the candidate that :func:`arrays_of` was given."""
    model = _model("model", arrays)
    variance, blur, frame_interval = (float(value) for value in arrays["noise.values"])
    noise = NoiseFit(
        diffusion=arrays["noise.diffusion"],
        localisation_variance=variance,
        blur=blur,
        frame_interval=frame_interval,
        scores=arrays["noise.scores"],
        information=arrays["noise.information"],
    )
    forces, strengths = None, None
    if "forces.rows" in arrays:
        forces = ForceFit(
            model=_model("forces.model", arrays),
            equation=Equation(rows=arrays["forces.rows"], slope=arrays["forces.slope"]),
            stiffness=arrays["forces.stiffness"],
            iterations=int(arrays["forces.done"][0]),
            converged=bool(arrays["forces.done"][1]),
        )
    if "strengths.wells" in arrays:
        stiffness, quartic = (float(value) for value in arrays["strengths.wells"])
        strengths = Strengths(stiffness=stiffness, quartic=quartic, flow=arrays.get("strengths.flow"))
    return Candidate(n_knots=model.n_knots, model=model, noise=noise, forces=forces, strengths=strengths)


def _of_model(name: str, model: OverdampedModel) -> Arrays:
    return {
        f"{name}.diffusion": model.diffusion,
        f"{name}.coefficients": model.coefficients,
        f"{name}.range": np.array([model.lower, model.cutoff]),
        f"{name}.prescribed": np.array(model.n_prescribed),
    }


def _model(name: str, arrays: Arrays) -> OverdampedModel:
    lower, cutoff = (float(value) for value in arrays[f"{name}.range"])
    return OverdampedModel(
        diffusion=arrays[f"{name}.diffusion"],
        coefficients=arrays[f"{name}.coefficients"],
        lower=lower,
        cutoff=cutoff,
        n_prescribed=int(arrays[f"{name}.prescribed"]),
    )
