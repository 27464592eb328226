"""What each path does with a call; the names are those of `routes`."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from msgspec import json

from fairlead.serve import metrics, openapi, plano
from fairlead.serve.bodies import Answers, Asks, Opinion, Taken, Told
from fairlead.serve.control import Control
from fairlead.serve.forward import Forward
from fairlead.serve.http import Call, Reply
from fairlead.serve.refusals import RefusedError, decoded
from fairlead.serve.upstreams import read as read_upstreams

if TYPE_CHECKING:
    from fairlead.serve.app import App

__all__ = ["Handlers"]

_TEXT: Final = b"text/plain; version=0.0.4; charset=utf-8"


class Handlers:
    """One coroutine a route."""

    def __init__(self, app: App, upstreams: str | None, others: Callable[[], Any] | None) -> None:
        self._app, self._service = app, app.service
        self._others = others  # gives what the other workers have counted
        self._asks, self._told, self._opinion = json.Decoder(Asks), json.Decoder(Told), json.Decoder(Opinion)
        self._plano, self._control = plano.Plano(app.gather), Control(app.guard, app.published)
        self._forward = None
        if upstreams is not None:
            self._forward = Forward(self._service, app.gather, read_upstreams(upstreams), app.limits)

    async def start(self) -> None:
        """Open what needs an event loop."""
        if self._forward is not None:
            await self._forward.start()

    async def stop(self) -> None:
        """Close it."""
        if self._forward is not None:
            await self._forward.stop()

    async def decide(self, call: Call) -> Reply:
        """Decide one request, together with those that come at the same time."""
        ask = decoded(self._app.asks_one, call.body)
        call.principal.check(ask.route, ask.team)
        return _json(await self._app.gather.ask(ask))

    async def decide_batch(self, call: Call) -> Reply:
        """Decide several requests."""
        if not self._app.gather.has_room:
            raise RefusedError("overloaded")
        asked = decoded(self._asks, call.body).requests
        for one in asked:
            call.principal.check(one.route, one.team)
        return _json(Answers(decisions=self._service.decide(asked)))

    async def observe(self, call: Call) -> Reply:
        """Take in an outcome."""
        self._service.observe(decoded(self._told, call.body))
        return _json(Taken())

    async def feedback(self, call: Call) -> Reply:
        """Keep feedback; answered when it is durable."""
        recorder = self._app.recorder
        opinion = decoded(self._opinion, call.body)
        if recorder is None:
            raise RefusedError("no_spool")
        own_id = uuid.uuid4().hex
        await recorder.feedback(own_id, opinion)
        return _json(Taken(id=own_id))

    async def endpoints(self, call: Call) -> Reply:
        """Give the endpoints."""
        return _json(self._service.endpoints())

    async def snapshot(self, call: Call) -> Reply:
        """Say what decides."""
        return _json(self._service.in_use())

    async def shadow(self, call: Call) -> Reply:
        """Compare with what the gateway did."""
        if self._service.shadow is None:
            raise RefusedError("no_shadow")
        return _json(self._service.shadow.result())

    async def stream(self, call: Call) -> Reply:
        """Begin a stream."""
        return Reply(body=self._app.hub.sse(), content_type=b"text/event-stream")

    async def plano(self, call: Call) -> Reply:
        """Answer as Plano's routing API does."""
        return Reply(body=await self._plano.answer(call))

    async def chat(self, call: Call) -> Reply:
        """Decide and forward a chat completion."""
        if self._forward is None:
            raise RefusedError("no_upstream")
        return await self._forward.answer(call)

    async def step_up(self, call: Call) -> Reply:
        """Take a one-time code."""
        return await self._control.step_up(call)

    async def promote(self, call: Call) -> Reply:
        """Let the candidate take its place."""
        return await self._control.promote(call)

    async def rollback(self, call: Call) -> Reply:
        """Put the last good snapshot back."""
        return await self._control.roll_back(call)

    async def openapi(self, call: Call) -> Reply:
        """Give the OpenAPI document."""
        return Reply(body=openapi.document())

    async def healthz(self, call: Call) -> Reply:
        """Say that the process answers."""
        return _json({"status": "ok"})

    async def readyz(self, call: Call) -> Reply:
        """Say whether to send traffic here; a worker whose newest snapshot was refused still decides.

        Why it was refused names files, so that is told by /v1/snapshot, to those who may read.
        """
        if self._app.draining:
            raise RefusedError("draining")
        status = self._service.router.status()
        return _json({"status": "ok", "snapshot_version": status.version, "stale": status.refused is not None})

    async def metrics(self, call: Call) -> Reply:
        """Give counters and gauges."""
        counted = self._service.metrics.counts
        counts = metrics.added([counted, *self._others()]) if self._others is not None else counted
        return Reply(body=metrics.text(counts, self._gauges()), content_type=_TEXT)

    def _gauges(self) -> list[tuple[str, str, dict[str, str], float]]:
        status = self._service.router.status()
        told: list[tuple[str, str, dict[str, str], float]] = [
            ("fairlead_snapshot_version", "Version of the snapshot in use.", {}, status.version),
            (
                "fairlead_snapshot_refused",
                "1 where the newest snapshot is not the one in use.",
                {},
                bool(status.refused),
            ),
            ("fairlead_faults", "Decisions that failed inside this worker and were answered.", {}, status.faults),
            ("fairlead_waiting", "Requests that wait for their decision.", {}, self._app.gather.waiting),
            ("fairlead_draining", "1 while this worker ends.", {}, self._app.draining),
        ]
        states = self._service.endpoints().endpoints
        budget = self._service.router.budget
        if budget is not None:
            told += [
                ("fairlead_budget_pace", "By what a price of money is multiplied now.", {}, budget.pace),
                ("fairlead_budget_spent_usd", "Dollars this worker was told of, this month.", {}, budget.spent_usd),
            ]
        told += [(name, help_, {}, value) for name, help_, value in self._app.guard.gauges()]
        for name, help_, field in _OF_ENDPOINT:
            for one in states:
                value = getattr(one, field)
                if value is not None:
                    told.append((name, help_, {"endpoint": one.endpoint}, float(value)))
        return told


_OF_ENDPOINT: Final = (
    ("fairlead_endpoint_available", "0 while an endpoint is ejected or asked to wait.", "available"),
    ("fairlead_endpoint_in_flight", "Calls that have begun and not ended.", "in_flight"),
    ("fairlead_endpoint_error_share", "Decayed share of calls that failed.", "error_share"),
    ("fairlead_endpoint_latency_seconds", "Peak-sensitive moving average of latency.", "latency_s"),
    ("fairlead_endpoint_headroom_share", "Share of the rate limit that is left.", "headroom"),
)


def _json(value: Any) -> Reply:
    return Reply(body=json.encode(value))
