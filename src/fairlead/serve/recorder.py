"""Decisions and feedback on their way to `fairlead ingest`: written beside the answers, never in their way."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from fairlead.scoring.decision import Decision
from fairlead.scoring.request import Request
from fairlead.serve.bodies import Opinion
from fairlead.serve.metrics import Metrics
from fairlead.serve.refusals import RefusedError
from fairlead.serve.spool import Sizes, Spool

__all__ = ["Recorder"]

_WAITING: Final = 50_000  # decisions that wait to be written; more are dropped, and counted
_OPINIONS: Final = 10_000
_EVERY_S: Final = 0.25

_Batch = tuple[float, Sequence[Request], Sequence[Decision]]


class Recorder:
    """A thread that writes JSON lines to a folder, synced in batches.

    A decision is never held up: where the disk is full or too slow, its record is dropped and counted. Feedback is
    acknowledged when it is durable, and refused with spool_full where that cannot be had. Records hold no text.
    """

    def __init__(self, folder: Path, metrics: Metrics, sizes: Sizes | None = None) -> None:
        self._spool = Spool(folder, sizes or Sizes(total_bytes=1 << 30), "fairlead")
        self._metrics = metrics
        self._decided: deque[_Batch] = deque()
        self._held = 0
        self._opinions: deque[tuple[bytes, Callable[[bool], None]]] = deque()
        self._wake, self._ended = threading.Event(), threading.Event()
        self._encoder = msgspec.json.Encoder()
        self._thread = threading.Thread(target=self._run, name="fairlead-recorder", daemon=True)
        self._thread.start()

    def __call__(self, asked: Sequence[Request], decisions: Sequence[Decision]) -> None:
        """Take in decisions."""
        if self._held + len(decisions) > _WAITING:
            self._count("dropped", len(decisions))
            return
        self._held += len(decisions)
        self._decided.append((time.time(), asked, decisions))

    async def feedback(self, own_id: str, opinion: Opinion) -> None:
        """Keep feedback; RefusedError when it cannot be made durable now."""
        loop = asyncio.get_running_loop()
        kept: asyncio.Future[bool] = loop.create_future()

        def done(is_kept: bool) -> None:
            def tell() -> None:
                if not kept.done():
                    kept.set_result(is_kept)

            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(tell)

        if len(self._opinions) >= _OPINIONS or self._ended.is_set():
            raise RefusedError("spool_full")
        said = msgspec.to_builtins(opinion)
        record = {"fairlead": "feedback", "id": own_id, "time": _moment(time.time()), **said}
        self._opinions.append((self._encoder.encode(record) + b"\n", done))
        self._wake.set()
        if not await kept:
            raise RefusedError("spool_full")

    def close(self) -> None:
        """Write what waits, and finish the file."""
        self._ended.set()
        self._wake.set()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        while not self._ended.is_set():
            self._wake.wait(_EVERY_S)
            self._wake.clear()
            self._write()
        self._write()
        with suppress(OSError):
            self._spool.finish()

    def _write(self) -> None:
        opinions = [self._opinions.popleft() for _ in range(len(self._opinions))]
        batches = [self._decided.popleft() for _ in range(len(self._decided))]
        lines = [line for line, _ in opinions]
        try:
            lines += [line for batch in batches for line in self._lines(*batch)]
            kept = not self._spool.full()
            if lines and kept:
                self._spool.write(lines)
            if self._spool.due() == 0:
                self._spool.finish()
        except OSError:
            kept = False
        self._held -= sum(len(decisions) for _, _, decisions in batches)
        if lines:
            self._count("kept" if kept else "dropped", len(lines))
        for _, done in opinions:
            done(kept)

    def _lines(self, at: float, asked: Sequence[Request], decisions: Sequence[Decision]) -> list[bytes]:
        moment = _moment(at)
        return [
            self._encoder.encode(_record(moment, ask, decision)) + b"\n"
            for ask, decision in zip(asked, decisions, strict=True)
            if decision.endpoint is not None
        ]

    def _count(self, outcome: str, more: int) -> None:
        self._metrics.add("fairlead_spool_records_total", outcome, more=more)


def _record(moment: str, ask: Request, decision: Decision) -> dict[str, Any]:
    seen = decision.candidates
    # What could not have been drawn has the probability 0, and is left out.
    candidates = [
        {
            "arm": seen.endpoints[at],
            "propensity": chance,
            "predicted_cost_usd": float(seen.cost_usd[0, at]),  # NaN becomes null
            "predicted_duration_s": float(seen.latency_s[0, at]),
            "predicted_quality": float(seen.quality[0, at]),
        }
        for at, chance in enumerate(decision.chances)
        if chance > 0
    ]
    return {
        "fairlead": "decision",
        "time": moment,
        "decision_id": decision.id,
        "request_id": decision.request_id,
        "endpoint": decision.endpoint,
        "propensity": decision.propensity,
        "policy_id": decision.policy,
        "policy_version": f"{decision.snapshot_version}+{decision.snapshot_sha256[:16]}",
        "is_exploration": decision.is_exploration,
        "kind": decision.kind,
        "route": ask.route,
        "team": ask.team,
        "chosen": getattr(ask, "chosen", None),
        "candidates": candidates,
    }


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()
