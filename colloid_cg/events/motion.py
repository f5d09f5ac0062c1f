"""Rotation, strain and cage-relative displacement of every detection, as columns."""

from __future__ import annotations

import numpy as np

from colloid_cg.events.deformation import Deformation
from colloid_cg.observables import local_rotation, max_shear_strain, volumetric_strain

_ROTATIONS = {2: ("rotation",), 3: ("rotation_x", "rotation_y", "rotation_z")}


def motion_columns(motion: Deformation, axes: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Return how the neighbourhood of every detection turned and deformed, and how far it left its cage.

    Returns
    -------
    dict
        ``rotation`` (rad; in 3-D ``rotation_x, rotation_y, rotation_z``, the rotation vector), ``shear_strain``
        (``observables.max_shear_strain``), ``volume_strain`` (``observables.volumetric_strain``), ``cage_x, cage_y
        [, cage_z]``, the cage-relative displacement in um, and ``neighbors``, the n of its noise floor; NaN where D2min
        is.
    """
    known = np.isfinite(motion.total)
    names = (*_ROTATIONS[len(axes)], "shear_strain", "volume_strain")
    values = np.full((len(known), len(names)), np.nan)
    fit = motion.gradient[known]
    values[known] = np.column_stack([local_rotation(fit), max_shear_strain(fit), volumetric_strain(fit)])
    return {
        **dict(zip(names, values.T, strict=True)),
        **{f"cage_{axis}": motion.cage[:, k] for k, axis in enumerate(axes)},
        "neighbors": motion.count,
    }
