"""How far the mean curves of several rollouts lie from those of the reference run, with the error of the seeds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from benchmarks.star_melts import Curve, StarMelt

Curves = dict[str, np.ndarray]


@dataclass(frozen=True)
class Score:
    """A figure of the curves averaged over seeds, its standard error from leaving out seeds, and single rollouts."""

    value: float
    error: float
    single: np.ndarray

    @property
    def interval(self) -> list[float]:
        """The 90 % interval of a normal error."""
        return [self.value - 1.645 * self.error, self.value + 1.645 * self.error]


def distance(found: np.ndarray, expected: np.ndarray) -> float:
    """Return sqrt(sum (a - b)^2 / sum b^2)."""
    return float(np.sqrt(((found - expected) ** 2).sum() / (expected**2).sum()))


def scored(rollouts: list[Curves], figure: Callable[[Curves], float]) -> Score:
    """Return ``figure`` of the mean curves."""

    def of(chosen: list[Curves]) -> float:
        return figure({name: np.mean([curves[name] for curves in chosen], axis=0) for name in ("rdf", "msd", "vacf")})

    n = len(rollouts)
    without = [of([curves for k, curves in enumerate(rollouts) if k != left_out]) for left_out in range(n) if n > 1]
    error = float(np.sqrt((n - 1) * np.var(without))) if n > 1 else float("nan")
    return Score(of(rollouts), error, np.array([figure(curves) for curves in rollouts]))


def figures(melt: StarMelt) -> dict[str, Callable[[Curves], float]]:
    """Return the figures of the acceptance table by name."""
    n, mass = melt.recording.n_particles, float(melt.recording.masses[0])
    # Without net momentum a velocity component has the variance (1 - 1/N) k_B T/m.
    thermal = (melt.recording.thermal_energy or 1.0) / mass * (n - 1) / n
    times = melt.msd.at

    def moved(last: float) -> Callable[[Curves], float]:
        within = times <= last * times[-1] * (1 + 1e-9)
        return lambda curves: distance(curves["msd"][within], melt.msd.values[within])

    return {
        f"RDF, r <= {0.5 * (3 * melt.rdf.at[-1] - melt.rdf.at[-2]):.3g}": lambda curves: distance(
            curves["rdf"], melt.rdf.values
        ),
        f"MSD, t <= {times[-1] / 4:g}": moved(0.25),
        f"MSD, t <= {times[-1]:g}": moved(1.0),
        f"VACF, t <= {melt.vacf.at[-1]:g}": lambda curves: distance(curves["vacf"], melt.vacf.values),
        "VACF(0) over k_B T/m": lambda curves: curves["vacf"][0] / thermal,
        "diffusion coefficient over that of the reference": lambda curves: (
            slope(times, curves["msd"]) / slope(times, melt.msd.values)
        ),
    }


def slope(times: np.ndarray, msd: np.ndarray) -> float:
    """Return the slope of the MSD between a tenth and half of the longest lag."""
    window = (times >= 0.1 * times[-1]) & (times <= 0.5 * times[-1])
    return float(np.polyfit(times[window], msd[window], 1)[0])


def noise_of(curve: Curve, last: float) -> float:
    """Return the distance of a curve from its own truth that its standard errors make one expect, up to ``last``."""
    if curve.error is None:
        return float("nan")
    within = curve.at <= last
    return float(np.sqrt((curve.error[within] ** 2).sum() / (curve.values[within] ** 2).sum()))
