"""TensorZero's tables, from ClickHouse or Postgres: inferences, the calls of models behind them, feedback.

* A row of ModelInference is an attempt; `inference_id` names its request. It is written when the answer is there, so
  where its id tells the moment (a UUID of version 7), the call began that much earlier; else `timestamp` is the start.
* A row of ChatInference or JsonInference is the request, not a call: it becomes what is known of the request
  (features of the prompt, function as the route, tools), and never an attempt, so that no call is counted and no
  money is spent twice, whichever of the tables is loaded, in which order. It is joined by `request_id`.
  Its episode, variant and tags have no column there, and are not kept.
* Feedback is on an inference or on an episode. The rows of boolean and float metrics do not say which, so their
  target is taken for an inference, whose request it is; an episode's id finds no request. True is taken for good and a
  number has no known scale: which way is better stands in TensorZero's configuration. Comments and demonstrations are
  content: that they were given is kept, their text is not.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from msgspec import Struct

from fairlead.ingest import attributes, litellm, prompts, rows, scores, values
from fairlead.ingest.context import Context
from fairlead.schema import Attempt, Feedback, RequestFeatures, record_id
from fairlead.scoring.offer import offered
from fairlead.scoring.request import FEATURE_VERSION

__all__ = ["NAME", "read", "recognises"]

NAME: Final = "tensorzero"
_MAPPED: Final = frozenset(
    (  # noqa: SIM905  one a line would fill the screen
        "id inference_id raw_request raw_response system input_messages output input_tokens output_tokens"
        " response_time_ms model_name model_provider_name ttft_ms cached finish_reason cost"
        " provider_cache_read_input_tokens provider_cache_write_input_tokens timestamp created_at function_name"
        " variant_name provider_response_id response_model_name operation"
    ).split()
)
_FEEDBACK: Final = frozenset(
    (  # noqa: SIM905
        "table id target_id inference_id target_type metric_name value tags timestamp created_at"
    ).split()
)
_NEAR: Final = timedelta(seconds=1)
_VERSION: Final = 7


def recognises(record: dict[str, Any]) -> bool:
    """Say whether a record is a row of one of TensorZero's tables."""
    if "id" not in record:
        return False
    if "inference_id" in record and "model_provider_name" in record:
        return True
    return _is_request(record) or _is_feedback(record)


def read(record: dict[str, Any], context: Context) -> Iterator[Struct]:
    """Give the attempt and what is known of its request, the request alone, or the feedback."""
    if _is_feedback(record):
        yield _feedback(record, context)
        return
    if _is_request(record):
        yield _request(record, context)
        return
    prompt = _prompt(record.get("system"), values.jsoned(record.get("input_messages"), "input_messages"))
    attempt = _attempt(record, prompt, context)
    yield attempt
    route = attempt.prompt_name or attempt.request_model
    features = prompts.features(attempt, prompt, context, route=route)
    if features is not None:
        yield features


def _is_request(record: dict[str, Any]) -> bool:
    return "function_name" in record and "episode_id" in record and "processing_time_ms" in record


def _is_feedback(record: dict[str, Any]) -> bool:
    if "value" not in record:
        return False
    return ("target_id" in record and ("metric_name" in record or "target_type" in record)) or _is_demonstration(record)


def _is_demonstration(record: dict[str, Any]) -> bool:
    return "inference_id" in record and "model_name" not in record and "function_name" not in record


def _attempt(record: dict[str, Any], prompt: prompts.Prompt | None, context: Context) -> Attempt:
    name = values.text(record.get("model_name"))
    cached = record.get("cached") in (True, "true", "True", 1, "1")
    found = {
        "source_record_id": values.required(values.text(record.get("id")), "id"),
        "request_id": values.required(values.text(record.get("inference_id")), "inference_id"),
        "response_id": values.text(record.get("provider_response_id")),
        "provider_name": values.text(record.get("model_provider_name")),
        "request_model": name,
        "response_model": values.text(record.get("response_model_name")) or _bare(name),
        "operation_name": values.text(record.get("operation")) or "chat",
        "prompt_name": values.text(record.get("function_name")),
        "variant": values.text(record.get("variant_name")),
        "finish_reason": values.text(record.get("finish_reason")),
        "gateway_cache_status": "hit" if cached else "miss" if record.get("cached") is not None else None,
        "attempt_kind": "cache" if cached else None,
        "status": "ok",  # a call that failed has no row
        "is_final": True,
        "prompt_sha256": None if prompt is None else context.prompt_hash(prompt.text),
        "input_chars": None if prompt is None else len(prompt.text),
        "attributes": attributes.pack(record, _MAPPED),
        **_times(record),
        **_tokens(record),
    }
    found["reported_cost_usd"] = litellm.reported(record.get("cost"), found)
    return rows.attempt(NAME, found, context)


