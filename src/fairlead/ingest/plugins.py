"""Readers of other installed packages, which they name under the entry point group `fairlead.readers`.

[project.entry-points."fairlead.readers"]
my_gateway = "my_package.my_gateway"        # a module, or module:object, with the contract of a reader
"""

from __future__ import annotations

import re
from collections.abc import Collection
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

from fairlead.errors import UsageError

__all__ = ["GROUP", "broken", "installed"]

GROUP: Final = "fairlead.readers"
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
_RESERVED: Final = frozenset({"auto"})


def installed(taken: Collection[str]) -> dict[str, Any]:
    """Give the readers of other packages by name; UsageError names the distribution whose reader cannot be used."""
    found: dict[str, Any] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
        reader = _load(point)
        fault = broken(reader)
        if fault is not None:
            raise UsageError(f"{_whose(point)}: {fault}; repair or uninstall that package")
        if reader.NAME in taken or reader.NAME in found:
            raise UsageError(f"{_whose(point)}: the name {reader.NAME!r} is taken; give its reader another NAME")
        found[reader.NAME] = reader
    return found


def broken(reader: Any) -> str | None:
    """Say what an object lacks of a reader; None when it has everything."""
    name = getattr(reader, "NAME", None)
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name in _RESERVED:
        return "NAME is not a label: lower case letters, digits and '_', at most 64, and not 'auto'"
    needed = [part for part in ("recognises", "read") if not callable(getattr(reader, part, None))]
    offered = [part for part in ("split", "parse_line") if not callable(getattr(reader, part, len))]
    missing = needed + offered
    return f"{missing[0]} is not a function" if missing else None


def _load(point: EntryPoint) -> Any:
    try:
        return point.load()
    except Exception as fault:  # whatever another package does when it is imported
        raise UsageError(
            f"{_whose(point)}: cannot be loaded ({type(fault).__name__}: {fault}); repair or uninstall that package"
        ) from fault


def _whose(point: EntryPoint) -> str:
    package = "an unknown package" if point.dist is None else f"{point.dist.name} {point.dist.version}"
    return f"reader {point.name!r} of {package}"
