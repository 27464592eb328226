"""What the crash benchmarks share: logs whose truth is known, loads in processes of their own, and a look afterwards.

One process imports everything and then forks: a process costs milliseconds, and a fault hits the load itself.
"""

from __future__ import annotations

import ctypes
import json
import logging
import os
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import pandas  # noqa: F401  imported lazily by others: once, before the forks
import polars  # noqa: F401
import pyarrow.compute
import pyarrow.parquet  # noqa: F401

from fairlead import ingest, store
from fairlead.errors import FairleadError
from fairlead.ingest import readers
from fairlead.project import open_project
from fairlead.store import manifest

readers.all_readers()
logging.getLogger("fairlead.store").setLevel(logging.ERROR)  # loaders wait for each other here
DONE, REFUSED, UNCLEAN = 0, 1, 3  # how a load ended: well, with an error of ours, with any other
TORN = "-segments"
_ANYONE = 0x59616D61, ctypes.c_ulong(-1)  # prctl: whoever runs as this user may trace this process


def fresh(folder: Path, name: str) -> Path:
    """Start an empty project."""
    root = folder / name
    root.mkdir()
    (root / "pyproject.toml").write_text("[tool.fairlead]\n")
    return root


def line(number: int) -> str:
    """Give the log line of one call; calls are spread over days."""
    start = 1_767_225_600.25 + 9_000 * number
    record = {
        "litellm_call_id": f"call-{number}",
        "id": f"id-{number}",
        "startTime": start,
        "endTime": start + 1,
        "status": "success",
        "response_cost": 0.001,
        "model": "m",
        "custom_llm_provider": "openai",
        "prompt_tokens": 10,
        "completion_tokens": 20,
        "messages": [{"role": "user", "content": f"question {number}"}],
    }
    return json.dumps(record) + "\n"


def logs(folder: Path, files: int, lines: int, overlap: int) -> tuple[list[Path], int, int]:
    """Write files that share lines with their neighbours; give them, the number of calls and of bad lines."""
    folder.mkdir()
    for file in range(files):
        numbers = range(file * (lines - overlap), file * (lines - overlap) + lines)
        (folder / f"{file}.jsonl").write_text("".join(map(line, numbers)) + f"broken {file}\n")
    return sorted(folder.iterdir()), files * (lines - overlap) + overlap, files


def child(work: Callable[[], object], errors: Path | None = None, gate: int | None = None) -> int:
    """Run work in a process of its own, which begins when a byte comes through the gate; give its id."""
    pid = os.fork()
    if pid:
        return pid
    _run(work, errors, gate)


def _run(work: Callable[[], object], errors: Path | None, gate: int | None) -> NoReturn:
    code = UNCLEAN
    try:
        if gate is not None:
            ctypes.CDLL(None).prctl(*_ANYONE, 0, 0, 0)
            os.read(gate, 1)
        work()
        code = DONE
    except FairleadError:
        code = REFUSED
    except BaseException:
        if errors is not None:
            errors.write_text(traceback.format_exc())
    finally:
        os._exit(code)


def load(root: Path, paths: Sequence[Path]) -> None:
    """Load files into a project."""
    ingest.load(open_project(root), paths)


def ended(pid: int) -> int:
    """Wait for a process: its exit code, or the number of the signal that ended it, below 0."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def found(root: Path) -> dict[str, Any]:
    """Say what a lake holds, as seen by a process that was never part of a load."""
    answer = root / "found.json"

    def look() -> None:
        lake = store.open_lake(open_project(root).lake)
        con = lake.connect()
        one = "SELECT count(*), count(DISTINCT event_id) FROM "
        counts = {name: store.query(con, one + name).row(0) for name in ("attempts", "request_features")}
        aside = store.query(con, "SELECT count(*), count(DISTINCT quarantine_id) FROM quarantine").row(0)
        con.close()
        sources = [one for one in lake.sources() if not one[0].sha256.endswith(TORN)]
        answer.write_text(
            json.dumps(
                {
                    **counts,
                    "quarantine": aside,
                    "files": [len(sources), len({source.sha256 for source, _ in sources})],
                    "stored": sum(counted.stored for _, counted in sources),
                    "unconserved": sum(c.read != c.stored + c.duplicates + c.quarantined for _, c in sources),
                    "damaged": len(lake.verify()),
                }
            )
        )

    code = ended(child(look, root / "look.txt"))
    if code != DONE:
        return {"unreadable": (root / "look.txt").read_text() if (root / "look.txt").exists() else f"exit {code}"}
    return dict(json.loads(answer.read_text()))


def expected(calls: int, bad: int, files: int) -> dict[str, Any]:
    """Say what a lake must hold when everything was taken exactly once."""
    return {
        "attempts": [calls, calls],
        "request_features": [calls, calls],
        "quarantine": [bad, bad],
        "files": [files, files],
        "stored": calls,
        "unconserved": 0,
        "damaged": 0,
    }


def tear() -> None:
    """Commit in two steps, the source before its segments: what every benchmark here must be able to find."""
    whole = manifest.Manifest.commit

    def torn(self: Any, source: Any, counts: Any, segments: Any, *more: Any) -> None:
        whole(self, source, counts, [], *more)
        time.sleep(0.1)  # long enough to be hit
        other = type(source)(path=source.path, sha256=source.sha256 + TORN, bytes=0, reader=source.reader)
        whole(self, other, manifest.Counts(), segments, *more)

    manifest.Manifest.commit = torn  # type: ignore[method-assign]


def say(what: str) -> None:
    """Tell how far we are."""
    sys.stderr.write(f"{what}\n")
    sys.stderr.flush()
