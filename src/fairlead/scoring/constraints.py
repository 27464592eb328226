"""Which endpoints may serve a request at all: hard rules from what the request says and what the endpoints can do.

Made once for a snapshot. Every rule is an int whose bit k stands for endpoint k, so a request is a few `&`, and the
usual one, which asks for nothing, is answered by a cached array. Why an endpoint was left out is only worked out when
somebody asks.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Literal

import numpy as np
from msgspec import Struct

from fairlead.errors import UsageError
from fairlead.scoring.manifest import Endpoint
from fairlead.scoring.request import Request
from fairlead.scoring.view import View

__all__ = ["Constraints", "Eligible"]

Array = np.ndarray[Any, Any]
Rule = tuple[int, str, bool]  # endpoints that keep it, why the others do not, whether a last resort must keep it too

BYTES_PER_TOKEN: Final = 4  # of ordinary text; only used where the caller has not counted
_CACHED: Final = 1024  # arrays kept, by the endpoints that they allow


class Eligible(Struct, frozen=True):
    """Which endpoints may be chosen: `mask` (K,), read-only, and how that came.

    `unavailable`: only endpoints that are ejected or asked us to wait keep the rules, so they are tried all the same.
    `last_resort`: none keeps the rules, and the project's last resort may be asked. `no_eligible`: none, `mask` is all
    False; `Constraints.reasons` says why for each endpoint.
    """

    mask: Array
    status: Literal["ok", "unavailable", "last_resort", "no_eligible"] = "ok"


class Constraints:
    """The rules of a snapshot's endpoints; safe to use from any thread.

    A request is kept from endpoints whose context window or output limit is too small, that lack a capability it needs
    (`tools` and `images` imply "tools" and "vision"), that lie outside its `regions`, or that are not on its lists of
    endpoints or providers. What is not known of an endpoint does not count against it, except its region: data must not
    leave by accident. `strict`: unknown capabilities do not do either.

    `last_resort` names the endpoint to ask when none fits. It may be too small or lack a capability, but never lies
    outside the request's regions or lists: those are not fairlead's to break.

    >>> big = Endpoint(name="big", provider_name="acme", model="big", context_window=200_000, region="eu")
    >>> small = Endpoint(name="small", provider_name="acme", model="small", context_window=8_000)
    >>> constraints = Constraints([big, small])
    >>> constraints.eligible(Request(input_tokens=50_000)).mask.tolist()
    [True, False]
    >>> constraints.reasons(Request(input_tokens=50_000))
    {'small': ('its context window of 8000 tokens is under 50000',)}
    >>> constraints.eligible(Request(regions=("us",))).status
    'no_eligible'
    """

    def __init__(self, endpoints: Sequence[Endpoint], *, strict: bool = False, last_resort: str | None = None) -> None:
        self.endpoints = tuple(endpoint.name for endpoint in endpoints)
        self._all = (1 << len(endpoints)) - 1
        self._names = {name: 1 << place for place, name in enumerate(self.endpoints)}
        self._providers = _bits(endpoints, lambda endpoint: [endpoint.provider_name])
        self._regions = _bits(endpoints, lambda endpoint: [endpoint.region] if endpoint.region else [])
        self._capable = _bits(endpoints, lambda endpoint: endpoint.capabilities or [])
        unknown = sum(1 << place for place, one in enumerate(endpoints) if one.capabilities is None)
        self._unknown, self._described = 0 if strict else unknown, self._all & ~unknown
        self._window = _Limit([endpoint.context_window for endpoint in endpoints])
        self._output = _Limit([endpoint.max_output_tokens for endpoint in endpoints])
        if last_resort is not None and last_resort not in self._names:
            raise UsageError(f"last_resort: no endpoint named {last_resort!r}; there are {', '.join(self.endpoints)}")
        self.last_resort = last_resort
        self._arrays: dict[int, Array] = {}
        self._lock = threading.Lock()
        self._every = Eligible(self._array(self._all), "ok" if endpoints else "no_eligible")

    def eligible(self, request: Request, view: View | None = None) -> Eligible:
        """Say which endpoints may serve the request; it never raises, whatever the request asks for."""
        quiet = view is None or b"\0" not in view.available.tobytes()
        if self._free(request):
            if quiet:
                return self._every
            kept = self._all
        else:
            kept = self._kept(request)
        if not kept:
            return self._fallback(request)
        if not quiet and view is not None:
            there = kept & _packed(view.available)
            return Eligible(self._array(there)) if there else Eligible(self._array(kept), "unavailable")
        return self._every if kept == self._all else Eligible(self._array(kept))

    def reasons(self, request: Request, view: View | None = None) -> dict[str, tuple[str, ...]]:
        """Say for each endpoint that was left out why, all reasons at once; not for the hot path."""
        rules = list(self._rules(request))
        if view is not None:
            rules.append((_packed(view.available), "it is ejected for now, or asked us to wait", False))
        found = {
            name: tuple(why.format(**self._facts(place)) for bits, why, _ in rules if not bits >> place & 1)
            for place, name in enumerate(self.endpoints)
        }
        return {name: reasons for name, reasons in found.items() if reasons}

    def _kept(self, request: Request) -> int:
        """Give the endpoints that keep all rules, as bits."""
        kept = self._all
        if request.endpoints is None and request.providers is None and request.regions is None and not request.needs:
            # The usual rules, without a generator and its reasons.
            if request.tools:
                kept &= self._capable.get("tools", 0) | self._unknown
            if request.images:
                kept &= self._capable.get("vision", 0) | self._unknown
            if not self._fits(request):
                more = _count(request.max_tokens)
                kept &= self._output.holding(more) & self._window.holding(_tokens(request) + more)
            return kept
        for bits, _, _ in self._rules(request):
            kept &= bits
        return kept

    def _free(self, request: Request) -> bool:
        """Whether the request asks for nothing that any endpoint could lack."""
        if request.endpoints is not None or request.providers is not None or request.regions is not None:
            return False
        if request.needs or request.tools or request.images:
            return False
        return self._fits(request)

    def _fits(self, request: Request) -> bool:
        """Whether the request fits any endpoint's limits; it may do so where this says no."""
        more = _count(request.max_tokens)
        # A character is at most four bytes, so at most one token by our estimate: the text need not be read.
        tokens = len(request.text) if request.input_tokens is None else _count(request.input_tokens)
        return more <= self._output.least and tokens + more <= self._window.least

    def _rules(self, request: Request) -> Iterator[Rule]:
        if request.endpoints is not None:
            named = sum({self._names.get(name, 0) for name in request.endpoints})
            yield named, "it is not among the request's endpoints", True
        if request.providers is not None:
            yield _any(self._providers, request.providers), "its provider is not among the request's", True
        if request.regions is not None:
            yield _any(self._regions, request.regions), "its region ({region}) is not among the request's", True
        for need in _needs(request):
            yield self._capable.get(need, 0) | self._unknown, f"it {{able}} {_plain(need)}", False
        most, more = self._output, _count(request.max_tokens)
        if more > most.least:
            yield most.holding(more), f"its output limit of {{output}} tokens is under {more}", False
        tokens = _tokens(request) + more
        if tokens > self._window.least:
            yield self._window.holding(tokens), f"its context window of {{window}} tokens is under {tokens}", False

    def _fallback(self, request: Request) -> Eligible:
        bits = 0 if self.last_resort is None else self._names[self.last_resort]
        for kept, _, binding in self._rules(request):
            bits &= kept if binding else bits
        return Eligible(self._array(bits), "last_resort" if bits else "no_eligible")

    def _array(self, bits: int) -> Array:
        array = self._arrays.get(bits)
        if array is None:
            array = np.array([bool(bits >> place & 1) for place in range(len(self.endpoints))], dtype=bool)
            array.flags.writeable = False
            with self._lock:
                if len(self._arrays) >= _CACHED:
                    self._arrays.clear()
                self._arrays[bits] = array
        return array

    def _facts(self, place: int) -> dict[str, Any]:
        region = next((name for name, bits in self._regions.items() if bits >> place & 1), "not known")
        able = "has no" if self._described >> place & 1 else "is not known to have"
        return {
            "region": _plain(region),
            "able": able,
            "window": self._window.limits[place],
            "output": self._output.limits[place],
        }


