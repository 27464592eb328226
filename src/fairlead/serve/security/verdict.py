"""What the guard answers: who may go on, or why not."""

from __future__ import annotations

import math

import msgspec
from msgspec import Struct

__all__ = ["ANYONE", "Principal", "Refusal", "refusal"]


class Refusal(Struct, frozen=True, kw_only=True):
    """A call that is refused. `status`, `code` and `message` are for the caller; `reason` is for logs only."""

    status: int
    code: str
    message: str
    reason: str
    retry_after_s: float | None = None

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Give the headers that go with it."""
        if self.status == 401:
            return [(b"www-authenticate", b"Bearer")]
        if self.retry_after_s is None:
            return []
        return [(b"retry-after", str(max(1, math.ceil(self.retry_after_s))).encode())]

    def body(self) -> bytes:
        """Give the answer's body; nothing of the call is in it.

        >>> refusal("no_key").body()
        b'{"error":{"code":"key_missing","message":"send Authorization: Bearer KEY"}}'
        """
        return msgspec.json.encode({"error": {"code": self.code, "message": self.message}})


class Principal(Struct, frozen=True, kw_only=True):
    """Who asks, and what it may do: never the key. Empty `routes` and `teams` do not restrict."""

    key_id: str = ""
    name: str = "anyone"
    roles: frozenset[str] = frozenset()
    routes: frozenset[str] = frozenset()
    teams: frozenset[str] = frozenset()

    def may_ask(self, route: str | None, team: str | None) -> Refusal | None:
        """Tell whether it may ask for this route and team, once the body is read; None: it may.

        >>> Principal(routes=frozenset(["chat"])).may_ask("chat", None) is None
        True
        >>> Principal(routes=frozenset(["chat"])).may_ask(None, None).code
        'not_allowed'
        """
        if (self.routes and route not in self.routes) or (self.teams and team not in self.teams):
            return refusal("out_of_scope")
        return None


ANYONE = Principal()

_UNKNOWN = (401, "key_refused", "this key is not known, or no longer")  # which of them, a stranger is not told
_REFUSALS: dict[str, tuple[int, str, str]] = {
    "no_key": (401, "key_missing", "send Authorization: Bearer KEY"),
    "two_keys": (401, "key_refused", "send one key, in one header"),
    "malformed": _UNKNOWN,
    "unknown": _UNKNOWN,
    "revoked": _UNKNOWN,
    "expired": _UNKNOWN,
    "not_yet_valid": _UNKNOWN,
    "no_rule": (404, "no_such_path", "there is nothing at this path"),
    "wrong_method": (405, "wrong_method", "this path takes another method"),
    "wrong_role": (403, "not_allowed", "this key may not do that"),
    "out_of_scope": (403, "not_allowed", "this key may not do that for this route or team"),
    "over_limit": (429, "too_many", "this key asked more often than it may"),
    "no_step_up": (403, "step_up_required", "send X-Fairlead-Step-Up: a token of POST /v1/admin/step-up"),
    "wrong_step_up": (403, "step_up_required", "this token is for something else, or has run out; ask for another"),
    "not_enrolled": (403, "not_enrolled", "this key has no authenticator; an admin enrols it"),
    "locked": (429, "locked", "too many wrong codes; try again later"),
    "wrong_code": (403, "wrong_code", "this code is wrong, or was used"),
    "no_such_action": (400, "no_such_action", "there is no such action"),
    "no_audit": (503, "not_recorded", "what is done cannot be recorded just now, so it is not done"),
}


def refusal(reason: str, retry_after_s: float | None = None) -> Refusal:
    """Give the refusal for a reason."""
    status, code, message = _REFUSALS[reason]
    return Refusal(status=status, code=code, message=message, reason=reason, retry_after_s=retry_after_s)
