"""OpenAI's organization usage and costs: pages of buckets as the API answers, or one result a line.

Usage counts tokens and calls, costs say what was billed: both are rows of the usage table, side by side. A bucket
that is loaded before it is over (or settled, a few days later) gives way to what a later load says of it. An amount
in another currency than dollars is no cost in dollars; its currency stays in the attributes. A line item such as
`gpt-4o-2024-08-06, cached input` names the model and the class of tokens; one that does not say so stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from msgspec import Struct

from fairlead.ingest import attributes, rows, values
from fairlead.ingest.context import Context
from fairlead.ingest.quarantine import MISSING_FIELD, WRONG_TYPE, BadRecordError
from fairlead.ingest.told import as_dict

__all__ = ["NAME", "read", "recognises", "split"]

NAME: Final = "openai_usage"
_RESULTS: Final = ("organization.usage.", "organization.costs.")
_SETTLED: Final = timedelta(days=3)
_GROUPS: Final = (  # noqa: SIM905  what tells the results of a bucket apart
    "object project_id user_id api_key_id model batch service_tier line_item organization_id source size"
).split()
_COUNTS: Final = {
    "requests": "num_model_requests",
    "input_tokens": "input_tokens",
    "cache_read_input_tokens": "input_cached_tokens",
    "cache_creation_input_tokens": "input_cache_write_tokens",
    "output_tokens": "output_tokens",
}
_DETAILS: Final = (  # noqa: SIM905  parts of the tokens, and what is not counted in tokens
    "input_text_tokens input_audio_tokens input_image_tokens input_cached_text_tokens input_cached_audio_tokens"
    " input_cached_image_tokens output_text_tokens output_audio_tokens output_image_tokens images characters seconds"
    " num_sessions usage_bytes"
).split()
_MAPPED: Final = frozenset(
    (*_GROUPS, *_COUNTS.values(), *_DETAILS, "bucket_start_time", "bucket_end_time", "start_time", "end_time", "amount")
) - {"object", "source", "size"}
_LINE: Final = re.compile(
    r"(?:(?P<tier>[a-z]+) \| )?(?P<model>[\w.:\-]+)(?: (?P<kind>text|audio|image))?"
    r"(?:, (?P<part>input|output|cached input|cache writes)(?:, long context)?)?"
)
_MODEL: Final = re.compile(r"(?:gpt|chatgpt|o\d|text-|ft:|whisper|tts|dall-e|codex|omni|davinci|babbage|sora)[\w.:\-]*")
_METERS: Final = {
    "input": "input",
    "output": "output",
    "cached input": "cache_read",
    "cache writes": "cache_creation",
    "input_tokens": "input",
    "output_tokens": "output",
}
_KINDS: Final = {"text": "", "audio": "_audio", "image": "_image"}


def recognises(record: dict[str, Any]) -> bool:
    """Say whether a record is a page, a bucket or a result of the usage or the costs API."""
    kind = record.get("object")
    if kind == "page":
        inside = record.get("data")
        return isinstance(inside, list) and all(_is_bucket(bucket) for bucket in inside)
    return _is_bucket(record) or (isinstance(kind, str) and kind.startswith(_RESULTS))


def split(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Give the results of a page or a bucket, each with the bucket's span; a result stands for itself."""
    if document.get("object") == "page":
        inside = document.get("data")
        if not isinstance(inside, list):
            raise BadRecordError(WRONG_TYPE, "data: expected a list of buckets")
        for bucket in inside:
            yield from split(as_dict(bucket))
    elif _is_bucket(document):
        span = {"bucket_start_time": document.get("start_time"), "bucket_end_time": document.get("end_time")}
        for result in _inside(document):
            yield {**as_dict(result), **span}
    else:
        yield document


def read(record: dict[str, Any], context: Context) -> Iterator[Struct]:
    """Give the usage row of a result."""
    start, end = _moment(record, "bucket_start_time", "start_time"), _moment(record, "bucket_end_time", "end_time")
    kind = values.required(values.text(record.get("object")), "object")
    if not kind.startswith(_RESULTS):
        raise BadRecordError(MISSING_FIELD, "object: neither a usage nor a costs result")
    details = {name: count for name in _DETAILS if (count := values.integer(record.get(name), name))}
    found = {
        "bucket_start": start,
        "bucket_end": end,
        "source_updated_at": min(context.ingested_at, end + _SETTLED),
        "provider_name": "openai",
        "model": values.text(record.get("model")),
        "project_id": values.text(record.get("project_id")),
        "user_id": values.text(record.get("user_id")),
        "api_key_id": values.text(record.get("api_key_id")),
        "service_tier": values.text(record.get("service_tier")),
        "is_batch": record.get("batch"),
        "usage_details": details or None,
        **{column: values.integer(record.get(name), name) for column, name in _COUNTS.items()},
        **_billed(record),
    }
    yield rows.usage(NAME, _own(record, start, end, context), found, context)


def _own(record: dict[str, Any], start: datetime, end: datetime, context: Context) -> str:
    """Name a result by its span and by what tells it from the others, so that its counts may change."""
    groups = [values.text(_plain(record.get(name))) or "" for name in _GROUPS]
    groups[_GROUPS.index("user_id")] = context.hashed(groups[_GROUPS.index("user_id")])
    return "/".join((str(round(start.timestamp())), str(round(end.timestamp())), *groups))


def _billed(record: dict[str, Any]) -> dict[str, Any]:
    amount, line = as_dict(record.get("amount")), values.text(record.get("line_item"))
    currency = values.text(amount.get("currency"))
    dollars = currency is not None and currency.lower() == "usd"
    kept = attributes.keep(record, _MAPPED) | ({} if dollars else attributes.keep(amount, ()))
    found = {"line_item": line, "attributes": attributes.encode(kept), **({} if line is None else _item(line))}
    return {**found, "cost_usd": values.usd(amount.get("value"), "amount.value", credit=True) if dollars else None}


def _item(line: str) -> dict[str, Any]:
    """Give what a line item says: the model, the class of tokens, the tier; nothing where it is not clear."""
    if line in _METERS:
        return {"meter": _METERS[line]}
    said = _LINE.fullmatch(line)
    if said is None or (said["part"] is None and not _MODEL.fullmatch(said["model"])):
        return {}
    found = {"model": said["model"], **({"service_tier": said["tier"]} if said["tier"] else {})}
    return {**found, "meter": _METERS[said["part"]] + _KINDS[said["kind"] or "text"]} if said["part"] else found


def _is_bucket(value: Any) -> bool:
    return isinstance(value, dict) and value.get("object") == "bucket" and isinstance(_inside(value), list)


def _inside(bucket: dict[str, Any]) -> Any:
    return bucket.get("results", bucket.get("result"))


def _moment(record: dict[str, Any], *names: str) -> datetime:
    name = next((name for name in names if record.get(name) is not None), names[0])
    found: datetime = values.required(values.moment(record.get(name), name), name)
    return found


def _plain(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value
