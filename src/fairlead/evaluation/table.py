"""A judgement as plain text: one line a policy, the verdict below."""

from __future__ import annotations

from typing import Final

from fairlead.evaluation.judgement import Judgement, Metric, PolicyJudgement, Reading

__all__ = ["render"]

_ESTIMATORS: Final = ("dr", "snips", "ips", "dm")  # the first one there is, is shown
_HEADER: Final = ("policy", "quality", "cost USD/1k", "saves", "quality change", "ESS", "logs")


def render(judgement: Judgement) -> str:
    """Lay the judgement out in fixed-width columns for a terminal: 95 % intervals in brackets, no colours.

    Cost is USD for 1,000 requests; savings and quality change are against the status quo, in per cent and points.
    """
    rows = [_HEADER, *(_row(policy, judgement.candidate) for policy in judgement.policies)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADER))]
    lines = [_line(row, widths) for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    window = f"{judgement.window.start:%Y-%m-%d} to {judgement.window.end:%Y-%m-%d}"
    share = f"propensity known for {judgement.propensities_share:.1%}"
    above = f"{judgement.requests:,} requests, {window}, {share}"
    below = [
        *_verdicts(judgement),
        *_pick(judgement),
        *_daily(judgement),
        *_net(judgement),
        *_plan(judgement),
        *([f"{judgement.clusters}."] if judgement.clusters else []),
        *([judgement.feedback + "."] if judgement.feedback else []),
    ]
    return "\n".join([above, "", *lines, "", *below]).rstrip()


def _row(policy: PolicyJudgement, candidate: str) -> tuple[str, ...]:
    return (
        f"{policy.name}{' *' if policy.name == candidate else ''}",
        _cell(_shown(policy.metrics.get("quality")), 1, 3),
        _cell(_shown(policy.metrics.get("cost_usd")), 1000, 3),
        _cell(policy.savings_share, 100, 0, " %"),
        _cell(policy.quality_change, 100, 1, " pt"),
        f"{policy.ess:,.0f}",
        policy.verdict,
    )


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    """Names to the left, numbers to the right."""
    cells = [
        text.ljust(width) if column in {0, len(row) - 1} else text.rjust(width)
        for column, (text, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()


def _shown(metric: Metric | None) -> Reading | None:
    if metric is None:
        return None
    readings = (getattr(metric, name) for name in _ESTIMATORS)
    return next((reading for reading in readings if reading is not None), None)


def _cell(reading: Reading | None, scale: float, digits: int, unit: str = "") -> str:
    if reading is None or reading.value is None:
        return "-"
    value = f"{reading.value * scale:.{digits}f}{unit}"
    if reading.low is None or reading.high is None:
        return f"{value} [?]"
    return f"{value} [{reading.low * scale:.{digits}f}, {reading.high * scale:.{digits}f}]"


def _net(judgement: Judgement) -> list[str]:
    """What is left of the candidate's savings once everything beside the calls is paid."""
    own = next((one.overheads for one in judgement.policies if one.name == judgement.candidate and one.overheads), None)
    if own is None or own.net_savings_usd is None or own.gross_savings_usd is None:
        return []
    parts = {"judges": own.judges_usd, "shadow": own.shadow_usd, "router": own.router_usd, "cold": own.cold_caches_usd}
    told = ", ".join(f"{name} {usd:,.2f}" for name, usd in parts.items())
    return [
        f"Net of {told} USD, {own.net_savings_usd:,.2f} of {own.gross_savings_usd:,.2f} USD are saved in this window."
    ]


def _plan(judgement: Judgement) -> list[str]:
    """What would make the logs tell of the candidate, the cheapest way first."""
    if not judgement.plan:
        return []
    lines = [f"What would make them tell of {judgement.candidate}, each choice drawn with its chance logged:"]
    for way in judgement.plan:
        days = "" if way.days is None else f", {way.days:,.1f} days"
        usd = "" if way.extra_usd is None else f", {way.extra_usd:+,.2f} USD in all"
        quality = "" if way.quality_change is None else f", quality {100 * way.quality_change:+.2f} pt meanwhile"
        among = f"among {', '.join(way.endpoints[:4])}{' and more' if len(way.endpoints) > 4 else ''}"
        lines.append(
            f"  {way.kind:<9} {way.share:>4.0%} of traffic {among}: {way.requests:,} requests{days}{usd}{quality}"
        )
    return lines


def _pick(judgement: Judgement) -> list[str]:
    """Which policy to take by quality, or that the logs cannot tell."""
    if judgement.pick is None:
        return []
    why = judgement.pick.why
    return [f"Pick: {why}." if judgement.pick.policy else f"No pick: {why}."]


def _daily(judgement: Judgement) -> list[str]:
    """What all days since the snapshot say, to be looked at every day."""
    kept = judgement.daily
    if kept is None:
        return []
    quality, cost = _cell(kept.quality_change, 100, 1, " pt"), _cell(kept.cost_change_usd, 1000, 3, " USD/1k")
    return [
        f"Kept from day to day, {kept.days} since {kept.since}, to be looked at daily: quality {quality}, cost {cost}."
    ]


def _verdicts(judgement: Judgement) -> list[str]:
    """Why the logs cannot tell, where they cannot, and what the marks mean."""
    silent = [policy for policy in judgement.policies if policy.verdict == "cannot tell"]
    lines = [f"Your logs cannot tell about {policy.name}: {'; '.join(policy.reasons)}." for policy in silent]
    if any(policy.name == judgement.candidate for policy in judgement.policies):
        lines.append("* the candidate.")
    if silent:
        lines.append("[?] no interval: a value shown without one is not evidence.")
    return lines
