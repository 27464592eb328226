"""Helicone: rows of request_response_rmt, one a try. Times are milliseconds, costs billionths of a dollar."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from fairlead.evaluation.simulate.calls import ALIAS, Asked, Call, iso
from fairlead.evaluation.simulate.writers.carries import Carries

__all__ = ["CARRIES", "write"]

CARRIES: Final = Carries()
_NOBODY: Final = "00000000-0000-0000-0000-000000000000"


def write(asked: Asked, calls: Sequence[Call]) -> Iterator[dict[str, Any]]:
    """Give the rows of a request."""
    properties = {name: str(value) for name, value in asked.echoed.items()} | {"team": asked.team, "route": asked.route}
    body = msgspec.json.encode({"model": ALIAS, "messages": asked.messages, "stream": asked.stream}).decode()
    for call in calls:
        ttft_s = call.ttft_s
        yield {
            "response_id": call.id if call.ok else _NOBODY,
            "response_created_at": iso(call.end, 3, " ", ""),
            "latency": round(call.took_s * 1000),
            "status": call.status,
            "completion_tokens": call.tokens_out,
            "prompt_tokens": call.tokens_in,
            "prompt_cache_write_tokens": 0,
            "prompt_cache_read_tokens": 0,
            "prompt_audio_tokens": 0,
            "completion_audio_tokens": 0,
            "model": call.endpoint.model,
            "request_id": call.id,
            "request_created_at": iso(call.start, 3, " ", ""),
            "user_id": asked.user,
            "organization_id": "org-simulated",
            "proxy_key_id": "",
            "threat": False,
            "time_to_first_token": None if ttft_s is None else round(ttft_s * 1000),
            "provider": call.endpoint.provider.upper(),
            "country_code": "",
            "target_url": "https://gateway.test/v1/chat/completions",
            "properties": properties,
            "scores": {},
            "request_body": body,
            "response_body": "{}",
            "assets": [],
            "cache_reference_id": _NOBODY,
            "cache_enabled": False,
            "cost": round(call.cost * 1e9),
        }
