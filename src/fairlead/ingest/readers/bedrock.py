"""AWS Bedrock's model invocation log, as it is delivered to S3 or CloudWatch Logs: one JSON object a call.

* `timestamp` is taken as the start, to the second; only Converse and streams say how long a call took.
* `modelId` may be an ARN. Of a foundation model or a system's inference profile it names the model; of anything else
  (application profiles, provisioned or imported models) it names a deployment, and the answer's body the model.
* A guardrail that stopped the call gives `blocked`: it says so as the stop reason, or it intervened and nothing came.
* `requestMetadata` becomes tags, and the decision that it echoes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from msgspec import Struct

from fairlead.ingest import attributes, bedrock_body, messages, outcomes, prompts, rows, values
from fairlead.ingest.context import Context
from fairlead.ingest.quarantine import BadRecordError
from fairlead.ingest.told import as_dict, told
from fairlead.scoring.offer import offered

__all__ = ["NAME", "read", "recognises"]

NAME: Final = "bedrock"
_SCHEMA: Final = "ModelInvocationLog"
_MAPPED: Final = frozenset(
    (  # noqa: SIM905  one a line would fill the screen
        "schemaType schemaVersion timestamp accountId identity region requestId modelId input output"
        " errorCode requestMetadata"
    ).split()
)
_PARAMETERS: Final = ("inferenceConfig", "additionalModelRequestFields", "top_k", "top_p", "thinking")
_MODEL_ARN: Final = re.compile(r"arn:aws[\w-]*:bedrock:[^/]*:(?:foundation-model|inference-profile)/(.+)")
_CLASSES: Final = {  # names that do not say it as others do
    "ThrottlingException": "rate_limit",
    "ServiceQuotaExceededException": "rate_limit",
    "AccessDeniedException": "auth",
    "ModelErrorException": "server",
    "ModelNotReadyException": "server",
    "ModelStreamErrorException": "server",
}
_BLOCKED: Final = {
    "status": "blocked",
    "error_type": "guardrail_intervened",
    "error_class": "content_filter",
    "error_origin": "provider",
}


def recognises(record: dict[str, Any]) -> bool:
    """Say whether a record is of the invocation log."""
    return record.get("schemaType") == _SCHEMA and "modelId" in record


def read(record: dict[str, Any], context: Context) -> Iterator[Struct]:
    """Give the attempt and what is known of its request."""
    sent, got = as_dict(record.get("input")), as_dict(record.get("output"))
    asked = as_dict(_body(sent.get("inputBodyJson")))
    prompt = prompts.read(_prompt(asked))
    found = {**told(record.get("requestMetadata")), **_call(record, asked)}
    found |= _answer(record, sent, got)
    found |= {
        "content_ref": values.text(sent.get("inputBodyS3Path")),
        "prompt_sha256": None if prompt is None else context.prompt_hash(prompt.text),
        "input_chars": None if prompt is None else len(prompt.text),
        "attributes": _attributes(record, asked),
    }
    attempt = rows.attempt(NAME, found, context)
    yield attempt
    tags = found.get("tags", {})
    features = prompts.features(
        attempt,
        prompt,
        context,
        route=tags.get("route") or attempt.request_model,
        offer=offered(asked, whole=bool(asked)),
    )
    if features is not None:
        yield features


def _call(record: dict[str, Any], asked: dict[str, Any]) -> dict[str, Any]:
    operation = values.text(record.get("operation")) or ""
    model = values.required(values.text(record.get("modelId")), "modelId")
    own = values.required(values.text(record.get("requestId")), "requestId")
    settings = {**as_dict(asked.get("textGenerationConfig")), **as_dict(asked.get("inferenceConfig")), **asked}
    limits = ("max_tokens", "maxTokens", "max_new_tokens", "max_gen_len", "maxTokenCount", "max_tokens_to_sample")
    named = _MODEL_ARN.fullmatch(model)
    return {
        "source_record_id": own,
        "start_time": values.required(values.moment(record.get("timestamp"), "timestamp"), "timestamp"),
        "organization_id": values.text(record.get("accountId")),
        "user_id": values.text(as_dict(record.get("identity")).get("arn")),
        "operation_name": "embeddings" if "embed" in model else "chat",
        "request_stream": operation.endswith("Stream") if operation else None,
        "request_model": model,
        "provider_name": "aws.bedrock",
        "response_model": named.group(1) if named else None if model.startswith("arn:") else model,
        "deployment_id": model if model.startswith("arn:") and named is None else None,
        "region": values.text(record.get("region")),
        "request_max_tokens": next(
            (values.integer(settings[name], name) for name in limits if settings.get(name) is not None), None
        ),
        "request_temperature": values.number(settings.get("temperature"), "temperature"),
    }


def _answer(record: dict[str, Any], sent: dict[str, Any], got: dict[str, Any]) -> dict[str, Any]:
    answer = bedrock_body.read(_body(got.get("outputBodyJson")))
    counts = {name: part.get(name) for part in (sent, got) for name in part if name.endswith("TokenCount")}
    tokens = answer.tokens({name: count for name, count in counts.items() if count is not None})
    found: dict[str, Any] = {
        "duration_s": answer.duration_s(),
        "time_to_first_chunk_s": answer.first_s(),
        "finish_reason": answer.stop,
        "response_id": answer.own_id if isinstance(answer.own_id, str) else None,
        "service_tier": answer.tier if isinstance(answer.tier, str) else None,
    }
    if answer.model is not None and not _names_model(record["modelId"]):
        found["response_model"] = answer.model
    found |= _ended(record, answer, tokens)
    counted = tokens["input_tokens"] or tokens["output_tokens"]
    return found if found["status"] == "error" and not counted else {**found, **tokens}


def _ended(record: dict[str, Any], answer: bedrock_body.Answer, tokens: dict[str, Any]) -> dict[str, Any]:
    error = values.text(record.get("errorCode"))
    if error is not None:
        code = int(error) if error.isascii() and error.isdigit() and len(error) == 3 else None
        return outcomes.ended(code, error, _CLASSES.get(error))
    if answer.stop == "guardrail_intervened" or (answer.intervened and not tokens["output_tokens"]):
        return _BLOCKED
    return {"status": "ok"}


def _names_model(model: Any) -> bool:
    return not str(model).startswith("arn:") or _MODEL_ARN.fullmatch(str(model)) is not None


def _prompt(asked: dict[str, Any]) -> Any:
    if "messages" in asked:
        return messages.chat(asked.get("system"), asked["messages"])
    return asked.get("prompt") or asked.get("inputText")


def _body(body: Any) -> Any:
    """Give a body that is JSON in text as what it says; one that is not JSON is content and nothing else."""
    try:
        return values.jsoned(body, "body")
    except BadRecordError:
        return None


def _attributes(record: dict[str, Any], asked: dict[str, Any]) -> str | None:
    settings = attributes.keep({name: asked[name] for name in _PARAMETERS if name in asked}, ())
    return attributes.encode({**attributes.keep(record, _MAPPED), **({"settings": settings} if settings else {})})
