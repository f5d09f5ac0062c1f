"""Short recordings of the ideal gas of the benchmarks in a small cell."""

from __future__ import annotations

from functools import cache

from benchmarks.ideal_gas_system import Run, Stirring, gas, random_start, run

EDGE = 8.0
BODY = Stirring(1.5, EDGE)


@cache
def recording(n_frames: int, seed: int = 1, settling: int = 150) -> Run:
    """Return a stirred run."""
    model = gas(BODY)
    return run(model, random_start(model, EDGE, seed), n_frames, seed, settling=settling)


@cache
def quiet_recording(n_frames: int, seed: int = 1, settling: int = 20) -> Run:
    """Return a run that nothing drives: particles anywhere push each other apart and heat up."""
    model = gas()
    return run(model, random_start(model, EDGE, seed), n_frames, seed, settling=settling)
