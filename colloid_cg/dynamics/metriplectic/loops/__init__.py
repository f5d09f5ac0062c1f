"""Compiled loops over pairs: what a processor does fastest.

The torch formulas beside their callers say what is computed and serve accelerators and derivatives; tests hold both to
each other. Sums run over the pairs in their order, so that results are the same from run to run.
"""

from colloid_cg.dynamics.metriplectic.loops.arrays import usable

__all__ = ["usable"]
