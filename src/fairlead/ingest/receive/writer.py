"""Many requests, one disk: what comes in while the disk is busy is made durable together with the next write."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from fairlead.serve.spool import Spool

__all__ = ["Writer"]


class Writer:
    """The only one that writes to the spool while the service runs."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._waiting: list[tuple[list[bytes], asyncio.Future[None]]] = []
        self._wake = asyncio.Event()
        self._closing = False
        self._task = asyncio.create_task(self._run())

    async def keep(self, documents: list[bytes]) -> None:
        """Return once the documents are durable; OSError when they are not."""
        kept: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((documents, kept))
        self._wake.set()
        await kept

    async def close(self) -> None:
        """Write what waits, and finish the file."""
        self._closing = True
        self._wake.set()
        await self._task

    async def _run(self) -> None:
        while not self._closing or self._waiting:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._spool.due()):
                    await self._wake.wait()
            self._wake.clear()
            if self._waiting:
                await self._write()
            if self._spool.due() == 0:
                await asyncio.to_thread(self._spool.finish)
        await asyncio.to_thread(self._spool.finish)

    async def _write(self) -> None:
        taken, self._waiting = self._waiting, []
        documents = [document for some, _ in taken for document in some]
        fault: OSError | None = None
        try:
            await asyncio.to_thread(self._spool.write, documents)
        except OSError as raised:
            fault = raised
        for _, kept in taken:
            if kept.cancelled():
                continue
            if fault is None:
                kept.set_result(None)
            else:
                kept.set_exception(fault)
