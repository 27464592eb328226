"""Who may ask what: the one seam between the API and whatever keeps keys and roles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

__all__ = ["OPEN", "Guard", "Headers", "Open", "Principal"]

Headers = Sequence[tuple[bytes, bytes]]  # names in lower case


class Principal(Struct, frozen=True, kw_only=True):
    """Who asks: a name for logs, never the key, and what it may do."""

    name: str = "anyone"
    scopes: frozenset[str] = frozenset(("decide", "read", "forward"))


class Guard(Protocol):
    """Says who asks. It is called for every request, so it must not wait for anything."""

    def admit(self, method: str, path: str, headers: Headers, scope: str | None) -> Principal:
        """Give who asks; RefusedError where nobody may, or this one may not. `scope` None: anybody may."""
        ...


class Open:
    """Lets everybody in: for a server that only this machine can reach.

    >>> OPEN.admit("POST", "/v1/decide", [], "decide").name
    'anyone'
    """

    def admit(self, method: str, path: str, headers: Headers, scope: str | None) -> Principal:
        """Let anybody do anything."""
        return _ANYONE


_ANYONE = Principal()
OPEN = Open()
