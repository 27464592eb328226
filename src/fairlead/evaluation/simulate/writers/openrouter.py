"""OpenRouter: a generation record a request, with each provider that it tried. Times are milliseconds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from fairlead.evaluation.simulate.calls import Asked, Call, iso
from fairlead.evaluation.simulate.writers.carries import Carries

__all__ = ["CARRIES", "write"]

CARRIES: Final = Carries(prompt=False)


def write(asked: Asked, calls: Sequence[Call]) -> Iterator[dict[str, Any]]:
    """Give the record of a request."""
    last, begun = calls[-1], calls[0].start
    model = f"{last.endpoint.provider}/{last.endpoint.model}"
    yield {
        "id": f"gen-{last.id}",
        "api_type": "completions",
        "app_id": 1,
        "cache_discount": None,
        "cancelled": False,
        "created_at": iso(begun, 6, zone="+00:00"),
        "data_region": "global",
        "external_user": asked.end_user,
        "finish_reason": "stop" if last.ok else "error",
        "generation_time": round(last.took_s * 1000, 3),
        "is_byok": False,
        "latency": round((last.end - begun) * 1000, 3),
        "model": model,
        "native_tokens_cached": 0,
        "native_tokens_completion": last.tokens_out,
        "native_tokens_prompt": last.tokens_in,
        "native_tokens_reasoning": 0,
        "provider_name": last.endpoint.provider,
        "provider_responses": [
            {
                "endpoint_id": call.endpoint.name,
                "id": call.id,
                "is_byok": False,
                "latency": round(call.took_s * 1000, 3),
                "model_permaslug": f"{call.endpoint.provider}/{call.endpoint.model}",
                "provider_name": call.endpoint.provider,
                "status": call.status,
            }
            for call in calls
        ],
        "request_id": asked.trace_id,
        "router": None,
        "session_id": None,
        "streamed": asked.stream,
        "tokens_completion": last.tokens_out,
        "tokens_prompt": last.tokens_in,
        "total_cost": last.cost,
        "trace": {**asked.echoed, "route": asked.route, "team": asked.team},
        "upstream_id": last.id,
        "usage": last.cost,
    }
