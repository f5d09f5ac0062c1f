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
# # Rearrangements
#
# Where and when did particles change places, and how sure is that? A needle pushes through a cold glass of soft discs;
# here and there the glass gives way. The movie is a twin, so that the true positions are known. For tracks of your own,
# replace `tracks` below by `cg.read_trajectories("RUN/trajectories.parquet")`.
#
# ## A glass, filmed and tracked
#
# The camera does not see the needle, and the spots are faint: positions come with an error of .14 px, 2 % of a
# diameter,
# as in many a good experiment.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import colloid_cg as cg
from colloid_cg.events import distribution, event_exposure, event_rate, match_events

common = {
    "n_frames": 160, "width": 144, "height": 144, "frame_interval": 0.02, "contact": 0.8, "area_fraction": 0.9,
    "diffusion_coefficient": 0.015, "margin": 2.0, "camera": {"amplitude": 70.0}, "seed": 6,
}  # fmt: skip
pushed = {
    "repulsion": 40000.0, "needle_radius": 0.8, "drive_amplitude": 0.4, "drive_period": 16.0, "equilibration": 1.0,
    "show_driven": False,
}  # fmt: skip
twin = cg.make_twin("soft_glass", cg.TwinConfig(**common, **pushed))
video = twin.stack()
tracks = cg.track(video, cg.TrackConfig(size_classes=2))
tracks

# %%
fig, ax = plt.subplots(figsize=(5, 5), layout="constrained")
ax.imshow(video[0], cmap="gray")
now = tracks.at(0)
ax.scatter(now["x"], now["y"], s=np.where(now["species"] == 0, 110, 210), facecolors="none", edgecolors="tab:orange")
ax.set_title(f"{len(now)} detections in frame 0")
ax.set_axis_off()

# %% [markdown]
# ## Why a cut is not enough
#
# D²min is the mean square of what the best local affine map (shift, rotation, strain) leaves over of the motion of a
# particle and its neighbours. A common recipe calls everything above a fixed value, a hundredth of a squared diameter
# say, a rearrangement. So here is a second movie in which *nothing* rearranges: a solid that shears to and fro and
# vibrates about as much as the glass, seen through the same camera.

# %%
quiet_twin = cg.make_twin("quiet_solid", cg.TwinConfig(**common, site_stiffness=8000.0, drive_period=1.6))
quiet = cg.track(quiet_twin.stack(), cg.TrackConfig(size_classes=2))

one_frame = cg.EventConfig(lag=1)  # D2min from each frame to the next, as the recipe has it
bare = {"glass": cg.event_fields(tracks, one_frame), "quiet solid": cg.event_fields(quiet, one_frame)}
fields = {"glass": cg.event_fields(tracks), "quiet solid": cg.event_fields(quiet)}
events = cg.detect_events(tracks, fields=fields["glass"])
false_events = cg.detect_events(quiet, fields=fields["quiet solid"])

cut = 0.01 * twin.truth.config.contact**2
pd.DataFrame({
    "D2min above the cut": {name: int((each["d2min"] > cut).sum()) for name, each in bare.items()},
    "p below .01": {name: int((each["d2min_p"] < 0.01).sum()) for name, each in fields.items()},
    "events found": {"glass": len(events), "quiet solid": len(false_events)},
})  # fmt: skip

# %% [markdown]
# The cut calls hundreds of detections of a solid that never changes, and a higher cut would miss the weaker events of
# the glass. `event_fields` therefore turns D²min into a p-value: the probability of a value at least as large from
# affine motion, thermal rattling and tracking noise alone. What rattling and noise do is learned from the movie itself.
# If that works, the share of p-values below p must be p where nothing happens (left of the dotted line there are less
# than ten values). In the glass there are too many small ones: these are the rearrangements. But p alone is not enough,
# either: of tens of thousands of tests one in a hundred is below .01, whatever happens.

# %%
fig, ax = plt.subplots(figsize=(5.5, 4.5), layout="constrained")
for name, each in fields.items():
    p_value = np.sort(each["d2min_p"].dropna())
    ax.loglog(p_value, np.arange(1, len(p_value) + 1) / len(p_value), label=name)
