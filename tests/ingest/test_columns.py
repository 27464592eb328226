from pathlib import Path
from typing import Any

import pytest

from fairlead import ingest
from fairlead.errors import UsageError
from fairlead.project import open_project
from fairlead.store import open_lake, query


def loaded(root: Path, log: Path, settings: str) -> dict[str, Any]:
    root.mkdir()
    (root / "pyproject.toml").write_text(f"[tool.fairlead.ingest]\n{settings}\n")
    project = open_project(root)
    result = ingest.load(project, [log])
    assert (result.read, result.stored) == (1, 1)
    con = open_lake(project.lake).connect()
    try:
        attempts = query(con, "SELECT * FROM attempts").row(0, named=True)
        features = query(con, "SELECT * FROM request_features").row(0, named=True)
    finally:
        con.close()
    return {**features, **attempts}


def test_dropped_columns_stay_empty_and_the_others_do_not(tmp_path: Path, payload: Any, write: Any) -> None:
    log = write([payload(0, new_field=1)])

    whole = loaded(tmp_path / "whole", log, "")
    less = loaded(tmp_path / "less", log, 'drop = ["tags", "attributes", "user_id", "route", "prompt_sha256"]')

    gone = {name for name, value in whole.items() if value is not None and less[name] is None}
    assert gone == {"tags", "attributes", "user_id", "prompt_sha256"}
    assert (whole["route"], less["route"]) == ("maths", "chat")  # where no route is kept, what was asked for says it
    assert (less["input_tokens"], less["team_id"]) == (10, "team-7")


def test_chosen_columns_are_all_that_is_kept_beside_the_needed_ones(tmp_path: Path, payload: Any, write: Any) -> None:
    found = loaded(tmp_path / "p", write([payload(0)]), 'columns = ["input_tokens", "response_model", "duration_s"]')

    kept = {name for name, value in found.items() if value not in (None, [])}
    needed = {"event_id", "event_date", "source", "source_record_id", "ingested_at", "schema_version", "request_id"}
    needed |= {"attempt_index", "provider_name", "start_time", "status", "feature_version", "text"}
    derived = {"endpoint", "cost_known", "flags", "route"}
    assert kept - derived == needed | {"input_tokens", "response_model", "duration_s"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ('drop = ["tag"]', "no column 'tag' that could be left out or kept; did you mean 'tags'"),
        ('columns = ["input_token"]', "did you mean 'input_tokens'"),
        ('drop = ["event_id"]', "no column 'event_id'"),
        ('drop = "tags"', "drop: expected a list of column names"),
        ("max_quarantined_share = 2", "max_quarantined_share: expected a share from 0 to 1"),
        ("max_quarantine = 2", "unknown key 'max_quarantine'; known are columns, drop, max_quarantined_share"),
    ],
)
def test_wrong_settings_are_refused_by_name(
    settings: str, message: str, tmp_path: Path, payload: Any, write: Any
) -> None:
    with pytest.raises(UsageError, match=message):
        loaded(tmp_path / "p", write([payload(0)]), settings)
