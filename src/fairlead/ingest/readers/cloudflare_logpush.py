"""Cloudflare's Logpush data set ai_gateway_events: what stands in clear is read; that leaves out tokens and costs.

Metadata and bodies are encrypted with the owner's key. Decrypted before they are loaded (Cloudflare shows how), they
give the rest: the callers' metadata, what was asked and what was used. A record has no id and is known by its content.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any, Final

import msgspec
from msgspec import Struct

from fairlead.ingest import aliases, attributes, gateways, outcomes, values
from fairlead.ingest.context import Context

__all__ = ["NAME", "read", "recognises"]

NAME: Final = "cloudflare_logpush"
_MAPPED: Final = frozenset(
    (  # noqa: SIM905  one a line would fill the screen
        "Datetime Provider Model Endpoint StatusCode Cached RateLimited Metadata RequestBody ResponseBody"
    ).split()
)
_BLOCKED: Final = 424  # a guardrail or a data loss policy of the gateway said no


def recognises(record: dict[str, Any]) -> bool:
    """Say whether a record is of ai_gateway_events."""
    return "Datetime" in record and "Provider" in record and ("Gateway" in record or "StatusCode" in record)


def read(record: dict[str, Any], context: Context) -> Iterator[Struct]:
    """Give the attempt and what is known of its request."""
    content = msgspec.json.encode(record, order="sorted")
    code = values.integer(record.get("StatusCode"), "StatusCode") or None
    hit = gateways.flag(record.get("Cached"))
    provider, model = values.text(record.get("Provider")), gateways.model_of(record.get("Model"))
    answer = gateways.parsed(record.get("ResponseBody"))
    found = {
        **gateways.caller(_clear(record.get("Metadata"))),
        "source_record_id": hashlib.blake2b(content, digest_size=16).hexdigest(),
        "start_time": values.required(values.moment(record.get("Datetime"), "Datetime"), "Datetime"),
        **_outcome(values.required(code, "StatusCode"), gateways.flag(record.get("RateLimited")) is True),
        "provider_name": None if provider is None else aliases.provider(provider),
        "request_model": model,
        "response_model": model,
        "operation_name": gateways.operation(record.get("Endpoint")),
        "gateway_cache_status": None if hit is None else "hit" if hit else "miss",
        "attempt_kind": "cache" if hit else None,
        "response_id": values.text(answer.get("id")),
        "attributes": attributes.pack(record, _MAPPED),
        **gateways.usage_of(answer),
    }
    yield from gateways.attempt(NAME, found, gateways.asked(_clear(record.get("RequestBody"))), context)


def _outcome(code: int, limited: bool) -> dict[str, Any]:
    status = "blocked" if code == _BLOCKED else outcomes.status_of_code(code)
    gateway = status == "blocked" or limited
    return {
        "status": status,
        "http_status_code": code,
        "error_class": "content_filter" if status == "blocked" else "rate_limit" if limited else None,
        "error_origin": None if status == "ok" else "gateway" if gateway else "provider",
    }


def _clear(value: Any) -> dict[str, Any]:
    """Give what was decrypted; nothing of what was not."""
    found = gateways.parsed(value)
    return {} if found.get("type") == "encrypted" else found
