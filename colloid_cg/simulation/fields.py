"""External fields of a fitted model over the block a rollout starts from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from colloid_cg.dynamics import GridFlow, SplineFlow, Surroundings, Wells
from colloid_cg.records import ModelBundle, State, Trajectories

Flow = GridFlow | SplineFlow


@dataclass(frozen=True, kw_only=True, eq=False)
class Driven:
    """Prescribed particles of a rollout: ``path`` (T, m, d) in um at the frames of the block, ``species`` (m,)."""

    path: np.ndarray
    species: np.ndarray

    def at(self, time: float) -> np.ndarray:
        """Return positions (m, d) at ``time`` in frames since the start; at rest after the last known frame."""
        frame = min(int(time), len(self.path) - 1)
        later = min(frame + 1, len(self.path) - 1)
        return np.asarray(self.path[frame] + (time - frame) * (self.path[later] - self.path[frame]))


@dataclass(frozen=True, kw_only=True, eq=False)
class RolloutFields:
    """What acts on the particles of a rollout, and in ``notes`` whole sentences on what could not be carried over."""

    wells: Wells | None = None
    flow: Flow | None = None
    driven: Driven | None = None
    first_frame: int = 0
    tracked: bool = False
    notes: list[str] = field(default_factory=list)

    @property
    def n_driven(self) -> int:
        """Prescribed particles; they come last in the state."""
        return 0 if self.driven is None else len(self.driven.species)

    def at(self, state: State, time: float) -> Surroundings:
        """Return the fields during a time step that begins at ``time`` (frames since the start)."""
        velocity = None
        if self.flow is not None:
            frame = np.full(len(state.positions), self.first_frame + int(time))
            velocity = self.flow.at(state.box.wrap(state.positions), frame)[0]
            velocity[len(velocity) - self.n_driven :] = 0.0
        return Surroundings(wells=self.wells, velocity=velocity)


def placed(bundle: ModelBundle, start: Trajectories) -> Trajectories:
    """Return the block in the frame its fields are known in: that of the camera, unless each track made its own."""
    return start.as_seen() if (bundle.config.get("fields") or {}).get("camera_frame") else start


def start_without_driven(bundle: ModelBundle, start: Trajectories) -> Trajectories:
    """Return the block without the tracked particles that the model knows as prescribed."""
    fields = bundle.config.get("fields") or {}
    if not fields.get("prescribed_are_tracked"):
        return start
    driven = np.unique(bundle.weights["prescribed_rows"][:, 1].astype(int))
    rest = start.table[~start.table["particle"].isin(driven)]
    return start if rest.empty else start.with_table(rest)


def rollout_fields(bundle: ModelBundle, start: Trajectories, *, n_mobile_species: int, frames: int) -> RolloutFields:
    """Return the fields over ``frames`` frames from the first one of ``start`` (the whole block, driven ones too)."""
    fields = bundle.config.get("fields") or {}
    first, notes = int(start.table["frame"].min()), list[str]()
    driven = _driven(bundle, start, fields, n_mobile_species, frames, notes)
    wells = _wells(bundle, start_without_driven(bundle, start), 0 if driven is None else len(driven.species), notes)
    flow = _flow(bundle, fields)
    if isinstance(flow, GridFlow) and len(flow.frames) > 1 and flow.frames[-1] < first + frames - 1:
        notes.append(f"The background flow is known up to frame {flow.frames[-1]:.0f}; the last one was held.")
    if flow is not None:
        notes.append("Rollouts wrap around the view, where the background flow jumps from one edge to the other.")
    return RolloutFields(
        wells=wells, flow=flow, driven=driven, first_frame=first, notes=notes,
        tracked=bool(fields.get("prescribed_are_tracked")),
    )  # fmt: skip


def _wells(bundle: ModelBundle, start: Trajectories, n_driven: int, notes: list[str]) -> Wells | None:
    """Return a well for every particle of the first frame; zero strength for the driven ones, which come last.

    A particle the fit knew keeps its centre; another one gets the nearest given centre, or the mean of its track here.
    """
    if "trap_strengths" not in bundle.weights:
        return None
    table, weights = start.table, bundle.weights
    rows = table[table["frame"] == table["frame"].min()]
    particles = rows["particle"].to_numpy()
    axes = list(start.axes)
    means = table.groupby("particle")[axes].mean().loc[particles].to_numpy() * start.pixel_size
    sites = weights.get("trap_sites")
    centres, held = means.copy(), np.ones(len(particles), dtype=bool)
    if sites is not None:
        centres = sites[((means[:, None] - sites[None]) ** 2).sum(axis=2).argmin(axis=1)]
    known = {int(particle): row for row, particle in enumerate(weights["trap_particles"])}
    for row, particle in enumerate(particles):
        if int(particle) in known:
            centres[row] = weights["trap_centres"][known[int(particle)]]
        elif sites is None and (bundle.config.get("fields") or {}).get("wells") == "table":
            held[row] = False
    strange = sum(int(particle) not in known for particle in particles)
    if strange and sites is None and held.all():
        notes.append(f"{strange} particles unknown to the fit were put into wells around the means of their tracks.")
    stiffness, quartic = weights["trap_strengths"]
    strength = np.append(held.astype(float), np.zeros(n_driven))
    centres = np.concatenate([centres, np.zeros((n_driven, centres.shape[1]))])
    return Wells(centres=centres, stiffness=stiffness * strength, quartic=quartic * strength)


def _flow(bundle: ModelBundle, fields: dict[str, Any]) -> Flow | None:
    weights = bundle.weights
    if fields.get("flow") == "given":
        return GridFlow(
            frames=weights["flow_frames"], x=weights["flow_x"], y=weights["flow_y"], values=weights["flow_values"]
        )
    if fields.get("flow") == "smooth" and len(weights["flow_coefficients"]):
        lower, upper = (np.asarray(side) for side in fields["flow_box"])
        return SplineFlow(lower=lower, upper=upper, coefficients=weights["flow_coefficients"])
    return None


def _driven(
    bundle: ModelBundle, start: Trajectories, fields: dict[str, Any], first_species: int, frames: int, notes: list[str]
) -> Driven | None:
    if "prescribed_rows" not in bundle.weights:
        return None
    table = pd.DataFrame(bundle.weights["prescribed_rows"].astype(int), columns=["frame", "particle", "species"])
    table[["x", "y"]] = bundle.weights["prescribed_positions"]
    kinds = np.unique(table["species"])
    if fields.get("prescribed_are_tracked"):
        seen = start.table[start.table["particle"].isin(table["particle"])]
        scale = start.pixel_size
        table = seen[["frame", "particle"]].assign(species=kinds[0], x=seen["x"] * scale, y=seen["y"] * scale)
    wanted = int(start.table["frame"].min()) + np.arange(frames)
    paths, species = [], []
    for _, track in table.groupby("particle"):
        if track["frame"].max() < wanted[0]:
            continue
        places = [np.interp(wanted, track["frame"], track[name].to_numpy(dtype=float)) for name in ("x", "y")]
        paths.append(np.stack(places, axis=1))
        species.append(first_species + int(np.searchsorted(kinds, track["species"].iloc[0])))
    if not paths:
        notes.append("The prescribed particles are not known in the frames of this block: the rollout runs without.")
        return None
    if int(table["frame"].max()) < wanted[-1]:
        notes.append(f"The prescribed particles are known up to frame {table['frame'].max()}; there they stop.")
    return Driven(path=np.stack(paths, axis=1), species=np.array(species))


def shown(positions: np.ndarray, fields: RolloutFields) -> np.ndarray:
    """Return the particles that a tracked experiment shows: the driven ones only where they were tracked too."""
    if fields.tracked or not fields.n_driven:
        return positions
    return positions[..., : positions.shape[-2] - fields.n_driven, :]
