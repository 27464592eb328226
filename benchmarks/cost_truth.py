"""Is the recomputed cost the one that the provider bills, where the gateway's own figure is not?

    python benchmarks/cost_truth.py [--requests 400] [--seed 0]

Traffic is made up case by case and billed here, by plain arithmetic from the prices written below as the providers
publish them: nothing of the product computes the reference bill. A simulated LiteLLM logs the traffic with its known
mistakes, the product reads that log as it reads any, and the table shows the three figures beside each other. In every
case where the log holds the tokens, the recomputed cost has to be within 0.5 % of the bill; the last case shows what
happens where it does not. Then `fairlead reconcile` has to name each mistake.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from fairlead import ingest, project, store
from fairlead.ingest import aliases
from fairlead.reports.reconcile import reconcile

D = Decimal
M = D(1_000_000)
START = datetime(2026, 11, 2, tzinfo=UTC)  # a Monday
DAYS = 14


@dataclass
class Call:
    """One request: its tokens by class, none of them counted twice."""

    start: datetime
    plain: int = 0
    read: int = 0
    written: int = 0
    heard: int = 0
    said: int = 0
    thought: int = 0
    searches: int = 0


@dataclass
class Case:
    """A kind of traffic, its true bill, and what the gateway makes of it."""

    name: str
    provider: str
    model: str
    make: Callable[[random.Random, datetime], Call]
    bill: Callable[[Call], Decimal]
    gateway: Callable[[Call], Decimal]
    fields: dict[str, Any]
    start: datetime = START
    names: str = ""  # what the reconciliation has to call the gap
    logged: Callable[[Call], Call] = lambda call: call  # what of it the log holds


def chat(rng: random.Random, start: datetime) -> Call:
    return Call(start, plain=rng.randint(200, 4000), said=rng.randint(50, 900))


def cached(rng: random.Random, start: datetime) -> Call:
    return Call(start, plain=rng.randint(200, 2000), read=rng.randint(1024, 30_000), said=rng.randint(50, 900))


def writing(rng: random.Random, start: datetime) -> Call:
    call = cached(rng, start)
    call.written = rng.randint(500, 8000)
    return call


def thinking(rng: random.Random, start: datetime) -> Call:
    call = chat(rng, start)
    call.thought = rng.randint(200, 6000)
    return call


def talking(rng: random.Random, start: datetime) -> Call:
    call = chat(rng, start)
    call.heard = rng.randint(500, 5000)
    return call


def long(rng: random.Random, start: datetime) -> Call:
    return Call(start, plain=rng.choice([rng.randint(1000, 199_000), rng.randint(200_001, 600_000)]), said=900)


def searching(rng: random.Random, start: datetime) -> Call:
    call = chat(rng, start)
    call.searches = rng.randint(1, 4)
    return call


def off_peak(moment: datetime) -> bool:
    """DeepSeek: 01:00-04:00 and 06:00-10:00 UTC from Monday to Friday are peak."""
    return moment.weekday() > 4 or not (1 <= moment.hour < 4 or 6 <= moment.hour < 10)


def deepseek(call: Call, cheap: bool) -> Decimal:
    peak = (call.plain * D("1.32") + call.read * D("0.044") + call.said * D("3.96")) / M
    return peak / 2 if cheap else peak


def gemini_pro(call: Call, longer: bool) -> Decimal:
    return (call.plain * (D("2.5") if longer else D("1.25")) + call.said * (D(15) if longer else D(10))) / M


def o3(call: Call, new: bool) -> Decimal:
    return (call.plain * (D(2) if new else D(10)) + (call.said + call.thought) * (D(8) if new else D(40))) / M


def sonnet(call: Call, *, read: str = "0.3", written: str = "3.75", off: str = "1") -> Decimal:
    tokens = call.plain * D(3) + call.read * D(read) + call.written * D(written) + call.said * D(15)
    return (tokens / M + call.searches * D("0.01")) * D(off)


def gpt41(call: Call, *, full: float = 0.0) -> Decimal:
    dear = int(call.read * full)
    return ((call.plain + dear) * D(2) + (call.read - dear) * D("0.5") + call.said * D(8)) / M


def missed(call: Call) -> Call:
    """A stream's usage chunk came late: a quarter of the calls have no cached tokens in the log."""
    if call.plain % 100 < 24:
        return Call(call.start, plain=call.plain + call.read, said=call.said)
    return call


