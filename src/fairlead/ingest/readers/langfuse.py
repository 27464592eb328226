"""Langfuse's exports of observations (`observations/` and `observations_v2/`) and of scores.

An observation of the type GENERATION or EMBEDDING is an attempt and a request of its own, named by its id, by which
scores name it too. Observations of other types (spans, tools, agents, events) are set aside as `no_model_call`, since
each of them is a row of its own; so are the rows of `traces/`. Rows that were updated replace what they were.

Usage and cost are maps. Langfuse counts each class of tokens once, so what begins with `input` sums to the input and
what begins with `output` to the output; where the two plain counts alone make up the total, the others are parts of
them. The prompt in `input` goes no further than its features. The export names no provider: it is taken from the
model (`openai/gpt-4o`) or from the metadata that instrumentations leave, else it is unknown.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from msgspec import Struct

from fairlead.ingest import attributes, langfuse_usage, litellm, prompts, rows, scores, values
from fairlead.ingest.context import Context
from fairlead.ingest.otlp import gateways, messages
from fairlead.ingest.quarantine import MISSING_FIELD, NO_MODEL_CALL, UNKNOWN_VALUE, BadRecordError
from fairlead.schema import Attempt, Feedback
from fairlead.scoring.offer import offered, toolset

__all__ = ["NAME", "read", "recognises"]

NAME: Final = "langfuse"
_CALLS: Final = {"GENERATION": "chat", "EMBEDDING": "embeddings"}
_TYPES: Final = ("NUMERIC", "BOOLEAN", "CATEGORICAL", "TEXT", "CORRECTION")
_PROVIDERS: Final = ("ls_provider", "gen_ai.provider.name", "gen_ai.system", "custom_llm_provider", "provider")
_MAPPED: Final = frozenset(
    (  # noqa: SIM905  one a line would fill the screen
        "id trace_id parent_observation_id environment start_time end_time level status_message input output"
        " provided_model_name model_parameters usage_details completion_start_time prompt_name project_id total_cost"
        " latency time_to_first_token updated_at tool_calls tool_definitions user_id session_id tags metadata"
    ).split()
)
_SCORE: Final = frozenset(
    (  # noqa: SIM905
        "id timestamp trace_id observation_id session_id name value string_value data_type comment updated_at"
        " author_user_id"
    ).split()
)


def recognises(record: dict[str, Any]) -> bool:
    """Say whether a record is an exported observation, score or trace of Langfuse."""
    if "data_type" in record and "string_value" in record:
        return "observation_id" in record
    if "provided_model_name" in record or "parent_observation_id" in record:
        return "type" in record and "start_time" in record
    return "bookmarked" in record and "session_id" in record and "timestamp" in record


def read(record: dict[str, Any], context: Context) -> Iterator[Struct]:
    """Give the attempt of an observation and what is known of its request, or the feedback of a score."""
    if "data_type" in record:
        yield _feedback(record, context)
        return
    if str(record.get("type")) not in _CALLS:
        raise BadRecordError(NO_MODEL_CALL, "type: neither GENERATION nor EMBEDDING")
    prompt = _prompt(record.get("input"))
    attempt = _attempt(record, prompt, context)
    yield attempt
    route = (attempt.tags or {}).get("route") or attempt.prompt_name or attempt.request_model
    tools = _object(record, "tool_definitions")
    said = offered(_object(record, "model_parameters"))
    said = said._replace(tools=len(tools), toolset=toolset(tools)) if tools else said
    features = prompts.features(attempt, prompt, context, route=route, offer=said)
    if features is not None:
        yield features


def _attempt(record: dict[str, Any], prompt: prompts.Prompt | None, context: Context) -> Attempt:
    own = values.required(values.text(record.get("id")), "id")
    metadata, asked = _object(record, "metadata"), _object(record, "model_parameters")
    provider, model = _model(record, metadata)
    found = {
        "source_record_id": own,
        "source_updated_at": values.moment(record.get("updated_at"), "updated_at"),
        "trace_id": values.text(record.get("trace_id")),
        "span_id": own,
        "parent_span_id": values.text(record.get("parent_observation_id")),
        "conversation_id": values.text(record.get("session_id")),
        "environment": values.text(record.get("environment")),
        "project_id": values.text(record.get("project_id")),
        "prompt_name": values.text(record.get("prompt_name")),
        "user_id": values.text(record.get("user_id")),
        "tags": litellm.tags(values.jsoned(record.get("tags"), "tags")),
        "operation_name": _CALLS[record["type"]],
        "provider_name": provider,
        "request_model": values.text(record.get("provided_model_name")),
        "response_model": model,
        "request_max_tokens": values.integer(asked.get("max_tokens"), "model_parameters.max_tokens"),
        "request_temperature": values.number(asked.get("temperature"), "model_parameters.temperature"),
        "prompt_sha256": None if prompt is None else context.prompt_hash(prompt.text),
        "input_chars": None if prompt is None else len(prompt.text),
        "attributes": _attributes(record, metadata, asked),
        **_times(record),
        **langfuse_usage.read(_object(record, "usage_details")),
        # The level says that it failed; why is in a message that may quote the prompt.
        "status": "error" if record.get("level") == "ERROR" else "ok",
        "is_final": None if record.get("level") == "ERROR" else True,
        **_gateway(metadata),
        "request_id": own,  # an echoed one would not be what scores name
    }
    if found["status"] == "error" and not found["input_tokens"] and not found["output_tokens"]:
        found |= {"input_tokens": None, "output_tokens": None}
    costs = _object(record, "cost_details")
    total = record.get("total_cost")
    found["reported_cost_usd"] = litellm.reported(costs.get("total") if total in (None, "") else total, found)
    return rows.attempt(NAME, found, context)


def _times(record: dict[str, Any]) -> dict[str, Any]:
    """Give start, duration and first token from the moments: older exports have their spans of time in ms."""
    start = values.required(values.moment(record.get("start_time"), "start_time"), "start_time")
    end = values.moment(record.get("end_time"), "end_time")
    first = values.moment(record.get("completion_start_time"), "completion_start_time")
    return {
        "start_time": start,
        "duration_s": (end - start).total_seconds() if end is not None and end >= start else None,
        "time_to_first_chunk_s": (first - start).total_seconds() if first is not None and first > start else None,
        "request_stream": True if first is not None and end is not None and first < end else None,
    }


def _gateway(metadata: dict[str, Any]) -> dict[str, Any]:
    """Give what a gateway left in the metadata: LiteLLM's keys and teams, the decision that fairlead made."""
    return gateways.read({f"metadata.{name}": value for name, value in metadata.items()})


