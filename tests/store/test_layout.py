from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead import store
from fairlead.schema import Attempt, record_id
from fairlead.store import SourceFile, layout
from fairlead.store.arrow import as_table
from fairlead.store.arrow import schema as canonical

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
IDS = st.sampled_from(["a", "b", "naïve ☃", "x" * 40]) | st.text(
    st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8
)
MAYBE_IDS = st.none() | IDS
MICROSECONDS = st.none() | st.integers(0, 10**13).map(lambda ticks: ticks / 1e6)
MONEY = st.none() | st.integers(-(10**15), 10**15).map(lambda units: Decimal(units).scaleb(-12))


@st.composite
def attempts(draw: st.DrawFn) -> Attempt:
    own, index = draw(IDS), draw(st.integers(0, 3))
    given_id = draw(st.none() | st.just("an id of its own"))
    return Attempt(
        event_id=given_id or record_id("test", "here", own, index),
        event_date=NOON.date(),
        source="test",
        source_instance="here",
        source_record_id=own,
        attempt_index=index,
        ingested_at=NOON,
        request_id=draw(st.just(own) | IDS),
        trace_id=draw(MAYBE_IDS),
        span_id=draw(MAYBE_IDS),
        conversation_id=draw(MAYBE_IDS),
        response_id=draw(st.just(own) | MAYBE_IDS),
        provider_name="openai",
        start_time=NOON,
        status="ok",
        duration_s=draw(MICROSECONDS),
        time_to_first_chunk_s=draw(MICROSECONDS),
        upstream_duration_s=draw(MICROSECONDS),
        gateway_overhead_s=draw(MICROSECONDS),
        reported_cost_usd=draw(MONEY),
        list_cost_usd=draw(MONEY),
    )


@settings(deadline=None)
@given(st.lists(attempts(), min_size=1, max_size=5))
def test_what_is_written_says_what_was_given(rows: list[Attempt]) -> None:
    wanted = as_table("attempts", rows)
    con = store.connection.connect()

    found = store.connection.arrow(
        con, f"SELECT {layout.logical('attempts')} FROM segment", {"segment": layout.physical("attempts", wanted)}
    )

    con.close()
    assert found.select(canonical("attempts").names).to_pylist() == wanted.to_pylist()


def test_an_id_that_repeats_another_is_not_written_twice(tmp_path: Path) -> None:
    own = "chatcmpl-1"
    row: dict[str, Any] = {
        "event_id": record_id("test", None, own, 0),
        "event_date": NOON.date(),
        "source": "test",
        "source_record_id": own,
        "ingested_at": NOON,
        "request_id": own,
        "trace_id": own,
        "response_id": own,
        "provider_name": "openai",
        "start_time": NOON,
        "status": "ok",
    }
    lake = store.open_lake(tmp_path / "lake")

    with lake.loading(SourceFile(path="log", sha256="1", bytes=1)) as load:
        load.add("attempts", [Attempt(**row)])
        load.commit()

    (path,) = lake.segments("attempts")
    (written,) = pq.read_table(path).to_pylist()
    names = ("event_id", "source_record_id", "request_id", "trace_id", "response_id", "conversation_id")
    assert [written[name] for name in names] == [None, own, "", "", "", None]
