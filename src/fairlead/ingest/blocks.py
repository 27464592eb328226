"""A stream of lines in blocks of whole lines, which are not copied."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

from fairlead.ingest.quarantine import BadRecordError

__all__ = ["Block", "blocks"]

_SIZE: Final = 16 << 20
_MOST: Final = 64 << 20  # without an end of line; such a line is not for us
_LOOK: Final = 1 << 18  # bytes at a time, which stay in the cache
_NEWLINE: Final = 10


class Block(NamedTuple):
    """Lines that are whole, the number of the first, and where they begin in the stream; the data may go on."""

    line: int
    offset: int
    data: bytes
    ends: np.ndarray[Any, np.dtype[np.int64]]  # of each line, after its newline

    def is_text(self) -> bool:
        """Say whether the lines are UTF-8."""
        offsets = np.array([0, self.ends[-1]], np.int32)
        whole = pa.StringArray.from_buffers(1, pa.py_buffer(offsets), pa.py_buffer(self.data))
        try:
            whole.validate(full=True)
        except pa.ArrowInvalid:
            return False
        return True

    def raw(self, place: int) -> bytes:
        """Give one line without its newline."""
        start = int(self.ends[place - 1]) if place else 0
        return self.data[start : int(self.ends[place]) - 1]

    def start(self, place: int) -> int:
        """Give where a line begins in the stream."""
        return self.offset + (int(self.ends[place - 1]) if place else 0)


def blocks(pieces: Iterable[bytes]) -> Iterator[Block | tuple[int, int, Iterator[bytes]]]:
    """Cut a stream into blocks; what is left at its end, or has no end of line for long, is given back as it came."""
    line, offset = 1, 0
    waiting: list[bytes] = []
    size = 0
    fault: list[BadRecordError] = []
    source = _until(pieces, fault)
    for piece in source:
        waiting.append(piece)
        size += len(piece)
        if size >= _SIZE:
            block = _block(line, offset, b"".join(waiting))
            if not len(block.ends) and size > _MOST:
                yield line, offset, chain([block.data], source)
                return
            if len(block.ends):
                yield block
                line, offset = line + len(block.ends), block.start(len(block.ends))
            waiting = [block.data[block.start(len(block.ends)) - block.offset :]]
            size = len(waiting[0])
    block = _block(line, offset, b"".join(waiting))
    end = block.start(len(block.ends)) - offset
    if len(block.ends):
        yield block
    if block.data[end:] or fault:
        yield line + len(block.ends), offset + end, chain([block.data[end:]], _broken(fault))


def _until(pieces: Iterable[bytes], fault: list[BadRecordError]) -> Iterator[bytes]:
    """Give the pieces up to where they break off, and keep why they did."""
    try:
        yield from pieces
    except BadRecordError as broken:
        fault.append(broken)


def _broken(fault: list[BadRecordError]) -> Iterator[bytes]:
    yield from ()
    if fault:
        raise fault[0]


def _block(line: int, offset: int, data: bytes) -> Block:
    ends = [
        np.flatnonzero(np.frombuffer(data, np.uint8, min(_LOOK, len(data) - start), start) == _NEWLINE) + start + 1
        for start in range(0, len(data), _LOOK)
    ]
    return Block(line, offset, data, np.concatenate(ends) if ends else np.empty(0, np.int64))
