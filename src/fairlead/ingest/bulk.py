"""What a reader says of its lines so that SQL can read many at once, and the SQL that follows from it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any, Final

__all__ = ["Bulk"]

_LEAF: Final = "VARCHAR"
_ENDS: Final = ("}\n", "}\r\n")


class Bulk:
    """Which values vary from line to line, and how columns follow from them.

    `slots` gives each varying value an alias and says where it stands, `copies` names the other places where the same
    value stands, `texts` the strings that hold JSON themselves. `key` names values by which kinds of lines are told
    apart quickly. `columns` has the SQL of each column that varies, over the aliases as text; `where` what must hold of
    them for that SQL to be right; `people` the aliases of ids that are hashed, by column. A varying duration is given
    in microseconds and a cost in units of 1e-12 USD.
    """

    def __init__(
        self,
        *,
        slots: dict[str, str],
        copies: dict[str, str],
        texts: Sequence[str],
        key: Sequence[str],
        columns: dict[str, str],
        people: dict[str, str],
        where: Sequence[str],
    ) -> None:
        self.slots, self.copies, self.texts, self.key = slots, copies, tuple(texts), tuple(key)
        self.columns, self.people, self.where = columns, people, tuple(where)

    @cached_property
    def aliases(self) -> dict[str, str]:
        """The alias of every place that has one."""
        return {path: alias for alias, path in self.slots.items()} | self.copies

    @cached_property
    def parsed(self) -> str:
        """SQL that gives each of `lines` (place, line) with its aliases and the hash `kind` of its key."""
        paths = [*self.slots.values(), *self.key]
        outer = [path for path in paths if self._text_of(path) is None]
        inner = {text: [p.removeprefix(text + ".") for p in paths if self._text_of(p) == text] for text in self.texts}
        opened = "".join(f", {_parsed(f'x.{text}', found, ('}',))} AS x_{text}" for text, found in inner.items())
        aliases = ", ".join(f"{self._value(path)} AS {alias}" for alias, path in self.slots.items())
        return f"""\
SELECT place, line, {aliases}, hash({", ".join(self._value(path) for path in self.key)}) AS kind
FROM (
    SELECT place, line, x{opened}
    FROM (SELECT place, line, {_parsed("line", [*outer, *self.texts], _ENDS)} AS x FROM lines)
)"""

    def kinds(self) -> str:
        """Give SQL for the kind of each line."""
        return f"SELECT place, kind FROM ({self.parsed})"

    def reads(self, slots: Iterable[str], shown: Iterable[str]) -> str:
        """Give SQL for the columns of `slots`: place, template, whether all is `spelled` right, and these aliases.

        `shown` are aliases to give as they stand. Whether `where` holds is a column, `sound`.
        """
        missing = "".join(f", CAST(NULL AS VARCHAR) AS {alias}" for alias in self.slots if alias not in slots)
        columns = "".join(f", {sql} AS {name}" for name, sql in self.columns.items())
        aliases = "".join(f", {alias} AS slot_{alias}" for alias in dict.fromkeys((*self.people.values(), *shown)))
        return f"""\
SELECT place, template{columns}{aliases}, spelled AND {" AND ".join(self.where)} AS sound
FROM (SELECT *{missing} FROM slots)"""

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
