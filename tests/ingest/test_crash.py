"""Kill the loading process at random moments: after loading again nothing may be lost and nothing doubled."""

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

FILES, LINES, KILLS = 3, 150, 12

# One process imports everything and then forks, so that a kill costs milliseconds and not an interpreter's start.
DRIVER = """\
import json, os, random, signal, sqlite3, sys, time
import pandas, polars, pyarrow.compute, pyarrow.parquet
from pathlib import Path
import fairlead.ingest as ingest, fairlead.project as project, fairlead.store as store
from fairlead.store.manifest import Manifest

folder, kills, broken = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "broken"
whole = Manifest.commit

def paused(self, source, counts, segments, marks=None):
    time.sleep(0.03)
    whole(self, source, counts, segments, marks)
    time.sleep(0.03)

def torn(self, source, counts, segments, marks=None):
    # What the test must be able to find: two commit points, the source before its segments.
    whole(self, source, counts, [])
    time.sleep(0.06)
    connection = sqlite3.connect(self.path, isolation_level=None)
    for s in segments:
        connection.execute("INSERT INTO segments VALUES (?, 1, ?, ?, ?, ?, ?, ?, ?)", (s.path, s.table,
            s.event_date.isoformat(), s.sha256, s.rows, s.bytes, s.updates, s.schema_version))
    connection.close()

Manifest.commit = torn if broken else paused

def child(root, then):
    pid = os.fork()
    if pid == 0:
        try:
            then(root)
        finally:
            os._exit(0)
    return pid

def load(root):
    result = ingest.load(project.open_project(root), [folder / "logs"])
    (root / "result.json").write_text(json.dumps([result.read, result.stored, result.duplicates, result.quarantined]))

def look(root):
    lake = store.open_lake(project.open_project(root).lake)
    con = lake.connect()
    rows = store.query(con, "SELECT count(*), count(DISTINCT event_id) FROM attempts").row(0)
    con.close()
    sums = [(c.read, c.stored + c.duplicates + c.quarantined) for _, c in lake.sources()]
    (root / "rows.json").write_text(json.dumps([*rows, len(lake.verify()), sums]))

def fresh(name):
    root = folder / name
    root.mkdir()
    (root / "pyproject.toml").write_text("[tool.fairlead]\\n")
    return root

began = time.monotonic()
os.waitpid(child(fresh("whole"), load), 0)
took = time.monotonic() - began
chance, found = random.Random(7), []
for number in range(kills):
    root = fresh(str(number))
    pid = child(root, load)
    time.sleep(took * (number + chance.random()) / kills)
    os.kill(pid, signal.SIGKILL)
    killed = os.WIFSIGNALED(os.waitpid(pid, 0)[1])
    os.waitpid(child(root, load), 0)
    os.waitpid(child(root, look), 0)
    found.append([killed, json.loads((root / "rows.json").read_text())])
print(json.dumps(found))
"""


def drive(folder: Path, payload: Any, how: str, kills: int) -> list[Any]:
    (folder / "logs").mkdir(parents=True)
    for file in range(FILES):
        lines = [json.dumps(payload(file * LINES + number)) for number in range(LINES)]
        (folder / "logs" / f"{file}.jsonl").write_text("\n".join(lines))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, str(folder), str(kills), how],
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
        env=environment,
    )
    return json.loads(done.stdout)


def test_kills_lose_nothing_and_double_nothing(tmp_path: Path, payload: Any) -> None:
    found = drive(tmp_path, payload, "sound", KILLS)

    assert sum(killed for killed, _ in found) >= KILLS // 2
    expected = [FILES * LINES, FILES * LINES, 0, [[LINES, LINES]] * FILES]
    assert [rows for _, rows in found] == [expected] * KILLS


def test_the_kills_would_find_a_second_commit_point(tmp_path: Path, payload: Any) -> None:
    # Where a kill falls is chance: a few rounds make it all but certain that one falls between the two commits.
    rounds = (drive(tmp_path / str(number), payload, "broken", KILLS // 2) for number in range(6))

    assert any(rows[0] < FILES * LINES for found in rounds for _, rows in found)


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
