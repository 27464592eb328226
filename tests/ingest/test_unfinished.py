"""What is still being written is left for the next load, and nothing of it is left behind."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from fairlead import ingest, store
from fairlead.project import Project

MAPPING = 'table = "attempts"\nsource = "mine"\n[columns]\nsource_record_id = "id"\nstart_time = "ts"\n'
MAPPING += 'input_tokens = "tokens"\n[constants]\nprovider_name = "p"\n'


def counts(result: store.LoadResult) -> tuple[int, int, int, int]:
    return result.read, result.stored, result.duplicates, result.quarantined


def lines(payload: Any, *numbers: int) -> bytes:
    return b"".join(json.dumps(payload(number)).encode() + b"\n" for number in numbers)


def truth(project: Project) -> tuple[Any, ...]:
    """Rows, distinct rows, quarantined rows, damaged segments."""
    lake = store.open_lake(project.lake)
    con = lake.connect()
    try:
        kept = store.query(con, "SELECT count(*), count(DISTINCT event_id) FROM attempts").row(0)
        aside = store.query(con, "SELECT count(*) FROM quarantine").item()
    finally:
        con.close()
    return *kept, aside, lake.verify()


def test_every_cut_of_a_file_is_completed_by_the_next_load(project: Project, payload: Any, tmp_path: Path) -> None:
    whole = lines(payload, 0, 1)
    record = json.dumps({**payload(2), "metadata": {"a": [1, -2.5e-3, True, None, 'x é"\\\n😀']}}, ensure_ascii=False)
    log = tmp_path / "log.jsonl"
    # A cut at every byte of the end, a few of the middle: none may leave anything behind.
    last = record.encode()
    cuts = [*range(1, len(last), 37), *range(len(last) - 90, len(last))]
    for cut in cuts:
        log.write_bytes(whole + last[:cut])

        result = ingest.load(project, [log])

        assert (result.read, result.quarantined, result.deferred) == (2, 0, 1), last[:cut]
    log.write_bytes(whole + last)

    done = ingest.load(project, [log])

    assert (counts(done), done.deferred) == ((3, 1, 2, 0), 0)
    assert truth(project) == (3, 3, 0, [])


def test_a_deferred_line_is_told_at_every_load_until_it_ends(project: Project, payload: Any, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_bytes(lines(payload, 0) + lines(payload, 1)[:-30])

    first, second = ingest.load(project, [log]), ingest.load(project, [log])
    log.write_bytes(log.read_bytes() + b"\n")
    ended = ingest.load(project, [log])

    assert (counts(first), first.deferred) == ((1, 1, 0, 0), 1)
    assert (counts(second), second.deferred, second.files[0].known) == ((1, 0, 1, 0), 1, True)
    assert (counts(ended), ended.deferred) == ((2, 0, 1, 1), 0)


def test_a_last_line_that_nothing_can_complete_is_set_aside(project: Project, payload: Any, tmp_path: Path) -> None:
    for number, last in enumerate((b"{oops", b"[1, 2", b"words", b'{"a": "\\ud800"}', b'{"a": 1} {')):
        log = tmp_path / f"{number}.jsonl"
        log.write_bytes(lines(payload, number) + last)

        result = ingest.load(project, [log])

        assert (counts(result), result.deferred) == ((2, 1, 0, 1), 0), last


def test_a_whole_last_line_without_its_end_is_taken(project: Project, payload: Any, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_bytes(lines(payload, 0, 1).rstrip())

    first = ingest.load(project, [log])
    log.write_bytes(log.read_bytes() + b"\r\n" + lines(payload, 2))
    second = ingest.load(project, [log])

    assert (counts(first), counts(second)) == ((2, 2, 0, 0), (3, 1, 2, 0))


@pytest.mark.parametrize("indent", [None, 1])
def test_a_document_that_is_not_finished_is_left_whole(
    indent: int | None, project: Project, payload: Any, tmp_path: Path
) -> None:
    log = tmp_path / "log.json"
    whole = json.dumps([payload(0), payload(1)], indent=indent).encode()
    for cut in range(1, len(whole), 61):
        log.write_bytes(whole[:cut])

        result = ingest.load(project, [log])

        assert (counts(result), result.deferred) == ((0, 0, 0, 0), 1), cut
    log.write_bytes(whole)
    assert counts(ingest.load(project, [log])) == (2, 2, 0, 0)
    assert truth(project) == (2, 2, 0, [])


def test_the_last_row_of_a_growing_table_waits_for_its_values(project: Project, tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    (tmp_path / "log.toml").write_text(MAPPING)
    whole = b'id,ts,tokens\na,2026-01-01,1\n"b,\n""c""",2026-01-01,2\n'
    for cut in (len(b"id,ts,tokens\na,2026-01-01,1\n") + 1, len(whole) - 16, len(whole) - 5):
        log.write_bytes(whole[:cut])

        result = ingest.load(project, [log])

        assert (result.read, result.quarantined, result.deferred) == (1, 0, 1), whole[:cut]
    log.write_bytes(whole)
    assert counts(ingest.load(project, [log])) == (2, 1, 1, 0)


def test_what_is_compressed_does_not_grow_so_its_broken_end_is_set_aside(
    project: Project, payload: Any, tmp_path: Path
) -> None:
    log = tmp_path / "log.jsonl.gz"
    log.write_bytes(gzip.compress(lines(payload, 0, 1)[:-30]))

    result = ingest.load(project, [log])

    assert (counts(result), result.deferred) == ((2, 1, 0, 1), 0)
