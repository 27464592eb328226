"""The published files and how they take each other's place: candidate, current, last good, withdrawn."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct, structs

from fairlead.errors import GateError, SnapshotRefusedError
from fairlead.scoring import whole
from fairlead.scoring.record import note, record_of
from fairlead.scoring.snapshot import CANDIDATE, CURRENT, LAST_GOOD, Snapshot

__all__ = ["WITHDRAWN", "Verdict", "keep_last_good", "keep_verdict", "next_version", "promote", "roll_back"]

WITHDRAWN: Final = "snapshot.withdrawn.safetensors"  # what was rolled back, to be looked at
_VERDICT: Final = "snapshot.candidate.json"


class Verdict(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the gates said of one candidate, kept beside it so that whoever promotes need not have the logs."""

    verdict: str
    sha256: str


def keep_verdict(folder: Path, verdict: str, sha256: str) -> None:
    """Keep what the gates said of the candidate in a folder."""
    whole.write(folder / _VERDICT, msgspec.json.encode(Verdict(verdict=verdict, sha256=sha256)))


def promote(folder: Path, sha256: str) -> Snapshot:
    """Let the candidate take the place of the snapshot in use, which is kept as the last good one.

    `sha256` is how the hash of the one that is meant begins. GateError when the file is another one by now, when the
    gates did not say `promote` of it, or when its version is not above the one in use: routers take only newer ones.
    """
    with _alone(folder):
        return _promote(folder, sha256)


def _promote(folder: Path, sha256: str) -> Snapshot:
    path = folder / CANDIDATE
    snapshot = Snapshot.read(path)
    if len(sha256) < 8 or not snapshot.sha256.startswith(sha256):
        raise GateError(
            f"{path}: its hash {snapshot.sha256[:16]} is not that of the one that is meant, {sha256[:16]}; "
            "judge it again"
        )
    if _verdict(folder) != Verdict(verdict="promote", sha256=snapshot.sha256):
        raise GateError(
            f"{path}: the gates did not say `promote` of it; run `fairlead publish --candidate`, then "
            "`fairlead judge --candidate`"
        )
    used = _version(folder / CURRENT)
    if snapshot.manifest.version <= used:
        raise GateError(
            f"{path}: version {snapshot.manifest.version}, and {used} is in use; publish the candidate again"
        )
    keep_last_good(folder)
    snapshot.write(folder / CURRENT)
    path.unlink()
    (folder / _VERDICT).unlink(missing_ok=True)
    return snapshot


def roll_back(folder: Path) -> Snapshot:
    """Put the last good snapshot back in the place of the one in use, which is kept as the withdrawn one.

    What is put back gets a version of its own, above all others: routers take only newer ones. GateError when it is
    what is in use already.
    """
    with _alone(folder):
        return _roll_back(folder)


def _roll_back(folder: Path) -> Snapshot:
    before = Snapshot.read(folder / LAST_GOOD)
    version = next_version(folder)
    again = structs.replace(before, manifest=structs.replace(before.manifest, version=version), sha256="")
    try:
        used = Snapshot.read(folder / CURRENT)
    except SnapshotRefusedError:
        used = None  # damaged: all the more reason to go back
    if used is not None:
        if structs.replace(used.manifest, version=0) == structs.replace(before.manifest, version=0):
            raise GateError(f"{folder / LAST_GOOD}: the same as what is in use; there is nothing to go back to")
        used.write(folder / WITHDRAWN)
    again = Snapshot.from_bytes(again.to_bytes(), "what is put back")
    known = next((one for one in reversed(record_of(folder)) if one.sha256 == before.sha256), None)
    if known is not None:
        note(folder, structs.replace(known, version=version, sha256=again.sha256))
    again.write(folder / CURRENT)
    return again


def next_version(folder: Path) -> int:
    """Give a version above those of all snapshots in a folder."""
    return max(_version(folder / name) for name in (CURRENT, LAST_GOOD, CANDIDATE, WITHDRAWN)) + 1


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


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let one process at a time swap: two that read the same files would undo each other."""
    with (folder / ".swap.lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _version(path: Path) -> int:
    try:
        return Snapshot.read(path).manifest.version
    except SnapshotRefusedError:
        return 0  # a missing or damaged file has no version to be above


def _verdict(folder: Path) -> Verdict | None:
    try:
        return msgspec.json.decode((folder / _VERDICT).read_bytes(), type=Verdict)
    except (OSError, msgspec.MsgspecError):
        return None
