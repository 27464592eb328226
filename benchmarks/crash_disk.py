"""A disk that is full at twenty sizes, and then is not (needs root, for the small file system)."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import crash_lake as lake

from fairlead.cli import main

ROOMY_KIB = 65_536


def available() -> str | None:
    """Say why a small file system cannot be made here; None where it can."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        return "only root can mount a small file system"
    return None


def run(folder: Path, sizes: int) -> dict[str, Any]:
    """Load into a disk of each size, then make it roomy and load again; give what was not as it must be."""
    paths, calls, bad = lake.logs(folder / "logs", files=2, lines=60, overlap=10)
    mount = folder / "mount"
    mount.mkdir()
    refused, wrong = 0, []
    for number in range(sizes):
        size = 16 + number * 56
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", str(mount)],
            check=False,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            return {"skipped": done.stderr.strip()}
        try:
            refused += _one(mount, paths, size, wrong, lake.expected(calls, bad, len(paths)))
        finally:
            subprocess.run(["umount", str(mount)], check=True)
    return {"sizes": sizes, "refused": refused, "wrong": wrong}


def _one(mount: Path, paths: list[Path], size: int, wrong: list[Any], want: dict[str, Any]) -> bool:
    root = lake.fresh(mount, "project")
    said = mount.parent / "said.txt"
    code = lake.ended(lake.child(lambda: _command(root, paths, said)))
    text = said.read_text()
    refused = code != lake.DONE
    if refused and (code != lake.REFUSED or text.count("\n") != 1 or not text.startswith("fairlead: ")):
        wrong.append({"size_kib": size, "ended": code, "said": text[-400:]})
    subprocess.run(["mount", "-o", f"remount,size={ROOMY_KIB}k", str(mount)], check=True)
    again = lake.ended(lake.child(lambda: _command(root, paths, said)))
    seen = lake.found(root) if again == lake.DONE else {"the load after it": again, "said": said.read_text()[-400:]}
    if seen != want:
        wrong.append({"size_kib": size, **seen})
    return refused


def _command(root: Path, paths: list[Path], said: Path) -> None:
    """Run the command line as a user does, and end as it does."""
    os.chdir(root)
    sys.argv = ["fairlead", "ingest", *map(str, paths)]
    err = io.StringIO()
    code = 0
    with contextlib.redirect_stderr(err), contextlib.redirect_stdout(io.StringIO()):
        try:
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
    said.write_text(err.getvalue())
    os._exit(code)
