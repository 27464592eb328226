"""Learns from a routing matrix with the code that `train` and `publish` run."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from msgspec import Struct

from fairlead.errors import ModelError
from fairlead.evaluation import baselines, estimators
from fairlead.evaluation.operating_point import Training
from fairlead.publish import assemble, audit_rows
from fairlead.publish import audit as check
from fairlead.scoring.manifest import Endpoint
from fairlead.scoring.snapshot import Snapshot
from fairlead.training import calibrate, spec, tables
from fairlead.training.fit import FOLDS, FittedHead, fit_head
from fairlead.training.frame import Frame, folds_of
from fairlead.training.predictor import collect
from fairlead.training.quality import fit_quality
from fairlead.training.spec import HeadPlan, Spec

__all__ = ["Learned", "learn"]

Array = np.ndarray[Any, Any]
_EXPLAINED: Final = 0.02  # dollars left over by tokens x price, as a share, up to which prices are believed


class Learned(Struct, frozen=True, kw_only=True):
    """A snapshot, and what its operating point is chosen from: out-of-fold predictions beside outcomes.

    `training` belongs to the learned predictors, `table` to the category table on the same prompts. Where the matrix
    has no costs at all, an endpoint's mean quality stands in for its price (`stand_in`, (K,)): the better, the dearer.
    """

    snapshot: Snapshot
    training: Training
    table: Training
    stand_in: Array | None
    singles: Array  # mean quality (K,) on the training prompts
    reports: dict[str, dict[str, Any]]
    predicted: dict[str, Array]  # by head: what it says of each training prompt out of fold, (prompts, K)


def learn(frame: Frame, models: Path, labels: str) -> Learned:
    """Fit every predictor whose target the matrix has, choose nothing yet; ModelError when quality cannot be fitted."""
    full = labels == "full"
    rates = _rates(frame)
    fitted: dict[str, FittedHead] = {}
    predictors = []
    for one in _specs(models, priced=rates is not None):
        fit = fit_quality if one.method == "ensemble" else fit_head
        heads: list[FittedHead] = [
            fit(frame, plan, one.params, every_endpoint=not full) for plan in _possible(frame, one)
        ]
        if heads:
            margins = _margins(frame, heads[0]) if one.name == "quality" else None
            predictors.append(collect(frame, one, heads, margins))
            fitted |= {head.plan.name: head for head in heads}
    if "quality" not in fitted:
        raise ModelError("the matrix has too few qualities to learn from")
    snapshot = assemble(
        predictors,
        _endpoints(frame, rates),
        policy="intelligent",
        parameters={},
        version=1,
        lineage={"labels": labels},
    )
    check(snapshot, predictors, audit_rows(snapshot))
    singles = _means(frame, frame.targets["quality"])
    predicted = {name: _out_of_fold(frame, head, full) for name, head in fitted.items()}
    stand_in = None if np.isfinite(frame.targets["cost_usd"]).any() else singles
    return Learned(
        snapshot=snapshot,
        training=_training(frame, fitted, predicted, rates, stand_in, full),
        table=_table_training(frame, stand_in, full),
        stand_in=stand_in,
        singles=singles,
        reports={
            name: {"serve": head.serve, "trees": head.trees, **head.metrics, "reason": getattr(head, "reason", "")}
            for name, head in fitted.items()
        },
        predicted=predicted,
    )


def _specs(models: Path, *, priced: bool) -> list[Spec]:
    """Read models/; where dollars cannot be priced from tokens, the cost predictor learns dollars."""
    declared = spec.read_all(models)
    if priced:
        return declared
    direct = [
        HeadPlan(name="cost_usd", target="cost_usd", alpha=0.5),
        HeadPlan(name="cost_usd_p90", target="cost_usd", alpha=0.9),
    ]
    return [msgspec.structs.replace(one, heads=direct) if one.name == "cost" else one for one in declared]


def _possible(frame: Frame, one: Spec) -> list[HeadPlan]:
    return [plan for plan in one.heads if int(np.isfinite(frame.targets.get(plan.target, np.nan)).sum()) >= 50]


def _rates(frame: Frame) -> Array | None:
    """Infer USD per input and output token of each endpoint (K, 2); None where tokens do not explain its costs."""
    cost, known = frame.targets["cost_usd"], np.isfinite(frame.targets["cost_usd"])
    tokens = np.column_stack((frame.targets["input_tokens"], frame.targets["output_tokens"]))
    if not known.any() or not (known & np.isfinite(tokens).all(axis=1)).any():
        return None
    rates, left, total = np.full((len(frame.endpoints), 2), np.nan), 0.0, 0.0
    for k in range(len(frame.endpoints)):
        mine = known & (frame.endpoint == k) & np.isfinite(tokens).all(axis=1)
        if mine.sum() >= 3:
            x, y = tokens[mine], cost[mine]
            scale = np.maximum(x.mean(axis=0), 1e-9)
            solved = np.linalg.lstsq(x / scale, y, rcond=None)[0] / scale
            rates[k] = solved if (solved >= 0).all() else (y.sum() / x.sum(), y.sum() / x.sum())
            left, total = left + float(np.abs(x @ rates[k] - y).sum()), total + float(y.sum())
    return rates if left <= _EXPLAINED * max(total, 1e-12) else None


def _endpoints(frame: Frame, rates: Array | None) -> list[Endpoint]:
    found = []
    for k, name in enumerate(frame.endpoints):
        known = rates is not None and bool(np.isfinite(rates[k]).all())
        pair = rates[k].tolist() if rates is not None and known else (None, None)
        found.append(
            Endpoint(name=name, provider_name=frame.providers[k], model=name, input_usd=pair[0], output_usd=pair[1])
        )
    return found


def _training(
    frame: Frame,
    fitted: dict[str, FittedHead],
    predicted: dict[str, Array],
    rates: Array | None,
    stand_in: Array | None,
    full: bool,
) -> Training:
    quality = predicted["quality"]
    if "cost_usd" in predicted:
        cost = predicted["cost_usd"] * _scale(fitted["cost_usd"])
    elif rates is not None and "output_tokens" in predicted:
        tokens_out = predicted["output_tokens"] * _scale(fitted["output_tokens"])
        cost = predicted["input_tokens"] * rates[:, 0] + tokens_out * rates[:, 1]
    else:
        cost = np.full(quality.shape, np.nan)
    return _against_outcomes(frame, quality, cost, stand_in, full)


def _table_training(frame: Frame, stand_in: Array | None, full: bool) -> Training:
    """The same for the category table: cross-fitted means of quality and of dollars."""
    shape = (frame.routes + 1, len(frame.endpoints))
    fold = folds_of(frame.group, FOLDS)
    _, first = _prompts(frame)
    predicted = []
    for name in ("quality", "cost_usd"):
        target = frame.targets[name]
        out = tables.crossfit_all(target, frame.route, frame.endpoint, shape, fold)[first]
        # The table of dollars says 0 for an endpoint without any; that is unknown, not free.
        out[:, ~np.isfinite(_means(frame, target))] = np.nan
        predicted.append(out)
    return _against_outcomes(frame, predicted[0], predicted[1], stand_in, full)


def _against_outcomes(frame: Frame, quality: Array, cost: Array, stand_in: Array | None, full: bool) -> Training:
    """Put predictions (prompts, K) beside what came of them; from one label a prompt, doubly robust."""
    prompt, _ = _prompts(frame)
    outcomes = {}
    for name, predicted in (("quality", quality), ("cost_usd", cost)):
        seen, reward = np.full(quality.shape, np.nan), frame.targets[name]
        seen[prompt, frame.endpoint] = reward
        known = np.isfinite(reward)
        if not full and known.any():
            rows, chance = prompt[known], frame.propensity[known]
            base = np.nan_to_num(predicted[rows], nan=0.0)
            seen[rows] = estimators.pseudo_outcomes(reward[known], frame.endpoint[known], chance, base)
            seen[rows] = np.where(np.isfinite(predicted[rows]), seen[rows], np.nan)
        outcomes[name] = seen
    if stand_in is not None:
        cost = outcomes["cost_usd"] = np.tile(stand_in, (len(quality), 1))
    return Training(
        quality=quality, cost_usd=cost, outcome_quality=outcomes["quality"], outcome_cost_usd=outcomes["cost_usd"]
    )


def _prompts(frame: Frame) -> tuple[Array, Array]:
    """Number the prompts (n,) and give each one's first row."""
    _, first, prompt = np.unique(frame.ids, return_index=True, return_inverse=True)
    return prompt, first


def _out_of_fold(frame: Frame, head: FittedHead, full: bool) -> Array:
    """Give a head's out-of-fold predictions as (prompts, K); a cell that was never seen gets its endpoint's mean."""
    prompt, first = _prompts(frame)
    out = np.full((len(first), len(frame.endpoints)), np.nan)
    if full:
        out[prompt[head.rows], frame.endpoint[head.rows]] = head.oof_own
        out = np.where(np.isfinite(out), out, baselines.known_means(out))
    else:
        out[prompt[head.rows]] = head.oof
    return out


def _scale(head: FittedHead) -> Array:
    scale: Array = head.scale[1 if head.serve == "forest" else 0]
    return scale


def _margins(frame: Frame, head: FittedHead) -> tuple[Array, Array]:
    own = frame.endpoint[head.rows]
    return calibrate.margins(head.oof_own, frame.targets["quality"][head.rows], own, len(frame.endpoints))


def _means(frame: Frame, values: Array) -> Array:
    known = np.isfinite(values)
    count = np.bincount(frame.endpoint[known], minlength=len(frame.endpoints))
    means: Array = np.bincount(frame.endpoint[known], values[known], len(frame.endpoints)) / np.maximum(count, 1)
    return np.where(count > 0, means, np.nan)
