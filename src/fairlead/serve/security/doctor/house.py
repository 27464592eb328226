"""The folder of keys: whether the file of keys can be trusted, which keys are stale, and whether the log is whole."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path

from fairlead.errors import FairleadError
from fairlead.serve.security import keyfile, signing
from fairlead.serve.security.audit_check import verify
from fairlead.serve.security.doctor.finding import Finding, fine, refused, warning
from fairlead.serve.security.folder import Folder
from fairlead.serve.security.keyfile import Key
from fairlead.serve.security.keys import state

__all__ = ["audit", "keys"]

_OLD = datetime.timedelta(days=400)
_SOON = datetime.timedelta(days=14)


def keys(where: Folder, now: datetime.datetime) -> Iterator[Finding]:
    """Look at the file of keys as a server would, and at each key's age and end."""
    if not where.keys.exists():
        yield warning(
            "keys", f"{where.keys}: no keys", "make one before others call: `fairlead keys new NAME --role gateway`"
        )
        return
    try:
        content = keyfile.read(where.keys, signing.verifier(where.public))
    except FairleadError as fault:
        yield refused("keys", str(fault), "sign it anew with `fairlead keys`, or put the last good file back")
        return
    found = [one for key in content.keys if state(key, now) == "valid" for one in _aged(key, now)]
    if where.signing.exists() and where.public == where.signing:
        found.append(
            warning(
                "keys",
                f"{where.signing}: who can check the file of keys can also write it",
                "an Ed25519 pair: fairlead[serve]",
            )
        )
    yield from found or [fine("keys", f"{len(content.keys)} keys, signed, none of them stale")]


def _aged(key: Key, now: datetime.datetime) -> Iterator[Finding]:
    told, mend = f"{key.id} ({key.name})", f"fairlead keys rotate {key.id}"
    counting = [one for one in key.secrets if one.not_before <= now and (one.not_after is None or one.not_after > now)]
    if min(one.not_before for one in counting) < now - _OLD:
        yield refused("keys", f"{told}: its secret is older than {_OLD.days} days", mend)
    if any(one.not_after is None for one in counting):
        yield warning("keys", f"{told}: it never ends", mend)
    elif max(one.not_after for one in key.secrets if one.not_after) < now + _SOON:
        yield warning("keys", f"{told}: it ends within {_SOON.days} days", mend)


def audit(where: Folder, copy: Path | None = None) -> Iterator[Finding]:
    """Walk the audit log; `copy` is the file of checkpoints from another machine."""
    if not where.audit.exists():
        return
    signed = where.audit_public.exists()
    try:
        verdict = verify(where.audit, signing.verifier(where.audit_public) if signed else None, checkpoints=copy)
    except FairleadError as fault:
        yield refused("audit", str(fault), "see whose it is, and where it went")
        return
    if not verdict.sound:
        yield refused(
            "audit",
            f"{where.audit} line {verdict.broken_line}: {verdict.reason}",
            "keep it as it is, find out who changed it, move it away to begin a new one",
        )
        return
    if not signed:
        yield warning(
            "audit", f"{where.audit}: chained, but no checkpoint is signed", "put a key at audit.key, and a new log"
        )
    if verdict.torn:
        yield warning("audit", f"{where.audit}: its last line is unfinished", "the next entry sets it aside")
    yield fine("audit", f"{verdict.entries} entries, whole, the last checkpoint at sequence {verdict.signed_until}")
