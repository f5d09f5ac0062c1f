"""The models of the star-polymer tables: fitted to the training block, their settings chosen on the selection block."""

from __future__ import annotations

import time
from functools import partial

import numpy as np

from benchmarks.star_melts import StarMelt
from benchmarks.star_protocol import Candidate
from colloid_cg.dynamics.metriplectic.steps.hidden import memory_step
from colloid_cg.dynamics.metriplectic.steps.reinjection import reinjection_step
from colloid_cg.learn.baselines import GraphNetworkConfig, fit_dpd, graph_network, langevin, velocity_relaxation
from colloid_cg.learn.momentum import MomentumFitConfig, fit_pair_dynamics, metriplectic_model

two_stage_step = partial(reinjection_step, stages=2)


def pair_model(melt: StarMelt) -> Candidate:
    """Fit force, friction and memory with the settings of the package as they are."""
    started = time.process_time()
    dynamics = fit_pair_dynamics(melt.train, melt.select)
    seconds = time.process_time() - started
    scan, interval = dynamics.scan, melt.recording.frame_interval
    figures = {
        "seconds": seconds, "cutoff": dynamics.cutoff, "friction": dynamics.friction_per_mass,
        "friction_error": dynamics.friction_per_mass_error, "short_window": dynamics.windows[0] * interval,
        "plateau": scan.plateau, "plateau_error": scan.plateau_error, "memory": scan.memory_time,
        "memory_error": scan.memory_error, "converged": float(dynamics.converged),
    }  # fmt: skip
    for window, value, error in zip(scan.windows, scan.values, scan.errors, strict=True):
        figures[f"gamma {window}"] = float(value)
        figures[f"gamma error {window}"] = float(error)
    return Candidate(
        model=metriplectic_model(dynamics, melt.recording.masses[:1]), step=two_stage_step, figures=figures
    )


def memory_model(melt: StarMelt) -> Candidate:
    """Fit force and friction that acts late, with the settings of the package as they are."""
    started = time.process_time()
    dynamics = fit_pair_dynamics(melt.train, melt.select, MomentumFitConfig(memory="hidden"))
    figures = {
        "seconds": time.process_time() - started, "cutoff": dynamics.cutoff, "friction": dynamics.friction_per_mass,
        "friction_error": dynamics.friction_per_mass_error, "converged": float(dynamics.converged),
    }  # fmt: skip
    memory = dynamics.memory
    if memory is not None:
        for number, (kernel, error) in enumerate(zip(memory.kernels, memory.rates_error, strict=True), start=1):
            figures |= {f"decay {number}": kernel.decay, f"decay {number}_error": float(error[0])}
            if kernel.swing is not None:
                figures |= {f"swing {number}": kernel.swing, f"swing {number}_error": float(error[1])}
        figures |= {f"misfit {name}": value for name, value in memory.misfits.items()}
    return Candidate(model=metriplectic_model(dynamics, melt.recording.masses[:1]), step=memory_step, figures=figures)


def langevin_model(melt: StarMelt) -> Candidate:
    """Fit the friction of a bath."""
    started = time.process_time()
    rates, errors = velocity_relaxation(melt.train)
    model = langevin(melt.train)
    figures = {
        "seconds": time.process_time() - started,
        "friction": float(rates[0]),
        "friction_error": float(errors[0]),
    }
    return Candidate(model=model, step=two_stage_step, figures=figures)


def dpd_model(melt: StarMelt) -> Candidate:
    """Fit standard dissipative particle dynamics."""
    started = time.process_time()
    found = fit_dpd(melt.train, melt.select)
    figures = {
        "seconds": time.process_time() - started, "cutoff": found.cutoff, "strength": float(found.strength[0]),
        "strength_error": float(found.strength_error[0]), "pair_friction": float(found.friction[0]),
        "pair_friction_error": float(found.friction_error[0]),
        "short_window": found.windows[0] * melt.recording.frame_interval,
    }  # fmt: skip
    return Candidate(model=found.model(melt.recording.masses[:1]), step=two_stage_step, figures=figures)


def network_model(melt: StarMelt, *, over_memory: bool) -> Candidate:
    """Train the graph network on steps of one frame, or of as many as the random forces remember.

    The second is the fairer one: one step of a model without memory cannot hold forces that outlive it.
    """
    started = time.process_time()
    dynamics = fit_pair_dynamics(melt.train, melt.select)
    stride = dynamics.windows[0] if over_memory else 1
    begun = time.process_time()
    network = graph_network(
        melt.train,
        melt.select,
        GraphNetworkConfig(cutoff=dynamics.cutoff, frames_per_step=stride),
        rng=np.random.default_rng(7),
    )
    figures = {
        "seconds": time.process_time() - begun, "range_seconds": begun - started, "looks": float(network.looks),
        "log_likelihood": network.log_likelihood[1], "log_likelihood_of_the_mean": network.log_likelihood[0],
        "frames_per_step": float(stride),
    }  # fmt: skip
    return Candidate(model=network.carrier, step=network.step, frames_per_step=stride, figures=figures)
