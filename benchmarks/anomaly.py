"""Are planted anomalies found, how soon, and how often is the wolf cried in quiet weeks?

    python benchmarks/anomaly.py [--requests 60000] [--days 42] [--seeds 2] [--folder KEEP]

Each seed simulates a gateway's log (`fairlead simulate`), which is ingested once. The last two weeks are then looked at
hour by hour, each time with what was over by then: once as they are (every episode is a false alarm, except that the
simulation has outages of its own, which are told apart by name), and once for each planted anomaly. The baseline is
fitted anew each day, on all but the last day. Traffic is about 60 requests an hour, so a single endpoint has a dozen.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from fairlead import features, ingest, project, store
from fairlead.evaluation import simulate
from fairlead.training.anomaly import baseline, detect, hours
from fairlead.training.anomaly.measures import MEASURES

COLUMNS = (
    "request_id, start_time, team_id, route, api_key_id, provider_name, response_model, request_model, endpoint, "
    "cost_usd::double as cost_usd, status, duration_s, output_tokens, attempt_kind, event_id"
)
LONG = timedelta(hours=72)  # a planted anomaly that is not found by then is not found


def lake(folder: Path, requests: int, days: float, seed: int) -> Any:
    """Simulate and ingest a log, unless the folder has one; give a connection whose tables may be changed."""
    if not (folder / "pyproject.toml").exists():
        here = project.init(folder)
        made = simulate.run(folder / "gateway", requests=requests, endpoints=5, days=days, exploration=0.6, seed=seed)
        shutil.copy(made.prices, here.contract)
        ingest.load(here, [made.log, made.feedback])
    here = project.open_project(folder)
    con = store.open_lake(here.lake).connect()
    features.make_views(con, features.rules_of(here))
    con.execute(f"create table raw as select {COLUMNS} from attempts")
    con.execute("create table raw_labels as select * from labels")
    con.execute("create table asked as select request_id, team_id, route, api_key_id, provider_name, response_model, "
                "request_model, endpoint from requests")  # fmt: skip
    con.execute("create or replace view requests as select * from asked")
    return con


def planted(con: Any) -> Iterator[tuple[str, str, str, str, str, tuple[str, ...]]]:
    """Give each anomaly: its name, what becomes of attempts and of labels, the measure and who is to blame."""
    key, team = one(con, "select api_key_id, team_id from raw group by all order by count(*) desc limit 1 offset 1")
    provider, endpoint = one(con, "select provider_name, endpoint from raw group by all order by count(*) desc limit 1")
    here = f"endpoint = '{endpoint}'"
    (mean,) = one(con, f"select avg(quality) from raw_labels join asked using (request_id) where {here}")
    who = (provider, endpoint, endpoint.partition("/")[2])
    spoiled = f"{here} and hash(request_id) % 1000 < {100 / mean:.0f}"
    cases = (
        ("spend x3 of one key", f"api_key_id = '{key}'", "cost_usd * 3", "cost_usd", "spend", (key, team)),
        ("latency x2 of one provider", f"provider_name = '{provider}'", "duration_s * 2", "duration_s", "latency", who),
        ("errors 20 % of one endpoint", f"{here} and hash(event_id) % 5 = 0", "'error'", "status", "errors", who),
        ("quality -10 points, one endpoint", spoiled, "0", "quality", "quality", who),
        ("half of a route to another", "route = 'support-chat' and hash(request_id) % 2 = 0", "'code'", "route",
         "traffic share", ("support-chat", "code")),
        ("answers twice as long, one model", here, "output_tokens * 2", "output_tokens", "output tokens", who),
    )  # fmt: skip
    for name, when, then, column, measure, blamed in cases:
        changed = f"case when {when} then {then} else {column} end as {column}"
        labels, attempts = (changed, "status") if column == "quality" else ("quality", changed)
        direction = {"quality": "down", "traffic share": ""}.get(measure, "up")
        yield name, attempts, labels, measure, direction, blamed


def one(con: Any, sql: str) -> tuple[Any, ...]:
    """Give one row."""
    return store.query(con, sql).row(0)


def change(con: Any, attempts: str, labels: str, at: str) -> None:
    """Make the views that `hours.read` asks: as they were until `at`, changed from then on."""
    con.execute("create or replace view seen as select * from raw_labels join asked using (request_id)")
    for view, table, expression, when in (
        ("attempts", "raw", attempts, "start_time"),
        ("labels", "seen", labels, "final_at"),
    ):
        value, _, name = expression.rpartition(" as ")
        then = f"case when {when} >= timestamptz '{at}' then {value or name} else {name} end as {name}"
        columns = "*" if view == "attempts" else "request_id, final_at, quality"
        con.execute(f"create or replace view {view} as select {columns} from (select * replace ({then}) from {table})")


def episodes(found: hours.Hours, begin: int, end: int) -> list[tuple[int, detect.Anomaly]]:
    """Look at each hour; an episode begins where the same measure and direction were quiet for a day."""
    seen: list[tuple[int, detect.Anomaly]] = []
    last: dict[tuple[str, bool], int] = {}
    fitted: dict[str, baseline.Baseline] = {}
    for at in range(begin, end + 1):
        if not fitted or at % 24 == 0:
            past = found.until(found.start + (at - 24) * hours.HOUR)
            fitted = {measure.name: baseline.fit(past, measure) for measure in MEASURES}
        for anomaly in detect.detect(fitted, found.until(found.start + at * hours.HOUR)):
            key = (anomaly.measure, anomaly.change > 0)
            if at - last.get(key, -99) > 24:
                seen.append((at, anomaly))
            last[key] = at
    return seen


def main() -> None:
    """Print quiet weeks, then a row for each planted anomaly and seed."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--requests", type=int, default=60_000)
    asked.add_argument("--days", type=float, default=42)
    asked.add_argument("--seeds", type=int, default=2)
    asked.add_argument("--folder", type=Path, help="keep the logs here, and take those that are there")
    given = asked.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp())
    weeks, false, rows = 0.0, [], []
    for seed in range(given.seeds):
        con = lake(folder / f"seed-{seed}", given.requests, given.days, seed)
        change(con, "status", "quality", "2000-01-01")
        quiet = hours.read(con)
        begin = len(quiet) - 14 * 24
        weeks += 2
        false += [(seed, at, anomaly) for at, anomaly in episodes(quiet, begin, len(quiet))]
        at = quiet.start + (begin + 5 * 24 + 9) * hours.HOUR
        for name, attempts, labels, measure, direction, who in planted(con):
            change(con, attempts, labels, at.isoformat())
            place = int((at - quiet.start) / hours.HOUR)
            seen = episodes(hours.read(con), place, min(place + int(LONG / hours.HOUR), len(quiet)))
            hits = [(when - place, anomaly) for when, anomaly in seen if anomaly.measure == measure]
            hits = [hit for hit in hits if not direction or (hit[1].change > 0) == (direction == "up")]
            delay, anomaly = hits[0] if hits else (None, None)
            right = anomaly is not None and anomaly.slice.name in who
            rows.append((seed, name, delay, right, anomaly))
    print(f"quiet: {len(false)} episodes in {weeks:.0f} weeks, {len(false) / weeks:.2f} a week")
    for seed, when, anomaly in false:
        print(f"  seed {seed}, hour {when}: {anomaly.words} ({anomaly.chance:.0e})")
    print("| planted | seed | found after | slice named | said |\n|---|---|---|---|---|")
    for seed, name, delay, right, anomaly in rows:
        found = "not in 72 h" if delay is None else f"{delay} h"
        print(f"| {name} | {seed} | {found} | {'yes' if right else 'no'} | {anomaly.words if anomaly else ''} |")


if __name__ == "__main__":
    main()
