"""Lines of a log, most of them taken at once; what is left over is given one by one."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np

from fairlead.ingest import lines, spans
from fairlead.ingest.blocks import Block, blocks
from fairlead.ingest.columns import Columns
from fairlead.ingest.context import Context
from fairlead.ingest.lane import Begun, Lane
from fairlead.ingest.lines import Entry
from fairlead.ingest.readers import Reader
from fairlead.store import Load

__all__ = ["Lanes"]

_LEAST_LINES: Final = 1_000  # below which the set-based way costs more than it saves
_LOOKED_AT: Final = 20
_THREADS: Final = 2
_AHEAD: Final = 3  # blocks that are looked at while one is stored


class _Started(NamedTuple):
    lane: Lane
    begun: Future[tuple[spans.Text, Begun] | None]


class Lanes:
    """The set-based ways of reading at hand, one a format; what one learns from a file serves the next."""

    def __init__(self, readers: Sequence[Reader], columns: Columns) -> None:
        self._readers = [reader for reader in readers if hasattr(reader, "BULK")]
        self._all = readers
        self._columns = columns
        self._lanes: dict[str, Lane] = {}

    def entries(self, load: Load, pieces: Iterable[bytes], context: Context) -> Iterator[Entry]:
        """Add what can be taken at once to the load, and give an entry for every other line."""
        waiting: deque[tuple[Block, _Started | None]] = deque()
        with ThreadPoolExecutor(_THREADS) as pool:
            for part in blocks(pieces):
                if isinstance(part, Block):
                    waiting.append((part, self._start(pool, part, context)))
                while waiting and (len(waiting) > _AHEAD or not isinstance(part, Block)):
                    yield from self._finish(load, *waiting.popleft(), context)
                if not isinstance(part, Block):
                    line, offset, rest = part
                    yield from lines.from_lines(rest, line, offset)
            for block, started in waiting:
                yield from self._finish(load, block, started, context)

    def _start(self, pool: ThreadPoolExecutor, block: Block, context: Context) -> _Started | None:
        """Have a block looked at in another thread; None where its lines are to be read one by one."""
        lane = self._lane(block, context) if len(block.ends) >= _LEAST_LINES else None
        return None if lane is None else _Started(lane, pool.submit(_begin, lane, block, context))

    def _finish(self, load: Load, block: Block, started: _Started | None, context: Context) -> Iterator[Entry]:
        left: Iterable[int] = range(len(block.ends))
        begun = None if started is None else started.begun.result()
        if started is not None and begun is not None:
            tables, places = started.lane.take(*begun, context)
            for table in tables:
                load.attempts(self._columns.kept_columns("attempts", table))
            left = np.sort(places).tolist()
        for place in left:
            yield from lines.from_lines([block.raw(place) + b"\n"], block.line + place, block.start(place))

    def _lane(self, block: Block, context: Context) -> Lane | None:
        """Find the way for a block's format by its first lines that say anything."""
        for place in range(min(_LOOKED_AT, len(block.ends))):
            reader = self._reader(block.raw(place))
            if reader is not None:
                if reader.NAME not in self._lanes:
                    self._lanes[reader.NAME] = Lane(reader, reader.BULK, context)  # type: ignore[attr-defined]
                return self._lanes[reader.NAME]
        return None

    def _reader(self, raw: bytes) -> Reader | None:
        try:
            record: Any = msgspec.json.decode(raw)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return None
        known = isinstance(record, dict) and next((one for one in self._all if one.recognises(record)), None)
        return known if known and known in self._readers else None


def _begin(lane: Lane, block: Block, context: Context) -> tuple[spans.Text, Begun] | None:
    if not block.is_text():
        return None
    text = spans.Text(block.data, block.ends)
    return text, lane.begin(text, context)