CASES = [
    Case("plain chat", "openai", "gpt-4o-mini", chat,
         lambda c: (c.plain * D("0.15") + c.said * D("0.6")) / M,
         lambda c: (c.plain * D("0.15") + c.said * D("0.6")) / M, {}, names="agreed"),
    Case("cache discount not applied", "openai", "gpt-4.1", cached, gpt41, lambda c: gpt41(c, full=1), {},
         names="cache reads billed at the full input price"),
    Case("24 % of cached tokens missed", "openai", "gpt-4.1-mini", cached,
         lambda c: gpt41(c) / 5, lambda c: gpt41(c, full=0.24) / 5, {},
         names="some cache reads billed at the full input price"),
    Case("cache writes and reads as input", "anthropic", "claude-sonnet-4-5-20250929", writing, sonnet,
         lambda c: sonnet(c, read="3", written="3"), {}, names="cache reads and writes billed at the full input price"),
    Case("reasoning missed", "openai", "o4-mini", thinking,
         lambda c: (c.plain * D("1.1") + (c.said + c.thought) * D("4.4")) / M,
         lambda c: (c.plain * D("1.1") + c.said * D("4.4")) / M, {}, names="reasoning not billed"),
    Case("audio as text", "gemini", "gemini-2.5-flash", talking,
         lambda c: (c.plain * D("0.3") + c.heard * D(1) + c.said * D("2.5")) / M,
         lambda c: ((c.plain + c.heard) * D("0.3") + c.said * D("2.5")) / M, {}, names="audio billed as text"),
    Case("batch discount not applied", "openai", "gpt-4o", chat,
         lambda c: (c.plain * D("1.25") + c.said * D(5)) / M, lambda c: (c.plain * D("2.5") + c.said * D(10)) / M,
         {"call_type": "batch_completion"}, names="batch discount not applied"),
    Case("long-context step not applied", "gemini", "gemini-2.5-pro", long,
         lambda c: gemini_pro(c, c.plain > 200_000), lambda c: gemini_pro(c, False), {},
         names="long-context price not applied"),
    Case("flex billed as standard", "openai", "gpt-5", chat,
         lambda c: (c.plain * D("0.625") + c.said * D(5)) / M, lambda c: (c.plain * D("1.25") + c.said * D(10)) / M,
         {"model_parameters": {"service_tier": "flex"}}, names="flex tier billed as standard"),
    Case("Bedrock profile's price missed", "bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", cached,
         lambda c: sonnet(c, off="1.1"), sonnet, {}, names="regional price not applied"),
    Case("Vertex region's price missed", "vertex_ai", "claude-haiku-4-5@20251001", chat,
         lambda c: (c.plain * D("1.1") + c.said * D("5.5")) / M, lambda c: (c.plain * D(1) + c.said * D(5)) / M,
         {"cost_breakdown": {"vertex_location": "us-east5"}}, names="regional price not applied"),
    Case("data residency uplift missed", "openai", "gpt-5.4", chat,
         lambda c: (c.plain * D("2.75") + c.said * D("16.5")) / M, lambda c: (c.plain * D("2.5") + c.said * D(15)) / M,
         {"api_base": "https://eu.api.openai.com/v1"}, names="regional price not applied"),
    Case("price cut in the month, map updated late", "openai", "o3", thinking,
         lambda c: o3(c, c.start >= datetime(2025, 6, 10, tzinfo=UTC)),
         lambda c: o3(c, c.start >= datetime(2025, 6, 13, tzinfo=UTC)), {}, start=datetime(2025, 6, 3, tzinfo=UTC),
         names="price from before 2025-06-10 billed"),
    Case("off-peak price not applied", "deepseek", "deepseek-v4-pro", cached,
         lambda c: deepseek(c, off_peak(c.start)), lambda c: deepseek(c, False), {},
         names="price of the hour not applied"),
    Case("streamed web searches missed", "anthropic", "claude-opus-4-5", searching,
         lambda c: (c.plain * D(5) + c.said * D(25)) / M + c.searches * D("0.01"),
         lambda c: (c.plain * D(5) + c.said * D(25)) / M, {"stream": True}, names="web searches not billed"),
    Case("0 for a model out of the map", "anthropic", "claude-3-5-haiku-20241022", cached,
         lambda c: (c.plain * D("0.8") + c.read * D("0.08") + c.said * D(4)) / M, lambda c: D(0), {},
         names="no cost reported"),
    Case("contract discount of 12 %", "mistral", "mistral-large-2512", chat,
         lambda c: (c.plain * D("0.5") + c.said * D("1.5")) / M * D("0.88"),
         lambda c: (c.plain * D("0.5") + c.said * D("1.5")) / M, {}, names="contract price not applied"),
    Case("the log itself misses cached tokens", "openai", "gpt-4.1-nano", cached,
         lambda c: gpt41(c) / 20, lambda c: gpt41(missed(c)) / 20, {}, names="agreed", logged=missed),
]  # fmt: skip


def record(case: Case, number: int, call: Call, cost: Decimal) -> dict[str, Any]:
    """Log a call as LiteLLM does: the totals, and the classes as details of them."""
    told = case.logged(call)
    own = f"{CASES.index(case):02d}-{number:06d}"
    details = {"cached_tokens": told.read, "audio_tokens": told.heard, "cache_creation_tokens": told.written,
               "web_search_requests": told.searches}  # fmt: skip
    made = {
        "id": own, "litellm_call_id": own, "trace_id": own, "call_type": "acompletion", "status": "success",
        "custom_llm_provider": case.provider, "model": case.model, "model_group": "chat",
        "startTime": call.start.timestamp(), "endTime": call.start.timestamp() + 1, "stream": False,
        "response_cost": float(cost), "cache_hit": False, "messages": [{"role": "user", "content": "?"}],
        "prompt_tokens": told.plain + told.read + told.written + told.heard,
        "completion_tokens": told.said + told.thought,
        "metadata": {"usage_object": {"prompt_tokens_details": details,
                                      "completion_tokens_details": {"reasoning_tokens": told.thought}}},
    }  # fmt: skip
    return made | case.fields


