"""The sentence at the top: what was spent, and what the last judgement says a policy would have changed.

Savings below zero are called a loss, an interval around zero is called no difference, and logs that cannot tell
are said to be that: nothing here turns a wish into a finding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from fairlead.evaluation.judgement import Judgement, PolicyJudgement, Reading
from fairlead.evaluation.pick import words
from fairlead.reports import formats
from fairlead.reports.judgement import MARGIN, candidate, keeps_quality, status_quo_cost_usd, tells
from fairlead.reports.queries import Ask

__all__ = [
    "Rival",
    "Verdict",
    "picked",
    "policy_label",
    "quality_words",
    "rival",
    "savings_words",
    "spent",
    "trend",
    "verdict",
]

_LEVEL: Final = 0.005  # savings closer than this are called the same
_BRACKETS: Final = "Brackets hold 95 % intervals."
_LABELS: Final = {
    "status_quo": "what you ran",
    "best_single": "best single endpoint",
    "category_table": "best endpoint per category",
    "all_cheap": "always the cheapest",
    "cheapest_feasible": "the cheapest that may take it",
    "cheapest": "always the cheapest",
    "cost_matched_random": "random at the same cost",
}
Tone = Literal["good", "bad", "unknown", "even"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """A judgement in a sentence, how it should look, and what else needs saying."""

    sentence: str
    tone: Tone
    details: list[str]


@dataclass(frozen=True, slots=True)
class Rival:
    """The simple rule to beat: its name, what it saves, and whether that is as much as the trained policy saves."""

    label: str
    saves: str
    saves_as_much: bool

    @property
    def sentence(self) -> str:
        """Say it."""
        tail = " The trained policy saves no more than that." if self.saves_as_much else ""
        return (
            f"Of the simple rules without a measurable loss of quality, “{self.label}” saves most: {self.saves}.{tail}"
        )


def spent(totals: dict[str, Any], ask: Ask) -> str:
    """Say what the window cost."""
    if not totals["attempts"]:
        return "No data: nothing has been ingested for these days."
    days = (
        f"On {formats.day(ask.last_day)}" if ask.days == 1 else f"In the {ask.days} days to {formats.day(ask.last_day)}"
    )
    requests = f"{formats.count(totals['requests'])} requests"
    if totals["cost_usd"] is None:
        return f"{days} there were {requests}, none with a known price."
    return f"{days} you spent {formats.money(totals['cost_usd'])} on {requests}."


def trend(totals: dict[str, Any], earlier: dict[str, Any] | None, ask: Ask) -> list[str]:
    """Say how spend moved against the days before, where there are any."""
    now, before = totals["cost_usd"], earlier["cost_usd"] if earlier else None
    if not before or now is None:
        return []
    change = f"{formats.share(abs(now / before - 1))} {'more' if now >= before else 'less'}"
    return [f"That is {change} than the {formats.money(before)} of the {ask.days} days before."]


def verdict(judgement: Judgement | None) -> Verdict:
    """Say what the last judgement found."""
    if judgement is None:
        hint = "“fairlead judge” says what another policy would have cost."
        return Verdict("No policy has been judged yet.", "unknown", [hint])
    policy = candidate(judgement)
    if policy is None:
        return Verdict("The last judgement holds no candidate policy.", "unknown", [])
    saved = policy.savings_share
    if not tells(policy) or saved is None:
        return Verdict(_cannot_tell(policy), "unknown", [])
    words, tone = savings_words(saved)
    change = policy.quality_change
    sentence = f"A routing policy trained on these logs {words}{quality_words(change, tone)}."
    if tone == "good" and not keeps_quality(change):
        tone = "even"
    other = rival(judgement)
    matched = [other.sentence] if other and other.saves_as_much and tone == "good" else []
    return Verdict(sentence, tone, [_amount(judgement, saved), *matched])


def rival(judgement: Judgement) -> Rival | None:
    """Find the simple rule that saves most without a measurable loss of quality; None when there is none."""
    rules = (policy for policy in judgement.policies if policy.kind == "baseline" and tells(policy))
    saving = [(_value(rule.savings_share), rule) for rule in rules if keeps_quality(rule.quality_change)]
    most, rule = max(saving, key=lambda pair: pair[0], default=(0.0, None))
    chosen = candidate(judgement)
    if rule is None or most <= 0 or chosen is None:
        return None
    saved = rule.savings_share or Reading(None)
    size = f"{formats.share(saved.value)} {formats.bracket(saved.low, saved.high)}"
    return Rival(policy_label(rule.name), size, most >= _value(chosen.savings_share) - _LEVEL)


def picked(judgement: Judgement) -> str:
    """Say which policy to take by quality, or that the logs cannot tell; nothing where nothing was picked from."""
    if judgement.pick is None:
        return ""
    kinds = {policy.name: policy.kind for policy in judgement.policies}
    said = words(judgement.pick, lambda name: f"“{policy_label(name, kinds.get(name, 'baseline'))}”")
    return f"By quality the judge picks {said}." if judgement.pick.policy else f"By quality the judge {said}."


def policy_label(name: str, kind: str = "baseline") -> str:
    """Name a policy in words.

    >>> policy_label("all_cheap"), policy_label("mine", "candidate")
    ('always the cheapest', 'trained policy (mine)')
    """
    if kind == "candidate":
        return f"trained policy ({formats.visible(name)})"
    return _LABELS.get(name.replace("-", "_"), formats.visible(name))


def savings_words(saved: Reading) -> tuple[str, Tone]:
    """Say a saving with its interval; one below zero is a loss.

    >>> savings_words(Reading(-0.12, -0.2, -0.05))[0]
    'would have cost 12\\u202f% [5, 20] more'
    """
    if saved.value is None or saved.low is None or saved.high is None:
        return "could not be valued", "unknown"
    if saved.high < 0:
        return f"would have cost {formats.share(-saved.value)} {formats.bracket(-saved.high, -saved.low)} more", "bad"
    span = formats.bracket(saved.low, saved.high)
    if saved.low <= 0:
        cost = f"{formats.signed_share(-saved.value)}, saving {span}"
        return f"would have made no measurable difference to cost ({cost})", "even"
    return f"would have saved {formats.share(saved.value)} {span}", "good"


def quality_words(change: Reading | None, tone: Tone = "good") -> str:
    """Say what becomes of quality, as the end of a sentence about cost.

    >>> quality_words(Reading(0.0, -0.01, 0.01)), quality_words(None)
    (', at no measurable loss of quality', '; its effect on quality was not measured')
    """
    if change is None or change.value is None or change.low is None or change.high is None:
        return "; its effect on quality was not measured"
    size = f"{abs(change.value) * 100:.1f} points of 100"
    if change.high < 0:
        joint = "and" if tone == "bad" else "but"
        return f", {joint} lost {size} of quality {formats.bracket(-change.high, -change.low, 100, 1)}"
    if change.low > 0:
        return f", and gained {size} of quality {formats.bracket(change.low, change.high, 100, 1)}"
    if change.low < -MARGIN:
        return f", but a loss of up to {-change.low * 100:.1f} points of 100 in quality cannot be ruled out"
    return ", at no measurable gain of quality" if tone == "bad" else ", at no measurable loss of quality"


def _value(saved: Reading | None) -> float:
    return -1.0 if saved is None or saved.value is None else saved.value


def _cannot_tell(policy: PolicyJudgement) -> str:
    reasons = [formats.visible(reason, 300).rstrip(".") for reason in policy.reasons]
    why = "; ".join(reasons) or "they overlap too little with what it would have done"
    return f"These logs cannot tell what another routing policy would have saved, because {why}."


def _amount(judgement: Judgement, saved: Reading) -> str:
    window = judgement.window
    days = f"{formats.day(window.start.date())} to {formats.day(window.end.date())}"
    over = f"the {formats.count(judgement.requests)} requests judged, {days}"
    paid = status_quo_cost_usd(judgement)
    if paid is None or saved.value is None or saved.low is None or saved.high is None:
        return f"Judged on {over}."
    loss = saved.high < 0
    amount, low, high = (formats.money(paid * (-end if loss else end)) for end in (saved.value, saved.low, saved.high))
    amount += f" [{high}, {low}]" if loss else f" [{low}, {high}]"
    return f"On {over}, that is {'a loss of ' if loss else ''}{amount} of {formats.money(paid)}. {_BRACKETS}"
