"""The headers every answer carries. HSTS is the front's to send: it is what speaks TLS."""

from __future__ import annotations

from typing import Final

__all__ = ["HEADERS"]

# Answers are data for programs: nothing in them is to be guessed at, run, framed, or kept by a cache on the way.
HEADERS: Final[tuple[tuple[bytes, bytes], ...]] = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"x-permitted-cross-domain-policies", b"none"),
)
