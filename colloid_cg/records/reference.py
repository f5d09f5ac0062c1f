"""Curves measured elsewhere, with which rollouts are compared beside the test block."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from colloid_cg.errors import InputError

Points = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, kw_only=True, eq=False)
class ReferenceCurves:
    """Radial distribution function, mean square displacement and velocity autocorrelation, each where it is known.

    Parameters
    ----------
    source : str
        Where they are from.
    rdf : two arrays, shape (k,), or None
        Distances, the centres of equally wide bins, and g.
    msd : two arrays, shape (k,), or None
        Times and mean square displacements summed over axes.
    vacf : two arrays, shape (k,), or None
        Times and <v(0) . v(t)>/d.

    Raises
    ------
    InputError
        If a curve does not increase along x, is not finite, or the two arrays differ in shape.
    """

    source: str
    rdf: Points | None = None
    msd: Points | None = None
    vacf: Points | None = None

    def __post_init__(self) -> None:
        for name in ("rdf", "msd", "vacf"):
            points = getattr(self, name)
            if points is None:
                continue
            x, y = (np.asarray(part, dtype=float) for part in points)
            if x.ndim != 1 or x.shape != y.shape or len(x) < 3 or not np.isfinite([x, y]).all():
                raise self._unlike(
                    name, f"arrays of shapes {x.shape} and {y.shape}", "two finite ones of one length >= 3"
                )
            steps = np.diff(x)
            if not (steps > 0).all() or x[0] < 0:
                raise self._unlike(name, "x that does not increase from zero or above", "sorted values")
            if name == "rdf" and np.ptp(steps) > 1e-6 * steps[0]:
                raise self._unlike(name, "distances that are not equally spaced", "the centres of equally wide bins")

    def _unlike(self, name: str, found: str, expected: str) -> InputError:
        return InputError(f"{name} of {self.source} with {found}", expected=expected, action="correct the reference")

    @property
    def edges(self) -> np.ndarray:
        """Edges of the bins of g(r), shape (k + 1,); empty where it is not known."""
        if self.rdf is None:
            return np.empty(0)
        r = np.asarray(self.rdf[0], dtype=float)
        width = float(r[1] - r[0])
        return np.asarray(np.maximum(np.append(r - 0.5 * width, r[-1] + 0.5 * width), 0.0))
