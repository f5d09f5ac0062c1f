"""What a fitted model must be better than: no pairs at all, the textbook pair model, a network without laws."""

from colloid_cg.learn.baselines.config import GraphNetworkConfig
from colloid_cg.learn.baselines.dpd import DpdFit, dpd, fit_dpd
from colloid_cg.learn.baselines.graph_network import GraphNetwork, graph_network
from colloid_cg.learn.baselines.langevin import langevin, velocity_relaxation

__all__ = [
    "DpdFit",
    "GraphNetwork",
    "GraphNetworkConfig",
    "dpd",
    "fit_dpd",
    "graph_network",
    "langevin",
    "velocity_relaxation",
]