ax.plot([1e-6, 1], [1e-6, 1], "k--", lw=1, label="what chance gives")
ax.axvline(10 / len(p_value), color="k", ls=":", lw=1)
ax.set(xlim=(1e-7, 1.2), ylim=(2e-5, 1.5), xlabel="p", ylabel="share of p-values below p")
ax.legend()

# %% [markdown]
# ## The events
#
# `detect_events` gathers small p-values that are close in space and time; the smallest one is the peak of the event.
# Its `q_value` allows for how many tests were made: of all events with q ≤ .05, no more than 5 % are expected to be
# false. `t_on` and `t_off` are the first and last frame of the motion; `amplitude` (µm) is the root mean square by
# which the particle at the peak moved against its neighbours, beyond chance; `radius` is how far the event reaches;
# `flags` names errors of tracking that are suspected among its particles.

# %%
events

# %%
columns = ["event", "t_on", "t_peak", "t_off", "x", "y", "n_particles", "amplitude", "p_value", "q_value", "flags"]
events.table[columns].style.format(precision=2).format("{:.1e}", subset=["p_value", "q_value"]).hide(axis="index")

# %%
fig, ax = plt.subplots(figsize=(6.2, 5.2), layout="constrained")
ax.imshow(video[80], cmap="gray", alpha=0.6)
for row in events.table.itertuples():
    colour = plt.cm.plasma(row.t_peak / len(video))
    ax.add_patch(plt.Circle((row.x, row.y), row.radius, fill=False, color=colour, lw=2))
    ax.annotate(row.event, (row.x + row.radius, row.y), color=colour, va="center", weight="bold")
needle = twin.tables["driven"]
ax.plot(needle["x"], needle["y"], color="tab:green", lw=5, label="path of the needle's middle")
ax.legend(loc="lower right")
ax.set_axis_off()
scale = plt.cm.ScalarMappable(plt.Normalize(0, len(video) * tracks.frame_interval), "plasma")
fig.colorbar(scale, ax=ax, label="time (s)", shrink=0.8)

# %% [markdown]
# ### One of them, looked at closely
#
# The most significant one. Arrows show how far each particle is, five times enlarged, from where it was before; both
# positions are means over five frames, and what all particles in the crop have in common is taken off.

# %%
one = events.table.loc[events.table["score"].idxmax()]
half = 30


def mean_positions(first):
    """Return the mean position of each particle over five frames."""
    rows = tracks.table[tracks.table["frame"].between(first, first + 4)]
    return rows.groupby("particle")[["x", "y"]].mean()


before, after = mean_positions(one["t_on"] - 5), mean_positions(one["t_off"] + 1)
both = before.join(after.add_suffix("_after"), how="inner")
both = both[(both["x"] - one["x"]).abs().lt(half) & (both["y"] - one["y"]).abs().lt(half)]
moved = both[["x_after", "y_after"]].to_numpy() - both[["x", "y"]].to_numpy()
moved -= np.median(moved, axis=0)
colours = np.where(both.index.isin(one["particles"]), "tab:orange", "tab:cyan")

fig, axes = plt.subplots(1, 3, figsize=(12, 4.2), layout="constrained")
moments = {"before": one["t_on"] - 1, "peak": one["t_peak"], "after": one["t_off"] + 1}
for ax, (name, frame) in zip(axes, moments.items(), strict=True):
    ax.imshow(video[int(frame)], cmap="gray")
    ax.set(xlim=(one["x"] - half, one["x"] + half), ylim=(one["y"] + half, one["y"] - half))
    ax.set_title(f"{name} (frame {frame})")
    ax.set_axis_off()
axes[0].scatter(both["x"], both["y"], facecolors="none", edgecolors=colours, s=70)
axes[2].quiver(both["x"], both["y"], *(5 * moved).T, color=colours, angles="xy", scale_units="xy", scale=1, width=0.008)
print(f"event {one['event']}: from frame {one['t_on']} to {one['t_off']}, amplitude {one['amplitude']:.2f} µm")

# %% [markdown]
# The same event in time. Means over a few frames make little of noise; a step then shows as a peak as wide as the
# means.

