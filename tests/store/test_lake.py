import os
import sqlite3
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, get_type_hints

import pyarrow as pa
import pytest

from fairlead import schema, store
from fairlead.errors import StoreError
from fairlead.schema import Attempt, Candidate, Feedback
from fairlead.store import Lake, SourceFile
from fairlead.store.arrow import as_table
from fairlead.store.arrow import schema as arrow_schema
from fairlead.store.manifest import Manifest

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def attempt(number: int, **changes: Any) -> Attempt:
    values = {
        "event_id": f"event-{number}",
        "event_date": NOON.date(),
        "source": "test",
        "source_record_id": str(number),
        "ingested_at": NOON,
        "request_id": f"request-{number}",
        "provider_name": "openai",
        "response_model": "m",
        "start_time": NOON,
        "status": "ok",
    }
    return Attempt(**{**values, **changes})


def source(name: str) -> SourceFile:
    return SourceFile(path=name, sha256=name, bytes=1)


def load(lake: Lake, name: str, rows: list[Attempt]) -> store.LoadResult:
    with lake.loading(source(name)) as loading:
        loading.add("attempts", rows)
        return loading.commit()


def select(lake: Lake, sql: str) -> list[tuple[Any, ...]]:
    con = lake.connect()
    try:
        return store.query(con, sql).rows()
    finally:
        con.close()


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return store.open_lake(tmp_path / "lake")


def test_every_column_of_every_table_has_an_arrow_type() -> None:
    for name, struct in schema.TABLES.items():
        fields = arrow_schema(name)

        assert fields.names == list(get_type_hints(struct))
    columns = {field.name: (field.type, field.nullable) for field in arrow_schema("attempts")}
    assert columns["event_id"] == (pa.string(), False)
    assert columns["source"] == (pa.dictionary(pa.int32(), pa.string()), False)
    assert columns["attempt_index"] == (pa.int16(), False)
    assert columns["reported_cost_usd"] == (pa.decimal128(18, 12), True)
    assert columns["start_time"] == (pa.timestamp("us", tz="UTC"), False)
    assert columns["prompt_sha256"] == (pa.binary(32), True)
    assert columns["tags"] == (pa.map_(pa.string(), pa.string()), True)
    assert columns["candidates"][0].value_type.names == [
        "arm",
        "propensity",
        "score",
        "predicted_cost_usd",
        "predicted_duration_s",
        "predicted_quality",
    ]
    assert arrow_schema("prices").field("price_usd_per_unit").type == pa.decimal128(24, 15)
    assert arrow_schema("request_features").field("text").type == pa.list_(pa.float32())


def test_rows_come_back_as_they_were(lake: Lake) -> None:
    full = attempt(
        1,
        tags={"route": "x", "prod": ""},
        usage_details={"images": 2},
        candidates=[Candidate(arm="a", propensity=0.5), Candidate(arm="b")],
        reported_cost_usd=Decimal("0.000000000001"),
        prompt_sha256=bytes(range(32)),
        duration_s=1.25,
        is_final=True,
    )

    load(lake, "one", [full, attempt(2)])

    con = lake.connect()
    names = [name for name in arrow_schema("attempts").names if name != "route"]  # which the view takes from the tags
    stored = con.sql(f"SELECT {', '.join(names)} FROM attempts ORDER BY source_record_id").to_arrow_table()
    con.close()
    assert stored.to_pylist() == as_table("attempts", [full, attempt(2)]).select(names).to_pylist()
    assert select(
        lake, "SELECT tags['route'], candidates[1].arm, reported_cost_usd::VARCHAR, endpoint, cost_known FROM attempts"
    ) == [("x", "a", "0.000000000001", "openai/m", True), (None, None, None, "openai/m", False)]


def test_an_empty_lake_has_every_view(lake: Lake) -> None:
    con = lake.connect()

    found = {name: store.query(con, f"SELECT * FROM {name}").height for name in (*schema.TABLES, "requests")}

    con.close()
    assert found == dict.fromkeys((*schema.TABLES, "requests"), 0)


def test_segments_lie_by_day_and_source_whatever_the_source_is_called(lake: Lake) -> None:
    odd = ["../../etc", "a/b", "..", "", "x" * 500, "naïve ☃", "a\x00b", "CON"]
    rows = [attempt(n, source=name, event_date=date(2026, 1, 1 + n % 2)) for n, name in enumerate(odd)]

    load(lake, "one", rows)

    paths = lake.segments("attempts")
    assert len(paths) == len(odd)
    assert all(path.resolve().is_relative_to(lake.root / "attempts") for path in paths)
    assert {path.parent.parent.name for path in paths} == {"event_date=2026-01-01", "event_date=2026-01-02"}
    assert sorted(select(lake, "SELECT source FROM attempts")) == sorted((name,) for name in odd)


