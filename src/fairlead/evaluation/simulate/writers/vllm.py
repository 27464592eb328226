"""vLLM's log of requests, which is plain text: a line when one comes in, a line when its answer is done.

One server answers one model, so failures elsewhere, prices, prompt tokens and decisions have no place in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from fairlead.evaluation.simulate.calls import Asked, Call, iso
from fairlead.evaluation.simulate.writers.carries import Carries

__all__ = ["CARRIES", "write"]

CARRIES: Final = Carries(
    tries="answered", input_tokens=False, cost=False, endpoint=False, decision=False, named="chatcmpl-", suffix=".log"
)


def write(asked: Asked, calls: Sequence[Call]) -> Iterator[str]:
    """Give the lines of a request that was answered."""
    last = calls[-1]
    if not last.ok:
        return
    prompt = "\n".join(one["content"] for one in asked.messages)
    streamed = " (streaming complete)" if asked.stream else ""
    begun, ended = (iso(moment, 0, " ")[5:19] for moment in (last.start, last.end))
    yield (
        f"INFO {begun} [logger.py:43] Received request {asked.trace_id}: prompt: {prompt!r}, params: "
        "SamplingParams(n=1, temperature=1.0), prompt_token_ids: None, prompt_embeds shape: None, lora_request: None."
    )
    yield (
        f"INFO {ended} [logger.py:80] Generated response {asked.trace_id}{streamed}: "
        f"output: '', output_token_ids: None, output_token_count: {last.tokens_out}, finish_reason: stop"
    )