def _times(record: dict[str, Any]) -> dict[str, Any]:
    took = values.number(record.get("response_time_ms"), "response_time_ms")
    first = values.number(record.get("ttft_ms"), "ttft_ms")
    written = _written(record)
    start = values.required(written, "timestamp")
    ended, asked = _of_id(record.get("id")), _of_id(record.get("inference_id"))
    if ended is not None and took is not None and abs(ended - start) <= _NEAR:
        began = ended - timedelta(milliseconds=min(max(took, 0.0), 86_400_000.0))
        start = max(began, asked) if asked is not None and asked <= ended else began
    return {
        "start_time": start,
        "duration_s": None if took is None else took / 1000,
        "time_to_first_chunk_s": first / 1000 if first else None,
        "request_stream": True if first else None,
    }


def _tokens(record: dict[str, Any]) -> dict[str, Any]:
    """Give the counts; the gateway's input includes the cached tokens, as their prices show."""
    given = values.integer(record.get("input_tokens"), "input_tokens")
    read = values.integer(record.get("provider_cache_read_input_tokens"), "provider_cache_read_input_tokens")
    created = values.integer(record.get("provider_cache_write_input_tokens"), "provider_cache_write_input_tokens")
    parts = (read or 0) + (created or 0)
    return {
        "input_tokens": given + parts if given is not None and parts > given >= 0 else given,
        "cache_read_input_tokens": read,
        "cache_creation_input_tokens": created,
        "output_tokens": values.integer(record.get("output_tokens"), "output_tokens"),
    }


def _request(record: dict[str, Any], context: Context) -> RequestFeatures:
    own = values.required(values.text(record.get("id")), "id")
    given = litellm.as_dict(values.jsoned(record.get("input"), "input"))
    prompt = _prompt(given.get("system"), given.get("messages"))
    start = _of_id(own)
    written = values.required(_written(record), "timestamp")
    start = start if start is not None and abs(start - written) <= _NEAR else written
    tools = values.jsoned(record.get("dynamic_tools"), "dynamic_tools")
    return RequestFeatures(
        event_id=record_id(NAME, context.source_instance, "inference", own),
        event_date=start.date(),
        source=NAME,
        request_id=own[:1024],
        start_time=start,
        feature_version=FEATURE_VERSION,
        prompt_sha256=None if prompt is None else context.prompt_hash(prompt.text),
        route=values.required(values.text(record.get("function_name")), "function_name")[:512],
        tools=min(len(tools), 32_767) if isinstance(tools, list) and tools else None,
        toolset=offered({"tools": tools}).toolset,
        images=None if prompt is None else min(prompt.images, 32_767),
        turn=None if prompt is None else min(prompt.turn, 32_767),
        text=context.features("" if prompt is None else prompt.text),
    )


def _feedback(record: dict[str, Any], context: Context) -> Feedback:
    own = values.required(values.text(record.get("id")), "id")
    shown = _is_demonstration(record)
    target = values.text(record.get("inference_id" if shown else "target_id"))
    tags = dict(litellm.as_dict(values.jsoned(record.get("tags"), "tags")))
    author = values.text(tags.pop("author", None))
    found = {
        "time": values.required(_written(record), "timestamp"),
        "target_kind": "conversation" if record.get("target_type") == "episode" else "request",
        "target_id": values.required(target, "inference_id" if shown else "target_id"),
        **_said(record, shown),
        "evaluator_kind": "human",
        "evaluator_id": None if author is None else context.hashed(author),
        "tags": {str(name): value for name, value in tags.items() if scores.label(value)},
        "attributes": attributes.pack(record, _FEEDBACK),
    }
    return rows.feedback(NAME, own, found, context)


def _said(record: dict[str, Any], shown: bool) -> dict[str, Any]:
    if shown:
        return {"name": "demonstration", "value_type": "demonstration"}
    if "metric_name" not in record:
        return {"name": "comment", "value_type": "text"}
    name = values.required(values.text(record.get("metric_name")), "metric_name")
    value = {"true": True, "false": False}.get(str(record.get("value")).lower(), record.get("value"))
    if record.get("table") == "BooleanMetricFeedback" and value in (0, 1, "0", "1"):
        value = bool(int(value))
    if isinstance(value, bool):
        return {"name": name, **scores.of(value)}
    number = values.required(values.number(value, "value"), "value")
    return {"name": name, "value_type": "numeric", "score_value": number}


def _prompt(system: Any, messages: Any) -> prompts.Prompt | None:
    """Read the messages; the system prompt may be the arguments of a template, of which the texts are taken."""
    told = list(system.values()) if isinstance(system, dict) else [system]
    first = [{"role": "system", "content": [text for text in told if isinstance(text, str)]}]
    return prompts.read([*first, *messages] if isinstance(messages, list) else first)


def _written(record: dict[str, Any]) -> datetime | None:
    """Give the moment of a row: of Postgres, of ClickHouse, or of the id that ClickHouse takes it from."""
    for name in ("timestamp", "created_at"):
        found = values.moment(record.get(name), name)
        if found is not None:
            return found
    return _of_id(record.get("id"))


def _of_id(given: Any) -> datetime | None:
    try:
        found = UUID(given)
    except (ValueError, TypeError, AttributeError):
        return None
    if found.version != _VERSION:
        return None
    try:
        return datetime.fromtimestamp((found.int >> 80) / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return None


def _bare(name: str | None) -> str | None:
    """Give the model of a short name: `openai::gpt-4o-mini` is a model of a provider."""
    return None if name is None else name.rsplit("::", 1)[-1] or None
