"""Secrets that have to be kept: AES-256-GCM under a key from a file or the environment."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import secrets
from pathlib import Path
from typing import Final

from fairlead.errors import SecurityError, UsageError
from fairlead.serve.security import files

__all__ = ["VARIABLE", "Seal"]

VARIABLE: Final = "FAIRLEAD_SEALING_KEY"
_MARK: Final = "v1:"
_NONCE: Final = 12  # bytes, drawn: under one key up to 2 ** 32 secrets are safe (NIST SP 800-38D, 8.3)


class Seal:
    """Closes and opens small secrets. What one was closed as (`purpose`) is part of it: it opens as nothing else.

    >>> seal = Seal(bytes(32))
    >>> seal.open(seal.close(b"hunter2", "totp:abc"), "totp:abc")
    b'hunter2'
    """

    def __init__(self, key: bytes) -> None:
        if len(key) != 32:
            raise SecurityError(f"a sealing key of {len(key)} bytes; 32 are needed, as 64 hexadecimal digits")
        try:
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        except ImportError:
            raise UsageError("kept secrets need cryptography: pip install 'fairlead[serve]'") from None
        self._key, self._cipher = key, AESGCM(key)

    @classmethod
    def of(cls, path: Path, *, make: bool = False) -> Seal:
        """Take the key from FAIRLEAD_SEALING_KEY, else from a file, which `make` makes where there is none."""
        named = os.environ.get(VARIABLE)
        if named is None and make and not path.exists():
            files.write(path, secrets.token_hex(32).encode() + b"\n")
        where = VARIABLE if named is not None else str(path)
        text = named if named is not None else files.read(path).decode("ascii", "replace")
        try:
            return cls(bytes.fromhex(text.strip()))
        except ValueError:
            raise SecurityError(f"{where}: not hexadecimal; make one with `openssl rand -hex 32`") from None

    def close(self, secret: bytes, purpose: str) -> str:
        """Encrypt a secret."""
        nonce = os.urandom(_NONCE)
        return _MARK + base64.b64encode(nonce + self._cipher.encrypt(nonce, secret, purpose.encode())).decode()

    def open(self, closed: str, purpose: str) -> bytes:
        """Decrypt; SecurityError where it was changed, closed under another key, or as something else."""
        from cryptography.exceptions import InvalidTag

        try:
            data = base64.b64decode(closed.removeprefix(_MARK), validate=True)
            if closed.startswith(_MARK):
                return self._cipher.decrypt(data[:_NONCE], data[_NONCE:], purpose.encode())
        except (binascii.Error, ValueError, InvalidTag):
            pass
        raise SecurityError(f"{purpose}: this secret does not open; is {VARIABLE} or sealing.key another one now?")

    def key_for(self, purpose: str) -> bytes:
        """Derive a key for something else, so that no key does two things (RFC 5869, one block of expansion)."""
        return hmac.digest(self._key, b"fairlead derived 1 " + purpose.encode() + b"\x01", hashlib.sha256)
