"""Counters of one worker, and the text that Prometheus reads."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct, field, json

from fairlead.scoring.decision import Decision
from fairlead.scoring.outcome import Outcome

__all__ = ["Counts", "Metrics", "added", "text"]

BUCKETS_S: Final = (0.00002, 0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.2)
_MOST: Final = 2000  # series; what is new beyond them is counted as "other"
# Name: labels, what it counts.
_COUNTERS: Final = {
    "fairlead_decisions_total": (("kind", "policy", "endpoint"), "Decisions by kind, policy and endpoint."),
    "fairlead_explorations_total": ((), "Decisions that took another than the likeliest endpoint."),
    "fairlead_outcomes_total": (("endpoint", "status"), "Outcomes told by endpoint and status."),
    "fairlead_http_requests_total": (("path", "status"), "Answers by path and status."),
    "fairlead_refused_total": (("code",), "Calls refused by code."),
    "fairlead_guard_events_total": (("event",), "Refusals of keys by reason, alerts by kind, files of keys."),
    "fairlead_spool_records_total": (
        ("outcome",),
        "Records for ingest: kept, or dropped where the disk was full or slow.",
    ),
    "fairlead_shadow_total": (("agreed",), "Decisions nobody follows, by whether the gateway chose the same."),
    "fairlead_forwarded_total": (("endpoint", "status"), "Calls forwarded by endpoint and outcome."),
}


class Counts(Struct, kw_only=True):
    """What one worker has counted: how often for each name and labels, and decision times."""

    seen: dict[tuple[str, ...], float] = field(default_factory=dict)
    seconds: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS_S) + 1))
    seconds_sum: float = 0.0

    def to_json(self) -> bytes:
        """Give it as JSON."""
        return json.encode((list(self.seen.items()), self.seconds, self.seconds_sum))

    @classmethod
    def from_json(cls, data: bytes) -> Counts:
        """Read what `to_json` gave."""
        seen, seconds, total = json.decode(data, type=tuple[list[tuple[tuple[str, ...], float]], list[int], float])
        return cls(seen=dict(seen), seconds=seconds, seconds_sum=total)


class Metrics:
    """Counts what a worker does; cheap enough for every decision. Labels that callers choose are bounded."""

    def __init__(self) -> None:
        self.counts = Counts()

    def add(self, *key: str, more: float = 1) -> None:
        """Count one more: the counter's name, and the values of its labels."""
        seen = self.counts.seen
        if key in seen:
            seen[key] += more
            return
        if len(seen) >= _MOST:
            key = (key[0], *["other"] * (len(key) - 1))
        seen[key] = seen.get(key, 0) + more

    def decided(self, decisions: Sequence[Decision]) -> None:
        """Count decisions."""
        counts = self.counts
        for one in decisions:
            self.add("fairlead_decisions_total", one.kind, one.policy, one.endpoint or "")
            if one.is_exploration:
                self.add("fairlead_explorations_total")
            took_s = one.decided_us / 1e6
            counts.seconds[bisect.bisect_left(BUCKETS_S, took_s)] += 1
            counts.seconds_sum += took_s

    def observed(self, outcome: Outcome) -> None:
        """Count an outcome."""
        self.add("fairlead_outcomes_total", outcome.endpoint, outcome.status)


def series(name: str, labels: Iterable[tuple[str, str]]) -> str:
    """Give a series as Prometheus writes it.

    >>> series("a_total", [("b", 'c"d')])
    'a_total{b="c\\\\"d"}'
    """
    shown = ",".join(f'{label}="{_escaped(value)}"' for label, value in labels)
    return f"{name}{{{shown}}}" if shown else name


def added(all_of: Iterable[Counts]) -> Counts:
    """Add up the counts of several workers."""
    total = Counts()
    for one in all_of:
        for key, value in list(one.seen.items()):
            total.seen[key] = total.seen.get(key, 0) + value
        for at, count in enumerate(one.seconds[: len(total.seconds)]):
            total.seconds[at] += count
        total.seconds_sum += one.seconds_sum
    return total


def text(counts: Counts, gauges: Iterable[tuple[str, str, dict[str, str], float]]) -> bytes:
    """Give the exposition format: counters, the histogram of decision times, and gauges (name, help, labels, value)."""
    lines, last = list[str](), ""
    for key in sorted(counts.seen):
        name = key[0]
        labels, help_ = _COUNTERS[name]
        if name != last:
            lines += [f"# HELP {name} {help_}", f"# TYPE {name} counter"]
            last = name
        lines.append(f"{series(name, zip(labels, key[1:], strict=True))} {counts.seen[key]:.17g}")
    name, total = "fairlead_decision_seconds", 0
    lines += [f"# HELP {name} Time that a decision takes, without HTTP.", f"# TYPE {name} histogram"]
    for bound, count in zip([*map(str, BUCKETS_S), "+Inf"], counts.seconds, strict=True):
        total += count
        lines.append(f'{name}_bucket{{le="{bound}"}} {total}')
    lines += [f"{name}_sum {counts.seconds_sum:.17g}", f"{name}_count {total}"]
    for name, help_, own, value in gauges:
        if name != last:
            lines += [f"# HELP {name} {help_}", f"# TYPE {name} gauge"]
            last = name
        lines.append(f"{series(name, own.items())} {value:.17g}")
    return ("\n".join(lines) + "\n").encode()


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
