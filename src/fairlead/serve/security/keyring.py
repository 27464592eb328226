"""The keys that a server knows: read from the signed file, read again when it changes, and never from half of one."""

from __future__ import annotations

import hmac
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from fairlead.errors import FairleadError, SecurityError
from fairlead.serve.security import files, keyfile, keytext
from fairlead.serve.security.keyfile import Key, Keys
from fairlead.serve.security.signing import Verifier

__all__ = ["Keyring"]

_NOBODY: Final = "0" * 64  # compared with where there is no such key, so that both take as long


class Keyring:
    """Finds the key that a text is. `failure` says why the file is not the one in use, `sequence` which one is.

    A changed file is taken within `check_every_s`. One that is refused (a signature that is off, rights that are too
    wide, an older sequence) leaves the last good one in force. At the start there is none, and nobody is let in.
    """

    def __init__(
        self,
        path: Path,
        by: Verifier,
        *,
        check_every_s: float = 1.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._path, self._by, self._every_s, self._clock = path, by, check_every_s, clock
        self.told: Callable[[str, str], None] = lambda event, why: None  # of files that were taken or refused
        self._lock = threading.Lock()
        self.failure: str | None = None
        self.refused = 0
        self._seen = files.identity(path)
        content = keyfile.read(path, by)
        self._keys, self.sequence = _table(content), content.sequence
        self._checked = time.monotonic()

    def find(self, text: str) -> Key | str:
        """Give the key that counts now; else why not: malformed, unknown, revoked, expired or not_yet_valid."""
        if time.monotonic() - self._checked >= self._every_s:
            self.refresh()
        named = keytext.claimed(text)
        if named is None:
            return "malformed"
        shown = keytext.digest(text)
        known = self._keys.get(named)
        if known is None:
            hmac.compare_digest(shown, _NOBODY)
            return _stranger(text)
        key, kept = known
        now, why = self._clock(), None
        for sha256, begins, ends in kept:  # all of them, found or not
            if hmac.compare_digest(shown, sha256):
                why = "not_yet_valid" if now < begins else "expired" if now >= ends else ""
        if why is None:
            return _stranger(text)
        if why == "" and key.revoked_at is not None:
            return "revoked"
        return why or key

    def refresh(self) -> bool:
        """Look whether the file has changed and take it; False where what is there was refused."""
        with self._lock:
            self._checked = time.monotonic()
            seen = files.identity(self._path)
            if seen == self._seen:
                return self.failure is None
            try:
                content = keyfile.read(self._path, self._by)
                if content.sequence < self.sequence:
                    raise SecurityError(
                        f"{self._path}: number {content.sequence}, older than {self.sequence}, which is in use;"
                        " put the newest file there"
                    )
            except FairleadError as fault:
                self._refuse(str(fault), seen)
                return False
            self._keys, self.sequence, self.failure, self._seen = _table(content), content.sequence, None, seen
        self.told("keys.taken", f"sequence {self.sequence}")
        return True

    def ids(self) -> frozenset[str]:
        """Give the ids of all keys, revoked ones too."""
        return frozenset(self._keys)

    def _refuse(self, why: str, seen: tuple[int, ...] | None) -> None:
        self._seen = seen
        self.failure, self.refused = why, self.refused + 1
        self.told("keys.refused", why)


def _stranger(text: str) -> str:
    """Tell a mistyped key from one that was never made, for the log; a key that counts needs no checksum."""
    return "malformed" if keytext.key_id(text) is None else "unknown"


def _table(content: Keys) -> dict[str, tuple[Key, list[tuple[str, float, float]]]]:
    never = float("inf")
    return {
        key.id: (
            key,
            [
                (one.sha256, one.not_before.timestamp(), never if one.not_after is None else one.not_after.timestamp())
                for one in key.secrets
            ],
        )
        for key in content.keys
    }
