"""OTLP JSON with the OpenTelemetry GenAI conventions: a document a request, a span a try, in one trace.

The conventions have no cost and no decision: the cost is the attribute that vendors add, the decision fairlead's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from fairlead.evaluation.simulate.calls import ALIAS, Asked, Call
from fairlead.evaluation.simulate.writers.carries import Carries

__all__ = ["CARRIES", "write"]

CARRIES: Final = Carries()


def write(asked: Asked, calls: Sequence[Call]) -> Iterator[dict[str, Any]]:
    """Give the document of a request."""
    resource = {"service.name": "simulated-gateway", "deployment.environment.name": "prod"}
    scope = {"scope": {"name": "fairlead.simulate"}, "spans": [_span(asked, call) for call in calls]}
    yield {"resourceSpans": [{"resource": {"attributes": _attributes(resource)}, "scopeSpans": [scope]}]}


def _span(asked: Asked, call: Call) -> dict[str, Any]:
    said: dict[str, Any] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": call.endpoint.provider,
        "gen_ai.request.model": ALIAS,
        "gen_ai.request.stream": asked.stream,
        "gen_ai.input.messages": _messages(asked),
        "user.id": asked.user,
        "tag.route": asked.route,
        **{f"fairlead.{name}": value for name, value in asked.echoed.items()},
    }
    said["gen_ai.response.model"] = call.endpoint.model
    if call.failure is None:
        said |= {
            "gen_ai.response.id": f"chatcmpl-{call.id}",
            "gen_ai.response.finish_reasons": ["stop"],
            "gen_ai.usage.input_tokens": call.tokens_in,
            "gen_ai.usage.output_tokens": call.tokens_out,
            "gen_ai.usage.cost": call.cost,
        }
        if call.ttft_s is not None:
            said["gen_ai.response.time_to_first_chunk"] = round(call.ttft_s, 6)
    else:
        said |= {"error.type": call.failure.kind, "http.response.status_code": call.status}
    return {
        "traceId": asked.trace_id.replace("-", ""),
        "spanId": call.id.replace("-", "")[:16],
        "name": f"chat {ALIAS}",
        "kind": 3,
        "startTimeUnixNano": str(round(call.start * 1e6) * 1000),
        "endTimeUnixNano": str(round(call.end * 1e6) * 1000),
        "attributes": _attributes(said),
        "status": {} if call.ok else {"code": 2},
    }


def _messages(asked: Asked) -> str:
    """Give the messages as the conventions have them, for who opted into content."""
    parts = [{"role": one["role"], "parts": [{"type": "text", "content": one["content"]}]} for one in asked.messages]
    return msgspec.json.encode(parts).decode()


def _attributes(said: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": name, "value": _value(value)} for name, value in said.items()]


def _value(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, list):
        return {"arrayValue": {"values": [_value(one) for one in value]}}
    return {"stringValue": value}
