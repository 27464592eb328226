"""The six numbers at the top of the page."""

from __future__ import annotations

from typing import Any

from fairlead.evaluation.judgement import Judgement
from fairlead.reports import formats, headline
from fairlead.reports.judgement import candidate, tells
from fairlead.reports.page import KeyFigure
from fairlead.reports.queries import Ask

__all__ = ["figures"]


def figures(
    ask: Ask, totals: dict[str, Any], earlier: dict[str, Any] | None, judgement: Judgement | None
) -> list[KeyFigure]:
    """Give spend, requests, cost a thousand requests, failures, speed and quality, and what could be saved."""
    retries, coverage = ask.one("retries"), ask.one("feedback_coverage")
    requests = totals["requests"]
    failed = retries["failed"] / retries["requests"] if retries["requests"] else None
    return [
        KeyFigure(
            "spend",
            formats.money(totals["cost_usd"]),
            _change(ask, totals["cost_usd"], earlier["cost_usd"] if earlier else None),
        ),
        KeyFigure(
            "requests",
            formats.short(requests) if requests else formats.NO_DATA,
            _change(ask, requests, earlier["requests"] if earlier else None),
        ),
        KeyFigure(
            "per 1,000 requests",
            formats.money(_per_thousand(totals)),
            _change(ask, _per_thousand(totals), _per_thousand(earlier)),
        ),
        _saved(judgement),
        KeyFigure("quality", formats.score(coverage["quality"]), _scored(coverage)),
        KeyFigure("failed requests", formats.share(failed), "after every retry" if failed is not None else ""),
    ]


def _saved(judgement: Judgement | None) -> KeyFigure:
    policy = candidate(judgement) if judgement else None
    if policy is None:
        return KeyFigure("could be saved", formats.NO_DATA, "no policy judged yet")
    saved = policy.savings_share
    if saved is None or not tells(policy):
        return KeyFigure("could be saved", "cannot tell", "the logs do not say")
    _, tone = headline.savings_words(saved)
    if saved.value is not None and saved.value < 0:
        loss = formats.bracket(None if saved.high is None else -saved.high, None if saved.low is None else -saved.low)
        return KeyFigure(
            "would be lost", formats.share(-saved.value), f"{loss} % more cost", "bad" if tone == "bad" else ""
        )
    span = formats.bracket(saved.low, saved.high)
    return KeyFigure(
        "could be saved", formats.share(saved.value), f"{span} % of cost", "good" if tone == "good" else ""
    )


def _scored(coverage: dict[str, Any]) -> str:
    if not coverage["scored"]:
        return "no feedback came in"
    return f"of 100, on {formats.share(coverage['scored'] / coverage['requests'])} of requests"


def _per_thousand(totals: dict[str, Any] | None) -> float | None:
    if totals is None or not totals["requests"] or totals["cost_usd"] is None:
        return None
    return 1000 * float(totals["cost_usd"]) / int(totals["requests"])


def _change(ask: Ask, now: float | None, before: float | None) -> str:
    return (
        f"{formats.signed_share(now / before - 1)} on the {ask.days} days before" if before and now is not None else ""
    )
