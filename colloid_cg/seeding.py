"""Random streams derived from one seed and a name, so that no stage shifts another's random numbers."""

from __future__ import annotations

import hashlib

import numpy as np


def generator(seed: int, *names: str | int) -> np.random.Generator:
    """Return the random stream of ``seed`` that belongs to ``names`` (stage, replica, ...)."""
    return np.random.default_rng(np.random.SeedSequence([seed, *(_key(name) for name in names)]))


def integer_seed(seed: int, *names: str | int) -> int:
    """Return a 63-bit seed for libraries that want an integer (torch)."""
    return int(generator(seed, *names).integers(0, 2**63 - 1))


def _key(name: str | int) -> int:
    return int.from_bytes(hashlib.sha256(str(name).encode()).digest()[:8], "little")
