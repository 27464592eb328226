"""Logs of any make (CSV, JSON lines, Parquet), read by a mapping file.

A record without an id of its own is known by its content, so two that are equal in every field count as one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import Any, Final

import msgspec
from msgspec import Struct, structs

from fairlead.ingest import attributes, feedback, outcomes, prompts, values
from fairlead.ingest.context import Context
from fairlead.ingest.mapping import FROM_PROMPT, UNITS, Mapping
from fairlead.ingest.quarantine import OUT_OF_RANGE, UNKNOWN_VALUE, WRONG_TYPE, BadRecordError
from fairlead.schema import KEYS, STATUSES, TABLES, Attempt, record_id
from fairlead.scoring.offer import Offer

__all__ = ["NAME", "read", "recognises"]

NAME: Final = "generic"
_TIME: Final = {"attempts": "start_time", "feedback": "time", "decisions": "time", "usage": "bucket_start"}


def recognises(record: dict[str, Any]) -> bool:
    """Say no: only a mapping says what such a record means."""
    del record
    return False


def read(record: dict[str, Any], context: Context) -> Iterator[Struct]:
    """Give the row of a record, and what is known of the request when it is an attempt."""
    mapping = context.mapping
    if mapping is None:
        raise BadRecordError(UNKNOWN_VALUE, "no mapping")
    found = _mapped(record, mapping)
    asked = {name: found.pop(name, None) for name in FROM_PROMPT} if mapping.table == "attempts" else {}
    when = values.required(found.get(_TIME[mapping.table]), _TIME[mapping.table])
    found |= {"source": mapping.source, "ingested_at": context.ingested_at, "event_date": when.date()}
    if "source_instance" in _kinds(mapping.table):
        found.setdefault("source_instance", context.source_instance)
    found["attributes"] = attributes.pack(record, {path.partition(".")[0] for path in mapping.columns.values()})
    {"attempts": _attempt, "feedback": _feedback}.get(mapping.table, _other)(found, record, mapping, context)
    kept = {name: value for name, value in found.items() if value is not None}
    row = msgspec.convert(kept, TABLES[mapping.table], strict=False)
    if not isinstance(row, Attempt):
        yield row
        return
    yield from _with_features(row, asked, context)


def _with_features(row: Attempt, asked: dict[str, Any], context: Context) -> Iterator[Struct]:
    prompt = prompts.read(values.jsoned(asked["prompt"], "prompt") if _is_json(asked["prompt"]) else asked["prompt"])
    if prompt is not None:
        counted = {name: values.integer(asked[name], name) for name in ("images", "turn")}
        images, turn = counted["images"], counted["turn"]
        prompt = prompts.Prompt(prompt.text, prompt.images if images is None else images, turn or prompt.turn)
        row.prompt_sha256, row.input_chars = context.prompt_hash(prompt.text), len(prompt.text)
    yield context.priced(row)
    tools = values.integer(asked["tools"], "tools")
    if tools is not None and tools < 0:
        raise BadRecordError(OUT_OF_RANGE, "tools")
    said = {name: (values.text(asked[name]) or "")[:512] or None for name in ("toolset", "response_format")}
    features = prompts.features(row, prompt, context, route=values.text(asked["route"]), offer=Offer(tools, **said))
    if features is not None:
        yield features


def _mapped(record: dict[str, Any], mapping: Mapping) -> dict[str, Any]:
    found: dict[str, Any] = {}
    kinds = _kinds(mapping.table)
    for canonical, value in (
        *((name, _at(record, path)) for name, path in mapping.columns.items()),
        *mapping.constants.items(),
    ):
        if value is None or value == "":
            continue
        meaning = mapping.values.get(canonical)
        meant = value if meaning is None else meaning.get(str(value), value)
        name, _, key = canonical.partition(".")
        if key:
            found.setdefault(name, {})[key] = str(meant)
        else:
            found[name] = _converted(meant, name, kinds.get(name), mapping.units.get(name))
    return found


def _at(record: dict[str, Any], path: str) -> Any:
    """Give the value of a column; a name with dots is first tried as it stands, then as a path."""
    if path in record:
        return record[path]
    value: Any = record
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _converted(value: Any, name: str, kind: str | None, unit: str | None) -> Any:
    if name == "score_value" and (flag := feedback.flag(value)) is not None:
        return flag
    if unit is not None:
        value = _scaled(value, name, UNITS[unit])
    if kind in _CONVERT:
        return _CONVERT[kind](value, name)
    if kind == "boolean":
        return value if (flag := feedback.flag(value)) is None else flag
    if kind == "text" and isinstance(value, (int, float, Decimal, date, datetime)):
        return str(value)
    return value


def _moment(value: Any, name: str) -> datetime | None:
    return values.moment(float(value) if isinstance(value, Decimal) else value, name)


def _usd(value: Any, name: str) -> Decimal | None:
    return values.usd(value, name, credit=name == "cost_usd")  # that of a bill


_CONVERT: Final[dict[str | None, Callable[[Any, str], Any]]] = {
    "moment": _moment,
    "usd": _usd,
    "integer": values.integer,
    "number": values.number,
    "document": values.jsoned,
}


def _scaled(value: Any, name: str, factor: Decimal) -> Decimal:
    # Decimals, since 1e9 nanoseconds as a float times 1e-9 is not a second.
    try:
        scaled = Decimal(str(value)) * factor
    except ArithmeticError:
        raise BadRecordError(WRONG_TYPE, f"{name}: expected a number") from None
    return scaled


@cache
def _kinds(table: str) -> dict[str, str]:
    """Give which of our own conversions each column needs, by its annotated type."""
    kinds = {}
    for field in structs.fields(TABLES[table]):
        hint = str(field.type)
        for mark, kind in (
            ("datetime.datetime", "moment"),
            ("decimal.Decimal", "usd"),
            ("dict[", "document"),
            ("list[", "document"),
            ("[bool]", "boolean"),
            ("bool |", "boolean"),
            ("[int,", "integer"),
            ("int |", "integer"),
            ("[float,", "number"),
            ("float |", "number"),
            ("[str,", "text"),
        ):
            if mark in hint:
                kinds[field.name] = kind
                break
    return kinds


def _attempt(found: dict[str, Any], record: dict[str, Any], mapping: Mapping, context: Context) -> None:
    own = str(found.setdefault("source_record_id", _content(record)))
    found.setdefault("request_id", own)
    index = found.get("attempt_index") or 0
    found.setdefault("event_id", record_id(mapping.source, found.get("source_instance"), own, index))
    for name in ("user_id", "end_user_id"):
        if name in found:
            found[name] = context.hashed(str(found[name]))
    _status(found)
    attributes.clean(found, context.hashed)


def _status(found: dict[str, Any]) -> None:
    said = found.get("status", found.get("http_status_code"))
    if said is None:
        found["status"] = "error" if found.get("error_class") or found.get("error_type") else "ok"
    elif said not in STATUSES:
        found["status"], code = outcomes.status(said)
        if found["status"] is None:
            raise BadRecordError(UNKNOWN_VALUE, "status: say what it means in [values.status]")
        if code is not None:
            found.setdefault("http_status_code", code)
    if found["status"] != "ok" and "error_class" not in found:
        found["error_class"] = outcomes.error_class(found.get("http_status_code"), found.get("error_type"))


def _feedback(found: dict[str, Any], record: dict[str, Any], mapping: Mapping, context: Context) -> None:
    del context
    own = found.get("feedback_id") or _content(record)
    found["feedback_id"] = record_id(mapping.source, found.get("source_instance"), own)
    found.setdefault("target_kind", "request")
    feedback.normalise(found)


def _other(found: dict[str, Any], record: dict[str, Any], mapping: Mapping, context: Context) -> None:
    del context
    key = KEYS[mapping.table]
    if mapping.table == "usage":
        found[key] = record_id(mapping.source, found.get(key) or _content(record))


def _content(record: dict[str, Any]) -> str:
    data = msgspec.json.encode(record, order="sorted", enc_hook=str)
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def _is_json(value: Any) -> bool:
    return isinstance(value, str) and value[:1] == "[" and value[-1:] == "]"
