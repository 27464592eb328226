"""What another policy would have cost: the candidate and every baseline, with intervals."""

from __future__ import annotations

from typing import Final

from markupsafe import Markup

from fairlead.evaluation.judgement import Judgement, PolicyJudgement, Reading
from fairlead.reports import charts, charts_overlap, formats, headline, tables
from fairlead.reports.judgement import NOTHING, candidate, reading, status_quo_cost_usd, tells
from fairlead.reports.page import Block, Section
from fairlead.reports.palette import ACCENT, Palette

__all__ = ["section"]

_TITLE: Final = "What another policy would have cost"
_ORDER: Final = {"candidate": 0, "baseline": 1, "status_quo": 2}
_CHART_NOTE: Final = (
    "Dot: estimate; line: 95 % interval. Left of zero in the left panel is a loss of money, in the right panel a loss "
    "of quality. Coloured: the trained policy; grey: simple rules to hold it against."
)
_SUPPORT_NOTE: Final = (
    "Effective sample: how many requests of the policy's own the log is worth. Heaviest request: the share of the "
    "answer that hangs on one single request. Where the logs cannot tell, no figure is shown at all."
)

_DAILY_NOTE: Final = (
    "These intervals are wider than the others, since they hold on all days at once: look every day, and act on "
    "the day on which one no longer holds zero."
)
_SEEN_NOTE: Final = (
    "Left of the dashed line the log counts for fewer than 100 requests of the policy's own, and no interval is shown; "
    "a hollow dot is a policy that the logs cannot tell of, for this or another reason."
)
_OVERLAP_NOTE: Final = (
    "A request's weight says how many of the policy's own it stands for; where a few heavy requests hold most of the "
    "answer, the blue bars stand far to the right. The number beside an endpoint is its effective sample: a large "
    "wanted share with a small number is where exploration has to go."
)


def section(judgement: Judgement | None, palette: Palette) -> Section:
    """Show the last judgement: savings against what was run, quality beside it, and how far the logs support it."""
    if judgement is None:
        return Section("savings", _TITLE, "No policy has been judged yet; “fairlead judge” does it.")
    policies = sorted(judgement.policies, key=lambda policy: _ORDER.get(policy.kind, 1))
    valued = [policy for policy in policies if tells(policy)]
    drawn = [policy for policy in valued if policy.savings_share and policy.savings_share.value is not None]
    held = [one for one in valued if one.candidate_savings_share and one.candidate_savings_share.low is not None]
    blocks = [
        Block(_table(valued, judgement), "Cost and quality of each policy, with 95 % intervals", wide=True),
        *([Block(_duels(held), "The trained policy in place of each, paired", wide=True)] if held else []),
        *_daily(judgement),
        Block(_support(policies), "Can the logs tell?", _SUPPORT_NOTE, wide=True),
        *_seen(policies, judgement),
        Block(_choices(policies, palette), "Where each policy would have sent the requests", wide=True),
    ]
    if drawn:
        blocks.insert(
            0, Block(charts.savings([_row(policy) for policy in drawn]), "Against what you ran", _CHART_NOTE, True)
        )
    return Section("savings", _TITLE, _lead(judgement), blocks)


def _lead(judgement: Judgement) -> str:
    chosen, other = candidate(judgement), headline.rival(judgement)
    said = "No simple rule in this comparison saves money without a measurable loss of quality."
    if chosen is None or not tells(chosen):
        said = headline.verdict(judgement).sentence
    elif other:
        said = other.sentence
    return f"{said} {headline.picked(judgement)}".rstrip()


def _row(policy: PolicyJudgement) -> dict[str, str | float | None]:
    row: dict[str, str | float | None] = {
        "name": headline.policy_label(policy.name, policy.kind),
        "is_candidate": policy.kind == "candidate",
    }
    for prefix, estimate in (("", policy.savings_share), ("q_", policy.quality_change)):
        made = estimate or NOTHING
        for end, value in (("value", made.value), ("low", made.low), ("high", made.high)):
            row[prefix + end] = None if value is None else 100 * value
    return row


