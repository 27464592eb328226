"""Quality as the plain mean of four learners, contrasts shrunk by what they are worth for routing.

The four share what they learn across endpoints: a perceptron, an item response model, a stacked low rank and the forest
of `fit.fit_head`. A stack of them would fall apart on requests of a new kind; the mean does not.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
import numpy as np

from fairlead.scoring.dense import Dense, DenseHead, shrunk
from fairlead.scoring.parts import Parts
from fairlead.scoring.table import CategoryTable
from fairlead.training import tables
from fairlead.training.fit import FOLDS, FittedHead, fit_head
from fairlead.training.frame import Frame
from fairlead.training.quality import irt, lowrank, mlp, readout
from fairlead.training.quality.inputs import Inputs, inputs_of
from fairlead.training.quality.labels import Labels, labels_of
from fairlead.training.quality.market import market_of
from fairlead.training.quality.network import Network
from fairlead.training.quality.noisy import by_judges
from fairlead.training.quality.platt import apply, platt
from fairlead.training.quality.reach import by_reach
from fairlead.training.quality.share import MANY, Choice, by_route, choose
from fairlead.training.quality.trust import trusted
from fairlead.training.spec import HeadPlan, Params

__all__ = ["FittedQuality", "fit_quality"]

Array = np.ndarray[Any, Any]
MOST: Final = 100_000  # requests that the networks learn from: a sample of whole prompts where there are more
Z95: Final = 1.959963984540054


class FittedQuality(FittedHead, frozen=True, kw_only=True):
    """A fitted quality: the head, whose forest is one of the learners, and the networks beside it.

    `parts` hold the networks and the projection; None where the table or the forest serves alone. `reason` says in
    words why contrasts are kept as they are. `oof` and `oof_own` are of the shrunk mean of all learners.
    """

    parts: Parts | None = None
    reason: str = ""


def fit_quality(frame: Frame, plan: HeadPlan, params: Params, *, every_endpoint: bool = True) -> FittedQuality:
    """Fit the ensemble; ModelError when there are too few rows with a quality.

    With fewer than 200 labelled requests, or one endpoint, there is nothing to learn a contrast from: then the forest
    or the table serves as `fit_head` found it.
    """
    frame = by_reach(by_judges(trusted(frame), FOLDS), FOLDS)
    head = fit_head(frame, plan, params, every_endpoint=every_endpoint)
    kept = _sampled(frame.group[head.rows])
    head = msgspec.structs.replace(
        head, rows=head.rows[kept], oof=head.oof[kept], oof_own=head.oof_own[kept], base=head.base[kept]
    )
    part = frame.take(head.rows)
    labels = labels_of(part, FOLDS)
    if len(labels) < MANY or len(part.endpoints) < 2:
        what = f"{len(labels)} labelled requests, {MANY} are needed" if len(labels) < MANY else "one endpoint"
        reason = f"quality.share 0: no networks, {what}; the {head.serve} is served"
        return _with(head, None, "; ".join([reason, *frame.said]))
    inputs = inputs_of(part.take(labels.row))
    members = networks(inputs, labels)
    said = [apply(one.platt, net.held) for one, net in members.values()]
    mixed = np.mean(said, axis=0)
    if head.serve == "forest":
        beside = np.mean([*said, _of_forest(head, part, labels, mixed)], axis=0)
        # Where text is all there is, the forest, which reads no words, can make the mean worse: then it stays out.
        if _brier(beside, labels) < _brier(mixed, labels):
            mixed = beside
        else:
            head = msgspec.structs.replace(head, serve="table")
    table = _table(part, labels)
    route = part.route[labels.row]
    choice = choose(mixed, table, market_of(part, labels, mixed), labels)
    if choice.table:
        return _served(head, part, labels, table, choice, None, table, every_endpoint)
    shares = by_route(choice.share, part.route, part.routes)
    at = np.where(np.isfinite(route), route, part.routes).astype(np.int64)
    quality = shrunk(mixed, labels.mean, shares[at][:, None])
    dense = Dense(
        inputs=inputs.layout,
        heads={name: one for name, (one, _) in members.items()},
        mean=labels.mean.astype(np.float32),
        share=choice.share,
        routes=shares,
    )
    parts = Parts(projection=inputs.projection if dense.reads_text else None, dense=dense)
    return _served(head, part, labels, quality, choice, parts, table, every_endpoint)


def networks(inputs: Inputs, labels: Labels) -> dict[str, tuple[DenseHead, Network]]:
    """Fit the three networks and calibrate each: by name, the head that scoring reads and what it said out of fold."""
    few = readout.sparse(labels.counts)
    found = {}
    for name, learner in (("irt", irt.fit), ("lowrank", lowrank.fit), ("mlp", mlp.fit)):
        net = learner(inputs.value, labels.score, labels.weight, labels.fold)
        constants = platt(net.held, labels.score, labels.proof)
        if few.any():
            net, constants[:, few] = readout.borrow(net, labels.score, labels.weight, few)
        one = DenseHead(center=inputs.center, scale=inputs.scale, layers=net.layers, platt=constants)
        found[name] = (one, net)
    return found


def _sampled(group: Array) -> Array:
    """Choose at most MOST rows, whole prompts: places (m,)."""
    if len(group) <= MOST:
        return np.arange(len(group))
    names, which = np.unique(group, return_inverse=True)
    order = np.random.default_rng(0).permutation(len(names))
    return np.flatnonzero(order[which] < len(names) * MOST / len(group))


def _of_forest(head: FittedHead, frame: Frame, labels: Labels, otherwise: Array) -> Array:
    """Lay the forest's out-of-fold predictions out as (n, K); cells it was not asked for are `otherwise`."""
    if head.oof.shape[1] == len(frame.endpoints):
        every: Array = head.oof[labels.row]
        return every
    out = otherwise.copy()
    out[labels.request, frame.endpoint] = head.oof_own
    return out


