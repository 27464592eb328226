"""Kong's log lines with an ai part: a line a request, with each target that was tried. Times are milliseconds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from fairlead.evaluation.simulate.calls import ALIAS, Asked, Call
from fairlead.evaluation.simulate.writers.carries import Carries

__all__ = ["CARRIES", "write"]

CARRIES: Final = Carries()


def write(asked: Asked, calls: Sequence[Call]) -> Iterator[dict[str, Any]]:
    """Give the line of a request."""
    last, begun = calls[-1], calls[0].start
    total_ms = round((last.end - begun) * 1000)
    echoed = {f"x-fairlead-{name.replace('_', '-')}": str(value) for name, value in asked.echoed.items()}
    body = {"model": ALIAS, "messages": asked.messages, "stream": asked.stream}
    yield {
        "ai": {
            "proxy": {
                "payload": {"request": msgspec.json.encode(body).decode()},
                "usage": {
                    "completion_tokens": last.tokens_out,
                    "prompt_tokens": last.tokens_in,
                    "total_tokens": last.tokens_in + last.tokens_out,
                    "time_to_first_token": round((last.ttft_s or last.took_s) * 1000),
                    "cost": last.cost,
                },
                "meta": {
                    "request_model": ALIAS,
                    "provider_name": last.endpoint.provider,
                    "response_model": last.endpoint.model,
                    "llm_latency": round(last.took_s * 1000),
                    "request_mode": "stream" if asked.stream else "oneshot",
                },
                "tried_targets": [
                    {
                        "route_type": "llm/v1/chat",
                        "upstream_scheme": "https",
                        "host": f"{call.endpoint.provider}.test",
                        "port": 443,
                        "provider": call.endpoint.provider,
                        "model": call.endpoint.model,
                    }
                    for call in calls
                ],
            }
        },
        "started_at": round(begun * 1000),
        "request": {"id": asked.trace_id, "uri": "/chat", "method": "POST", "headers": echoed},
        "response": {"status": last.status},
        "route": {"name": asked.route},
        "latencies": {"request": total_ms, "proxy": round(last.took_s * 1000), "kong": 1},
        "consumer": {"id": asked.user, "username": asked.user},
        "tries": [
            {"balancer_start": round(call.start * 1000), "code": call.status, "port": 443, "balancer_latency": 0}
            for call in calls
        ],
    }
