"""Kill the loading process at random moments: after loading again nothing may be lost and nothing doubled."""

import importlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from fairlead import ingest, store
from fairlead.errors import StoreError
from fairlead.project import Project, open_project
from fairlead.store import SourceFile, lock

CRASH = Path(__file__).parents[2] / "benchmarks" / "crash.py"


def crash(*arguments: object) -> dict[str, Any]:
    """Run a small part of the benchmark, in a process of its own since it forks; skip what cannot run here."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(CRASH), *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        timeout=280,
        env=environment,
    )
    assert done.stdout, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)[arguments[0]]
    if "skipped" in found:
        pytest.skip(found["skipped"])
    return found


@pytest.mark.slow
def test_kills_of_concurrent_loads_lose_nothing_and_double_nothing() -> None:
    found = crash("kills", "--kills", 12)

    assert (found["kills"], found["wrong"]) == (12, [])


@pytest.mark.study
def test_the_kills_would_find_a_second_commit_point() -> None:
    # Where a kill falls is chance: many rounds make it all but certain that one falls between the two commits.
    assert any(crash("kills", "--kills", 40, "--seed", seed, "--torn")["wrong"] for seed in range(10))


@pytest.mark.slow
def test_no_call_that_makes_data_durable_loses_anything_when_it_kills() -> None:
    found = crash("faults", "--most", 1, "--modes", "kill", "--calls", "fsync", "rename")

    assert (found["wrong"], found["unclean"]) == ([], {})
    assert found["hit"] >= found["injected"] // 2


@pytest.mark.study
def test_no_failing_system_call_loses_doubles_or_damages_anything() -> None:
    calls = ("write", "pwrite64", "fsync", "fdatasync", "rename", "ftruncate", "mkdir", "openat")

    found = crash("faults", "--most", 1, "--calls", *calls)

    assert (found["wrong"], found["unclean"]) == ([], {})
    assert found["hit"] >= found["injected"] // 2


@pytest.mark.study
def test_the_failing_system_calls_would_find_a_second_commit_point() -> None:
    assert crash("faults", "--torn", "--modes", "kill", "--calls", "fdatasync", "--most", 12)["wrong"]


def test_everything_is_durable_before_the_manifest_says_so() -> None:
    assert crash("order")["wrong"] == []


@pytest.mark.parametrize(
    ("left_out", "fault"),
    [
        (3, "renamed before its data was synced"),
        (5, "committed before its folder was synced"),
        (1, "committed before its parent was synced"),
        (7, "the commit itself was not synced"),
    ],
)
def test_the_order_of_what_is_durable_is_looked_at(left_out: int, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(CRASH.parent))
    crash_order = importlib.import_module("crash_order")
    calls = [
        ("mkdir", '"/lake/day", 0777) = 0'),
        ("fsync", "5</lake>) = 0"),
        ("write", '6</lake/day/a.tmp>, "PAR1", 4) = 4'),
        ("fsync", "6</lake/day/a.tmp>) = 0"),
        ("rename", '"/lake/day/a.tmp", "/lake/day/a.parquet") = 0'),
        ("fsync", "6</lake/day>) = 0"),
        ("pwrite64", '7</lake/manifest.sqlite-wal>, "...", 24, 0) = 24'),
        ("fdatasync", "7</lake/manifest.sqlite-wal>) = 0"),
    ]

    whole, less = crash_order.broken(calls), crash_order.broken(calls[:left_out] + calls[left_out + 1 :])

    assert whole == []
    assert [one.endswith(fault) for one in less] == [True]


@pytest.mark.slow
def test_a_full_disk_is_refused_in_one_line_and_a_larger_one_takes_the_rest() -> None:
    found = crash("disk", "--sizes", 5)

    assert found["wrong"] == []
    assert 0 < found["refused"] <= 5


def test_two_processes_that_load_the_same_files_store_each_record_once(
    project: Project, tmp_path: Path, payload: Any
) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    for file in range(4):
        overlapping = range(file * 50, file * 50 + 100)
        (logs / f"{file}.jsonl").write_text("\n".join(json.dumps(payload(number)) for number in overlapping))
    code = (
        "import sys, json; from pathlib import Path; from fairlead import ingest, project\n"
        "result = ingest.load(project.open_project(Path(sys.argv[1])), sys.argv[2:])\n"
        "print(json.dumps([result.read, result.stored, result.duplicates, result.quarantined]))"
    )
    files = sorted(map(str, logs.iterdir()))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(project.root), *order],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for order in (files, files[::-1])
    ]

    outputs = [process.communicate(timeout=60) for process in processes]

    results = [json.loads(out) for out, _ in outputs]
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert [result[0] for result in results] == [400, 400]
    assert sum(result[1] for result in results) == 250
    con = store.open_lake(project.lake).connect()
    rows = store.query(con, "SELECT count(*), count(DISTINCT event_id) FROM attempts").row(0)
    con.close()
    assert rows == (250, 250)


def test_many_processes_may_open_a_new_lake_at_once(tmp_path: Path) -> None:
    # SQLite refuses where two turn a new file to WAL at the same moment; each round is a new lake and a new chance.
    code = """if True:
        import os, sys
        from pathlib import Path
        from fairlead.store import open_lake
        failed = 0
        for number in range(40):
            gate, opened = os.pipe()
            pids = []
            for _ in range(4):
                pids.append(os.fork())
                if not pids[-1]:
                    os.read(gate, 1)
                    code = 1
                    try:
                        open_lake(Path(sys.argv[1], str(number))).sources()
                        code = 0
                    finally:
                        os._exit(code)
            os.write(opened, b"xxxx")
            failed += sum(os.waitpid(pid, 0)[1] != 0 for pid in pids)
        print(failed)"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], check=True, capture_output=True, text=True, env=environment
    )

    assert (done.stdout, done.stderr) == ("0\n", "")


def test_a_writer_that_waits_too_long_names_who_holds_the_lake(tmp_path: Path) -> None:
    lake = store.open_lake(tmp_path / "lake")
    source = SourceFile(path="a", sha256="a", bytes=1)

    with (
        lake.loading(source),
        pytest.raises(StoreError, match=rf"process {os.getpid()} has been writing to this lake for 0\.2 s"),
        lake.loading(source, timeout_s=0.2),
    ):
        pass


def test_a_lock_dies_with_its_holder(tmp_path: Path) -> None:
    code = "import sys, time; from pathlib import Path; from fairlead.store.lock import exclusive\n"
    code += "with exclusive(Path(sys.argv[1]), 1): print('held', flush=True); time.sleep(60)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "lock")], stdout=subprocess.PIPE, text=True, env=environment
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        holder.kill()
        holder.wait()

    began = time.monotonic()
    with lock.exclusive(tmp_path / "lock", 5):
        pass

    assert time.monotonic() - began < 4


def test_loading_after_a_project_was_moved_still_works(project: Project, payload: Any, write: Any) -> None:
    ingest.load(project, [write([payload(0)])])
    moved = open_project(project.root.rename(project.root.with_name("moved")))

    result = ingest.load(moved, [write([payload(0), payload(1)])])

    assert (result.stored, result.duplicates) == (1, 1)
