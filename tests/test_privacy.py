"""A canary in every field of every format: none that may be content or a person's may be found in anything written.

What is kept of a record is text only in the columns of KEPT, which hold names and ids by design. Everything else that
a record says in words has to be gone: from the lake, the manifest, the database, the registry, snapshots, reports, what
was printed, and temporary files.
"""

import copy
import json
import re
import shutil
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from fairlead import evaluation, features, ingest, publish, reports, schema, store, training
from fairlead import project as projects
from fairlead.evaluation import simulate
from fairlead.ingest import quarantine
from fairlead.ingest.context import Context
from fairlead.ingest.readers import Reader, all_readers
from fairlead.project import Project, open_project

# Columns that keep text as the source has it: names and ids of things, never what a person wrote or who wrote it.
KEPT = {
    "attempts": (
        "source_record_id request_id trace_id span_id parent_span_id conversation_id response_id environment"
        " service_name agent_name prompt_name organization_id team_id project_id api_key_id tags operation_name"
        " request_model provider_name response_model deployment_id region server_address service_tier error_type"
        " finish_reason router_name policy_id policy_version decision_id decision_cause experiment_id variant"
        " candidates usage_details endpoint route"
    ),
    "request_features": "request_id route",
    "feedback": ("target_id response_id trace_id name score_label evaluator_id evaluator_model other_target_id tags"),
    "usage": "provider_name model project_id team_id api_key_id region service_tier meter line_item usage_details",
    "decisions": "decision_id request_id endpoint policy_id policy_version snapshot_version reasons candidates",
    "quarantine": "file",
}
# A field that has no column is kept in `attributes`, name and value, when both are one word and the name is harmless.
WORD = "attributes"
# Fields whose text must be gone wherever they stand, by what they are called.
SECRET = re.compile(
    r"(^|[._\]])(messages?|content|text|prompts?|completion|answer|question|explanation|comments?|rationale|body|payload"
    r"|emails?|ip|ip_address|client_ip|user_?id|user|end_?user(_id)?|user_?agent|headers?|cookies?|arguments|traceback"
    r"|error_(message|str|information\.error_message)|exception\.message|stacktrace|description|password|secret"
    r"|authorization|inputs?|outputs?|request_?body|response_?body)$",
    re.IGNORECASE,
)
FORMS = {
    "word": "{canary}",
    "words": "{canary} and what I think of it",
    "an address": "{canary}@example.com",
    "a number of a network": "10.9.8.7 {canary}",
    "long": "{canary}" + " padding" * 700,
    "long word": "{canary}" + "x" * 700,
    "JSON": '{{"note": "{canary} said so", "{canary}": 1}}',
}
RECORDS = Path(__file__).parent / "records"  # made for this: a text in every place where a gateway may put one
PAYLOAD, SPEND = (json.loads((RECORDS / f"litellm_{name}.json").read_text()) for name in ("payload", "spendlogs"))
AS_TEXT = ("metadata", "request_tags", "messages", "response", "proxy_server_request")


def spend_as_exported(record: dict[str, Any]) -> dict[str, Any]:
    return {name: json.dumps(value) if name in AS_TEXT else value for name, value in record.items()}


# --- where text stands in a record


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Give the path of every text in a record, and of every object, whose names may be anyone's, with "" at its end."""
    if isinstance(value, str):
        yield path
        inside = as_json(value)
        if inside is not None:
            yield from places(inside, (*path, "JSON"))
    elif isinstance(value, dict):
        yield (*path, "")
        for name, part in value.items():
            yield from places(part, (*path, name))
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from places(part, (*path, index))


def planted(value: Any, path: tuple[Any, ...], canary: str) -> Any:
    """Give a copy of a record with the canary at a path."""
    if not path:
        return canary
    name, *rest = path
    if name == "JSON" and isinstance(value, str):
        return json.dumps(planted(as_json(value), tuple(rest), canary))
    if name == "" and not rest:
        return {**value, canary[:400]: "1"}
    made = copy.copy(value)
    made[name] = planted(value[name], tuple(rest), canary)
    return made


def as_json(text: str) -> Any:
    try:
        found = json.loads(text) if text[:1] in ("{", "[") else None
    except ValueError:
        return None
    return found if isinstance(found, (dict, list)) else None


def called(record: Any, path: tuple[Any, ...]) -> str:
    """Give what a place is called: its names with dots, the key of a pair of key and value for where it stands."""
    names = []
    value = record
    for part in path:
        if isinstance(value, dict) and isinstance(value.get("key"), str) and part == "value":
            names.append(value["key"])
        elif isinstance(part, str) and part not in ("JSON", "value", "stringValue"):
            names.append(part)
        value = as_json(value) if part == "JSON" else None if part == "" else value[part]
    return ".".join(names)


# --- where a canary was written


