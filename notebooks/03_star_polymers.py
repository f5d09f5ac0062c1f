# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Star polymers: a coarse model from a simulation
#
# A melt of star polymers, each seen as one particle: its centre of mass, with its velocity. What pair force and what
# friction act between such particles, and does a model of them move like the melt? The answer conserves energy and
# momentum to round-off. The same in the shell: `colloid-cg import star.npz -o RUN`, then `fit`, `simulate`, `assess`
# and `report` on `RUN`; dumps of LAMMPS go the same way.
#
# If the environment variable `COLLOID_CG_DATA` names a folder with `star_polymer/star11_train.npz`, that melt is used;
# else a fluid of known force and friction is simulated first, so that every number has a truth beside it.

# %%
import os
from pathlib import Path
from tempfile import mkdtemp

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch

import colloid_cg as cg
from colloid_cg.dynamics.metriplectic.energy import ConstantHeatCapacity
from colloid_cg.dynamics.metriplectic.friction import PowerLaw
from colloid_cg.dynamics.metriplectic.model import MetriplecticModel
from colloid_cg.dynamics.metriplectic.radial import SplineRadial
from colloid_cg.learn import MomentumFitConfig
from colloid_cg.pipeline.run import import_tracks
from colloid_cg.records import PhaseSeries
from colloid_cg.simulation import phase_rollout

folder = Path(mkdtemp())
measured = Path(os.environ.get("COLLOID_CG_DATA", "")) / "star_polymer" / "star11_train.npz"
known = not measured.is_file()

# %% [markdown]
# ## A fluid whose laws are known
#
# Only where there is no melt: soft particles in two dimensions. Force and frictions are splines that end at `cutoff`,
# the heat capacity is large, so that the temperature hardly moves.


# %%
def soft_fluid(friction: float = 1.0) -> MetriplecticModel:
    """Return a model of one species at k_B T = 1, mass 2."""
    one, fall = torch.ones(1, dtype=torch.float64), torch.linspace(1.0, 0.0, 8, dtype=torch.float64) ** 2
    return MetriplecticModel(
        masses=2.0 * one,
        energy=ConstantHeatCapacity(heat_capacity=1000.0 * one, temperature=one),
        radial=SplineRadial(
            lower=0.3,
            cutoff=1.6,
            force=(30.0 * fall)[None],
            par=(6.0 * friction * fall)[None],
            perp=(2.0 * friction * fall)[None],
        ),
        law=PowerLaw(temperature=1.0),
    )


def simulated(frames: int, side: int = 14, interval: float = 0.05) -> Path:
    """Simulate the fluid from a grid and write positions, velocities and what is known of them."""
    rng = np.random.default_rng(1)
    grid = np.stack(np.meshgrid(np.arange(side), np.arange(side), indexing="ij"), axis=-1).reshape(-1, 2)
    x, v = 1.1 * (grid + 0.5), rng.normal(size=(side**2, 2)) / np.sqrt(2.0)
    start = PhaseSeries(
        positions=np.stack([x, x]),
        velocities=np.stack([v, v]),
        species=np.zeros(side**2, dtype=int),
        masses=np.full(side**2, 2.0),
        box=cg.Box(lower=(0.0, 0.0), upper=(1.1 * side, 1.1 * side), periodic=(True, True)),
        frame_interval=interval,
    )
    config = cg.SimulateConfig(frames=frames + 50, replicas=1)
    run = phase_rollout(soft_fluid(), start, thermal_energy=1.0, config=config, rng=2)
    target = folder / "fluid.npz"
    fields = {"dt": interval, "box": start.box.lengths, "mass": 2.0, "kT": 1.0}
    np.savez(target, pos=run.positions[0, 50:], vel=run.velocities[0, 50:], **fields)
    return target


source = simulated(frames=400) if known else measured
source.name

# %% [markdown]
# ## Import
#
# Lengths and times stay in the units of the file. Three blocks of time: learn on the first, choose on the second, look
# at the third only once.

# %%
run = cg.RunFolder(folder / "RUN")
import_tracks(source, run, cg.Study())
tracks = cg.read_trajectories(run.path / "trajectories.parquet")
train, select, test = cg.split_by_time(tracks, fractions=(0.6, 0.15, 0.25))
tracks

# %% [markdown]
# ## Fit
#
# Pair force, friction along and across the line between two particles, with 90 % intervals. The heat capacity cannot
# be known from data at one temperature: it is assumed.

# %%
model = cg.fit(train, select, momentum=MomentumFitConfig(cutoff=1.6 if known else 3.3))
rows = {name: entries[0] for name, entries in model.metrics.items()}
pd.DataFrame(rows).T[["value", "low90", "high90", "unit"]]

# %% [markdown]
# ## Friction against lag
#
# Random forces remember themselves for a while. A fit to changes over a single frame sees only part of the friction
# (in the melt a quarter of it), one over very long times counts collective motion twice. The windows of the fit (grey)
# begin where the random forces of the selection block are forgotten.