def test_a_record_counts_once_within_a_load_and_against_the_lake(lake: Lake) -> None:
    first = load(lake, "one", [attempt(1), attempt(2), attempt(1)])
    second = load(lake, "two", [attempt(2), attempt(3)])
    again = load(lake, "one", [attempt(9)])

    assert (first.read, first.stored, first.duplicates) == (3, 2, 1)
    assert (second.read, second.stored, second.duplicates) == (2, 1, 1)
    assert (again.read, again.stored, again.duplicates, again.known) == (3, 0, 3, True)
    assert select(lake, "SELECT event_id FROM attempts ORDER BY 1") == [("event-1",), ("event-2",), ("event-3",)]


def test_a_newer_version_is_stored_and_only_the_newest_is_shown(lake: Lake) -> None:
    def version(hour: int, model: str) -> Attempt:
        return attempt(1, source_updated_at=NOON.replace(hour=hour), response_model=model)

    results = [
        load(lake, "one", [version(2, "b"), attempt(2)]),
        load(lake, "two", [version(1, "a"), version(4, "d"), version(3, "c")]),
        load(lake, "three", [version(4, "same"), attempt(1, response_model="undated")]),
    ]

    assert [(result.stored, result.duplicates) for result in results] == [(2, 0), (1, 2), (0, 2)]
    assert select(lake, "SELECT event_id, response_model FROM attempts ORDER BY 1") == [
        ("event-1", "d"),
        ("event-2", "m"),
    ]


def test_feedback_that_moves_to_another_day_is_not_doubled(lake: Lake) -> None:
    def score(day: int) -> Feedback:
        return Feedback(
            feedback_id="f",
            event_date=date(2026, 1, day),
            source="test",
            time=NOON,
            ingested_at=NOON,
            target_kind="request",
            target_id="r",
            name="quality",
            value_type="numeric",
            evaluator_kind="code",
        )

    for day in (1, 2):
        with lake.loading(source(str(day))) as loading:
            loading.add("feedback", [score(day)])
            loading.commit()

    assert select(lake, "SELECT count(*) FROM feedback") == [(1,)]


def test_a_load_that_is_not_committed_leaves_nothing_to_be_seen(lake: Lake) -> None:
    with lake.loading(source("one")) as loading:
        loading.add("attempts", [attempt(1)])
        loading._flush()  # and no commit

    assert (lake.segments("attempts"), lake.sources()) == ([], [])
    assert select(lake, "SELECT count(*) FROM attempts") == [(0,)]
    assert len(lake.sweep()) == 1
    assert list((lake.root / "attempts").rglob("*.parquet")) == []
    assert load(lake, "one", [attempt(1)]).stored == 1


def test_a_segment_is_durable_before_the_manifest_lists_it(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    whole = {"fsync": os.fsync, "rename": Path.rename, "commit": Manifest.commit}

    def fsync(descriptor: int) -> None:
        steps.append(f"fsync {Path(os.readlink(f'/proc/self/fd/{descriptor}')).suffix or 'folder'}")
        whole["fsync"](descriptor)

    def rename(self: Path, target: Path) -> Path:
        steps.append(f"rename to {target.suffix}")
        return whole["rename"](self, target)

    def commit(self: Manifest, *arguments: Any) -> None:
        steps.append("commit")
        whole["commit"](self, *arguments)

    load(lake, "make the folders", [attempt(0)])
    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "rename", rename)
    monkeypatch.setattr(Manifest, "commit", commit)

    load(lake, "one", [attempt(1)])

    assert steps == ["fsync .tmp", "rename to .parquet", "fsync folder", "commit"]


