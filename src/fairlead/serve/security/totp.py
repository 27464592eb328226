"""One-time codes by the clock (RFC 6238 over RFC 4226), as authenticator apps show them."""

from __future__ import annotations

import base64
import hmac
import secrets
from typing import Final
from urllib.parse import quote

__all__ = ["STEP_S", "code", "match", "new_secret", "uri"]

STEP_S: Final = 30
_DRIFT: Final = 1  # steps a clock may be off by


def new_secret() -> bytes:
    """Give 160 random bits, as RFC 4226 recommends."""
    return secrets.token_bytes(20)


def code(secret: bytes, step: int, digits: int = 6, algorithm: str = "sha1") -> str:
    """Give the code of a step.

    >>> code(b"12345678901234567890", 59 // STEP_S, digits=8)  # RFC 6238, appendix B
    '94287082'
    """
    told = hmac.digest(secret, step.to_bytes(8, "big"), algorithm)
    at = told[-1] & 0x0F
    number = int.from_bytes(told[at : at + 4], "big") & 0x7FFFFFFF
    return str(number % 10**digits).zfill(digits)


def match(secret: bytes, shown: str, now: float, after: int = -1) -> int | None:
    """Give the step whose code this is, within one of now and later than `after`; None where it is none.

    >>> match(b"12345678901234567890", "287082", 59.0), match(b"12345678901234567890", "287082", 59.0, after=1)
    (1, None)
    """
    current = int(now // STEP_S)
    found = None
    for step in range(max(0, current - _DRIFT), current + _DRIFT + 1):  # all of them, found or not
        if hmac.compare_digest(code(secret, step).encode(), shown.encode()) and step > after:
            found = step if found is None else found
    return found


def uri(secret: bytes, account: str, issuer: str = "fairlead") -> str:
    """Give the address that authenticator apps read, as text or as a QR code.

    >>> uri(bytes(10), "ops key")
    'otpauth://totp/fairlead:ops%20key?secret=AAAAAAAAAAAAAAAA&issuer=fairlead'
    """
    text = base64.b32encode(secret).decode().rstrip("=")
    return f"otpauth://totp/{quote(issuer)}:{quote(account)}?secret={text}&issuer={quote(issuer)}"
