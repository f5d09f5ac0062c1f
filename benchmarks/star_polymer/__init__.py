"""Kremer-Grest melts of star polymers, simulated with LAMMPS: the coarse-graining example of arXiv:2508.12569.

``python -m benchmarks.star_polymer --beads 11|51 -o FOLDER`` makes the melt, equilibrates it, runs it at constant
energy and writes centre-of-mass trajectories and their statistics. It needs the extra ``lammps``.
"""
