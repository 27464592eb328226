"""What the two LiteLLM formats have in common.

Each record is one attempt. What it says of the request around it is limited, and this is what is made of it:

* `request_id` is `spend_logs_metadata.request_id` when the caller or a gateway callback put one there, else the trace
  id when it has the form of LiteLLM's own (a UUID). Any other trace id may be a session id, which LiteLLM keeps in
  the same field, so the request is then named by the trace and the prompt: attempts of one request share both.
* `attempt_index` counts the retries and fallbacks that a successful record tells of, which leaves out retries inside
  the fallback's group; a failure does not tell, and has 0. Order attempts by `start_time`.
* `is_final` is true for a success and unknown for a failure, after which another attempt may follow or not.
* The same call in both formats gives two attempts with different `source`: load one of the two.
"""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from fairlead.ingest import attributes, values
from fairlead.ingest.context import Context
from fairlead.ingest.outcomes import error_class
from fairlead.ingest.quarantine import MISSING_FIELD, UNKNOWN_VALUE, BadRecordError
from fairlead.schema import Attempt, Candidate

__all__ = [
    "as_dict",
    "attempt",
    "decision",
    "error",
    "kind",
    "names",
    "reported",
    "request_id",
    "status",
    "tags",
    "times",
    "usage",
]

_OPERATIONS: Final = {
    "completion": "chat",
    "acompletion": "chat",
    "embedding": "embeddings",
    "aembedding": "embeddings",
    "text_completion": "text_completion",
    "atext_completion": "text_completion",
}
_DETAILS: Final = (  # where it stands in usage_object, and what it is called in usage_details
    ("prompt_tokens_details", "audio_tokens", "input_audio_tokens"),
    ("prompt_tokens_details", "image_tokens", "input_image_tokens"),
    ("prompt_tokens_details", "video_tokens", "input_video_tokens"),
    ("completion_tokens_details", "audio_tokens", "output_audio_tokens"),
    ("completion_tokens_details", "image_tokens", "output_image_tokens"),
    ("prompt_tokens_details", "web_search_requests", "web_search_requests"),
)
_FREE: Final = Decimal(0)
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-?)(?:[0-9a-fA-F]{4}\1){3}[0-9a-fA-F]{12}")
_TAG: Final = re.compile("[:=]")


def attempt(found: dict[str, Any], context: Context) -> Attempt:
    """Check the values that a record gave, leave out the empty ones, and price the attempt."""
    attributes.clean(found, context.hashed)
    kept = {name: value for name, value in found.items() if value is not None and value != ""}
    return context.priced(msgspec.convert(kept, Attempt))


def names(record: dict[str, Any]) -> dict[str, Any]:
    """Give provider, model, group and deployment: `openai/gpt-4o-mini` is a model of a provider."""
    model, provider = values.text(record.get("model")), values.text(record.get("custom_llm_provider"))
    if model and "/" in model:
        prefix, rest = model.split("/", 1)
        if provider is None or prefix == provider:
            provider, model = prefix, rest
    return {
        "provider_name": provider or "unknown",
        "response_model": model,
        "request_model": values.text(record.get("model_group")) or model,
        "deployment_id": values.text(record.get("model_id")),
        "server_address": _host(record.get("api_base")),
        "operation_name": _OPERATIONS.get(str(record.get("call_type")), values.text(record.get("call_type"))),
        "is_batch": True if "batch" in str(record.get("call_type")) else None,
    }


def times(record: dict[str, Any], stream: bool | None) -> dict[str, Any]:
    """Give start, duration and, for a stream, the time to its first chunk; LiteLLM's response_time mixes the two."""
    start: datetime = values.required(values.moment(record.get("startTime"), "startTime"), "startTime")
    end = values.moment(record.get("endTime"), "endTime")
    first = values.moment(record.get("completionStartTime"), "completionStartTime")
    found: dict[str, Any] = {"start_time": start, "event_date": start.date()}
    if end is not None and end >= start:
        found["duration_s"] = (end - start).total_seconds()
        # A call that is not streamed has its end here, which is no first chunk.
        if stream and first is not None and start <= first < end:
            found["time_to_first_chunk_s"] = (first - start).total_seconds()
    return found


def status(record: dict[str, Any]) -> str:
    """Give ok or error; anything else in the field is not LiteLLM's."""
    word = record.get("status")
    if word == "success":
        return "ok"
    if word == "failure":
        return "error"
    raise BadRecordError(MISSING_FIELD if word in (None, "") else UNKNOWN_VALUE, "status")


def error(information: dict[str, Any], guardrail: str | None) -> dict[str, Any]:
    """Give what failed and on whose side; the error's text may quote the prompt and is not read."""
    code = values.text(information.get("error_code"))
    number = int(code) if code and code.isascii() and code.isdigit() and len(code) == 3 else None
    name = values.text(information.get("error_class"))
    kind = error_class(number, name)
    blocked = guardrail == "guardrail_intervened" or (name or "").startswith("Guardrail")
    return {
        "status": "blocked" if blocked else "cancelled" if kind == "cancelled" else "error",
        "http_status_code": number,
        "error_type": name or code,
        "error_class": kind,
        "error_origin": _origin(information, kind, blocked),
    }


