"""OTLP JSON in the OpenInference dialect: a document a request, a span a try, in one trace.

Names and ids are texts here and the messages stand in attributes of their own; the decision is told in the metadata.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from fairlead.evaluation.simulate.calls import Asked, Call
from fairlead.evaluation.simulate.writers.carries import Carries

__all__ = ["CARRIES", "write"]

CARRIES: Final = Carries()


def write(asked: Asked, calls: Sequence[Call]) -> Iterator[dict[str, Any]]:
    """Give the document of a request."""
    scope = {"scope": {"name": "openinference.simulated"}, "spans": [_span(asked, call) for call in calls]}
    yield {"resourceSpans": [{"resource": {"attributes": []}, "scopeSpans": [scope]}]}


def _span(asked: Asked, call: Call) -> dict[str, Any]:
    said: dict[str, Any] = {
        "openinference.span.kind": {"stringValue": "LLM"},
        "llm.model_name": {"stringValue": call.endpoint.model},
        "llm.provider": {"stringValue": call.endpoint.provider},
        "llm.invocation_parameters": _json({"stream": asked.stream}),
        "user.id": {"stringValue": asked.user},
        "tag.tags": {"arrayValue": {"values": [{"stringValue": f"route:{asked.route}"}]}},
        "metadata": _json({**asked.decision, "request_id": asked.trace_id, "team": asked.team}),
    }
    for place, one in enumerate(asked.messages):
        for name, text in one.items():
            said[f"llm.input_messages.{place}.message.{name}"] = {"stringValue": text}
    if call.ok:
        said |= {
            "llm.token_count.prompt": {"intValue": str(call.tokens_in)},
            "llm.token_count.completion": {"intValue": str(call.tokens_out)},
            "llm.token_count.total": {"intValue": str(call.tokens_in + call.tokens_out)},
            "llm.cost.total": {"doubleValue": call.cost},
        }
    failure = call.failure
    thrown = [] if failure is None else [{"key": "exception.type", "value": {"stringValue": failure.kind}}]
    ended = str(round(call.end * 1e6) * 1000)
    return {
        "traceId": asked.trace_id.replace("-", ""),
        "spanId": call.id.replace("-", "")[:16],
        "name": "completion",
        "kind": 1,
        "startTimeUnixNano": str(round(call.start * 1e6) * 1000),
        "endTimeUnixNano": ended,
        "attributes": [{"key": name, "value": value} for name, value in said.items()],
        "events": [{"name": "exception", "timeUnixNano": ended, "attributes": thrown}] if thrown else [],
        "status": {"code": 1 if call.ok else 2},
    }


def _json(value: Any) -> dict[str, str]:
    return {"stringValue": msgspec.json.encode(value).decode()}
