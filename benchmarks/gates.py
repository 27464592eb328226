"""Do the gates stop bad candidates and let good ones pass? Ten are planted, the rest are as good as the champion.

    python benchmarks/gates.py [--requests 6000] [--alike 20] [--seed 0] [--keep FOLDER]

A simulated gateway's log is ingested, trained on and published: the champion. Candidates alike are trained anew by the
product's own training, each without another tenth of the same requests. The ten bad ones are those that a team makes by
accident: a feature that is known only afterwards, the sign of cost turned round, old prices, a provider left out, one
endpoint for everything, a route without predictions, labels that belong to other requests, sixty labels, training on
its own canary's decisions, a changed file. Those that are faults of training are trained; those that are faults of the
file are made of the file.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

import numpy as np
import polars as pl
from msgspec.structs import replace

from fairlead import evaluation, features, ingest, project, publish, training
from fairlead.evaluation import gates, simulate
from fairlead.scoring.snapshot import CANDIDATE, Snapshot, open_published
from fairlead.scoring.table import CategoryTable
from fairlead.training import logs, spec
from fairlead.training.methods import METHODS

LEAK = """-- How good was it? Known only afterwards, and dated as if it had been before.
-- grain: event_id
select attempts.event_id, attempts.start_time as as_of, labels.quality as tag_said
from attempts left join labels on attempts.request_id = labels.request_id
"""


def train(here: project.Project, change=None, holdout: float = 0.3) -> list:
    """Train every predictor of decisions on rows that `change` may alter, without the registry."""
    joined = features.join(here, states=spec.tables_of(here.models))
    moment = joined.rows["start_time"].sort()[int((joined.rows.height - 1) * (1 - holdout))]
    if change is not None:
        early = pl.col("start_time") < moment
        joined = replace(joined, rows=pl.concat([change(joined.rows.filter(early)), joined.rows.filter(~early)]))
    frame = logs.frame_of(joined, moment)
    found = []
    for one in spec.read_all(here.models):
        own = replace(frame, hidden=logs.hidden(frame, one, joined))
        found.append(METHODS[one.method](own, one)[0])
    return found


def laid(here: project.Project, predictors: list, champion: Snapshot, ends=None, version: int | None = None) -> Path:
    """Assemble trained predictors with the champion's policy and lay them down as the candidate."""
    head = next(h for p in predictors for h in p.heads if h.plan.name == "quality")
    made = publish.assemble(
        predictors,
        publish.endpoints_in(here, predictors[0]) if ends is None else ends,
        policy=champion.manifest.policy,
        parameters=champion.manifest.parameters,
        version=version or champion.manifest.version + 1,
        lineage={"labels": str(int(head.metrics["rows"]))},
    )
    made.write(here.published / CANDIDATE)
    return here.published / CANDIDATE


def alike(rng: np.random.Generator):
    """Give a change that leaves one request in ten out, drawn anew each time."""

    def change(rows: pl.DataFrame) -> pl.DataFrame:
        names = rows["request_id"].unique().sort()
        kept = names.gather(np.flatnonzero(rng.random(len(names)) < 0.9).tolist())
        return rows.filter(pl.col("request_id").is_in(kept.implode()))

    return change


def edited(champion: Snapshot, here: project.Project, **manifest) -> Snapshot:
    """Give the champion with a changed manifest, a version on."""
    version = champion.manifest.version + 1
    return replace(champion, manifest=replace(champion.manifest, **{"version": version, **manifest}))


def with_table(champion: Snapshot, here: project.Project, head: str, values: np.ndarray) -> Snapshot:
    """Give the champion with another table of one head."""
    heads = {**champion.heads, head: replace(champion.heads[head], table=CategoryTable(values=values))}
    return replace(edited(champion, here), heads=heads)


