"""Which requests get feedback: where some kinds of requests get more of it than others, labels are no fair sample.

The chance of a label is predicted from what is known before the call, and labels weigh its inverse (Rosenbaum and Rubin
1983), clipped. That is right where, given the request and its endpoint, feedback does not depend on how good the answer
was; whether it does, no log can tell. Weights cost precision, so they are used only where they are proven to help on
prompts left out.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from msgspec import Struct, structs
from sklearn.ensemble import HistGradientBoostingClassifier

from fairlead.training import tables
from fairlead.training.frame import Frame, folds_of
from fairlead.training.quality import irt
from fairlead.training.quality.inputs import inputs_of
from fairlead.training.quality.labels import labels_of
from fairlead.training.quality.network import sigmoid

__all__ = ["Reach", "by_reach", "reach_of"]

Array = np.ndarray[Any, Any]
MOST: Final = 50_000  # requests that the chance is learned from
LEAST: Final = 200  # requests, and labels and gaps each a tenth of that, below which nothing is estimated
STEEPEST: Final = 5.0  # a weight is at most so many times the median one
UNEVEN: Final = 0.3  # spread of the weights (coefficient of variation) below which they cannot matter
Z95: Final = 1.959963984540054


class Reach(Struct, frozen=True, kw_only=True):
    """The share of requests that got a label, over all and from the route that gets least to that which gets most.

    `weight` and `chance` (n,) are for every row of the frame: the weight is 1 in the mean over rows with a label, the
    chance of it is NaN elsewhere. Both are None where labels are even.
    """

    share: float
    lowest: float
    highest: float
    weight: Array | None = None
    chance: Array | None = None

    @property
    def told(self) -> str:
        """Say it in words."""
        return f"labels reach {self.share:.0%} of the requests, {self.lowest:.0%} to {self.highest:.0%} by route"


def reach_of(frame: Frame) -> Reach | None:
    """Estimate who gets feedback, from the requests that could have had it by now; None where there is too little."""
    if frame.askable is None:
        return None
    asked = np.flatnonzero(frame.askable)
    got = np.isfinite(frame.targets["quality"][asked])
    if len(asked) < LEAST or min(got.sum(), (~got).sum()) < LEAST / 10:
        return None
    labelled = np.flatnonzero(np.isfinite(frame.targets["quality"]))
    chance = _chance(frame, asked, got, labelled)
    raw = 1 / np.clip(chance, 1e-3, 1)
    raw = np.minimum(raw, STEEPEST * np.median(raw))
    raw /= raw.mean()
    by_route = _shares(frame.route[asked], got)
    weight, known = np.zeros(len(frame)), np.full(len(frame), np.nan)
    weight[labelled], known[labelled] = raw, chance
    uneven = raw.std() > UNEVEN
    return Reach(
        share=float(got.mean()),
        lowest=float(by_route.min()),
        highest=float(by_route.max()),
        weight=weight if uneven else None,
        chance=known if uneven else None,
    )


def _chance(frame: Frame, asked: Array, got: Array, labelled: Array) -> Array:
    """Predict the chance of a label for rows `labelled` (m,), each by a model that has not seen its prompt."""
    half = folds_of(frame.group, 2)
    shape = (frame.routes + 1, len(frame.endpoints))
    out = np.zeros(len(labelled))
    for fold in (0, 1):
        kept = np.flatnonzero(half[asked] != fold)
        kept = kept[np.linspace(0, len(kept) - 1, min(len(kept), MOST)).astype(np.int64)]
        part, target = frame.take(asked[kept]), got[kept].astype(np.float64)
        mine = np.flatnonzero(half[labelled] == fold)
        if not len(kept) or np.ptp(target) == 0:
            out[mine] = target.mean() if len(kept) else got.mean()
            continue
        held = tables.crossfit(target, part.route, part.endpoint, shape, folds_of(part.group, 4))
        model = HistGradientBoostingClassifier(max_iter=60, max_leaf_nodes=15, min_samples_leaf=50, random_state=0)
        shown = _inputs(part, held)
        known = np.isfinite(shown)
        # The learner refuses a column of nothing, and one that is always the same says nothing.
        varied = np.where(known, shown, -np.inf).max(axis=0) > np.where(known, shown, np.inf).min(axis=0)
        model.fit(shown[:, varied], target)
        rows = frame.take(labelled[mine])
        table = tables.fit(target, part.route, part.endpoint, shape)
        asked_of = _inputs(rows, tables.at(table, rows.route, rows.endpoint))[:, varied]
        out[mine] = model.predict_proba(asked_of)[:, 1]
    return out


def by_reach(frame: Frame, folds: int) -> Frame:
    """Give the frame with labels weighed by who gets feedback, where that is proven to help, and say so in `said`.

    What decides is one learner, the item response model, fitted with and without: its squared error on the folds left
    out, over all requests and not over those that got feedback, must be smaller with a 95 % interval over prompts.
    """
    found = reach_of(frame)
    if found is None:
        return frame
    if found.weight is None:
        return structs.replace(frame, said=(*frame.said, f"{found.told}: evenly enough"))
    own = np.ones(len(frame)) if frame.weight is None else frame.weight
    weighed = structs.replace(frame, weight=own * found.weight)
    gain = _gain(frame, weighed, folds)
    helps = gain[1] > 0
    told = (
        f"{found.told}: weights against that {'are used' if helps else 'are not used, since they'} "
        f"{'make' if helps else 'would make'} the squared error over all requests smaller by "
        f"{gain[0]:+.2g} [{gain[1]:+.2g}, {gain[2]:+.2g}]"
    )
    return structs.replace(weighed if helps else frame, said=(*frame.said, told))


def _gain(plain: Frame, weighed: Frame, folds: int) -> tuple[float, float, float]:
    rows = np.flatnonzero(np.isfinite(plain.targets["quality"]))
    rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), MOST)).astype(np.int64)]
    sides = [labels_of(frame.take(rows), folds) for frame in (plain, weighed)]
    inputs = inputs_of(plain.take(rows[sides[0].row]))
    without, with_ = (sigmoid(irt.fit(inputs.value, one.score, one.weight, one.fold).held) for one in sides)
    labels = sides[1]
    gain = (labels.weight * ((labels.score - without) ** 2 - (labels.score - with_) ** 2)).sum(axis=1)
    gain /= labels.weight.sum() / len(gain)
    _, which = np.unique(labels.group, return_inverse=True)
    error = float(np.sqrt((np.bincount(which, weights=gain - gain.mean()) ** 2).sum())) / len(gain)
    mean = float(gain.mean())
    return mean, mean - Z95 * error, mean + Z95 * error


def _inputs(part: Frame, share: Array) -> Array:
    numbers = [column.owner == "request" and column.kind == "number" for column in part.columns]
    return np.column_stack([share, part.request_columns()[:, numbers]]).astype(np.float32)


def _shares(route: Array, target: Array) -> Array:
    code = np.unique(np.nan_to_num(route, nan=-1), return_inverse=True)[1]
    count = np.bincount(code)
    shares: Array = (np.bincount(code, weights=target) / count)[count >= LEAST / 10]
    return shares if shares.size else np.array([float(target.mean())])