def _table(policies: list[PolicyJudgement], judgement: Judgement) -> Markup:
    paid = status_quo_cost_usd(judgement)
    costs = [_times(reading(policy, "cost_usd"), 1000) for policy in policies]
    places = formats.decimals(cost.value for cost in costs)
    saved = [_times(policy.savings_share, 100) for policy in policies]
    in_all = [None if paid is None or one.value is None else paid * one.value / 100 for one in saved]
    quality = [_times(reading(policy, "quality"), 100) for policy in policies]
    change = [_times(policy.quality_change, 100) for policy in policies]
    return tables.table(
        "policies",
        [
            _labels(policies),
            tables.estimates("per 1,000 requests", costs, lambda value: formats.money(value, places), places),
            tables.estimates("saved, %", saved, formats.signed),
            tables.numbers(
                f"on {judgement.requests:,} requests",
                in_all,
                lambda value: formats.money(value) if value is not None else "–",
            ),
            tables.estimates("quality", quality, lambda value: formats.plain(value, 1)),
            tables.estimates("change, points", change, formats.signed),
        ],
    )


def _duels(policies: list[PolicyJudgement]) -> Markup:
    """The trained policy in the place of each other one, paired on the same requests."""
    saved = [_times(policy.candidate_savings_share, 100) for policy in policies]
    change = [_times(policy.candidate_quality_change, 100) for policy in policies]
    return tables.table(
        "duels",
        [
            _labels(policies),
            tables.estimates("would save, %", saved, formats.signed),
            tables.estimates("change of quality, points", change, formats.signed),
        ],
    )


def _daily(judgement: Judgement) -> list[Block]:
    """What all days since the snapshot say of the trained policy."""
    kept = judgement.daily
    if kept is None:
        return []
    made = tables.table(
        "daily",
        [
            tables.texts("since", [formats.day(kept.since)]),
            tables.numbers("days", [float(kept.days)]),
            tables.estimates("change of quality, points", [_times(kept.quality_change, 100)], formats.signed),
            tables.estimates("change of cost, $ per 1,000", [_times(kept.cost_change_usd, 1000)], _dollars, 3),
        ],
    )
    return [Block(made, "The trained policy, kept from day to day", _DAILY_NOTE, wide=True)]


def _dollars(value: float | None) -> str:
    return formats.NO_DATA if value is None else f"{value:+.3f}".replace("-", "−")


def _support(policies: list[PolicyJudgement]) -> Markup:
    words = []
    for policy in policies:
        told = policy.verdict if tells(policy) else "cannot tell"
        words.append("; ".join([told, *(reason.rstrip(".") for reason in policy.reasons)]))
    return tables.table(
        "support",
        [
            _labels(policies),
            tables.numbers("effective sample", [policy.ess for policy in policies]),
            tables.numbers(
                "heaviest request", [policy.max_weight_share for policy in policies], lambda x: formats.share(x, 1)
            ),
            tables.texts("the logs", words, 400),
        ],
    )


def _seen(policies: list[PolicyJudgement], judgement: Judgement) -> list[Block]:
    """The verdicts as pictures: how much of each policy the log has seen, and of the candidate which part."""
    rows = [
        {
            "name": headline.policy_label(policy.name, policy.kind),
            "ess": policy.ess,
            "told": policy.verdict != "cannot tell",
            "is_candidate": policy.kind == "candidate",
        }
        for policy in policies
        if policy.kind != "status_quo"
    ]
    chosen = candidate(judgement)
    blocks = []
    if rows:
        blocks.append(
            Block(charts_overlap.effective(rows), "How much of each policy the logs have seen", _SEEN_NOTE, True)
        )
    if chosen is not None and chosen.overlap and chosen.weights:
        drawn = charts_overlap.overlap(chosen.weights, chosen.overlap)
        blocks.append(Block(drawn, "Which part of the trained policy the logs have seen", _OVERLAP_NOTE, wide=True))
    return blocks


def _choices(policies: list[PolicyJudgement], palette: Palette) -> Markup:
    stacks = [sorted(policy.endpoint_shares.items(), key=lambda pair: -pair[1]) for policy in policies]
    seen = {name for stack in stacks for name, _ in stack}
    return tables.table(
        "choices",
        [
            _labels(policies),
            tables.stacks(
                "share of requests",
                [[(name, size, palette.endpoint(name)) for name, size in stack] for stack in stacks],
            ),
        ],
    ) + tables.legend([(name, colour) for name, colour in palette.endpoints.items() if name in seen])


def _labels(policies: list[PolicyJudgement]) -> tables.Column:
    colours = [ACCENT if policy.kind == "candidate" else "#7d8894" for policy in policies]
    return tables.names("policy", [headline.policy_label(policy.name, policy.kind) for policy in policies], colours)


def _times(estimate: Reading | None, factor: float) -> Reading:
    if estimate is None or estimate.value is None:
        return NOTHING
    ends = [None if end is None else end * factor for end in (estimate.low, estimate.high)]
    return Reading(estimate.value * factor, ends[0], ends[1])
