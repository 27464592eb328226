"""The contract of a reader: what it promises of any record, its own and others', whole and damaged."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import msgspec
from msgspec import Struct

from fairlead.errors import UsageError
from fairlead.ingest import plugins, quarantine
from fairlead.ingest.context import Context
from fairlead.schema import ERROR_CLASSES, KEYS, STATUSES, TABLES, Attempt
from fairlead.store.arrow import as_table
from fairlead.testing.contract import ContractError
from fairlead.testing.damage import CANARY, marked, variants
from fairlead.testing.shapes import SHAPES

__all__ = ["check_reader"]

_NOW: Final = datetime(2030, 1, 1, tzinfo=UTC)
_TABLE_OF: Final = {struct: name for name, struct in TABLES.items()}
_PLAIN: Final = (bytes, datetime, date, Decimal)
_FOREIGN_LINES: Final = ("", " ", "{", "INFO:     started", '127.0.0.1 - - "GET /health HTTP/1.1" 200', CANARY)
_DAMAGED: Final = 5  # of how many records every field is damaged
_MOST: Final = 4_000  # ways to damage one record


def check_reader(reader: Any, records: Iterable[dict[str, Any] | str]) -> None:
    """Hold a reader to its contract over records (or lines of text) of its format; ContractError names the promise.

    Its NAME is a label; it says yes to its own records and no to those of other formats, and never raises over it; it
    gives rows of the canonical tables that the lake can hold, in its own name, with ids that are the same each time
    and different for different records; it leaves the record as it was; nothing of a prompt or an answer is in the
    rows or in a refusal; and whatever is damaged in a record is refused by a fault that the quarantine can explain.
    """
    fault = plugins.broken(reader)
    name = getattr(reader, "NAME", type(reader).__name__)
    _hold(name, "has a NAME that is a label, and its functions" + (f" ({fault})" if fault else ""), fault is None)
    documents = [_document(reader, record) for record in records]
    if not documents:
        raise UsageError("check_reader needs at least one record of the reader's format")
    _check_recognition(reader, documents)
    _check_rows(reader, [part for document in documents for part in _parts(reader, document)])
    for document in documents:
        told = msgspec.json.encode([msgspec.to_builtins(row) for row in _attempted(reader, marked(document))]).decode()
        _hold(reader.NAME, "keeps no text of prompts and answers", CANARY not in told)
    for document in documents[:_DAMAGED]:
        _check_damage(reader, document)


def _document(reader: Any, record: dict[str, Any] | str) -> dict[str, Any]:
    if not isinstance(record, str):
        return record
    parse = getattr(reader, "parse_line", None)
    found = None if parse is None else parse(record)
    if not isinstance(found, dict):
        raise _broken(reader.NAME, "gives an object for a line of its own")
    return found


def _check_recognition(reader: Any, documents: list[dict[str, Any]]) -> None:
    own = [_recognises(reader, document) for document in documents]
    _hold(reader.NAME, "recognises its own records", all(own))
    others = {name for name, shapes in SHAPES.items() for shape in shapes if _recognises(reader, shape)}
    wrong = sorted(others - {reader.NAME})
    _hold(reader.NAME, "says no to records of other formats" + (f" ({', '.join(wrong)})" if wrong else ""), not wrong)
    for document in documents[:_DAMAGED]:
        for damaged in variants(document, 1):
            _recognises(reader, damaged)
    if hasattr(reader, "parse_line"):
        _hold(reader.NAME, "says None to lines of other makes", not any(map(reader.parse_line, _FOREIGN_LINES)))


def _recognises(reader: Any, record: dict[str, Any]) -> bool:
    before = copy.deepcopy(record)
    try:
        answer = reader.recognises(record)
    except Exception as fault:
        raise _broken(reader.NAME, "never raises when it is asked whether it knows a record") from fault
    _hold(reader.NAME, "says True or False to a record", type(answer) is bool)
    _hold(reader.NAME, "leaves a record as it was", _same(before, record))
    return bool(answer)


def _check_rows(reader: Any, parts: list[dict[str, Any]]) -> None:
    seen: dict[tuple[str, str], int] = {}
    for number, part in enumerate(parts):
        before = copy.deepcopy(part)
        rows = _own_rows(reader, part)
        _hold(reader.NAME, "leaves a record as it was", _same(before, part))
        _hold(
            reader.NAME,
            "gives rows of the canonical tables",
            bool(rows) and all(type(row) in _TABLE_OF for row in rows),
        )
        _hold(reader.NAME, "gives rows that keep the types and bounds of their tables", _valid(rows))
        _hold(reader.NAME, "gives rows that the lake can hold", _storable(rows))
        _hold(
            reader.NAME,
            "names itself as the source of its rows",
            all(_get(row, "source") == reader.NAME for row in rows),
        )
        ids = [_id(row) for row in rows]
        again = [_id(row) for row in _rows(reader, part, later=timedelta(days=40))]
        _hold(reader.NAME, "gives the same ids when it reads a record again", ids == again)
        new = all(seen.setdefault(one, number) == number for one in ids) or part in parts[:number]
        _hold(reader.NAME, "gives different records different ids", new and len(set(ids)) == len(ids))


def _check_damage(reader: Any, document: dict[str, Any]) -> None:
    damaged = list(variants(document))
    made = [row for one in damaged[:: 1 + len(damaged) // _MOST] for row in _attempted(reader, one)]
    _hold(reader.NAME, "gives rows that keep the types and bounds of their tables", _valid(made))
    _hold(reader.NAME, "gives rows that the lake can hold", _storable(made))


def _attempted(reader: Any, document: dict[str, Any]) -> list[Struct]:
    """Give the rows of a document that may be refused, as a whole or in part, by faults that quote nothing of it."""
    found: list[Struct] = []
    for part in _refused(reader, lambda: _split(reader, document)) or ():
        rows = _refused(reader, lambda part=part: _rows(reader, part))  # type: ignore[misc]
        _hold(reader.NAME, "refuses what it cannot read, and gives rows for the rest", rows is None or bool(rows))
        found += rows or ()
    return found


def _refused(reader: Any, attempt: Callable[[], list[Any]]) -> list[Any] | None:
    """Give what an attempt gives; None where it is refused by a fault that the quarantine can explain."""
    try:
        return attempt()
    except Exception as fault:
        told = quarantine.explain(fault)
        if told.reason == quarantine.READER_FAULT:
            raise _broken(reader.NAME, "refuses a damaged record by a BadRecordError") from fault
        if CANARY in str(told):
            raise _broken(reader.NAME, "never quotes a record when it refuses it") from fault
        return None


def _rows(reader: Any, record: dict[str, Any], later: timedelta = timedelta()) -> list[Struct]:
    context = Context(ingested_at=_NOW + later, hash_key=b"fairlead.testing")
    return list(reader.read(record, context))


def _own_rows(reader: Any, record: dict[str, Any]) -> list[Struct]:
    try:
        return _rows(reader, record)
    except Exception as fault:
        raise _broken(reader.NAME, f"reads its own records ({quarantine.explain(fault)})") from fault


def _split(reader: Any, document: dict[str, Any]) -> list[dict[str, Any]]:
    split: Callable[[dict[str, Any]], Iterable[dict[str, Any]]] = getattr(reader, "split", lambda whole: [whole])
    return list(split(document))


def _parts(reader: Any, document: dict[str, Any]) -> list[dict[str, Any]]:
    before = copy.deepcopy(document)
    parts = _split(reader, document)
    _hold(reader.NAME, "leaves a record as it was", _same(before, document))
    _hold(reader.NAME, "finds records in a document", bool(parts))
    return parts


def _valid(rows: list[Struct]) -> bool:
    for row in rows:
        try:
            msgspec.convert(msgspec.to_builtins(row, builtin_types=_PLAIN), type(row))
        except msgspec.ValidationError:
            return False
        if isinstance(row, Attempt) and not (row.status in STATUSES and row.error_class in (None, *ERROR_CLASSES)):
            return False
    return True


def _storable(rows: list[Struct]) -> bool:
    try:
        for struct, table in _TABLE_OF.items():
            some = [row for row in rows if type(row) is struct]
            if some:
                as_table(table, some).validate(full=True)
    except Exception:  # Arrow has a class of its own for each way in which a value does not fit
        return False
    return True


def _id(row: Struct) -> tuple[str, str]:
    table = _TABLE_OF[type(row)]
    return table, str(getattr(row, KEYS[table]))


def _get(row: Struct, name: str) -> Any:
    return getattr(row, name, None)


def _same(before: Any, after: Any) -> bool:
    return repr(before) == repr(after)  # NaN is not equal to itself, and 1 is equal to True


def _hold(name: Any, promise: str, kept: bool) -> None:
    if not kept:
        raise _broken(name, promise)


def _broken(name: Any, promise: str) -> ContractError:
    return ContractError(f"reader {name}: a reader {promise}; this one does not")
