import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from fairlead import store
from fairlead.project import Project, open_project

SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "formats"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    root = tmp_path / "project"
    root.mkdir()
    (root / "pyproject.toml").write_text("[tool.fairlead]\n")
    return open_project(root)


@pytest.fixture
def formats() -> Path:
    if not SHARED.is_dir():
        pytest.skip(f"../shared is absent: no real records in {SHARED}")
    return SHARED


@pytest.fixture
def payload() -> Any:
    """A function that makes the record of one LiteLLM call, with fields changed as asked."""

    def make(number: int = 0, **changes: Any) -> dict[str, Any]:
        call = f"00000000-0000-4000-8000-{number:012d}"
        start = 1_767_225_600.25 + number
        record = {
            "id": f"chatcmpl-{call}",
            "litellm_call_id": call,
            "trace_id": call,
            "session_id": "",
            "call_type": "acompletion",
            "cache_hit": False,
            "stream": None,
            "status": "success",
            "custom_llm_provider": "openai",
            "saved_cache_cost": 0.0,
            "startTime": start,
            "endTime": start + 0.5,
            "completionStartTime": start + 0.5,
            "response_time": 0.5,
            "model": "openai/gpt-4o-mini",
            "metadata": {"user_api_key_hash": "88dc", "user_api_key_team_id": "team-7", "user_api_key_user_id": "u-1"},
            "response_cost": 1.35e-05,
            "prompt_tokens": 10,
            "completion_tokens": 20,
            "request_tags": ["prod", "route:maths"],
            "model_group": "chat",
            "model_id": "deployment-1",
            "messages": [{"role": "user", "content": f"What is {number} plus one?"}],
            "response": {"choices": [{"finish_reason": "stop", "message": {"content": "Secret answer."}}]},
            "model_parameters": {"temperature": 0.5, "max_tokens": 100},
            "hidden_params": {"additional_headers": {"x-litellm-attempted-retries": 0}},
            "error_information": {"error_code": "", "error_class": "", "llm_provider": ""},
        }
        return {**record, **changes}

    return make


@pytest.fixture
def write(tmp_path: Path) -> Any:
    """A function that writes records (objects, or lines as they are) to a file and gives its path."""

    def make(records: list[Any], name: str = "log.jsonl") -> Path:
        lines = [record if isinstance(record, str) else json.dumps(record) for record in records]
        path = tmp_path / name
        path.write_text("".join(line + "\n" for line in lines), encoding="utf-8", errors="surrogateescape")
        return path

    return make


@pytest.fixture
def select(project: Project) -> Any:
    """A function that asks the project's lake and gives the rows."""

    def ask(sql: str) -> list[Any]:
        con = store.open_lake(project.lake).connect()
        try:
            return store.query(con, sql).rows()
        finally:
            con.close()

    return ask


@pytest.fixture
def found_again(select: Any) -> Any:
    """A function that looks up every quarantined line of a file by its place and compares the digest."""

    def check(path: Path, newest: int = 0) -> list[tuple[int, str]]:
        data = path.read_bytes()
        rows = select("SELECT line, byte_offset, sha256, reason FROM quarantine ORDER BY line, reason")
        for line, offset, sha256, reason in rows:
            if reason == "bad_compression":
                continue
            content = data[offset:].split(b"\n", 1)[0]
            assert hashlib.sha256(content).hexdigest() == sha256, (line, reason)
            assert data[:offset].count(b"\n") == line - 1
        return [(line, reason) for line, _, _, reason in rows][newest:]

    return check
