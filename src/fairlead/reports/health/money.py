"""Whether the money can be trusted: prices that are missing, costs that are not tokens times price, propensities."""

from __future__ import annotations

from typing import Any, Final

from fairlead.evaluation.judgement import Judgement
from fairlead.reports import formats
from fairlead.reports.health.check import Check, Rows, graded, listed, nothing
from fairlead.reports.queries import Ask

__all__ = ["apart", "checks"]

_GROUP: Final = "money"
_MISSING_OK, _MISSING_BAD = 0.01, 0.1
_GAP_OK: Final = 0.02
_SPEND_OK, _SPEND_BAD = 0.01, 0.25
_PROPENSITIES_ENOUGH: Final = 0.95


def checks(ask: Ask, judgement: Judgement | None) -> list[Check]:
    """Check prices, reported costs and logged propensities of the window's attempts."""
    return [_priced(ask.one("health_unpriced")), _gap(ask("health_costs")), _chances(ask.one("totals"), judgement)]


def apart(rows: Rows) -> Rows:
    """Give the models whose reported cost is over 2 % off."""
    return [row for row in rows if (row["gap"] is None and row["reported_usd"]) or (row["gap"] or 0.0) > _GAP_OK]


def _priced(found: dict[str, Any]) -> Check:
    if not found["attempts"]:
        return nothing("unpriced attempts", _GROUP, "No attempt in these days that would need a price.")
    missing = found["unpriced"] / found["attempts"]
    tokens = (found["unpriced_tokens"] or 0) / found["tokens"] if found["tokens"] else 0.0
    words = (
        f"{formats.count(found['unpriced'])} attempts, with {formats.share(tokens)} of all tokens, have no known price "
        "and are in no sum of money."
    )
    return Check(
        name="unpriced attempts",
        group=_GROUP,
        value=formats.share(missing),
        verdict=graded(max(missing, tokens), _MISSING_OK, _MISSING_BAD),
        meaning=words,
        action="Add the models below to data/prices.csv." if missing else "",
        threshold="look: over 1 % of attempts or tokens; bad: over 10 %",
    )


def _gap(rows: Rows) -> Check:
    reported, recomputed = (sum(row[key] for row in rows) for key in ("reported_usd", "recomputed_usd"))
    if not recomputed:
        return nothing("reported cost", _GROUP, "No attempt has both a reported and a recomputed cost.")
    off = apart(rows)
    share = sum(row["share"] or 0.0 for row in off)
    words = f"The gateways reported {formats.money(reported)} where tokens and prices give {formats.money(recomputed)}."
    if off:
        names = listed([row["name"] for row in off])
        words += f" Models that are over 2 % off carry {formats.share(share)} of that: {names}."
    return Check(
        name="reported cost",
        group=_GROUP,
        value=formats.signed_share(reported / recomputed - 1),
        verdict=graded(share, _SPEND_OK, _SPEND_BAD),
        meaning=words,
        action="A discount belongs into data/prices.contract.csv; else the gateway's price list is older or newer."
        if off
        else "",
        threshold="look: models over 2 % off carry over 1 % of spend; bad: over 25 %",
    )


def _chances(totals: dict[str, Any], judgement: Judgement | None) -> Check:
    if not totals["attempts"]:
        return nothing("known propensities", _GROUP, "No attempts in these days.")
    known = totals["with_propensity"] / totals["attempts"]
    words = "Attempts that log with which probability their endpoint was chosen; policies are judged on these alone."
    if judgement is not None and judgement.propensities_share is not None:
        words += f" In the last judgement: {formats.share(judgement.propensities_share)} of requests."
    enough = known >= _PROPENSITIES_ENOUGH
    return Check(
        name="known propensities",
        group="decisions",
        value=formats.share(known),
        verdict="fine" if enough else "look",
        meaning=words,
        action="" if enough else "Have the gateway write the decision's metadata into its log.",
        threshold="look: under 95 %",
    )
