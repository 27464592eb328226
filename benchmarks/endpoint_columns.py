"""What an endpoint's price, context window and capabilities add to predictions for endpoints hardly seen.

    python benchmarks/endpoint_columns.py ROUTING_FOLDER [--sets bfcl_2024_07 zeroeval] [--labels 0 20] [--parts 4]

Endpoints are held out, a quarter at a time, but for `--labels` calls of each; the heads of models/ are fitted on the
others by the code that `train` runs and read on a quarter of the prompts, which nothing was learned from. `seen` is
the same quarter at all endpoints, none held out. `--prompts` are drawn from each set. Each is done without the
columns, with them free to interact with the request (`free`), and with them as constants of the endpoint, which is how
features/ states an endpoint (`state`). `prior` gives them to the category table instead: an endpoint's mean is drawn
to what a ridge regression on the columns of the other endpoints says, not to the mean of all. Prices are those that
the set was priced with when it was collected, not today's; context windows and capabilities are those of
data/models.csv, unknown for models that it does not list.

Figures are changes of the loss in percent against no columns, pinball in logarithms or Brier, every endpoint counted
alike, with 95 % intervals by bootstrap over endpoints: it is endpoints that are to be generalised to.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
from quantiles import KEY, frame_of
from sklearn.linear_model import RidgeCV

from fairlead import project
from fairlead.scoring.manifest import Column
from fairlead.training import losses, spec
from fairlead.training.fit import fit_head, linked
from fairlead.training.frame import Frame, folds_of
from fairlead.training.predictor import collect, own_predictions
from fairlead.training.spec import HeadPlan

FLAGS = ("tools", "vision", "json_schema", "reasoning")
HEADS = ("output_tokens", "latency_s", "quality")
DRAWS = 2000
Array = np.ndarray[Any, Any]


def plain(name: str) -> str:
    """Give a model's name as catalogues write it, as far as can be told: no host, no way of calling, lower case."""
    return re.sub(r"(-fc.*|-optimized|@.*)$", "", name.rsplit("/", maxsplit=1)[-1].lower())


def columns_of(path: Path, models: tuple[str, ...]) -> dict[str, Array]:
    """Give each model's columns (K,), NaN where nothing is known: log prices, log context window, capabilities."""
    rows = pl.read_parquet(path, columns=["model", "cost_usd", "tokens_in", "tokens_out"]).drop_nulls()
    catalogue: dict[str, dict[str, Any]] = {}
    for row in pl.read_csv(project.defaults() / "data" / "models.csv").iter_rows(named=True):
        catalogue.setdefault(plain(row["model"]), row)
    found = {name: np.full(len(models), np.nan) for name in ("price_in_log", "price_out_log", "window_log", *FLAGS)}
    for at, model in enumerate(models):
        own = rows.filter(model=model)
        if own.height > 10:
            tokens = own.select("tokens_in", "tokens_out").to_numpy().astype(float)
            price = np.linalg.lstsq(tokens, own["cost_usd"].to_numpy(), rcond=None)[0] * 1e6  # the sets state no prices
            found["price_in_log"][at], found["price_out_log"][at] = np.log(np.maximum(price, 1e-3))
        listed = catalogue.get(plain(model))
        if listed is not None:
            window, said = listed["context_window"], (listed["capabilities"] or "").split()
            found["window_log"][at] = np.log(window) if window else np.nan
            for flag in FLAGS:
                found[flag][at] = np.nan if not said else float(flag in said)
    return found


def with_columns(frame: Frame, found: dict[str, Array], how: str) -> Frame:
    """Give the frame with the columns, free to interact with the request's or constants of the endpoint."""
    added = [Column(name, "state" if how == "state" else "request") for name in found]
    own = {name: values[frame.endpoint] for name, values in found.items()}
    if how == "state":
        return msgspec.structs.replace(frame, columns=[*frame.columns, *added], state=own, state_now=found)
    batch = msgspec.structs.replace(frame.batch, scalars={**frame.batch.scalars, **own})
    return msgspec.structs.replace(frame, columns=[*frame.columns, *added], batch=batch)


def prior(frame: Frame, train: Array, value: Array, found: dict[str, Array]) -> Array:
    """Say by how much each endpoint's mean is to move from the mean of all, by its columns: (K,).

    An endpoint with n rows learned from takes 5 / (n + 5) of it, as the category tables shrink.
    """
    route, endpoint = np.nan_to_num(frame.route[train]).astype(int), frame.endpoint[train]
    usual = np.bincount(route, value) / np.maximum(np.bincount(route), 1)
    count = np.bincount(endpoint, minlength=len(frame.endpoints))
    effect = np.bincount(endpoint, value - usual[route], minlength=len(count)) / (count + 5)
    columns = np.stack(list(found.values()), axis=1)
    seen = count > 50
    middle, spread = np.nanmean(columns[seen], axis=0), np.nanstd(columns[seen], axis=0) + 1e-9
    inputs = np.nan_to_num((columns - middle) / spread)
    fitted = RidgeCV(np.logspace(-1, 4, 21)).fit(inputs[seen], effect[seen])
    said: Array = (fitted.predict(inputs) - effect[seen].mean()) * 5 / (count + 5)
    return said


