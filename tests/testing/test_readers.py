import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from fairlead.errors import UsageError
from fairlead.ingest import attributes, rows, values
from fairlead.ingest.context import Context
from fairlead.ingest.quarantine import UNKNOWN_VALUE, BadRecordError
from fairlead.testing import ContractError, check_reader

PAPER = Path(__file__).parents[2] / "CONTRIBUTING.md"
FIELDS = frozenset({"call", "at", "model", "state", "messages", "tags"})


def record(number: int = 0, **changes: Any) -> dict[str, Any]:
    made = {
        "my_gateway": 1,
        "call": f"c-{number}",
        "at": f"2026-01-01T00:00:0{number}Z",
        "model": "small",
        "state": "ok",
        "messages": [{"role": "user", "content": "What is it?"}],
        "tier": "gold",
    }
    return {**made, **changes}


RECORDS = [record(0), record(1, state="error"), record(2, extra={"depth": [1, 2]})]


def recognises(given: dict[str, Any]) -> bool:
    return "my_gateway" in given


def read(given: dict[str, Any], context: Context) -> Iterator[msgspec.Struct]:
    if given.get("state") not in ("ok", "error"):
        raise BadRecordError(UNKNOWN_VALUE, "state")
    found = {
        "source_record_id": values.required(values.text(given.get("call")), "call"),
        "start_time": values.required(values.moment(given.get("at"), "at"), "at"),
        "provider_name": "mine",
        "response_model": values.text(given.get("model")),
        "status": given["state"],
        "attributes": attributes.pack(given, FIELDS),
    }
    yield rows.attempt("my_gateway", found, context)


def reader(**parts: Any) -> Any:
    return SimpleNamespace(**{"NAME": "my_gateway", "recognises": recognises, "read": read, **parts})


def changed(change: Callable[[Any, dict[str, Any]], Any]) -> Callable[..., list[Any]]:
    """Give a `read` whose row is changed before it is given."""

    def altered(given: dict[str, Any], context: Context) -> list[Any]:
        return [change(row, given) for row in read(given, context)]

    return altered


def setting(**columns: Any) -> Callable[..., list[Any]]:
    return changed(lambda row, _: msgspec.structs.replace(row, **columns))


def forgetful(given: dict[str, Any], context: Context) -> Iterator[msgspec.Struct]:
    given.pop("tier", None)
    yield from read(given, context)


def clock_bound(given: dict[str, Any], context: Context) -> list[Any]:
    return [msgspec.structs.replace(row, event_id=str(context.ingested_at)) for row in read(given, context)]


def careless(given: dict[str, Any], context: Context) -> Iterator[msgspec.Struct]:
    given["call"].upper()
    yield from read(given, context)


def talkative(given: dict[str, Any], context: Context) -> Iterator[msgspec.Struct]:
    if given.get("state") not in ("ok", "error"):
        raise BadRecordError(UNKNOWN_VALUE, f"state: what is {given.get('state')}?")
    yield from read(given, context)


def needing(field: str) -> Callable[..., list[Any]]:
    """Give a `read` that cannot do without a field."""

    def needy(given: dict[str, Any], context: Context) -> list[Any]:
        values.required(given.get(field), field)
        return list(read(given, context))

    return needy


def silent(given: dict[str, Any], context: Context) -> list[Any]:
    try:
        return list(read(given, context))
    except BadRecordError:
        return []


BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "no name": ({"NAME": None}, "has a NAME that is a label"),
    "a name with blanks": ({"NAME": "My Gateway"}, "has a NAME that is a label"),
    "a name with another meaning": ({"NAME": "auto"}, "has a NAME that is a label"),
    "nothing to read with": ({"read": None}, r"and its functions \(read is not a function\)"),
    "a list for a splitter": ({"split": []}, r"and its functions \(split is not a function\)"),
    "yes to everything": (
        {"recognises": lambda given: True},
        r"says no to records of other formats \(azure_openai, bedrock",
    ),
    "no to its own": ({"recognises": lambda given: False}, "recognises its own records"),
    "a truthy answer": ({"recognises": lambda given: given.get("my_gateway")}, "says True or False to a record"),
    "a key that it trusts": ({"recognises": lambda given: given["my_gateway"] == 1}, "never raises when it is asked"),
    "a value that it trusts": (
        {"recognises": lambda given: "my_gateway" in given and given["model"].islower()},
        "never raises when it is asked",
    ),
    "a record of its own that it refuses": (
        {"read": needing("level")},
        r"reads its own records \(missing_field: level\)",
    ),
    "no rows": ({"read": lambda given, context: []}, "gives rows of the canonical tables"),
    "rows of its own": ({"read": lambda given, context: [dict(given)]}, "gives rows of the canonical tables"),
    "a count below 0": ({"read": setting(input_tokens=-1)}, "keep the types and bounds of their tables"),
    "a time without a zone": ({"read": setting(start_time=datetime(2026, 1, 1))}, "keep the types and bounds"),
    "a status of its own": ({"read": setting(status="fine")}, "keep the types and bounds of their tables"),
    "a class of its own": ({"read": setting(error_class="odd")}, "keep the types and bounds of their tables"),
    "another's name": ({"read": setting(source="bedrock")}, "names itself as the source of its rows"),
    "ids of the clock": ({"read": clock_bound}, "gives the same ids when it reads a record again"),
    "one id for all": ({"read": setting(event_id="one")}, "gives different records different ids"),
    "two rows of one id": (
        {"read": lambda given, context: [*read(given, context), *read(given, context)]},
        "gives different records different ids",
    ),
    "hands on the record": ({"read": forgetful}, "leaves a record as it was"),
    "the whole record kept": (
        {
            "read": changed(
                lambda row, given: msgspec.structs.replace(row, attributes=msgspec.json.encode(given).decode())
            )
        },
        "keeps no text of prompts and answers",
    ),
    "the prompt kept": (
        {
            "read": changed(
                lambda row, given: msgspec.structs.replace(row, tags={"q": str(given["messages"][0]["content"])})
            )
        },
        "keeps no text of prompts and answers",
    ),
    "a field that it trusts": ({"read": careless}, "refuses a damaged record by a BadRecordError"),
    "a refusal that quotes": ({"read": talkative}, "never quotes a record when it refuses it"),
    "no word of a refusal": ({"read": silent}, "refuses what it cannot read, and gives rows for the rest"),
    "a splitter that loses all": ({"split": lambda document: []}, "finds records in a document"),
    "a parser that knows every line": (
        {"parse_line": lambda text: {"text": text}},
        "says None to lines of other makes",
    ),
}


def test_a_good_reader_passes() -> None:
    check_reader(reader(), RECORDS)


def test_a_good_reader_of_documents_and_of_lines_passes() -> None:
    def known(given: dict[str, Any]) -> bool:
        return "my_gateway" in given or "my_gateways" in given

    def split(given: dict[str, Any]) -> list[dict[str, Any]]:
        inside = given.get("my_gateways", [given])
        return [one for one in inside if isinstance(one, dict)] if isinstance(inside, list) else []

    whole = reader(recognises=known, split=split)
    lines = reader(parse_line=lambda text: record(int(text[-1])) if text.startswith("call ") else None)

    check_reader(whole, [{"my_gateways": RECORDS[:2]}, RECORDS[2]])
    check_reader(lines, ["call 1", "call 2"])


@pytest.mark.parametrize("fault", BROKEN)
def test_the_contract_says_which_promise_is_broken(fault: str) -> None:
    parts, promise = BROKEN[fault]

    with pytest.raises(ContractError, match=f"reader .*: a reader .*{promise}.*; this one does not"):
        check_reader(reader(**parts), RECORDS)


def test_a_line_that_its_own_parser_does_not_know_is_a_broken_promise() -> None:
    with pytest.raises(ContractError, match="gives an object for a line of its own"):
        check_reader(reader(parse_line=lambda text: None), ["call 1"])
    with pytest.raises(ContractError, match="gives an object for a line of its own"):
        check_reader(reader(), ["call 1"])


def test_a_value_that_the_lake_cannot_hold_is_a_broken_promise() -> None:
    wide = setting(request_temperature=10**400)

    with pytest.raises(ContractError, match=r"keep the types and bounds|the lake can hold"):
        check_reader(reader(read=wide), RECORDS)


def test_a_check_needs_records() -> None:
    with pytest.raises(UsageError, match="at least one record"):
        check_reader(reader(), [])


def test_the_same_record_twice_is_no_clash_of_ids() -> None:
    check_reader(reader(), [record(0), record(0)])


def test_policies_are_checked_without_what_reads_logs() -> None:
    code = "import sys, fairlead.testing; print('pyarrow' in sys.modules, 'fairlead.ingest' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert said.split() == ["False", "False"]


def test_the_example_in_the_papers_keeps_the_contract(tmp_path: Path) -> None:
    (block,) = re.findall(r"^```python\n(.*?)^```", PAPER.read_text(), re.MULTILINE | re.DOTALL)
    (tmp_path / "my_gateway.py").write_text(block)

    run = subprocess.run([sys.executable, tmp_path / "my_gateway.py"], capture_output=True, text=True, check=False)

    assert (run.returncode, run.stderr) == (0, "")


def test_moments_of_the_check_are_in_utc() -> None:
    (row,) = read(record(), Context(ingested_at=datetime(2030, 1, 1, tzinfo=UTC), hash_key=b"key"))

    assert row.start_time == datetime(2026, 1, 1, tzinfo=UTC)  # type: ignore[attr-defined]
