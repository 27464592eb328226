"""What becomes of each kind of line that a log may hold: taken, set aside with its reason, or left for later."""

import gzip
import hashlib
import json
import random
import tempfile
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairlead import ingest, store
from fairlead.project import Project, open_project

DEEP = 5_000
LONG = 20_000_000


def counts(result: store.LoadResult) -> tuple[int, int, int, int]:
    return result.read, result.stored, result.duplicates, result.quarantined


def line(payload: Any, number: int = 0, **changes: Any) -> bytes:
    return json.dumps(payload(number, **changes)).encode()


# What each line is, by name: how it is made, and the reason it is set aside with.
ASIDE: dict[str, tuple[str, Any]] = {
    "an object cut in half": ("not_json", lambda p: line(p)[: len(line(p)) // 2] + b"}"),
    "single quotes": ("not_json", lambda p: b"{'a': 1}"),
    "a trailing comma": ("not_json", lambda p: b'{"a": 1,}'),
    "two objects on a line": ("not_json", lambda p: line(p) + b" " + line(p, 1)),
    "two objects without a blank": ("not_json", lambda p: line(p) + line(p, 1)),
    "words": ("not_json", lambda p: b"2026-01-01 ERROR something happened"),
    "an array": ("not_an_object", lambda p: b"[" + line(p) + b"]"),
    "a number": ("not_an_object", lambda p: b"42"),
    "a text": ("not_an_object", lambda p: b'"text"'),
    "null": ("not_an_object", lambda p: b"null"),
    "true": ("not_an_object", lambda p: b"true"),
    "a byte that is not UTF-8": ("not_utf8", lambda p: line(p).replace(b"maths", b"ma\xffths")),
    "a surrogate in bytes": ("not_utf8", lambda p: line(p).replace(b"maths", b"ma\xed\xa0\x80ths")),
    "half a surrogate pair": ("not_json", lambda p: line(p).replace(b"maths", b"ma\\ud800ths")),
    "a NUL in a text": ("not_json", lambda p: line(p).replace(b"maths", b"ma\x00ths")),
    "a NUL before the object": ("not_json", lambda p: b"\x00\x00\x00" + line(p)),
    "an escaped NUL in an id": ("out_of_range", lambda p: line(p, model_id="a\x00b")),
    "a key twice": ("duplicate_key", lambda p: line(p)[:-1] + b', "status": "failure"}'),
    "a key twice, blanks around": ("duplicate_key", lambda p: line(p)[:-1] + b' ,\t"status" : "success" }'),
    "a key twice, once escaped": ("duplicate_key", lambda p: line(p)[:-1] + b', "st\\u0061tus": "failure"}'),
    "a key twice, nested": ("duplicate_key", lambda p: line(p).replace(b'"temperature": 0.5', b'"a": 1, "a": 1')),
    "a key twice, in an array": ("duplicate_key", lambda p: line(p)[:-1] + b', "x": [[{"a": 1, "a": 2}]]}'),
    "depth 5,000": ("too_deep", lambda p: line(p)[:-1] + b', "x": ' + b'{"a":' * DEEP + b"1" + b"}" * DEEP + b"}"),
    "arrays 100,000 deep": ("too_deep", lambda p: b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "NaN": ("nan_or_infinity", lambda p: line(p, response_cost=float("nan"))),
    "Infinity": ("nan_or_infinity", lambda p: line(p, response_cost=float("-inf"))),
    "1e400": ("not_json", lambda p: line(p).replace(b"1.35e-05", b"1e400")),
    "400 digits": (
        "out_of_range",
        lambda p: line(p).replace(b'"prompt_tokens": 10', b'"prompt_tokens": 1' + b"0" * 400),
    ),
    "negative tokens": ("out_of_range", lambda p: line(p, prompt_tokens=-1)),
    "negative cost": ("out_of_range", lambda p: line(p, response_cost=-0.01)),
    "a cost beyond reason": ("out_of_range", lambda p: line(p, response_cost=1e9)),
    "a cost that is no number": ("wrong_type", lambda p: line(p, response_cost="much")),
    "tokens that are a list": ("wrong_type", lambda p: line(p, prompt_tokens=[1])),
    "half a token": ("wrong_type", lambda p: line(p, prompt_tokens=1.5)),
    "tokens that are true": ("wrong_type", lambda p: line(p, prompt_tokens=True)),
    "no id": ("missing_field", lambda p: line(p, id=None, litellm_call_id=None)),
    "no time": ("missing_field", lambda p: line(p, startTime=None)),
    "an unknown status": ("unknown_value", lambda p: line(p, status="pending")),
    "another format": ("unknown_format", lambda p: b'{"ts": 1, "msg": "hi"}'),
    "an empty object": ("unknown_format", lambda p: b"{}"),
    "a name beyond its length": ("out_of_range", lambda p: line(p, model_group="m" * 600)),
    "the year 1970": ("out_of_range", lambda p: line(p, startTime=0)),
    "the year 9999": ("out_of_range", lambda p: line(p, startTime="9999-12-31T23:59:59Z")),
    "milliseconds for seconds": ("out_of_range", lambda p: line(p, startTime=1_767_225_600_000)),
    "nanoseconds for seconds": ("out_of_range", lambda p: line(p, startTime=1_767_225_600_000_000_000)),
    "a time in words": ("wrong_type", lambda p: line(p, startTime="yesterday")),
    "20 MB": ("line_too_long", lambda p: line(p)[:-1] + b', "x": "' + b"x" * LONG + b'"}'),
}
# What is taken as it is.
TAKEN: dict[str, Any] = {
    "unknown fields": lambda p: line(p, new_field={"a": [1, {"b": None}]}, another="x"),
    "numbers as text": lambda p: line(p, prompt_tokens="10", response_cost="0.0000135"),
    "blanks around": lambda p: b" \t" + line(p) + b"  ",
    "a carriage return": lambda p: line(p) + b"\r",
    "an escaped NUL in a prompt": lambda p: line(p, messages=[{"role": "user", "content": "a\x00b"}]),
    "colons and quotes in texts": lambda p: line(p, messages=[{"role": "user", "content": '": {"a": 1, "a": ":"'}]),
    "a colon that is escaped": lambda p: line(p).replace(b"What is 0", b"What\\u003a\\u0022: is 0"),
    "400 digits in a field that is not ours": lambda p: line(p)[:-1] + b', "x": 1' + b"0" * 400 + b"}",
    "an unknown model": lambda p: line(p, model="nobody/knows-this-9", custom_llm_provider="nobody"),
    "no currency and no cost": lambda p: line(p, response_cost=None),
    "a cost that is not tokens times price": lambda p: line(p, response_cost=3.0),
    "seven days late": lambda p: line(p, startTime=(datetime.now(UTC) - timedelta(days=7)).timestamp()),
    "ahead of our clock by minutes": lambda p: line(
        p, startTime=(datetime.now(UTC) + timedelta(minutes=4)).timestamp()
    ),
    "ahead of our clock by days": lambda p: line(p, startTime=(datetime.now(UTC) + timedelta(days=3)).timestamp()),
    "a time without a zone": lambda p: line(p, startTime="2026-03-29 02:30:00"),
    "a time in another zone": lambda p: line(p, startTime="2026-03-29T02:30:00+02:00"),
}


@pytest.mark.parametrize("name", ASIDE)
def test_a_line_is_set_aside_with_its_reason_and_its_place(
    name: str, project: Project, payload: Any, tmp_path: Path, found_again: Any
) -> None:
    reason, made = ASIDE[name]
    log = tmp_path / "log.jsonl"
    log.write_bytes(line(payload, 7) + b"\n" + made(payload) + b"\n" + line(payload, 8) + b"\n")

    result = ingest.load(project, [log])

    assert counts(result) == (3, 2, 0, 1)
    assert found_again(log) == [(2, reason)]
    assert store.open_lake(project.lake).verify() == []


@pytest.mark.parametrize("name", TAKEN)
def test_a_line_is_taken(name: str, project: Project, payload: Any, tmp_path: Path, select: Any) -> None:
    log = tmp_path / "log.jsonl"
    log.write_bytes(TAKEN[name](payload) + b"\n")

    result = ingest.load(project, [log])

    assert counts(result) == (1, 1, 0, 0)
    assert select("SELECT count(*) FROM attempts WHERE event_id IS NULL OR start_time IS NULL OR status IS NULL") == [
        (0,)
    ]


def test_a_quarantined_line_tells_nothing_of_what_it_held(
    project: Project, payload: Any, tmp_path: Path, select: Any
) -> None:
    canary = "Canary-77aa"
    broken = [line(payload, 1)[:-1], line(payload, 2, status=canary), line(payload, 3, startTime=canary)]
    broken += [
        line(payload, 4, prompt_tokens=canary),
        b'{"' + canary.encode() + b'": 1, "' + canary.encode() + b'": 2}',
    ]
    (tmp_path / "log.jsonl").write_bytes(b"\n".join(one.replace(b"maths", canary.encode()) for one in broken) + b"\n")

    result = ingest.load(project, [tmp_path / "log.jsonl"])

    assert counts(result) == (5, 0, 0, 5)
    assert canary not in repr(select("SELECT * FROM quarantine"))


def test_blank_lines_a_mark_and_carriage_returns_are_no_records(
    project: Project, payload: Any, tmp_path: Path, select: Any
) -> None:
    log = tmp_path / "log.jsonl"
    log.write_bytes(b"\xef\xbb\xbf" + line(payload) + b"\r\n\r\n \t\r\n" + line(payload, 1) + b"\r\n")

    assert counts(ingest.load(project, [log])) == (2, 2, 0, 0)


def test_an_empty_file_holds_nothing(project: Project, tmp_path: Path) -> None:
    for name, content in (
        ("a.jsonl", b""),
        ("b.jsonl", b"\n\n"),
        ("c.json", b"  "),
        ("d.csv", b""),
        ("e.jsonl.gz", b""),
    ):
        (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)

        assert counts(ingest.load(project, [tmp_path / name])) == (0, 0, 0, 0)


def test_text_that_is_not_utf8_throughout_is_taken_line_by_line(
    project: Project, payload: Any, tmp_path: Path, found_again: Any
) -> None:
    log = tmp_path / "log.jsonl"
    log.write_bytes(b"\xff\xff\xff\n" + line(payload) + b"\n\x80\x81\n")

    assert counts(ingest.load(project, [log])) == (3, 1, 0, 2)
    assert found_again(log) == [(1, "not_utf8"), (3, "not_utf8")]


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("2026-03-29 01:30:00", datetime(2026, 3, 29, 1, 30)),
        ("2026-10-25T02:30:00+02:00", datetime(2026, 10, 25, 0, 30)),
        ("2026-10-25T02:30:00+01:00", datetime(2026, 10, 25, 1, 30)),
        ("2026-01-01T00:00:00.123456Z", datetime(2026, 1, 1, 0, 0, 0, 123456)),
    ],
)
def test_times_are_utc_across_the_change_of_clocks(
    said: str, meant: datetime, project: Project, payload: Any, write: Any, select: Any
) -> None:
    ingest.load(project, [write([payload(0, startTime=said, endTime=None, completionStartTime=None)])])

    assert select("SELECT start_time::TIMESTAMP FROM attempts") == [(meant,)]


@pytest.mark.parametrize(("unit", "scale"), [("s", 1), ("ms", 1_000), ("us", 1_000_000), ("ns", 1_000_000_000)])
def test_a_mapping_says_the_unit_of_a_time(
    unit: str, scale: int, project: Project, tmp_path: Path, write: Any, select: Any
) -> None:
    (tmp_path / "log.toml").write_text(
        'table = "attempts"\nsource = "mine"\n[columns]\nsource_record_id = "id"\nstart_time = "ts"\n'
        f'[constants]\nprovider_name = "p"\n[units]\nstart_time = "epoch_{unit}"\n'
    )

    result = ingest.load(project, [write([{"id": "a", "ts": 1_767_225_601 * scale}, {"id": "b", "ts": 1}])])

    assert counts(result) == (2, 1, 0, 1)
    assert select("SELECT start_time::TIMESTAMP FROM attempts") == [(datetime(2026, 1, 1, 0, 0, 1),)]


def test_what_was_taken_with_a_doubt_can_be_asked_for(
    project: Project, payload: Any, tmp_path: Path, write: Any, select: Any
) -> None:
    ahead = (datetime.now(UTC) + timedelta(days=3)).timestamp()
    soon = (datetime.now(UTC) + timedelta(minutes=4)).timestamp()
    tokens = {"prompt_tokens": 1000, "completion_tokens": 1000}
    prices = project.root / "data"
    prices.mkdir()
    (prices / "prices.csv").write_text(
        "provider_name,model,region,service_tier,valid_from,min_input_tokens,input,output,cache_read,"
        "cache_creation,cache_creation_1h,reasoning,catalog,catalog_version,retrieved_at\n"
        "openai,gpt-4o-mini,,,,0,0.15,0.60,,,,,own,1,2026-01-01T00:00:00Z\n"
    )
    log = write(
        [
            payload(0, **tokens, response_cost=0.00075),
            payload(1, **tokens, response_cost=3.0),
            payload(2, **tokens, response_cost=0.00075, startTime=ahead),
            payload(3, **tokens, response_cost=0.00075, startTime=soon),
            payload(4, **tokens, model="nobody/knows-this-9", custom_llm_provider="nobody", response_cost=0),
        ]
    )

    assert counts(ingest.load(project, [log])) == (5, 5, 0, 0)
    assert select("SELECT flags FROM attempts ORDER BY source_record_id") == [
        ([],),
        (["cost_differs"],),
        (["from_the_future"],),
        ([],),
        (["unpriced"],),
    ]
    assert select("SELECT list_cost_usd FROM attempts WHERE list_cost_usd IS NOT NULL LIMIT 1") == [
        (Decimal("0.00075"),)
    ]


# A mix of everything, in any order and wrapping.

QUICK = sorted(set(ASIDE) - {"20 MB", "arrays 100,000 deep"})
BLANKS = (b"", b" \t", b"\r")
MIX = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
PARTS = st.one_of(
    st.tuples(st.just("good"), st.integers(0, 40)),
    st.tuples(st.sampled_from(QUICK), st.just(0)),
    st.tuples(st.just("blank"), st.integers(0, len(BLANKS) - 1)),
)


def rows_of(root: Path, data: bytes, name: str) -> tuple[store.LoadResult, list[Any], list[Any]]:
    root.mkdir()
    (root / "pyproject.toml").write_text("[tool.fairlead]\n")
    (root / name).write_bytes(data)
    project = open_project(root)
    result = ingest.load(project, [root / name])
    con = store.open_lake(project.lake).connect()
    try:
        kept = store.query(con, "SELECT * EXCLUDE (ingested_at) FROM attempts ORDER BY ALL").rows()
        aside = store.query(con, "SELECT line, byte_offset, sha256, reason FROM quarantine ORDER BY line").rows()
    finally:
        con.close()
    return result, kept, aside


@MIX
@given(
    parts=st.lists(PARTS, max_size=40),
    end=st.sampled_from([b"\n", b"\r\n"]),
    mark=st.booleans(),
    pad=st.sampled_from([0, 0, 0, *range((1 << 20) - 1_600, (1 << 20) + 400, 97)]),
    members=st.integers(0, 4),
)
def test_any_mix_is_counted_exactly_and_the_good_lines_are_as_if_alone(
    parts: list[tuple[str, int]], end: bytes, mark: bool, pad: int, members: int, payload: Any
) -> None:
    poison = {name: made(payload) for name, (_, made) in ASIDE.items() if name in QUICK}
    good = [line(payload, number) for number, (kind, _) in enumerate(parts) if kind == "good"]
    content = [
        line(payload, number) if kind == "good" else BLANKS[which] if kind == "blank" else poison[kind]
        for number, (kind, which) in enumerate(parts)
    ]
    if pad and content:  # so that a piece of the file ends anywhere in what follows
        content[0] = content[0] if parts[0][0] != "blank" else b" " * pad
    data = (b"\xef\xbb\xbf" if mark else b"") + b"".join(one + end for one in content)
    bad = [(number, kind) for number, (kind, _) in enumerate(parts, start=1) if kind not in ("good", "blank")]

    with tempfile.TemporaryDirectory() as folder:
        packed = b"".join(gzip.compress(piece) for piece in _pieces(data, members)) if members else data
        name = "log.jsonl.gz" if members else "log.jsonl"
        result, kept, aside = rows_of(Path(folder, "mixed"), packed, name)
        _, alone, _ = rows_of(Path(folder, "clean"), b"".join(one + b"\n" for one in good), "log.jsonl")

    assert counts(result) == (len(good) + len(bad), len(good), 0, len(bad))
    assert kept == alone
    assert [(number, reason) for number, _, _, reason in aside] == [(number, ASIDE[kind][0]) for number, kind in bad]
    for number, offset, sha256, _ in aside:
        raw = data[offset:].split(b"\n", 1)[0]
        assert (data[:offset].count(b"\n"), hashlib.sha256(raw).hexdigest()) == (number - 1, sha256)


def _pieces(data: bytes, count: int) -> list[bytes]:
    step = len(data) // count + 1
    return [data[start : start + step] for start in range(0, len(data), step)] or [b""]


def test_late_shuffled_repeated_and_updated_rows_end_as_the_newest_of_each(
    project: Project, tmp_path: Path, select: Any
) -> None:
    chance = random.Random(11)
    start, truth, events = datetime(2026, 1, 1, tzinfo=UTC), {}, []
    for number in range(1_500):
        began = start + timedelta(seconds=400 * number)
        for version in range(chance.choice((1, 1, 1, 2, 3))):
            updated = began + timedelta(hours=1 + version)
            spend = round(0.001 * (1 + number % 7 + version), 6)
            row = {
                "request_id": f"r-{number}",
                "startTime": began.isoformat(),
                "endTime": (began + timedelta(seconds=2)).isoformat(),
                "updated_at": updated.isoformat(),
                "model": "gpt-4o-mini",
                "custom_llm_provider": "openai",
                "spend": spend,
                "prompt_tokens": 5,
                "completion_tokens": 6,
                "status": "success",
            }
            truth[f"r-{number}"] = (Decimal(str(spend)), began.replace(tzinfo=None), updated.replace(tzinfo=None))
            # Written up to seven days after it happened, and one in twenty written twice.
            for _ in range(2 if chance.random() < 0.05 else 1):
                events.append((began + timedelta(days=7 * chance.random()), chance.random(), row))
    files = [tmp_path / f"{number}.jsonl" for number in range(12)]
    for number, path in enumerate(files):
        share = [json.dumps(row) for _, _, row in sorted(events, key=lambda e: e[:2])[number::12]]
        path.write_text("\n".join(share) + "\n")
    chance.shuffle(files)

    results = [ingest.load(project, [path]) for path in files]

    rows = select(
        "SELECT source_record_id, reported_cost_usd, start_time::TIMESTAMP, source_updated_at::TIMESTAMP FROM attempts"
    )
    assert {row[0]: row[1:] for row in rows} == truth
    assert len(rows) == len(truth)
    assert sum(result.read for result in results) == len(events)
    assert all(result.read == result.stored + result.duplicates for result in results)