def seen_in(folder: Path, pattern: re.Pattern[str]) -> dict[str, set[str]]:
    """Give for each canary the columns and files that hold it: all columns of all tables, and the bytes of all."""
    found: dict[str, set[str]] = defaultdict(set)
    raw = re.compile(pattern.pattern.encode())
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        for match in raw.findall(path.read_bytes()):
            found[match.decode()].add("bytes of a " + (path.suffix or path.name))
        for where, text in texts(path):
            for match in pattern.findall(text):
                found[match].add(where)
    return found


def texts(path: Path) -> Iterator[tuple[str, str]]:
    if path.suffix == ".parquet":
        table = pq.read_table(path)
        kind = (
            path.relative_to(next(p for p in path.parents if p.name == "lake")).parts[0]
            if "lake" in path.parts
            else "?"
        )
        for name in table.column_names:
            for value in table[name].to_pylist():
                if isinstance(value, (str, list, dict, bytes)):
                    yield f"{kind}.{name}", value if isinstance(value, str) else repr(value)
        yield "segment statistics", repr(pq.read_metadata(path).to_dict())
    elif path.suffix == ".duckdb":
        con = duckdb.connect(str(path), read_only=True)
        for (name,) in con.execute("SELECT table_name FROM duckdb_tables()").fetchall():
            cursor = con.execute(f'SELECT * FROM "{name}"')
            names = [column[0] for column in cursor.description]
            for row in cursor.fetchall():
                for column, value in zip(names, row, strict=True):
                    yield f"{'attempts' if name.startswith('copy_of') else name}.{column}", repr(value)
        con.close()
    elif path.suffix in (".sqlite", ".db"):
        con = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        for (name,) in con.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for row in con.execute(f'SELECT * FROM "{name}"').fetchall():
                yield f"{path.name}.{name}", repr(row)
        con.close()


def start(root: Path) -> Project:
    root.mkdir()
    (root / "pyproject.toml").write_text("[tool.fairlead]\n")
    return open_project(root)


# --- the tests


CANARY = re.compile(r"cnry\d{4}zq")
NOW = datetime(2026, 6, 1, tzinfo=UTC)


def samples() -> list[tuple[str, dict[str, Any]]]:
    """Give records of every format: LiteLLM's always, the others' where ../shared has them."""
    found = [("litellm_payload", PAYLOAD), ("litellm_payload", {**PAYLOAD, "status": "success"})]
    found += [("litellm_spendlogs", SPEND), ("litellm_spendlogs", spend_as_exported(SPEND))]
    folder = Path(__file__).parents[2] / "shared" / "data" / "formats"
    for path in sorted(folder.glob("*.json*")) if folder.is_dir() else ():
        document = as_json(path.read_text()) if path.suffix == ".json" else None
        for record in [document] if document else map(json.loads, path.read_text().splitlines()):
            reader = next((one for one in all_readers().values() if one.recognises(record)), None)
            if reader is not None:
                found.append((reader.NAME, record))
    return found


def columns(reader: Reader, record: dict[str, Any], canary: str) -> set[str]:
    """Give the columns in which a record's rows hold the canary; of a record that is refused, what is told of it."""
    split = getattr(reader, "split", None)
    found = set()
    try:
        parts = [record] if split is None else list(split(record))
        for part in parts:
            found |= _columns(reader, part, canary)
    except Exception as fault:
        found |= {"quarantine.detail"} if canary in f"{quarantine.explain(fault)}" else set()
    return found


def _columns(reader: Reader, record: dict[str, Any], canary: str) -> set[str]:
    try:
        rows = list(reader.read(record, Context(ingested_at=NOW, hash_key=b"key")))
    except Exception as fault:
        return {"quarantine.detail"} if canary in f"{quarantine.explain(fault)}" else set()
    return {
        f"{name}.{column}"
        for row in rows
        for name, struct in schema.TABLES.items()
        if type(row) is struct
        for column in struct.__struct_fields__
        if canary in repr(getattr(row, column))
    }


def allowed(form: str) -> set[str]:
    kept = {f"{table}.{column}" for table, columns in KEPT.items() for column in columns.split()}
    return kept | ({f"{table}.{WORD}" for table in KEPT} if form in ("word", "JSON") else set())


@pytest.mark.parametrize("form", FORMS)
def test_no_field_of_any_format_leaks_into_a_row(form: str) -> None:
    leaks = set()
    for name, record in samples():
        reader = all_readers()[name]
        for path in places(record):
            what = called(record, path)
            found = columns(reader, planted(record, path, FORMS[form].format(canary="cnry0000zq")), "cnry0000zq")
            secret = SECRET.search(what) is not None and path[-1] != ""
            leaks |= {(name, what, column) for column in found if secret or column not in allowed(form)}

    assert sorted(leaks) == []


def test_every_place_at_once_leaks_nothing() -> None:
    for name, record in samples():
        secret = [path for path in places(record) if path[-1:] != ("",) and SECRET.search(called(record, path))]
        everywhere = record
        for number, path in enumerate(sorted(secret, key=len, reverse=True)):
            everywhere = planted(everywhere, path, f"cnry{number:04d}zq words")

        assert columns(all_readers()[name], everywhere, "cnry") == set(), name


