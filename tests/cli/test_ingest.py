"""What `fairlead ingest` prints and how it ends when something is off."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from fairlead import project as projects
from fairlead import store

RUN = "from fairlead.cli import main; main()"
LINE = json.dumps(
    {
        "id": "ID",
        "litellm_call_id": "ID",
        "startTime": 1_767_225_600.0,
        "endTime": 1_767_225_601.0,
        "status": "success",
        "response_cost": 0.001,
        "model": "m",
        "custom_llm_provider": "openai",
        "prompt_tokens": 1,
        "completion_tokens": 1,
    }
)


def lines(numbers: range) -> str:
    return "".join(LINE.replace("ID", f"id-{number}") + "\n" for number in numbers)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text("[tool.fairlead]\n")
    return tmp_path


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}


def ingest(root: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", RUN, "ingest", *map(str, arguments)]
    return subprocess.run(
        command, cwd=root, capture_output=True, text=True, check=False, env=environment(), timeout=120
    )


def test_the_counts_and_the_failed_files_are_printed_and_it_ends_with_one(root: Path) -> None:
    logs = root / "logs"
    logs.mkdir()
    (logs / "a.jsonl").write_text(lines(range(2)))
    (logs / "b\x1b[31m.parquet").write_text("nonsense")
    (logs / "c.jsonl").write_text(lines(range(2, 4)) + LINE[:-20])

    done = ingest(root, logs, "--json")
    words = ingest(root, logs)

    said = json.loads(done.stdout)
    assert (done.returncode, words.returncode) == (1, 1)
    assert [said[name] for name in ("read", "stored", "duplicates", "quarantined", "deferred")] == [4, 4, 0, 0, 1]
    assert [Path(one["path"]).name for one in said["failed"]] == ["b\x1b[31m.parquet"]
    assert "not a readable Parquet file" in said["failed"][0]["fault"]
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("fairlead: ")
    assert "\x1b" not in done.stderr + words.stderr + words.stdout
    assert words.stdout.startswith("4 read = 0 stored + 4 duplicates + 0 quarantined\n1 deferred: the end of ")
    assert "1 of 3 files failed" in words.stdout


def test_a_plain_load_prints_the_four_counts_alone(root: Path) -> None:
    (root / "a.jsonl").write_text(lines(range(3)) + "broken\n")

    done = ingest(root, "a.jsonl", "--json")

    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {"read": 4, "stored": 3, "duplicates": 0, "quarantined": 1}


def test_a_poisoned_load_ends_with_one_and_prints_its_counts(root: Path) -> None:
    (root / "a.jsonl").write_text(lines(range(10)) + "broken\n" * 90)

    done = ingest(root, "a.jsonl", "--json")

    assert done.returncode == 1
    assert json.loads(done.stdout) == {"read": 100, "stored": 10, "duplicates": 0, "quarantined": 90}
    assert "90 of 100 records are in quarantine" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_load_cleanly(number: signal.Signals, root: Path) -> None:
    (root / "a.jsonl").write_text(lines(range(500)))
    (root / "b.jsonl").write_text(lines(range(500, 60_000)))
    lake = root / "var" / "lake"
    command = [sys.executable, "-c", RUN, "ingest", "a.jsonl", "b.jsonl"]
    with subprocess.Popen(
        command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
    ) as process:
        until = time.monotonic() + 60
        while not committed(lake) and process.poll() is None and time.monotonic() < until:
            time.sleep(0.01)
        process.send_signal(number)
        out, err = process.communicate(timeout=30)

    assert (process.returncode, out) == (128 + number, "")
    assert err == "fairlead: stopped; what was done stays, run it again for the rest\n"
    opened = store.open_lake(lake)
    assert [source.path for source, _ in opened.sources()] == ["a.jsonl"]
    assert list(lake.rglob("*.tmp")) == []
    assert opened.verify() == []
    assert opened.sweep(timeout_s=0.1) == [] or committed(lake)  # the lock is free
    again = json.loads(ingest(root, "a.jsonl", "b.jsonl", "--json").stdout)
    assert again == {"read": 60_000, "stored": 59_500, "duplicates": 500, "quarantined": 0}


def committed(lake: Path) -> bool:
    return (lake / "manifest.sqlite").is_file() and bool(sources(lake))


def sources(lake: Path) -> list[Any]:
    from fairlead.errors import StoreError

    try:
        return store.open_lake(lake).sources()
    except StoreError:  # the other process is just making it
        return []


def test_a_full_disk_is_one_line_and_a_second_load_completes(root: Path) -> None:
    """A file larger than a process may write stands in for a disk that is full."""
    (root / "a.jsonl").write_text(lines(range(3_000)))
    limited = "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
    for size in (0, 512, 4_096, 20_000, 40_000, 60_000, 100_000):
        code = f"{limited} resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size})); {RUN}"
        done = subprocess.run(
            [sys.executable, "-c", code, "ingest", "a.jsonl"],
            cwd=root,
            capture_output=True,
            text=True,
            check=False,
            env={**environment(), "PYTHONDONTWRITEBYTECODE": "1"},
            timeout=120,
        )
        if done.returncode == 0:
            break
        assert (done.returncode, done.stderr.count("\n")) == (1, 1), (size, done.stderr)
        assert done.stderr.startswith("fairlead: ")
        assert "Traceback" not in done.stderr

    again = json.loads(ingest(root, "a.jsonl", "--json").stdout)

    assert again["read"] == again["stored"] + again["duplicates"] == 3_000
    assert store.open_lake(projects.open_project(root).lake).verify() == []