# %%
scan = model.diagnostics["friction_scan"]
fig, ax = plt.subplots(figsize=(6, 4))
bars = np.abs(np.array([scan["low90"], scan["high90"]]) - np.array(scan["value"]))
ax.errorbar(scan["lag"], scan["value"], yerr=bars, fmt="o", capsize=3, label="each window alone, 90 %")
friction = rows["friction"]
ax.axhspan(friction["low90"], friction["high90"], alpha=0.3, label="fit, 90 % interval")
ax.axvspan(*scan["windows"], color="0.9", zorder=0)
ax.set_xscale("log")
ax.set_ylim(bottom=0.0)
ax.set_xlabel("window of the impulses")
ax.set_ylabel("friction over mass")
ax.legend()

# %% [markdown]
# ## Force and friction

# %%
fig, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
force, rub = model.pair_force, model.pair_friction
axes[0].fill_between(force["r"], force["low90"], force["high90"], alpha=0.3)
axes[0].plot(force["r"], force["force"], label="fitted, 90 % band")
for name in ("along", "across"):
    axes[1].fill_between(rub["r"], rub[f"{name}_low90"], rub[f"{name}_high90"], alpha=0.3)
    axes[1].plot(rub["r"], rub[name], label=f"{name} the line")
if known:
    truth = soft_fluid().radial.evaluate(torch.tensor(force["r"].to_numpy()), None)
    axes[0].plot(force["r"], -truth.potential_slope, "k--", label="truth")
    for curve in (truth.par, truth.perp):
        axes[1].plot(force["r"], curve, "k--")
axes[0].set_ylim(-1.0, 1.3 * force["force"].max())
axes[1].set_ylim(-1.0, 1.6 * rub["along"].max())
for ax, label in zip(axes, ("force / k_B T", "friction (mass / time)"), strict=True):
    ax.set_xlabel("distance")
    ax.set_ylabel(label)
    ax.legend()

# %% [markdown]
# ## Rollouts
#
# From the first frame of the test block, at rest and at k_B T. Each step gives back as heat what friction takes, so
# that the energy is constant to round-off whatever was learned.

# %%
config = cg.SimulateConfig(frames=250, replicas=2)
rollout = cg.simulate(model, test, config=config, rng=3)
print(rollout.metadata["time_step_rule"])
rollout.positions.shape

# %% [markdown]
# ## Does the model move like the melt?
#
# Beside it a wrong one, whose friction is four times too large: at equilibrium the structure cannot tell them apart,
# displacements and velocities can.

# %%
weights = dict(model.weights)
for name in ("friction_along", "friction_across"):
    weights[name] = 4.0 * weights[name]
sticky = cg.ModelBundle(
    config=model.config,
    weights=weights,
    metrics=model.metrics,
    pair_force=model.pair_force,
    diagnostics=model.diagnostics,
)
wrong = cg.simulate(sticky, test, config=cg.SimulateConfig(frames=120, replicas=1), rng=4)
settings = cg.AssessConfig(lag_fraction=0.25)
found = cg.assess(test, rollout, model, settings, others={"friction x 4": wrong})

fig, axes = plt.subplots(1, 3, figsize=(13, 3.8), layout="constrained")
labels = {"rdf": ("distance", "g(r)"), "msd": ("lag", "mean square displacement"), "vacf": ("lag", "<v(0) v(t)>/d")}
for ax, (name, (x, y)) in zip(axes, labels.items(), strict=True):
    curve = found[name]
    error = 1.645 * np.array(curve["experiment_error"], dtype=float)
    ax.errorbar(curve["x"], curve["experiment"], yerr=error, fmt="ko", ms=3, label="test block, 90 %")
    ax.plot(curve["x"], curve["model"], color="tab:red", label=f"model, RRMSE {100 * curve['rrmse']:.1f} %")
    ax.set_xlabel(x)
    ax.set_ylabel(y)
    ax.legend()

# %%
pd.DataFrame(found["candidates"])

# %% [markdown]
# ## The laws
#
# Relative to the kinetic energy at the start. *Absorbed* is the error of the conservative steps, which the internal
# energy takes up: it shows whether the time step is short enough.

# %%
ledger = found["ledger"]
names = ("first_law_residual_over_kinetic", "momentum_drift", "absorbed_per_10000_steps_over_kinetic", "redrawn")
print({name: ledger[name] for name in names})
fig, axes = plt.subplots(1, 3, figsize=(13, 3.4), layout="constrained")
time = np.arange(rollout.positions.shape[1]) * rollout.frame_interval
_, _, particles, dimension = rollout.positions.shape
curves = {
    "kinetic temperature / T": 2.0 * rollout.ledger.kinetic / (dimension * (particles - 1)),
    "entropy per particle (k_B)": rollout.ledger.entropy / particles,
    "|E - E(0)| / kinetic energy": np.abs(rollout.ledger.residual()) / rollout.ledger.kinetic[:, :1],
}
for ax, (label, values) in zip(axes, curves.items(), strict=True):
    ax.plot(time, values.T)
    ax.set_xlabel("time")
    ax.set_ylabel(label)

# %%
for sentence in found["warnings"] or ["Nothing to warn of."]:
    print("-", sentence)

# %% [markdown]
# ## Where to go from here
#
# A short test block cannot say more than its own halves agree: with curves measured elsewhere (a longer simulation),
# set `assess.reference`. Another dynamics of your own is run by `phase_rollout(model, start, step, ...)`, where
# `step(model, state, dt, rng)` returns the next state, and stands in the same table. `docs/fit_momentum.md` says what
# the fit does and what not to trust.
