import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from fairlead import ingest, store
from fairlead.errors import ReadError
from fairlead.ingest import mapping
from fairlead.project import Project

HOME_MADE = """\
table = "attempts"
source = "home_made"
columns.start_time = "ts"
columns.provider_name = "provider"
columns.response_model = "model"
columns.input_tokens = "prompt_tokens"
columns.output_tokens = "completion_tokens"
columns.duration_s = "latency_ms"
columns.status = "status"
columns.team_id = "team"
units.duration_s = "ms"
"""
SCORES = """\
table = "feedback"
source = "evals"
[columns]
target_id = "request"
time = "at"
score_value = "score"
[constants]
name = "quality"
evaluator_kind = "code"
"""


def rows(project: Project, sql: str) -> list[tuple[Any, ...]]:
    con = store.open_lake(project.lake).connect()
    try:
        return store.query(con, sql).rows()
    finally:
        con.close()


def saved(folder: Path, text: str, name: str = "mapping.toml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_a_home_made_log_needs_ten_lines(project: Project, formats: Path, tmp_path: Path) -> None:
    log = formats / "home_made.csv"

    result = ingest.load(project, [log], mapping=saved(tmp_path, HOME_MADE))

    assert (result.read, result.stored) == (2, 2)
    assert rows(
        project,
        "SELECT endpoint, status, http_status_code, error_class, duration_s, input_tokens, team_id, event_date::VARCHAR"
        " FROM attempts ORDER BY start_time",
    ) == [
        ("openai/gpt-4o-mini", "ok", 200, None, 0.812, 10, "search", "2026-01-01"),
        ("anthropic/claude-haiku-4-5", "error", 504, "timeout", 30.0, 11, "search", "2026-01-01"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HOME_MADE.replace("response_model", "respose_model"), r"'respose_model'; did you mean 'response_model'\?"),
        (HOME_MADE.replace('"ms"', '"msec"'), r"unknown unit of duration_s 'msec'; did you mean 'ms'\?"),
        (HOME_MADE.replace('columns.start_time = "ts"\n', ""), "nothing says what start_time is"),
        (HOME_MADE.replace('"attempts"', '"attempt"'), "it has to be one of attempts, feedback"),
        (HOME_MADE + "[colums]\n", r"unknown section 'colums'; did you mean 'columns'\?"),
        (HOME_MADE.replace('source = "home_made"', ""), "source has to name where the log comes from"),
        ("table = ", "the mapping cannot be read"),
        (HOME_MADE.replace('"ts"', "3"), "expected the name of a column as text"),
    ],
)
def test_a_mistake_in_a_mapping_is_named(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ReadError, match=message):
        mapping.read(saved(tmp_path, text))


def test_every_format_gives_the_same_rows(project: Project, tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {
            "ts": ["2026-01-01T00:00:00Z"],
            "provider": ["openai"],
            "model": ["m"],
            "prompt_tokens": [1],
            "completion_tokens": [2],
            "latency_ms": [812.5],
            "status": [200],
            "team": [None],
        },
        schema_overrides={"team": pl.String},
    )
    frame.write_csv(tmp_path / "log.csv")
    frame.write_parquet(tmp_path / "log.parquet")
    frame.write_ndjson(tmp_path / "log.jsonl")
    how = saved(tmp_path, HOME_MADE)

    results = [ingest.load(project, [tmp_path / f"log.{kind}"], mapping=how) for kind in ("csv", "parquet", "jsonl")]

    assert [result.stored + result.duplicates for result in results] == [1, 1, 1]
    assert set(rows(project, "SELECT status, duration_s, input_tokens, output_tokens, team_id FROM attempts")) == {
        ("ok", 0.8125, 1, 2, None)
    }


