"""What the parts of benchmarks/events.py share: the detector as it is called, matching, the true null, shares."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from scipy import integrate, optimize, stats
from scipy.optimize import linear_sum_assignment

from colloid_cg.events import EventConfig, detect_events, event_fields
from colloid_cg.records import Trajectories

FDR = (0.05, 0.1)
GATE_DIAMETERS, GATE_FRAMES = 2.0, 3
BARE = 0.015
"""The usual cut of D2min per bond, over the diameter squared."""


def detected(tracks: Trajectories) -> tuple[pd.DataFrame, dict[float, pd.DataFrame]]:
    """Return the fields and, for each promised rate, the table of events."""
    fields = event_fields(tracks)
    return fields, {q: detect_events(tracks, EventConfig(fdr=q), fields=fields).table for q in FDR}


def nulls_of(fields: pd.DataFrame) -> dict[str, Any]:
    """Return what the detector says about its null laws."""
    return dict(fields.attrs.get("events", {}))


def p_columns(fields: pd.DataFrame) -> list[str]:
    """Return the columns with p-values."""
    return [name for name in fields.columns if name.endswith("_p")]


def pairs(found: pd.DataFrame, true: pd.DataFrame, *, distance: float) -> tuple[np.ndarray, np.ndarray]:
    """Match found events (t_peak) with true ones (frame, duration) within ``distance`` px and GATE_FRAMES, one to one.

    Returns
    -------
    partner : int array, shape (true,)
        Row of the found event, -1 where there is none.
    near : bool array, shape (found,)
        Whether any true event lies within the gates.
    """
    if not len(found) or not len(true):
        return np.full(len(true), -1), np.zeros(len(found), dtype=bool)
    apart = np.hypot(*(true[axis].to_numpy()[:, None] - found[axis].to_numpy()[None, :] for axis in "xy"))
    first = true["frame"].to_numpy()[:, None]
    last = first + true["duration"].to_numpy()[:, None] - 1
    peak = found["t_peak"].to_numpy()[None, :]
    late = np.maximum(0, np.maximum(first - peak, peak - last))
    allowed = (apart <= distance) & (late <= GATE_FRAMES)
    cost = np.where(allowed, (apart / distance) ** 2 + (late / GATE_FRAMES) ** 2, 1e6)
    row, column = linear_sum_assignment(cost)
    partner = np.full(len(true), -1)
    good = allowed[row, column]
    partner[row[good]] = column[good]
    return partner, allowed.any(axis=0)


def noise(tracks: Trajectories, rattle: np.ndarray, *, margin: float) -> pd.DataFrame:
    """Return particle, frame and the true non-affine position (um): error of tracking plus vibration.

    ``rattle`` has shape (frames, n, 2), um. Detections of nothing are left out, and those nearer than ``margin`` (px)
    to the edge of the view, where no D2min is tested.
    """
    seen = tracks.as_seen().table
    lower, upper = (np.asarray(each) for each in (tracks.field_of_view.lower, tracks.field_of_view.upper))
    places = seen[["x", "y"]].to_numpy()
    inside = np.minimum(places - lower, upper - places).min(axis=1) > margin
    table = tracks.table[(tracks.table["true_particle"] >= 0) & inside]
    own = rattle[table["frame"].to_numpy(), table["true_particle"].to_numpy()]
    place = table[["error_x", "error_y"]].to_numpy() * tracks.pixel_size + own
    return pd.DataFrame(
        {"particle": table["particle"].to_numpy(), "frame": table["frame"].to_numpy(), "x": place[:, 0],
         "y": place[:, 1]}
    ).sort_values(["particle", "frame"], kind="stable")  # fmt: skip


def step_variance(true: pd.DataFrame, lag: int) -> float:
    """Return the variance per coordinate of true non-affine displacements over ``lag`` frames."""
    groups = true.groupby("particle")
    whole = (groups["frame"].diff(lag) == lag).to_numpy()
    return float((groups[["x", "y"]].diff(lag).to_numpy()[whole] ** 2).mean())


def window_variance(true: pd.DataFrame, half: int) -> float:
    """Return the variance per coordinate of the difference of the means of two windows of ``half`` frames."""
    groups = true.groupby("particle")
    means = groups[["x", "y"]].rolling(half).mean().to_numpy()
    later = groups["frame"].shift(-half).to_numpy()
    whole = (later - true["frame"].to_numpy() == half) & (groups["frame"].diff(half - 1) == half - 1).to_numpy()
    rows = np.flatnonzero(whole)
    return float(((means[rows + half] - means[rows]) ** 2).mean())


@lru_cache(maxsize=4096)
def d2min_threshold(count: int, shared: float, log10_p: float) -> float:
    """Return the signal over the standard deviation that brings D2min to a p-value, in two dimensions.

    Summed over n bonds D2min is v [chi2_(2n-6) + (1+c) chi2_2] under the null; the threshold is the square root of its
    upper p quantile less its mean, in units of sqrt(v). Integrated numerically, apart from the product's own law.
    """
    rest, width = 2.0 * count - 6.0, 1.0 + shared

    def tail(x: float) -> float:
        body = integrate.quad(
            lambda z: stats.chi2.sf(x - width * z, rest) * 0.5 * np.exp(-0.5 * z), 0.0, x / width, limit=200
        )[0]
        return float(body + np.exp(-0.5 * x / width))

    mean = rest + 2.0 * width
    top = optimize.brentq(lambda x: np.log10(max(tail(x), 1e-300)) - log10_p, mean, mean + 400.0 * width)
    return float(np.sqrt(max(top - mean, 0.0)))


def hop_threshold(p_value: float) -> float:
    """Return the jump over the standard deviation of the difference of two window means that has this p-value."""
    return float(np.sqrt(-2.0 * np.log(p_value)))


def allowed_share(q: float, n: int) -> float:
    """Return q plus two standard errors of a share of n."""
    return q + 2.0 * float(np.sqrt(q * (1.0 - q) / n))


def wilson(k: int, n: int) -> list[float]:
    """Return the 90 % interval of a share."""
    if not n:
        return [0.0, 1.0]
    low, high = stats.binomtest(int(k), int(n)).proportion_ci(0.9, method="wilson")
    return [float(low), float(high)]
