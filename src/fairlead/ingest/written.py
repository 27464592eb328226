"""When a file was written, for records that say no moment themselves."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

__all__ = ["written_at"]

_HOUR: Final = re.compile(r"(?<!\d)(\d{8})_(\d{2})(?!\d)")


def written_at(name: str, path: Path | None) -> datetime | None:
    """Give the hour that a file's name says, which every copy keeps; else when the file was last changed.

    >>> written_at("logs/sglang-request-metrics-20261004_17.log", None)
    datetime.datetime(2026, 10, 4, 17, 0, tzinfo=datetime.timezone.utc)
    """
    said = _HOUR.search(Path(name).name)
    if said:
        try:
            return datetime.strptime("".join(said.groups()), "%Y%m%d%H").replace(tzinfo=UTC)
        except ValueError:
            pass  # digits that are no date
    try:
        return None if path is None else datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except (OSError, ValueError, OverflowError):
        return None
