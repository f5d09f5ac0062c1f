"""What a section of the page is made of."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup
from matplotlib.figure import Figure


@dataclass(frozen=True, kw_only=True, eq=False)
class Picture:
    """A figure with the name of its file, and what a reader should see in it."""

    name: str
    figure: Figure
    caption: str
    wide: bool = False


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows under a head; cells are shown as they are. A folded table opens on a click."""

    head: tuple[str, ...]
    rows: tuple[tuple[str | Markup, ...], ...]
    caption: str = ""
    folded: bool = False


def warning_line(text: str) -> Markup:
    """Return a paragraph that stands out."""
    return Markup('<strong class="warning">Warning.</strong> {}').format(text)


@dataclass(frozen=True, kw_only=True, eq=False)
class Section:
    """One part of the page.

    Parameters
    ----------
    anchor, title : str
    text : tuple of str
        Paragraphs before the figures.
    missing : str
        Command that would fill the section, empty if there is something to show.
    reason : str
        Why the stage that should have filled it gave no result.
    """

    anchor: str
    title: str
    text: tuple[str | Markup, ...] = ()
    pictures: tuple[Picture, ...] = ()
    tables: tuple[Table, ...] = ()
    missing: str = ""
    reason: str = ""
