"""Repeatable torch: one thread while numbers are made, private random streams, global state left as found."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def single_thread() -> Iterator[None]:
    """Run torch on one thread inside the block and give the caller's setting back afterwards.

    Sums over several threads are added in an order that depends on their number; on one thread the same input
    gives the same bytes on any number of cores.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def torch_generator(rng: np.random.Generator) -> torch.Generator:
    """Return a torch random stream seeded from ``rng``; torch's global stream is neither read nor moved."""
    stream = torch.Generator(device="cpu")
    stream.manual_seed(int(rng.integers(0, 2**63 - 1)))
    return stream
