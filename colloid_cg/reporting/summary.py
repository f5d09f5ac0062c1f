"""The first paragraph: what was seen and what was found, in plain words, with the numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from markupsafe import Markup

from colloid_cg.assessment import interaction_range
from colloid_cg.learn.kinds import HIDDEN_ENTROPY, PAIR_DYNAMICS
from colloid_cg.records import ModelBundle, Trajectories
from colloid_cg.reporting.checks.check import BAD, GOOD, LOOK, Check, entries
from colloid_cg.reporting.checks.dynamics import force_resolved, gain_measured, imitates_wells, pair_gain
from colloid_cg.reporting.content import ReportContent
from colloid_cg.reporting.numbers import entry_text, exact, percent, plain, with_interval
from colloid_cg.reporting.units import is_simulation

INERTIAL = {
    "friction": "The friction of a particle",
    "thermal_speed_squared": "The variance of a velocity component, kT/m,",
}
"""Metrics only an inertial fit has, in words."""


def summary(content: ReportContent, checks: list[Check]) -> Markup:
    """Return the summary paragraph; parts that were not computed are left out."""
    sentences = [
        *_movie_sentences(content),
        *_model_sentences(content.model),
        *_agreement_sentences(content.assessment),
        *_event_sentences(content),
        _verdict_sentence(checks),
    ]
    return Markup(" ").join(sentences)


def _movie_sentences(content: ReportContent) -> list[Markup]:
    tracks = content.tracks
    if tracks is None:
        return [Markup("No trajectories yet.")]
    if is_simulation(content):
        return [_simulation_sentence(tracks)]
    # of a movie larger than the memory only some frames are here, but everything was counted
    counted = content.tracking or {"n_tracks": tracks.n_particles, "n_detections": len(tracks)}
    view = tracks.box.lengths
    exposure = "unknown exposure" if tracks.exposure is None else f"{plain(1e3 * tracks.exposure)} ms exposure"
    return [
        Markup(
            "{} particles were tracked through {} frames of {} × {} µm, one every {} ms ({}): {} detections."
        ).format(
            exact(counted["n_tracks"], f"{counted['n_tracks']:,}"),
            f"{tracks.n_frames:,}",
            plain(view[0]),
            plain(view[1]),
            plain(1e3 * tracks.frame_interval),
            exposure,
            exact(counted["n_detections"], f"{counted['n_detections']:,}"),
        )
    ]


def _simulation_sentence(tracks: Trajectories) -> Markup:
    edges = " × ".join(plain(length) for length in tracks.box.lengths)
    return Markup("{} particles of a simulation in {} frames, one every {}, in a cell of {} ({} units).").format(
        exact(tracks.n_particles, f"{tracks.n_particles:,}"), f"{tracks.n_frames:,}", plain(tracks.frame_interval),
        edges, tracks.length_unit,
    )  # fmt: skip


def _pair_dynamics_sentences(model: ModelBundle) -> list[Markup]:
    """Say what was found from positions and velocities."""
    friction, temperature, memory = (entries(model, name)[0] for name in ("friction", "temperature", "memory_time"))
    where = interaction_range(model.pair_force)
    return [
        Markup("The motion is <strong>inertial pair dynamics</strong> at k_B T = {}.").format(entry_text(temperature)),
        Markup("The friction of a particle against its neighbours, over its mass, is <strong>{}</strong>; random "
               "forces forget themselves within {}.").format(entry_text(friction), entry_text(memory)),
        Markup("A pair force is resolved up to r = {}.").format(plain(where))
        if where > 0.0
        else Markup("No pair force is resolved."),
    ]  # fmt: skip


def _hidden_entropy_sentences(model: ModelBundle) -> list[Markup]:
    """Say what was found where internal energies are hidden."""
    friction, exchange, temperature = (entries(model, name)[0] for name in ("friction", "heat_exchange", "temperature"))
    capacities = entries(model, "heat_capacity")
    values = Markup(", ").join(_species(entry, several=len(capacities) > 1) + entry_text(entry) for entry in capacities)
    return [
        Markup("The motion is <strong>inertial, with hidden internal energies</strong>; that of the training block has "
               "k_B T = {}.").format(entry_text(temperature)),
        Markup("The heat capacity of a particle is <strong>{}</strong>.").format(values),
        Markup("Its friction against its neighbours, over its mass, is <strong>{}</strong>; its temperature follows "
               "theirs at a rate of {}.").format(entry_text(friction), entry_text(exchange)),
    ]  # fmt: skip


def _model_sentences(model: ModelBundle | None) -> list[Markup]:
    if model is None:
        return []
    if model.config.get("kind") == PAIR_DYNAMICS:
        return _pair_dynamics_sentences(model)
    if model.config.get("kind") == HIDDEN_ENTROPY:
        return _hidden_entropy_sentences(model)
    sentences = [
        Markup("The motion is <strong>{}</strong>.").format(entry["value"]) for entry in entries(model, "regime")
    ]
    for name, words in INERTIAL.items():
        rest = " (without that of neighbours within the fitted range)"
        whole = name != "friction" or not model.config.get("pair_friction_used")
        sentences += [
            Markup("{}{} is <strong>{}</strong>.").format(words, "" if whole else rest, entry_text(entry))
            for entry in entries(model, name)
        ]
    if model.config.get("kind") == "underdamped":
        sentences.append(Markup("Inertial motion is not simulated yet: there are no rollouts to compare with."))
    diffusion = entries(model, "diffusion_coefficient")
    if diffusion:
        values = Markup(", ").join(
            _species(entry, several=len(diffusion) > 1) + entry_text(entry) for entry in diffusion
        )
        sentences.append(Markup("The diffusion coefficient is <strong>D = {}</strong>.").format(values))
    noise = entries(model, "localisation_variance")
    if noise:
        values = Markup(", ").join(_species(entry, several=len(noise) > 1) + sigma_text(entry) for entry in noise)
        sentences.append(Markup("The localisation error of one coordinate is {}.").format(values))
    return [*sentences, *_force_sentence(model)]


def _species(entry: dict[str, Any], *, several: bool) -> Markup:
    return Markup("species {}: ").format(entry["species"]) if several and entry["species"] is not None else Markup("")


def sigma_text(entry: dict[str, Any]) -> Markup:
    """Return the root of a variance (um2) in nm; a variance that is not above zero is shown as it is."""
    value, low, high = entry["value"], entry["low90"], entry["high90"]
    if value <= 0.0:
        return Markup("not above zero (variance {})").format(entry_text(entry))
    roots = [None if bound is None else 1e3 * float(np.sqrt(max(bound, 0.0))) for bound in (low, high)]
    root = 1e3 * float(np.sqrt(value))
    return exact(root, with_interval(root, roots[0], roots[1], "nm"))


def _force_sentence(model: ModelBundle) -> list[Markup]:
    gain = pair_gain(model)
    if not gain:
        return []
    if not gain_measured(gain):
        return [Markup("Whether there is a pair force was not measured.")]
    words = "A pair force is resolved" if force_resolved(model) else "No pair force is resolved"
    if force_resolved(model) and imitates_wells(model):
        words = "A pair force was found that may only imitate wells"
    return [Markup("{}: its gain in log-likelihood on held-out frames is {}.").format(words, entry_text(gain))]


def _agreement_sentences(assessment: dict[str, Any] | None) -> list[Markup]:
    if not assessment:
        return []
    parts = [
        f"{name} off by {percent(assessment[key]['rrmse'])} (experiment against itself "
        f"{percent(assessment[key]['reference_rrmse'])})"
        for key, name in (("rdf", "g(r)"), ("msd", "mean squared displacement"), ("vacf", "velocity autocorrelation"))
        if assessment.get(key)
    ]
    return [Markup("Rollouts of the model against held-out frames: {}.").format("; ".join(parts))] if parts else []


def _event_sentences(content: ReportContent) -> list[Markup]:
    if content.events is None:
        return []
    count = len(content.events)
    level = false_discovery_level(content.events.metadata)
    words = "" if level is None else f" at a false-discovery level of {percent(level)}"
    found = (
        "No rearrangement was" if count == 0 else "One rearrangement was" if count == 1 else "{} rearrangements were"
    )
    return [Markup(found + " found{}.").format(*([exact(count, f"{count:,}")] if count > 1 else []), words)]


def false_discovery_level(metadata: dict[str, Any]) -> float | None:
    """Return the nominal false-discovery rate of an event table, None if its detector controls none."""
    settings = metadata.get("settings") or {}
    for source in (metadata, settings if isinstance(settings, dict) else {}):
        for name in ("false_discovery_rate", "fdr", "q_max", "false_discovery_level"):
            if source.get(name) is not None:
                return float(source[name])
    return None


def _verdict_sentence(checks: list[Check]) -> Markup:
    counts = {verdict: sum(check.verdict == verdict for check in checks) for verdict in (GOOD, LOOK, BAD)}
    return Markup("Of {} checks that could be made, {} {} good, {} {} a look and {} {} bad.").format(
        sum(counts.values()),
        counts[GOOD],
        "is" if counts[GOOD] == 1 else "are",
        counts[LOOK],
        "deserves" if counts[LOOK] == 1 else "deserve",
        counts[BAD],
        "is" if counts[BAD] == 1 else "are",
    )
