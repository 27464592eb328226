import gzip
import json
import os
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from fairlead import ingest, store
from fairlead.errors import ReadError, UsageError
from fairlead.ingest import compression
from fairlead.project import Project

HOSTILE = {
    "not_json": ["{", "{'a': 1}", '{"a": 1,}', "nonsense", '{"a": 01}', "\x00", '{"a": "\\ud800"}'],
    "not_an_object": ["[1]", "1", '"text"', "null", "true"],
    "unknown_format": ["{}", '{"a": 1}', '{"startTime": 1}'],
    "nan_or_infinity": ['{"startTime": NaN}', '{"startTime": -Infinity}'],
    "too_deep": ['{"a":' * 100_000 + "1" + "}" * 100_000],
}


def counts(result: store.LoadResult) -> tuple[int, int, int, int]:
    return result.read, result.stored, result.duplicates, result.quarantined


def select(project: Project, sql: str) -> list[Any]:
    con = store.open_lake(project.lake).connect()
    try:
        return store.query(con, sql).rows()
    finally:
        con.close()


def test_a_file_is_loaded_and_counted(project: Project, payload: Any, write: Any) -> None:
    log = write([payload(0), payload(1), payload(1), "{oops", "", "   "])

    result = ingest.load(project, [log])

    assert counts(result) == (4, 2, 1, 1)
    assert [counts(file) for file in result.files] == [(4, 2, 1, 1)]
    assert select(project, "SELECT count(*) FROM attempts") == [(2,)]
    assert select(project, "SELECT line, byte_offset, reason FROM quarantine") == [
        (4, sum(len(line) for line in log.read_bytes().splitlines(keepends=True)[:3]), "not_json")
    ]


def test_loading_again_changes_nothing_and_says_so(project: Project, payload: Any, write: Any) -> None:
    log = write([payload(0), payload(1), "{oops"])
    ingest.load(project, [log])
    before = sorted(path.name for path in project.lake.rglob("*.parquet"))

    again = ingest.load(project, [log])
    renamed = ingest.load(project, [log.rename(log.with_name("other.jsonl"))])

    assert (counts(again), again.files[0].known) == ((3, 0, 2, 1), True)
    assert (counts(renamed), renamed.files[0].known) == ((3, 0, 2, 1), True)
    assert sorted(path.name for path in project.lake.rglob("*.parquet")) == before


def test_a_file_that_has_grown_adds_only_what_is_new(project: Project, payload: Any, write: Any) -> None:
    ingest.load(project, [write([payload(0), "{oops", payload(1)])])

    result = ingest.load(project, [write([payload(0), "{oops", payload(1), payload(2)])])

    assert counts(result) == (4, 1, 2, 1)
    assert select(project, "SELECT count(*), count(DISTINCT event_id) FROM attempts") == [(3, 3)]
    assert select(project, "SELECT count(*) FROM quarantine") == [(1,)]


def test_folders_globs_and_compressed_files_are_found(project: Project, payload: Any, tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.jsonl").write_text(json.dumps(payload(0)))
    (folder / "deep" / "b.json").write_text(json.dumps([payload(1), payload(2), 7], indent=1))
    (folder / "c.json").write_text(json.dumps(payload(3), indent=1))
    (folder / "d.jsonl.gz").write_bytes(gzip.compress(json.dumps(payload(4)).encode()))
    (folder / "e.json").write_text(json.dumps(payload(5)) + "\n" + json.dumps(payload(6)))
    (folder / "README.txt").write_text("not a log")

    whole = ingest.load(project, [folder])
    globbed = ingest.load(project, [str(folder / "*.jsonl*")])

    assert counts(whole) == (8, 7, 0, 1)
    assert counts(globbed) == (2, 0, 2, 0)


@pytest.mark.parametrize("reason", HOSTILE)
def test_a_hostile_line_is_quarantined_with_its_reason(reason: str, project: Project, payload: Any, write: Any) -> None:
    log = write([payload(0), *HOSTILE[reason], payload(1)])

    result = ingest.load(project, [log])

    bad = len(HOSTILE[reason])
    assert counts(result) == (2 + bad, 2, 0, bad)
    assert set(select(project, "SELECT reason FROM quarantine")) == {(reason,)}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"prompt_tokens": -1}, "out_of_range"),
        ({"prompt_tokens": 10**400}, "out_of_range"),
        ({"prompt_tokens": [1]}, "wrong_type"),
        ({"startTime": None}, "missing_field"),
        ({"startTime": "yesterday"}, "wrong_type"),
        ({"startTime": 1e300}, "out_of_range"),
        ({"startTime": "9999-12-31T00:00:00Z"}, "out_of_range"),
        ({"status": "pending"}, "unknown_value"),
        ({"response_cost": 1e9}, "out_of_range"),
        ({"response_cost": "much"}, "wrong_type"),
        ({"model_group": "m" * 600}, "out_of_range"),
        ({"id": None, "litellm_call_id": ""}, "missing_field"),
        ({"model": {"a": 1}}, "wrong_type"),
    ],
)
def test_a_field_that_cannot_be_is_quarantined(
    changes: dict[str, Any], reason: str, project: Project, payload: Any, write: Any
) -> None:
    result = ingest.load(project, [write([payload(0, **changes), payload(1)])])

    assert counts(result) == (2, 1, 0, 1)
    assert select(project, "SELECT reason FROM quarantine") == [(reason,)]


