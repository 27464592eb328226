"""What a cascade is told of an answer: its length, how it ended, and a digest to compare it by. Never its text."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import Final

from msgspec import Struct

__all__ = ["Answer", "digest"]

_WHOLE: Final = frozenset({"stop", "end_turn", "stop_sequence", "tool_calls", "tool_use", "function_call"})
_THOUSANDS: Final = re.compile(r"(?<=\d),(?=\d{3}(?:\D|$))")
_TRAILING_ZEROS: Final = re.compile(r"(?<=\d)\.0+(?!\d)")
_EDGES: Final = " \t\n.,;:!?\"'`*$()[]{}"


class Answer(Struct, frozen=True, kw_only=True):
    """One endpoint's answer, by its features; None where a feature is not known.

    `digest` is what `digest` gives of the part that answers (the number, the label, the arguments of a call). Say
    `readable=False` where that part should be there and could not be found, and `failed=True` where no answer came at
    all: it cannot be accepted.
    """

    endpoint: str
    output_tokens: int | None = None
    finish_reason: str | None = None
    digest: str | None = None
    readable: bool | None = None
    latency_s: float | None = None
    failed: bool = False

    @property
    def cut(self) -> bool:
        """Whether the answer ended otherwise than by itself: cut off, filtered."""
        return self.finish_reason is not None and self.finish_reason.lower() not in _WHOLE


def digest(text: str, key: bytes = b"") -> str | None:
    """Give a digest that is equal for answers that say the same; None for an empty one.

    Case, spaces, marks at the edges and the way a number is written make no difference. With a `key` nobody else can
    find short answers by trying them.

    >>> digest(" **1,200.00** ") == digest("1200."), digest("Paris") == digest("london"), digest(" ")
    (True, False, None)
    """
    plain = unicodedata.normalize("NFKC", text).casefold()
    plain = _TRAILING_ZEROS.sub("", _THOUSANDS.sub("", " ".join(plain.split()))).strip(_EDGES)
    if not plain:
        return None
    return hashlib.blake2b(plain.encode("utf-8", "surrogatepass"), key=key[:64], digest_size=12).hexdigest()
