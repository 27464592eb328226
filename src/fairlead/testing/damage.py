"""Records as they arrive when something is wrong with them, and records that carry a text nobody may keep.

>>> len([one for one in variants({"a": 1})]) == 1 + len(WRONG)
True
>>> marked({"messages": [{"content": "hi"}], "model": "m"})["messages"]
[{'content': 'The canary sang of amber dusk'}]
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

__all__ = ["CANARY", "WRONG", "marked", "variants"]

CANARY: Final = "The canary sang of amber dusk"
WRONG: Final[tuple[Any, ...]] = (
    None,
    "",
    CANARY,
    "2026-13-45T99:00:00Z",
    "9" * 400,
    True,
    0,
    -1,
    1.5,
    10**30,
    float("nan"),
    [],
    [CANARY, None, {}],
    {},
    {"a": {"b": [1]}},
)
_CONTENT: Final = frozenset(
    (  # noqa: SIM905  one a line would fill the screen
        "content text prompt messages input output completion response answer question query body system"
        " instructions inputtext outputtext generation arguments description explanation comment"
    ).split()
)
_DEPTH: Final = 12
_ITEMS: Final = 2


def variants(value: Any, depth: int = _DEPTH) -> Iterator[Any]:
    """Give a record with each of its fields left out, or of a wrong kind, one at a time; JSON in text is opened too."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield {key: other for key, other in value.items() if key != name}
            for wrong in (*WRONG, *(variants(part, depth - 1) if depth else ())):
                yield {**value, name: wrong}
    elif isinstance(value, list):
        for place, item in enumerate(value[:_ITEMS]):
            for wrong in (*WRONG, *(variants(item, depth - 1) if depth else ())):
                yield [*value[:place], wrong, *value[place + 1 :]]
    elif (inside := _opened(value)) is not None:
        for wrong in variants(inside, depth - 1) if depth else ():
            yield _closed(wrong)


def marked(record: dict[str, Any]) -> dict[str, Any]:
    """Give a record whose content fields hold the canary, as does a field that no reader knows."""
    return {**_marked(record, False), "note_of_a_later_version": CANARY}


def _marked(value: Any, content: bool) -> Any:
    if isinstance(value, dict):
        return {name: _marked(part, str(name).lower() in _CONTENT) for name, part in value.items()}
    if isinstance(value, list):
        return [_marked(item, content) for item in value]
    if (inside := _opened(value)) is not None:
        return _closed(_marked(inside, content))
    return CANARY if content and isinstance(value, str) else value


def _opened(value: Any) -> Any:
    """Give what a text of JSON holds, where it is an object or a list."""
    if not isinstance(value, str) or value[:1] not in ("{", "["):
        return None
    try:
        return msgspec.json.decode(value)
    except (msgspec.MsgspecError, ValueError):
        return None


def _closed(value: Any) -> str:
    return msgspec.json.encode(value, enc_hook=str).decode()
