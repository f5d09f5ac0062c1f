"""Common motion of all particles: translation and rotation of the stage, strain of the sample, each with its error."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pandas as pd

from colloid_cg.errors import DataError, InputError

KINDS = ("none", "translation", "rigid", "affine")
"""Which part of the common motion is taken off the positions."""

STRAIN = ("dilation", "shear_plus", "shear_cross")
"""U = [[1 + dilation + shear_plus, shear_cross], [shear_cross, 1 + dilation - shear_plus]]."""

SCALARS = ("rotation", *STRAIN)
"""Components beside the translation: the rotation in rad, and the strain."""

_LISTS = ("frame", "dx", "dy", "se_x", "se_y", *SCALARS, *(f"se_{name}" for name in SCALARS), "n", "scatter")


@dataclass(frozen=True, kw_only=True, eq=False)
class CommonMotion:
    """Map from the first frame to every other one: x_t - c = F_t (X - c) + b_t with F_t = R(theta_t) U_t.

    The polar decomposition separates what a stage can do (translation b, rotation theta) from what happens to the
    sample (the symmetric strain U): they are estimated together and reported apart, whatever is removed.

    Parameters
    ----------
    kind : "none", "translation", "rigid" or "affine"
        What is removed: nothing; b; b and R; b, R and U.
    frame : numpy.ndarray
        Frame numbers, increasing, shape (t,).
    translation, translation_error : numpy.ndarray
        b_t and its standard error in px, shape (t, 2). For "none" and "translation" the sum of the mean
        displacements of all particles, for "rigid" and "affine" the displacement of the material at the centre.
    rotation, rotation_error : numpy.ndarray
        theta_t in rad, counter-clockwise for y upwards (from the x to the y axis), shape (t,).
    strain, strain_error : numpy.ndarray
        U_t as :data:`STRAIN`, shape (t, 3). Errors are NaN where there were too few particles to estimate one.
    n_particles : numpy.ndarray
        Particles behind the step that ends in each frame, shape (t,).
    scatter : numpy.ndarray
        Root mean square of the displacements of that step about the common motion, per axis, in px, shape (t,).
    centre : numpy.ndarray
        c in px, shape (2,).
    reason : str
        Why that kind is removed.
    minimum_particles : int
        Steps with fewer are taken as zero.
    median_particles : float
    n_steps_left : int
        Steps that were taken as zero, for want of particles.
    n_links_left_out : int
        Displacements that were left out of the estimate because they jump.
    diffusion_bias : float
        Relative change of the diffusion coefficient (of one frame) that the removal causes.
    smoothing : float
        Standard deviation in frames of the Gaussian that smoothed the curves.
    """

    kind: str
    frame: np.ndarray
    translation: np.ndarray
    translation_error: np.ndarray
    rotation: np.ndarray
    rotation_error: np.ndarray
    strain: np.ndarray
    strain_error: np.ndarray
    n_particles: np.ndarray
    scatter: np.ndarray
    centre: np.ndarray
    reason: str = ""
    minimum_particles: int = 0
    median_particles: float = 0.0
    n_steps_left: int = 0
    n_links_left_out: int = 0
    diffusion_bias: float = 0.0
    smoothing: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(
                f"{self.kind!r} as the kind of common motion", expected=", ".join(KINDS), action="use one of these"
            )
        t = len(self.frame)
        if t > 1 and (np.diff(self.frame) <= 0).any():
            raise InputError("frames that do not increase", expected="one entry per frame", action="sort by frame")
        shapes = {"translation": (t, 2), "translation_error": (t, 2), "rotation": (t,), "rotation_error": (t,)}
        shapes |= {"strain": (t, 3), "strain_error": (t, 3), "n_particles": (t,), "scatter": (t,), "centre": (2,)}
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise InputError(
                    f"{name} of shape {getattr(self, name).shape} for {t} frames",
                    expected=f"shape {shape}",
                    action="give one row per frame",
                )

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def removed(self) -> bool:
        """Whether anything is taken off the positions."""
        return self.kind != "none"

    def kept(self, reason: str) -> Self:
        """Return the same motion, estimated but left in the positions, and why."""
        return replace(self, kind="none", reason=reason, diffusion_bias=0.0)

    def remove(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return the table with x, y (px) in the frame of reference of the first picture.

        ``sigma_x, sigma_y``, where there are any, are those of the mapped positions: sigma'^2 = diag(L S L^T) with
        L = 1, R^T or U^-1 R^T. The error of the common motion itself is not added: all particles of a frame share it.
        """
        if not self.removed:
            return table
        rows = self._rows(table["frame"].to_numpy())
        positions = table[["x", "y"]].to_numpy(dtype=float)
        if self.kind == "translation":
            moved = positions - self.translation[rows]
            return table.assign(x=moved[:, 0], y=moved[:, 1])
        inverse = np.linalg.inv(self._gradients())[rows]
        offset = positions - self.centre - self.translation[rows]
        moved = np.einsum("nij,nj->ni", inverse, offset) + self.centre
        table = table.assign(x=moved[:, 0], y=moved[:, 1])
        if not {"sigma_x", "sigma_y"} <= set(table.columns):
            return table
        variance = table[["sigma_x", "sigma_y"]].to_numpy(dtype=float) ** 2
        sigma = np.sqrt(np.einsum("nij,nj->ni", inverse**2, variance))
        return table.assign(sigma_x=sigma[:, 0], sigma_y=sigma[:, 1])

    def restored(self, positions: np.ndarray, frame: np.ndarray | int) -> np.ndarray:
        """Return where the camera saw ``positions`` (px, shape (n, 2)) of ``frame`` (one, or one each)."""
        if not self.removed:
            return np.array(positions, dtype=float)
        rows = self._rows(np.broadcast_to(np.asarray(frame), len(positions)))
        if self.kind == "translation":
            return np.asarray(positions + self.translation[rows])
        offset = np.einsum("nij,nj->ni", self._gradients()[rows], positions - self.centre)
        return np.asarray(offset + self.centre + self.translation[rows])

    def components(self) -> dict[str, dict[str, float]]:
        """Return what moved by the last frame: {name: value, error, z, largest_z}, translations in px, rotation in rad.

        ``z`` is value / error, ``largest_z`` that of the frame where it is largest in size. Errors take the particles
        as independent of each other: elastic or hydrodynamic coupling over many particles makes z too large.
        """
        names = ("dx", "dy", *SCALARS)
        values = np.column_stack([self.translation, self.rotation, self.strain])
        errors = np.column_stack([self.translation_error, self.rotation_error, self.strain_error])
        if not len(self):
            return {}
        with np.errstate(divide="ignore", invalid="ignore"):
            z = np.where(errors > 0.0, values / errors, np.nan)
        largest = np.max(np.abs(np.nan_to_num(z)), axis=0)
        return {
            name: {
                "value": float(values[-1, k]),
                "error": float(errors[-1, k]),
                "z": float(z[-1, k]),
                "largest_z": float(largest[k]),
            }
            for k, name in enumerate(names)
        }

    def as_dict(self) -> dict[str, Any]:
        """Return everything as JSON: NaN becomes None."""
        columns = np.column_stack(
            [
                self.translation,
                self.translation_error,
                self.rotation,
                self.strain,
                self.rotation_error,
                self.strain_error,
            ]
        )
        lists: dict[str, Any] = {name: _plain(column) for name, column in zip(_LISTS[1:-2], columns.T, strict=True)}
        return {
            "removed": self.removed,
            "kind": self.kind,
            "reason": self.reason,
            "minimum_particles": self.minimum_particles,
            "median_particles": self.median_particles,
            "n_steps_left": self.n_steps_left,
            "n_links_left_out": self.n_links_left_out,
            "diffusion_bias": self.diffusion_bias,
            "smoothing": self.smoothing,
            "centre": self.centre.tolist(),
            "frame": self.frame.tolist(),
            **lists,
            "n": self.n_particles.tolist(),
            "scatter": _plain(self.scatter),
        }

    @classmethod
    def parse(cls, found: dict[str, Any] | None) -> CommonMotion:
        """Return the motion that :meth:`as_dict` wrote, or an earlier report: a translation, or only a reason."""
        found = found or {}
        frame = np.asarray(found.get("frame") or [], dtype=np.int64)
        t = len(frame)

        def column(name: str, missing: float) -> np.ndarray:
            values = found.get(name)
            if values is None or len(values) == 0:
                return np.full(t, missing)
            return np.array([np.nan if value is None else value for value in values], dtype=float)

        kind = found.get("kind") or ("translation" if found.get("removed") and t else "none")
        return cls(
            kind=kind if found.get("removed") else "none",
            frame=frame,
            translation=np.column_stack([column("dx", 0.0), column("dy", 0.0)]),
            translation_error=np.column_stack([column("se_x", np.nan), column("se_y", np.nan)]),
            rotation=column("rotation", 0.0),
            rotation_error=column("se_rotation", np.nan),
            strain=np.column_stack([column(name, 0.0) for name in STRAIN]),
            strain_error=np.column_stack([column(f"se_{name}", np.nan) for name in STRAIN]),
            n_particles=np.nan_to_num(column("n", 0.0)).astype(np.int64),
            scatter=column("scatter", np.nan),
            centre=np.asarray(found.get("centre") or (0.0, 0.0), dtype=float),
            **{name: found[name] for name in _NUMBERS if found.get(name) is not None},
        )

    def _rows(self, frame: np.ndarray) -> np.ndarray:
        rows = np.searchsorted(self.frame, frame)
        if len(frame) and (not len(self) or (self.frame[np.minimum(rows, len(self) - 1)] != frame).any()):
            raise DataError(
                f"detections in frames {int(np.min(frame))} to {int(np.max(frame))} outside the common motion",
                expected=f"frames {self.frame[0]} to {self.frame[-1]}"
                if len(self)
                else "a motion of at least one frame",
                action="estimate the common motion from the same table",
            )
        return rows

    def _gradients(self) -> np.ndarray:
        """Return the part of F that is removed, shape (t, 2, 2)."""
        if self.kind in ("none", "translation"):
            return np.broadcast_to(np.eye(2), (len(self), 2, 2))
        cosine, sine = np.cos(self.rotation), np.sin(self.rotation)
        turn = np.stack([np.stack([cosine, -sine], axis=-1), np.stack([sine, cosine], axis=-1)], axis=-2)
        if self.kind == "rigid":
            return turn
        dilation, plus, cross = self.strain.T
        stretch = np.stack(
            [np.stack([1 + dilation + plus, cross], axis=-1), np.stack([cross, 1 + dilation - plus], axis=-1)], axis=-2
        )
        return np.asarray(turn @ stretch)


_NUMBERS = (
    "reason",
    "minimum_particles",
    "median_particles",
    "n_steps_left",
    "n_links_left_out",
    "diffusion_bias",
    "smoothing",
)


def _plain(values: np.ndarray) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]
