"""A measured curve with its standard error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from colloid_cg.errors import InputError


@dataclass(frozen=True, kw_only=True, eq=False)
class Curve:
    """Values against x, each with its standard error.

    Parameters
    ----------
    x, value, standard_error : arrays, shape (n,)
        ``standard_error`` is NaN where the data hold too few independent blocks to tell; ``value`` is NaN
        where there are no data at all.
    count : int array, shape (n,)
        Number of observations (pairs, displacements) behind each value.
    x_unit, value_unit : str
    """

    x: np.ndarray
    value: np.ndarray
    standard_error: np.ndarray
    count: np.ndarray
    x_unit: str
    value_unit: str

    def __post_init__(self) -> None:
        shapes = {np.shape(array) for array in (self.x, self.value, self.standard_error, self.count)}
        if len(shapes) != 1 or self.x.ndim != 1:
            raise InputError(
                f"curve columns of shapes {sorted(shapes)}",
                expected="x, value, standard_error and count of one length",
                action="check how the curve was built",
            )

    def __len__(self) -> int:
        return len(self.x)