def _model(record: dict[str, Any], metadata: dict[str, Any]) -> tuple[str | None, str | None]:
    model = values.text(record.get("provided_model_name"))
    nested = litellm.as_dict(metadata.get("attributes"))
    told = next(
        (one[name] for one in (metadata, nested) for name in _PROVIDERS if isinstance(one.get(name), str)), None
    )
    if model and "/" in model and (told is None or model.startswith(f"{told}/")):
        told, model = model.split("/", 1)
    return told, model


def _attributes(record: dict[str, Any], metadata: dict[str, Any], asked: dict[str, Any]) -> str | None:
    costs = {name: value for name, value in _object(record, "cost_details").items() if isinstance(value, (int, float))}
    parts = {"metadata": attributes.keep(metadata, ()), "model_parameters": attributes.keep(asked, ())}
    kept = {name: part for name, part in {**parts, "cost_details": costs}.items() if part}
    return attributes.encode({**attributes.keep(record, _MAPPED | {"cost_details"}), **kept})


def _prompt(given: Any) -> prompts.Prompt | None:
    """Read the input of a generation: messages, an object that holds them, or text."""
    try:
        found = values.jsoned(given, "input") if isinstance(given, str) and given[:1] in ("[", "{") else given
    except BadRecordError:
        found = given
    if isinstance(found, dict):
        found = found.get("messages") or found.get("prompt") or ([found] if "content" in found else None)
    return messages.read({"gen_ai.input.messages": found}, [])


def _feedback(record: dict[str, Any], context: Context) -> Feedback:
    own = values.required(values.text(record.get("id")), "id")
    kind, target = _target(record)
    updated = values.moment(record.get("updated_at"), "updated_at")
    person = values.text(record.get("author_user_id"))
    source = str(record.get("source"))
    found = {
        "time": values.required(values.moment(record.get("timestamp"), "timestamp"), "timestamp"),
        "source_updated_at": updated,
        "target_kind": kind,
        "target_id": target,
        "trace_id": values.text(record.get("trace_id")),
        "name": values.required(values.text(record.get("name")), "name"),
        **_score(record),
        # A score that came by the API may be a thumb, a test or a judge's: people's thumbs are what it is used for.
        "evaluator_kind": scores.evaluator(source, "human" if record.get("data_type") == "BOOLEAN" else "code"),
        "evaluator_id": None if person is None else context.hashed(person),
        "attributes": attributes.pack(record, _SCORE),
    }
    return rows.feedback(NAME, own, found, context)


def _target(record: dict[str, Any]) -> tuple[str, str]:
    for name, kind in (("observation_id", "request"), ("trace_id", "trace"), ("session_id", "conversation")):
        found = values.text(record.get(name))
        if found is not None:
            return kind, found
    raise BadRecordError(MISSING_FIELD, "observation_id, trace_id or session_id: the score is of none of them")


def _score(record: dict[str, Any]) -> dict[str, Any]:
    kind = record.get("data_type")
    if kind not in _TYPES:
        raise BadRecordError(MISSING_FIELD if kind in (None, "") else UNKNOWN_VALUE, "data_type")
    value = values.number(record.get("value"), "value")
    if kind == "BOOLEAN":
        values.required(value, "value")
        return scores.of(bool(value)) | {"score_label": scores.label(record.get("string_value"))}
    if kind == "NUMERIC":
        return {"value_type": "numeric", "score_value": values.required(value, "value")}
    if kind == "CATEGORICAL":
        # The number is the place of the category in a list that is not exported; it is no measure.
        return {
            "value_type": "categorical",
            "score_value": value,
            "score_label": scores.label(record.get("string_value")),
        }
    return {"value_type": "demonstration" if kind == "CORRECTION" else "text"}


def _object(record: dict[str, Any], name: str) -> dict[str, Any]:
    return litellm.as_dict(values.jsoned(record.get(name), name))
