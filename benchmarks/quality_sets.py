"""What the quality learner reaches through `fairlead bench` on the folds of public routing sets, with intervals.

    python benchmarks/quality_sets.py ROUTING_FOLDER [--sets NAME ...] [--what folds leave_out bandit floor cold]
        [--keep FOLDER] [--labels 1500] [--metadata dataset,domain]

ROUTING_FOLDER holds `<set>/outcomes.parquet` and `folds/`. Every figure is of prompts that were not learned from: the
five folds are put together first. AIQ_b is the mean height of the non-decreasing hull of cost and quality between the
cheapest single model and the best one, over 61 prices; the zero router is the hull of the single models. APGR and CPT
are RouteLLM's, with the predicted advantage of the strong model as the score; its published best is beside them (its
labels are from other data than these test prompts, ours are not). Intervals are bootstraps over prompts. With `bandit`
the learner has one label a prompt, with `--labels` a few prompts; the table, by task, and the means know all of them.

What was computed is kept in `--keep` and not computed again.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import polars as pl
from quality_figures import Held, Resamples, aiq_b, baselines, ece, floors, gain, recovered, shown, skill

from fairlead import project
from fairlead.evaluation import bench

KEY = ["dataset", "prompt_id"]
SOURCE = {"routellm_evals_mmlu": ("routellm_evals", "mmlu"), "routellm_evals_gsm8k": ("routellm_evals", "gsm8k")}
PAIR = ("gpt-4-1106-preview", "mistralai/Mixtral-8x7B-Instruct-v0.1")
PUBLISHED = {"routellm_evals_mmlu": (0.603, 35.4, 70.3), "routellm_evals_gsm8k": (0.622, 33.6, 63.3)}
SETS = ["zeroeval", "routellm_evals_gsm8k", "routellm_evals_mmlu", "mmlu_pro_chat", "bfcl_2024_07"]


def matrix_of(folder: Path, name: str) -> pl.DataFrame:
    """Read a set, restricted to its pool and to the prompts of its folds, with `fold` and `left_out`."""
    source, dataset = SOURCE.get(name, (name, None))
    rows = pl.read_parquet(folder / source / "outcomes.parquet")
    if dataset:
        rows = rows.filter((pl.col("dataset") == dataset) & ~pl.col("contaminated"))
    pools = json.loads((folder / "folds" / "pools.json").read_text(encoding="utf-8"))
    if name in pools and not dataset:
        rows = rows.filter(pl.col("model").is_in(pools[name]))
    path = folder / "folds" / f"{name}.parquet"
    if path.exists():
        folds = pl.read_parquet(path)
        if "fold_leave_task_out" not in folds.columns:
            folds = folds.with_columns(fold_leave_task_out=pl.lit(0))
        folds = folds.select("prompt_id", "fold", left_out="fold_leave_task_out", task="task")
        return rows.join(folds, on="prompt_id", how="inner")
    whole = pl.len().over(*KEY) == pl.col("model").n_unique()
    rows = rows.filter(whole & (pl.col("cost_usd").is_not_null().all().over("model")))
    keys = rows.select(KEY).unique().sort(KEY)
    fold = np.random.default_rng(0).permutation(keys.height) % 5
    tasks = keys["dataset"].rank("dense").to_numpy() - 1
    return rows.join(keys.with_columns(fold=pl.Series(fold), left_out=pl.Series(tasks), task="dataset"), on=KEY)


def predicted(
    rows: pl.DataFrame, by: str, keep: Path, metadata: tuple[str, ...], labels: str, most: int | None
) -> pl.DataFrame:
    """Run the bench for each value of the column `by` and put the test predictions together."""
    keep.mkdir(parents=True, exist_ok=True)
    outcome = [c for c in rows.columns if c not in ("fold", "left_out", "task")]
    rows.select(outcome).write_parquet(keep / "matrix.parquet")
    keys = rows.select(*KEY, by).unique().sort(KEY)
    found = []
    for part in sorted(keys[by].unique().to_list()):
        out = keep / f"{by}_{part}"
        if not (out / "summary.json").exists():
            out.mkdir(parents=True, exist_ok=True)
            learn = keys.filter(pl.col(by) != part).select(KEY)
            learn = learn.sample(most, seed=0) if most and most < learn.height else learn
            learn.write_parquet(out / "train.parquet")
            keys.filter(pl.col(by) == part).select(KEY).write_parquet(out / "test.parquet")
            paths = (keep / "matrix.parquet", out / "train.parquet", out / "test.parquet", out)
            bench.run(*paths, project.defaults() / "models", metadata=metadata, labels=labels)
        said = json.loads((out / "summary.json").read_text(encoding="utf-8"))
        quality = said["predictors"]["quality"]
        print(f"    {out.name}: {said['seconds']:.0f} s, {quality['reason']}", file=sys.stderr, flush=True)
        found.append(pl.read_parquet(out / "predictions.parquet").with_columns(part=pl.lit(part)))
    return pl.concat(found)


def held(rows: pl.DataFrame, found: pl.DataFrame, by: str) -> Held:
    """Lay predictions and outcomes out as (prompts, models), with what each fold's training prompts say."""
    names = sorted(rows["model"].unique().to_list())
    both = found.join(
        rows.select(*KEY, "model", "task", outcome="quality", dollars="cost_usd"), on=[*KEY, "model"], how="left"
    ).sort(*KEY, "model")
    whole = both.filter(pl.col("outcome").is_not_null().all().over(KEY))
    wide = {
        c: whole[c].cast(pl.Float64).to_numpy().reshape(-1, len(names))
        for c in ("quality", "cost_usd", "outcome", "dollars")
    }
    task, part = (whole[c].to_numpy().reshape(-1, len(names))[:, 0] for c in ("task", "part"))
    if np.isnan(wide["dollars"]).all():  # RouteLLM's rows: its own prices
        price = np.array([24.7 if name == PAIR[0] else 0.24 for name in names])
        wide["dollars"] = wide["cost_usd"] = np.tile(price, (len(task), 1))
    means, table = np.zeros(wide["quality"].shape), np.zeros(wide["quality"].shape)
    tasks = sorted(set(task.tolist()))
    for one in np.unique(part):
        mine = part == one
        means[mine], table[mine] = baselines(wide["outcome"][~mine], task[~mine], tasks, task[mine])
    return Held(names, task, wide["quality"], wide["cost_usd"], wide["outcome"], wide["dollars"], means, table)


