"""Chat completions that are decided here and forwarded: the next endpoint is asked where one fails."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import msgspec
from msgspec import structs

from fairlead.scoring.outcome import Outcome
from fairlead.scoring.request import Request
from fairlead.serve import chat, web
from fairlead.serve.bodies import Answer, Ask
from fairlead.serve.gather import Gather
from fairlead.serve.http import Call, Reply
from fairlead.serve.refusals import RefusedError
from fairlead.serve.service import Service
from fairlead.serve.settings import Limits
from fairlead.serve.upstreams import Upstream
from fairlead.serve.usage import Usage

__all__ = ["Forward"]

_CLASSES: Final = {401: "auth", 403: "auth", 408: "timeout", 429: "rate_limit"}
_AGAIN: Final = frozenset((401, 403, 404, 408, 429, 500, 502, 503, 504, 529))  # another endpoint may do better


class Forward:
    """Decides, asks the upstream of the chosen endpoint, streams its answer through, and tells how it ended.

    An upstream that fails before its answer begins is followed by the next by rank. What the caller sent goes on as it
    is, but for the model's name; the caller's own key does not.
    """

    def __init__(self, service: Service, gather: Gather, upstreams: Mapping[str, Upstream], limits: Limits) -> None:
        self._service, self._gather = service, gather
        self._upstreams, self._limits = upstreams, limits
        self._web: web.Web | None = None

    async def start(self) -> None:
        """Open the connections' pool."""
        self._web = web.Web(self._limits.upstream_s)

    async def stop(self) -> None:
        """Close it."""
        if self._web is not None:
            await self._web.close()

    async def answer(self, call: Call) -> Reply:
        """Answer a chat completion."""
        sent = chat.fields(call.body)
        request = chat.request_of(call, sent)
        model = chat.value(sent, "model")
        if not chat.wants_choice(model) and (not isinstance(model, str) or model not in self._upstreams):
            raise RefusedError("unknown_model", "$.model")
        allowed = tuple(self._upstreams) if chat.wants_choice(model) else (model,)
        ask = Ask(**{**structs.asdict(request), "endpoints": allowed, "want": ("ranked",)})
        answer = await self._gather.ask(ask)
        last: Reply | None = None
        for endpoint in self._order(answer)[: self._limits.attempts]:
            last = await self._try(endpoint, sent, request, answer)
            if last is not None and last.status not in _AGAIN:
                return last
        if last is not None:
            return last  # what the last of them said, a 429 with its Retry-After for one
        raise RefusedError("upstream_failed" if self._order(answer) else "no_eligible")

    def _order(self, answer: Answer) -> list[str]:
        """Give the chosen endpoint, then the others by rank."""
        # In shadow mode the choice is not followed: the gateway's model is all that is allowed, or the best of all.
        first = answer.would if self._service.shadow is not None else answer.endpoint
        ranked = [one.endpoint for one in answer.ranked or ()]
        order = [*([first] if first else []), *(name for name in ranked if name != first)]
        return [name for name in order if name in self._upstreams]

    async def _try(self, endpoint: str, sent: dict[str, msgspec.Raw], request: Request, answer: Answer) -> Reply | None:
        """Ask one upstream; None where it could not be reached."""
        assert self._web is not None  # noqa: S101  the server has started
        upstream = self._upstreams[endpoint]
        body = msgspec.json.encode({**sent, "model": upstream.named(endpoint)})
        began = time.perf_counter()
        attempt = _Attempt(self._service, endpoint, request.id, began)
        try:
            found = await self._web.post(f"{upstream.url.rstrip('/')}/chat/completions", body, upstream.key())
        except web.UnreachableError as fault:
            attempt.ended("error", "timeout" if fault.is_timeout else "network")
            return None
        headers = (
            (b"x-fairlead-endpoint", endpoint.encode("ascii", "replace")),
            (b"x-fairlead-decision", answer.id.encode()),
            (b"x-fairlead-propensity", f"{answer.propensity:.17g}".encode()),
            *((name.encode(), value.encode("latin-1")) for name, value in found.kept_headers()),
        )
        if found.status in _AGAIN:
            text = await found.read(1 << 20)
            attempt.ended("error", _CLASSES.get(found.status, "server"), retry_after_s=found.retry_after_s)
            return Reply(body=text, status=found.status, content_type=found.content_type, headers=headers)
        body_parts = attempt.through(found)
        return Reply(body=body_parts, status=found.status, content_type=found.content_type, headers=headers)


class _Attempt:
    """One call of an upstream: tells its outcome once, however it ends."""

    def __init__(self, service: Service, endpoint: str, request_id: str, began: float) -> None:
        self._service, self._endpoint, self._id, self._began = service, endpoint, request_id, began
        self._first_s: float | None = None

    def ended(self, status: Any, error_class: str | None = None, **more: Any) -> None:
        outcome = Outcome(
            endpoint=self._endpoint,
            request_id=self._id,
            status=status,
            error_class=error_class,
            duration_s=time.perf_counter() - self._began,
            time_to_first_chunk_s=self._first_s,
            **more,
        )
        self._service.observe(outcome)
        self._service.metrics.add("fairlead_forwarded_total", self._endpoint, status)

    async def through(self, found: web.Found) -> AsyncIterator[bytes]:
        """Give the answer's parts as they come, and read what was used from them."""
        usage, ended = Usage(), False
        try:
            async for part in found.parts():
                if self._first_s is None:
                    self._first_s = time.perf_counter() - self._began
                usage.feed(part)
                yield part
            ended = True
            is_ok = found.status < 400
            self.ended("ok" if is_ok else "error", None if is_ok else "invalid_request", **usage.tokens())
        except web.UnreachableError as fault:
            ended = True
            self.ended("error", "timeout" if fault.is_timeout else "network")
        finally:
            if not ended:
                self.ended("cancelled", "cancelled")
            await found.close()
