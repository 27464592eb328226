"""How often the goals of `fairlead publish` break what they promise, and how exactly they fill a budget.

    python benchmarks/optimiser.py ROUTING_FOLDER [--sets NAME ...] [--splits 100] [--keep FOLDER]
        [--parts margins aims budgets latencies]

ROUTING_FOLDER holds `<set>/outcomes.parquet`. Every prompt of a set is predicted out of fold once (kept in `--keep`);
then, in each random half, a setting is chosen and looked at on the other half. The status quo sends everything to the
best single model of the half that is chosen on, at the cost of its answers.

`broken` is the share of splits in which the other half's own mean breaks the promise, `wrong` the share in which the
mean of the whole set does. `kept to` is the share in which something could be promised at all, `saves` the mean saving
on the other half, with no saving where nothing could be promised. `point` chooses by point estimates, the way that is
not to be used; `mean` bounds the long-run mean; `next` (the default) that of as many requests to come.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from matrix_halves import SETS, evidence_of, halves, predicted

from fairlead.errors import EvidenceError
from fairlead.evaluation import operating_point, optimise
from fairlead.evaluation.evidence import Evidence
from fairlead.evaluation.goals import Goal
from fairlead.evaluation.operating_point import Training
from fairlead.evaluation.reach import limits_of, tail_of

WAYS = {"point": (0.5, 0.0), "mean": (0.95, 0.0), "next": (0.95, 1.0)}  # confidence, requests ahead
MARGINS = (0.5, 2.0)
BUDGETS = (0.1, 0.3, 0.6)  # times the status quo's cost


def outcome(evidence: Evidence, parameters: dict[str, float]) -> tuple[float, float]:
    """Give the change of quality and the share of cost saved that a setting had."""
    chances = evidence.choices(parameters)
    cost = evidence.spend(chances).value
    return evidence.change(chances).value, 1 - cost / float(evidence.logged_cost_usd.mean())


def margins(name: str, whole: Evidence, splits: int) -> None:
    """Print a line for each margin and way of choosing."""
    for points in MARGINS:
        for way, (confidence, ahead) in WAYS.items():
            broken, wrong, saved, kept = [], [], [], 0
            for first, second in halves(whole, splits):
                try:
                    found = optimise.choose(
                        first, Goal(goal="margin", margin_points=points, confidence=confidence), ahead=ahead
                    )
                except EvidenceError:
                    saved.append(0.0)
                    continue
                kept += 1
                change, saving = outcome(second, found.parameters)
                saved.append(saving)
                broken.append(change < -points / 100)
                both = (change * len(second) + found.quality_change * len(first)) / len(whole)
                wrong.append(both < -points / 100)
            shares = [100 * sum(one) / splits for one in (broken, wrong)]
            print(
                f"{name:<14} margin {points:>4.1f} pt  {way:<6} broken {shares[0]:>4.0f} %  wrong {shares[1]:>4.0f} %  "
                f"kept to {100 * kept / splits:>4.0f} %  saves {100 * np.mean(saved):>5.1f} %",
                flush=True,
            )


def aims(name: str, whole: Evidence, splits: int) -> None:
    """Print a line for the aim of the status quo's quality, which promises nothing."""
    broken, saved = [], []
    for first, second in halves(whole, splits):
        own = first.candidates
        known = Training(
            quality=own.quality,
            cost_usd=own.cost_usd,
            outcome_quality=first.quality,
            outcome_cost_usd=first.cost_usd,
        )
        point = operating_point.no_worse_than(known, first.logged_quality, first.logged_cost_usd)
        change, saving = outcome(second, {"usd_price": point.usd_price or 0.0})
        broken.append(change < -0.005)
        saved.append(saving)
    print(
        f"{name:<14} status_quo, an aim    worse by over 0.5 pt {100 * np.mean(broken):>4.0f} %"
        f"                    saves {100 * np.mean(saved):>5.1f} %",
        flush=True,
    )


def budgets(name: str, whole: Evidence, splits: int) -> None:
    """Print how far spend on the other half is over the budget, with a mix and with one price."""
    for share in BUDGETS:
        mixed, single, change = [], [], []
        for first, second in halves(whole, splits):
            asked = share * float(first.logged_cost_usd.mean())
            try:
                found = optimise.choose(first, Goal(goal="budget", usd_per_1000=1000 * asked)).parameters
            except EvidenceError:
                continue
            chances = second.choices(found)
            mixed.append(second.spend(chances).value / asked - 1)
            change.append(second.change(chances).value)
            alone = {"usd_price": found.get("usd_price_high", found["usd_price"])}
            single.append(second.spend(second.choices(alone)).value / asked - 1)
        if not mixed:
            print(f"{name:<14} budget {share:.0%} of the status quo's cost: no setting is that cheap")
            continue
        rows = [np.quantile(one, [0.05, 0.5, 0.95]) * 100 for one in (mixed, single)]
        print(
            f"{name:<14} budget {share:>4.0%}  over it, p5 p50 p95: {rows[0][0]:+5.1f} {rows[0][1]:+5.1f} "
            f"{rows[0][2]:+5.1f} %  one price {rows[1][0]:+6.1f} {rows[1][1]:+6.1f} {rows[1][2]:+6.1f} %  "
            f"quality {100 * np.mean(change):+.1f} pt",
            flush=True,
        )


def latencies(name: str, whole: Evidence, splits: int) -> None:
    """Print how often a limit of the 95th percentile is broken, for limits under what the quality-first policy has."""
    if not np.isfinite(whole.latency_s).any():
        print(f"{name:<14} latency: the set has no durations")
        return
    usual = tail_of(whole.choices({"usd_price": 0.0}), limits_of(whole)).value
    for limit in (round(usual * part, 1) for part in (0.4, 0.6, 0.8)):
        for way, (confidence, ahead) in WAYS.items():
            broken, kept, change, saved = [], 0, [], []
            for first, second in halves(whole, splits):
                try:
                    found = optimise.choose(
                        first, Goal(goal="latency", p95_s=limit, confidence=confidence), ahead=ahead
                    )
                except EvidenceError:
                    continue
                kept += 1
                chances = second.choices(found.parameters)
                broken.append(second.of(second.slow(limit), chances).mean() > optimise.SLOW_SHARE)
                change.append(second.change(chances).value)
                saved.append(outcome(second, found.parameters)[1])
            print(
                f"{name:<14} p95 under {limit:>4.1f} s  {way:<6} broken {100 * sum(broken) / splits:>4.0f} %  "
                f"kept to {100 * kept / splits:>4.0f} %  saves {100 * np.mean(saved or [0]):>5.1f} %  "
                f"quality {100 * np.mean(change or [0]):+.1f} pt",
                flush=True,
            )


PARTS = {"margins": margins, "aims": aims, "budgets": budgets, "latencies": latencies}


def main() -> None:
    """Print the figures of each set."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--sets", nargs="+", default=SETS)
    arguments.add_argument("--parts", nargs="+", default=list(PARTS), choices=list(PARTS))
    arguments.add_argument("--splits", type=int, default=100)
    arguments.add_argument("--keep", type=Path, default=Path("var/optimiser"))
    given = arguments.parse_args()
    for name in given.sets:
        whole = evidence_of(predicted(given.folder, name, given.keep))
        print(f"{name}: {len(whole):,} prompts x {whole.quality.shape[1]}")
        for part in given.parts:
            PARTS[part](name, whole, given.splits)


if __name__ == "__main__":
    main()
