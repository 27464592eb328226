"""The second factor for dangerous actions: a code gives a token that is good for one action and five minutes."""

from __future__ import annotations

import base64
import hmac
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import Meta, Struct

from fairlead.errors import SecurityError
from fairlead.serve.guard import TOKEN_S
from fairlead.serve.security import files, totp
from fairlead.serve.security.sealed import Seal

__all__ = ["StepUp"]

_TRIES: Final = 5
_LOCKED_S: Final = 900.0
T = TypeVar("T")


class _Enrolled(Struct, kw_only=True, forbid_unknown_fields=True):
    """What is kept of a key's authenticator: the secret, sealed; the last step used; the wrong codes since."""

    secret: str
    last_step: int = -1
    wrong: Annotated[int, Meta(ge=0)] = 0
    locked_until: float = 0.0


class StepUp:
    """Enrols keys, takes their codes and checks the tokens they got for them.

    What was used is kept in `path`, under a lock, so that no two workers take one code. Five wrong codes lock a key for
    a quarter of an hour: to guess one of the three codes that count at a time takes years.
    """

    def __init__(self, path: Path, seal: Seal, clock: Callable[[], float] = time.time) -> None:
        self._path, self._seal, self._clock = path, seal, clock
        self._token_key = seal.key_for("step-up token")

    def enrol(self, key_id: str, name: str) -> str:
        """Give a key an authenticator, in place of one it had; give the address for the app, this once."""
        secret = totp.new_secret()
        closed = self._seal.close(secret, f"totp:{key_id}")
        self._change(lambda kept: kept.__setitem__(key_id, _Enrolled(secret=closed)))
        return totp.uri(secret, f"{name} {key_id}")

    def remove(self, key_id: str) -> None:
        """Forget a key's authenticator."""
        self._change(lambda kept: kept.pop(key_id, None))

    def enrolled(self) -> frozenset[str]:
        """Give the ids of keys that have an authenticator."""
        return frozenset(self._read())

    def exchange(self, key_id: str, action: str, shown: str) -> tuple[str, str]:
        """Take a code; give a token and "", or "" and why not: not_enrolled, locked, wrong_code.

        A code counts once: a second use is a wrong code.
        """
        why = self._change(lambda kept: self._take(kept.get(key_id), key_id, shown))
        return ("", why) if why else (self._token(key_id, action), "")

    def holds(self, token: str, key_id: str, action: str) -> bool:
        """Tell whether a token is one for this key and this action that has not run out."""
        head, _, code = token.rpartition(".")
        if not token.isascii() or not hmac.compare_digest(self._code(head), code):
            return False
        told = head.split(".")
        return (
            len(told) == 5
            and told[:3] == ["fs1", key_id, action]
            and told[3].isdecimal()
            and self._clock() < int(told[3])
        )

    def _token(self, key_id: str, action: str) -> str:
        head = f"fs1.{key_id}.{action}.{int(self._clock() + TOKEN_S)}.{secrets.token_hex(8)}"
        return f"{head}.{self._code(head)}"

    def _code(self, head: str) -> str:
        told = hmac.digest(self._token_key, head.encode("ascii", "replace"), "sha256")
        return base64.urlsafe_b64encode(told).decode().rstrip("=")

    def _take(self, found: _Enrolled | None, key_id: str, shown: str) -> str:
        now = self._clock()
        if found is None:
            return "not_enrolled"
        if now < found.locked_until:
            return "locked"
        step = totp.match(self._seal.open(found.secret, f"totp:{key_id}"), shown, now, after=found.last_step)
        if step is not None:
            found.last_step, found.wrong = step, 0
            return ""
        found.wrong += 1
        if found.wrong >= _TRIES:
            found.wrong, found.locked_until = 0, now + _LOCKED_S
        return "wrong_code"

    def _read(self) -> dict[str, _Enrolled]:
        if not self._path.exists():
            return {}
        try:
            return msgspec.json.decode(files.read(self._path), type=dict[str, _Enrolled])
        except msgspec.MsgspecError as fault:
            raise SecurityError(f"{self._path}: {fault}; remove it, and enrol again") from fault

    def _change(self, change: Callable[[dict[str, _Enrolled]], T]) -> T:
        with files.locked(self._path):
            kept = self._read()
            result = change(kept)
            files.write(self._path, msgspec.json.format(msgspec.json.encode(kept), indent=2) + b"\n")
        return result
