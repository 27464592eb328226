"""The files of a project's snapshots: the one in use, the last good one, and a candidate for its place."""

from __future__ import annotations

import os
from pathlib import Path

from fairlead.errors import GateError, SnapshotRefusedError
from fairlead.project import Project
from fairlead.scoring.snapshot import CANDIDATE, CURRENT, LAST_GOOD, Snapshot

__all__ = ["keep_last_good", "next_version", "promote"]


def promote(project: Project, sha256: str) -> Path:
    """Let the candidate take the place of the snapshot in use, which is kept as the last good one.

    `sha256` is how the hash of the one that was judged begins; GateError when the file is another one by now.
    """
    folder = project.published
    snapshot = Snapshot.read(folder / CANDIDATE)
    if not sha256 or not snapshot.sha256.startswith(sha256):
        raise GateError(
            f"{folder / CANDIDATE}: its hash {snapshot.sha256[:16]} is not that of the one that was judged, "
            f"{sha256[:16]}; judge it again"
        )
    keep_last_good(folder)
    snapshot.write(folder / CURRENT)
    (folder / CANDIDATE).unlink()
    return folder / CURRENT


def next_version(folder: Path) -> int:
    """Give a version above those of all snapshots in a folder."""
    versions = [0]
    for name in (CURRENT, LAST_GOOD, CANDIDATE):
        try:
            versions.append(Snapshot.read(folder / name).manifest.version)
        except SnapshotRefusedError:
            continue  # a missing or damaged file has no version to be above
    return max(versions) + 1


def keep_last_good(folder: Path) -> None:
    """Set the current snapshot aside as the last good one, if it still is good; the current stays in place."""
    try:
        Snapshot.read(folder / CURRENT)
    except SnapshotRefusedError:
        return
    beside = folder / f".{LAST_GOOD}.new"
    beside.unlink(missing_ok=True)
    os.link(folder / CURRENT, beside)
    os.replace(beside, folder / LAST_GOOD)