def report(name: str, tag: str, data: Held) -> None:
    """Print a set's figures."""
    again = Resamples(len(data.task))
    line = f"{name} ({tag}), {len(data.task)} prompts x {len(data.names)}"
    print(f"{line}: Brier skill {skill(data):.3f}, ECE {ece(data):.4f}")
    if name in PUBLISHED:
        at = [data.names.index(one) for one in PAIR]
        for label, values in (("ensemble", data.quality), ("category table", data.table)):
            score = values[:, at[0]] - values[:, at[1]]
            read = np.array([recovered(score, data.outcome[:, at], weight) for weight in again.weight])
            said = ", ".join(
                f"{n} {shown(read[:, i], d)}" for i, (n, d) in enumerate((("APGR", 3), ("CPT50", 1), ("CPT80", 1)))
            )
            print(f"    {label:<15} {said}   (published best {PUBLISHED[name]})")
        return
    routers = {"ensemble": data.quality, "category table": data.table, "endpoint means": data.means}
    areas = {label: aiq_b(data, values, again) for label, values in routers.items()}
    for label, (own, zero) in areas.items():
        print(
            f"    {label:<15} AIQ_b {shown(own)}, over the zero router {gain(own, zero)}, "
            f"over the endpoint means {gain(own, areas['endpoint means'][0])}"
        )
    print(f"    zero router     AIQ_b {shown(areas['ensemble'][1])}", flush=True)


def main() -> None:
    """Run what was asked for, set by set."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--sets", nargs="+", default=SETS)
    arguments.add_argument(
        "--what", nargs="+", default=["folds", "floor"], choices=["folds", "leave_out", "bandit", "floor", "cold"]
    )
    arguments.add_argument("--keep", type=Path)
    arguments.add_argument("--labels", type=int, help="learn from this many prompts of each fold")
    arguments.add_argument("--metadata", default="dataset")
    given = arguments.parse_args()
    keep = given.keep or Path(tempfile.mkdtemp())
    metadata = tuple(given.metadata.split(","))
    for name in given.sets:
        rows = matrix_of(given.folder, name)
        for what in given.what:
            by, labels = ("left_out" if what == "leave_out" else "fold"), "bandit" if what == "bandit" else "full"
            base = "folds" if what == "floor" else what
            place = keep / name / f"{base}_{given.metadata}_{given.labels or 'all'}"
            data = held(rows, predicted(rows, by, place, metadata, labels, given.labels), by)
            if what == "floor":
                broken, saved, change = floors(data)
                print(
                    f"{name} (no_worse, 100 splits): floor broken in {broken:.0%}, saving {saved:.1%}, "
                    f"quality {change:+.4f}",
                    flush=True,
                )
            else:
                report(name, f"{what}, {given.metadata}, {given.labels or 'all'} labels", data)


if __name__ == "__main__":
    main()