def test_a_line_that_is_not_utf8_is_quarantined(project: Project, payload: Any, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_bytes(b'\xef\xbb\xbf{"a": "\xff"}\r\n' + json.dumps(payload(0)).encode() + b"\r\n")

    assert counts(ingest.load(project, [log])) == (2, 1, 0, 1)
    assert select(project, "SELECT line, reason FROM quarantine") == [(1, "not_utf8")]


def test_a_line_beyond_the_limit_is_skipped_without_being_held(
    project: Project, payload: Any, write: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fairlead.ingest.entry.MAX_LINE", 100_000)
    log = write([payload(0), '{"a": "' + "x" * 3_000_000 + '"}', payload(1), "y" * 200_000, payload(2)])

    assert counts(ingest.load(project, [log])) == (5, 3, 0, 2)
    assert select(project, "SELECT line, reason FROM quarantine ORDER BY line") == [
        (2, "line_too_long"),
        (4, "line_too_long"),
    ]


def test_compressed_data_that_breaks_off_keeps_the_lines_before(project: Project, payload: Any, tmp_path: Path) -> None:
    lines = "".join(json.dumps(payload(number)) + "\n" for number in range(3000)).encode()
    cut = tmp_path / "log.jsonl.gz"
    cut.write_bytes(gzip.compress(lines)[:-2000])

    result = ingest.load(project, [cut])

    assert result.quarantined == 1
    assert 0 < result.stored == result.read - 1
    assert select(project, "SELECT reason FROM quarantine") == [("bad_compression",)]


def test_a_file_that_expands_beyond_reason_is_refused(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compression, "_FREE_BYTES", 1 << 20)
    bomb = tmp_path / "bomb.jsonl.gz"
    compressor = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb.write_bytes(compressor.compress(b"\n" * (8 << 20)) + compressor.flush())

    with pytest.raises(ReadError, match=r"bomb\.jsonl\.gz: expands to more than 200 times"):
        ingest.load(project, [bomb])

    assert store.open_lake(project.lake).sources() == []


def test_what_is_no_file_is_refused_by_name(project: Project, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jsonl")
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 but not really")

    for path, message in (
        (tmp_path / "pipe.jsonl", "not a regular file"),
        (tmp_path / "empty", "no log files in this folder"),
        (tmp_path / "none.jsonl", "no such file"),
        (tmp_path / "*.none", "no such file"),
        (tmp_path / "bad.parquet", "not a readable Parquet file"),
    ):
        with pytest.raises(ReadError, match=message):
            ingest.load(project, [path])


def test_wrong_use_says_what_there_is(project: Project, write: Any, tmp_path: Path) -> None:
    log = write(["{}"])

    with pytest.raises(UsageError, match=r"no reader 'litelm'; there are auto, .*generic, .*litellm_payload"):
        ingest.load(project, [log], reader="litelm")
    with pytest.raises(UsageError, match="needs a mapping"):
        ingest.load(project, [log], reader="generic")
    with pytest.raises(UsageError, match="takes no mapping"):
        ingest.load(project, [log], reader="litellm_payload", mapping=tmp_path / "m.toml")


def test_progress_is_told(project: Project, payload: Any, write: Any) -> None:
    told = []

    ingest.load(
        project, [write([payload(0)])], progress=lambda path, count, done: told.append((path.name, count, done))
    )

    assert told == [("log.jsonl", 1, True)]


def test_nothing_of_a_prompt_or_a_person_is_kept(project: Project, payload: Any, write: Any) -> None:
    secrets = ("Secret", "jane@example.com", "10.1.2.3", "u-1", "caller-9", "sk-live")
    record = payload(
        0,
        messages=[{"role": "user", "content": "Secret question"}],
        error_str="Secret in an error",
        error_information={"error_message": "Secret", "traceback": "Secret", "error_code": "500"},
        guardrail_information={"found": "Secret"},
        requester_ip_address="10.1.2.3",
        new_field={"note": "Secret words", "user_prompt": "Secret", "kept": "yes", "count": 3},
        metadata={
            "user_api_key_user_id": "u-1",
            "user_api_key_user_email": "jane@example.com",
            "system_text": "Secret",
        },
        model_parameters={"user": "caller-9", "tools": [{"name": "Secret"}], "api_key": "sk-live"},
    )

    ingest.load(project, [write([record, {**record, "startTime": "Secret"}])])

    for path in project.lake.rglob("*.parquet"):
        import pyarrow.parquet as pq

        text = repr(pq.read_table(path).to_pylist())
        assert [secret for secret in secrets if secret in text] == []
    attributes = json.loads(select(project, "SELECT attributes FROM attempts")[0][0])
    assert attributes["new_field"] == {"kept": "yes", "count": 3}


def test_every_reason_is_used_by_name() -> None:
    from fairlead.ingest import quarantine

    named = [value for name, value in vars(quarantine).items() if name.isupper() and isinstance(value, str)]

    assert Counter(quarantine.REASONS) == Counter(value for value in named if value != "ingest")