def planted(here: project.Project, champion: Snapshot, rng: np.random.Generator):
    """Yield the name of each bad candidate and where it lies."""
    path = here.published / CANDIDATE
    leak = here.features / "said_after.sql"
    leak.write_text(LEAK, encoding="utf-8")
    quality = here.models / "quality.toml"
    before = quality.read_text(encoding="utf-8")
    quality.write_text(before.replace('["request_shape.*"]', '["request_shape.*", "said_after.*"]'), encoding="utf-8")
    yield "a feature known only afterwards", laid(here, train(here), champion)
    leak.unlink()
    quality.write_text(before, encoding="utf-8")
    tokens = champion.heads["output_tokens"].table.values
    with_table(champion, here, "output_tokens", 2 * tokens.mean() - tokens).write(path)
    yield "the sign of cost turned round", path
    ends = [replace(end, output_usd=(end.output_usd or 0) * 2.5) for end in champion.manifest.endpoints]
    edited(champion, here, endpoints=ends).write(path)
    yield "old prices", path
    gone = champion.manifest.endpoints[0].provider_name
    rest = train(here, lambda rows: rows.filter(pl.col("provider_name") != gone))
    yield f"provider {gone} left out", laid(here, rest, champion)
    dearest = max(champion.manifest.endpoints, key=lambda end: end.output_usd or 0).name
    edited(champion, here, policy="weighted", parameters={"weights": {dearest: 1.0}}).write(path)
    yield "one endpoint for everything", path
    holes = tokens.copy()
    holes[1] = np.nan
    with_table(champion, here, "output_tokens", holes).write(path)
    yield "a route without predictions", path
    shuffled = train(here, lambda rows: rows.with_columns(quality=1 - pl.col("quality")))
    yield "labels of other requests", laid(here, shuffled, champion)
    few = train(here, lambda rows: rows.with_columns(
        quality=pl.when(pl.int_range(pl.len()) % (rows.height // 60) == 0).then(pl.col("quality"))))  # fmt: skip
    yield "sixty labels", laid(here, few, champion)
    with here_as_canary(here, champion.manifest.version + 1):
        path = laid(here, train(here), champion)
        yield "trained on its own canary's decisions", path
    data = bytearray(edited(champion, here).to_bytes())
    data[len(data) // 2] ^= 0x10
    path.write_bytes(data)
    yield "a changed file", path


class here_as_canary:
    """While inside, the logged decisions say that a snapshot of the candidate's version made every third of them."""

    def __init__(self, here: project.Project, version: int) -> None:
        self.join, self.version = features.join, version

    def __enter__(self) -> None:
        def join(*given, **named):
            joined = self.join(*given, **named)
            third = pl.col("request_id").hash(0) % 3 == 0
            said = pl.when(third).then(pl.lit(f"{self.version}+canary")).otherwise(pl.col("policy_version"))
            return replace(joined, rows=joined.rows.with_columns(policy_version=said))

        features.join = join

    def __exit__(self, *fault) -> None:
        features.join = self.join


def main() -> None:
    """Print what the gates say of each candidate."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--requests", type=int, default=6000)
    arguments.add_argument("--alike", type=int, default=20)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--keep", type=Path)
    given = arguments.parse_args()
    folder = given.keep or Path(tempfile.mkdtemp())
    here = project.init(folder / "project")
    made = simulate.run(folder / "gateway", requests=given.requests, endpoints=4, exploration=0.6, seed=given.seed)
    shutil.copy(made.prices, here.contract)
    ingest.load(here, [made.log, made.feedback])
    training.train(here)
    tuned = evaluation.tune(here)
    publish.publish(here, policy=tuned.policy, parameters=tuned.parameters, lineage=tuned.baselines)
    champion = open_published(here.published)[0]
    rng = np.random.default_rng(given.seed)
    stopped = 0
    for name, path in planted(here, champion, rng):
        found = gates.rule(here, path)
        stopped += found.verdict != "promote"
        told = "; ".join(f"{one.name}: {one.said}" for one in found.against[:2])
        print(f"{found.verdict:<8} {name:<40} {told[:220]}", flush=True)
    print(f"bad candidates stopped: {stopped} of 10", flush=True)
    verdicts: list[str] = []
    blamed: list[str] = []
    for _ in range(given.alike):
        found = gates.rule(here, laid(here, train(here, alike(rng)), champion))
        verdicts.append(found.verdict)
        blamed += [one.name for one in found.against]
        print(f"{found.verdict:<8} alike  {'; '.join(f'{one.name}: {one.said}' for one in found.against)}", flush=True)
    print(
        f"candidates alike: {verdicts.count('promote')} promoted, {verdicts.count('hold')} held, "
        f"{verdicts.count('refuse')} refused of {given.alike}; named: {', '.join(sorted(set(blamed))) or 'no gate'}"
    )


if __name__ == "__main__":
    main()