def bills(case: Case, calls: list[Call]) -> list[dict[str, Any]]:
    """Bill a case day by day, as a provider does."""
    rows = []
    for day in range(DAYS):
        start = case.start + timedelta(days=day)
        inside = [call for call in calls if start <= call.start < start + timedelta(days=1)]
        if inside:
            rows.append({
                "start": start.isoformat(), "end": (start + timedelta(days=1)).isoformat(),
                "provider": case.provider, "model": case.model, "requests": len(inside),
                "input": sum(c.plain + c.read + c.written + c.heard for c in inside),
                "read": sum(c.read for c in inside), "output": sum(c.said + c.thought for c in inside),
                "usd": f"{sum(case.bill(c) for c in inside):.12f}",
            })  # fmt: skip
    return rows


MAPPING = """\
table = "usage"
source = "provider_bill"
[columns]
bucket_start = "start"
bucket_end = "end"
provider_name = "provider"
model = "model"
requests = "requests"
input_tokens = "input"
cache_read_input_tokens = "read"
output_tokens = "output"
cost_usd = "usd"
"""
CONTRACT = "provider_name,model,discount_percent\nmistral,mistral-*,12\n"


def main() -> int:
    """Print the three figures of each case, and whether the recomputed one and the name of the gap are right."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--requests", type=int, default=400)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--keep", type=Path, help="A folder to leave the calls in, as JSON lines.")
    given = arguments.parse_args()
    rng = random.Random(given.seed)
    calls = {
        case.name: [
            case.make(rng, case.start + timedelta(seconds=rng.randrange(DAYS * 86_400))) for _ in range(given.requests)
        ]
        for case in CASES
    }
    with tempfile.TemporaryDirectory() as scratch:
        here = project.init(Path(scratch) / "project")
        here.contract.write_text(CONTRACT)
        log, bill = Path(scratch) / "log.jsonl", Path(scratch) / "bill.csv"
        records = [
            record(case, n, call, case.gateway(call)) for case in CASES for n, call in enumerate(calls[case.name])
        ]
        log.write_text("".join(json.dumps(one) + "\n" for one in records))
        rows = [row for case in CASES for row in bills(case, calls[case.name])]
        with bill.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        bill.with_suffix(".toml").write_text(MAPPING)
        loaded = ingest.load(here, [log, bill])
        assert loaded.quarantined == 0, loaded
        if given.keep:
            given.keep.mkdir(parents=True, exist_ok=True)
            (given.keep / "calls.jsonl").write_text(log.read_text())
        return judged(here, calls)


def judged(here: project.Project, calls: dict[str, list[Call]]) -> int:
    """Print the table; 1 where a figure or a name is not as it has to be."""
    con = store.open_lake(here.lake).connect()
    found = store.query(
        con,
        """
        SELECT response_model AS model, provider_name AS provider, sum(list_cost_usd)::DOUBLE AS listed,
            sum(reported_cost_usd)::DOUBLE AS reported FROM attempts GROUP BY ALL
    """,
    ).to_dicts()
    con.close()
    figures = {(row["provider"], row["model"]): row for row in found}
    named = {}
    for row in reconcile(here).rows:
        gap = row.gaps[0].name if row.gaps else ""
        billed = [gap.name for gap in row.billed.gaps if gap.name != "rounding"] if row.billed else []
        named[row.provider, row.model] = (gap, billed)
    print(f"{'case':<42} {'bill USD':>11} {'recomputed':>11} {'off':>8} {'gateway':>11} {'off':>8}  named")
    wrong = 0
    for case in CASES:
        truth = float(sum(case.bill(call) for call in calls[case.name]))
        row = figures[case.provider, case.model]
        off = row["listed"] / truth - 1
        gateway = (row["reported"] or 0) / truth - 1
        seller = aliases.provider(case.provider)
        gap, billed = named[seller, aliases.family(seller, case.model)]
        complete = all(case.logged(call) == call for call in calls[case.name])
        right = gap == case.names and (abs(off) <= 0.005 if complete else abs(off) > 0.005 and bool(billed))
        wrong += not right
        told = gap if complete else f"the bill: {'; '.join(billed)}"
        print(f"{case.name:<42} {truth:>11.4f} {row['listed']:>11.4f} {off:>+8.2%} {row['reported'] or 0:>11.4f} "
              f"{gateway:>+8.2%}  {told}{'' if right else '   <-- WRONG'}")  # fmt: skip
    print(f"\n{len(CASES) - wrong} of {len(CASES)} cases as they should be")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
