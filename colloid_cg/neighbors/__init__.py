"""Neighbour graphs of particle positions: within a cutoff, or by Delaunay triangulation."""

from colloid_cg.neighbors.cutoff import within
from colloid_cg.neighbors.triangulation import delaunay

__all__ = ["delaunay", "within"]
