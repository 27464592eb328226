"""Rows of LiteLLM's table LiteLLM_SpendLogs, as JSON lines: JSON within text, booleans as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from fairlead.evaluation.simulate.calls import ALIAS, Asked, Call, iso
from fairlead.evaluation.simulate.writers.carries import Carries

__all__ = ["CARRIES", "write"]

CARRIES: Final = Carries()


def write(asked: Asked, calls: Sequence[Call]) -> Iterator[dict[str, Any]]:
    """Give the rows of a request, one a try."""
    for call in calls:
        yield {
            "request_id": f"chatcmpl-{call.id}" if call.ok else call.id,
            "call_type": "acompletion",
            "api_key": asked.key_hash,
            "cache_hit": "None",
            "startTime": iso(call.start, 6, " ", "+00:00"),
            "endTime": iso(call.end, 6, " ", "+00:00"),
            "completionStartTime": iso(call.first, 6, " ", "+00:00"),
            "model": f"{call.endpoint.provider}/{call.endpoint.model}",
            "user": asked.user,
            "team_id": f"team-{asked.team}",
            "organization_id": "",
            "metadata": msgspec.json.encode(_metadata(asked, call)).decode(),
            "cache_key": "Cache OFF",
            "spend": call.cost,
            "total_tokens": call.tokens_in + call.tokens_out,
            "prompt_tokens": call.tokens_in,
            "completion_tokens": call.tokens_out,
            "request_tags": msgspec.json.encode(["prod", f"route:{asked.route}"]).decode(),
            "end_user": asked.end_user,
            "api_base": "",
            "model_group": call.group,
            "model_id": call.endpoint.name,
            "custom_llm_provider": call.endpoint.provider,
            "messages": "{}",
            "response": "{}",
            "proxy_server_request": msgspec.json.encode({"messages": asked.messages, "stream": asked.stream}).decode(),
            "session_id": asked.trace_id,
            "request_duration_ms": round(call.took_s * 1000),
            "status": "success" if call.ok else "failure",
            "litellm_call_id": call.id,
        }


def _metadata(asked: Asked, call: Call) -> dict[str, Any]:
    counts = {
        "completion_tokens": call.tokens_out,
        "prompt_tokens": call.tokens_in,
        "total_tokens": call.tokens_in + call.tokens_out,
    }
    failure = call.failure
    return {
        "user_api_key_team_id": f"team-{asked.team}",
        "user_api_key_user_id": asked.user,
        "user_api_key_team_alias": asked.team,
        "spend_logs_metadata": asked.decision,
        "litellm_call_id": call.id,
        "status": None if failure is None else "failure",
        "error_information": None
        if failure is None
        else {
            "error_code": failure.code,
            "error_class": failure.kind,
            "llm_provider": call.endpoint.provider,
            "error_rate_limit_category": failure.category,
        },
        "usage_object": counts if call.ok else None,
        "attempted_retries": int(call.number == 1) if call.ok else None,
        "attempted_fallbacks": int(call.number == 2) if call.ok else None,
        "original_model_group": ALIAS,
    }
