"""The check on hidden variables: is one worth having?"""

from __future__ import annotations

from typing import Any

from colloid_cg.reporting.checks.check import GOOD, LOOK, NOT_RUN, Check
from colloid_cg.reporting.content import ReportContent
from colloid_cg.reporting.hidden_words import main_part, worth_having
from colloid_cg.reporting.numbers import plain


def reading_checks(content: ReportContent) -> list[Check]:
    """Return one line for each species whose hidden variables were read, none where they were not."""
    reading = content.reading
    return [] if reading is None else [worth_check(reading, kind) for kind in reading["species"]]


def worth_check(reading: dict[str, Any], kind: str) -> Check:
    """Does a hidden variable tell who rearranges better than chance and than the best hand-made variable?"""
    part = main_part(reading, kind)
    verdict = None if part is None else worth_having(part)
    if part is None or "auc" not in part:
        found = (part or {}).get("missing", "not compared")
    else:
        hidden, lead = part["chosen"]["hidden"], part["differences"]["handmade"]
        area = part["auc"][hidden]
        found = f"AUC {plain(area['value'])}, {plain(lead['value'])} above the best hand-made variable"
        if lead["low90"] is not None:
            found += f" ({plain(lead['low90'], 2)} to {plain(lead['high90'], 2)})"
    return Check(
        question=f"Is a hidden variable worth having (species {kind})?",
        found=found,
        expected="above ½ and above the best hand-made variable, with the whole 90 % interval",
        verdict=NOT_RUN if verdict is None else GOOD if verdict else LOOK,
        section="hidden",
    )
