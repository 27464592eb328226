"""Asynchronous work from plain code, whether or not the caller has an event loop of its own (notebooks do)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

__all__ = ["Wait", "loop"]

Result = TypeVar("Result")


class Wait(Protocol):
    """Runs a coroutine to its end."""

    def __call__(self, work: Coroutine[Any, Any, Result], /) -> Result:
        """Give what the coroutine gives, or raise what it raises."""


@contextmanager
def loop() -> Iterator[Wait]:
    """Run an event loop in a thread of its own; give what hands it work and waits for it."""
    own = asyncio.new_event_loop()
    thread = threading.Thread(target=own.run_forever, name="fairlead-io", daemon=True)
    thread.start()

    def wait(work: Coroutine[Any, Any, Result], /) -> Result:
        waiting = asyncio.run_coroutine_threadsafe(work, own)
        try:
            return waiting.result()
        except BaseException:
            waiting.cancel()  # the caller was interrupted
            raise

    try:
        yield wait
    finally:
        own.call_soon_threadsafe(own.stop)
        thread.join()
        own.close()
