"""Events of an experiment and of a model, found by the same detector with the same lengths and times."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from colloid_cg.events.config import EventConfig, scales
from colloid_cg.events.detect import detect_events
from colloid_cg.events.distributions import (
    Estimate,
    Resampled,
    before_events,
    event_sizes,
    interval,
    pooled_groups,
    resampled,
)
from colloid_cg.events.exposure import Exposure, event_exposure
from colloid_cg.events.fields import event_fields
from colloid_cg.events.intervals import LEVEL, ratio_interval
from colloid_cg.events.rates import pooled_rate
from colloid_cg.records import EventTable, Rollout, Trajectories
from colloid_cg.states import rollout_trajectories

GOOD, LOOK, BAD, UNDECIDED = "good", "look", "bad", "not run"
FACTOR = 1.5
"""Model and experiment agree where the interval of their ratio lies within this factor."""
NULL_FACTOR = 1.3
"""Null variances further apart than this make the detector see differently."""
PINNED = ("lag", "average", "half_window", "edge_margin", "cutoff", "gap_space", "gap_frames")

Hidden = Callable[[Trajectories], pd.DataFrame]


@dataclass(frozen=True, kw_only=True, eq=False)
class Observed:
    """What the detector saw in one movie or replica.

    Parameters
    ----------
    events : EventTable
    exposure : Exposure
    sizes : pandas.DataFrame
        See :func:`~colloid_cg.events.distributions.event_sizes`.
    before : dict of DataFrame
        Hidden variable -> its values before events (:func:`~colloid_cg.events.distributions.before_events`).
    """

    events: EventTable
    exposure: Exposure
    sizes: pd.DataFrame
    before: dict[str, pd.DataFrame]


def pinned(config: EventConfig, tracks: Trajectories) -> EventConfig:
    """Return the settings with every open length and time fixed to what they are for these tracks."""
    used = scales(tracks, config)
    return config.model_copy(update={name: getattr(used, name) for name in PINNED})


def rollout_views(rollout: Rollout, *, pixel_size: float, frames: int | None = None) -> list[Trajectories]:
    """Return each replica as the camera and the tracking would have given it.

    Positions are the observed ones: averaged over the exposure, with the localisation noise of the fit. ``sigma_x`` and
    ``sigma_y`` state that noise, so that a detector that asks for it is told the truth.

    Parameters
    ----------
    rollout : Rollout
    pixel_size : float
        um.
    frames : int, optional
        Only the first ones.
    """
    noise = rollout.metadata.get("localisation_error_um")
    sigma = float(noise) / pixel_size if isinstance(noise, (int, float)) and noise > 0 else np.nan
    views = []
    for replica in range(rollout.n_replicas):
        view = rollout_trajectories(rollout, replica, pixel_size=pixel_size)
        length = min(frames or view.n_frames, view.n_frames)
        table = view.table[view.table["frame"] < length].assign(sigma_x=sigma, sigma_y=sigma)
        views.append(view.with_table(table, n_frames=length))
    return views


def observe(tracks: Trajectories, config: EventConfig, *, hidden: Hidden | None = None) -> Observed:
    """Detect events and gather what is compared.

    Parameters
    ----------
    tracks : Trajectories
    config : EventConfig
        With lengths and times :func:`pinned`, so that all series are looked at alike.
    hidden : callable, optional
        Tracks -> fields with columns s0, s1, ..., one row per detection.
    """
    fields = event_fields(tracks, config)
    events = detect_events(tracks, config, fields=fields)
    told = None if hidden is None else hidden(tracks)
    names = [] if told is None else [name for name in told.columns if name[:1] == "s" and name[1:].isdigit()]
    # D2min and p_hop of the first frame of an event look back over half a lag or half a window.
    used = scales(tracks, config)
    lead = max(used.half_window, (used.lag + 1) // 2)
    before = {
        name: before_events(events, tracks, told[name].to_numpy(dtype=float), lead=lead)
        for name in names
        if told is not None
    }
    return Observed(
        events=events, exposure=event_exposure(tracks, fields), sizes=event_sizes(events, tracks), before=before
    )


def compare_events(
    experiment: Observed, model: Sequence[Observed], *, rng: np.random.Generator, level: float = LEVEL
) -> dict[str, Any]:
    """Compare rate, size, duration, strength of events and their coupling to hidden variables.

    Parameters
    ----------
    experiment : Observed
    model : sequence of Observed
        Replicas of the rollout, at least one.
    rng : numpy.random.Generator
        For the intervals of sizes, durations and couplings: resamples of tenths of each series.

    Returns
    -------
    dict
        JSON-able. ``status`` "compared"; ``events``: numbers counted; ``rate`` (1/s per particle), ``rate_per_area``,
        ``size`` (particles), ``duration`` (s), ``amplitude`` (um, where events have it): ``experiment``, ``model`` and
        ``ratio`` (model over experiment), each value, low90, high90, with ``unit`` and ``verdict``; ``coupling``: for
        each hidden variable the mean before events over that of other particles of the species, with ``difference``
        (model less experiment) and ``ratio``; ``null_variance_um2``; ``sentences``; ``verdict``: that of the rate.

        ``verdict``: good where the interval of the ratio lies within a factor 1.5, bad where it lies outside, look
        where the data cannot tell, "not run" where there is no event on either side.
    """
    sides = ([experiment], list(model))
    result: dict[str, Any] = {
        "status": "compared",
        "events": {"experiment": len(experiment.events), "model": sum(len(part.events) for part in model)},
        "rate": _rates(sides, "particle", level),
        "rate_per_area": _rates(sides, "area", level),
    }
    for name, unit in (("size", "particles"), ("duration", "s"), ("amplitude", "um")):
        if all(name in part.sizes.columns for part in (experiment, *model)):
            result[name] = _means(sides, name, unit, rng, level)
    result["coupling"] = {name: _coupling(sides, name, rng, level) for name in experiment.before}
    result["null_variance_um2"] = _nulls(sides)
    result["verdict"] = result["rate"]["verdict"]
    result["sentences"] = _sentences(result)
    return result


def _rates(sides: tuple[list[Observed], list[Observed]], per: str, level: float) -> dict[str, Any]:
    first, second = (
        pooled_rate([(part.events, part.exposure) for part in side], per=per, level=level) for side in sides
    )
    ends = ratio_interval(
        (second.n_events, first.n_events), (second.exposure, first.exposure), level=level,
        dispersions=(second.dispersion or 1.0, first.dispersion or 1.0),
    )  # fmt: skip
    ratio = second.value / first.value if first.value > 0 else (np.inf if second.value > 0 else np.nan)
    return {
        **{
            name: _entry(rate.value, rate.low, rate.high)
            | {"n_events": rate.n_events, "n_left_out": rate.n_left_out, "exposure": rate.exposure}
            for name, rate in (("experiment", first), ("model", second))
        },
        "ratio": _entry(ratio, *ends),
        "unit": first.unit,
        "verdict": _verdict(*ends),
    }


def _means(
    sides: tuple[list[Observed], list[Observed]], name: str, unit: str, rng: np.random.Generator, level: float
) -> dict[str, Any]:
    told = []
    for side in sides:
        parts = [part.sizes[np.isfinite(part.sizes[name])] for part in side]
        values, groups = pooled_groups([(part[name].to_numpy(), part["t_on"].to_numpy()) for part in parts])
        told.append(resampled(values, groups, rng))
    first, second = (part.estimate(level=level) for part in told)
    ends = _ends(told[1].samples / told[0].samples, told, level) if _both(told) else (np.nan, np.nan)
    ratio = second.value / first.value if first.n and second.n else np.nan
    return _sides(first, second) | {"ratio": _entry(ratio, *ends), "unit": unit, "verdict": _verdict(*ends)}


def _coupling(
    sides: tuple[list[Observed], list[Observed]], name: str, rng: np.random.Generator, level: float
) -> dict[str, Any]:
    """Return the mean of a hidden variable before events less that of others: a ratio only where it is not zero."""
    told = []
    for side in sides:
        tables = [part.before[name] for part in side if name in part.before]
        values, groups = pooled_groups([(t["difference"].to_numpy(), t["t_on"].to_numpy()) for t in tables])
        told.append(resampled(values, groups, rng))
    first, second = (part.estimate(level=level) for part in told)
    apart = _ends(told[1].samples - told[0].samples, told, level) if _both(told) else (np.nan, np.nan)
    resolved = bool(first.low > 0.0 or first.high < 0.0)
    ends = _ends(told[1].samples / told[0].samples, told, level) if _both(told) and resolved else (np.nan, np.nan)
    return _sides(first, second) | {
        "difference": _entry(second.value - first.value, *apart),
        "ratio": _entry(second.value / first.value if resolved and second.n else np.nan, *ends),
        "unit": "",
        "verdict": _verdict(*ends) if resolved else LOOK if apart[0] > 0.0 or apart[1] < 0.0 else UNDECIDED,
    }


def _both(told: list[Resampled]) -> bool:
    return len(told[0].samples) > 0 and len(told[1].samples) > 0


def _ends(samples: np.ndarray, told: list[Resampled], level: float) -> tuple[float, float]:
    """Return the interval of a comparison; the side with fewer groups says how far out percentiles are taken."""
    return interval(samples, n_groups=min(part.n_groups for part in told), level=level)


def _sides(first: Estimate, second: Estimate) -> dict[str, Any]:
    return {
        name: _entry(side.value, side.low, side.high) | {"n_events": side.n}
        for name, side in (("experiment", first), ("model", second))
    }


def _verdict(low: float, high: float) -> str:
    if np.isnan(low) or np.isnan(high):
        return UNDECIDED
    if low >= 1.0 / FACTOR and high <= FACTOR:
        return GOOD
    return BAD if low > FACTOR or high < 1.0 / FACTOR else LOOK


def _nulls(sides: tuple[list[Observed], list[Observed]]) -> dict[str, float | None]:
    """Return the variance the detector took for rattling and noise: below it events cannot be told."""
    found: dict[str, float | None] = {}
    for name, side in zip(("experiment", "model"), sides, strict=True):
        laws = [(part.events.metadata.get("fields") or {}).get("d2min") or {} for part in side]
        values = [float(np.mean(law["variance_um2"])) for law in laws if law.get("variance_um2")]
        found[name] = float(np.mean(values)) if values else None
    return found


def _sentences(result: dict[str, Any]) -> list[str]:
    rate = result["rate"]
    lines = [_rate_sentence(rate)]
    under_way = [rate[side]["n_left_out"] for side in ("experiment", "model")]
    if any(under_way):
        lines.append(
            f"Events under way in the first frame tested, {under_way[0]} in the experiment and {under_way[1]} in the "
            "model, began at an unknown time and are not counted in rates."
        )
    for name, word in (("size", "as large"), ("duration", "as long"), ("amplitude", "as strong")):
        ratio = (result.get(name) or {}).get("ratio") or {}
        if ratio.get("low90") is not None:
            lines.append(f"Events of the model are {ratio['value']:.3g} times {word} {_between(ratio)}.")
    for name, found in result["coupling"].items():
        sides = [found[side] for side in ("experiment", "model")]
        if all(side["low90"] is not None for side in sides):
            lines.append(
                f"Before events {name} of their particles differs from that of others by {sides[0]['value']:.3g} in "
                f"the experiment {_between(sides[0])} and by {sides[1]['value']:.3g} in the model {_between(sides[1])}."
            )
    first, second = result["null_variance_um2"].values()
    if first and second and not 1.0 / NULL_FACTOR <= second / first <= NULL_FACTOR:
        seen = "fewer" if second > first else "smaller"
        lines.append(
            f"Particles of the model rattle with {second / first:.2g} times the variance of the experiment, so that "
            f"the detector sees {seen} events there: part of the difference may be that."
        )
    return lines


def _rate_sentence(rate: dict[str, Any]) -> str:
    first, second = rate["experiment"], rate["model"]
    if not first["n_events"] and not second["n_events"]:
        if first["high90"] is None or second["high90"] is None:
            return "No event could have been found: nothing was tested."
        return (
            "No event began in the experiment or in the model: at most "
            f"{first['high90']:.2g} and {second['high90']:.2g} per particle and s."
        )
    if not first["n_events"]:
        return (
            f"The model has {second['n_events']} events where the experiment has none: at least "
            f"{rate['ratio']['low90']:.3g} times its rate."
        )
    return (
        f"The model has {rate['ratio']['value']:.3g} times as many events per particle and s as the experiment "
        f"{_between(rate['ratio'])}."
    )


def _between(entry: dict[str, Any]) -> str:
    if entry["low90"] is None:
        return "(no interval)" if entry.get("high90") is None else f"(90 %: up to {entry['high90']:.3g})"
    high = "any" if entry["high90"] is None else f"{entry['high90']:.3g}"
    return f"(90 %: {entry['low90']:.3g} to {high})"


def _entry(value: float, low: float, high: float) -> dict[str, float | None]:
    return {
        name: float(number) if np.isfinite(number) else None
        for name, number in (("value", value), ("low90", low), ("high90", high))
    }
