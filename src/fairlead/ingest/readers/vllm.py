"""vLLM's log of requests, which is plain text: a line when a request comes in, a line when its answer is done.

    INFO 08-01 10:00:00 [logger.py:49] Received request chatcmpl-1: params: SamplingParams(n=1, ...), lora_request: ...
    INFO 08-01 10:00:02 [logger.py:80] Generated response chatcmpl-1: output: 'Hi', finish_reason: stop

Only the second (`--enable-log-outputs`) tells how a call ended, so only it is an attempt: with its id, its end (taken
as its start, since the line does not say how long it took) and its finish reason; without a model, and without tokens
unless the line counts them. The first is not an attempt: it would be a success that nobody saw. Where it holds the
prompt, as older versions and some settings write it, it gives what is known of the request before the call, under the
id that the attempt has; a line without prompt is set aside. So are the parts of a stream, and all other lines.
Moments have no year and no zone: the last such day before the load is meant, in UTC. vLLM's OpenTelemetry spans say
all of this and more.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from msgspec import Struct

from fairlead.ingest import prompts, rows, values
from fairlead.ingest.context import Context
from fairlead.ingest.quarantine import MISSING_FIELD, OUT_OF_RANGE, UNKNOWN_VALUE, BadRecordError

__all__ = ["NAME", "parse_line", "read", "recognises"]

NAME: Final = "vllm"
_HEAD: Final = r"(?:\([^)]*\) )?INFO (?P<time>\d\d-\d\d \d\d:\d\d:\d\d) \[?[\w./]+:\d+\] "
_RECEIVED: Final = re.compile(
    _HEAD + r"Received request (?P<id>\S+): (?:prompt: (?P<prompt>.*), )?params: (?:\w+\(.*\)|None),.*"
)
_GENERATED: Final = re.compile(
    _HEAD + r"Generated response (?P<id>\S+?)(?: \(streaming (?P<stream>complete|delta)\))?: output(?:_len)?: "
    r".*?(?:, output_token_count: (?P<tokens>\d+))?, finish_reason: (?P<reason>\w+)"
)
_ESCAPE: Final = re.compile(r"\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|U(00[01][0-9a-f]{5})|(.))")
_LETTERS: Final = {"n": "\n", "r": "\r", "t": "\t"}
_LORA: Final = re.compile(r"lora_name='([\w./\-]+)'")
_KIND: Final = "vllm_line"
_ENDS: Final = {"abort": "cancelled", "error": "error"}
_NO_REASON: Final = frozenset({"None", "streaming_complete", "unknown"})
_SLACK: Final = timedelta(days=1)  # a server's clock may be in a zone ahead of UTC


def parse_line(text: str) -> dict[str, Any] | None:
    """Give what a line of the log says; None for a line that is not about a request."""
    if found := _RECEIVED.fullmatch(text):
        told = {name: value for name, value in found.groupdict().items() if value is not None}
        lora = _LORA.search(text.rpartition("lora_request: ")[2])
        return {_KIND: "received", **told, **({"lora": lora.group(1)} if lora else {})}
    if found := _GENERATED.fullmatch(text):
        return {_KIND: "generated", **{name: value for name, value in found.groupdict().items() if value is not None}}
    return None


def recognises(record: dict[str, Any]) -> bool:
    """Say whether a record was made of a line of the log."""
    return _KIND in record


def read(record: dict[str, Any], context: Context) -> Iterator[Struct]:
    """Give the attempt of an answer, or what is known of a request."""
    kind = record.get(_KIND)
    own = values.required(values.text(record.get("id")), "id")
    start = _moment(record.get("time"), context.ingested_at)
    if kind == "generated" and record.get("stream") != "delta":
        yield rows.attempt(NAME, {**_answer(record), **_call(own, start)}, context)
        return
    if kind != "received":
        raise BadRecordError(UNKNOWN_VALUE, "a part of a stream; its end is told in a line of its own")
    prompt = _prompt(record)
    if prompt is None:
        raise BadRecordError(
            MISSING_FIELD,
            "status: a request line does not tell how the call ended; start vLLM with --enable-log-outputs,"
            " or load its OpenTelemetry spans",
        )
    # Not an attempt, but named as the attempt of its answer will be.
    named = rows.attempt(NAME, {**_call(own, start), "status": "ok"}, context)
    named.prompt_sha256 = context.prompt_hash(prompt.text)
    features = prompts.features(named, prompt, context, route=None)
    if features is not None:
        features.route = values.text(record.get("lora"))
        yield features


def _call(own: str, start: datetime) -> dict[str, Any]:
    return {
        "source_record_id": own,
        "response_id": own if own.startswith("chatcmpl-") else None,
        "provider_name": "vllm",
        "operation_name": "text_completion" if own.startswith("cmpl-") else "chat",
        "start_time": start,
    }


def _answer(record: dict[str, Any]) -> dict[str, Any]:
    reason = values.required(values.text(record.get("reason")), "finish_reason")
    status = _ENDS.get(reason, "ok")
    return {
        "status": status,
        "error_class": {"cancelled": "cancelled", "error": "server"}.get(status),
        "error_origin": {"cancelled": "client", "error": "provider"}.get(status),
        "finish_reason": None if reason in _NO_REASON else reason,
        "request_stream": True if record.get("stream") == "complete" else None,
        "output_tokens": values.integer(record.get("tokens"), "output_token_count"),
    }


def _prompt(record: dict[str, Any]) -> prompts.Prompt | None:
    """Read the prompt, which stands as Python writes text; `--max-log-len` may have cut it short."""
    written = record.get("prompt")
    if not isinstance(written, str) or len(written) < 2 or written[0] not in "'\"" or written[-1] != written[0]:
        return None
    return prompts.read(_ESCAPE.sub(_character, written[1:-1]))


def _character(escape: re.Match[str]) -> str:
    code = escape[1] or escape[2] or escape[3]
    return chr(int(code, 16) % 0x110000) if code else _LETTERS.get(escape[4], escape[4])


def _moment(value: Any, loaded: datetime) -> datetime:
    given = values.required(values.text(value), "time")
    for year in (loaded.year + 1, loaded.year, loaded.year - 1, loaded.year - 2, loaded.year - 3, loaded.year - 4):
        try:
            found = datetime.strptime(f"{year}-{given}", "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
        except ValueError:  # the 29th of February in most years
            continue
        if found <= loaded + _SLACK:
            return found
    raise BadRecordError(OUT_OF_RANGE, "time: expected month-day hour:minute:second")