def test_units_and_meanings_are_applied(project: Project, tmp_path: Path) -> None:
    how = saved(
        tmp_path,
        """\
table = "attempts"
source = "own"
[columns]
source_record_id = "id"
start_time = "time.start"
duration_s = "time.took"
reported_cost_usd = "cost"
status = "state"
user_id = "who"
prompt = "question"
route = "app"
"tags.app" = "app"
[constants]
provider_name = "openai"
response_model = "m"
[units]
start_time = "epoch_ms"
duration_s = "ns"
reported_cost_usd = "usd_nano"
[values.status]
fine = "ok"
""",
    )
    record = {
        "id": 1,
        "time": {"start": 1767225600123, "took": 1_500_000_000},
        "cost": 12345,
        "state": "fine",
        "who": "jane",
        "question": "What is it?",
        "app": "chat",
        "extra": 5,
    }
    (tmp_path / "log.jsonl").write_text(json.dumps(record) + "\n" + json.dumps({**record, "id": 2, "state": "odd"}))

    result = ingest.load(project, [tmp_path / "log.jsonl"], mapping=how)

    assert (result.stored, result.quarantined) == (1, 1)
    assert rows(
        project,
        "SELECT epoch_ms(start_time), duration_s, reported_cost_usd::VARCHAR, status, tags['app'], input_chars,"
        " attributes, length(user_id) FROM attempts",
    ) == [(1767225600123, 1.5, "0.000012345000", "ok", "chat", 11, '{"extra":5}', 32)]
    assert rows(project, "SELECT route FROM attempts") == [("chat",)]


@pytest.mark.parametrize(
    ("scale", "score", "expected"),
    [
        ("", "0.5", ("numeric", 0.5, None)),
        ("scale_min = 1\nscale_max = 5", "2", ("numeric", 2.0, 0.25)),
        ("scale_min = 5\nscale_max = 1", "2", ("numeric", 2.0, 0.75)),
        ("", "true", ("boolean", 1.0, 1.0)),
        ("", '"down"', ("boolean", 0.0, 0.0)),
    ],
)
def test_scores_are_brought_to_one_scale(
    scale: str, score: str, expected: tuple[Any, ...], project: Project, tmp_path: Path
) -> None:
    (tmp_path / "scores.jsonl").write_text(f'{{"request": "r", "at": "2026-01-02T03:04:05Z", "score": {score}}}')
    saved(tmp_path, SCORES + scale, "scores.toml")

    ingest.load(project, [tmp_path / "scores.jsonl"])  # the mapping is found beside it

    assert rows(
        project, "SELECT value_type, score_value, score_normalized, event_date::VARCHAR, target_kind FROM feedback"
    ) == [(*expected, "2026-01-02", "request")]


def test_a_score_off_its_scale_is_quarantined(project: Project, tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text(
        "request,at,score\nr,2026-01-01,6\nr,2026-01-01,nan\nr,2026-01-01\nr,2026-01-01,3\n"
    )

    result = ingest.load(
        project, [tmp_path / "s.csv"], mapping=saved(tmp_path, SCORES + "scale_min = 1\nscale_max = 5")
    )

    assert (result.read, result.stored, result.quarantined) == (4, 1, 3)
    assert sorted(rows(project, "SELECT line, reason FROM quarantine")) == [
        (2, "out_of_range"),
        (3, "nan_or_infinity"),
        (4, "wrong_columns"),
    ]


def test_decisions_are_read_with_their_candidates(project: Project, tmp_path: Path) -> None:
    how = saved(
        tmp_path,
        'table = "decisions"\nsource = "router"\n[columns]\n'
        + "".join(f'{name} = "{name}"\n' for name in ("decision_id", "time", "request_id", "endpoint", "propensity"))
        + 'policy_id = "policy"\ncandidates = "arms"\n',
    )
    record = {
        "decision_id": "d",
        "time": 1767225600,
        "request_id": "r",
        "endpoint": "e",
        "propensity": 0.5,
        "policy": "p",
        "arms": [{"arm": "e", "propensity": 0.5}],
    }
    (tmp_path / "d.jsonl").write_text(json.dumps(record) + "\n" + json.dumps({**record, "propensity": 0}))

    result = ingest.load(project, [tmp_path / "d.jsonl"], mapping=how)

    assert (result.stored, result.quarantined) == (1, 1)
    assert rows(project, "SELECT decision_id, propensity, candidates[1].arm FROM decisions") == [("d", 0.5, "e")]


def test_a_header_that_names_a_column_twice_is_refused(project: Project, tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("request,at,at\n")

    with pytest.raises(ReadError, match="names the column 'at' twice"):
        ingest.load(project, [tmp_path / "s.csv"], mapping=saved(tmp_path, SCORES))
