"""Envoy AI Gateway's access log as JSON: a line a request, of its last upstream; the decision comes as headers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from fairlead.evaluation.simulate.calls import ALIAS, Asked, Call, iso
from fairlead.evaluation.simulate.writers.carries import Carries

__all__ = ["CARRIES", "write"]

CARRIES: Final = Carries(tries="last", cost=False, prompt=False)


def write(asked: Asked, calls: Sequence[Call]) -> Iterator[dict[str, Any]]:
    """Give the line of a request."""
    last = calls[-1]
    echoed = {f"x-fairlead-{name.replace('_', '-')}": str(value) for name, value in asked.echoed.items()}
    yield {
        ":authority": "gateway.test",
        "bytes_received": sum(len(one["content"]) for one in asked.messages),
        "bytes_sent": 4 * last.tokens_out,
        "duration": round(last.took_s * 1000),
        "gen_ai.provider.name": f"default/{last.endpoint.provider}/route/simulated/rule/0/ref/{last.number}",
        "gen_ai.system": last.endpoint.provider,
        "gen_ai.request.model": ALIAS,
        "gen_ai.request.model_override": last.endpoint.model,
        "gen_ai.usage.input_tokens": last.tokens_in,
        "gen_ai.usage.output_tokens": last.tokens_out,
        "gen_ai.usage.total_tokens": last.tokens_in + last.tokens_out,
        "method": "POST",
        "protocol": "HTTP/1.1",
        "response_code": last.status,
        "response_code_details": "via_upstream",
        "response_flags": "-",
        "route_name": asked.route,
        "start_time": iso(last.start, 3),
        "upstream_request_attempt_count": len(calls),
        "x-envoy-origin-path": "/v1/chat/completions",
        "x-request-id": asked.trace_id,
        "x-team-id": asked.team,
        "x-user-id": asked.user,
        **echoed,
    }
