"""The gap between a bill and the list cost of the log, as a sum: requests, tokens of each class, prices.

With r = requests billed / requests logged, T and B the tokens of a class logged and billed, P its mean list price in
the log, and C and L the totals billed and recomputed,

    C - L = (r - 1) L  +  sum over classes of (B - r T) P  +  (C - sum of B P)

which holds whatever the numbers are. The sums are exact fractions; the last term takes what rounding leaves. Tokens of
a class that is part of another (cache reads are input, reasoning is output) count for the difference in price, and
their whole for the price of the plain tokens: tokens that moved from one class to another show where they moved to.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from types import SimpleNamespace
from typing import Final

from fairlead.ingest import costs
from fairlead.reports.reconcile.bills import Bill, Logged, classes
from fairlead.reports.reconcile.mistakes import BOTH
from fairlead.reports.reconcile.result import Gap

__all__ = ["UNEXPLAINED", "gaps", "usd"]

UNEXPLAINED: Final = "price: not explained"
_WITHOUT_PRICE: Final = "attempts logged without a list price, and what is not explained"
_UNITS_PER_USD: Final = 10**15
Part = tuple[str, Fraction, Fraction]  # what it is, of how many, and how much it makes in 1e-15 USD

_INPUT: Final = ("cache_read", "cache_creation", "cache_creation_1h", "input_audio", "input_image")
_OUTPUT: Final = ("reasoning", "output_audio", "output_image")
_SAID_BY: Final = {  # which count of the bill tells of a class
    "cache_read": "cache_read_input_tokens",
    "cache_creation": "cache_creation_input_tokens",
    "cache_creation_1h": "cache_creation_1h_input_tokens",
    "input_audio": "input_audio_tokens",
    "input_image": "input_image_tokens",
    "reasoning": "reasoning_output_tokens",
    "output_audio": "output_audio_tokens",
    "output_image": "output_image_tokens",
    "web_search": "web_search_requests",
}
_WORDS: Final = {
    "cache_read": "cache reads",
    "cache_creation": "cache writes",
    "cache_creation_1h": "one-hour cache writes",
    "input_audio": "audio heard",
    "input_image": "images seen",
    "reasoning": "reasoning tokens",
    "output_audio": "audio spoken",
    "output_image": "images drawn",
    "web_search": "web searches",
}
# A bill is rounded to cents here and there; a mistake has to come nearer than this to be named.
_NEAR: Final = _UNITS_PER_USD // 200
_NEAR_SHARE: Final = Fraction(1, 100_000)


def gaps(bill: Bill, log: Logged) -> list[Gap]:
    """Give what the gap between a bill and the log is made of; of the tokens alone where the bill has no dollars."""
    parts: list[Part] = []
    ratio = Fraction(1)
    if bill.requests and log.attempts and bill.requests != log.attempts:
        ratio = Fraction(bill.requests, log.attempts)
        more = bill.requests - log.attempts
        name = "requests billed that no log holds" if more > 0 else "requests logged that the bill does not have"
        parts.append((name, Fraction(more), (ratio - 1) * log.units))
    elif not log.units and bill.units:
        name = "billed, and logged without a list price" if log.attempts else "billed, and nothing logged"
        return [Gap(name=name, usd=usd(bill.units), count=log.attempts or bill.requests)]
    if bill.counts:
        parts += _tokens(bill, log, ratio)
    made = [
        Gap(name=name, usd=usd(round(units)), count=abs(round(more))) for name, more, units in parts if round(units)
    ]
    if bill.units is None:
        return made
    rest = usd(bill.units - log.units) - sum(gap.usd for gap in made)
    return [*made, *_prices(bill, log, rest, bool(made))] if rest else made


def usd(units: int) -> Decimal:
    """Give an amount of 1e-15 USD in dollars, exactly."""
    return Decimal(units).scaleb(-15)


def _tokens(bill: Bill, log: Logged, ratio: Fraction) -> list[Part]:
    """Give the terms of tokens: each side as a whole at its plain price, each class of it at its difference to that."""
    counts = dict(bill.counts)
    billed = costs.counts(SimpleNamespace(**classes(counts)))
    found: list[Part] = []
    for plain, within in (("input", _INPUT), ("output", _OUTPUT)):
        if f"{plain}_tokens" not in counts:
            continue
        told = _told(within, counts)
        # Classes that the bill does not tell apart stay together, at their mean price.
        rest = [plain, *(name for name in within if not any(name in group for group in told))]
        base = _price(log, rest) or _price(log, [plain, *within])
        if base is None:
            continue
        both = (plain, *within)
        whole = sum(billed[name] for name in both) - ratio * sum(log.tokens.get(name, 0) for name in both)
        found.append((_named(f"{plain} tokens", whole), whole, whole * base))
        for group in told:
            price = _price(log, group)
            more = sum(billed[name] for name in group) - ratio * sum(log.tokens.get(name, 0) for name in group)
            if price is not None:
                found.append((_named(_WORDS[group[0]], more), more, more * (price - base)))
    if "web_search_requests" in counts and (fee := _price(log, ["web_search"])) is not None:
        more = billed["web_search"] - ratio * log.tokens.get("web_search", 0)
        found.append((_named("web searches", more), more, more * fee))
    return found


def _told(within: tuple[str, ...], counts: dict[str, int]) -> list[list[str]]:
    """Give the classes that a bill counts; cache writes are of both kinds where it does not tell them apart."""
    told = [[name] for name in within if _SAID_BY[name] in counts]
    if ["cache_creation"] in told and ["cache_creation_1h"] not in told:
        told[told.index(["cache_creation"])].append("cache_creation_1h")
    return told


def _price(log: Logged, names: list[str]) -> Fraction | None:
    tokens = sum(log.priced.get(name, 0) for name in names)
    return Fraction(sum(log.cost.get(name, 0) for name in names), tokens) if tokens else None


def _named(what: str, more: Fraction) -> str:
    return f"{what}: {'more' if more > 0 else 'fewer'} billed than logged"


def _prices(bill: Bill, log: Logged, rest: Decimal, shifted: bool) -> list[Gap]:
    """Name what the prices of the bill have that the list has not, where one mistake gives that very figure."""
    near = max(_NEAR, round(_NEAR_SHARE * abs(bill.units or 0)))
    units = int(rest * _UNITS_PER_USD)
    if abs(units) <= near:
        return [Gap(name="rounding", usd=rest)]
    if log.unpriced:
        return [Gap(name=_WITHOUT_PRICE, usd=rest, count=log.unpriced, known=False)]
    fits = [name for name, change in log.thinkable.items() if abs(change) > near and abs(change - units) <= near]
    if len(fits) > 1 and BOTH in fits:
        fits.remove(BOTH)
    if fits and not shifted:
        return [Gap(name="price: " + " or ".join(fits[:3]), usd=rest, known=len(fits) == 1)]
    if log.reported is not None and not shifted and abs((bill.units or 0) - log.reported) <= near:
        return [Gap(name="price: the bill agrees with what the gateway reported", usd=rest, known=False)]
    return [Gap(name=UNEXPLAINED, usd=rest, known=False)]
