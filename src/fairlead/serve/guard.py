"""Who may ask what: the one seam between the API and whatever keeps keys and roles."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol

from msgspec import Struct

from fairlead.serve.refusals import RefusedError

__all__ = ["ANYONE", "OPEN", "TOKEN_S", "Guard", "Headers", "Open", "Principal"]

TOKEN_S: Final = 300.0  # that a token for a dangerous action is good for

Headers = Sequence[tuple[bytes, bytes]]  # names in lower case


class Principal(Struct, frozen=True, kw_only=True):
    """Who asks, and what it may do: never the key. Empty `routes` and `teams` do not restrict."""

    key_id: str = ""
    name: str = "anyone"
    roles: frozenset[str] = frozenset()
    routes: frozenset[str] = frozenset()
    teams: frozenset[str] = frozenset()

    def check(self, route: str | None, team: str | None) -> None:
        """Raise RefusedError where it may not ask for this route and team; they are known once a body is read.

        >>> Principal(routes=frozenset(["chat"])).check("chat", None)
        >>> Principal(routes=frozenset(["chat"])).check(None, None)
        Traceback (most recent call last):
        fairlead.serve.refusals.RefusedError: out_of_scope
        """
        if (self.routes and route not in self.routes) or (self.teams and team not in self.teams):
            raise RefusedError("out_of_scope")


class Guard(Protocol):
    """Says who asks. It is asked for every call, so it must not wait; it raises nothing."""

    def check(self, method: str, path: str, headers: Headers, peer: str | None) -> Principal | RefusedError:
        """Give who asks, or why it is refused. `peer` is the connection's address, None on a Unix socket."""
        ...

    def step_up(self, principal: Principal, action: str, code: str) -> str | RefusedError:
        """Take a one-time code; give the token that a dangerous action needs."""
        ...

    def record(self, event: str, principal: Principal, **told: object) -> bool:
        """Put what was done into the audit log; False where it could not be."""
        ...

    def watch(self, count: Callable[[str], None]) -> None:
        """Call `count` with each event from now on: a refusal's reason, an alert's kind, a file of keys taken."""
        ...

    def gauges(self) -> Iterable[tuple[str, str, float]]:
        """Give what there is to watch: a gauge's name, what it says, and its value."""
        ...


class Open:
    """Lets everybody decide and look: for a server that only this machine can reach.

    Nobody can be told from another here, so nobody may change what is in use.

    >>> OPEN.check("POST", "/v1/decide", [], None).name, OPEN.check("POST", "/v1/admin/promote", [], None).code
    ('anyone', 'no_keys')
    """

    def check(self, method: str, path: str, headers: Headers, peer: str | None) -> Principal | RefusedError:
        """Let anybody decide and look."""
        return RefusedError("no_keys") if path.startswith("/v1/admin/") else ANYONE

    def step_up(self, principal: Principal, action: str, code: str) -> str | RefusedError:
        """Give nobody a token."""
        return RefusedError("no_keys")

    def record(self, event: str, principal: Principal, **told: object) -> bool:
        """Keep nothing."""
        return False

    def watch(self, count: Callable[[str], None]) -> None:
        """Count nothing."""

    def gauges(self) -> Iterable[tuple[str, str, float]]:
        """Watch nothing."""
        return ()


ANYONE = Principal()
OPEN = Open()
