"""What a reader is given beside the record: the clock, the keyed hash, the prices, the mapping."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from fairlead.schema import Attempt
from fairlead.scoring.request import text_features

if TYPE_CHECKING:
    from fairlead.ingest.mapping import Mapping

__all__ = ["Context"]

_CACHE: Final = 20_000


@dataclass(slots=True)
class Context:
    """What holds for every record of one file."""

    ingested_at: datetime
    hash_key: bytes
    source_instance: str | None = None
    mapping: Mapping | None = None
    price: Callable[[Attempt], None] | None = None  # fills list_cost_usd and price_source
    written_at: datetime | None = None  # the file, for records that have no moment of their own
    trace_is_session: bool = False  # the callers put a session id where the gateway keeps its trace id
    _hashes: dict[str, str] = field(default_factory=dict)
    _features: dict[bytes, list[float]] = field(default_factory=dict)

    def hashed(self, text: str) -> str:
        """Give the keyed hash of an id of a person, as 32 hex digits."""
        known = self._hashes.get(text)
        if known is None:
            known = hmac.digest(self.hash_key, b"id\x00" + _encoded(text), "sha256").hex()[:32]
            self._hashes = {} if len(self._hashes) >= _CACHE else self._hashes
            self._hashes[text] = known
        return known

    def prompt_hash(self, text: str) -> bytes:
        """Give the keyed SHA-256 of a prompt: the same prompt can be found again, but not guessed."""
        return hmac.digest(self.hash_key, b"prompt\x00" + _encoded(text), "sha256")

    def features(self, text: str) -> list[float]:
        """Give the text features of a prompt; attempts of one request share their making."""
        key = hashlib.blake2b(_encoded(text), digest_size=16).digest()
        known = self._features.get(key)
        if known is None:
            values: Any = text_features(text)
            known = values.tolist()
            self._features = {} if len(self._features) >= _CACHE else self._features
            self._features[key] = known
        return known

    def priced(self, attempt: Attempt) -> Attempt:
        """Give the attempt with its list cost, where there is a price for it."""
        if self.price is not None:
            self.price(attempt)
        return attempt


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
