"""Envoy AI Gateway's access log as JSON. Operators name its fields; each is looked for under the names that are used.

A line is the last upstream of a request. The provider's name in it is a reference to a backend; who is behind it is
told by the host that was called, or by a field that says it (`provider`, `gen_ai.system`), else it stays unknown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

from msgspec import Struct

from fairlead.ingest import aliases, attributes, gateways, outcomes, values
from fairlead.ingest.context import Context
from fairlead.ingest.hosts import provider_and_region
from fairlead.ingest.quarantine import MISSING_FIELD, BadRecordError

__all__ = ["NAME", "read", "recognises"]

NAME: Final = "envoy"
# column or part: the names it is found under, in lower case with every other character as '_'
_NAMES: Final = {
    "model": ("gen_ai_request_model", "genai_model_name", "x_ai_eg_model", "request_model", "model"),
    "override": ("gen_ai_request_model_override", "genai_model_name_override", "model_name_override"),
    "answered": ("gen_ai_response_model", "genai_response_model", "response_model"),
    "backend": ("gen_ai_provider_name", "genai_backend_name", "backend_name", "backend"),
    "provider": ("gen_ai_system", "provider", "provider_name"),
    "input": ("gen_ai_usage_input_tokens", "genai_tokens_input", "llm_input_token", "input_tokens"),
    "output": ("gen_ai_usage_output_tokens", "genai_tokens_output", "llm_output_token", "output_tokens"),
    "read": (
        "gen_ai_usage_cache_read_input_tokens",
        "gen_ai_usage_cached_input_tokens",
        "genai_tokens_cached_input",
        "llm_cached_input_token",
        "cached_input_tokens",
    ),
    "created": (
        "gen_ai_usage_cache_creation_input_tokens",
        "genai_tokens_cache_creation_input",
        "llm_cache_creation_input_token",
        "cache_creation_input_tokens",
    ),
    "reasoning": (
        "gen_ai_usage_reasoning_output_tokens",
        "gen_ai_usage_reasoning_tokens",
        "genai_tokens_reasoning",
        "llm_reasoning_token",
        "reasoning_tokens",
    ),
    "first": ("gen_ai_server_time_to_first_token", "time_to_first_token", "genai_time_to_first_token"),
    "session": ("session_id", "gen_ai_conversation_id", "x_session_id"),
    "user": ("user_id", "x_user_id", "x_user"),
    "team": ("team_id", "x_team_id", "x_team"),
    "tries": ("upstream_request_attempt_count", "attempt_count", "x_envoy_attempt_count"),
    "path": ("x_envoy_origin_path", "x_envoy_original_path", "path", "url_path"),
    "total": ("gen_ai_usage_total_tokens", "genai_tokens_total", "llm_total_token", "total_tokens"),
}
_MARKS: Final = frozenset(_NAMES["model"][:3] + _NAMES["input"][:3] + _NAMES["backend"][:2])
_PRIVATE: Final = re.compile(r"address|forwarded|user_agent|client|remote")
_MAPPED: Final = frozenset(
    (  # noqa: SIM905  one a line would fill the screen
        "authority start_time duration response_code response_flags response_code_details route_name x_request_id"
        " request_id upstream_host method protocol"
    ).split()
)
_FLAGS: Final = {  # of Envoy's: what became of the request, and whose doing it was
    "DC": ("cancelled", "client"),
    "DPE": ("invalid_request", "client"),
    "DT": ("timeout", "gateway"),
    "LR": ("network", "provider"),
    "NC": ("network", "gateway"),
    "NR": ("invalid_request", "gateway"),
    "RL": ("rate_limit", "gateway"),
    "RLSE": ("rate_limit", "gateway"),
    "SI": ("timeout", "gateway"),
    "UAEX": ("auth", "gateway"),
    "UC": ("network", "provider"),
    "UF": ("network", "provider"),
    "UH": ("network", "provider"),
    "UO": ("server", "gateway"),
    "UPE": ("network", "provider"),
    "UR": ("network", "provider"),
    "UT": ("timeout", "provider"),
}
_ECHO: Final = ("x_fairlead_", "fairlead_")
_DECISION: Final = ("request_id", "decision_id", "policy_id", "policy_version", "propensity", "is_exploration")


def recognises(record: dict[str, Any]) -> bool:
    """Say whether a record is an access log line of the AI Gateway."""
    return "response_code" in record and "start_time" in record and any(_plain(str(name)) in _MARKS for name in record)


def read(record: dict[str, Any], context: Context) -> Iterator[Struct]:
    """Give the attempt and what is known of its request."""
    flat = {_plain(name): value for name, value in record.items() if value not in (None, "", "-")}
    told = {name: _first(flat, names) for name, names in _NAMES.items()}
    if told["model"] is None and told["input"] is None:
        raise BadRecordError(MISSING_FIELD, "gen_ai.request.model: this line is of no call of a model")
    own = values.required(values.text(_first(flat, ("x_request_id", "request_id"))), "x-request-id")
    found = {
        "request_id": own,
        "source_record_id": own,
        "start_time": values.required(values.moment(flat.get("start_time"), "start_time"), "start_time"),
        **_outcome(flat),
        **_which(flat, told),
        **gateways.caller(_echoed(flat)),
    }
    found |= _tokens(told, found)
    who = {"conversation_id": told["session"], "user_id": told["user"], "team_id": told["team"]}
    found |= {name: values.text(value) for name, value in who.items() if value is not None}
    route = values.text(flat.get("route_name"))
    found["tags"] = None if route is None else {"route": route}
    mapped = {name for name in record if _is_mapped(_plain(name))}
    found["attributes"] = attributes.pack(record, mapped)
    yield from gateways.attempt(NAME, found, gateways.Asked(), context)


def _which(flat: dict[str, Any], told: dict[str, Any]) -> dict[str, Any]:
    asked, backend = gateways.model_of(told["model"]), values.text(told["backend"])
    served = gateways.model_of(told["answered"]) or gateways.model_of(told["override"]) or asked
    called = [gateways.host(flat.get(name)) for name in ("authority", "upstream_host")]
    known = next((found for name in called if name and (found := provider_and_region(name))), (None, None))
    said = values.text(told["provider"])
    if said is None and backend is not None and "/" not in backend and aliases.provider(backend) in aliases.PROVIDERS:
        said = backend  # the operator put the provider's own name there
    tries = values.integer(told["tries"], "upstream_request_attempt_count") or 0
    return {
        "provider_name": known[0] if said is None else aliases.provider(said),
        "region": known[1],
        "request_model": asked,
        "response_model": served,
        "deployment_id": f"{backend}/{served}" if backend and "/" in backend and served else None,
        "server_address": called[0] or called[1],
        "operation_name": gateways.operation(told["path"]),
        "duration_s": gateways.seconds(flat.get("duration"), "duration"),
        "time_to_first_chunk_s": gateways.seconds(told["first"], "time_to_first_token"),
        "attempt_index": max(tries - 1, 0),
        "attempt_kind": "retry" if tries > 1 else "first" if tries else None,
        "is_final": True,
    }


def _outcome(flat: dict[str, Any]) -> dict[str, Any]:
    code = values.integer(flat.get("response_code"), "response_code") or None
    flags = [flag for flag in str(flat.get("response_flags") or "").split(",") if flag]
    kind, origin = next((_FLAGS[flag] for flag in flags if flag in _FLAGS), (None, None))
    if code is None and kind is None:
        raise BadRecordError(MISSING_FIELD, "response_code")
    status = "cancelled" if kind == "cancelled" else outcomes.status_of_code(code) if code else "error"
    if status == "ok" and kind is not None:  # the answer had begun when it broke off
        status = "error"
    if status == "ok":
        return {"status": "ok", "http_status_code": code}
    return {
        "status": status,
        "http_status_code": code,
        "error_type": values.text(flat.get("response_code_details")),
        "error_class": kind or outcomes.error_class(code, None),
        "error_origin": origin or ("client" if status == "cancelled" else "provider"),
    }


def _tokens(told: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    names = ("input", "read", "created", "output", "reasoning")
    counts = {name: values.integer(told[name], f"{name} tokens") for name in names}
    if found["status"] != "ok" and not any(counts.values()):
        return {}
    return {
        "input_tokens": counts["input"],
        "cache_read_input_tokens": counts["read"],
        "cache_creation_input_tokens": counts["created"],
        "output_tokens": counts["output"],
        "reasoning_output_tokens": counts["reasoning"],
    }


def _echoed(flat: dict[str, Any]) -> dict[str, Any]:
    """Give fairlead's own decision, where the operator logs the headers that hand it on."""
    found = {name[len(mark) :]: value for name, value in flat.items() for mark in _ECHO if name.startswith(mark)}
    return {**{name: flat[name] for name in _DECISION[1:] if name in flat}, **found}


def _is_mapped(name: str) -> bool:
    return name in _MAPPED or name in _KNOWN or name in _DECISION or bool(_PRIVATE.search(name))


_KNOWN: Final = frozenset(name for names in _NAMES.values() for name in names) | frozenset(_MAPPED)


def _first(flat: dict[str, Any], names: tuple[str, ...]) -> Any:
    return next((flat[name] for name in names if name in flat), None)


@cache
def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
