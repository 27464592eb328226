"""Which path does what: the one table that the application, its guard and its OpenAPI document read."""

from __future__ import annotations

from typing import Any, Final, Literal

from msgspec import Struct

from fairlead.serve import bodies
from fairlead.serve.shadow import Comparison

__all__ = ["ROUTES", "Route"]


class Route(Struct, frozen=True, kw_only=True):
    """One path: who may call it (`scope`, None: anybody), what it takes and what it gives."""

    path: str
    name: str
    summary: str
    method: Literal["GET", "POST"] = "GET"
    scope: Literal["decide", "read", "forward"] | None = "read"
    takes: Any = None
    gives: Any = None
    content_type: str = "application/json"
    refusals: tuple[int, ...] = ()


_BODY: Final = (400, 408, 413, 415, 503)

ROUTES: Final = (
    Route(
        path="/v1/decide",
        name="decide",
        method="POST",
        scope="decide",
        summary="Choose an endpoint for a request.",
        takes=bodies.Ask,
        gives=bodies.Answer,
        refusals=_BODY,
    ),
    Route(
        path="/v1/decide/batch",
        name="decide_batch",
        method="POST",
        scope="decide",
        summary=f"Choose endpoints for up to {bodies.MOST} requests.",
        takes=bodies.Asks,
        gives=bodies.Answers,
        refusals=_BODY,
    ),
    Route(
        path="/v1/observe",
        name="observe",
        method="POST",
        scope="decide",
        summary="Say how a call ended; live state, budget and learning policies follow it.",
        takes=bodies.Told,
        gives=bodies.Taken,
        refusals=_BODY,
    ),
    Route(
        path="/v1/feedback",
        name="feedback",
        method="POST",
        scope="decide",
        summary="Say something of a request's quality; kept for the next ingest before it is answered.",
        takes=bodies.Opinion,
        gives=bodies.Taken,
        refusals=(*_BODY, 404),
    ),
    Route(path="/v1/endpoints", name="endpoints", summary="The endpoints and how they do.", gives=bodies.Endpoints),
    Route(path="/v1/snapshot", name="snapshot", summary="What decides now.", gives=bodies.InUse),
    Route(
        path="/v1/shadow",
        name="shadow",
        summary="In shadow mode: decisions beside what the gateway did.",
        gives=Comparison,
        refusals=(404,),
    ),
    Route(
        path="/v1/stream",
        name="stream",
        summary="Decisions and endpoints' health as server-sent events; the same over a WebSocket.",
        content_type="text/event-stream",
        refusals=(503,),
    ),
    Route(
        path="/routing/v1/chat/completions",
        name="plano",
        method="POST",
        scope="decide",
        summary="Plano's routing API: models in the order to try them, for an OpenAI chat completion.",
        takes=dict[str, Any],
        gives=dict[str, Any],
        refusals=_BODY,
    ),
    Route(
        path="/v1/chat/completions",
        name="chat",
        method="POST",
        scope="forward",
        summary="OpenAI's API: with model auto, decides and forwards; streams if asked to.",
        takes=dict[str, Any],
        gives=dict[str, Any],
        refusals=(*_BODY, 404, 422, 502),
    ),
    Route(path="/openapi.json", name="openapi", scope=None, summary="This document.", gives=dict[str, Any]),
    Route(path="/healthz", name="healthz", scope=None, summary="Whether the process answers.", gives=dict[str, Any]),
    Route(
        path="/readyz",
        name="readyz",
        scope=None,
        summary="Whether to send traffic here: 503 while it drains.",
        gives=dict[str, Any],
        refusals=(503,),
    ),
    Route(
        path="/metrics",
        name="metrics",
        summary="Counters and gauges for Prometheus.",
        content_type="text/plain; version=0.0.4; charset=utf-8",
    ),
)
