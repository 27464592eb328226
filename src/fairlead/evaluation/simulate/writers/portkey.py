"""Portkey: rows of a log export, one a try. Costs are cents, times milliseconds, metadata is text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from fairlead.evaluation.simulate.calls import ALIAS, Asked, Call, iso
from fairlead.evaluation.simulate.writers.carries import Carries

__all__ = ["CARRIES", "write"]

CARRIES: Final = Carries()


def write(asked: Asked, calls: Sequence[Call]) -> Iterator[dict[str, Any]]:
    """Give the rows of a request."""
    said = {**asked.echoed, "_user": asked.user, "team": asked.team, "route": asked.route}
    metadata = {name: str(value) for name, value in said.items()}
    for call in calls:
        yield {
            "id": call.id,
            "trace_id": asked.trace_id,
            "created_at": iso(call.start, 6),
            "request": {"model": ALIAS, "body": {"model": ALIAS, "messages": asked.messages, "stream": asked.stream}},
            "response": {"model": call.endpoint.model if call.ok else None},
            "is_success": call.ok,
            "ai_org": call.endpoint.provider,
            "ai_model": call.endpoint.model,
            "req_units": call.tokens_in,
            "res_units": call.tokens_out,
            "total_units": call.tokens_in + call.tokens_out,
            "request_url": "https://gateway.test/v1/chat/completions",
            "cost": round(call.cost * 100, 12),
            "cost_currency": "USD",
            "response_time": round(call.took_s * 1000, 3),
            "response_status_code": call.status,
            "cache_status": "DISABLED",
            "mode": "fallback",
            "last_used_option_index": int(call.number == 2),
            "retry_success_count": int(call.ok and call.number == 1),
            "config": "pc-simulated",
            "prompt_slug": None,
            "metadata": metadata,
        }
