"""Which path does what: the one table that the application, its guard and its OpenAPI document read."""

from __future__ import annotations

from typing import Any, Final, Literal

from msgspec import Struct

from fairlead.serve import bodies
from fairlead.serve.shadow import Comparison

__all__ = ["ROLES", "ROUTES", "Route"]

ROLES: Final = ("gateway", "analyst", "operator", "admin")
# A role does its own work and no more: an admin hands out keys, and does not route with them.
_GATEWAY: Final = frozenset(["gateway"])
_PEOPLE: Final = frozenset(["analyst", "operator", "admin"])
_OPERATORS: Final = frozenset(["operator", "admin"])


class Route(Struct, frozen=True, kw_only=True):
    """One path: who may call it (`roles`, None: anybody), what it takes and what it gives.

    `action` names a dangerous one: it needs a one-time code, and is recorded before it is done.
    """

    path: str
    name: str
    summary: str
    method: Literal["GET", "POST"] = "GET"
    roles: frozenset[str] | None
    action: str | None = None
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
        roles=_GATEWAY,
        summary="Choose an endpoint for a request.",
        takes=bodies.Ask,
        gives=bodies.Answer,
        refusals=_BODY,
    ),
    Route(
        path="/v1/decide/batch",
        name="decide_batch",
        method="POST",
        roles=_GATEWAY,
        summary=f"Choose endpoints for up to {bodies.MOST} requests.",
        takes=bodies.Asks,
        gives=bodies.Answers,
        refusals=_BODY,
    ),
    Route(
        path="/v1/observe",
        name="observe",
        method="POST",
        roles=_GATEWAY,
        summary="Say how a call ended; live state, budget and learning policies follow it.",
        takes=bodies.Told,
        gives=bodies.Taken,
        refusals=_BODY,
    ),
    Route(
        path="/v1/feedback",
        name="feedback",
        method="POST",
        roles=frozenset(["gateway", "analyst"]),
        summary="Say something of a request's quality; kept for the next ingest before it is answered.",
        takes=bodies.Opinion,
        gives=bodies.Taken,
        refusals=(*_BODY, 404),
    ),
    Route(
        path="/v1/endpoints",
        name="endpoints",
        roles=_GATEWAY | _PEOPLE,
        summary="The endpoints and how they do.",
        gives=bodies.Endpoints,
    ),
    Route(
        path="/v1/snapshot",
        name="snapshot",
        roles=_GATEWAY | _PEOPLE,
        summary="What decides now.",
        gives=bodies.InUse,
    ),
    Route(
        path="/v1/shadow",
        name="shadow",
        roles=_PEOPLE,
        summary="In shadow mode: decisions beside what the gateway did.",
        gives=Comparison,
        refusals=(404,),
    ),
    Route(
        path="/v1/stream",
        name="stream",
        roles=_PEOPLE,
        summary="Decisions and endpoints' health as server-sent events; the same over a WebSocket.",
        content_type="text/event-stream",
        refusals=(503,),
    ),
    Route(
        path="/routing/v1/chat/completions",
        name="plano",
        method="POST",
        roles=_GATEWAY,
        summary="Plano's routing API: models in the order to try them, for an OpenAI chat completion.",
        takes=dict[str, Any],
        gives=dict[str, Any],
        refusals=_BODY,
    ),
    Route(
        path="/v1/chat/completions",
        name="chat",
        method="POST",
        roles=_GATEWAY,
        summary="OpenAI's API: with model auto, decides and forwards; streams if asked to.",
        takes=dict[str, Any],
        gives=dict[str, Any],
        refusals=(*_BODY, 404, 422, 502),
    ),
    Route(
        path="/v1/admin/step-up",
        name="step_up",
        method="POST",
        roles=_OPERATORS,
        summary="Give a one-time code; get a token for one dangerous action, good for five minutes.",
        takes=bodies.Code,
        gives=bodies.Token,
        refusals=_BODY,
    ),
    Route(
        path="/v1/admin/promote",
        name="promote",
        method="POST",
        roles=_OPERATORS,
        action="promote",
        summary="Let the candidate that the gates allowed take the place of the snapshot in use.",
        takes=bodies.Promotion,
        gives=bodies.Swapped,
        refusals=(*_BODY, 409),
    ),
    Route(
        path="/v1/admin/rollback",
        name="rollback",
        method="POST",
        roles=_OPERATORS,
        action="rollback",
        summary="Put the last good snapshot back; the one in use is kept as withdrawn.",
        takes=bodies.Reason,
        gives=bodies.Swapped,
        refusals=(*_BODY, 409),
    ),
    Route(path="/openapi.json", name="openapi", roles=None, summary="This document.", gives=dict[str, Any]),
    Route(path="/healthz", name="healthz", roles=None, summary="Whether the process answers.", gives=dict[str, Any]),
    Route(
        path="/readyz",
        name="readyz",
        roles=None,
        summary="Whether to send traffic here: 503 while it drains.",
        gives=dict[str, Any],
        refusals=(503,),
    ),
    Route(
        path="/metrics",
        name="metrics",
        roles=_PEOPLE,
        summary="Counters and gauges for Prometheus.",
        content_type="text/plain; version=0.0.4; charset=utf-8",
    ),
)
