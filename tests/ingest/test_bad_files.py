"""What becomes of each kind of file: taken, or refused by name while the others are loaded."""

import gzip
import json
import os
import random
import sqlite3
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fairlead import ingest, store
from fairlead.errors import ReadError
from fairlead.ingest import LoadError, compression
from fairlead.project import Project, open_project

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


# --- not what a log is


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_utf16_is_refused_with_the_way_out(encoding: str, project: Project, payload: Any, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_bytes(lines(payload, 0, 1).decode().encode(encoding))

    with pytest.raises(ReadError, match=r"log\.jsonl: text in UTF-(16|32), which is not read; write it as UTF-8"):
        ingest.load(project, [log])

    assert truth(project) == (0, 0, 0, [])


def test_what_holds_no_text_is_refused_by_what_it_is(project: Project, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"PK\x03\x04 and more")
    (tmp_path / "b.json").write_bytes(b"\xfd7zXZ\x00 and more")
    sqlite3.connect(tmp_path / "c.csv").execute("CREATE TABLE t (x)").connection.close()

    with pytest.raises(LoadError) as caught:
        ingest.load(project, [tmp_path])

    faults = [file.fault or "" for file in caught.value.result.failed]
    assert ["ZIP" in faults[0], "xz" in faults[1], "SQLite" in faults[2]] == [True] * 3


def test_the_content_says_what_a_file_is_where_its_name_does_not(
    project: Project, payload: Any, tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_bytes(lines(payload, 0))
    (tmp_path / "b.log").write_bytes(gzip.compress(lines(payload, 1)))
    (tmp_path / "c.json").write_bytes(lines(payload, 2, 3))
    (tmp_path / "d.jsonl.gz").write_bytes(lines(payload, 4))
    (tmp_path / "log.toml").write_text(MAPPING)
    pq.write_table(pa.table({"id": ["p"], "ts": [1_767_225_600], "tokens": [1]}), tmp_path / "log.jsonl")

    result = ingest.load(project, [tmp_path / name for name in ("a.txt", "b.log", "c.json", "d.jsonl.gz", "log.jsonl")])

    assert counts(result) == (6, 6, 0, 0)


def test_what_is_no_file_is_refused_by_name_and_left_out_of_a_folder(
    project: Project, payload: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "real.jsonl").write_bytes(lines(payload, 0))
    (folder / "link.jsonl").symlink_to(folder / "real.jsonl")
    (folder / "nowhere.jsonl").symlink_to(folder / "gone")
    os.mkfifo(folder / "pipe.jsonl")
    named = [folder / "link.jsonl", folder / "nowhere.jsonl", folder / "pipe.jsonl", Path("/dev/null")]

    assert counts(ingest.load(project, [folder])) == (1, 1, 0, 0)
    with pytest.raises(LoadError, match=r"the other 1 of 5 files are loaded") as caught:
        ingest.load(project, [*named, folder])

    assert counts(caught.value.result) == (1, 0, 1, 0)
    assert [Path(file.path or "") for file in caught.value.result.failed] == named


@pytest.mark.parametrize("name", ["a'b\"c.jsonl", "a\nb.jsonl", "a;--$(x).jsonl", "ü \u202e.jsonl", "%2e%2e.jsonl"])
def test_a_path_may_hold_anything(name: str, project: Project, payload: Any, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / name).write_bytes(lines(payload, 0) + b"broken\n")

    first = ingest.load(project, [tmp_path / "deep" / ".." / name])
    again = ingest.load(project, [tmp_path / name])

    assert (counts(first), counts(again)) == ((2, 1, 0, 1), (2, 0, 1, 1))
    assert truth(project) == (1, 1, 1, [])


def test_a_lake_may_lie_under_any_path(payload: Any, tmp_path: Path) -> None:
    root = tmp_path / 'it\'s a "lake" [*]'
    root.mkdir()
    (root / "pyproject.toml").write_text("[tool.fairlead]\n")
    (root / "log.jsonl").write_bytes(lines(payload, 0))
    project = open_project(root)

    assert counts(ingest.load(project, [root / "log.jsonl"])) == (1, 1, 0, 0)
    assert truth(project) == (1, 1, 0, [])


def test_a_bomb_is_refused_and_nothing_of_it_is_kept(
    project: Project, payload: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compression, "_FREE_BYTES", 1 << 20)
    compressor = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = compressor.compress(lines(payload, 0) + b"\0" * (32 << 20)) + compressor.flush()
    (tmp_path / "bomb.jsonl.gz").write_bytes(bomb)
    (tmp_path / "good.jsonl").write_bytes(lines(payload, 1))

    with pytest.raises(LoadError, match=r"bomb\.jsonl\.gz: expands to more than 200 times") as caught:
        ingest.load(project, [tmp_path])

    assert counts(caught.value.result) == (1, 1, 0, 0)
    assert truth(project) == (1, 1, 0, [])


# --- changed behind our back


def test_a_changed_file_is_a_new_version_and_said_to_be(project: Project, payload: Any, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_bytes(lines(payload, 0, 1))
    first = ingest.load(project, [log])
    log.write_bytes(lines(payload, 0, 1, 2))
    grown = ingest.load(project, [log])
    log.write_bytes(lines(payload, 3))
    rotated = ingest.load(project, [log])
    log.write_bytes(b"")
    emptied = ingest.load(project, [log])

    assert [one.changed for one in (first, grown, rotated, emptied)] == [False, False, True, True]
    assert [counts(one) for one in (first, grown, rotated, emptied)] == [
        (2, 2, 0, 0),
        (3, 1, 2, 0),
        (1, 1, 0, 0),
        (0, 0, 0, 0),
    ]
    assert truth(project) == (4, 4, 0, [])


def test_the_same_content_under_another_name_is_known(project: Project, payload: Any, tmp_path: Path) -> None:
    for name in ("a.jsonl", "b.jsonl"):
        (tmp_path / name).write_bytes(lines(payload, 0, 1) + b"broken\n")

    result = ingest.load(project, [tmp_path])

    assert counts(result) == (6, 2, 2, 2)
    assert [file.known for file in result.files] == [False, True]
    assert truth(project) == (2, 2, 1, [])


@pytest.mark.parametrize("what", ["truncated", "overwritten", "deleted", "appended to"])
def test_a_file_that_changes_while_it_is_read_is_refused_or_read_as_it_was(
    what: str, project: Project, payload: Any, tmp_path: Path
) -> None:
    log = tmp_path / "log.jsonl"
    log.write_bytes(lines(payload, *range(2_500)))
    happened = []

    def change(path: Path, records: int, finished: bool) -> None:
        if records >= 2_000 and not happened:
            happened.append(records)
            if what == "deleted":
                path.unlink()
            elif what == "appended to":
                with path.open("ab") as opened:
                    opened.write(lines(payload, 2_500))
            else:
                with path.open("rb+") as opened:  # in place, as `copytruncate` does
                    opened.truncate(0 if what == "truncated" else None)
                    opened.write(lines(payload, 9_000) if what == "truncated" else b"x" * 2_000)

    if what in ("deleted", "appended to"):
        assert counts(ingest.load(project, [log], progress=change)) == (2_500, 2_500, 0, 0)
        return
    with pytest.raises(ReadError, match="it was changed while it was read; nothing of it was loaded"):
        ingest.load(project, [log], progress=change)
    assert happened
    assert truth(project) == (0, 0, 0, [])


# --- damaged tables


def made(rows: int) -> pa.Table:
    return pa.table(
        {"id": [f"id-{n}" for n in range(rows)], "ts": [1_767_225_600 + n for n in range(rows)], "tokens": range(rows)}
    )


def damaged(data: bytes, count: int) -> Iterator[tuple[str, bytes]]:
    chance = random.Random(5)
    for number in range(count):
        kind = number % 3
        place = chance.randrange(len(data))
        if kind == 0:
            yield (
                f"bit at {place}",
                data[:place] + bytes([data[place] ^ (1 << chance.randrange(8))]) + data[place + 1 :],
            )
        elif kind == 1:
            yield f"cut at {place}", data[:place]
        else:
            yield f"zeros at {place}", data[:place] + bytes(len(data[place : place + 64])) + data[place + 64 :]


def test_a_damaged_table_is_refused_and_the_others_are_loaded(project: Project, payload: Any, tmp_path: Path) -> None:
    (tmp_path / "log.toml").write_text(MAPPING)
    pq.write_table(made(3_000), tmp_path / "log.parquet", row_group_size=1_000, write_page_checksum=True)
    data = bytearray((tmp_path / "log.parquet").read_bytes())
    group = pq.ParquetFile(tmp_path / "log.parquet").metadata.row_group(2).column(0)
    data[group.dictionary_page_offset + group.total_compressed_size // 2] ^= 0xFF
    (tmp_path / "log.parquet").write_bytes(data)
    (tmp_path / "a.jsonl").write_bytes(lines(payload, 0))
    (tmp_path / "z.jsonl").write_bytes(lines(payload, 1))

    with pytest.raises(LoadError, match=r"log\.parquet: not a readable Parquet file .*other 2 of 3 files") as caught:
        ingest.load(project, [tmp_path])

    assert counts(caught.value.result) == (2, 2, 0, 0)
    assert truth(project) == (2, 2, 0, [])


def test_no_damage_to_a_table_stops_the_process_or_breaks_the_sum(project: Project, tmp_path: Path) -> None:
    (tmp_path / "m.toml").write_text(MAPPING)
    path = tmp_path / "log.parquet"
    pq.write_table(made(200), path, write_page_checksum=True)
    refused = 0
    for what, data in damaged(path.read_bytes(), 90):
        path.write_bytes(data)
        try:
            result = ingest.load(project, [path], mapping=tmp_path / "m.toml")
        except ReadError as fault:
            refused += "log.parquet" in str(fault)
        else:
            assert result.read == result.stored + result.duplicates + result.quarantined, what
            assert result.read in (0, 200)
    assert refused > 60


def test_a_value_that_its_type_cannot_hold_is_one_records_fault(project: Project, tmp_path: Path, select: Any) -> None:
    (tmp_path / "log.toml").write_text(MAPPING)
    names = pa.Array.from_buffers(
        pa.string(), 3, [None, pa.py_buffer(b"\0\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0"), pa.py_buffer(b"a\xffc")]
    )
    times = pa.array([1_767_225_600_000_000, 1_767_225_600_000_000, 2**62], pa.timestamp("us"))
    pq.write_table(pa.table({"id": names, "ts": times, "tokens": [1, 2, 3]}), tmp_path / "log.parquet")

    assert counts(ingest.load(project, [tmp_path / "log.parquet"])) == (3, 1, 0, 2)
    assert select("SELECT line, reason FROM quarantine ORDER BY line") == [(2, "not_utf8"), (3, "out_of_range")]


# --- too much set aside


def test_a_load_that_is_mostly_unreadable_fails_and_keeps_everything(project: Project, write: Any) -> None:
    log = write([f'{{"other": {number}}}' for number in range(150)])

    with pytest.raises(LoadError, match=r"150 of 150 records are in quarantine") as caught:
        ingest.load(project, [log])
    with pytest.raises(LoadError, match=r"150 of 150 records are in quarantine"):
        ingest.load(project, [log])

    assert counts(caught.value.result) == (150, 0, 0, 150)
    assert truth(project) == (0, 0, 150, [])


def test_how_much_may_be_unreadable_is_a_setting(payload: Any, tmp_path: Path, write: Any) -> None:
    log = write([*(payload(number) for number in range(97)), "a", "b", "c"])
    allowed, strict = (tmp_path / name for name in ("allowed", "strict"))
    for root, share in ((allowed, 0.03), (strict, 0.02)):
        root.mkdir()
        (root / "pyproject.toml").write_text(f"[tool.fairlead.ingest]\nmax_quarantined_share = {share}\n")

    assert counts(ingest.load(open_project(allowed), [log])) == (100, 97, 0, 3)
    with pytest.raises(LoadError, match="3 of 100 records are in quarantine"):
        ingest.load(open_project(strict), [log])