class _Limit:
    """One limit of each endpoint; those without one hold anything."""

    def __init__(self, limits: list[int | None]) -> None:
        self.limits = limits
        known = sorted({limit for limit in limits if limit is not None})
        self._known = known
        self._holding = [
            sum(1 << place for place, limit in enumerate(limits) if limit is None or limit >= least)
            for least in [*known, float("inf")]
        ]
        self.least: float = known[0] if known else float("inf")

    def holding(self, tokens: float) -> int:
        return self._holding[bisect_left(self._known, tokens)]


def _bits(endpoints: Sequence[Endpoint], values: Callable[[Endpoint], list[str]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for place, endpoint in enumerate(endpoints):
        for value in values(endpoint):
            found[value] = found.get(value, 0) | 1 << place
    return found


def _any(known: dict[str, int], wanted: Sequence[str]) -> int:
    bits = 0
    for name in wanted:
        bits |= known.get(name, 0)
    return bits


def _needs(request: Request) -> Iterator[str]:
    yield from map(str, request.needs)
    if request.tools and "tools" not in request.needs:
        yield "tools"
    if request.images and "vision" not in request.needs:
        yield "vision"


def _count(value: Any) -> float:
    """A caller may send anything; what is no count asks for nothing."""
    return value if isinstance(value, (int, float)) and value > 0 else 0


def _tokens(request: Request) -> float:
    if request.input_tokens is not None:
        return _count(request.input_tokens)
    return len(request.text.encode("utf-8", "surrogatepass")) // BYTES_PER_TOKEN


def _packed(available: Array) -> int:
    return int.from_bytes(np.packbits(available, bitorder="little").tobytes(), "little")


def _plain(text: str) -> str:
    """A caller's or a catalogue's word inside a format string."""
    return text.replace("{", "(").replace("}", ")")
