"""A line of JSON as fixed text with slots: what changes from one record of a log to the next, and what does not.

>>> made = cut('{"id": "a1", "n": 5, "m": "{\\\\"n\\\\": 5}"}', {"id": "id", "n": "n", "m.n": "n"}, {"m"})
>>> made.slots, made.pieces
(('id', 'n', 'n'), ('{"id": "', '", "n": ', ', "m": "{\\\\"n\\\\": ', '}"}'))
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final, NamedTuple

__all__ = ["Cut", "cut"]

_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[-+.0-9eE]+|true|false|null|[{}\[\],:]')
_PLAIN: Final = re.compile(r'[^"\\\x00-\x1f]*')


class Cut(NamedTuple):
    """Fixed pieces of text and what stands between them: one piece more than slots."""

    pieces: tuple[str, ...]
    slots: tuple[str, ...]


class _Leaf(NamedTuple):
    path: str
    start: int
    end: int
    token: str


def cut(line: str, aliases: Mapping[str, str], texts: Collection[str]) -> Cut | None:
    """Cut a line at the values whose paths have an alias; None when it does not lend itself to that.

    `texts` are the paths of strings that hold JSON themselves; what is inside is addressed as if it were not text.
    A slot's value is a number, or a string in which nothing is escaped, and the same everywhere it is named: only
    then does a line that consists of the same pieces and other values say the same with other values.
    """
    pieces, slots, values, last = [], list[str](), dict[str, str](), 0
    seen = set()
    for leaf in _leaves(line):
        if leaf.path in seen:
            return None
        seen.add(leaf.path)
        inner = _inner(leaf, aliases, texts) if leaf.path in texts else _value(leaf, aliases)
        if inner is None:
            return None
        if not inner.slots:
            continue
        for alias, value in zip(inner.slots, _values_of(leaf, inner), strict=True):
            if values.setdefault(alias, value) != value:
                return None
        pieces.append(line[last : leaf.start] + inner.pieces[0])
        pieces.extend(inner.pieces[1:-1])
        slots.extend(inner.slots)
        last = leaf.end - len(inner.pieces[-1])
    pieces.append(line[last:])
    return Cut(tuple(pieces), tuple(slots))


def _leaves(line: str) -> Iterator[_Leaf]:
    """Give the scalars of a valid JSON text with their paths and places; `[]` in a path is a place in a list."""
    path: list[str] = []
    key: str | None = None
    lists: list[bool] = []
    for match in _TOKEN.finditer(line):
        word = match.group()
        if word in "{[":
            if lists:
                path.append("[]" if lists[-1] else key or "")
            lists.append(word == "[")
            key = None
        elif word in "}]":
            lists.pop()
            if lists:
                path.pop()
            key = None
        elif word == ",":
            key = None
        elif word == ":":
            continue
        elif lists and not lists[-1] and key is None and word[0] == '"':
            key = word[1:-1]
        else:
            name = "[]" if lists and lists[-1] else key or ""
            # Places in a list are no paths of their own, so each is told by where it stands.
            at = f"{name}@{match.start()}" if "[]" in (name, *path) else name
            yield _Leaf(".".join((*path, at)), match.start(), match.end(), word)


def _value(leaf: _Leaf, aliases: Mapping[str, str]) -> Cut | None:
    alias = aliases.get(leaf.path)
    if alias is None or leaf.token in ("null", "true", "false"):
        return Cut((leaf.token,), ())
    if leaf.token[0] != '"':
        return Cut(("", ""), (alias,))
    return Cut(('"', '"'), (alias,)) if _PLAIN.fullmatch(leaf.token, 1, len(leaf.token) - 1) else None


def _inner(leaf: _Leaf, aliases: Mapping[str, str], texts: Collection[str]) -> Cut | None:
    """Cut the JSON within a string, and put it back into the string's own spelling."""
    if leaf.token[0] != '"':
        return Cut((leaf.token,), ())
    text: Any = json.loads(leaf.token)
    prefix = leaf.path + "."
    inside = {path.removeprefix(prefix): alias for path, alias in aliases.items() if path.startswith(prefix)}
    made = cut(text, inside, ()) if text[:1] == "{" else Cut((text,), ())
    if made is None:
        return None
    for ascii_only in (True, False):
        spelled = [json.dumps(piece, ensure_ascii=ascii_only)[1:-1] for piece in made.pieces]
        if _joined(spelled, _between(made, text)) == leaf.token[1:-1]:
            return Cut(
                ('"' + spelled[0], *spelled[1:-1], spelled[-1] + '"') if made.slots else (leaf.token,), made.slots
            )
    return None


def _values_of(leaf: _Leaf, made: Cut) -> list[str]:
    return _between(made, leaf.token)


def _between(made: Cut, text: str) -> list[str]:
    """Give what stands between the pieces of a text that was cut into them."""
    values, place = [], len(made.pieces[0])
    for piece, _ in zip(made.pieces[1:], made.slots, strict=True):
        end = text.index(piece, place) if piece else len(text)
        values.append(text[place:end])
        place = end + len(piece)
    return values


def _joined(pieces: list[str], values: list[str]) -> str:
    return pieces[0] + "".join(value + piece for value, piece in zip(values, pieces[1:], strict=True))
