"""How long particles wait for a rearrangement: persistence and exchange times, survival, test against exponential."""

from __future__ import annotations

import warnings
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import optimize, special, stats
from scipy.spatial import cKDTree

from colloid_cg.events.exposure import tested_rows
from colloid_cg.events.intervals import LEVEL, poisson_interval
from colloid_cg.records import EventTable, Trajectories

PERSISTENCE, EXCHANGE = "persistence", "exchange"
CELLS = 4
FEWEST_GROUPS = 4


@dataclass(frozen=True, kw_only=True)
class ExponentialFit:
    """Censored waiting times against an exponential law.

    Parameters
    ----------
    rate, low, high : float
        1/s: observed ends over the whole time waited, with the interval of Garwood, or, with groups, of resamples of
        whole groups.
    n_observed, n_censored : int
    shape, shape_low, shape_high : float
        Of a Weibull law S = exp(-(t / scale)^shape), 1 for an exponential; below 1: short and long waits both more
        frequent (intermittent, or rates that differ between places); above 1: regular. With groups the interval comes
        from resamples, else from the curvature of the likelihood.
    p_value : float
        Of an exponential against a Weibull law (likelihood ratio, chi-square with one degree of freedom). It takes
        waits as independent; where particles share events the interval of ``shape`` is the one to believe.
    """

    rate: float
    low: float
    high: float
    n_observed: int
    n_censored: int
    shape: float
    shape_low: float
    shape_high: float
    p_value: float

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON-able dictionary."""
        return asdict(self)


def waiting_times(
    events: EventTable, tracks: Trajectories, fields: pd.DataFrame | None = None, *, reach: float | None = None
) -> pd.DataFrame:
    """Return how long each particle waited for its events.

    Persistence time: from the first frame in which the particle is watched to its first event; exchange time: from one
    of its events to the next (Hedges, Maibaum, Chandler and Garrahan 2007, doi:10.1063/1.2803062). A wait that the end
    of the track or of the movie cuts short is censored on the right. What began before the particle was watched is
    censored on the left: of the first wait only the rest after that frame is known, which is what persistence means,
    and exchange times have none of these. A wait across frames in which the particle is not tested (a gap) ends there,
    censored, and a new persistence time begins after it.

    Parameters
    ----------
    events : EventTable
        An event happens at ``t_on``.
    tracks : Trajectories
    fields : pandas.DataFrame, optional
        Of ``event_fields``: a particle is watched where it has a finite p-value. Without: where it is detected.
    reach : float, optional
        In um: events centred at most this far from where the particle is in that frame are events of its region. By
        default those that name the particle among their ``particles``.

    Returns
    -------
    pandas.DataFrame
        ``particle, kind ("persistence" or "exchange"), start`` (frame), ``time`` (s), ``observed`` (False: censored),
        ``group``: the cell of the view the particle is in at the start, for resamples of whole regions.
    """
    table = tracks.table
    valid = np.ones(len(table), dtype=bool) if fields is None else tested_rows(fields)
    rows = np.flatnonzero(valid)
    order = rows[np.lexsort((table["frame"].to_numpy()[rows], table["particle"].to_numpy()[rows]))]
    frame, particle = (table[name].to_numpy()[order] for name in ("frame", "particle"))
    happens = _own_events(events, tracks, reach)
    breaks = np.flatnonzero((np.diff(particle) != 0) | (np.diff(frame) != 1)) + 1
    group = _cells(tracks)[order]
    found: list[tuple[int, str, int, int, bool, int]] = []
    for first, last in zip(np.append(0, breaks), np.append(breaks, len(frame)), strict=True):
        if last == first:
            continue
        own = happens.get(int(particle[first]), np.zeros(0, dtype=np.int64))
        # What begins in the first frame watched may have begun before it.
        inside = own[(own > frame[first]) & (own <= frame[last - 1])]
        marks = np.concatenate([[frame[first]], inside, [frame[last - 1]]])
        for k in range(len(marks) - 1):
            ends = k < len(inside)
            kind = PERSISTENCE if k == 0 else EXCHANGE
            if ends or marks[k + 1] > marks[k]:
                place = group[first + int(marks[k] - frame[first])]
                found.append((int(particle[first]), kind, int(marks[k]), int(marks[k + 1]), ends, int(place)))
    names = ["particle", "kind", "start", "end", "observed", "group"]
    waits = pd.DataFrame(found, columns=names).astype({"observed": bool, "start": np.int64, "end": np.int64})
    waits["time"] = (waits["end"] - waits["start"]) * tracks.frame_interval
    return waits[["particle", "kind", "start", "time", "observed", "group"]]


def _own_events(events: EventTable, tracks: Trajectories, reach: float | None) -> dict[int, np.ndarray]:
    """Return the frames in which events of each particle begin, increasing, each once."""
    found: dict[int, set[int]] = {}
    offsets, particle = tracks.frame_offsets(), tracks.table["particle"].to_numpy()
    places = tracks.table[["x", "y"]].to_numpy(dtype=float) * tracks.pixel_size
    columns = (events.table[name].tolist() for name in ("t_on", "x", "y", "particles"))
    for begins, x, y, members in zip(*columns, strict=True):
        if reach is not None and 0 <= begins < tracks.n_frames:
            rows = slice(offsets[begins], offsets[begins + 1])
            centre = np.array([x, y]) * tracks.pixel_size
            members = particle[rows][np.linalg.norm(places[rows] - centre, axis=1) <= reach]
        for member in members:
            found.setdefault(int(member), set()).add(int(begins))
    return {member: np.array(sorted(frames)) for member, frames in found.items()}


def _cells(tracks: Trajectories) -> np.ndarray:
    view = tracks.field_of_view
    places = view.wrap(tracks.table[list(tracks.axes)].to_numpy(dtype=float))[:, :2]
    cell = np.clip(((places - np.array(view.lower[:2])) / view.lengths[:2] * CELLS).astype(int), 0, CELLS - 1)
    return np.asarray(cell[:, 0] * CELLS + cell[:, 1])


def survival(
    time: np.ndarray,
    observed: np.ndarray,
    *,
    groups: np.ndarray | None = None,
    level: float = LEVEL,
    resamples: int = 400,
    rng: np.random.Generator | None = None,
) -> pd.DataFrame:
    """Return the share of waits longer than each time, by Kaplan and Meier (1958, doi:10.1080/01621459.1958.10501452).

    Parameters
    ----------
    time : array, shape (n,)
        In s.
    observed : bool array, shape (n,)
        False where the wait was cut short.
    groups : int array, shape (n,), optional
        Whole groups (regions, whose particles share events) are resampled for the interval; by default Greenwood's
        formula for ln(-ln S), which takes waits as independent.
    rng : numpy.random.Generator, optional
        Needed with groups.

    Returns
    -------
    pandas.DataFrame
        ``time, survival, low, high, at_risk`` at each time a wait ended, from 0 on.
    """
    time, observed = np.asarray(time, dtype=float), np.asarray(observed, dtype=bool)
    if not len(time):
        return pd.DataFrame({name: pd.Series(dtype=float) for name in ("time", "survival", "low", "high", "at_risk")})
    curve = stats.ecdf(_censored(time, observed)).sf
    at = np.concatenate([[0.0], np.unique(time[observed])])
    value = _evaluated(curve, at)
    at_risk = len(time) - np.searchsorted(np.sort(time), at, side="left")
    if groups is None or rng is None or len(np.unique(groups)) < FEWEST_GROUPS:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # ln(-ln S) has no value where S is 0 or 1
            band = curve.confidence_interval(level, method="log-log")
        low, high = (_evaluated(end, at) for end in (band.low, band.high))
    else:
        drawn = [
            _evaluated(stats.ecdf(_censored(time[rows], observed[rows])).sf, at)
            for rows in _resampled(groups, resamples, rng)
        ]
        low, high = np.quantile(drawn, [0.5 * (1 - level), 0.5 * (1 + level)], axis=0)
    low, high = (np.where(at < at[min(1, len(at) - 1)], 1.0, end) for end in (low, high))
    return pd.DataFrame({"time": at, "survival": value, "low": low, "high": high, "at_risk": at_risk})


def _censored(time: np.ndarray, observed: np.ndarray) -> stats.CensoredData:
    return stats.CensoredData(uncensored=time[observed], right=time[~observed])


def _evaluated(curve: Any, at: np.ndarray) -> np.ndarray:
    return np.asarray(curve.evaluate(at), dtype=float)


def _resampled(groups: np.ndarray, resamples: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Return the rows of each resample: as many groups as there are, drawn with replacement."""
    members = [np.flatnonzero(groups == name) for name in np.unique(groups)]
    drawn = rng.integers(0, len(members), size=(resamples, len(members)))
    return [np.concatenate([members[k] for k in chosen]) for chosen in drawn]


