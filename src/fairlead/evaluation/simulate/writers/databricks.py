"""Databricks: rows of system.ai_gateway.usage, one a request, with the tries of it as its routing information.

It keeps no cost, and names every provider behind it as its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from fairlead.evaluation.simulate.calls import ALIAS, Asked, Call, iso
from fairlead.evaluation.simulate.writers.carries import Carries

__all__ = ["CARRIES", "write"]

CARRIES: Final = Carries(cost=False, endpoint=False, prompt=False)
_ACTIONS: Final = ("INITIAL_ATTEMPT", "RETRY", "FALLBACK")


def write(asked: Asked, calls: Sequence[Call]) -> Iterator[dict[str, Any]]:
    """Give the row of a request."""
    last = calls[-1]
    yield {
        "event_time": iso(calls[0].start),
        "request_id": asked.trace_id,
        "account_id": "simulated",
        "workspace_id": "1",
        "endpoint_name": ALIAS,
        "requester": asked.user,
        "destination_name": last.endpoint.name,
        "destination_model": last.endpoint.model,
        "status_code": last.status,
        "input_tokens": last.tokens_in,
        "output_tokens": last.tokens_out,
        "total_tokens": last.tokens_in + last.tokens_out,
        "latency_ms": round(last.took_s * 1000),
        "time_to_first_byte_ms": round((last.ttft_s or last.took_s) * 1000),
        "request_tags": {name: str(value) for name, value in asked.echoed.items()} | {"route": asked.route},
        "routing_information": {
            "attempts": [
                {
                    "action": _ACTIONS[call.number],
                    "destination": call.endpoint.name,
                    "status_code": call.status,
                    "latency_ms": round(call.took_s * 1000),
                }
                for call in calls
            ]
        },
        "url": "/ai-gateway/mlflow/v1/chat/completions",
        "api_type": "mlflow/v1/chat/completions",
    }
