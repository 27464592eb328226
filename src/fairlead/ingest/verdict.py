"""Whether a load as a whole may count as done."""

from __future__ import annotations

from typing import Final

from fairlead.errors import ReadError
from fairlead.store import LoadResult

__all__ = ["LoadError", "judge"]

_ENOUGH: Final = 100  # records, below which a share says little
_NAMED: Final = 5


class LoadError(ReadError):
    """A load went wrong in part: `result` says what became of every file, and what was loaded stays."""

    def __init__(self, message: str, result: LoadResult) -> None:
        super().__init__(message)
        self.result = result


def judge(result: LoadResult, max_quarantined_share: float) -> LoadResult:
    """Give the result of a load; LoadError when a file failed, or too much of what was read cannot be used."""
    faults = [f"{file.path}: {file.fault}" for file in result.failed]
    faults += [_poisoned(one) for one in (*result.files, result) if _share(one) > max_quarantined_share]
    if not faults:
        return result
    named = "; ".join(dict.fromkeys(faults[:_NAMED])) + (
        f"; and {len(faults) - _NAMED} more" if faults[_NAMED:] else ""
    )
    loaded = sum(file.fault is None for file in result.files)
    if result.failed and loaded:
        named += f"; the other {loaded} of {len(result.files)} files are loaded"
    raise LoadError(named, result)


def _share(result: LoadResult) -> float:
    return result.quarantined / result.read if result.read >= _ENOUGH else 0.0


def _poisoned(result: LoadResult) -> str:
    return (
        f"{result.path or 'this load'}: {result.quarantined:,} of {result.read:,} records are in quarantine, where the"
        " reasons stand; nothing is lost, but mend the log's format before you train on it,"
        " or raise max_quarantined_share in [tool.fairlead.ingest]"
    )