# %%
fig, ax = plt.subplots(figsize=(7, 3.2), layout="constrained")
for label, each in (("frame to frame", bare["glass"]), ("means over five frames (default)", fields["glass"])):
    rows = each[each["particle"] == one["peak_particle"]]
    ax.semilogy(rows["frame"] * tracks.frame_interval, rows["d2min"], label=label)
ax.axhline(cut, color="k", ls="--", lw=1, label="the cut")
ax.axvline(one["t_on"] * tracks.frame_interval, color="tab:red", lw=1, label="onset")
ax.set(xlabel="time (s)", ylabel="D²min of one particle (µm²)")
ax.legend(loc="lower left", fontsize="small")

# %% [markdown]
# ## How good is it?
#
# Two references, since "the truth" is a matter of definition:
#
# - the same detector on the true positions, without any camera: what did noise and tracking cost?
# - the twin's own list: neighbours that part for good, whatever the sort of motion.

# %%
discs = twin.truth_table[~twin.truth_table["prescribed"]]
true_tracks = cg.Trajectories(
    table=discs[["frame", "particle", "x", "y", "species"]],
    pixel_size=tracks.pixel_size,
    frame_interval=tracks.frame_interval,
    exposure=tracks.exposure,
    field_of_view=tracks.field_of_view,
    n_frames=tracks.n_frames,
)
true_events = cg.detect_events(true_tracks)
cutoff = fields["glass"].attrs["events"]["cutoff_um"] / tracks.pixel_size
parted = twin.events.table
inside = ((parted[["x", "y"]] > cutoff) & (parted[["x", "y"]] < common["width"] - cutoff)).all(axis=1).to_numpy()
limits = {"max_distance": 2.0, "max_frames": 5, "pixel_size": tracks.pixel_size}
with_true_positions = match_events(events, true_events, **limits)
with_partings = match_events(events, twin.events, testable=inside, **limits)
for name, match in (("true positions", with_true_positions), ("partings", with_partings)):
    print(f"{name}: {match}")

# %%
fig, ax = plt.subplots(figsize=(7.5, 4), layout="constrained")
shown = ("tracks", events.table, "o"), ("true positions", true_events.table, "+"), ("partings", parted[inside], "x")
for name, table, marker in shown:
    hollow = {"facecolors": "none", "edgecolors": "tab:orange"} if marker == "o" else {}
    ax.scatter(table["t_peak"] * tracks.frame_interval, table["x"], marker=marker, s=90, label=name, **hollow)
ax.set(xlabel="time of the peak (s)", ylabel="x (px)")
ax.legend(loc="upper left", bbox_to_anchor=(1, 1))

# %% [markdown]
# The two references ask different things. Noise and tracking decide how much of the first is found. The second counts
# every pair that parts for good, however slowly, and no motion in which pairs stay together; a local cloud of motion
# that makes three pairs part is one event to the detector. State which list you mean when you quote a number.
#
# ## Rates
#
# A rate needs an exposure: how many particles could have shown an event, for how long. Particles at the edge, and the
# first and last frames of the movie, could not. The interval allows for events that come in bursts.

# %%
exposure = event_exposure(tracks, fields["glass"])
event_rate(events, exposure)

# %%
distribution(events.table["amplitude"])

# %% [markdown]
# ## Settings that matter, and when not to believe it
#
# - `average`, `half_window`: frames that are averaged before motion is compared. Longer means see weaker steps,
#   and blur
#   what reverts within them.
# - `lag`: alone, the classical D²min of single frames.
# - `fdr`: the share of false events you are ready to accept.
# - `tests`: which p-values decide (`d2min`; also `p_hop`, `t1`).
#
# `events.metadata["fields"]` tells how well the null fits. A `dispersion` above .3, or `null_fit` false, means that the
# small p-values rest on an assumption: rank events then, and do not quote the exponents. In a liquid everything
# moves and
# almost nothing is an event. Motion that neighbours share without being affine (flow round an obstacle, sound) and
# wrong
# links are not in the null; the latter are flagged.

# %%
null = events.metadata["fields"]["d2min"]
{name: null[name] for name in ("null_fit", "dispersion", "variance_um2", "stated_noise_variance_um2")}
