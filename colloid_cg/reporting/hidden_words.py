"""What was found about hidden variables, in one plain sentence for each question."""

from __future__ import annotations

from typing import Any

from colloid_cg.assessment.reading.handmade import READABLE
from colloid_cg.records import ModelBundle
from colloid_cg.reporting.checks.check import entries
from colloid_cg.reporting.figures.hidden_variables import word
from colloid_cg.reporting.numbers import percent, plain, short, with_interval

SHUFFLED_SHARE = 0.1
"""A refitted shuffled variable may keep this share of the gain."""
CHANCE = 0.5
SAME = 0.9
"""Rank correlation above which two variables are called the same."""


def main_part(reading: dict[str, Any], kind: str) -> dict[str, Any] | None:
    """Return the prediction that verdicts are about: the first label at the lag of all figures."""
    for part in reading["species"][kind]["prediction"]:
        if part["lag"] == reading["lag"] and part["label"] == reading["label"]:
            return dict(part)
    return None


def worth_having(part: dict[str, Any]) -> bool | None:
    """Tell whether a hidden variable ranks better than chance and than the best hand-made one; None where unknown."""
    if "auc" not in part:
        return None
    area, lead = part["auc"][part["chosen"]["hidden"]], part["differences"]["handmade"]
    if area["low90"] is None or lead["low90"] is None:
        return None
    return bool(area["low90"] > CHANCE and lead["low90"] > 0.0)


def meaning(reading: dict[str, Any], kind: str, name: str) -> str:
    """Return what a hidden variable goes with now."""
    found = [
        part
        for part in reading["species"][kind].get("associations", ())
        if part["variable"] == name and part["with"] in READABLE
    ]
    if not found:
        return f"No readable variable is known beside {name}."
    best = max(found, key=lambda part: abs(part["spearman"]["value"]))
    rank, shared = best["spearman"], best["mutual_information"]
    if rank["low90"] is not None and rank["low90"] <= 0.0 <= rank["high90"]:
        return f"{name} goes with none of {', '.join(word(part['with']) for part in found)}."
    verb = "rises" if rank["value"] > 0.0 else "falls"
    text = f"{name} {verb} with {word(best['with'])}: rank correlation {_entry(rank)}, {_entry(shared, ' nats')} shared"
    return f"{text}; it is little more than another name for it." if abs(rank["value"]) > SAME else f"{text}."


def prediction_sentence(reading: dict[str, Any], kind: str, time: str) -> str:
    """Return whether a hidden variable tells who rearranges."""
    part = main_part(reading, kind)
    if part is None or "auc" not in part:
        return (
            f"Whether it predicts rearrangements cannot be said: {(part or {}).get('missing', 'nothing was compared')}."
        )
    hidden, handmade = part["chosen"]["hidden"], part["chosen"]["handmade"]
    area, other, lead = part["auc"][hidden], part["auc"][handmade], part["differences"]["handmade"]
    what = f"who rearranges ({word(part['label'])}) within the next {short(part['lag_seconds'])} {time}"
    p_value = (part.get("p_value") or {}).get(hidden)
    chance = "" if p_value is None else f", p = {plain(p_value, 2)} against shifted {hidden}"
    known = f"AUC {_entry(area)}{chance}"
    beside = f"{word(handmade)} has {plain(other['value'])}, difference {_entry(lead)}"
    verdict = worth_having(part)
    if verdict is None:
        text = f"{hidden} ranks {what} with {known}; {beside}: too few independent blocks for a verdict."
    elif verdict:
        text = f"{hidden} tells {what} better than any hand-made variable: {known}; {beside}."
    elif area["low90"] <= CHANCE:
        text = f"No hidden variable worth having: {hidden} ranks {what} no better than chance, {known}."
    else:
        text = f"No hidden variable worth having: {hidden} ranks {what} with {known}, but {beside}."
    return text + _peer(part)


def _peer(part: dict[str, Any]) -> str:
    if "ridge" not in part["auc"]:
        return ""
    area = plain(part["auc"]["ridge"]["value"])
    return f" A regression on its descriptors that was shown rearrangements reaches {area}."


def rate_sentence(reading: dict[str, Any], kind: str, name: str) -> str:
    """Return how the rate of rearrangement changes with a hidden variable."""
    found = (reading["species"][kind].get("rates") or {}).get(name)
    if not found:
        return "Rates of rearrangement cannot be said: too few of them."
    slope, p_value = found["slope"], found["linearity_p"]
    flat = slope["low90"] is not None and slope["low90"] <= 0.0 <= slope["high90"]
    text = f"The logarithm of the rate changes by {_entry(slope)} per unit of {name}"
    text += ", which is nothing that can be told from zero" if flat else ""
    if p_value is None or (flat and p_value > 0.05):
        return f"{text}."
    straight = "a straight line describes it" if p_value > 0.05 else "a straight line does not describe it"
    return f"{text}; {straight} (p = {plain(p_value, 2)})."


def persistence_sentence(reading: dict[str, Any], kind: str, name: str, time: str) -> str:
    """Return how long a hidden variable lasts."""
    found = reading["species"][kind]["persistence"].get(name)
    if not found:
        return f"How long {name} lasts is not known."
    noise = found["noise_share"]["value"]
    tail = f" {percent(max(noise, 0.0))} of its variance is error of the estimate." if noise is not None else ""
    if found["time"] is None:
        return f"{name} lasts longer than {short(found['longer_than'])} {time}, as long as was looked.{tail}"
    low, high, value = (found["time"][key] for key in ("low90", "high90", "value"))
    if low is not None and high is None:
        return f"{name} keeps 1/e of its correlation for {plain(value)} {time} (at least {plain(low)}).{tail}"
    return f"{name} keeps 1/e of its correlation for {with_interval(value, low, high, time)}.{tail}"


def dynamics_sentences(model: ModelBundle | None) -> list[str]:
    """Return what a dynamics with s latent found, where one was fitted."""
    gain, shuffled = entries(model, "latent_gain"), entries(model, "latent_gain_shuffled")
    if not gain:
        return []
    value, low = gain[0]["value"], gain[0]["low90"]
    helps = "improves" if low is not None and low > 0.0 else "does not measurably improve"
    text = f"In the dynamics a hidden variable {helps} the prediction of the next frame: {_entry(gain[0])} nats per "
    text += "particle and frame over the same dynamics without it"
    if shuffled:
        text += f"; shuffled among particles and fitted again, {_entry(shuffled[0])}"
        if helps == "improves" and shuffled[0]["value"] > SHUFFLED_SHARE * value:
            text += ", so that part of the gain is not what s says of its particle"
    sentences = [f"{text}."]
    share, lasting = entries(model, "latent_structure_share"), entries(model, "latent_persistence_time")
    if share:
        sentences.append(f"The structure of the same frame explains {percent(share[0]['value'])} of its variance.")
    if lasting:
        low, high = lasting[0]["low90"], lasting[0]["high90"]
        value = with_interval(lasting[0]["value"], low, high, lasting[0]["unit"])
        sentences.append(f"In the dynamics it lasts {value}.")
    return sentences


def _entry(entry: dict[str, Any], unit: str = "") -> str:
    """Return a value with its interval in brackets."""
    value, low, high = (entry[key] for key in ("value", "low90", "high90"))
    shown = with_interval(value, low, high)
    return f"{shown}{unit}" if "(" not in shown else shown.replace(" (", f"{unit} (", 1)
