"""Signatures over files: Ed25519 where there is a key pair, else an HMAC under a shared key."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from fairlead.errors import SecurityError, UsageError
from fairlead.serve.security import files

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

__all__ = ["Ed25519", "Hmac", "Signer", "Verifier", "make", "needed", "signer", "verifier"]

_HMAC: Final = b"hmac-sha256:"


class Verifier(Protocol):
    """Tells whether a signature is one of its key."""

    name: str

    def verify(self, purpose: str, data: bytes, signature: str) -> bool:
        """Tell whether `signature` is this key's over `data`, for this purpose and no other."""
        ...


class Signer(Verifier, Protocol):
    """Signs, and verifies what it signed."""

    def sign(self, purpose: str, data: bytes) -> str:
        """Give the signature over `data` as hexadecimal digits."""
        ...


class Hmac:
    """HMAC-SHA-256 (RFC 2104): whoever can verify can also sign, so it is for one machine.

    >>> key = Hmac(bytes(32))
    >>> signature = key.sign("keys", b"data")
    >>> key.verify("keys", b"data", signature), key.verify("audit", b"data", signature)
    (True, False)
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.name = "hmac:" + hmac.digest(key, b"name", "sha256").hex()[:16]

    def sign(self, purpose: str, data: bytes) -> str:
        """Give the code over `data`."""
        return hmac.digest(self._key, _said(purpose, data), "sha256").hex()

    def verify(self, purpose: str, data: bytes, signature: str) -> bool:
        """Compare in constant time."""
        return hmac.compare_digest(self.sign(purpose, data).encode(), signature.encode())


class Ed25519:
    """An Ed25519 key (RFC 8032): the private half signs, the public half is all that a reader needs."""

    def __init__(self, public: Ed25519PublicKey, private: Ed25519PrivateKey | None = None) -> None:
        self._public, self._private = public, private
        self.name = "ed25519:" + hashlib.sha256(public.public_bytes_raw()).hexdigest()[:16]

    def sign(self, purpose: str, data: bytes) -> str:
        """Give the signature over `data`; UsageError with the public half alone."""
        if self._private is None:
            raise UsageError(f"{self.name}: the public half of a key signs nothing; name the file of the private half")
        return self._private.sign(_said(purpose, data)).hex()

    def verify(self, purpose: str, data: bytes, signature: str) -> bool:
        """Tell whether it is this key's signature."""
        from cryptography.exceptions import InvalidSignature

        try:
            self._public.verify(bytes.fromhex(signature), _said(purpose, data))
        except (InvalidSignature, ValueError):
            return False
        return True


def _said(purpose: str, data: bytes) -> bytes:
    """Give what is signed: a signature for one purpose must never do for another."""
    return b"fairlead %b 1\n" % purpose.encode() + data


def make(path: Path, *, shared: bool = False) -> str:
    """Make a signing key at `path`, with its public half beside it as `.pub`; give its name.

    With `shared` it is an HMAC key, which has no public half. Raises SecurityError where there is one already: a new
    key would make everything refused that the old one signed.
    """
    if path.exists():
        raise SecurityError(f"{path}: there is a key already; move it away first, and sign again what it signed")
    if shared:
        files.write(path, _HMAC + secrets.token_hex(32).encode() + b"\n")
        return signer(path).name
    serialization, ed25519 = needed()
    private = ed25519.Ed25519PrivateKey.generate()
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    kind = serialization.PublicFormat.SubjectPublicKeyInfo
    files.write(path.with_suffix(".pub"), private.public_key().public_bytes(pem, kind), 0o644)
    files.write(path, private.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    return signer(path).name


def signer(path: Path) -> Signer:
    """Read a key that signs; SecurityError where the file is off or others may read it."""
    data = files.read(path)
    if data.startswith(_HMAC):
        return _shared(path, data)
    serialization, ed25519 = needed()
    try:
        private = serialization.load_pem_private_key(data, None)
    except (ValueError, TypeError) as fault:
        raise SecurityError(f"{path}: no private key in PEM; make one with `fairlead keys new`") from fault
    if not isinstance(private, ed25519.Ed25519PrivateKey):
        raise SecurityError(f"{path}: not an Ed25519 key; make one with `openssl genpkey -algorithm ed25519`")
    return Ed25519(private.public_key(), private)


def verifier(path: Path) -> Verifier:
    """Read a key that verifies: a public half, which anybody may read, or a shared key, which nobody else may."""
    data = files.read(path, secret=False)
    if data.startswith(_HMAC):
        return _shared(path, files.read(path))
    serialization, ed25519 = needed()
    try:
        public = serialization.load_pem_public_key(data)
    except ValueError as fault:
        raise SecurityError(f"{path}: no public key in PEM; take the .pub that was made with the key") from fault
    if not isinstance(public, ed25519.Ed25519PublicKey):
        raise SecurityError(f"{path}: not an Ed25519 key; take the .pub that was made with the key")
    return Ed25519(public)


def _shared(path: Path, data: bytes) -> Hmac:
    try:
        key = bytes.fromhex(data.removeprefix(_HMAC).decode().strip())
    except ValueError as fault:
        raise SecurityError(f"{path}: what follows hmac-sha256: is not hexadecimal; make a new one") from fault
    if len(key) < 32:
        raise SecurityError(f"{path}: {len(key) * 8} bits are too few; 256 are needed: make a new one")
    return Hmac(key)


def needed() -> tuple[Any, Any]:
    """Import what Ed25519 needs; UsageError where it is not installed."""
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError:
        raise UsageError("Ed25519 needs cryptography: pip install 'fairlead[serve]'") from None
    return serialization, ed25519