def test_a_full_disk_loses_nothing_that_was_committed(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    load(lake, "one", [attempt(1)])

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(StoreError, match=r"a segment cannot be written .*No space left"):
            load(lake, "two", [attempt(2)])

    assert [path for path in (lake.root / "attempts").rglob("*") if path.suffix == ".tmp"] == []
    assert load(lake, "two", [attempt(2)]).stored == 1
    assert select(lake, "SELECT count(*) FROM attempts") == [(2,)]


def test_requests_are_put_together_from_their_attempts(lake: Lake) -> None:
    def at(second: float, number: int, **changes: Any) -> Attempt:
        start = datetime.fromtimestamp(NOON.timestamp() + second, UTC)
        return attempt(number, request_id="r", start_time=start, **changes)

    load(
        lake,
        "one",
        [
            at(0, 1, duration_s=1.0, status="error", error_class="timeout", deployment_id="a", team_id="t"),
            at(2, 2, duration_s=3.0, time_to_first_chunk_s=0.5, deployment_id="b", reported_cost_usd=Decimal("0.5")),
            at(3, 3, duration_s=0.5, status="cancelled", deployment_id="c", reported_cost_usd=Decimal("0.25")),
            at(4, 4, attempt_kind="shadow", duration_s=60.0, reported_cost_usd=Decimal(9)),
        ],
    )

    assert select(
        lake,
        "SELECT request_id, attempts, status, error_class, first_endpoint, endpoint, duration_s,"
        " time_to_first_chunk_s, cost_usd::DOUBLE, cost_known, team_id, event_date::VARCHAR FROM requests",
    ) == [("r", 3, "ok", None, "a", "b", 5.0, 2.5, 0.75, False, "t", "2026-01-01")]


def test_verify_finds_a_flipped_bit_a_cut_and_a_loss(lake: Lake) -> None:
    load(lake, "one", [attempt(n, source=f"s{n}") for n in range(4)])
    flipped, cut, lost, _ = lake.segments("attempts")
    assert lake.verify() == []

    data = bytearray(flipped.read_bytes())
    data[len(data) // 2] ^= 1
    flipped.write_bytes(data)
    cut.write_bytes(cut.read_bytes()[:-1])
    lost.unlink()

    assert {(lake.root / fault.path, fault.fault) for fault in lake.verify()} == {
        (flipped, "sha256"),
        (cut, "size"),
        (lost, "missing"),
    }


def test_a_reader_of_the_database_does_not_block_the_writer(lake: Lake, tmp_path: Path) -> None:
    import duckdb

    database = tmp_path / "fairlead.duckdb"
    load(lake, "one", [attempt(1)])
    lake.rebuild(database)
    reader = duckdb.connect(str(database), read_only=True)
    assert reader.sql("SELECT count(*) FROM attempts").fetchall() == [(1,)]

    load(lake, "two", [attempt(2)])
    lake.rebuild(database, lambda con: con.execute("CREATE TABLE built AS SELECT count(*) AS n FROM attempts"))

    assert reader.sql("SELECT count(*) FROM attempts").fetchall() == [(1,)]
    reader.close()
    again = duckdb.connect(str(database), read_only=True)
    assert again.sql("SELECT n FROM built").fetchall() == [(2,)]
    again.close()
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["fairlead.duckdb"]


def test_a_lake_of_a_newer_fairlead_is_refused(lake: Lake) -> None:
    connection = sqlite3.connect(lake.root / "manifest.sqlite")
    connection.execute("PRAGMA user_version = 99")
    connection.close()

    with pytest.raises(StoreError, match="written by a newer fairlead"):
        store.open_lake(lake.root)


def test_faults_of_the_caller_are_store_errors(lake: Lake) -> None:
    con = lake.connect()
    with pytest.raises(StoreError, match="a query failed"):
        store.query(con, "SELECT nothing FROM nowhere")
    con.close()
    with pytest.raises(StoreError, match="no table 'attempt'"):
        lake.segments("attempt")
    with (
        pytest.raises(StoreError, match="a row of attempts cannot be added to feedback"),
        lake.loading(source("x")) as loading,
    ):
        loading.add("feedback", [attempt(1)])
    with pytest.raises(StoreError, match="without rows"), lake.loading(source("x")) as loading:
        loading.record([])


def test_prices_are_one_row_a_meter_and_end_with_their_sheet(lake: Lake, tmp_path: Path) -> None:
    catalogue = tmp_path / "it's.csv"
    head = (
        "provider_name,model,region,service_tier,min_input_tokens,valid_from,input,output,cache_read,cache_creation,"
        "cache_creation_1h,reasoning,catalog,catalog_version,retrieved_at,context_window,max_output_tokens\n"
    )
    catalogue.write_text(
        head
        + "openai,m,,standard,0,2025-01-01T00:00:00Z,2.5,10,,,,,own,1,2026-01-01T00:00:00Z,,\n"
        + "openai,m,,standard,0,2025-06-01T00:00:00Z,2,,,,,,own,1,2026-01-01T00:00:00Z,,\n"
    )
    con = lake.connect()

    store.load_prices(con, catalogue)

    rows = store.query(
        con, "SELECT meter, price_usd_per_unit::VARCHAR, valid_from::DATE::VARCHAR, valid_to::DATE::VARCHAR FROM prices"
    ).rows()
    con.close()
    assert sorted(rows, key=str) == [
        ("input", "0.000002000000000", "2025-06-01", None),
        ("input", "0.000002500000000", "2025-01-01", "2025-06-01"),
        ("output", "0.000010000000000", "2025-01-01", "2025-06-01"),
    ]
