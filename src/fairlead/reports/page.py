"""What a page is made of: sections of figures and tables, each with a sentence that says what it shows."""

from __future__ import annotations

from dataclasses import dataclass, field

from markupsafe import Markup

__all__ = ["Block", "KeyFigure", "Page", "Section"]


@dataclass(frozen=True, slots=True)
class Block:
    """A chart, a table or a remark, with its title and the small print below it."""

    body: Markup
    title: str = ""
    note: str = ""
    wide: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """One part of the page; `lead` says in a sentence what it shows."""

    name: str
    title: str
    lead: str
    blocks: list[Block] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class KeyFigure:
    """A number at the top of the page."""

    label: str
    value: str
    note: str = ""
    tone: str = ""  # good, bad, or nothing


@dataclass(frozen=True, slots=True)
class Page:
    """Everything the template shows."""

    title: str
    headline: str
    tone: str
    details: list[str]
    made: str
    window: str
    figures: list[KeyFigure]
    sections: list[Section]
    method: list[tuple[str, str]]
