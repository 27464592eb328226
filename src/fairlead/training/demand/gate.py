"""Whether a new demand predictor replaces the champion, and its card."""

from __future__ import annotations

from fairlead.training.demand import model
from fairlead.training.demand.model import Demand
from fairlead.training.demand.windows import Windows

__all__ = ["card", "judge"]


def judge(candidate: Demand, champion: Demand | None, windows: Windows) -> tuple[bool, str]:
    """Compare both on the windows that the champion has not seen; the candidate saw each one only afterwards."""
    if champion is None:
        return True, "first of its name"
    if champion.series != candidate.series or champion.plan.horizons != candidate.plan.horizons:
        return True, "routes, teams or horizons changed, so the champion answers another question"
    first = windows.place(champion.trained_until) + 1
    ratios = []
    for horizon in candidate.plan.spans():
        if not model.WARM_UP <= first < len(windows.values) - horizon.windows:
            continue
        state = champion.states[horizon.name]
        theirs = model.metrics(
            model.run(windows, horizon, champion.plan.coverage, state=state, since=first), windows, first
        )
        mine = model.metrics(model.run(windows, horizon, candidate.plan.coverage), windows, first)
        ratios += [mine[key] / max(theirs[key], 1e-12) for key in mine if key.endswith(".wape") and key in theirs]
    if not ratios:
        return True, "the same learner with newer traffic, too little of it to compare on"
    ratio = sum(ratios) / len(ratios)
    limit = candidate.plan.gate.at_most
    return ratio <= limit, f"WAPE as a share of the champion's: {ratio:.3f}; at most {limit}"


def card(demand: Demand, reason: str) -> str:
    """Write the model card as Markdown."""
    lines = [
        f"# {demand.plan.name}",
        "",
        f"Gate: {reason}.",
        "",
        "| total of | WAPE | last value | same time before | coverage of the interval |",
        "|---|---|---|---|---|",
    ]
    for name in dict.fromkeys(key.partition(".")[0] for key in demand.metrics):
        found = [demand.metrics[f"{name}.{part}"] for part in ("wape", "wape_last", "wape_seasonal", "coverage")]
        lines.append(f"| {name} | {' | '.join(f'{one:.3f}' for one in found)} |")
    lines += ["", f"Backtest over {demand.windows:,} windows of ten minutes, each forecast from what came before it."]
    return "\n".join(lines) + "\n"
