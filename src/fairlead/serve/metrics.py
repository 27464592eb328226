"""Counters of one worker, and the text that Prometheus reads."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct, field

from fairlead.scoring.decision import Decision
from fairlead.scoring.outcome import Outcome

__all__ = ["Counts", "Metrics", "added", "text"]

BUCKETS_S: Final = (0.00002, 0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.2)
_MOST: Final = 500  # values of one label; the rest is counted as "other"
_HELP: Final = {
    "fairlead_decisions_total": "Decisions by kind, policy and endpoint.",
    "fairlead_explorations_total": "Decisions that took another than the likeliest endpoint.",
    "fairlead_outcomes_total": "Outcomes told by endpoint and status.",
    "fairlead_http_requests_total": "Answers by path and status.",
    "fairlead_refused_total": "Calls refused by code.",
    "fairlead_spool_records_total": "Records for ingest: kept, or dropped where the disk was full or slow.",
    "fairlead_shadow_total": "Decisions nobody follows, by whether the gateway chose the same.",
    "fairlead_forwarded_total": "Calls forwarded by endpoint and outcome.",
}


class Counts(Struct, kw_only=True):
    """What one worker has counted: by series (name and labels as Prometheus writes them), and decision times."""

    series: dict[str, float] = field(default_factory=dict)
    seconds: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS_S) + 1))
    seconds_sum: float = 0.0


class Metrics:
    """Counts what a worker does; cheap enough for every decision."""

    def __init__(self) -> None:
        self.counts = Counts()
        self._keys: dict[tuple[str, ...], str] = {}

    def add(self, name: str, labels: dict[str, str], more: float = 1) -> None:
        """Count one more."""
        known = (name, *labels.values())
        key = self._keys.get(known)
        if key is None:
            if len(self._keys) >= _MOST * len(_HELP):
                labels = dict.fromkeys(labels, "other")
            key = self._keys[known] = series(name, labels)
        self.counts.series[key] = self.counts.series.get(key, 0) + more

    def decided(self, decisions: Sequence[Decision]) -> None:
        """Count decisions."""
        for one in decisions:
            labels = {"kind": one.kind, "policy": one.policy, "endpoint": one.endpoint or ""}
            self.add("fairlead_decisions_total", labels)
            if one.is_exploration:
                self.add("fairlead_explorations_total", {})
            took_s = one.decided_us / 1e6
            self.counts.seconds[bisect.bisect_left(BUCKETS_S, took_s)] += 1
            self.counts.seconds_sum += took_s

    def observed(self, outcome: Outcome) -> None:
        """Count an outcome."""
        self.add("fairlead_outcomes_total", {"endpoint": outcome.endpoint, "status": outcome.status})


def series(name: str, labels: dict[str, str]) -> str:
    """Give a series as Prometheus writes it.

    >>> series("a_total", {"b": 'c"d'})
    'a_total{b="c\\\\"d"}'
    """
    shown = ",".join(f'{label}="{_escaped(value)}"' for label, value in labels.items())
    return f"{name}{{{shown}}}" if shown else name


def added(all_of: Iterable[Counts]) -> Counts:
    """Add up the counts of several workers."""
    total = Counts()
    for one in all_of:
        for key, value in one.series.items():
            total.series[key] = total.series.get(key, 0) + value
        for at, count in enumerate(one.seconds[: len(total.seconds)]):
            total.seconds[at] += count
        total.seconds_sum += one.seconds_sum
    return total


def text(counts: Counts, gauges: Iterable[tuple[str, str, dict[str, str], float]]) -> bytes:
    """Give the exposition format: counters, the histogram of decision times, and gauges (name, help, labels, value)."""
    lines, last = list[str](), ""
    for key in sorted(counts.series):
        name = key.partition("{")[0]
        if name != last:
            lines += [f"# HELP {name} {_HELP.get(name, name)}", f"# TYPE {name} counter"]
            last = name
        lines.append(f"{key} {counts.series[key]:.17g}")
    name, total = "fairlead_decision_seconds", 0
    lines += [f"# HELP {name} Time that a decision takes, without HTTP.", f"# TYPE {name} histogram"]
    for bound, count in zip([*map(str, BUCKETS_S), "+Inf"], counts.seconds, strict=True):
        total += count
        lines.append(f'{name}_bucket{{le="{bound}"}} {total}')
    lines += [f"{name}_sum {counts.seconds_sum:.17g}", f"{name}_count {total}"]
    for name, help_, labels, value in gauges:
        if name != last:
            lines += [f"# HELP {name} {help_}", f"# TYPE {name} gauge"]
            last = name
        lines.append(f"{series(name, labels)} {value:.17g}")
    return ("\n".join(lines) + "\n").encode()


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
