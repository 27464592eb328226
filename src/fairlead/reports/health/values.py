"""Whether calls are counted twice, and whether their token counts can be."""

from __future__ import annotations

from typing import Any, Final

from fairlead.reports import formats
from fairlead.reports.health.check import Check, graded, listed, nothing
from fairlead.reports.queries import Ask

__all__ = ["checks"]

_BAD: Final = 0.001
_DOUBLE_BAD: Final = 0.01
_THRESHOLD: Final = "look: any; bad: over 1 in 1,000 attempts"
_READ_AGAIN: Final = "Look at the reader or mapping of that source: its counts mean something else than it takes."
# By column of health_tokens.sql: the check's name, what it means, and what to do.
_TOKENS: Final = {
    "cached_over_input": ("cached over input", "attempts read or wrote more cached tokens than they had input.", (
        "The source leaves cached tokens out of its input, as Anthropic does: its reader has to add them.")),
    "reasoning_over_output": ("reasoning over output", "attempts reasoned in more tokens than they had output.", (
        "The source leaves reasoning out of its output, as Vertex does: its reader has to add it.")),
    "over_max_tokens": ("output over its limit", "attempts answered in over 1.5 times the tokens they were allowed.", (
        _READ_AGAIN)),
    "none_but_ok": ("no tokens but ok", "attempts succeeded with no token in and none out, and no cache answered.", (
        "The gateway did not count: for streams have it ask for usage; their cost is missing from every sum.")),
    "over_context": ("over the context", "attempts hold more tokens than their model can.", (
        "Look whether tokens are summed over several calls, or the model's name is that of another.")),
    "too_fast": ("too fast", "attempts answered at over 5,000 tokens a second.", (
        "Look at the source's durations: a unit may be off, or a cache answered and the log does not say so.")),
}  # fmt: skip


def checks(ask: Ask, sources: int) -> list[Check]:
    """Check the window's attempts; `sources` says how many there are."""
    rows = ask("health_tokens")
    attempts = sum(row["attempts"] for row in rows)
    if not attempts:
        names = ["suspected duplicates", "calls in two sources", *(name for name, _, _ in _TOKENS.values())]
        groups = ["duplicates"] * 2 + ["tokens"] * len(_TOKENS)
        return [nothing(*pair, "No attempts in these days.") for pair in zip(names, groups, strict=True)]
    twice = ask("health_two_sources") if sources > 1 else []
    return [
        _doubles(ask("health_doubles"), attempts),
        _twice(twice, attempts),
        *(_tokens(key, rows, attempts) for key in _TOKENS),
    ]


def _doubles(rows: list[dict[str, Any]], attempts: int) -> Check:
    found, usd = sum(row["doubles"] for row in rows), sum(row["cost_usd"] or 0.0 for row in rows)
    words = "Under different ids: the same prompt at the same endpoint, begun within a millisecond."
    if found:
        words = f"{found:,} attempts, {formats.money(usd)}, in {listed([row['name'] for row in rows], 2)}. {words}"
    return Check(
        name="suspected duplicates",
        group="duplicates",
        value=formats.count(found),
        verdict=graded(found / attempts, 0.0, _DOUBLE_BAD),
        meaning=words,
        action="Look whether two callbacks log each call; give the mapping an id that both share." if found else "",
        threshold="look: any; bad: over 1 % of attempts",
    )


def _twice(rows: list[dict[str, Any]], attempts: int) -> Check:
    found, usd = sum(row["calls"] for row in rows), sum(row["cost_usd"] or 0.0 for row in rows)
    words = "No response of a provider is in two sources."
    if rows:
        pair = f"{formats.visible(rows[0]['name'])} and {formats.visible(rows[0]['other'])}"
        words = f"{found:,} responses, {formats.money(usd)}, are in two sources, most in {pair}: counted twice."
    return Check(
        name="calls in two sources",
        group="duplicates",
        value=formats.count(found),
        verdict=graded(found / attempts, 0.0, _DOUBLE_BAD),
        meaning=words,
        action="Ingest each call from one source only: the gateway's own log knows most." if found else "",
        threshold="look: any; bad: over 1 % of attempts",
    )


def _tokens(key: str, rows: list[dict[str, Any]], attempts: int) -> Check:
    name, meaning, action = _TOKENS[key]
    found = sum(row[key] for row in rows)
    where = listed([row["name"] for row in rows if row[key]], 3)
    return Check(
        name=name,
        group="tokens",
        value=formats.count(found),
        verdict=graded(found / attempts, 0.0, _BAD),
        meaning=f"{formats.count(found)} {meaning}" + (f" In {where}." if found else ""),
        action=action if found else "",
        threshold=_THRESHOLD,
    )
