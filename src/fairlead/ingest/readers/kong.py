"""Kong's log lines with an `ai` part, as its AI Proxy and the plugins around it write them. Times are milliseconds.

The proxy's entry is the request, with an attempt for each of `tried_targets`; another plugin's entry that says what a
model used is a call of its own, in the same trace; a judge's entry is feedback, and where nothing else is logged its
targets and counts, which are those of the call that it judges, are the request.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from msgspec import Struct

from fairlead.ingest import aliases, attributes, gateways, litellm, outcomes, rows, usage, values
from fairlead.ingest.context import Context
from fairlead.ingest.quarantine import MISSING_FIELD, OUT_OF_RANGE, WRONG_TYPE, BadRecordError
from fairlead.schema import Feedback

__all__ = ["NAME", "read", "recognises"]

NAME: Final = "kong"
_PROXIES: Final = ("proxy", "ai-proxy-advanced", "ai-proxy")
_JUDGE: Final = "ai-llm-as-judge"
_SCORE: Final = "llm_accuracy"
_WORST, _BEST = 1.0, 100.0
_MAPPED: Final = frozenset(
    {"ai", "request", "response", "started_at", "tries", "consumer", "authenticated_entity", "workspace", "trace_id"}
)
_CONTENT: Final = frozenset({"payload", "sanitized_items"})
_CACHE: Final = {"hit": "hit", "miss": "miss", "refresh": "miss", "bypass": "disabled"}
_ROUTES: Final = {"chat": "chat", "completions": "text_completion", "embeddings": "embeddings", "responses": "chat"}
_ECHO: Final = "x-fairlead-"  # headers by which a gateway's client hands a decision on


def recognises(record: dict[str, Any]) -> bool:
    """Say whether a record is a line of Kong's with an `ai` part."""
    return isinstance(record.get("ai"), dict) and ("latencies" in record or "started_at" in record)


def read(record: dict[str, Any], context: Context) -> Iterator[Struct]:
    """Give the attempts, what is known of their request, and the judge's score."""
    told = litellm.as_dict(record.get("ai"))
    entries = {name: entry for name, entry in told.items() if isinstance(entry, dict) and _is_call(entry)}
    if not entries:
        raise BadRecordError(MISSING_FIELD, "ai: no plugin says which model it called; turn on log_statistics")
    main = next(name for name in (*_PROXIES, *entries) if name in entries)
    shared = _shared(record, told)
    body = litellm.as_dict(entries[main].get("payload")).get("request")
    said = gateways.asked(body or litellm.as_dict(told.get("payload")).get("request"))
    for found in _attempts(record, entries[main], main == _JUDGE, shared):
        yield from gateways.attempt(NAME, found, said, context)
    for name, entry in entries.items():
        if name not in (main, _JUDGE):
            yield from gateways.attempt(NAME, _helper(name, entry, shared), gateways.Asked(), context)
        feedback = _score(name, entry, record, shared, context)
        if feedback is not None:
            yield feedback


def _is_call(entry: dict[str, Any]) -> bool:
    return isinstance(entry.get("meta"), dict) or bool(entry.get("tried_targets"))


def _shared(record: dict[str, Any], told: dict[str, Any]) -> dict[str, Any]:
    request, route = litellm.as_dict(record.get("request")), litellm.as_dict(record.get("route"))
    own = values.required(values.text(request.get("id")), "request.id")
    headers = {str(name).lower(): value for name, value in litellm.as_dict(request.get("headers")).items()}
    caller = gateways.caller(
        {name[len(_ECHO) :].replace("-", "_"): value for name, value in headers.items() if name.startswith(_ECHO)}
    )
    kept = {name: attributes.keep(part, _CONTENT) for name, part in told.items() if isinstance(part, dict)}
    named = {"route": str(route["name"])} if isinstance(route.get("name"), str) else {}
    return {
        "request_id": own,
        "user_id": values.text(litellm.as_dict(record.get("consumer")).get("id")),
        **caller,
        "source_record_id": own,
        "start_time": values.required(values.moment(record.get("started_at"), "started_at", "ms"), "started_at"),
        "trace_id": values.text(litellm.as_dict(record.get("trace_id")).get("w3c")) or own,
        "api_key_id": values.text(litellm.as_dict(record.get("authenticated_entity")).get("id")),
        "project_id": values.text(record.get("workspace")),
        "tags": {**named, **(caller["tags"] or {})},
        "attributes": attributes.encode(
            {**attributes.keep(record, _MAPPED), "ai": {name: part for name, part in kept.items() if name != "payload"}}
        ),
    }


