"""Azure OpenAI's diagnostic log, category RequestResponse: one JSON object a call, or many in `{"records": [...]}`.

The log says who called which deployment and how long it took, and not what for: tokens are unknown unless a body was
logged beside it. `properties` is an object or its JSON as text, its moments .NET ticks (100 ns since the year 1).
`time` is when the row was written, so a call starts at `requestTime` where that is there. A row without a
correlation id is known by its content.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any, Final

import msgspec
from msgspec import Struct

from fairlead.ingest import attributes, clock, outcomes, prompts, rows, usage, values
from fairlead.ingest.context import Context
from fairlead.ingest.quarantine import BadRecordError
from fairlead.ingest.told import as_dict
from fairlead.scoring.offer import offered

__all__ = ["NAME", "read", "recognises", "split"]

NAME: Final = "azure_openai"
_CATEGORY: Final = "RequestResponse"
_PROVIDER: Final = "COGNITIVESERVICES"
_MAPPED: Final = frozenset(
    (  # noqa: SIM905  one a line would fill the screen
        "Tenant location time callerIpAddress category correlationId durationMs operationName properties identity"
        " resultSignature requestTime responseTime objectId modelName modelVersion modelDeploymentName streamType"
        " requestBody responseBody"
    ).split()
)
_OPERATIONS: Final = {
    "ChatCompletions_Create": "chat",
    "Responses_Create": "chat",
    "Completions_Create": "text_completion",
    "Embeddings_Create": "embeddings",
}
_STREAMS: Final = {"streaming": True, "non-streaming": False}


def recognises(record: dict[str, Any]) -> bool:
    """Say whether a record is a RequestResponse row, or an envelope of such."""
    inside = record.get("records")
    first = inside[0] if isinstance(inside, list) and inside else record
    if not isinstance(first, dict) or "properties" not in first:
        return False
    return first.get("category") == _CATEGORY and _PROVIDER in str(first.get("resourceId")).upper()


def split(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Give the rows of an envelope, or the row that stands alone."""
    inside = document.get("records")
    for row in inside if isinstance(inside, list) else [document]:
        yield row if isinstance(row, dict) else {}


def read(record: dict[str, Any], context: Context) -> Iterator[Struct]:
    """Give the attempt and, where its body was logged, what is known of its request."""
    told = as_dict(values.jsoned(record.get("properties"), "properties"))
    asked, answered = _body(told.get("requestBody")), _body(told.get("responseBody"))
    prompt = prompts.read(asked.get("messages") or asked.get("prompt") or asked.get("input"))
    found = {**_call(record, told), **_times(record, told), **_ended(record)}
    if as_dict(answered.get("usage")):
        found |= usage.openai(answered["usage"])
    found |= {
        "response_id": values.text(answered.get("id")),
        "request_max_tokens": values.integer(
            asked.get("max_tokens") or asked.get("max_completion_tokens"), "max_tokens"
        ),
        "request_temperature": values.number(asked.get("temperature"), "temperature"),
        "prompt_sha256": None if prompt is None else context.prompt_hash(prompt.text),
        "input_chars": None if prompt is None else len(prompt.text),
        "attributes": _attributes(record, told),
    }
    attempt = rows.attempt(NAME, found, context)
    yield attempt
    features = prompts.features(
        attempt,
        prompt,
        context,
        route=attempt.request_model,
        offer=offered(asked, whole=bool(asked)),
    )
    if features is not None:
        yield features


def _call(record: dict[str, Any], told: dict[str, Any]) -> dict[str, Any]:
    operation = values.text(record.get("operationName"))
    deployment, model = values.text(told.get("modelDeploymentName")), values.text(told.get("modelName"))
    version = values.text(told.get("modelVersion"))
    return {
        "source_record_id": values.text(record.get("correlationId")) or _content(record),
        "provider_name": "azure.ai.openai",
        "operation_name": _OPERATIONS.get(operation or "", operation),
        "request_model": deployment or model,
        # Catalogues name a version as the model's maker does: gpt-4o-2024-08-06.
        "response_model": f"{model}-{version}" if model and version and version not in model else model,
        "deployment_id": deployment,
        "region": values.text(record.get("location") or record.get("Tenant")),
        "request_stream": _STREAMS.get(str(told.get("streamType")).lower()),
        "user_id": values.text(told.get("objectId")),
    }


def _times(record: dict[str, Any], told: dict[str, Any]) -> dict[str, Any]:
    start, end = (
        clock.ticks(told.get("requestTime"), "requestTime"),
        clock.ticks(told.get("responseTime"), "responseTime"),
    )
    lasted = clock.seconds(record.get("durationMs"), "durationMs")
    exact = start is not None and end is not None and end > start
    return {
        "start_time": values.required(start or values.moment(record.get("time"), "time"), "time"),
        "duration_s": (end - start).total_seconds() if exact and start and end else lasted,
    }


def _ended(record: dict[str, Any]) -> dict[str, Any]:
    status, code = outcomes.status(record.get("resultSignature"))
    if status is None:
        status, code = outcomes.status(record.get("resultType"))
    if code is not None:
        return outcomes.ended(code, None)
    return {"status": values.required(status, "resultSignature: neither a status code nor a known word")}


def _body(body: Any) -> dict[str, Any]:
    """Give a logged body; one that is cut off, or no JSON, is content and nothing else."""
    try:
        return as_dict(values.jsoned(body, "body"))
    except BadRecordError:
        return {}


def _content(record: dict[str, Any]) -> str:
    data = msgspec.json.encode(record, order="sorted", enc_hook=str)
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def _attributes(record: dict[str, Any], told: dict[str, Any]) -> str | None:
    kept = {**attributes.keep(record, _MAPPED), **attributes.keep(told, _MAPPED)}
    length = values.integer(told.get("responseLength"), "responseLength")
    return attributes.encode(kept if length is None else {**kept, "responseLength": length})