def _brier(quality: Array, labels: Labels) -> float:
    return float((labels.weight * (labels.score - quality) ** 2).sum())


def _table(frame: Frame, labels: Labels) -> Array:
    """The category table's prediction of each request (n, K) from the other folds."""
    shape, out = (frame.routes + 1, len(frame.endpoints)), np.zeros(labels.score.shape)
    route, fold = frame.route, labels.fold[labels.request]
    for part in np.unique(fold):
        learn, mine = fold != part, labels.fold == part
        weight = None if frame.weight is None else frame.weight[learn]
        fitted = tables.fit(frame.targets["quality"][learn], route[learn], frame.endpoint[learn], shape, None, weight)
        out[mine] = CategoryTable(values=fitted).lookup(route[labels.row[mine]])
    return np.clip(out, 0.01, 0.99)


def _served(
    head: FittedHead,
    frame: Frame,
    labels: Labels,
    quality: Array,
    choice: Choice,
    parts: Parts | None,
    table: Array,
    every_endpoint: bool,
) -> FittedQuality:
    quality = np.clip(quality, 1e-4, 1 - 1e-4)
    actual = frame.targets["quality"]
    own, beside = (one[labels.request, frame.endpoint] for one in (quality, table))
    gain = (actual - beside) ** 2 - (actual - own) ** 2
    _, which = np.unique(frame.group, return_inverse=True)
    error = float(np.sqrt((np.bincount(which, weights=gain - gain.mean()) ** 2).sum())) / len(gain)
    loss = float(((actual - own) ** 2).mean())
    metrics = {
        **head.metrics,
        "loss_forest": head.metrics["loss"],
        "loss": loss,
        "loss_served": loss,
        "loss_table": float(((actual - beside) ** 2).mean()),
        "loss_endpoint_mean": float(((actual - labels.mean[frame.endpoint]) ** 2).mean()),
        "gain_over_table": float(gain.mean()),
        "gain_low": float(gain.mean()) - Z95 * error,
        "gain_high": float(gain.mean()) + Z95 * error,
        "learners": float(0 if parts is None or parts.dense is None else len(parts.dense.heads))
        + (head.serve == "forest" and not choice.table),
        **choice.figures,
    }
    head = msgspec.structs.replace(
        head,
        serve="table" if choice.table else head.serve,
        metrics=metrics,
        oof=quality[labels.request] if every_endpoint else own[:, None],
        oof_own=own,
    )
    return _with(head, parts, "; ".join([choice.reason, *frame.said]))


def _with(head: FittedHead, parts: Parts | None, reason: str) -> FittedQuality:
    return FittedQuality(
        **{name: getattr(head, name) for name in FittedHead.__struct_fields__}, parts=parts, reason=reason
    )
