"""Langfuse's export of observations, a GENERATION a try. The one that scores name is the last."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from fairlead.evaluation.simulate.calls import Asked, Call, iso
from fairlead.evaluation.simulate.writers.carries import Carries

__all__ = ["CARRIES", "write"]

CARRIES: Final = Carries(grouped=False)


def write(asked: Asked, calls: Sequence[Call]) -> Iterator[dict[str, Any]]:
    """Give the observations of a request."""
    for call in calls:
        total, ttft_s = call.cost, call.ttft_s
        counts = {"input": call.tokens_in, "output": call.tokens_out, "total": call.tokens_in + call.tokens_out}
        yield {
            "id": asked.trace_id if call is calls[-1] else call.id,
            "trace_id": asked.trace_id,
            "project_id": "simulated",
            "environment": "default",
            "type": "GENERATION",
            "parent_observation_id": None,
            "start_time": iso(call.start, 3, " ", ""),
            "end_time": iso(call.end, 3, " ", ""),
            "name": "chat",
            "metadata": {**asked.decision, "ls_provider": call.endpoint.provider, "team": asked.team},
            "level": "DEFAULT" if call.failure is None else "ERROR",
            "status_message": None if call.failure is None else call.failure.kind,
            "input": msgspec.json.encode(asked.messages).decode(),
            "output": None,
            "provided_model_name": call.endpoint.model,
            "model_parameters": "{}",
            "usage_details": counts,
            "cost_details": {"total": total},
            "completion_start_time": None if ttft_s is None else iso(call.first, 3, " ", ""),
            "prompt_name": None,
            "total_cost": total,
            "latency": round(call.took_s, 3),
            "time_to_first_token": None if ttft_s is None else round(ttft_s, 3),
            "created_at": iso(call.end, 3, " ", ""),
            "updated_at": iso(call.end, 3, " ", ""),
            "user_id": asked.user,
            "session_id": None,
            "tags": [f"route:{asked.route}"],
            "tool_calls": [],
            "tool_definitions": {},
        }
