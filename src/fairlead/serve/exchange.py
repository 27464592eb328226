"""Live state shared across machines through Redis: in the background, and never waited for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from importlib import resources
from typing import TYPE_CHECKING, Any, Final, Protocol

from fairlead.errors import UsageError
from fairlead.scoring.live import Live
from fairlead.scoring.live.wire import Peer, shifted, unpack

if TYPE_CHECKING:
    import redis

__all__ = ["BUDGET_S", "Client", "Exchange", "connect"]

BUDGET_S: Final = 0.02
KEEP_S: Final = 2.0  # how long what a worker told counts
_SCRIPT: Final = resources.files(__package__).joinpath("exchange.lua").read_text(encoding="utf-8")


class Client(Protocol):
    """What the exchange needs of a Redis client."""

    def eval(self, script: str, numkeys: int, *keys_and_args: Any) -> Any:
        """Run a script on the server."""
        ...


class Exchange:
    """Tells Redis every `interval_s` what this worker knows, and hears what the others told.

    A decision never waits for it: it runs in a thread of its own, and `live` reads what it left. An exchange that
    fails or takes longer than `budget_s` leaves the local view and pauses for `pause_s`. Ages are taken from the
    server's clock, so machines need not agree on the time.

    >>> class Nobody:
    ...     def eval(self, script, numkeys, *keys_and_args):
    ...         raise ConnectionError("nobody there")
    >>> exchange = Exchange(Live(["a"]), Nobody())
    >>> exchange.step(), exchange.failure
    (False, 'ConnectionError: nobody there')
    """

    def __init__(
        self,
        live: Live,
        client: Client,
        *,
        group: str = "default",
        interval_s: float = 0.1,
        budget_s: float = BUDGET_S,
        pause_s: float = 1.0,
    ) -> None:
        self._live, self._client = live, client
        self._key = f"fairlead:live:1:{group}"
        self._interval_s, self._budget_s, self._pause_s = interval_s, budget_s, pause_s
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self.failure: str | None = None  # why the view is the local one
        self.refused = 0  # messages in Redis that no worker can have written

    def start(self) -> Exchange:
        """Begin to exchange. In a forked worker: after the fork, since threads do not survive it."""
        self._thread = threading.Thread(target=self._run, name="fairlead-exchange", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """End the exchange; the others forget this worker within two seconds."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def step(self, clock: Callable[[], float] = time.perf_counter) -> bool:
        """Exchange once; False where the view is the local one afterwards."""
        began = clock()
        try:
            told = self._live.share()
            reply = self._client.eval(_SCRIPT, 1, self._key, f"{self._live.node:x}", told, int(KEEP_S * 1000))
            took_s = clock() - began
            if took_s > self._budget_s:
                raise TimeoutError(f"took {took_s * 1000:.0f} ms of {self._budget_s * 1000:.0f}")
            self._live.hear(self._peers(reply))
        except Exception as fault:  # whatever a client raises, the thread goes on and the view is local
            self._live.hear(())
            self.failure = f"{type(fault).__name__}: {fault}"
            return False
        self.failure = None
        return True

    def _run(self) -> None:
        while not self._stopped.wait(self._interval_s if self.step() else self._pause_s):
            pass

    def _peers(self, reply: list[tuple[int, bytes]]) -> list[Peer]:
        now = self._live.now()
        read = [(int(age_ms) / 1000, unpack(told)) for age_ms, told in reply]
        self.refused += sum(peer is None for _, peer in read)
        return [shifted(peer, now - age_s - peer.now) for age_s, peer in read if peer is not None]


def connect(url: str, budget_s: float = BUDGET_S) -> redis.Redis:
    """Give a client that gives up in time: redis-py's own settings wait a minute for a server that hangs.

    `url` is redis://, rediss:// or unix://. Nothing is sent before the first exchange.
    """
    try:
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry
    except ImportError:
        raise UsageError("live state is shared across machines with redis: pip install 'fairlead[redis]'") from None
    try:
        return redis.Redis.from_url(
            url,
            socket_timeout=budget_s,
            socket_connect_timeout=budget_s,
            retry=Retry(NoBackoff(), 0),
            health_check_interval=0,
        )
    except ValueError as fault:
        raise UsageError(f"the address of Redis: {fault}") from fault
