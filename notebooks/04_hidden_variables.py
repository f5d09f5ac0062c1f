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
# # Hidden variables
#
# Who will move next, and does the neighbourhood tell? A twin of a soft glass gives tracks whose truth is known. Three
# questions are asked: what structural variable does an encoder find without labels, does it predict rearrangements
# better than what one would have written down by hand, and what does it add to the dynamics?

# %%

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import colloid_cg as cg
from colloid_cg.assessment.reading import ReadingConfig, read_hidden
from colloid_cg.learn.latent import hidden_fields
from colloid_cg.states import blocks_of_frames
from colloid_cg.structure import StructureConfig, encode, fit_structure
from colloid_cg.twin import make_twin

config = cg.TwinConfig(
    n_frames=200, width=330, height=330, frame_interval=0.1, repulsion=3000.0, area_fraction=0.88, drive="none", seed=5
)
twin = make_twin("soft_glass", config)
table = twin.truth_table[["frame", "particle", "x", "y", "species"]].copy()
rng, error = np.random.default_rng(1), 0.15  # localisation error, px
table[["x", "y"]] += rng.normal(0.0, error, (len(table), 2))
table["sigma_x"] = table["sigma_y"] = error
view = cg.Box(lower=(-0.5, -0.5), upper=(329.5, 329.5), periodic=(False, False))
tracks = cg.Trajectories(
    table=table,
    pixel_size=config.pixel_size,
    frame_interval=config.frame_interval,
    exposure=config.exposure,
    field_of_view=view,
    n_frames=config.n_frames,
)
fractions = (0.6, 0.2, 0.2)
train, select, test = cg.split_by_time(tracks, fractions=fractions)
tracks

# %% [markdown]
# ## An encoder without labels
#
# It sees invariant descriptors of the neighbourhood, their mean and spread over the last five frames, and is asked how
# far the particle will move. `gain_in_displacement` (nats) says what it found out about frames it was not trained on.

# %%
structure = fit_structure(train, StructureConfig(cutoff=3.0, lag=10, window=5), rng=1)
fields = encode(structure, tracks)
pd.DataFrame({kind: found["collapse"] for kind, found in structure.metadata["species"].items()})

# %% [markdown]
# ## What it means and what it predicts
#
# A rearrangement is a large D²min over the next ten frames. The best hand-made variable is chosen on the selection
# block; everything shown is the test block. The variable `past_d2min` is a hand-made memory, and hard to beat: who is
# off the middle of its cage will be elsewhere in a moment, which takes no insight. `ridge` was shown the answers.

# %%
names = ("train", "select", "test")
blocks = dict(zip(names, blocks_of_frames(tracks.n_frames, fractions), strict=True))
reading = ReadingConfig(lag=10, lags=(10,), labels=("d2min",), resamples=200, permutations=99)
found = read_hidden(tracks, fields, blocks=blocks, config=reading, model=structure, rng=1)
for kind, part in found["species"].items():
    for each in part["prediction"]:
        if "auc" in each:
            shown = {name: round(entry["value"], 3) for name, entry in each["auc"].items()}
            print(f"species {kind}: best hand-made variable {each['chosen']['handmade']}, AUC {shown}")

# %% [markdown]
# ## A hidden variable in the dynamics
#
# The fit lets the mobility depend on structure and on a memory variable, integrates the latter out of the likelihood of
# what was observed, and compares with dynamics that know neither.

# %%
bundle = cg.fit(
    train,
    select,
    cg.FitConfig(knots=(0, 5), cutoff=3.0, hidden_variables=1),
    rng=1,
    structure=StructureConfig(cutoff=3.0),
)
latent = {name: entries for name, entries in bundle.metrics.items() if name.startswith("latent")}
pd.DataFrame(
    [{"name": name, **{key: entry[key] for key in ("species", "value", "low90", "high90")}}
     for name, entries in latent.items() for entry in entries]
)  # fmt: skip

# %% [markdown]
# `latent_gain_shuffled` must be next to nothing: it is the gain of the same variable after it was exchanged among
# particles. `latent_structure_share` says how much of s the neighbourhood knows; the rest is memory of the particle.

# %%
s = hidden_fields(bundle, tracks, future=False)  # from the past alone: it is compared with what happens next
frame = int(test.table["frame"].min()) + 5
here = test.at(frame).merge(s, on=["frame", "particle"])
later = test.at(frame + 30)[["particle", "x", "y"]].rename(columns={"x": "x1", "y": "y1"})
here = here.merge(later, on="particle").dropna(subset=["s"])
moved = np.hypot(here["x1"] - here["x"], here["y1"] - here["y"]) * tracks.pixel_size
fig, axes = plt.subplots(1, 2, figsize=(11, 5), layout="constrained")
shown = (axes[0], here["s"], "s, from the past alone"), (axes[1], moved, "moved in the next 3 s (µm)")
for ax, values, label in shown:
    size = np.where(here["species"] == 0, 60, 110)
    drawn = ax.scatter(here["x"], here["y"], c=values, s=size, cmap="viridis", vmax=np.nanquantile(values, 0.97))
    ax.set_aspect("equal")
    ax.set_title(label)
    fig.colorbar(drawn, ax=ax, shrink=0.8)

# %% [markdown]
# ## s lives on in rollouts
#
# z of every particle starts from what the training and selection frames said of it and then follows its own equation.

# %%
rollout = cg.simulate(bundle, test, duration="4 s", replicas=1, rng=2)
if rollout.s is None:
    print("no hidden variable worth having: the rollout does without")
else:
    frames = rollout.s.shape[1]
    lags = np.arange(0, frames, 3)
    values = rollout.s[0, :, :, 0]
    correlation = [np.corrcoef(values[: frames - lag].ravel(), values[lag:].ravel())[0, 1] for lag in lags]
    plt.figure(figsize=(5, 3.2), layout="constrained")
    plt.plot(lags * rollout.frame_interval, correlation, "o-")
    plt.xlabel("time (s)")
    plt.ylabel("autocorrelation of s")
    print("first law:", np.abs(rollout.ledger.residual()).max(), "k_B T0")

# %% [markdown]
# ## Where to go from here
#
# From a movie: `colloid-cg run VIDEO -o RUN` with `fit.hidden_variables = 1` in study.toml, then the section *Hidden
# variables* of the report. `docs/hidden_variables.md` says how not to be fooled, `docs/hidden_dynamics.md` what the
# model leaves out.