def test_what_a_load_writes_holds_no_canary_but_in_the_columns_that_keep_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    project = start(tmp_path / "project")
    meant = []
    with (tmp_path / "log.jsonl").open("w") as log:
        for record in (PAYLOAD, SPEND, spend_as_exported(SPEND)):
            for form in ("word", "words", "long", "JSON"):
                for path in places(record):
                    canary = f"cnry{len(meant):04d}zq"
                    meant.append((form, called(record, path), path[-1] == ""))
                    line = json.dumps(planted(own(record, len(meant), path), path, FORMS[form].format(canary=canary)))
                    log.write(line + "\n" + (line[:-9] + "\n" if form == "word" else ""))

    try:
        result = ingest.load(project, [tmp_path / "log.jsonl"])
    except ingest.LoadError as fault:
        result = fault.result
    features_of_all(project)

    assert result.read == len(meant) + sum(form == "word" for form, _, _ in meant)
    assert result.stored > 0.8 * len(meant)
    assert result.quarantined > len(meant) / 5
    assert CANARY.findall("".join(capfd.readouterr()) + caplog.text) == []
    seen = seen_in(project.var, CANARY) | seen_in(tmp_path / "temporary", CANARY)
    leaks = {}
    for canary, where in seen.items():
        form, what, is_name = meant[int(canary[4:8])]
        known = allowed(form) | {"segment statistics", "bytes of a .parquet", "bytes of a .duckdb"}
        secret = SECRET.search(what) is not None and not is_name
        if secret or where - known:
            leaks[form, what] = sorted(where if secret else where - known)
    assert leaks == {}
    assert len(seen) > 50  # that is, the names were found where they may be


def own(record: dict[str, Any], number: int, path: tuple[Any, ...]) -> dict[str, Any]:
    """Give each copy of a record ids of its own, so that none is a duplicate of another."""
    ids = [name for name in ("id", "litellm_call_id", "request_id") if name in record and path != (name,)]
    return {**record, **{name: f"{record[name]}-{number}" for name in ids}}


def features_of_all(project: Project) -> None:
    lake = store.open_lake(project.lake)
    lake.rebuild(
        project.database,
        lambda con: [
            con.execute(f"CREATE TABLE copy_of_{name} AS SELECT * FROM {name}") for name in ("attempts", "requests")
        ],
    )


@pytest.mark.slow
def test_the_whole_loop_writes_no_text_and_no_person_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    here = projects.init(tmp_path / "project")
    made = simulate.run(tmp_path / "gateway", requests=1500, endpoints=4, exploration=0.6, seed=0)
    shutil.copy(made.prices, here.contract)
    poisoned(made.log), poisoned(made.feedback)

    for log in (made.log, made.feedback):
        ingest.load(here, [log])
    features.build(here)
    training.train(here)
    tuned = evaluation.tune(here)
    publish.publish(here, policy=tuned.policy, parameters=tuned.parameters, lineage=tuned.baselines)
    judged = evaluation.judge(here)
    reports.render(here)

    assert judged.requests > 100
    printed = "".join(capfd.readouterr()) + caplog.text + repr(judged)
    assert CANARY.findall(printed) == []
    assert seen_in(here.root, CANARY) | seen_in(tmp_path / "temporary", CANARY) == {}
    assert sum(path.is_file() for path in here.var.rglob("*")) > 50


def poisoned(log: Path) -> None:
    """Put a canary of its own into everything in a simulated log that is content or a person's."""
    lines = []
    for number, line in enumerate(log.read_text().splitlines()):
        record = json.loads(line)
        canary = f"cnry{number % 10_000:04d}zq"
        if "messages" in record:
            record["messages"].append({"role": "system", "content": f"{canary} says"})
            record["response"] = {"choices": [{"message": {"content": canary}, "finish_reason": "stop"}]}
            record |= {
                "end_user": canary,
                "requester_ip_address": canary,
                "error_str": canary,
                "free_text": f"{canary} x",
            }
            record["metadata"] = {
                **record.get("metadata", {}),
                **{"user_api_key_user_id": canary, "user_api_key_user_email": f"{canary}@example.com"},
            }
        else:
            record |= {"comment": f"{canary} is what I think", "user": canary, "explanation": canary}
        lines.append(json.dumps(record))
    log.write_text("\n".join(lines) + "\n")


def test_the_page_about_logs_names_the_columns_that_keep_text() -> None:
    page = (Path(__file__).parents[1] / "LOGS.md").read_text()
    rows = re.findall(r"^\| (\w+) \| ((?:`\w+` ?)+)\|$", page, re.MULTILINE)

    assert {table: re.findall(r"\w+", columns) for table, columns in rows} == {
        table: columns.split() for table, columns in KEPT.items()
    }
