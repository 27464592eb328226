"""Cloudflare AI Gateway: log objects of its API, one a try (step). Metadata holds five entries at the most."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from fairlead.evaluation.simulate.calls import Asked, Call, iso
from fairlead.evaluation.simulate.writers.carries import Carries

__all__ = ["CARRIES", "write"]

CARRIES: Final = Carries()


def write(asked: Asked, calls: Sequence[Call]) -> Iterator[dict[str, Any]]:
    """Give the logs of a request."""
    kept = {name: asked.echoed[name] for name in ("request_id", "decision_id", "propensity", "policy_id")}
    metadata = msgspec.json.encode({**kept, "route": asked.route}).decode()
    head = msgspec.json.encode({"messages": asked.messages, "stream": asked.stream}).decode()
    for call in calls:
        yield {
            "id": call.id,
            "event_id": asked.trace_id,
            "created_at": iso(call.start),
            "provider": call.endpoint.provider,
            "model": call.endpoint.model,
            "model_type": "llm",
            "path": "chat/completions",
            "cached": False,
            "cost": call.cost,
            "custom_cost": False,
            "duration": round(call.took_s * 1000),
            "request_type": "chat",
            "request_content_type": "application/json",
            "response_content_type": "application/json",
            "status_code": call.status,
            "step": call.number,
            "success": call.ok,
            "tokens_in": call.tokens_in,
            "tokens_out": call.tokens_out,
            "metadata": metadata,
            "request_head": head,
            "request_head_complete": True,
        }
