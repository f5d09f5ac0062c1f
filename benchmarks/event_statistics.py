"""How often the intervals of event statistics hold the truth, and how fast events are matched.

Poisson and Thomas processes, censored renewal processes, and tables of a hundred thousand events. Run it with
``make bench-event_statistics``.
"""

from __future__ import annotations

import time

import numpy as np

from benchmarks.record import Record
from colloid_cg.events import event_exposure, event_rate, fit_exponential, match_events
from colloid_cg.events.intervals import ratio_interval, wilson_interval
from colloid_cg.records import EventTable
from tests.events.tables import event_table, still, thomas

TRIALS = 2000
FRAMES, EDGE = 101, 100.0


def poisson_table(rng: np.random.Generator, mean: float) -> EventTable:
    n = rng.poisson(mean)
    return event_table(rng.integers(1, FRAMES, n), *rng.uniform(0, EDGE, (2, n)))


def rates(record: Record) -> None:
    exposure, rng = event_exposure(still(FRAMES)), np.random.default_rng(0)
    cases = [("independent", mean, 0.0) for mean in (3, 30, 300)]
    cases += [("clusters of 5", mean, 5.0) for mean in (10, 30, 100, 300)]
    for kind, mean, offspring in cases:
        wide = exact = 0
        for _ in range(TRIALS):
            events = (
                thomas(rng, mean, offspring=offspring, width=0.02, frames=FRAMES, edge=EDGE)
                if offspring
                else poisson_table(rng, mean)
            )
            rate = event_rate(events, exposure)
            truth = mean / rate.exposure
            wide += rate.low <= truth <= rate.high
            exact += rate.poisson_low <= truth <= rate.poisson_high
        record.add(
            f"rate, {kind}, {mean} events expected: share of 90 % intervals that hold it", wide / TRIALS,
            target=[0.87, 0.97], interval=list(wilson_interval(wide, TRIALS)), peer="exact Poisson interval",
            peer_value=exact / TRIALS,
        )  # fmt: skip


def ratios(record: Record) -> None:
    rng = np.random.default_rng(1)
    for first, second in ((3, 3), (10, 40)):
        counts = rng.poisson([first, second], size=(TRIALS, 2))
        counts = counts[counts.sum(axis=1) > 0]
        ends = np.array([ratio_interval((a, b), (1.0, 2.0)) for a, b in counts])
        held = int(((ends[:, 0] <= 2 * first / second) & (ends[:, 1] >= 2 * first / second)).sum())
        record.add(
            f"ratio of rates, {first} and {second} events: share of 90 % intervals that hold it", held / len(counts),
            target=[0.87, 0.99], interval=list(wilson_interval(held, len(counts))),
            note="exact intervals of counts this small hold more than 90 %",
        )  # fmt: skip


def waits(record: Record) -> None:
    rng, held, naive = np.random.default_rng(2), 0, []
    for _ in range(TRIALS):
        wait, cut = rng.exponential(1.0, 60), rng.uniform(0, 2.0, 60)
        time_waited, observed = np.minimum(wait, cut), wait <= cut
        fit = fit_exponential(time_waited, observed)
        held += fit.low <= 1.0 <= fit.high
        naive.append(observed.sum() / time_waited[observed].sum())
    record.add(
        "rate from censored waits: share of 90 % intervals that hold it", held / TRIALS, target=[0.87, 0.95],
        interval=list(wilson_interval(held, TRIALS)), peer="rate without the censored waits, over the true one",
        peer_value=float(np.mean(naive)),
    )  # fmt: skip


def matching(record: Record) -> None:
    rng, n = np.random.default_rng(3), 100_000
    t, x, y = rng.integers(0, 10_000, n), *rng.uniform(0, 2000, (2, n))
    reference = event_table(t, x, y)
    found = event_table(t + rng.integers(-2, 3, n), x + rng.normal(0, 2, n), y + rng.normal(0, 2, n))
    for reach in (1.0, 5.0):
        started = time.process_time()
        match = match_events(found, reference, max_distance=reach, max_frames=5, pixel_size=0.1)
        seconds = time.process_time() - started
        record.add(
            f"matching 100,000 events within {reach:g} um and 5 frames", seconds, unit="s", target=30.0, better="lower",
            note=f"recall {match.recall['value']:.4f}",
        )  # fmt: skip


def main() -> None:
    record = Record("event_statistics")
    rates(record)
    ratios(record)
    waits(record)
    matching(record)
    record.write()


if __name__ == "__main__":
    main()
