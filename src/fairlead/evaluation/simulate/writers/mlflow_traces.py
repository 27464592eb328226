"""MLflow traces as `Trace.to_dict` writes them: a trace a request, a CHAT_MODEL span a try.

Attributes are JSON in text. The decision is told in the trace's metadata, where a gateway's callback can put it.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from fairlead.evaluation.simulate.calls import ALIAS, Asked, Call, iso
from fairlead.evaluation.simulate.writers.carries import Carries

__all__ = ["CARRIES", "write"]

CARRIES: Final = Carries()


def write(asked: Asked, calls: Sequence[Call]) -> Iterator[dict[str, Any]]:
    """Give the trace of a request."""
    trace, ok = f"tr-{asked.trace_id.replace('-', '')}", calls[-1].ok
    yield {
        "info": {
            "trace_id": trace,
            "request_time": iso(calls[0].start, 3),
            "execution_duration_ms": round((calls[-1].end - calls[0].start) * 1000),
            "state": "OK" if ok else "ERROR",
            "trace_metadata": {
                "mlflow.trace_schema.version": "3",
                "mlflow.trace.user": asked.user,
                **{name: str(value) for name, value in asked.echoed.items()},
            },
            "tags": {"route": asked.route},
        },
        "data": {"spans": [_span(asked, call, trace) for call in calls]},
    }


def _span(asked: Asked, call: Call, trace: str) -> dict[str, Any]:
    said: dict[str, Any] = {
        "mlflow.traceRequestId": trace,
        "mlflow.spanType": "CHAT_MODEL",
        "mlflow.spanInputs": {"model": ALIAS, "messages": asked.messages, "stream": asked.stream},
        "mlflow.llm.model": call.endpoint.model,
        "mlflow.llm.provider": call.endpoint.provider,
    }
    if call.ok:
        counts = {"input_tokens": call.tokens_in, "output_tokens": call.tokens_out}
        said["mlflow.chat.tokenUsage"] = {**counts, "total_tokens": call.tokens_in + call.tokens_out}
        said["mlflow.llm.cost"] = {"total_cost": call.cost}
        said["mlflow.spanOutputs"] = {"id": f"chatcmpl-{call.id}", "choices": [{"finish_reason": "stop", "index": 0}]}
    failure, ended = call.failure, round(call.end * 1e6) * 1000
    thrown = [] if failure is None else [{"exception.type": failure.kind, "exception.message": failure.message}]
    return {
        "trace_id": base64.b64encode(bytes.fromhex(asked.trace_id.replace("-", ""))).decode(),
        "span_id": base64.b64encode(bytes.fromhex(call.id.replace("-", "")[:16])).decode(),
        "parent_span_id": None,
        "name": "Completions",
        "start_time_unix_nano": round(call.start * 1e6) * 1000,
        "end_time_unix_nano": ended,
        "events": [{"name": "exception", "time_unix_nano": ended, "attributes": one} for one in thrown],
        "status": {"code": "STATUS_CODE_OK" if call.ok else "STATUS_CODE_ERROR", "message": ""},
        "attributes": {name: msgspec.json.encode(value).decode() for name, value in said.items()},
        "links": [],
    }
