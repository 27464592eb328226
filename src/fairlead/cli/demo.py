"""The whole loop in one command, on traffic whose truth is known."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import typer

from fairlead import evaluation, features, ingest, project, publish, reports, training
from fairlead.cli import show
from fairlead.errors import UsageError
from fairlead.evaluation import simulate, table
from fairlead.scoring import Request, Router

__all__ = ["run"]

_MARK = ".fairlead-demo"


def run(folder: Path, requests: int) -> None:
    """Simulate, ingest, build, train, publish, judge, decide and report in `folder`.

    The folder is made anew; UsageError when it holds something that is not an earlier demo's.
    """
    if folder.exists() and not (folder / _MARK).is_file():
        raise UsageError(f"{folder} exists and is not an earlier demo; name another folder")
    shutil.rmtree(folder, ignore_errors=True)
    started = time.perf_counter()
    with show.progress("fairlead demo") as tell:
        tell("simulating a gateway", 0.0)
        here = project.init(folder)
        (folder / _MARK).touch()
        # Folds follow hashed prompts: with a key of its own the demo gives everyone the same figures.
        here.var.mkdir()
        (here.var / "hash.key").write_bytes(b"demo")
        made = simulate.run(folder / "gateway", requests=requests, exploration=0.3)
        shutil.copy(made.prices, here.contract)
        tell("ingesting its log", 0.1)
        loaded = ingest.load(here, [made.log, made.feedback])
        tell("building features", 0.25)
        features.build(here)
        tell("training predictors", 0.3)
        trained = training.train(here)
        tell("publishing a snapshot", 0.8)
        tuned = evaluation.tune(here, frontier=True)
        published = publish.publish(here, policy=tuned.policy, parameters=tuned.parameters, lineage=tuned.baselines)
        tell("judging policies", 0.85)
        judged = evaluation.judge(here, truth=made.truth)
        tell("writing the report", 0.95)
        path = reports.render(here)
    forests = [head.name for one in trained for head in one.heads if head.serve == "forest"]
    decision = Router(here.published).decide(
        Request(text="Prove that the square root of 2 is irrational.", route="maths")
    )
    best = decision.ranked[0]
    typer.echo(
        f"gateway   {made.requests:,} requests to {len(made.endpoints)} endpoints, logged as LiteLLM logs them\n"
        f"ingest    {loaded.read:,} read = {loaded.stored:,} stored + {loaded.duplicates:,} duplicates "
        f"+ {loaded.quarantined:,} quarantined\n"
        f"train     {len(trained)} predictors; the forest beat the category table for {', '.join(forests) or 'none'}\n"
        f"publish   snapshot version {published.version}, {published.bytes / 1024:,.0f} KiB, "
        f"differs from LightGBM by at most {published.largest_difference:.0e}\n"
        f"decide    {decision.endpoint} for a proof: quality {best.quality or float('nan'):.2f} at "
        f"USD {best.cost_usd or float('nan'):.5f}, in {decision.decided_us:,.0f} us\n"
        f"\n{table.render(judged)}\n"
    )
    for metric in ("quality", "cost_usd"):
        one = judged.policy(judged.candidate).metrics[metric]
        if one.truth is not None and one.dr is not None and one.dr.low is not None and one.dr.high is not None:
            said = "covers" if one.dr.low <= one.truth <= one.dr.high else "misses"
            interval = f"the 95 % interval [{one.dr.low:.4g}, {one.dr.high:.4g}] {said} it"
            typer.echo(f"truth     {metric}: {one.truth:.4g}; {interval}")
    typer.echo(f"\nall of it in {time.perf_counter() - started:.0f} s; the report:\n{path.resolve()}")
