"""A table of PostgreSQL, read onward from where the last load came to.

A row of LiteLLM_SpendLogs appears when its call ends but is ordered by when it began, so each load begins a window
before that place (`overlap_s`, longer than the longest call) and meets again what it knows, as duplicates. The place
never lies after the moment the load began: a row dated ahead does not hide those that are still to come.

Each piece is one short read-only transaction, spooled to a temporary file and then committed with its place: a load
that ends in the middle goes on from the last piece.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine, Generator
from typing import IO, Any, Final
from urllib.parse import parse_qs, urlsplit

from fairlead.errors import UsageError
from fairlead.ingest.sources import pgerrors, pgtable, waiting
from fairlead.ingest.sources.part import Marks, Part, held, spool

__all__ = ["Table"]

_PIECE_ROWS: Final = 50_000
_PIECE_BYTES: Final = 256 << 20
_FETCHED_ROWS: Final = 200
_CONNECT_S: Final = 15.0
_STATEMENT_S: Final = 300
_SETTINGS: Final = (
    f"SET LOCAL statement_timeout = '{_STATEMENT_S}s'; SET LOCAL TimeZone = 'UTC';"
    " SET LOCAL DateStyle = 'ISO'; SET LOCAL extra_float_digits = 1"
)


class Table:
    """A table at an address; the address may hold a password, so it is never told on."""

    def __init__(self, url: str, table: str, cursor: str, overlap_s: float, marks: Marks, how: str) -> None:
        self._url = url
        self._table = table
        self._cursor = cursor
        self._overlap_s = overlap_s
        self._marks = marks
        self._how = how
        self.name = _public(url)

    def parts(self) -> Generator[Part, None, None]:
        """Give the rows since the last load, piece by piece."""
        try:
            import asyncpg
        except ImportError as fault:
            raise UsageError("postgresql:// needs asyncpg; pip install 'fairlead[pipeline]'") from fault
        with waiting.loop() as wait:

            def told(work: Coroutine[Any, Any, Any]) -> Any:
                return pgerrors.told(self.name, lambda: wait(work))

            connection = told(
                asyncpg.connect(
                    self._url, timeout=_CONNECT_S, command_timeout=_STATEMENT_S + 30, statement_cache_size=0
                )
            )
            try:
                yield from self._pieces(connection, told)
            finally:
                wait(_end(connection))

    def _pieces(self, connection: Any, told: Callable[[Coroutine[Any, Any, Any]], Any]) -> Generator[Part, None, None]:
        layout: pgtable.Layout = told(pgtable.look(connection, self._table, self._cursor))
        name = f"{self.name}/{layout.title}"
        mark = f"{name} {layout.oid} {layout.cursor} {self._how}"
        began: str = told(_value(connection, layout.now()))
        before = self._marks(mark).get(mark)
        start = "-infinity" if before is None else told(_value(connection, layout.before(), before, self._overlap_s))
        place: list[str] = [start]
        while True:
            with spool() as kept:
                rows, place = told(_copy(connection, layout, place, kept))
                if not rows:
                    return
                reached: str = told(_value(connection, layout.earlier(), place[0], began))
                yield held(kept, name, marks={mark: reached})


async def _copy(connection: Any, layout: pgtable.Layout, place: list[str], kept: IO[bytes]) -> tuple[int, list[str]]:
    """Write the rows after a place as lines of JSON, and give how many there were and the place of the last."""
    rows = 0
    statement = layout.rows(begun=len(place) > 1).format(limit=_PIECE_ROWS)
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        await connection.execute(_SETTINGS)
        cursor = await connection.cursor(statement, *place)
        while kept.tell() < _PIECE_BYTES and (found := await cursor.fetch(_FETCHED_ROWS)):
            # A column of the type json keeps the line breaks it was written with; within strings there are none.
            kept.writelines(row[0].replace("\n", " ").replace("\r", " ").encode() + b"\n" for row in found)
            rows += len(found)
            place = list(found[-1])[1:]
    return rows, place


async def _value(connection: Any, statement: str, *values: Any) -> str:
    async with connection.transaction(readonly=True):
        await connection.execute(_SETTINGS)
        return str(await connection.fetchval(statement, *values))


async def _end(connection: Any) -> None:
    connection.terminate()  # nothing is open that the server would have to finish


def _public(url: str) -> str:
    """Give the address without user, password and settings.

    >>> _public("postgresql://me:secret@db.example:5432/litellm?sslmode=require")
    'postgresql://db.example:5432/litellm'
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise UsageError(
            "postgresql://: this URL cannot be taken apart; write postgresql://USER@HOST:PORT/DATABASE, with the "
            "password in PGPASSWORD or ~/.pgpass"
        ) from None
    asked = parse_qs(parts.query)
    host = parts.hostname or asked.get("host", [os.environ.get("PGHOST", "")])[0]
    place = port or asked.get("port", [os.environ.get("PGPORT", "")])[0]
    database = parts.path.strip("/") or os.environ.get("PGDATABASE", "")
    return f"postgresql://{host.replace('/', '%2F')}{f':{place}' if place else ''}/{database}"
