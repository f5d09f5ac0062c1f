"""Local measures of motion of every detection with the probability that chance alone gives as much."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from colloid_cg.events.calibrate import class_variances, frame_levels, null_law, particle_levels, scaled
from colloid_cg.events.config import EventConfig, Scales, scales
from colloid_cg.events.deformation import Deformation, deformation
from colloid_cg.events.hopfield import hop_fields
from colloid_cg.events.motion import motion_columns
from colloid_cg.events.nulls import d2min_draw, d2min_tail, dispersed_tail
from colloid_cg.events.scale import check, fit_scale
from colloid_cg.events.suspects import tracking_suspects
from colloid_cg.events.t1 import find_exchanges
from colloid_cg.records import Trajectories
from colloid_cg.seeding import generator

FEWEST_TESTS = 100
ROUNDING = 1e-7
_DRAWS = 100_000


def event_fields(
    tracks: Trajectories, config: EventConfig | None = None, *, used: Scales | None = None
) -> pd.DataFrame:
    """Return the local measures of motion of every detection and their p-values.

    Parameters
    ----------
    tracks : Trajectories
    config : EventConfig, optional
    used : Scales, optional
        Lengths and times of the movie that the tracks are a part of; otherwise they follow from the tracks.

    Returns
    -------
    pandas.DataFrame
        One row per detection in the order of ``tracks.table``: ``frame, particle``; ``d2min`` in um2, per bond or
        summed as ``config.normalise`` says, between the frames f - (lag + 1) // 2 and f - (lag + 1) // 2 + lag around
        frame f, with the bonds of ``config.reference``; ``d2min_p``; ``d2min_excess`` = d2min over its mean under
        the null; ``amplitude`` (um), the root of D2min per bond less its null mean; ``p_hop`` in um2 with f the first
        frame of the later window, common affine motion removed; ``p_hop_p``; ``t1_p``, ``t1_change``
        (``t1.find_exchanges``, over half windows); rotation, strains and cage-relative displacement
        (``motion.motion_columns``); ``edge`` where the neighbourhood reaches over the edge of the view; marks of
        suspected tracking errors (``suspects.tracking_suspects``).
        NaN where the particle or too many of its neighbours are missing in one of the frames, at the edge, or where
        the window is not complete.
        ``attrs["events"]`` holds scales, null laws and their checks (JSON-able).

    Notes
    -----
    Null hypothesis: affine motion plus Gaussian non-affine displacements, independent between particles, of variance
    V_k + s: V_k for the class (species) covers rattling, diffusion and localisation noise together and comes from the
    movie (``calibrate.class_variances``), s is what the detection's stated sigma^2 has more than is typical. Motion
    blur is in V_k, as the positions it is estimated from are blurred. Particles that move more than their class at
    all times have their own level (``calibrate.particle_levels``); what spread is left between tests is fitted to the
    lower half of the values (``scale.fit_scale``). In a liquid V_k is large and little is significant, which is right.
    """
    config = config or EventConfig()
    used = used or scales(tracks, config)
    table = tracks.table[["frame", "particle"]].copy()
    motion = deformation(tracks, config, used)
    found, affine_null = _d2min_fields(tracks, motion, config, used)
    hops, hop_null = hop_fields(tracks, motion.classes, used)
    exchanges, exchange_null = _exchange_fields(tracks, used)
    marks = tracking_suspects(tracks).drop(columns=["frame", "particle"])
    columns = {**found, **motion_columns(motion, tracks.axes), **hops, **exchanges, "edge": motion.edge}
    table = table.assign(**columns, **{name: marks[name].to_numpy() for name in marks.columns})
    table.attrs["events"] = {
        "lag_frames": used.lag,
        "averaged_frames": used.average,
        "half_window_frames": used.half_window,
        "mean_spacing_um": used.spacing,
        "edge_margin_um": used.edge_margin,
        "cutoff_um": used.cutoff if config.neighbors == "cutoff" else None,
        "neighbors": config.neighbors,
        "tests": list(config.tests),
        "d2min_normalised_by": config.normalise,
        "d2min_reference": config.reference,
        "d2min": affine_null,
        "p_hop": hop_null,
        "t1": exchange_null,
    }
    return table


def _exchange_fields(tracks: Trajectories, used: Scales) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return ``t1_p`` and ``t1_change`` and their null law; NaN in space and in movies too short to see what lasts."""
    if tracks.dimension != 2 or tracks.n_frames < 2 * used.half_window:
        unknown = np.full(len(tracks), np.nan)
        why = "T1 exchanges are not defined in space" if tracks.dimension != 2 else "too few frames to see what lasts"
        return {"t1_p": unknown, "t1_change": unknown.copy()}, {"n_tests": 0, "null_fit": False, "warnings": [why]}
    found = find_exchanges(tracks, persistence=used.half_window)
    columns = {name: found.fields[name].to_numpy() for name in ("t1_p", "t1_change")}
    return columns, {"warnings": [], **found.null, "n_exchanges": len(found.table)}


