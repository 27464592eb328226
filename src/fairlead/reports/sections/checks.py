"""The checks on the data: what each found, whether it needs a look, and what that means."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from fairlead.evaluation.judgement import Judgement
from fairlead.reports import formats
from fairlead.reports.queries import Ask
from fairlead.store import Counts

__all__ = ["Check", "checks"]

_STALE_H: Final = 48
_FEEDBACK_ENOUGH: Final = 0.05
_MISSING_OK: Final = 0.01
_GAP_OK: Final = 0.02
_PROPENSITIES_ENOUGH: Final = 0.95


@dataclass(frozen=True, slots=True)
class Check:
    """One check; its tone is good, look, or none where there is no data."""

    name: str
    value: str
    tone: Literal["good", "look", "none"]
    reading: str


def checks(
    ask: Ask, loads: list[Counts], span: dict[str, Any], gaps: list[dict[str, Any]], judgement: Judgement | None
) -> list[Check]:
    """Run all checks on the window's data and on what was ever read."""
    totals, coverage = ask.one("totals"), ask.one("feedback_coverage")
    return [
        _freshness(span, ask.now),
        _conservation(loads),
        _quarantine(loads),
        _priced(totals),
        _gap(gaps),
        _propensities(totals, judgement),
        _coverage(coverage),
        *_future(span),
    ]


def _freshness(span: dict[str, Any], now: datetime) -> Check:
    newest = span["newest"]
    if newest is None:
        return Check("freshness", formats.NO_DATA, "none", "Nothing has been ingested.")
    age_h = (now - newest).total_seconds() / 3600
    ingested = f"Last ingested {formats.moment(span['last_ingested'])}."
    value = f"{formats.seconds(max(0.0, age_h * 3600))} old"
    return Check(
        "freshness",
        value,
        "look" if age_h > _STALE_H else "good",
        f"Newest attempt {formats.moment(newest)}. {ingested}",
    )


def _conservation(loads: list[Counts]) -> Check:
    if not loads:
        return Check("conservation", formats.NO_DATA, "none", "No file has been taken in.")
    read, stored = sum(one.read for one in loads), sum(one.stored for one in loads)
    again, bad = sum(one.duplicates for one in loads), sum(one.quarantined for one in loads)
    words = f"{read:,} records in {len(loads):,} files = {stored:,} stored + {again:,} known + {bad:,} quarantined."
    holds = all(one.read == one.stored + one.duplicates + one.quarantined for one in loads)
    return Check("conservation", "holds" if holds else "broken", "good" if holds else "look", words)


def _quarantine(loads: list[Counts]) -> Check:
    read, bad = sum(one.read for one in loads), sum(one.quarantined for one in loads)
    if not read:
        return Check("unreadable lines", formats.NO_DATA, "none", "")
    tone: Literal["good", "look"] = "look" if bad / read > _MISSING_OK else "good"
    return Check("unreadable lines", formats.share(bad / read), tone, f"{bad:,} of {read:,} records are in quarantine.")


def _priced(totals: dict[str, Any]) -> Check:
    if not totals["attempts"]:
        return Check("unpriced attempts", formats.NO_DATA, "none", "")
    missing = totals["unpriced"] / totals["attempts"]
    words = f"{formats.count(totals['unpriced'])} attempts have no known price and are in no sum of money."
    return Check("unpriced attempts", formats.share(missing), "look" if missing > _MISSING_OK else "good", words)


def _gap(gaps: list[dict[str, Any]]) -> Check:
    reported, recomputed = (sum(row[key] for row in gaps) for key in ("reported_usd", "recomputed_usd"))
    if not recomputed:
        return Check("reported cost", formats.NO_DATA, "none", "No attempt has both a reported and a recomputed cost.")
    gap = reported / recomputed - 1
    words = f"The gateways reported {formats.money(reported)} where tokens and prices give {formats.money(recomputed)}."
    return Check("reported cost", formats.signed_share(gap), "look" if abs(gap) > _GAP_OK else "good", words)


def _propensities(totals: dict[str, Any], judgement: Judgement | None) -> Check:
    if not totals["attempts"]:
        return Check("known propensities", formats.NO_DATA, "none", "")
    known = totals["with_propensity"] / totals["attempts"]
    words = "Attempts that log with which probability their endpoint was chosen; policies are judged on these alone."
    if judgement is not None and judgement.propensities_share is not None:
        words += f" In the last judgement: {formats.share(judgement.propensities_share)} of requests."
    return Check("known propensities", formats.share(known), "good" if known >= _PROPENSITIES_ENOUGH else "look", words)


def _coverage(coverage: dict[str, Any]) -> Check:
    if not coverage["requests"]:
        return Check("feedback coverage", formats.NO_DATA, "none", "")
    share = coverage["scored"] / coverage["requests"]
    words = f"{formats.count(coverage['scored'])} of {formats.count(coverage['requests'])} requests have a score."
    return Check("feedback coverage", formats.share(share), "good" if share >= _FEEDBACK_ENOUGH else "look", words)


def _future(span: dict[str, Any]) -> list[Check]:
    if not span["future"]:
        return []
    words = (
        f"{formats.count(span['future'])} attempts are dated more than a day after this report, and are left out of it."
    )
    return [Check("clock", formats.count(span["future"]), "look", words)]
