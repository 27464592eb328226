"""Writes YAML of the plain kind: mappings, lists, texts, numbers and booleans, every text as JSON writes it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

__all__ = ["as_yaml"]


def as_yaml(value: Any) -> str:
    """Give a value as YAML; JSON's texts and numbers are YAML's.

    >>> print(as_yaml({"a": [{"b": 1, "c": "x: y"}], "d": {"e": True}}), end="")
    a:
      - b: 1
        c: "x: y"
    d:
      e: true
    """
    return "".join(f"{line}\n" for line in _lines(value))


def _lines(value: Any) -> Iterator[str]:
    if isinstance(value, dict) and value:
        for name, part in value.items():
            if isinstance(part, (dict, list)) and part:
                yield f"{name}:"
                yield from (f"  {line}" for line in _lines(part))
            else:
                yield f"{name}: {_scalar(part)}"
    elif isinstance(value, list) and value:
        for part in value:
            first, *rest = _lines(part)
            yield f"- {first}"
            yield from (f"  {line}" for line in rest)
    else:
        yield _scalar(value)


def _scalar(value: Any) -> str:
    return msgspec.json.encode(value).decode()
