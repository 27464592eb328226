"""Which spans are attempts, and what the spans around them lend them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from msgspec import Struct, structs

from fairlead.ingest.otlp import decode, dialects, evaluations

__all__ = ["Span", "records"]

_DEEPEST: Final = 256  # a parent that is its own ancestor must not hold up a load
_OWN: Final = ("error.", "exception.", "http.", "server.", "gen_ai.response.finish", "gen_ai.evaluation.", "fairlead.")
_DECISION: Final = "fairlead."
_PROXY_REQUEST: Final = "Received Proxy Server Request"  # LiteLLM's, around all attempts of one request


class Span(Struct, kw_only=True):
    """A span, whatever it was written in."""

    trace_id: str | None
    span_id: str | None
    parent_span_id: str | None
    name: str
    start: Any
    end: Any
    failed: bool
    attributes: dict[str, Any]
    resource: dict[str, Any]
    events: list[dict[str, Any]]
    dialect: str


_Key = tuple[str | None, str | None]


def records(spans: Sequence[Span]) -> Iterator[dict[str, Any]]:
    """Give the records of the spans of one document: its attempts, then what is said of their quality."""
    known = {_key(span): span for span in spans if span.trace_id and span.span_id}
    calls = [span for span in spans if dialects.is_call(span.attributes)]
    around = _around(calls, known)
    within: dict[_Key, list[Span]] = {}
    for span in calls:
        outer = around.get(_key(span))
        if outer is not None:
            within.setdefault(_key(outer), []).append(span)
    for span in calls:
        if _key(span) not in within:
            yield {**_call(span, _chain(span, around), within, known), "request_id": _request(span, around, known)}
    for span in spans:
        for target, when, said in evaluations.of_span(span, _parent(span, known)):
            request = _request(target, around, known) if dialects.is_call(target.attributes) else None
            yield evaluations.record(span.dialect, target, request, when, said)


def _around(calls: Sequence[Span], known: dict[_Key, Span]) -> dict[_Key, Span]:
    """Give the call that each call is within, for those that are; a circle of parents is cut open."""
    found: dict[_Key, Span] = {}
    for span in calls:
        outer = _enclosing(span, known)
        if outer is not None and _key(span) not in map(_key, [outer, *_chain(outer, found)]):
            found[_key(span)] = outer
    return found


def _call(span: Span, outer: list[Span], within: dict[_Key, list[Span]], known: dict[_Key, Span]) -> dict[str, Any]:
    lent: dict[str, Any] = {}
    inner = span
    for one in outer:
        if _key(max(within[_key(one)], key=_began)) != _key(inner):  # its figures belong to the attempt that came last
            break
        lent = {name: value for name, value in one.attributes.items() if not name.startswith(_OWN)} | lent
        inner = one
    for one in _ancestors(span, known):
        context = {name: value for name, value in one.attributes.items() if _is_context(name)}
        lent = context | lent
    return {**structs.asdict(span), "attributes": {**lent, **span.attributes}}


def _request(span: Span, around: dict[_Key, Span], known: dict[_Key, Span]) -> str | None:
    """Name the request of a call: by the outermost call around it, or by the gateway's span of the whole request."""
    top = [span, *_chain(span, around)][-1]
    parent = _parent(top, known)
    return parent.span_id if parent is not None and parent.name == _PROXY_REQUEST else top.span_id


def _chain(span: Span, around: dict[_Key, Span]) -> list[Span]:
    """Give the calls that a call is within, from the nearest to the outermost."""
    found: list[Span] = []
    outer = around.get(_key(span))
    while outer is not None and len(found) < _DEEPEST:
        found.append(outer)
        outer = around.get(_key(outer))
    return found


def _enclosing(span: Span, known: dict[_Key, Span]) -> Span | None:
    """Give the call that this one is the inside of: not one whose tool or agent made a call of its own, or a judge."""
    for one in _ancestors(span, known):
        if dialects.is_call(one.attributes):
            return one if _covers(one, span) else None
        if dialects.describes_model(one.attributes):
            return None
    return None


def _ancestors(span: Span, known: dict[_Key, Span]) -> Iterator[Span]:
    seen = {_key(span)}
    for _ in range(_DEEPEST):
        parent = _parent(span, known)
        if parent is None or _key(parent) in seen:
            return
        seen.add(_key(parent))
        yield parent
        span = parent


def _parent(span: Span, known: dict[_Key, Span]) -> Span | None:
    return known.get((span.trace_id, span.parent_span_id)) if span.trace_id and span.parent_span_id else None


def _key(span: Span) -> _Key:
    return span.trace_id, span.span_id


def _covers(outer: Span, inner: Span) -> bool:
    end, latest = _whole(inner.end), _whole(outer.end)
    return _began(outer) <= _began(inner) and (end is None or latest is None or end <= latest)


def _began(span: Span) -> int:
    return _whole(span.start) or 0


def _whole(given: Any) -> int | None:
    found = decode.whole(given)
    return found if isinstance(found, int) else None


def _is_context(name: str) -> bool:
    return name in dialects.CONTEXT or name.startswith(_DECISION)
