"""What a policy that learns from late feedback gains over fixed ones, and where it loses.

    python benchmarks/policies_regret.py [ROUTING_FOLDER] [--out FOLDER] [--seeds 10] [--requests 20000]

Streams, all with feedback 100 to 1000 requests late and 30 % of the requests labelled (costs of all are seen):
`steady` and `drift` are made here: 8 routes, 6 endpoints, predictions off by 0.06 for each route and endpoint; in
`drift` at half time the best endpoint of every second route falls by 0.25, another rises by 0.1, and one endpoint's
price doubles. With a ROUTING_FOLDER, `zeroeval` and `bfcl_2024_07` are replayed from their matrices, the task as the
route: `trained` predicts with the table of route and model from a tenth of the prompts, `cold` with a model's mean over
20 of them. Utility is quality - usd_price x cost.

Regret is counted in expectation, at exact probabilities, against the oracle that knows each route's best endpoint (in
each half, where there is a drift). Intervals are 95 % over seeds (t). `single` is the best single endpoint chosen in
hindsight, `best fixed` the best of all policies that do not learn, for each seed. `greedy` is adaptive without
exploration, which shows what exploring costs and brings.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fairlead.scoring import Candidates, Intelligent, Reward
from fairlead.scoring.policies import Adaptive, RoundRobin

BLOCK = 50  # less than the shortest delay, so nothing in a block could have learned from another of it
Array = np.ndarray[Any, Any]


@dataclass
class Stream:
    """Requests in their order: routes (n,), true quality and cost (n, K), predictions (n, K), phases (n,)."""

    usd_price: float
    route: Array
    quality: Array
    cost: Array
    predicted_quality: Array
    predicted_cost: Array
    phase: Array

    @property
    def utility(self) -> Array:
        """What each choice would have been worth."""
        return self.quality - self.usd_price * self.cost


def made(seed: int, requests: int, drift: bool) -> Stream:
    """Make traffic whose truth is known; quality is a mean here, and a coin when it is fed back."""
    rng = np.random.default_rng(seed)
    routes, many = 8, 6
    skill = 0.55 + np.linspace(0, 0.25, many) + rng.normal(0, 0.08, (routes, many))
    price = np.geomspace(0.0003, 0.01, many)
    later, later_price = skill.copy(), price.copy()
    if drift:
        best = (skill - 10 * price).argmax(axis=1)
        changed = np.arange(0, routes, 2)
        later[changed, best[changed]] -= 0.25
        later[changed, (best[changed] + 1 + rng.integers(many - 1, size=len(changed))) % many] += 0.1
        later_price[rng.integers(many)] *= 2
    route, phase = rng.integers(routes, size=requests), (np.arange(requests) >= requests // 2).astype(int)
    hard = rng.normal(0, 0.1, (requests, 1))
    truth = np.stack([skill, later])[phase, route]
    said = (skill + rng.normal(0, 0.06, skill.shape))[route]
    size = rng.lognormal(0, 0.5, (requests, 1))
    return Stream(
        usd_price=10.0,
        route=route,
        quality=np.clip(truth + hard, 0.01, 0.99),
        cost=np.stack([price, later_price])[phase] * size,
        predicted_quality=np.clip(said + hard, 0, 1),
        predicted_cost=price * size,
        phase=phase if drift else np.zeros(requests, dtype=int),
    )


def replayed(path: Path, seed: int, requests: int, cold: bool, usd_price: float) -> Stream:
    """Replay a routing matrix; the prompts that predictions are made from are not in the stream."""
    import polars as pl

    matrix = pl.read_parquet(path / "outcomes.parquet")
    wide = {
        name: matrix.pivot("model", index=["dataset", "prompt_id"], values=name, sort_columns=True).sort(
            "dataset", "prompt_id"
        )
        for name in ("quality", "cost_usd")
    }
    quality, cost = (wide[name].drop("dataset", "prompt_id").to_numpy() for name in ("quality", "cost_usd"))
    usable = np.isfinite(cost).mean(axis=0) > 0.95
    quality, cost = quality[:, usable], cost[:, usable]
    whole = np.isfinite(quality).all(axis=1) & np.isfinite(cost).all(axis=1)
    route = np.unique(wide["quality"]["dataset"].to_numpy(), return_inverse=True)[1][whole]
    quality, cost = quality[whole], cost[whole]
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(route))
    train, rest = order[: len(route) // 10], order[len(route) // 10 :]
    few = train[:20] if cold else train
    means = np.stack([quality[few].mean(axis=0), cost[few].mean(axis=0)])
    tables = np.repeat(means[:, None], route.max() + 1, axis=1)
    if not cold:
        for one in range(route.max() + 1):
            at = train[route[train] == one]
            seen = np.stack([quality[at].sum(axis=0), cost[at].sum(axis=0)])
            tables[:, one] = (seen + 5 * means) / (len(at) + 5)
    at = rng.choice(rest, requests)
    return Stream(
        usd_price=usd_price,
        route=route[at],
        quality=quality[at],
        cost=cost[at],
        predicted_quality=tables[0][route[at]],
        predicted_cost=tables[1][route[at]],
        phase=np.zeros(requests, dtype=int),
    )


def run(stream: Stream, policy: Any, seed: int) -> Array:
    """Give the expected utility of each decision (n,), the policy told of its choices late."""
    rng = np.random.default_rng([seed, 7])
    n, many = stream.quality.shape
    names = tuple(f"endpoint-{k:02d}" for k in range(many))
    due: dict[int, list[Reward]] = {}
    value = np.empty(n)
    for start in range(0, n, BLOCK):
        for reward in due.pop(start // BLOCK, ()):
            policy.learn(reward)
        rows = slice(start, min(start + BLOCK, n))
        chances = policy.probabilities(_candidates(stream, rows, names))
        value[rows] = (chances * stream.utility[rows]).sum(axis=1)
        if not isinstance(policy, Adaptive):
            continue
        edges = chances.cumsum(axis=1)
        chosen = (edges > rng.random((len(edges), 1)) * edges[:, -1:]).argmax(axis=1)
        for row, k in enumerate(chosen, start):
            labelled, right = rng.random() < 0.3, float(rng.random() < stream.quality[row, k])
            late = (row + rng.integers(100, 1001)) // BLOCK + 1
            told = Reward(
                endpoint=names[k],
                route=f"route-{stream.route[row]}",
                propensity=float(chances[row - start, k]),
                expected_quality=float(stream.predicted_quality[row, k]),
                expected_cost_usd=float(stream.predicted_cost[row, k]),
                expected_latency_s=None,
                quality=right if labelled else None,
                cost_usd=float(stream.cost[row, k]),
            )
            due.setdefault(int(late), []).append(told)
    return value


def _candidates(stream: Stream, rows: slice, names: tuple[str, ...]) -> Candidates:
    quality, cost = stream.predicted_quality[rows], stream.predicted_cost[rows]
    ones = np.ones(quality.shape)
    return Candidates(
        endpoints=names,
        quality=quality,
        quality_low=quality,
        cost_usd=cost,
        cost_p90_usd=cost,
        latency_s=ones,
        latency_p90_s=ones,
        eligible=ones > 0,
        routes=tuple(f"route-{one}" for one in stream.route[rows]),
    )


def oracle(stream: Stream) -> Array:
    """Give the utility (n,) of each route's best endpoint in each phase."""
    value, utility = np.empty(len(stream.route)), stream.utility
    for one in np.unique(stream.route):
        for phase in np.unique(stream.phase):
            at = (stream.route == one) & (stream.phase == phase)
            value[at] = utility[at][:, utility[at].mean(axis=0).argmax()] if at.any() else 0
    return value


