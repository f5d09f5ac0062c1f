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
# # A first video
#
# From a movie to trajectories, a model with error bars, rollouts, events and a report, in the words of `colloid_cg`.
# The movie is a twin: charged colloids of known diffusion coefficient and known repulsion, seen through a camera with
# noise and exposure blur. So every number that comes out can be held against the truth. For a movie of your own,
# replace the next cell by `video = cg.open_video("movie.tif", pixel_size="0.108 um", frame_interval="10 ms")`.

# %%
from pathlib import Path
from tempfile import mkdtemp

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import colloid_cg as cg

twin = cg.make_twin("yukawa", cg.TwinConfig(n_frames=300))
video = twin.stack()
print(video.shape, video.pixel_size, "um/px", video.frame_interval, "s", video.exposure, "s exposure")

# %% [markdown]
# ## What does the movie suggest?
#
# `suggest` looks at a few frames and proposes diameter, threshold and search range, each with its reason. On the
# command line: `colloid-cg inspect movie.tif`.

# %%
suggestion = cg.suggest(video)
for name, choice in suggestion.choices.items():
    print(f"{name} = {choice.value}: {choice.reason}")

# %% [markdown]
# ## Tracking
#
# Positions are in px, with their localisation error beside them; a missed detection is a missing row, never a zero
# displacement. `tracks.table` is a plain DataFrame and works in trackpy unchanged.

# %%
tracks = cg.track(video)
tracks.table.head()

# %%
fig, ax = plt.subplots(figsize=(6, 6))
ax.imshow(video[0], cmap="gray")
now = tracks.at(0)
ax.plot(now["x"], now["y"], "o", mfc="none", mec="tab:orange", ms=9)
ax.set_title(f"{len(now)} detections in frame 0")
ax.set_axis_off()

# %% [markdown]
# ## A model, with intervals
#
# The movie is cut in three blocks in time: one to train on, one to choose the number of knots on, one that is only
# used to judge. `fit` first decides whether the motion is overdamped, then fits diffusion coefficient, localisation
# variance and pair force together, with noise and exposure blur in the likelihood.

# %%
train, select, test = cg.split_by_time(tracks, fractions=(0.6, 0.2, 0.2))
model = cg.fit(train, select, rng=1)
pd.DataFrame([{"name": name, **entry} for name, entries in model.metrics.items() for entry in entries])

# %% [markdown]
# The truth is known here, so the force curve and its 90 % band can be compared with it.

# %%
fig, ax = plt.subplots(figsize=(6, 4))
curve = model.pair_force
ax.fill_between(curve["r"], curve["low90"], curve["high90"], alpha=0.3, label="90 % band")
ax.plot(curve["r"], curve["force"], label="fitted")
ax.plot(twin.pair_force["r"], twin.pair_force["force"], "k--", label="truth")
ax.set_xlim(curve["r"].min(), curve["r"].max())
ax.set_ylim(-5, 1.3 * curve["high90"].max())
ax.set_xlabel("distance (um)")
ax.set_ylabel("force (k_B T / um)")
ax.legend()

# %%
entry = model.metrics["diffusion_coefficient"][0]
truth = twin.parameters["diffusion_coefficient"][0]
print(f"D = {entry['value']:.4f} um2/s, 90 % interval {entry['low90']:.4f} to {entry['high90']:.4f}; truth {truth}")

# %% [markdown]
# ## Does the model behave like the movie?
#
# Rollouts start from the first frame of the test block and pass through the same blur and noise; g(r) and the
# mean-squared displacement are computed by the same functions.

# %%
rolls = cg.simulate(model, test, replicas=4, rng=2)
assessment = cg.assess(test, rolls, model)
print({name: round(assessment[name]["rrmse"], 3) for name in ("rdf", "msd")})

# %% [markdown]
# ## Events
#
# D2min and p_hop of each particle get a p value against "affine motion + thermal rattling + tracking noise"; an event
# is reported with its q value. Nothing rearranges in this movie beyond diffusion, so an honest detector stays silent
# or nearly so.

# %%
events = cg.detect_events(tracks)
print(len(events), "events")
events.table.head()

# %% [markdown]
# ## The report
#
# One self-contained page that answers "can I trust this?". `colloid-cg run movie.tif -o RUN` makes it with everything
# above in one go.

# %%
page = cg.report(model, test, rolls, events, to=Path(mkdtemp()) / "first_video.html", video=video)
print(page.name, round(page.stat().st_size / 1e6, 1), "MB")

# %%
assert entry["low90"] < entry["value"] < entry["high90"]
standard_error = (entry["high90"] - entry["low90"]) / (2 * 1.645)
assert abs(entry["value"] - truth) < 3 * standard_error
assert np.isfinite(curve["force"]).all()