def _attempts(
    record: dict[str, Any], entry: dict[str, Any], judged: bool, shared: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """Give what is found of each target that was tried; the last one's answer is the request's."""
    targets = _objects(entry.get("tried_targets"), "tried_targets") or [{}]
    tries = _objects(record.get("tries"), "tries")
    tries = tries if len(tries) == len(targets) else [{} for _ in targets]
    starts = [_start(one, index, shared["start_time"]) for index, one in enumerate(tries)]
    meta = litellm.as_dict(entry.get("meta"))
    before: list[dict[str, Any]] = []
    for index, (target, one) in enumerate(zip(targets, tries, strict=True)):
        said = {} if index < len(targets) - 1 or judged else meta  # it is of the last target; a judge's is its own
        found = {**shared, **_target(target, said, meta), "attempt_index": index, "start_time": starts[index]}
        found["attempt_kind"] = "first" if not index else "retry" if target == before[-1] else "fallback"
        before.append(target)
        if index < len(targets) - 1:
            timed = one.get("balancer_start") is not None and starts[index + 1] > starts[index]
            code = values.integer(one.get("code"), "tries.code") or None
            yield found | {
                "status": "error",
                "http_status_code": code,
                "error_origin": "provider",
                "is_final": False,
                "duration_s": (starts[index + 1] - starts[index]).total_seconds() if timed else None,
            }
        else:
            yield found | _final(record, entry, (starts[index] - shared["start_time"]).total_seconds())


def _start(one: dict[str, Any], index: int, start: datetime) -> datetime:
    told = values.moment(one.get("balancer_start"), "tries.balancer_start", "ms")
    # Where tries are not timed, a microsecond keeps their order.
    return start + timedelta(microseconds=index) if told is None or told < start else told


def _target(target: dict[str, Any], said: dict[str, Any], meta: dict[str, Any]) -> dict[str, Any]:
    provider = gateways.model_of(said.get("provider_name")) or gateways.model_of(target.get("provider"))
    provider = provider or gateways.model_of(meta.get("provider_name"))
    asked = gateways.model_of(meta.get("request_model"))
    kind = str(target.get("route_type") or "").rsplit("/", 1)[-1]
    return {
        "provider_name": None if provider is None else aliases.provider(provider),
        "request_model": asked or gateways.model_of(target.get("model")),
        "response_model": gateways.model_of(said.get("response_model")) or gateways.model_of(target.get("model")),
        "server_address": values.text(target.get("host")),
        "operation_name": _ROUTES.get(kind, kind) or None,
    }


def _final(record: dict[str, Any], entry: dict[str, Any], waited: float) -> dict[str, Any]:
    meta, latencies = litellm.as_dict(entry.get("meta")), litellm.as_dict(record.get("latencies"))
    upstream = gateways.seconds(meta.get("llm_latency"), "llm_latency")
    total = gateways.seconds(latencies.get("request"), "latencies.request")
    made = {
        **_outcome(record, entry),
        "is_final": True,
        "duration_s": None if total is None else max(total - waited, upstream or 0.0, 0.0),
        "upstream_duration_s": upstream,
        "gateway_overhead_s": gateways.seconds(latencies.get("kong"), "latencies.kong", zero=True),
        **_streamed(entry, meta, upstream),
    }
    if made["gateway_cache_status"] in ("hit", "semantic_hit"):
        made["attempt_kind"] = "cache"
    return made | _used(entry, made)


def _outcome(record: dict[str, Any], entry: dict[str, Any]) -> dict[str, Any]:
    code = values.integer(litellm.as_dict(record.get("response")).get("status"), "response.status")
    code = values.required(code or None, "response.status")
    status = outcomes.status_of_code(code)
    guards = [part for part in entry.values() if isinstance(part, dict)]
    if status == "error" and any(part.get("input_block_reason") or part.get("output_block_reason") for part in guards):
        return {**_cached(entry), "status": "blocked", "http_status_code": code, "error_class": "content_filter"} | {
            "error_origin": "gateway"
        }
    unreached = litellm.as_dict(record.get("latencies")).get("proxy") in (None, -1)
    origin = {"ok": None, "cancelled": "client"}.get(status, "gateway" if unreached else "provider")
    return {**_cached(entry), "status": status, "http_status_code": code, "error_origin": origin}


def _cached(entry: dict[str, Any]) -> dict[str, Any]:
    cache = litellm.as_dict(entry.get("cache"))
    found = _CACHE.get(str(cache.get("cache_status")).lower())
    return {"gateway_cache_status": "semantic_hit" if found == "hit" and cache.get("embeddings_provider") else found}


def _streamed(entry: dict[str, Any], meta: dict[str, Any], upstream: float | None) -> dict[str, Any]:
    mode = meta.get("request_mode")
    stream = None if mode is None else mode == "stream"
    first = gateways.seconds(litellm.as_dict(entry.get("usage")).get("time_to_first_token"), "time_to_first_token")
    # What is not streamed has its end there, which is no first chunk.
    begun = first is not None and stream is not False and (upstream is None or first < upstream)
    return {"request_stream": stream, "time_to_first_chunk_s": first if begun else None}


def _used(entry: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    counts = dict(litellm.as_dict(entry.get("usage")))
    for name in ("prompt_token", "completion_token"):  # as older versions spell it
        counts.setdefault(f"{name}s", counts.get(name))
    used = usage.openai(counts)
    if found["status"] != "ok" and not used["input_tokens"] and not used["output_tokens"]:
        used = {}
    return {**used, "reported_cost_usd": gateways.reported(values.usd(counts.get("cost"), "usage.cost"), found)}


def _helper(name: str, entry: dict[str, Any], shared: dict[str, Any]) -> dict[str, Any]:
    """Give the call that a plugin made beside the request: of its own, so that it counts and does not mix."""
    meta = litellm.as_dict(entry.get("meta"))
    own = f"{shared['source_record_id']}/{name}"
    found = {
        **shared,
        **_target({}, meta, meta),
        "source_record_id": own,
        "request_id": own,
        "status": "ok",
        "attributes": None,
    }
    found |= {
        "service_name": name,
        "duration_s": gateways.seconds(meta.get("llm_latency"), "llm_latency"),
        **_cached(entry),
    }
    return found | _used(entry, found)


def _score(
    name: str, entry: dict[str, Any], record: dict[str, Any], shared: dict[str, Any], context: Context
) -> Feedback | None:
    score = values.number(litellm.as_dict(entry.get("usage")).get(_SCORE), _SCORE)
    if score is None:
        return None
    if not _WORST <= score <= _BEST:
        raise BadRecordError(OUT_OF_RANGE, f"{_SCORE}: not from 1 to 100")
    took = gateways.seconds(litellm.as_dict(record.get("latencies")).get("request"), "latencies.request") or 0.0
    found = {
        "time": shared["start_time"] + timedelta(seconds=took),
        "target_kind": "request",
        "target_id": shared["request_id"],
        "trace_id": shared["trace_id"],
        "name": _SCORE,
        "value_type": "numeric",
        "score_value": score,
        "scale_min": _WORST,
        "scale_max": _BEST,
        "score_normalized": (score - _WORST) / (_BEST - _WORST),
        "evaluator_kind": "llm",
        "evaluator_id": name,
        "evaluator_model": gateways.model_of(litellm.as_dict(entry.get("meta")).get("response_model")),
    }
    return rows.feedback(NAME, f"{shared['source_record_id']}/{name}", found, context)


def _objects(value: Any, name: str) -> list[dict[str, Any]]:
    found = value or []
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise BadRecordError(WRONG_TYPE, f"{name}: expected a list of objects")
    return found
