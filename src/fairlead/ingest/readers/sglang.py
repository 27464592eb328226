"""SGLang's per-request metrics (`--export-metrics-to-file`): one JSON object a request, in a file an hour.

A record is the engine's `meta_info` beside `request_parameters`, which is JSON in text and may hold the prompt. The
moments are seconds since 1970. `request_received_ts` needs `--enable-metrics`; without it the start is the end less the
latency. The first versions of the export wrote no moment at all: such a record is given the hour of its file, and says
so in `attributes`; the store looks for it on every day, since a copy of the file may be of another. Without a file it
has no place in time, and is set aside rather than given the time of the load.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from msgspec import Struct

from fairlead.ingest import attributes, messages, outcomes, prompts, rows, values
from fairlead.ingest.context import Context
from fairlead.ingest.quarantine import MISSING_FIELD, OUT_OF_RANGE, BadRecordError
from fairlead.ingest.told import as_dict, told

__all__ = ["NAME", "read", "recognises"]

NAME: Final = "sglang"
_MAPPED: Final = frozenset(
    (  # noqa: SIM905  one a line would fill the screen
        "request_parameters id finish_reason prompt_tokens completion_tokens cached_tokens reasoning_tokens e2e_latency"
        " request_received_ts request_finished_ts response_sent_to_client_ts"
    ).split()
)
_STARTS: Final = ("request_received_ts",)
_ENDS: Final = ("request_finished_ts", "response_sent_to_client_ts", "decode_finished_ts")
_FIRST: Final = ("prefill_finished_ts", "prefill_finished_time")
_KEPT: Final = ("lora_path", "priority", "routed_dp_rank", "data_parallel_rank", "sampling_params")
_A_DAY_S: Final = 86_400


def recognises(record: dict[str, Any]) -> bool:
    """Say whether a record is one of SGLang's request metrics."""
    return "request_parameters" in record and ("e2e_latency" in record or "finish_reason" in record)


def read(record: dict[str, Any], context: Context) -> Iterator[Struct]:
    """Give the attempt and what is known of its request."""
    asked = as_dict(values.jsoned(record.get("request_parameters"), "request_parameters"))
    prompt = prompts.read(_prompt(asked))
    stream = asked.get("stream") if isinstance(asked.get("stream"), bool) else None
    found = {
        **told(asked.get("custom_labels")),
        **_call(record, asked),
        **_times(record, stream is True, context.written_at),
    }
    found |= _ended(record)
    if found["status"] == "ok" or record.get("completion_tokens"):
        found |= _tokens(record)
    found |= {
        "request_stream": stream,
        "prompt_sha256": None if prompt is None else context.prompt_hash(prompt.text),
        "input_chars": None if prompt is None else len(prompt.text),
        "attributes": _attributes(record, asked, untimed=not any(record.get(name) for name in (*_STARTS, *_ENDS))),
    }
    attempt = rows.attempt(NAME, found, context)
    yield attempt
    route = found.get("tags", {}).get("route") or attempt.request_model
    features = prompts.features(attempt, prompt, context, route=route)
    if features is not None:
        yield features


def _call(record: dict[str, Any], asked: dict[str, Any]) -> dict[str, Any]:
    settings = as_dict(asked.get("sampling_params"))
    model = values.text(asked.get("model"))
    return {
        "source_record_id": values.required(values.text(record.get("id")), "id"),
        "provider_name": "sglang",
        "request_model": model,
        "response_model": model,
        "request_max_tokens": values.integer(settings.get("max_new_tokens"), "max_new_tokens"),
        "request_temperature": values.number(settings.get("temperature"), "temperature"),
    }


def _times(record: dict[str, Any], stream: bool, written_at: datetime | None) -> dict[str, Any]:
    lasted = values.number(record.get("e2e_latency"), "e2e_latency") or None
    if lasted is not None and not 0 <= lasted <= _A_DAY_S:
        raise BadRecordError(OUT_OF_RANGE, "e2e_latency: not between 0 and a day")
    start, end, first = (_moment(record, names) for names in (_STARTS, _ENDS, _FIRST))
    if start is None and end is not None:
        start = end - timedelta(seconds=lasted or 0)
    start = start or written_at
    if start is None:
        raise BadRecordError(
            MISSING_FIELD,
            "request_received_ts: no moment in the record; start a newer SGLang with --enable-metrics",
        )
    found: dict[str, Any] = {"start_time": start, "duration_s": lasted}
    if stream and first is not None and first >= start:
        found["time_to_first_chunk_s"] = (first - start).total_seconds()
    return found


def _moment(record: dict[str, Any], names: tuple[str, ...]) -> datetime | None:
    return next((values.moment(record[name], name) for name in names if record.get(name)), None)


def _ended(record: dict[str, Any]) -> dict[str, Any]:
    """Give how it ended. An abort that has a status code is an error; one that has none, a caller who left."""
    reason = record.get("finish_reason")
    kind = values.text(reason.get("type") if isinstance(reason, dict) else reason)
    if kind != "abort":
        return {"status": "ok", "finish_reason": kind}
    code = values.integer(as_dict(reason).get("status_code"), "status_code")
    if code is None:
        return {"status": "cancelled", "finish_reason": kind, "error_class": "cancelled", "error_origin": "client"}
    return {**outcomes.ended(code, values.text(as_dict(reason).get("err_type")) or kind), "finish_reason": kind}


def _tokens(record: dict[str, Any]) -> dict[str, Any]:
    return {
        "input_tokens": values.integer(record.get("prompt_tokens"), "prompt_tokens"),
        "cache_read_input_tokens": values.integer(record.get("cached_tokens"), "cached_tokens"),
        "output_tokens": values.integer(record.get("completion_tokens"), "completion_tokens"),
        "reasoning_output_tokens": values.integer(record.get("reasoning_tokens"), "reasoning_tokens"),
    }


def _prompt(asked: dict[str, Any]) -> Any:
    return messages.chat(None, asked["messages"]) if "messages" in asked else asked.get("text")


def _attributes(record: dict[str, Any], asked: dict[str, Any], *, untimed: bool) -> str | None:
    kept = attributes.keep(record, _MAPPED)
    settings = attributes.keep({name: asked[name] for name in _KEPT if name in asked}, ())
    if settings:
        kept["settings"] = settings
    if untimed:
        kept["start_time_from"] = "file"
    return attributes.encode(kept)
