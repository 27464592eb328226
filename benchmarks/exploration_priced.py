"""What exploration costs and buys: effective sample size for the same loss, Boltzmann beside epsilon-greedy.

    python benchmarks/exploration_priced.py ROUTING_FOLDER [--sets NAME ...] [--keep FOLDER] [--png FILE]

ROUTING_FOLDER holds `<set>/outcomes.parquet`; every prompt is predicted out of fold once (kept in `--keep`). The policy
that explores is `intelligent` at a price in the middle of the frontier; the policies that its log shall tell of are its
neighbours on the frontier and the best single model. Loss is in utility, by true outcomes: points of quality, dollars
at the policy's own price. ESS is the share of requests that count for a policy: the median over the neighbours, and
that for the best single model, 0 where the draw never reaches what it chooses. The last lines read epsilon-greedy's
curve, over as many endpoints, at the loss of each Boltzmann temperature.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from matrix_halves import SETS, evidence_of, predicted

from fairlead.evaluation import exploration
from fairlead.evaluation.exploration import Priced
from fairlead.evaluation.optimise import grid


def neighbours(one: Priced) -> float:
    """Give the ESS of the neighbour in the middle."""
    return float(np.median([share for name, share in one.ess_shares.items() if name != "best_single"]))


def at_loss(points: list[tuple[float, float]], loss: float) -> float:
    """Read a curve of (loss, ESS) between its settings by logarithm; NaN outside of them."""
    points = sorted(point for point in points if min(point) > 0)
    if not points or not points[0][0] <= loss <= points[-1][0]:
        return float("nan")
    x, y = np.log(np.array(points)).T
    return float(np.exp(np.interp(np.log(loss), x, y)))


def one_set(name: str, folder: Path, keep: Path) -> list[dict[str, float | str]]:
    """Print a set's table and the ratios, and give the rows to draw."""
    evidence = evidence_of(predicted(folder, name, keep))
    prices = grid(evidence)
    base = {"usd_price": float(prices[len(prices) // 2])}
    others = exploration.alternatives(evidence, base)
    ways = exploration.priced(evidence, base, others)
    endpoints = evidence.quality.shape[1]
    print(f"{name}: {len(evidence):,} prompts x {endpoints}, a price of {base['usd_price']:.4g}, {len(others)} others")
    print(f"  {'way':<36} {'loss':>7} {'quality':>9} {'cost':>9}   ESS/n neighbours  best single")
    for one in ways:
        best = one.ess_shares["best_single"]
        print(
            f"  {one.way!s:<36} {100 * one.loss:>4.2f} pt {100 * one.quality_change:>+6.2f} pt "
            f"{100 * one.cost_change_share:>+7.1f} %          {neighbours(one):>7.3f}      {best:>7.3f}"
        )
    for top in (3, None):
        beside = [one for one in ways if one.way.family == "epsilon" and one.way.top == top]
        for one in ways:
            if one.way.family != "boltzmann" or one.way.top != top or one.loss <= 0:
                continue
            near = at_loss([(w.loss, neighbours(w)) for w in beside], one.loss)
            far = at_loss([(w.loss, w.ess_shares["best_single"]) for w in beside], one.loss)
            print(
                f"  {one.way!s:<36} at {100 * one.loss:.2f} pt: {neighbours(one) / near:>6.1f} times epsilon-greedy's "
                f"for neighbours, {one.ess_shares['best_single'] / far:>5.1f} times for the best single"
            )
    return [
        {
            "set": name,
            "way": f"{w.way.family}, {'all' if w.way.top is None else 'top 3'}",
            "loss": 100 * w.loss,
            "ess": neighbours(w),
        }
        for w in ways
        if w.loss > 1e-4 and neighbours(w) > 0
    ]


def draw(rows: list[dict[str, float | str]], path: Path) -> None:
    """Draw ESS over loss for each set."""
    import altair as alt

    base = alt.Chart(alt.InlineData(values=rows)).encode(
        x=alt.X("loss:Q", title="loss of utility, points", scale=alt.Scale(type="log")),
        y=alt.Y("ess:Q", title="ESS as a share of requests", scale=alt.Scale(type="log")),
        color=alt.Color("way:N", title=None),
    )
    chart = (base.mark_line() + base.mark_point(filled=True)).properties(width=260, height=220).facet("set:N")
    chart.save(str(path), scale_factor=1.5)


def main() -> None:
    """Print the figures of each set."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--sets", nargs="+", default=SETS)
    arguments.add_argument("--keep", type=Path, default=Path("var/optimiser"))
    arguments.add_argument("--png", type=Path)
    given = arguments.parse_args()
    rows = [row for name in given.sets for row in one_set(name, given.folder, given.keep)]
    if given.png:
        draw(rows, given.png)


if __name__ == "__main__":
    main()
