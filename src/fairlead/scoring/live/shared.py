"""Live state shared by the workers of one machine: a folder in memory, a file a worker, no locks in the path."""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Sequence
from math import inf
from pathlib import Path
from typing import Final

from fairlead.errors import UsageError
from fairlead.scoring.live.wire import Peer, unpack

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["Shared"]

SLOTS: Final = 64
SIZE: Final = 1 << 16  # bytes a slot; the file system gives memory only to what is written
LOOK_S: Final = 0.25  # how often a reader looks for workers that have come or gone
_HEAD: Final = struct.Struct("<QI")  # version (odd while written), length


class Shared:
    """A slot in `folder`, which lies in memory (`/dev/shm/...`), and a view of the others' slots.

    Only its owner writes a slot. A version that is odd during a write, and a checksum, tell a reader that it read a
    torn one; it then keeps what it read before. The owner holds a lock on its file (`flock`), which the kernel lets go
    when the process ends in whatever way: so a dead worker is told from an idle one, and its slot is used again.

    >>> import tempfile
    >>> from fairlead.scoring.live import Live
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     first, second = (Live(["a"], shared=Shared(folder)) for _ in range(2))
    ...     first.begin(0)
    ...     seen = second.view().in_flight.tolist()
    ...     first.close(), second.close()
    (None, None)
    >>> seen
    [1.0]
    """

    def __init__(self, folder: Path | str) -> None:
        if fcntl is None:  # pragma: no cover - Windows
            raise UsageError("live state is shared through flock, which this system does not have: leave `shared` out")
        self.folder = Path(folder)
        self._others: dict[int, _Slot] = {}
        self._looked_at = -inf
        self._number = self._file = -1
        self._version = 0
        self._memory: mmap.mmap
        self._claim()

    def publish(self, image: bytes) -> None:
        """Show the others what this worker knows."""
        if self._file < 0:
            self._claim()
        if len(image) > SIZE - _HEAD.size:
            image = b""  # thousands of endpoints: each worker is on its own
        memory, self._version = self._memory, self._version + 2
        _HEAD.pack_into(memory, 0, self._version - 1, 0)
        memory[_HEAD.size : _HEAD.size + len(image)] = image
        _HEAD.pack_into(memory, 0, self._version, len(image))

    def peers(self, now: float) -> Sequence[Peer]:
        """Give what the other living workers last showed."""
        if not self._looked_at <= now < self._looked_at + LOOK_S:
            self._look()
            self._looked_at = now
        return [peer for slot in self._others.values() if (peer := slot.read()) is not None]

    def leave(self) -> None:
        """Give up the slot; what it held no longer counts. The next `publish` takes one again.

        A forked child leaves what it has from its parent: the lock stays the parent's, who has the file open too.
        """
        others, self._others = self._others, {}
        for slot in others.values():
            slot.close()
        self._looked_at = -inf
        if self._file >= 0:
            self._memory.close()
            os.close(self._file)
            self._file = self._number = -1

    def _claim(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for number in range(SLOTS):
            file = os.open(self._path(number), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            if not _lock(file, fcntl.LOCK_EX):
                os.close(file)
                continue
            os.ftruncate(file, SIZE)
            self._number, self._file, self._memory = number, file, mmap.mmap(file, SIZE)
            last, _ = _HEAD.unpack_from(self._memory)
            self._version = last + (last & 1)  # its last owner may have died while writing
            self.publish(b"")
            return
        raise UsageError(f"{self.folder}: all {SLOTS} slots are taken; give these workers a folder of their own")

    def _look(self) -> None:
        for number in range(SLOTS):
            if number == self._number:
                continue
            slot = self._others.get(number)
            if slot is None:
                if not self._path(number).exists():
                    break  # slots are taken in order and never removed
                self._others[number] = slot = _Slot(self._path(number))
            slot.look()

    def _path(self, number: int) -> Path:
        return self.folder / f"worker-{number:02d}"


class _Slot:
    """Another worker's slot, as a reader has it."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        self._memory: mmap.mmap | None = None
        self._version = 0
        self._peer: Peer | None = None
        self._alive = False

    def look(self) -> None:
        """See whether the owner still lives."""
        free = _lock(self._file, fcntl.LOCK_SH)
        if free:
            fcntl.flock(self._file, fcntl.LOCK_UN)
        if self._memory is None and not free and os.fstat(self._file).st_size >= SIZE:
            self._memory = mmap.mmap(self._file, SIZE, prot=mmap.PROT_READ)
        self._alive = not free and self._memory is not None

    def read(self) -> Peer | None:
        """Give what the owner last showed whole; None where it has died or shown nothing."""
        if not self._alive or self._memory is None:
            return None
        for _ in range(3):
            version, length = _HEAD.unpack_from(self._memory)
            if version == self._version:
                return self._peer
            if version & 1 or length > SIZE - _HEAD.size:
                continue
            data = self._memory[_HEAD.size : _HEAD.size + length]
            peer = unpack(data)
            if _HEAD.unpack_from(self._memory)[0] == version and (peer is not None or not data):
                self._version, self._peer = version, peer
                return peer
        return self._peer

    def close(self) -> None:
        """Let go of the file."""
        if self._memory is not None:
            self._memory.close()
        os.close(self._file)


def _lock(file: int, how: int) -> bool:
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
