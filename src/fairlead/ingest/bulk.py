"""What a reader says of its lines so that many can be read at once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Final

__all__ = ["Bulk"]

_LEAF: Final = "VARCHAR"
_ENDS: Final = ("}\n", "}\r\n")


# Gives further columns of the values, and for which lines they are right.
Derive = Callable[[Mapping[str, Any]], tuple[dict[str, Any], Any]]


class Bulk:
    """Which values vary from line to line, and how columns follow from them.

    `slots` gives each varying value an alias and says of which kind it is (see `typed.read`) and where it stands,
    `copies` names the other places where the same value stands, `texts` the strings that hold JSON themselves. `key`
    names values by which kinds of lines are told apart quickly. `columns` names the alias of each column that is a
    value as it stands, `people` that of each id to be hashed; `derive` works out the others of the `needed` values
    and those that are there. A duration is given in microseconds and a cost in units of 1e-12 USD.
    """

    def __init__(
        self,
        *,
        slots: dict[str, tuple[str, str]],
        copies: dict[str, str],
        texts: Sequence[str],
        key: Sequence[str],
        columns: dict[str, str],
        people: dict[str, str],
        needed: Sequence[str],
        derive: Derive,
    ) -> None:
        self.kinds = {alias: kind for alias, (kind, _) in slots.items()}
        self.places = {alias: path for alias, (_, path) in slots.items()}
        self.copies, self.texts, self.key = copies, tuple(texts), tuple(key)
        self.columns, self.people, self.needed, self.derive = columns, people, frozenset(needed), derive

    @cached_property
    def aliases(self) -> dict[str, str]:
        """The alias of every place that has one."""
        return {path: alias for alias, path in self.places.items()} | self.copies

    @cached_property
    def sorted(self) -> str:
        """SQL that gives each of `lines` (place, line) with the hash `kind` of its key."""
        outer = [path for path in self.key if self._text_of(path) is None]
        inner = {text: [p.removeprefix(text + ".") for p in self.key if self._text_of(p) == text] for text in self.texts}
        opened = "".join(f", {_parsed(f'x.{text}', found, ('}',))} AS x_{text}" for text, found in inner.items() if found)
        return f"""\
SELECT place, hash({", ".join(self._value(path) for path in self.key)}) AS kind
FROM (
    SELECT place, x{opened}
    FROM (SELECT place, {_parsed("line", [*outer, *self.texts], _ENDS)} AS x FROM lines)
)"""

    def _text_of(self, path: str) -> str | None:
        return next((text for text in self.texts if path.startswith(text + ".")), None)

    def _value(self, path: str) -> str:
        text = self._text_of(path)
        where, rest = ("x", path) if text is None else (f"x_{text}", path.removeprefix(text + "."))
        return ".".join((where, *(f'"{part}"' for part in rest.split("."))))


def _parsed(text: str, paths: Iterable[str], ends: Sequence[str]) -> str:
    """Give SQL that picks paths out of a text, null for one that is no JSON object.

    What TRY catches makes it go through thousands of rows one by one, so lines that break off are not tried.
    """
    whole = " OR ".join(f"ends_with({text}, '{end}')" for end in ends)
    return f"CASE WHEN {whole} THEN TRY(json_transform({text}, {_structure(paths)})) END"


def _structure(paths: Iterable[str]) -> str:
    """Give the argument of json_transform that picks out paths, as a quoted SQL text."""
    tree: dict[str, Any] = {}
    for path in paths:
        *parents, leaf = path.split(".")
        branch = tree
        for parent in parents:
            branch = branch.setdefault(parent, {})
        branch[leaf] = _LEAF
    return "'" + json.dumps(tree).replace("'", "''") + "'"
