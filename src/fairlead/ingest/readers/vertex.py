"""Vertex AI's request-response log, exported from BigQuery: one row a call, of those that were sampled.

`logging_time` is when the call ended, so it starts `request_latency` (milliseconds) before. Names inside the bodies
are in snake or camel case, after the way the row was exported; bodies may be JSON in text. Gemini's candidates leave
thoughts out of the output. A prompt or an answer that the safety filters stopped before a token came is `blocked`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

from msgspec import Struct

from fairlead.ingest import attributes, messages, outcomes, prompts, rows, usage, values
from fairlead.ingest.context import Context
from fairlead.ingest.quarantine import OUT_OF_RANGE, BadRecordError
from fairlead.ingest.told import as_dict, told
from fairlead.scoring.offer import offered

__all__ = ["NAME", "read", "recognises"]

NAME: Final = "vertex"
_MAPPED: Final = frozenset(
    (  # noqa: SIM905  one a line would fill the screen
        "endpoint deployed_model_id logging_time request_id model metadata full_request full_response"
        " request_payload response_payload otel_log"
    ).split()
)
_PATH: Final = re.compile(r"projects/([^/]+)/locations/([^/]+)/")
_METHODS: Final = {"rawpredict": "chat", "embedcontent": "embeddings", "predict": "chat", "chatcompletions": "chat"}
_COUNTED: Final = frozenset(
    (  # noqa: SIM905  one a line would fill the screen
        "candidates_token_count candidatesTokenCount thoughts_token_count thoughtsTokenCount"
        " cached_content_token_count cachedContentTokenCount total_token_count totalTokenCount"
    ).split()
)
_FILTERED: Final = frozenset({"SAFETY", "PROHIBITED_CONTENT", "BLOCKLIST", "SPII", "IMAGE_SAFETY", "MODEL_ARMOR"})


def recognises(record: dict[str, Any]) -> bool:
    """Say whether a record is a row of the request-response log."""
    return "logging_time" in record and "api_method" in record and "full_request" in record


def read(record: dict[str, Any], context: Context) -> Iterator[Struct]:
    """Give the attempt and what is known of its request."""
    asked = as_dict(values.jsoned(record.get("full_request"), "full_request"))
    answer = _joined(values.jsoned(record.get("full_response"), "full_response"))
    metadata = as_dict(values.jsoned(record.get("metadata"), "metadata"))
    prompt = prompts.read(_prompt(asked))
    found = {**told(asked.get("labels")), **_call(record, asked, answer), **_times(record, metadata, answer)}
    tokens = _tokens(answer)
    found |= _ended(answer, tokens)
    found |= tokens if found["status"] != "error" else {}
    found |= {
        "prompt_sha256": None if prompt is None else context.prompt_hash(prompt.text),
        "input_chars": None if prompt is None else len(prompt.text),
        "attributes": _attributes(record, metadata, answer),
    }
    attempt = rows.attempt(NAME, found, context)
    yield attempt
    features = prompts.features(
        attempt,
        prompt,
        context,
        route=found.get("tags", {}).get("route") or attempt.request_model,
        offer=offered(asked, whole=bool(asked)),
    )
    if features is not None:
        yield features


def _call(record: dict[str, Any], asked: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    model = values.text(record.get("model"))
    bare = None if model is None else model.rsplit("/", 1)[-1]
    method = (values.text(record.get("api_method")) or "").lower()
    path = _PATH.match(str(_either(asked, "model") or record.get("endpoint")))
    settings = as_dict(_either(asked, "generation_config", "generationConfig")) or asked
    limit = _either(settings, "max_output_tokens", "maxOutputTokens", "max_tokens")
    return {
        "source_record_id": values.required(_id(record.get("request_id")), "request_id"),
        "response_id": values.text(_either(answer, "response_id", "responseId", "id")),
        "provider_name": "gcp.vertex_ai",
        "operation_name": _METHODS.get(method.removeprefix("stream"), "generate_content"),
        "request_stream": method.startswith("stream") if method else None,
        "request_model": bare,
        "response_model": values.text(_either(answer, "model_version", "modelVersion")) or bare,
        "deployment_id": _id(record.get("deployed_model_id")),
        "project_id": path and path.group(1),
        "region": path and path.group(2),
        "request_max_tokens": values.integer(limit, "max_output_tokens"),
        "request_temperature": values.number(settings.get("temperature"), "temperature"),
    }


def _times(record: dict[str, Any], metadata: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    end = values.required(values.moment(record.get("logging_time"), "logging_time"), "logging_time")
    latency_ms = values.number(metadata.get("request_latency"), "request_latency")
    if latency_ms in (None, 0, -1):  # a call that was not timed
        created = values.moment(_either(answer, "create_time", "createTime"), "create_time")
        return {"start_time": created if created is not None and created <= end else end}
    if not 0 < latency_ms <= 86_400_000:
        raise BadRecordError(OUT_OF_RANGE, "request_latency: not between 0 and a day")
    return {"start_time": end - timedelta(milliseconds=latency_ms), "duration_s": latency_ms / 1000}


def _tokens(answer: dict[str, Any]) -> dict[str, Any]:
    counted = as_dict(_either(answer, "usage_metadata", "usageMetadata"))
    if counted:
        return usage.gemini(counted)
    other = as_dict(answer.get("usage"))  # models of other makers answer in their own words
    return usage.openai(other) if "prompt_tokens" in other else usage.anthropic(other) if other else {}


def _ended(answer: dict[str, Any], tokens: dict[str, Any]) -> dict[str, Any]:
    error = as_dict(answer.get("error"))
    if error:
        code = values.integer(error.get("code"), "error.code")
        return outcomes.ended(code, values.text(error.get("status")) or "error")
    candidates = answer.get("candidates")
    first = as_dict(candidates[0]) if isinstance(candidates, list) and candidates else {}
    reason = values.text(_either(first, "finish_reason", "finishReason") or _either(answer, "stop_reason"))
    feedback = as_dict(_either(answer, "prompt_feedback", "promptFeedback"))
    blocked = values.text(_either(feedback, "block_reason", "blockReason"))
    if blocked or (reason in _FILTERED and not tokens.get("output_tokens")):
        kinds = {"error_type": blocked or reason, "error_class": "content_filter", "error_origin": "provider"}
        return {"status": "blocked", "finish_reason": reason, **kinds}
    return {"status": "ok", "finish_reason": reason}


def _joined(answer: Any) -> dict[str, Any]:
    """Give an answer as one object; of a stream's chunks the later ones say more."""
    found: dict[str, Any] = {}
    for chunk in answer if isinstance(answer, list) else [answer]:
        found |= {name: value for name, value in as_dict(chunk).items() if value is not None}
    return found


def _prompt(asked: dict[str, Any]) -> Any:
    system = _either(asked, "system_instruction", "systemInstruction", "system")
    if "contents" in asked:
        return messages.chat(system, asked["contents"], "parts")
    return messages.chat(system, asked["messages"]) if "messages" in asked else None


def _attributes(record: dict[str, Any], metadata: dict[str, Any], answer: dict[str, Any]) -> str | None:
    counted = as_dict(_either(answer, "usage_metadata", "usageMetadata"))
    beside = {
        "metadata": attributes.keep(metadata, ("request_latency",)),
        "usage_metadata": attributes.keep(counted, _COUNTED),
    }
    kept = attributes.keep(record, _MAPPED)
    return attributes.encode({**kept, **{name: part for name, part in beside.items() if part}})


def _either(part: dict[str, Any], *names: str) -> Any:
    return next((part[name] for name in names if part.get(name) is not None), None)


def _id(value: Any) -> str | None:
    # BigQuery's NUMERIC: a number with more digits than a float holds.
    return format(value, "f") if isinstance(value, Decimal) and value.is_finite() else values.text(value)
