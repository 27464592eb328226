"""Checks an audit log: whether each line follows from the one before, how far it is signed, and whether it is whole."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from fairlead.errors import SecurityError
from fairlead.serve.security.audit import checkpoints_of
from fairlead.serve.security.audit_entry import CHECKPOINT, EVERY, GENESIS, PURPOSE, digest, line, signed_part
from fairlead.serve.security.audit_head import Head, read
from fairlead.serve.security.signing import Verifier

__all__ = ["Verdict", "verify"]

_MOST_BYTES: Final = 1 << 16
_NAMES: Final = {"actor", "at", "detail", "event", "previous", "sequence"}


class Verdict(Struct, frozen=True, kw_only=True):
    """What was found. `broken_line` counts from 1.

    A log that was set back, with all that is beside it, to how it once was gives itself away only to a copy of the
    checkpoints on another machine, and that up to the last of them (`signed_until`).
    """

    entries: int
    broken_line: int | None = None
    reason: str | None = None
    signed_until: int = 0
    torn: bool = False

    @property
    def sound(self) -> bool:
        """Whether no line is broken or missing."""
        return self.broken_line is None


class _BrokenError(Exception):
    """A line that is not as it should be."""


def verify(path: Path, by: Verifier | None = None, *, checkpoints: Path | None = None, every: int = EVERY) -> Verdict:
    """Walk a log from its first line; the verdict names the first line that is broken, and how.

    With `by`, every `every`-th line has to be a checkpoint of that key, and all of `checkpoints` (the file beside the
    log, or better a copy from another machine) has to be in the log. An unfinished last line is `torn`: no entry.
    """
    repeated = _repeated(checkpoints or checkpoints_of(path)) if by is not None else {}
    sequence, previous, signed, torn = 0, GENESIS, 0, False
    try:
        head = None if by is None else _head(path, by)
        for written in _lines(path):
            if not written.endswith(b"\n"):
                if len(written) >= _MOST_BYTES:
                    raise _BrokenError("longer than any entry is")
                torn = True
                break
            entry = _entry(written[:-1])
            _follows(entry, sequence, previous)
            if by is not None:
                _signed_as_due(entry, by, every)
                if sequence in repeated and repeated.pop(sequence) != written[:-1]:
                    raise _BrokenError("another checkpoint than the one that was put aside")
                signed = sequence if entry["event"] == CHECKPOINT else signed
            sequence, previous = sequence + 1, digest(written[:-1])
            if head is not None and head.sequence == sequence - 1 and head.digest != previous:
                sequence -= 1
                raise _BrokenError("another entry than the last one that was written")
        if head is not None and head.sequence >= sequence:
            raise _BrokenError(f"cut short: there was an entry at sequence {head.sequence}")
        if head is None and by is not None and sequence > 2:
            raise _BrokenError("what the last entry was is no longer beside the log")
        if repeated:
            raise _BrokenError(f"cut short: there was a checkpoint at sequence {max(repeated)}")
    except _BrokenError as fault:
        return Verdict(entries=sequence, broken_line=sequence + 1, reason=str(fault), signed_until=signed, torn=torn)
    return Verdict(entries=sequence, signed_until=signed, torn=torn)


def _head(path: Path, by: Verifier) -> Head | None:
    try:
        return read(path, by)
    except SecurityError as fault:
        raise _BrokenError(str(fault)) from None


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as log:
            while written := log.readline(_MOST_BYTES):
                yield written
    except OSError as fault:
        raise SecurityError(f"{path}: cannot be read ({fault.strerror}); is it there, and whose is it?") from fault


def _entry(written: bytes) -> dict[str, Any]:
    try:
        entry = msgspec.json.decode(written)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise _BrokenError("not JSON") from None
    wanted = _NAMES | {"signature"} if isinstance(entry, dict) and entry.get("event") == CHECKPOINT else _NAMES
    if not isinstance(entry, dict) or set(entry) != wanted or line(entry) != written:
        raise _BrokenError("not an entry as it is written here")
    return entry


def _follows(entry: dict[str, Any], sequence: int, previous: str) -> None:
    if entry["sequence"] != sequence or isinstance(entry["sequence"], bool):
        raise _BrokenError(f"sequence {entry['sequence']} where {sequence} should be")
    if entry["previous"] != previous:
        raise _BrokenError("the line before it is not the one it was written after")


def _signed_as_due(entry: dict[str, Any], by: Verifier, every: int) -> None:
    due = entry["sequence"] % every == 0
    if due != (entry["event"] == CHECKPOINT):
        raise _BrokenError("a checkpoint should be here" if due else "no checkpoint should be here")
    if due and not by.verify(PURPOSE, signed_part(entry), str(entry["signature"])):
        raise _BrokenError("the signature is not one of " + by.name)


def _repeated(path: Path) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    if path.exists():
        for written in _lines(path):
            with contextlib.suppress(_BrokenError):  # its own end may be torn
                if written.endswith(b"\n"):
                    entry = _entry(written[:-1])
                    found[int(entry["sequence"])] = written[:-1]
    return found
