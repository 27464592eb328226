"""Who else may read secrets and data, and who may write what decides."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from fairlead.serve.security import files
from fairlead.serve.security.doctor.finding import Finding, fine, refused

__all__ = ["data", "decides", "secret_files"]


def secret_files(paths: list[Path]) -> Iterator[Finding]:
    """Look at files that only their owner may read."""
    there = [path for path in paths if path.exists()]
    good = True
    for path in there:
        fault = files.fault_of_mode(path.stat())
        if fault is not None:
            good = False
            yield refused("secrets", f"{path}: {fault}", f"chmod 600 {path}; if others could read it, make a new one")
    if there and good:
        yield fine("secrets", f"{len(there)} files of secrets are for their owner only")


def data(paths: list[Path]) -> Iterator[Finding]:
    """Look at data that is nobody else's: what any user of the machine can get to, through every folder above it."""
    there = [path for path in paths if path.exists()]
    good = True
    for path in there:
        if _open_to_all(path):
            good = False
            yield refused("data", f"{path}: every user of this machine can read it", f"chmod o-rx {path}")
    if there and good:
        yield fine("data", f"{', '.join(path.name for path in there)}: not for every user of this machine")


def decides(folder: Path) -> Iterator[Finding]:
    """Look at the folder of snapshots: who can write it, or put another in its place, chooses where requests go."""
    if not folder.exists():
        return
    good = True
    for path in (folder, *sorted(folder.iterdir()), *folder.resolve().parents):
        found = path.stat()
        sticky = path.is_dir() and bool(found.st_mode & stat.S_ISVTX) and path != folder
        if found.st_mode & 0o022 and not sticky:
            good = False
            mode = stat.S_IMODE(found.st_mode)
            yield refused("snapshots", f"{path}: others may write it (mode {mode:04o})", f"chmod go-w {path}")
    if good:
        yield fine("snapshots", f"{folder}: only its owner may write it")


def _open_to_all(path: Path) -> bool:
    whole = path.resolve()
    wanted = stat.S_IROTH | (stat.S_IXOTH if whole.is_dir() else 0)
    if whole.stat().st_mode & wanted != wanted:
        return False
    return all(_mode(folder) & stat.S_IXOTH for folder in whole.parents)


def _mode(path: Path) -> int:
    return os.stat(path).st_mode
