"""SGLang's exported request metrics: a line a call that answered. One server, so no provider and no price.

The decision comes in the custom labels that a caller may send along.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from fairlead.evaluation.simulate.calls import Asked, Call
from fairlead.evaluation.simulate.writers.carries import Carries

__all__ = ["CARRIES", "write"]

CARRIES: Final = Carries(tries="answered", cost=False, endpoint=False)


def write(asked: Asked, calls: Sequence[Call]) -> Iterator[dict[str, Any]]:
    """Give the line of a request that was answered."""
    last = calls[-1]
    if not last.ok:
        return
    labels = {name: str(value) for name, value in asked.echoed.items()} | {"route": asked.route}
    parameters = {
        "rid": asked.trace_id,
        "messages": asked.messages,
        "stream": asked.stream,
        "sampling_params": {"temperature": 1.0},
        "custom_labels": labels,
    }
    yield {
        "request_parameters": msgspec.json.encode(parameters).decode(),
        "id": asked.trace_id,
        "finish_reason": {"type": "stop", "matched": 0},
        "prompt_tokens": last.tokens_in,
        "completion_tokens": last.tokens_out,
        "cached_tokens": 0,
        "e2e_latency": round(last.took_s, 6),
        "request_received_ts": last.start,
        "weight_version": "default",
    }
