"""Whether labels come in, in time, for the requests they belong to."""

from __future__ import annotations

from typing import Any, Final

from fairlead.reports import formats
from fairlead.reports.health import alignment
from fairlead.reports.health.alignment import Part, Verdict
from fairlead.reports.health.check import Check, graded, nothing
from fairlead.reports.queries import Ask

__all__ = ["checks"]

_GROUP: Final = "feedback"
_ENOUGH: Final = 0.05
_LOST_OK, _LOST_BAD = 0.05, 0.5
_LATE_OK, _LATE_BAD = 0.1, 0.5
_UNRELATED_ROWS: Final = 500


def checks(ask: Ask) -> list[Check]:
    """Check the labels of the window's requests."""
    return [_coverage(ask.one("feedback_coverage")), _lost(ask), _late(ask), _aligned(ask)]


def _coverage(coverage: dict[str, Any]) -> Check:
    if not coverage["mature"]:
        why = "No request of these days is old enough for all its feedback to be in."
        return nothing("feedback coverage", _GROUP, why)
    share = coverage["mature_scored"] / coverage["mature"]
    waiting = coverage["requests"] - coverage["mature"]
    scored, of = formats.count(coverage["mature_scored"]), formats.count(coverage["mature"])
    words = f"{scored} of {of} requests have a label."
    if waiting:
        words += f" {formats.count(waiting)} newer ones may still get theirs: unknown, not bad."
    return Check(
        name="feedback coverage",
        group=_GROUP,
        value=formats.share(share),
        verdict="fine" if share >= _ENOUGH else "look",
        meaning=words,
        action="" if share >= _ENOUGH else "Ingest thumbs, tests or a judge's scores: without them quality is a guess.",
        threshold="look: under 5 % of the requests whose feedback is due",
    )


def _lost(ask: Ask) -> Check:
    rows = [row for row in ask("health_lost_feedback") if row["feedback"]]
    total, lost = sum(row["feedback"] for row in rows), sum(row["lost"] for row in rows)
    if not total:
        return nothing("feedback without a request", _GROUP, "No scored feedback in these days.")
    worst = max(rows, key=lambda row: row["lost"] / row["feedback"])
    worst_share = formats.share(worst["lost"] / worst["feedback"])
    words = f"{lost:,} of {total:,} scores name a request that no log holds."
    if lost:
        words += f" Of {formats.visible(worst['name'])}: {worst_share}."
    return Check(
        name="feedback without a request",
        group=_GROUP,
        value=formats.share(lost / total),
        verdict=graded(lost / total, _LOST_OK, _LOST_BAD),
        meaning=words,
        action="Look which id the evaluator keeps: target_kind and target_id have to be the gateway's." if lost else "",
        threshold="look: over 5 %; bad: over 50 %",
    )


def _late(ask: Ask) -> Check:
    rows = ask("health_lateness")
    total = sum(row["labels"] for row in rows)
    if not total:
        return nothing("late labels", _GROUP, "No label of a request whose time for it has passed.")
    late = sum(row["labels"] * (1 - row["within_maturity"]) for row in rows) / total
    early = sum(row["before_request"] for row in rows)
    words = f"{formats.share(late)} of final labels come after the time that labels are waited for."
    if early:
        words += f" {early:,} are dated before their request."
    return Check(
        name="late labels",
        group=_GROUP,
        value=formats.share(late),
        verdict="look" if early and late <= _LATE_OK else graded(late, _LATE_OK, _LATE_BAD),
        meaning=words,
        action="Raise maturity in [tool.fairlead.feedback]." if late > _LATE_OK else "",
        threshold="look: over 10 %, or any before its request; bad: over 50 %",
    )


def _aligned(ask: Ask) -> Check:
    rows = ask.frame("health_scores")
    found = alignment.suspects(rows) if rows.height else Verdict(parts=[], agreement=None, rows=0)
    if not found.parts:
        why = f"Fewer than {2 * alignment.LEAST} scored answers share a prompt or a route with others."
        return nothing("misaligned labels", _GROUP, why)
    wrong = sorted((part for part in found.parts if part.suspect), key=_certain)
    agreement = found.agreement
    unrelated = agreement is not None and found.rows >= _UNRELATED_ROWS and agreement < alignment.CLEAR / 2
    words = "Scores agree with those of other answers to the same prompt" if agreement is not None else (
        "Scores agree with the mean of their route"
    )  # fmt: skip
    words += f" in each of {len(found.parts):,} parts (endpoints, sources, days)."
    if unrelated:
        words = f"Scores of answers to the same prompt hardly agree at all (correlation {agreement:.2f})."
    if wrong:
        words = "; ".join(map(_words, wrong[:3])) + "."
    return Check(
        name="misaligned labels",
        group=_GROUP,
        value=formats.count(len(wrong)),
        verdict="bad" if wrong and _certain(wrong[0]) < 2 else "look" if wrong or unrelated else "fine",
        meaning=words,
        action="Its scores may belong to other requests, say shifted by a row: compare a few by hand, ingest it anew."
        if wrong or unrelated
        else "",
        threshold="a part agrees no better than its scores shuffled, and by 4 sigma under 30 % of the rest; bad: "
        "a day, a source, or where moving by a row mends it; look: an endpoint, which may be like that",
    )


def _certain(part: Part) -> int:
    """Order suspects: moved by a row, then days and sources, then endpoints, which may just answer unlike others."""
    return 0 if part.shift else 1 if part.kind != "endpoint" else 2


def _words(part: Part) -> str:
    moved = f"; moved by {abs(part.shift)} row(s) they do agree" if part.shift else ""
    return (
        f"{part.kind} {formats.visible(part.name)}: its {part.rows:,} scores agree with others of their "
        f"{part.reference} by {part.agreement:.2f}, the rest by {part.rest:.2f}{moved}"
    )
