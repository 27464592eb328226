"""Bifrost: rows of its table logs, one a provider; a retry stands in the trail of its row. Times are milliseconds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from fairlead.evaluation.simulate.calls import ALIAS, Asked, Call, iso
from fairlead.evaluation.simulate.writers.carries import Carries

__all__ = ["CARRIES", "write"]

CARRIES: Final = Carries()


def write(asked: Asked, calls: Sequence[Call]) -> Iterator[dict[str, Any]]:
    """Give the rows of a request: of the endpoint that was chosen, and of the fallback where it came to that."""
    for fallback, tries in enumerate(
        ([one for one in calls if one.number < 2], [one for one in calls if one.number == 2])
    ):
        if tries:
            yield _row(asked, tries, fallback)


def _row(asked: Asked, tries: list[Call], fallback: int) -> dict[str, Any]:
    last = tries[-1]
    # Why a key was given up has three names in Bifrost; a time-out or a server's error has none of them.
    trail = [{"fail_reason": "rate_limit_error" if one.status == 429 else "server_error"} for one in tries[:-1]]
    return {
        "id": asked.trace_id if not fallback else last.id,
        "parent_request_id": asked.trace_id if fallback else None,
        "timestamp": iso(tries[0].start),
        "object": "chat_completion",
        "provider": last.endpoint.provider,
        "model": last.endpoint.model,
        "alias": ALIAS,
        "number_of_retries": len(trail),
        "fallback_index": fallback,
        "attempt_trail": [*trail, {"fail_reason": None}] if trail else None,
        "user_id": asked.user,
        "team_id": asked.team,
        "input_history": asked.messages,
        "latency": round(last.took_s * 1000, 3),
        "upstream_latency": round(last.took_s * 1000, 3),
        "cost": last.cost,
        "status": "success" if last.ok else "error",
        "stream": asked.stream,
        "token_usage": {
            "prompt_tokens": last.tokens_in,
            "completion_tokens": last.tokens_out,
            "total_tokens": last.tokens_in + last.tokens_out,
        },
        "error_details": None
        if last.failure is None
        else {"is_bifrost_error": False, "status_code": last.status, "error": {"type": last.failure.kind}},
        "metadata": {**asked.echoed, "candidates": asked.decision["candidates"], "route": asked.route},
    }
