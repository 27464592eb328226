"""The set-based way of reading gives what the reader gives, line by line, or leaves the line to it."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairlead import ingest, store
from fairlead.ingest import blocks, stream, template
from fairlead.project import open_project

MODELS = [("openai", "gpt-4o-mini", 1.5e-7, 6e-7), ("anthropic", "claude-haiku-4-5", 1e-6, 5e-6)]


# The two models' prices alone: reading thousands of others takes longer than the test.
PRICES = "".join(
    line
    for number, line in enumerate(
        (Path(__file__).parents[2] / "data" / "prices.csv").read_text().splitlines(keepends=True)
    )
    if number == 0 or any(f",{model}," in line for _, model, _, _ in MODELS)
)


def spend_log(number: int, rng: random.Random) -> dict[str, Any]:
    """Make a row of LiteLLM_SpendLogs as its table is exported: metadata is JSON in text."""
    provider, model, price_in, price_out = rng.choice(MODELS)
    given_in, out = rng.randrange(1, 5_000), rng.randrange(1, 900)
    cost_in, cost_out = given_in * price_in, out * price_out
    second = number % 50
    hexes = f"{rng.getrandbits(128):032x}"
    call = f"{hexes[:8]}-{hexes[8:12]}-{hexes[12:16]}-{hexes[16:20]}-{hexes[20:]}"
    usage = {"completion_tokens": out, "prompt_tokens": given_in, "total_tokens": given_in + out}
    costs = {"input_cost": cost_in, "output_cost": cost_out, "total_cost": cost_in + cost_out, "tool_usage_cost": 0.0}
    user = f"user-{rng.randrange(5)}"
    metadata = {
        "user_api_key_user_id": user,
        "user_api_key_alias": "key ä",
        "litellm_call_id": call,
        "usage_object": usage,
        "attempted_retries": 0,
        "attempted_fallbacks": 0,
        "original_model_group": "chat",
        "cost_breakdown": costs,
    }
    return {
        "request_id": f"chatcmpl-{number}-{rng.randrange(10**9)}",
        "call_type": "acompletion",
        "api_key": "88dc",
        "cache_hit": "False",
        "startTime": f"2026-10-01 00:{second:02d}:{rng.randrange(60):02d}.{rng.randrange(10**6):06d}+00:00",
        "endTime": f"2026-10-01 01:{second:02d}:00.250000+00:00",
        "completionStartTime": f"2026-10-01 01:{second:02d}:00.{rng.choice(['250000', '125000'])}+00:00",
        "model": f"{provider}/{model}",
        "user": user,
        "team_id": rng.choice(["team-1", "team-2"]),
        "organization_id": "",
        "metadata": json.dumps(metadata),
        "spend": cost_in + cost_out,
        "total_tokens": given_in + out,
        "prompt_tokens": given_in,
        "completion_tokens": out,
        "request_tags": json.dumps(["prod", f"route:{rng.choice(['maths', 'search'])}"]),
        "end_user": rng.choice(["", "customer 7"]),
        "api_base": "https://api.example.com/v1",
        "model_group": "chat",
        "model_id": f"dep-{model}",
        "custom_llm_provider": provider,
        "messages": "{}",
        "response": "{}",
        "proxy_server_request": "{}",
        "session_id": call[::-1].replace("-", "")[:8] + call[8:],
        "request_duration_ms": rng.randrange(10**4),
        "status": "success",
        "litellm_call_id": call,
    }


def loaded(folder: Path, lines: list[str], monkeypatch: pytest.MonkeyPatch, least: int) -> tuple[Any, ...]:
    monkeypatch.setattr(stream, "_LEAST_LINES", least)
    root = folder / f"at-{least}"
    root.mkdir(exist_ok=True)
    (root / "pyproject.toml").write_text("[tool.fairlead]\n")
    (root / "data").mkdir(exist_ok=True)
    (root / "data" / "prices.csv").write_text(PRICES)
    project = open_project(root)
    log = folder / "log.jsonl"
    log.write_text("\n".join(lines) + "\n")
    result = ingest.load(project, [log])
    con = store.open_lake(project.lake).connect()
    attempts = con.sql("SELECT * EXCLUDE (ingested_at) FROM attempts").to_arrow_table().to_pylist()
    quarantined = con.sql("SELECT line, byte_offset, reason, sha256 FROM quarantine ORDER BY line").fetchall()
    features = con.sql("SELECT count(*) FROM request_features").fetchall()
    con.close()
    for row in attempts:
        row["attributes"] = json.loads(row["attributes"] or "null")
    attempts.sort(key=lambda row: row["event_id"])
    return (result.read, result.stored, result.duplicates, result.quarantined), attempts, quarantined, features


def test_many_lines_at_once_are_read_as_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(1)
    records = [spend_log(number, rng) for number in range(400)]
    lines = [json.dumps(record) for record in records] + [json.dumps(records[7])]
    matched = []
    take = stream.Lane.take

    def counted(lane: Any, texts: Any, *rest: Any) -> Any:
        tables, left = take(lane, texts, *rest)
        matched.append((len(texts), len(left)))
        return tables, left

    monkeypatch.setattr(stream.Lane, "take", counted)

    fast = loaded(tmp_path, lines, monkeypatch, 1)
    slow = loaded(tmp_path, lines, monkeypatch, 10**9)

    assert fast == slow
    assert fast[0] == (401, 400, 1, 0)
    assert matched == [(401, 0)]


TIMES = ("2026-10-01 00:00:00", "2026-10-01T00:00:00Z", "2026-10-01 00:00:00.5+02:00", "1999-01-01 00:00:00")
ODD = st.sampled_from(
    [
        None,
        "",
        0,
        -1,
        1,
        5,
        1.5,
        1e-13,
        1e9,
        10**400,
        True,
        False,
        "x",
        "5",
        "nan",
        'ä"\\',
        [],
        {},
        [1],
        {"a": 1},
        "2026-10-01 00:00:00",
        "2026-10-01T00:00:00Z",
        "2026-10-01 00:00:00.5+02:00",
        "1999-01-01 00:00:00",
    ]
)
INNER = ("litellm_call_id", "usage_object", "cost_breakdown", "attempted_retries", "spend_logs_metadata", "new_key")


@st.composite
def changed(draw: st.DrawFn) -> list[str]:
    """Draw a log in which some records have one odd value, at the top or within their metadata."""
    rng = random.Random(draw(st.integers(0, 10)))
    lines = []
    for number in range(draw(st.integers(3, 12))):
        record = spend_log(number, rng)
        if draw(st.booleans()):
            names = sorted(record)
            record[draw(st.sampled_from([*names, "new_key"]))] = draw(ODD)
        if draw(st.booleans()) and isinstance(record["metadata"], str) and record["metadata"][:1] == "{":
            inner = json.loads(record["metadata"])
            inner[draw(st.sampled_from(INNER))] = draw(ODD)
            record["metadata"] = json.dumps(inner, ensure_ascii=draw(st.booleans()))
        line = json.dumps(record, ensure_ascii=draw(st.booleans()))
        lines.append(draw(st.sampled_from([line] * 6 + [line[:-1], "", "[]", line.replace("5", "NaN"), line + " "])))
    return lines


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(lines=changed())
def test_odd_lines_are_read_alike(
    lines: list[str], tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("log")

    assert loaded(folder, lines, monkeypatch, 1) == loaded(folder, lines, monkeypatch, 10**9)


def test_a_line_is_fixed_text_with_slots() -> None:
    line = '{"a": "x", "n": [1, {"a": "x"}], "m": "{\\"a\\": \\"x\\", \\"b\\": 2}"}\n'

    cut = template.cut(line, {"a": "A", "m.a": "A", "m.b": "B"}, ["m"])

    assert cut == template.Cut(
        ('{"a": "', '", "n": [1, {"a": "x"}], "m": "{\\"a\\": \\"', '\\", \\"b\\": ', '}"}\n'), ("A", "A", "B")
    )


@pytest.mark.parametrize(
    "line",
    ['{"a": "x", "a": "y"}', '{"a": "x\\n"}', '{"a": "x", "m": "{\\"a\\": \\"y\\"}"}'],
    ids=["a key twice", "an escape in a slot", "another value where the same belongs"],
)
def test_a_line_that_does_not_lend_itself_is_not_cut(line: str) -> None:
    assert template.cut(line, {"a": "A", "m.a": "A"}, ["m"]) is None


@given(st.lists(st.binary(max_size=30).filter(lambda line: b"\n" not in line), max_size=20), st.integers(1, 40))
def test_blocks_are_the_lines_of_the_stream(lines: list[bytes], size: int) -> None:
    data = b"\n".join(lines)
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    before, blocks._SIZE = blocks._SIZE, 25
    try:
        found = list(blocks.blocks(pieces))
    finally:
        blocks._SIZE = before

    said = []
    for part in found:
        if isinstance(part, blocks.Block):
            said += [(part.line + at, part.start(at), part.raw(at)) for at in range(len(part.ends))]
        else:
            line, offset, rest = part
            said += [(line, offset, b"".join(rest))]
    wanted, offset = [], 0
    for number, line in enumerate(lines, start=1):
        wanted.append((number, offset, line))
        offset += len(line) + 1
    assert said == (wanted if lines and lines[-1] else wanted[:-1])