def _d2min_fields(
    tracks: Trajectories, motion: Deformation, config: EventConfig, used: Scales
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    d, rows = tracks.dimension, np.flatnonzero(np.isfinite(motion.total))
    names = ("d2min", "d2min_p", "d2min_excess", "amplitude")
    columns = {name: np.full(len(motion.total), np.nan) for name in names}
    columns["d2min"] = motion.total if config.normalise == "sum" else motion.total / np.maximum(motion.count, 1.0)
    total = motion.total[rows]
    # Residuals this small are rounding, not motion (a rollout without noise, a copied frame).
    still = total <= motion.count[rows] * (ROUNDING * used.spacing) ** 2
    if len(rows) < FEWEST_TESTS or np.median(still) > 0:
        columns["d2min_p"][rows[still]] = 1.0
        return columns, nothing_to_learn_from(len(rows), still, float(motion.edge.mean()))
    rng = generator(0, "events", "d2min")
    variance, _ = class_variances(motion, rows, rng, dimension=d)
    law = null_law(motion, rows, variance, dimension=d)
    frame, particle = (tracks.table[name].to_numpy()[rows] for name in ("frame", "particle"))
    with np.errstate(divide="ignore"):
        log_ratio = np.log(total / law.mean)
    levels = particle_levels(log_ratio, particle, frame, lag=used.lag + 2 * used.average - 2)
    frames = frame_levels(log_ratio - levels.log_level, frame, tracks.positions[rows])
    law = scaled(law, np.exp(levels.log_level + frames.log_level))
    some = np.linspace(0, len(rows) - 1, _DRAWS).astype(int)
    drawn = law.scale[some] * d2min_draw(law.count[some], law.shared[some], rng, dimension=d) / law.mean[some]
    fitted = fit_scale(total[~still] / law.mean[~still], drawn, rng)
    law = scaled(law, fitted.scale)
    p_value = dispersed_tail(
        lambda x, part: d2min_tail(x, law.count[part], law.shared[part], dimension=d),
        total / law.scale,
        fitted.dispersion,
    )
    p_value[still] = 1.0
    columns["d2min_p"][rows], columns["d2min_excess"][rows] = p_value, total / law.mean
    columns["amplitude"][rows] = np.sqrt(np.maximum(total - law.mean, 0.0) / motion.count[rows])
    null = check(p_value, fitted)
    null.pop("scale")
    null["variance_um2"] = (variance * fitted.scale).tolist()
    null["stated_noise_variance_um2"] = [float(v) if np.isfinite(v) else None for v in motion.stated_variance]
    null |= {"spread_between_particles": levels.spread, "spread_between_frames": frames.spread}
    if not np.isfinite(motion.stated_variance).any():
        null["warnings"].append("no localisation errors are stated: the movie's own values hold noise and rattling")
    return columns, null


def nothing_to_learn_from(n_tests: int, still: np.ndarray, at_edge: float) -> dict[str, Any]:
    """Return the null law of a movie with too few values, or with particles that do not move, and say so."""
    if n_tests >= FEWEST_TESTS:
        text = f"{np.mean(still):.0%} of the values are zero: motion without noise has no null to test against"
    else:
        text = (
            f"only {n_tests} values, with {at_edge:.0%} of the detections too near the edge: too few to learn the null"
        )
    return {"n_tests": 0, "null_fit": False, "warnings": [f"{text}, so no p-values are given"]}
