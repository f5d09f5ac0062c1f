"""Where particles will be two frames ahead, from positions up to now: the instruments of the estimating equation.

Any function of y_{t-2}, y_{t-3}, ... is a valid instrument for r_t; one that foresees the terms of u_t is a strong one.
A pair that collides turns round within a few frames, and its velocity two frames ago tells nothing, or the contrary,
of its velocity now: so the state is carried forward by the model itself (leapfrog steps of one frame, with friction).
"""

from __future__ import annotations

import numpy as np

from colloid_cg.learn.inertial.model import InertialModel
from colloid_cg.learn.inertial.pair_terms import contacts, force_terms, pair_drag
from colloid_cg.records import Box

_LARGEST_STEP = 6.0
"""Steps of the forecast are cut at this many thermal ones: two detections that nearly coincide repel without bound."""


def forecast(
    model: InertialModel, positions: np.ndarray, step: np.ndarray, pairs: np.ndarray, *, box: Box, dt: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return positions two frames ahead and the centred step there, both (n, d) in um.

    ``step`` is y_t - y_{t-1} (um). Localisation noise is part of it: the step is shrunk to what it says of the motion.
    """
    thermal = model.thermal_speed_squared * dt**2
    shrunk = step * thermal / (thermal + 2.0 * max(model.localisation_variance, 0.0))
    limit = _LARGEST_STEP * np.sqrt(thermal)
    where, first = positions, shrunk
    for _ in range(2):
        first = np.clip(_accelerated(model, where, first, pairs, box, dt), -limit, limit)
        where = where + first
    second = np.clip(_accelerated(model, where, first, pairs, box, dt), -limit, limit)
    return where, 0.5 * (first + second)


def _accelerated(
    model: InertialModel, positions: np.ndarray, step: np.ndarray, pairs: np.ndarray, box: Box, dt: float
) -> np.ndarray:
    """Return the step of the next frame, step + dt^2 F/m - dt G step, with F and G at the positions between the two."""
    found = contacts(positions, pairs, box=box, cutoff=model.cutoff)
    parallel, perpendicular, force = model.curves(found.distance)
    push = force_terms(found, force[:, None], len(positions))[..., 0]
    drag = pair_drag(found, np.maximum(parallel, 0.0), np.maximum(perpendicular, 0.0), step)
    decay = np.exp(-max(model.bath, 0.0) * dt)
    return np.asarray(decay * step + dt**2 * push - dt * drag)