def losses_of(
    frame: Frame, train: Array, test: Array, plan: HeadPlan, params: Any, found: dict[str, Array] | None
) -> Array:
    """Fit on some rows and give the loss of others, as predicted and with the columns' prior: (n, 2)."""
    head = fit_head(frame.take(train), plan, params, every_endpoint=False)
    one = spec.Spec(features=[], heads=[plan], gate=spec.Gate(metric="pinball"), name="columns")
    fitted, rows = collect(frame.take(train), one, [head], None), frame.take(test)
    actual = linked(frame.targets[plan.target][test], frame, test, plan)
    said = own_predictions(fitted, fitted.heads[0], rows)
    if found is None:
        return np.repeat(losses.loss(plan, actual, said)[:, None], 2, axis=1)
    move = prior(frame, train, linked(frame.targets[plan.target][train], frame, train, plan), found)
    moved = said + move[rows.endpoint]
    if plan.alpha is None:
        share = np.clip(1 / (1 + np.exp(-said)) + move[rows.endpoint], 0.01, 0.99)
        moved = np.log(share / (1 - share))
    return np.stack([losses.loss(plan, actual, one) for one in (said, moved)], axis=1)


def held_out(
    frame: Frame, plan: HeadPlan, params: Any, split: tuple[int, int], found: dict[str, Array] | None
) -> Array:
    """Give the mean loss at each endpoint, none of whose calls, or few of them, were learned from: (K, 2)."""
    parts, labels = split
    known = np.isfinite(frame.targets[plan.target])
    new = folds_of(frame.group, 4) == 0  # prompts
    part = np.random.default_rng(0).permutation(len(frame.endpoints)) % max(parts, 1)
    out = np.full((len(frame.endpoints), 2), np.nan)
    few = folds_of(frame.group, max(len(np.unique(frame.group)) // labels, 1)) == 1 if labels else np.zeros_like(new)
    for at in range(parts):
        mine = part[frame.endpoint] == at if parts > 1 else np.zeros(len(new), dtype=bool)
        train = np.flatnonzero(known & ~new & (~mine | few))
        test = np.flatnonzero(known & new & (mine | (parts == 1)))
        if test.size:
            loss = losses_of(frame, train, test, plan, params, found)
            for endpoint in np.unique(frame.endpoint[test]):
                out[endpoint] = loss[frame.endpoint[test] == endpoint].mean(axis=0)
    return out


def change(ours: Array, theirs: Array) -> str:
    """Give the change of the mean over endpoints, in percent, and its 95 % interval."""
    kept = np.isfinite(ours) & np.isfinite(theirs)
    one, other = ours[kept], theirs[kept]
    draws = np.random.default_rng(0).integers(0, len(one), (DRAWS, len(one)))
    low, high = 100 * (np.quantile(one[draws].mean(axis=1) / other[draws].mean(axis=1), [0.025, 0.975]) - 1)
    return f"{100 * (one.mean() / other.mean() - 1):+6.1f} [{low:+6.1f}, {high:+6.1f}]"


def main() -> None:
    """Print a line for each set, head and number of labels."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--sets", nargs="+", default=["bfcl_2024_07", "zeroeval"])
    arguments.add_argument("--labels", type=int, nargs="+", default=[0, 20])
    arguments.add_argument("--parts", type=int, default=4, help="as many as endpoints: one is held out at a time")
    arguments.add_argument("--heads", nargs="+", default=list(HEADS))
    arguments.add_argument("--prompts", type=int, default=200)
    given = arguments.parse_args()
    declared = spec.read_all(project.defaults() / "models")
    for name in given.sets:
        path = given.folder / name / "outcomes.parquet"
        frame = frame_of(path, (KEY[0],))
        size = max(len(np.unique(frame.group)) // given.prompts, 1)
        frame = frame.take(np.flatnonzero(folds_of(frame.group, size) == 0))
        found = columns_of(path, frame.endpoints)
        known = ", ".join(f"{column} {int(np.isfinite(values).sum())}" for column, values in found.items())
        print(f"{name}: {len(frame.endpoints)} endpoints, of which are known: {known}", flush=True)
        for one in declared:
            for plan in (head for head in one.heads if head.name in given.heads):
                if np.isfinite(frame.targets[plan.target]).sum() < 100:
                    continue
                for what in (*given.labels, "seen"):
                    split = (1, 0) if what == "seen" else (given.parts, int(what))
                    plain, drawn = held_out(frame, plan, one.params, split, found).T
                    ways = {"prior": drawn}
                    for how in ("free", "state"):
                        ways[how] = held_out(with_columns(frame, found, how), plan, one.params, split, None)[:, 0]
                    print(
                        f"{name:<14} {plan.name:<14} {what!s:>5}{'' if what == 'seen' else ' labels':<7}  "
                        f"loss {np.nanmean(plain):.4f}  "
                        + "  ".join(f"{how} {change(values, plain)}" for how, values in ways.items()),
                        flush=True,
                    )


if __name__ == "__main__":
    main()
