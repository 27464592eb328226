"""Making, replacing and revoking keys. The text of a key is given once and kept nowhere."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from fairlead.errors import UsageError
from fairlead.serve.security import files, keyfile, keytext
from fairlead.serve.security.keyfile import Key, Keys, Limit, Secret
from fairlead.serve.security.signing import Signer

__all__ = ["edit", "issue", "revoke", "rotate", "state"]

T = TypeVar("T")


def issue(
    content: Keys,
    name: str,
    roles: tuple[str, ...],
    *,
    now: datetime.datetime,
    days: float | None = 90,
    scopes: tuple[tuple[str, ...], tuple[str, ...]] = ((), ()),
    limit: Limit | None = None,
) -> tuple[Keys, tuple[Key, str]]:
    """Add a key; give all keys, the new one and its text. `scopes` are the routes and the teams it may ask for.

    >>> now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    >>> content, (key, text) = issue(Keys(written_at=now), "litellm", ("gateway",), now=now)
    >>> key.name, key.roles, state(key, now), text.startswith(f"fl_{key.id}_")
    ('litellm', ('gateway',), 'valid', True)
    """
    named = keytext.new_id()
    text, secret = _secret(named, now, days)
    key = Key(
        id=named,
        name=name,
        roles=roles,
        routes=scopes[0],
        teams=scopes[1],
        created_at=now.replace(microsecond=0),
        limit=limit,
        secrets=(secret,),
    )
    key = msgspec.convert(msgspec.to_builtins(key), Key)  # its constraints are checked on the way in
    return _next(content, (*content.keys, key), now), (key, text)


def rotate(
    content: Keys, named: str, *, now: datetime.datetime, overlap_s: float, days: float | None = 90
) -> tuple[Keys, tuple[Key, str]]:
    """Give a key a new secret; the old ones count for `overlap_s` more, so that callers can change over."""
    key = _find(content, named)
    if key.revoked_at is not None:
        raise UsageError(f"{named}: this key was revoked; make a new one")
    text, secret = _secret(named, now, days)
    end = (now + datetime.timedelta(seconds=overlap_s)).replace(microsecond=0)
    kept = [one for one in key.secrets if one.not_after is None or one.not_after > now]
    ended = [msgspec.structs.replace(one, not_after=min(one.not_after or end, end)) for one in kept][-7:]
    changed = msgspec.structs.replace(key, secrets=(*ended, secret))
    return _next(content, tuple(changed if one.id == named else one for one in content.keys), now), (changed, text)


def revoke(content: Keys, named: str, *, now: datetime.datetime) -> tuple[Keys, tuple[Key, str]]:
    """End a key at once; it stays listed, so that logs that name it can still be read. There is no new text."""
    key = msgspec.structs.replace(_find(content, named), revoked_at=now.replace(microsecond=0))
    return _next(content, tuple(key if one.id == named else one for one in content.keys), now), (key, "")


def state(key: Key, now: datetime.datetime) -> str:
    """Say whether a key counts: valid, revoked, expired, or not_yet_valid."""
    if key.revoked_at is not None:
        return "revoked"
    if any(one.not_before <= now and (one.not_after is None or now < one.not_after) for one in key.secrets):
        return "valid"
    return "not_yet_valid" if any(one.not_before > now for one in key.secrets) else "expired"


def edit(path: Path, by: Signer, now: datetime.datetime, change: Callable[[Keys], tuple[Keys, T]]) -> T:
    """Change the file of keys, one process at a time; the file is made where there is none.

    `Folder.change` does this and records it.
    """
    with files.locked(path):
        content = keyfile.read(path, by) if path.exists() else Keys(written_at=now.replace(microsecond=0))
        changed, result = change(content)
        keyfile.write(path, changed, by)
    return result


def _secret(named: str, now: datetime.datetime, days: float | None) -> tuple[str, Secret]:
    if days is not None and not 0 < days <= 3650:
        raise UsageError(f"a key that is good for {days:g} days; say from 1 to 3650")
    text, start = keytext.new(named), now.replace(microsecond=0)
    end = None if days is None else start + datetime.timedelta(days=days)
    return text, Secret(sha256=keytext.digest(text), not_before=start, not_after=end)


def _find(content: Keys, named: str) -> Key:
    found = next((key for key in content.keys if key.id == named), None)
    if found is None:
        raise UsageError(f"no key has the id {named!r}; `fairlead keys list` shows those there are")
    return found


def _next(content: Keys, all_keys: tuple[Key, ...], now: datetime.datetime) -> Keys:
    written = now.replace(microsecond=0)
    return msgspec.structs.replace(content, sequence=content.sequence + 1, written_at=written, keys=all_keys)