def usage(record: dict[str, Any], told: dict[str, Any], ok: bool) -> dict[str, Any]:
    """Give the tokens. Prompt tokens include cached ones; the zeros of a failure mean that nobody counted."""
    prompt = values.integer(record.get("prompt_tokens"), "prompt_tokens")
    completion = values.integer(record.get("completion_tokens"), "completion_tokens")
    if not ok and not prompt and not completion:
        return {}
    inputs, outputs = as_dict(told.get("prompt_tokens_details")), as_dict(told.get("completion_tokens_details"))
    read = values.integer(told.get("cache_read_input_tokens") or inputs.get("cached_tokens"), "cached_tokens")
    created = values.integer(
        told.get("cache_creation_input_tokens") or inputs.get("cache_creation_tokens"), "cache_creation_tokens"
    )
    if prompt is not None and (read or 0) + (created or 0) > prompt:  # an older LiteLLM passed Anthropic's count on
        prompt += (read or 0) + (created or 0)
    details = {
        name: count
        for part, key, name in (_DETAILS if inputs or outputs else ())
        if (count := values.integer((inputs if part.startswith("prompt") else outputs).get(key), key))
    }
    return {
        "input_tokens": prompt,
        "cache_read_input_tokens": read,
        "cache_creation_input_tokens": created,
        "output_tokens": completion,
        "reasoning_output_tokens": values.integer(outputs.get("reasoning_tokens"), "reasoning_tokens"),
        "usage_details": details or None,
    }


def reported(cost: Any, found: dict[str, Any]) -> Decimal | None:
    """Give the cost as LiteLLM reports it, and None for the 0 that it writes for a model without a price."""
    amount = values.usd(cost, "cost")
    used = bool(found.get("input_tokens") or found.get("output_tokens"))
    if amount == _FREE and used and found["status"] == "ok" and found.get("gateway_cache_status") != "hit":
        return None
    return amount


def request_id(trace: str | None, call: str, told: dict[str, Any], prompt: bytes | None, session: bool) -> str:
    """Name the request that an attempt belongs to; see the top of this module."""
    given = values.text(told.get("request_id"))
    if given:
        return given
    if trace is None:
        return call
    if _is_uuid(trace) and not session:
        return trace
    return f"{trace}/{prompt.hex()[:16]}" if prompt is not None else call


def tags(given: Any) -> dict[str, str]:
    """Give request tags as a map: `route:maths` and `route=maths` have a value, `prod` has none.

    >>> tags(["prod", "route:maths"])
    {'prod': '', 'route': 'maths'}
    """
    found = {}
    for tag in given if isinstance(given, list) else ():
        if isinstance(tag, str) and tag:
            name, *value = _TAG.split(tag, maxsplit=1)
            found[name.strip()] = value[0].strip() if value else ""
    return found


def decision(told: dict[str, Any], routing: dict[str, Any]) -> dict[str, Any]:
    """Give the decision behind an attempt, as a callback echoed it, or as LiteLLM's own router tells."""
    candidates = values.jsoned(told.get("candidates"), "candidates")
    return {
        "decision_id": values.text(told.get("decision_id")),
        "policy_id": values.text(told.get("policy_id")),
        "policy_version": values.text(told.get("policy_version")),
        "propensity": values.number(told.get("propensity"), "propensity"),
        "is_exploration": told.get("is_exploration"),
        "candidates": msgspec.convert(candidates, list[Candidate]) if candidates else None,
        "experiment_id": values.text(told.get("experiment_id")),
        "variant": values.text(told.get("variant")),
        "router_name": values.text(routing.get("router") or routing.get("router_name")),
        "decision_cause": values.text(told.get("decision_cause") or routing.get("cause")),
    }


def kind(ok: bool, cached: bool, retries: int | None, fallbacks: int | None) -> str | None:
    """Give the kind of an attempt as far as its record tells."""
    if cached:
        return "cache"
    if not ok or (retries is None and fallbacks is None):
        return None
    return "fallback" if fallbacks else "retry" if retries else "first"


def as_dict(value: Any) -> dict[str, Any]:
    """Give an object, and an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def _is_uuid(trace: str) -> bool:
    return _UUID.fullmatch(trace) is not None


def _host(address: Any) -> str | None:
    if not isinstance(address, str) or not address:
        return None
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None


def _origin(information: dict[str, Any], kind: str, blocked: bool) -> str:
    category = str(information.get("error_rate_limit_category") or "")
    if blocked or kind == "budget" or category.startswith("litellm"):
        return "gateway"
    if kind in ("invalid_request", "context_length", "cancelled"):
        return "client"
    return "provider" if information.get("llm_provider") else "gateway"
