"""How each figure is made, in plain words: the small print of the page."""

from __future__ import annotations

from fairlead.evaluation.judgement import Judgement
from fairlead.reports import formats
from fairlead.reports.queries import TOP, Ask

__all__ = ["notes"]


def notes(ask: Ask, judgement: Judgement | None) -> list[tuple[str, str]]:
    """Give what is said of each figure, as pairs of name and explanation."""
    return [
        ("Days", f"{_window(ask)} All days and times are UTC."),
        (
            "Money",
            "US dollars. The cost of an attempt is recomputed from its tokens and the list or contract price in force "
            "at its start; where no price is known, the cost the gateway reported stands in; where neither is, the "
            "cost is unknown and in no sum. Failed and repeated attempts count: they were paid for.",
        ),
        ("Names", f"The {TOP} largest of anything are shown, the rest are summed up as “other”."),
        ("Policies", _judged(judgement)),
        (
            "Savings",
            "One minus what the policy would have cost, divided by what was paid for the same requests. Estimated "
            "doubly robustly: predicted cost and quality of each endpoint, corrected by what happened, each request "
            "weighted by the probability with which its endpoint was chosen. Negative savings are a loss, and are "
            "shown as one. “Random at the same cost” spends what the trained policy spends, but chooses blindly: what "
            "the policy gains over it is what it knows.",
        ),
        (
            "Intervals",
            "All intervals are 95 %. For policies they come from the same requests for both sides of a comparison; for "
            "average quality they are Wilson intervals, which are a little too wide for graded scores.",
        ),
        (
            "No measurable loss",
            "The interval of the change in quality holds zero and reaches no more than two points below it.",
        ),
        (
            "Quality",
            "Every kind of feedback, scaled to 0 to 100; of each evaluator the newest word; their weighted mean per "
            "request, people and tests before judging models before what was merely done; then the mean over "
            "requests. Feedback on a whole conversation is left out, and so is what was preferred to what. A request "
            "counts for the endpoint that answered it. A label that is missing is unknown, not bad.",
        ),
        ("Latency", "Exact quantiles over successful attempts, as the gateway measured them."),
    ]


def _window(ask: Ask) -> str:
    return (
        f"{formats.day(ask.first_day)} to {formats.day(ask.last_day)}: up to 30 days, the last of them that of the "
        "newest attempt, which may be incomplete."
    )


def _judged(judgement: Judgement | None) -> str:
    if judgement is None:
        return "No judgement has been made yet."
    window = judgement.window
    together = f" {judgement.clusters}." if judgement.clusters else ""
    return (
        f"Judged {formats.moment(judgement.judged_at)} on {formats.count(judgement.requests)} requests from "
        f"{formats.moment(window.start)} to {formats.moment(window.end)}, which need not be the days of this report. "
        f"What was run and simple rules are judged the same way as the trained policy.{together}"
    )