def fit_exponential(
    time: np.ndarray,
    observed: np.ndarray,
    *,
    groups: np.ndarray | None = None,
    level: float = LEVEL,
    resamples: int = 400,
    rng: np.random.Generator | None = None,
) -> ExponentialFit:
    """Fit an exponential law to censored waits and test it against a Weibull law.

    Parameters are those of :func:`survival`. Waits of length 0 are left out.
    """
    time, observed = np.asarray(time, dtype=float), np.asarray(observed, dtype=bool)
    kept = time > 0.0
    time, observed = time[kept], observed[kept]
    n, total = int(observed.sum()), float(time.sum())
    low, high = poisson_interval(n, total, level=level)
    shape, error, gain = _weibull(time, observed)
    half = float(stats.norm.isf(0.5 * (1 - level))) * error
    ends = (shape * np.exp(-half / shape), shape * np.exp(half / shape))
    if groups is not None and rng is not None and n and len(np.unique(groups)) >= FEWEST_GROUPS:
        parts = [(time[rows], observed[rows]) for rows in _resampled(np.asarray(groups)[kept], resamples, rng)]
        tails = [0.5 * (1 - level), 0.5 * (1 + level)]
        low, high = np.quantile([seen.sum() / waited.sum() for waited, seen in parts], tails)
        ends = tuple(np.nanquantile([_weibull(waited, seen)[0] for waited, seen in parts], tails))
    return ExponentialFit(
        rate=n / total if total > 0 else float("nan"), low=float(low), high=float(high), n_observed=n,
        n_censored=len(time) - n, shape=shape, shape_low=float(ends[0]), shape_high=float(ends[1]),
        p_value=float(stats.chi2.sf(2.0 * gain, 1)) if np.isfinite(gain) else float("nan"),
    )  # fmt: skip