def values(stream: Stream, seed: int) -> dict[str, Array]:
    """Give each policy's expected utility (n,)."""
    price = stream.usd_price
    found = {
        "round_robin": run(stream, RoundRobin(), seed),
        "single": stream.utility[:, stream.utility.mean(axis=0).argmax()],
        "intelligent": run(stream, Intelligent(usd_price=price), seed),
        "boltzmann": run(stream, Intelligent(usd_price=price, temperature=0.02), seed),
        "greedy": run(stream, Adaptive(usd_price=price, exploration_cap=0), seed),
        "adaptive": run(stream, Adaptive(usd_price=price), seed),
    }
    return found


def interval(numbers: Array) -> tuple[float, float]:
    """Give the mean and the half width of its 95 % t interval."""
    table = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78, 6: 2.57, 7: 2.45, 8: 2.36, 9: 2.31, 10: 2.26}
    n = len(numbers)
    return float(numbers.mean()), float(table.get(n, 2.0) * numbers.std(ddof=1) / np.sqrt(n)) if n > 1 else 0.0


def study(name: str, make: Callable[[int], Stream], seeds: int) -> list[dict[str, Any]]:
    """Run all policies on all seeds of one stream, print the table, and give the curves."""
    regrets: dict[str, list[Array]] = {}
    for seed in range(seeds):
        stream = make(seed)
        best = oracle(stream)
        for policy, value in values(stream, seed).items():
            regrets.setdefault(policy, []).append((best - value).cumsum())
    curves = {policy: np.stack(found) for policy, found in regrets.items()}
    ends = {policy: found[:, -1] / found.shape[1] * 1000 for policy, found in curves.items()}
    fixed = np.min([ends[policy] for policy in ("round_robin", "single", "intelligent", "boltzmann")], axis=0)
    print(f"\n{name}: regret per 1000 requests against the oracle by route; adaptive less the policy, paired")
    for policy, found in ends.items():
        late = curves[policy][:, -1] - curves[policy][:, -len(curves[policy][0]) // 4]
        mean, half = interval(found)
        gain, width = interval(ends["adaptive"] - found)
        quarter = late.mean() / (curves[policy].shape[1] / 4) * 1000
        print(f"  {policy:12} {mean:7.1f} ± {half:4.1f}   last quarter {quarter:6.1f}   {gain:+7.1f} ± {width:4.1f}")
    gain, width = interval(ends["adaptive"] - fixed)
    print(f"  {'best fixed':12} {fixed.mean():7.1f}                                {gain:+7.1f} ± {width:4.1f}")
    return _rows(name, curves)


def _rows(name: str, curves: dict[str, Array]) -> list[dict[str, Any]]:
    rows = []
    for policy, found in curves.items():
        for at in np.linspace(0, found.shape[1] - 1, 120).astype(int):
            mean, half = interval(found[:, at])
            row = {"stream": name, "policy": policy, "requests": int(at) + 1, "regret": mean}
            rows.append({**row, "low": mean - half, "high": mean + half})
    return rows


def picture(rows: list[dict[str, Any]], out: Path) -> None:
    """Draw cumulative regret over time, a panel for each stream."""
    import altair as alt

    shown = [row for row in rows if row["policy"] != "round_robin"]  # it would flatten all the others
    names = list(dict.fromkeys(row["stream"] for row in shown))
    panels = []
    for name in names:
        base = alt.Chart(alt.Data(values=[row for row in shown if row["stream"] == name])).encode(
            x=alt.X("requests:Q", title="requests"),
            color=alt.Color("policy:N", title=None, legend=alt.Legend(symbolOpacity=1)),
        )
        band = base.mark_area(opacity=0.15).encode(y=alt.Y("low:Q", title="cumulative regret"), y2="high:Q")
        panels.append((band + base.mark_line().encode(y="regret:Q")).properties(width=320, height=220, title=name))
    out.mkdir(parents=True, exist_ok=True)
    chart = alt.concat(*panels, columns=3)
    for kind in ("png", "svg"):
        chart.save(out / f"policies_regret.{kind}", **({"scale_factor": 2} if kind == "png" else {}))


def main() -> None:
    """Run the streams that were asked for."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("routing", nargs="?", type=Path)
    asked.add_argument("--out", type=Path)
    asked.add_argument("--seeds", type=int, default=10)
    asked.add_argument("--requests", type=int, default=20_000)
    given = asked.parse_args()
    n = given.requests
    streams: dict[str, Callable[[int], Stream]] = {
        "steady": lambda seed: made(seed, n, drift=False),
        "drift": lambda seed: made(seed, n, drift=True),
    }
    for name, price in (("zeroeval", 20.0), ("bfcl_2024_07", 10.0)) if given.routing else ():
        folder = given.routing / name
        streams[f"{name} trained"] = lambda seed, f=folder, p=price: replayed(f, seed, n, False, p)
        streams[f"{name} cold"] = lambda seed, f=folder, p=price: replayed(f, seed, n, True, p)
    rows = [row for name, make in streams.items() for row in study(name, make, given.seeds)]
    if given.out:
        picture(rows, given.out)


if __name__ == "__main__":
    main()
