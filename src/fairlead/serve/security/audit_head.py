"""What the last entry of an audit log was, signed: so that its end cannot be changed before the next checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from fairlead.errors import SecurityError
from fairlead.serve.security import files
from fairlead.serve.security.audit_entry import digest
from fairlead.serve.security.signing import Signer, Verifier

__all__ = ["Head", "head_of", "keeps", "read", "write"]

_PURPOSE: Final = "audit head"


class Head(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The last entry: its number and the hash of its line."""

    sequence: Annotated[int, Meta(ge=0)]
    digest: str
    signature: str


def head_of(path: Path) -> Path:
    """Give the file beside a log."""
    return path.with_suffix(".head.json")


def write(path: Path, sequence: int, last: str, by: Signer) -> None:
    """Keep the last entry of the log at `path`; after a crash between the two it is an entry behind."""
    head = Head(sequence=sequence, digest=last, signature=by.sign(_PURPOSE, _said(sequence, last)))
    files.write(head_of(path), msgspec.json.encode(head) + b"\n")


def read(path: Path, by: Verifier) -> Head | None:
    """Give the last entry as it was kept; None where none was yet. SecurityError where it is not of this key."""
    where = head_of(path)
    if not where.exists():
        return None
    try:
        head = msgspec.json.decode(files.read(where), type=Head)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        head = None
    if head is None or not by.verify(_PURPOSE, _said(head.sequence, head.digest), head.signature):
        raise SecurityError(f"{where}: not signed by {by.name}; keep it and the log, and find out who changed it")
    return head


def keeps(path: Path, by: Verifier, tail: list[bytes], last: int) -> None:
    """Check that the end of a log is what was kept; `tail` are its last lines, the last of them number `last`.

    Raises SecurityError: a log whose end was changed is not written on, which would make it right again.
    """
    head = read(path, by)
    back = last if head is None else last - head.sequence
    if head is None and last < 2:  # the very first entry, and a crash right after it
        return
    if head is None or not 0 <= back < len(tail) or digest(tail[-1 - back]) != head.digest:
        raise SecurityError(
            f"{path}: its end is not what was written; see `fairlead doctor`, then move it and what is beside it away"
        )


def _said(sequence: int, last: str) -> bytes:
    return f"{sequence} {last}".encode()
