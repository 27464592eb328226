"""The gates on data: enough rows, all of them accounted for, recent, and not the candidate's own doing."""

from __future__ import annotations

import datetime
from typing import Final

import polars as pl

from fairlead import store
from fairlead.evaluation.gates.case import Case
from fairlead.evaluation.gates.gate import Gate, held, passed, refused

__all__ = ["gates"]

LEAST_LABELS: Final = 200
LEAST_REQUESTS: Final = 200
UNREADABLE: Final = 0.01
STALE_DAYS: Final = 30
OWN: Final = 0.01


def gates(case: Case) -> list[Gate]:
    """Ask every gate on data."""
    return [_labels(case), _requests(case), _accounted(case), _recent(case), _own(case)]


def _labels(case: Case) -> Gate:
    told = case.candidate.snapshot.manifest.lineage.get("labels")
    if told is None:
        return held("labels", "the snapshot does not say how many labels it learned from", "publish it again")
    said = f"learned quality from {int(told):,} labels; {LEAST_LABELS} are needed"
    if int(told) < LEAST_LABELS:
        return refused("labels", said, "ingest more feedback, and train again")
    return passed("labels", said)


def _requests(case: Case) -> Gate:
    count = int(case.usable("quality").sum())
    said = f"{count:,} fresh requests have both a propensity and a label; {LEAST_REQUESTS} are needed"
    if count < LEAST_REQUESTS:
        return held("fresh requests", said, "wait for newer traffic, or train with a larger --holdout")
    return passed("fresh requests", said)


def _accounted(case: Case) -> Gate:
    counts = [count for _, count in store.open_lake(case.project.lake).sources()]
    read, unread = sum(one.read for one in counts), sum(one.quarantined for one in counts)
    lost = read - sum(one.stored + one.duplicates + one.quarantined for one in counts)
    said = f"{read:,} records read, {unread:,} could not be read, {lost:,} unaccounted for"
    if lost:
        return refused("records", f"{said}; none may be", "look at `fairlead report`, section health, and ingest anew")
    if unread > UNREADABLE * read:
        return held("records", f"{said}; at most {UNREADABLE:.0%} may be unread", "look at the quarantine, ingest anew")
    return passed("records", said)


def _recent(case: Case) -> Gate:
    until = datetime.datetime.fromisoformat(case.candidate.snapshot.manifest.lineage["trained_until"])
    days = (case.log.end - until).total_seconds() / 86_400
    said = f"trained on traffic until {days:.1f} days before the newest; at most {STALE_DAYS}"
    return held("recent", said, "train again") if days > STALE_DAYS else passed("recent", said)


def _own(case: Case) -> Gate:
    """What a canary chose is not a fair sample for what chose it: it learns to agree with itself."""
    lineage = case.candidate.snapshot.manifest.lineage
    until = datetime.datetime.fromisoformat(lineage["trained_until"])
    learned = case.joined.rows.filter(pl.col("start_time") <= until)
    version = f"{case.candidate.snapshot.manifest.version}+"
    own = learned.filter(pl.col("policy_version").str.starts_with(version).fill_null(False))
    share = own.height / max(learned.height, 1)
    said = (
        f"{own.height:,} of {learned.height:,} attempts it learned from were decided by a snapshot of its own version"
    )
    if share > OWN:
        return refused(
            "own decisions", f"{said}; at most {OWN:.0%}", "train without the candidate's own canary traffic"
        )
    return passed("own decisions", said)
