"""Patterns over the names of objects: `*`, `?` and `[...]` stay within a folder, `**` is any number of folders.

>>> matches("bucket/**/2026-*.jsonl", "bucket/a/b/2026-01.jsonl")
True
>>> matches("bucket/*.jsonl", "bucket/a/b.jsonl")
False
"""

from __future__ import annotations

import fnmatch
import glob
from collections.abc import Sequence

__all__ = ["base", "matches"]


def base(pattern: str) -> str:
    """Give the folder that everything a pattern can match lies in.

    >>> base("bucket/logs/2026-*/a.jsonl")
    'bucket/logs'
    """
    whole: list[str] = []
    for part in pattern.split("/")[:-1]:
        if glob.has_magic(part):
            break
        whole.append(part)
    return "/".join(whole)


def matches(pattern: str, path: str) -> bool:
    """Say whether a whole path is one that the pattern means."""
    return _matches(pattern.split("/"), path.split("/"))


def _matches(pattern: Sequence[str], path: Sequence[str]) -> bool:
    if not pattern:
        return not path
    if pattern[0] == "**":
        rest = pattern[1:] or ["*"]
        return any(_matches(rest, path[skipped:]) for skipped in range(len(path)))
    return bool(path) and fnmatch.fnmatchcase(path[0], pattern[0]) and _matches(pattern[1:], path[1:])
