"""How large, long and strong events are, and how the particles that take part differ from others before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from colloid_cg.errors import InputError
from colloid_cg.events.intervals import LEVEL, wilson_interval
from colloid_cg.records import EventTable, Trajectories

RESAMPLES = 1000
TIME_BLOCKS = 10
FEWEST_GROUPS = 4


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A value with its interval; low and high are NaN where there are too few groups to resample."""

    value: float
    low: float
    high: float
    n: int

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON-able dictionary."""
        return asdict(self)


def event_sizes(events: EventTable, tracks: Trajectories) -> pd.DataFrame:
    """Return size, duration and strength of each event in physical units.

    Returns
    -------
    pandas.DataFrame
        ``event, t_on, size`` (particles), ``duration`` (s, both end frames counted), ``radius`` (um), and where the
        event table has them ``amplitude`` (um), ``strain`` and ``strain_before``.
    """
    table = events.table
    found = pd.DataFrame(
        {
            "event": table["event"], "t_on": table["t_on"], "size": table["n_particles"].astype(float),
            "duration": (table["t_off"] - table["t_on"] + 1) * tracks.frame_interval,
            "radius": table["radius"] * tracks.pixel_size,
        }
    )  # fmt: skip
    names = [name for name in ("amplitude", "strain", "strain_before") if name in table.columns]
    return found.assign(**{name: table[name].astype(float) for name in names})


def distribution(values: np.ndarray, *, level: float = LEVEL) -> pd.DataFrame:
    """Return the share of events of at least each value found.

    Returns
    -------
    pandas.DataFrame
        ``value`` (increasing), ``share, low, high`` (Wilson, pointwise; events taken as independent), ``events``.
    """
    known = np.sort(values[np.isfinite(values)])
    value, first = np.unique(known, return_index=True)
    at_least = len(known) - first
    ends = np.array([wilson_interval(k, len(known), level=level) for k in at_least]).reshape(-1, 2)
    share = at_least / max(len(known), 1)
    return pd.DataFrame({"value": value, "share": share, "low": ends[:, 0], "high": ends[:, 1], "events": at_least})


def before_events(
    events: EventTable, tracks: Trajectories, values: np.ndarray, *, lead: int = 1, species: bool = True
) -> pd.DataFrame:
    """Return for each event the mean of a variable over its particles before it, and over all others in that frame.

    A case-control comparison with every control there is, instead of some drawn at random: the mean over all of them is
    what random draws would give without their noise.

    Parameters
    ----------
    events : EventTable
    tracks : Trajectories
    values : array, shape (len(tracks),)
        One value per detection (s0, local strain, ...), NaN where unknown.
    lead : int
        Frames before ``t_on``. A variable that looks over several frames must end before the event begins.
    species : bool
        Compare each particle with others of its species.

    Returns
    -------
    pandas.DataFrame
        ``event, t_on, case, control, difference, n_particles``: one row per event of which anything is known.
    """
    if len(values) != len(tracks):
        raise InputError(
            f"{len(values)} values for {len(tracks)} detections", expected="one value per detection of these tracks",
            action="take the column from the fields of these tracks",
        )  # fmt: skip
    kind = tracks.table["species"].to_numpy() if species else np.zeros(len(tracks), dtype=int)
    particle, offsets = tracks.table["particle"].to_numpy(), tracks.frame_offsets()
    found = []
    for number, begins, members in zip(
        *(events.table[n].tolist() for n in ("event", "t_on", "particles")), strict=True
    ):
        if not 0 <= begins - lead < tracks.n_frames:
            continue
        rows = np.arange(offsets[begins - lead], offsets[begins - lead + 1])
        rows = rows[np.isfinite(values[rows])]
        case = np.isin(particle[rows], np.asarray(members, dtype=np.int64))
        pairs = []
        for name in np.unique(kind[rows[case]]):
            own = kind[rows] == name
            if (own & ~case).any():
                pairs.append((values[rows[own & case]], float(values[rows[own & ~case]].mean())))
        if pairs:
            size = sum(len(inside) for inside, _ in pairs)
            mean = float(np.concatenate([inside for inside, _ in pairs]).mean())
            control = sum(len(inside) * other for inside, other in pairs) / size
            found.append((number, begins, mean, control, mean - control, size))
    names = ["event", "t_on", "case", "control", "difference", "n_particles"]
    return pd.DataFrame(found, columns=names)


def time_groups(t_on: np.ndarray, *, blocks: int = TIME_BLOCKS) -> np.ndarray:
    """Return the group of each event, for resamples: a tenth of the time between the first and the last of them."""
    if not len(t_on):
        return np.zeros(0, dtype=np.int64)
    first, last = int(t_on.min()), int(t_on.max())
    return np.asarray((t_on - first) * blocks // (last - first + 1))


@dataclass(frozen=True, kw_only=True, eq=False)
class Resampled:
    """Values, and the means of resamples of whole groups of them (none with fewer than four groups).

    Parameters
    ----------
    values : array, shape (n,)
    samples : array, shape (resamples,) or (0,)
    n_groups : int
    """

    values: np.ndarray
    samples: np.ndarray
    n_groups: int

    def estimate(self, *, level: float = LEVEL) -> Estimate:
        """Return the mean with its interval."""
        low, high = interval(self.samples, n_groups=self.n_groups, level=level)
        value = float(self.values.mean()) if len(self.values) else float("nan")
        return Estimate(value=value, low=low, high=high, n=len(self.values))


def resampled(
    values: np.ndarray, groups: np.ndarray, rng: np.random.Generator, *, resamples: int = RESAMPLES
) -> Resampled:
    """Return the means of resamples of whole groups (Kuensch 1989, doi:10.1214/aos/1176347265)."""
    names, index = np.unique(groups, return_inverse=True)
    if len(names) < FEWEST_GROUPS:
        return Resampled(values=values, samples=np.zeros(0), n_groups=len(names))
    sums, sizes = np.bincount(index, weights=values), np.bincount(index)
    drawn = rng.multinomial(len(names), np.full(len(names), 1.0 / len(names)), size=resamples)
    return Resampled(values=values, samples=np.asarray(drawn @ sums / (drawn @ sizes)), n_groups=len(names))


def interval(samples: np.ndarray, *, n_groups: int, level: float = LEVEL) -> tuple[float, float]:
    """Return percentiles of resamples, NaN where there are none or some are unknown.

    They are taken further out than ``level`` says, by what Student's t asks of that many groups (expanded percentiles,
    Hesterberg 2015, doi:10.1080/00031305.2015.1089789).
    """
    if not len(samples) or np.isnan(samples).any():
        return float("nan"), float("nan")
    quantile = stats.t.isf(0.5 * (1.0 - level), n_groups - 1)
    outer = float(stats.norm.sf(np.sqrt(n_groups / (n_groups - 1)) * quantile))
    low, high = np.quantile(samples, [outer, 1.0 - outer])
    return float(low), float(high)


def case_control(
    before: pd.DataFrame | Sequence[pd.DataFrame], *, rng: np.random.Generator, level: float = LEVEL
) -> Estimate:
    """Return the mean difference between the particles of events and others before, each event with equal weight.

    Parameters
    ----------
    before : pandas.DataFrame or sequence of these
        Made by :func:`before_events`, of one movie or of several (replicas).
    rng : numpy.random.Generator
        The interval comes from resamples of tenths of the movies: events near in time may share their cause.
    """
    tables = [before] if isinstance(before, pd.DataFrame) else list(before)
    values, groups = pooled_groups([(table["difference"].to_numpy(), table["t_on"].to_numpy()) for table in tables])
    return resampled(values, groups, rng).estimate(level=level)


def pooled_groups(parts: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Return values of several movies together, and their groups: tenths of each movie (see :func:`time_groups`)."""
    if not parts:
        return np.zeros(0), np.zeros(0, dtype=np.int64)
    groups = [time_groups(t_on) + TIME_BLOCKS * k for k, (_, t_on) in enumerate(parts)]
    return np.concatenate([np.asarray(values, dtype=float) for values, _ in parts]), np.concatenate(groups)
