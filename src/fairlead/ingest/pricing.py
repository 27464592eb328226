"""List costs of many attempts at once, by the same prices and the same arithmetic as for one.

The cost of an attempt is linear in its tokens of each class while no price changes and no long-context step is
crossed. So the price of each class is asked once for the attempts of one day that are priced alike, with small
counts, and what follows from it is compared with the real price of the first and the last of each hour and of those
with the most tokens; where that differs, every attempt of the group is priced by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Any, Final

import numpy as np
from msgspec import Struct, structs

from fairlead.schema import Attempt

__all__ = ["TOKENS", "Sheets"]

TOKENS: Final = (
    "input_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "output_tokens",
    "reasoning_output_tokens",
)
_ALIKE: Final = ("provider_name", "response_model", "request_model", "region", "service_tier", "is_batch")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_HOUR_US: Final = 3_600_000_000
_DAY_US: Final = 24 * _HOUR_US
_PROBE: Final = 1_000  # tokens: enough for every digit of a price, and below any long-context step
_FEMTO: Final = 1_000  # in a picodollar
_MOST: Final = 2**62

Integers = np.ndarray[Any, np.dtype[np.int64]]


class Priced(Struct, frozen=True):
    """List costs in units of 1e-12 USD (-1 where unknown), and which of `sources` each was read in."""

    pico_usd: Integers
    source: Integers
    sources: list[str | None]


class Sheets:
    """What a class of tokens costs, learned from `price`, which prices one attempt in place."""

    def __init__(self, price: Callable[[Attempt], None]) -> None:
        self._price = price
        self._rates: dict[tuple[Any, ...], list[int] | None] = {}
        self._sources: dict[str | None, int] = {}
        self._lock = Lock()  # blocks are read by several threads

    def price(self, attempts: Sequence[Attempt], which: Integers, start_us: Integers, tokens: Integers) -> Priced:
        """Price rows: each is `attempts[which]`, but at its own time and with its own `tokens`, shape (rows, 5)."""
        with self._lock:
            return self._priced(attempts, which, start_us, tokens)

    def _priced(self, attempts: Sequence[Attempt], which: Integers, start_us: Integers, tokens: Integers) -> Priced:
        kinds: dict[tuple[Any, ...], int] = {}
        code = [kinds.setdefault(tuple(getattr(one, name) for name in _ALIKE), len(kinds)) for one in attempts]
        examples = {kind: one for one, kind in zip(attempts, code, strict=True)}
        alike = np.array(code, dtype=np.int64)[which] + len(kinds) * (start_us // _DAY_US)
        order = np.argsort(alike, kind="stable")
        pico, source = np.empty(len(which), np.int64), np.empty(len(which), np.int64)
        for rows in np.split(order, np.flatnonzero(np.diff(alike[order])) + 1):
            if len(rows):
                example = examples[int(alike[rows[0]] % len(kinds))]
                pico[rows], source[rows] = self._group(example, start_us[rows], tokens[rows])
        return Priced(pico, source, list(self._sources))

    def _group(self, example: Attempt, start_us: Integers, tokens: Integers) -> tuple[Any, Any]:
        key = (*(getattr(example, name) for name in _ALIKE), int(start_us[0]) // _DAY_US)
        if key not in self._rates:
            self._rates[key] = self._learned(example, int(start_us[0]))
        rates = self._rates[key]
        if rates is not None and tokens.max() < _MOST // max(sum(rates), 1):
            values = _rounded(_classes(tokens) @ np.array(rates))
            extremes = {*_ends_of_hours(start_us), *map(int, tokens.argmax(axis=0))}
            found = {place: self._one(example, start_us[place], tokens[place]) for place in extremes}
            if len({source for _, source in found.values()}) == 1 and all(
                values[place] == value for place, (value, _) in found.items()
            ):
                return values, found[next(iter(extremes))][1]
        return zip(*(self._one(example, *row) for row in zip(start_us, tokens, strict=True)), strict=True)  # type: ignore[return-value]

    def _learned(self, example: Attempt, start_us: int) -> list[int] | None:
        """Give what a token of each class costs, in units of 1e-15 USD; None where that is not known."""
        rates = []
        for column in _BASIS:
            value, _ = self._one(example, start_us, column)
            if value < 0:
                return None
            rates.append(value * _FEMTO // _PROBE)
        plain_in, read, created, plain_out, thought = rates
        return [plain_in, read, created, plain_out, thought]

    def _one(self, example: Attempt, start_us: Any, tokens: Any) -> tuple[int, int]:
        counts = dict(zip(TOKENS, map(int, tokens), strict=True))
        attempt = structs.replace(example, start_time=_EPOCH + timedelta(microseconds=int(start_us)), **counts)
        attempt.list_cost_usd = attempt.price_source = None
        self._price(attempt)
        source = self._sources.setdefault(attempt.price_source, len(self._sources))
        return (-1 if attempt.list_cost_usd is None else int(attempt.list_cost_usd.scaleb(12))), source


# One class of tokens at a time: cached tokens are part of the input, reasoning is part of the output.
_BASIS: Final = _PROBE * np.array(
    [[1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [1, 0, 1, 0, 0], [0, 0, 0, 1, 0], [0, 0, 0, 1, 1]], dtype=np.int64
)


def _classes(tokens: Integers) -> Integers:
    """Split counts into classes that do not overlap: plain input, read, created, plain output, reasoning."""
    given, read, created, out, thought = tokens.T
    plain_in, plain_out = np.maximum(given - read - created, 0), np.maximum(out - thought, 0)
    return np.stack([plain_in, read, created, plain_out, thought], axis=1)


def _ends_of_hours(start_us: Integers) -> list[int]:
    """Give the places of the first and the last moment of each hour."""
    order = np.argsort(start_us, kind="stable")
    new = np.flatnonzero(np.diff(start_us[order] // _HOUR_US)) + 1
    ends = np.concatenate([[0], new, new - 1, [len(order) - 1]])
    places: list[int] = order[ends].tolist()
    return places


def _rounded(femto: Integers) -> Integers:
    """Round to units of 1e-12, halves to even, as Decimal does."""
    whole, rest = np.divmod(femto, _FEMTO)
    rounded: Integers = whole + ((rest > _FEMTO // 2) | ((rest == _FEMTO // 2) & (whole % 2 == 1)))
    return rounded