def _weibull(time: np.ndarray, observed: np.ndarray) -> tuple[float, float, float]:
    """Return the shape of a Weibull law by maximum likelihood, its error, and ln L over that of shape 1.

    With t in units of its mean, d ends and k the shape: ln L = d ln k + (k - 1) sum_d ln t - d ln(sum t^k / d) - d.
    """
    d = int(observed.sum())
    if d < 2 or len(np.unique(time)) < 2:
        return float("nan"), float("nan"), float("nan")
    logs = np.log(time / time.mean())
    ends = float(logs[observed].sum())

    def log_likelihood(shape: float) -> float:
        return float(d * np.log(shape) + (shape - 1) * ends - d * (special.logsumexp(shape * logs) - np.log(d)))

    best = optimize.minimize_scalar(lambda k: -log_likelihood(np.exp(k)), bounds=(-4.0, 4.0), method="bounded")
    shape = float(np.exp(best.x))
    weight = special.softmax(shape * logs)
    spread = float(weight @ logs**2 - (weight @ logs) ** 2)
    error = 1.0 / np.sqrt(d / shape**2 + d * spread)
    return shape, float(error), max(0.0, -float(best.fun) - log_likelihood(1.0))


def region_pairs(events: EventTable, *, reach: float, pixel_size: float) -> pd.DataFrame:
    """Return for each event the next one that begins later within ``reach`` (um) of it.

    Returns
    -------
    pandas.DataFrame
        ``event, next`` (event numbers, -1 for none), ``frames`` from onset to onset (NaN for none).
    """
    table = events.table
    places, begins = table[["x", "y"]].to_numpy(dtype=float) * pixel_size, table["t_on"].to_numpy()
    following, wait = np.full(len(table), -1), np.full(len(table), np.nan)
    if len(table):
        pairs = cKDTree(places).query_pairs(reach, output_type="ndarray")
        both = np.concatenate([pairs, pairs[:, ::-1]])
        both = both[begins[both[:, 1]] > begins[both[:, 0]]]
        both = both[np.lexsort((begins[both[:, 1]], both[:, 0]))]
        first, at = np.unique(both[:, 0], return_index=True)
        following[first] = table["event"].to_numpy()[both[at, 1]]
        wait[first] = begins[both[at, 1]] - begins[first]
    return pd.DataFrame({"event": table["event"].to_numpy(), "next": following, "frames": wait})
