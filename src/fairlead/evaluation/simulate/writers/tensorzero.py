"""TensorZero: rows of ModelInference, one a call that answered. It keeps no failure and no decision of another's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from fairlead.evaluation.simulate.calls import Asked, Call, iso
from fairlead.evaluation.simulate.writers.carries import Carries

__all__ = ["CARRIES", "write"]

CARRIES: Final = Carries(tries="answered", decision=False)


def write(asked: Asked, calls: Sequence[Call]) -> Iterator[dict[str, Any]]:
    """Give the row of a request that was answered."""
    last = calls[-1]
    if not last.ok:
        return
    ttft_s = last.ttft_s
    yield {
        "id": last.id,
        "inference_id": asked.trace_id,
        "function_name": asked.route,
        "variant_name": last.endpoint.name,
        "raw_request": "{}",
        "raw_response": "{}",
        "system": None,
        "input_messages": msgspec.json.encode(asked.messages).decode(),
        "output": "[]",
        "input_tokens": last.tokens_in,
        "output_tokens": last.tokens_out,
        "response_time_ms": round(last.took_s * 1000),
        "model_name": last.endpoint.model,
        "model_provider_name": last.endpoint.provider,
        "ttft_ms": None if ttft_s is None else round(ttft_s * 1000),
        "cached": False,
        "finish_reason": "stop",
        "cost": last.cost,
        "provider_cache_read_input_tokens": 0,
        "provider_cache_write_input_tokens": 0,
        "snapshot_hash": "1",
        "timestamp": iso(last.start),
    }
