"""The audit log: who did what, each line bound to the one before, with signed checkpoints on the way."""

from __future__ import annotations

import datetime
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from fairlead.errors import SecurityError
from fairlead.serve.security import audit_head, files
from fairlead.serve.security.audit_entry import CHECKPOINT, EVERY, GENESIS, PURPOSE, detail, digest, line, signed_part
from fairlead.serve.security.signing import Signer

__all__ = ["Audit", "checkpoints_of"]

_TAIL: Final = 1 << 16  # an entry is far shorter


def _utc() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def checkpoints_of(path: Path) -> Path:
    """Give the file that repeats the checkpoints: copy it to another machine, and a log cut short is found out."""
    return path.with_suffix(".checkpoints.jsonl")


class Audit:
    """Appends entries as JSON lines. Several workers may write one log: each holds its lock and reads its end.

    `add` returns when the entry is on the disk (fsync). A line that a killed process left unfinished is moved to a file
    beside the log, and an entry says so. A log whose end is not what was written is not written on. Without a signer
    the lines are chained but nothing is signed.

    >>> import tempfile
    >>> audit = Audit(Path(tempfile.mkdtemp()) / "audit.jsonl")
    >>> audit.add("key.revoked", "operator", key_id="abcdefghij"), audit.add("key.new", "operator")
    (0, 1)
    """

    def __init__(
        self,
        path: Path,
        signer: Signer | None = None,
        *,
        every: int = EVERY,
        clock: Callable[[], datetime.datetime] = _utc,
    ) -> None:
        self.path, self._signer, self._every, self._clock = path, signer, every, clock
        self._lock = threading.Lock()
        self._end: tuple[int, int, int, str] | None = None  # inode, size, next sequence, hash of the last line
        self._due: list[bytes] = []  # checkpoints that are in the log, and not yet in the other file

    def add(self, event: str, actor: str, /, **told: Any) -> int:
        """Append an entry; give its sequence number. UsageError for a field that has no place in the log."""
        content = detail(told)
        with self._lock, files.locked(self.path):
            try:
                return self._add(event, actor, content)
            except OSError as fault:
                self._end = None
                raise SecurityError(
                    f"{self.path}: the entry cannot be kept ({fault.strerror}); see to the space and the rights there"
                ) from fault

    def last(self, count: int) -> list[dict[str, Any]]:
        """Give the last entries, oldest first, as far as they lie in the last megabyte; nothing is checked here."""
        try:
            with self.path.open("rb") as log:
                log.seek(max(0, self.path.stat().st_size - (1 << 20)))
                lines = log.read().split(b"\n")[:-1][-count:]
            return [msgspec.json.decode(one) for one in lines]
        except (OSError, msgspec.DecodeError) as fault:
            raise SecurityError(f"{self.path}: cannot be read ({fault}); see `fairlead doctor`") from fault

    def _add(self, event: str, actor: str, content: dict[str, Any]) -> int:
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            found = os.fstat(descriptor)
            fault = files.fault_of_mode(found)
            if fault is not None:
                raise SecurityError(f"{self.path}: {fault}; chmod 600 it, and see who owns it")
            if self._end is None or self._end[:2] != (found.st_ino, found.st_size):
                self._end = self._find_end(descriptor, found)
            sequence = self._write(descriptor, event, actor, content)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if self._signer is not None and self._end is not None:
            audit_head.write(self.path, sequence, self._end[3], self._signer)
        while self._due:  # after the log is on the disk: one that the log lacks is a log that was cut short
            self._repeat(self._due[0])
            del self._due[0]
        return sequence

    def _write(self, descriptor: int, event: str, actor: str, content: dict[str, Any]) -> int:
        assert self._end is not None  # noqa: S101  set by the caller
        inode, size, sequence, previous = self._end
        at = self._clock().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        entry = {"actor": actor[:100], "at": at, "detail": content, "event": event, "previous": previous}
        out = b""
        if self._signer is not None and sequence % self._every == 0:
            checkpoint = {
                "actor": "fairlead",
                "at": at,
                "detail": {"every": self._every, "signer": self._signer.name},
                "event": CHECKPOINT,
                "previous": previous,
                "sequence": sequence,
            }
            checkpoint["signature"] = self._signer.sign(PURPOSE, signed_part(checkpoint))
            written = line(checkpoint)
            self._due.append(written)
            out, sequence, previous = written + b"\n", sequence + 1, digest(written)
        written = line(entry | {"previous": previous, "sequence": sequence})
        out += written + b"\n"
        while out:
            done = os.write(descriptor, out)
            out, size = out[done:], size + done
        self._end = inode, size, sequence + 1, digest(written)
        return sequence

    def _repeat(self, written: bytes) -> None:
        path = checkpoints_of(self.path)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, written + b"\n")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _find_end(self, descriptor: int, found: os.stat_result) -> tuple[int, int, int, str]:
        size = found.st_size
        tail = os.pread(descriptor, _TAIL, max(0, size - _TAIL))
        whole, ended, torn = tail.rpartition(b"\n")
        end = (found.st_ino, size - len(torn), 0, GENESIS)
        if ended or size > _TAIL:
            last = whole.rpartition(b"\n")[2]
            try:
                end = (found.st_ino, size - len(torn), int(msgspec.json.decode(last)["sequence"]) + 1, digest(last))
            except (msgspec.DecodeError, KeyError, TypeError, ValueError):
                raise SecurityError(
                    f"{self.path}: its last whole line is no entry; see `fairlead doctor`, then move it and what is"
                    " beside it away"
                ) from None
            if self._signer is not None:
                audit_head.keeps(self.path, self._signer, whole.split(b"\n"), end[2] - 1)
        elif self._signer is not None and audit_head.read(self.path, self._signer) is not None:
            audit_head.keeps(self.path, self._signer, [], -1)
        if torn:
            end = self._set_aside(descriptor, torn, end)
        return end

    def _set_aside(self, descriptor: int, torn: bytes, end: tuple[int, int, int, str]) -> tuple[int, int, int, str]:
        aside = self.path.with_suffix(f".torn-{end[2]}")
        number = 0
        while aside.exists():
            number += 1
            aside = self.path.with_suffix(f".torn-{end[2]}-{number}")
        files.write(aside, torn)
        os.ftruncate(descriptor, end[1])
        self._end = end
        self._write(
            descriptor, "audit.torn", "fairlead", {"file": aside.name, "bytes": len(torn), "sha256": digest(torn)}
        )
        os.fsync(descriptor)
        return self._end
