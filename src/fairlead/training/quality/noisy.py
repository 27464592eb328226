"""Whether the labels of judges help at all: they are learned from where that is proven on people's labels.

A judge that agrees with people half of the time adds thousands of labels and takes contrasts away. What decides is one
learner, the item response model, learned from people and tests alone and from everything, each calibrated on people and
tests and held against them on prompts left out.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from msgspec import structs

from fairlead.training.frame import Frame
from fairlead.training.quality import irt
from fairlead.training.quality.inputs import inputs_of
from fairlead.training.quality.labels import Labels, labels_of
from fairlead.training.quality.platt import apply, platt
from fairlead.training.quality.share import MANY

__all__ = ["by_judges"]

Array = np.ndarray[Any, Any]
MOST: Final = 50_000  # labels that the question is asked on
Z95: Final = 1.959963984540054


def by_judges(frame: Frame, folds: int) -> Frame:
    """Give the frame without the labels of judges where there are people's enough and judges are not proven to help.

    `said` says what was found.
    """
    seen = np.isfinite(frame.targets["quality"])
    if frame.sure is None or (seen & frame.sure).sum() < MANY or not (seen & ~frame.sure).any():
        return frame
    rows = np.flatnonzero(seen)
    rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), MOST)).astype(np.int64)]
    both = frame.take(rows)
    mean, error = _gain(both.take(frame.sure[rows]), both, folds)
    helps = mean - Z95 * error > 0
    what = "are learned from too, since they make" if helps else "are not learned from, since they would make"
    people, judges = int((seen & frame.sure).sum()), int((seen & ~frame.sure).sum())
    told = (
        f"labels of judges, {judges} beside {people} of people and tests, {what} the squared error smaller by "
        f"{mean:+.2g} [{mean - Z95 * error:+.2g}, {mean + Z95 * error:+.2g}]"
    )
    said = (*frame.said, told)
    if helps:
        return structs.replace(frame, said=said)
    quality = np.where(frame.sure, frame.targets["quality"], np.nan)
    return structs.replace(frame, targets={**frame.targets, "quality": quality}, said=said)


def _gain(alone: Frame, both: Frame, folds: int) -> tuple[float, float]:
    """Give how much smaller the squared error on sure labels is with all of them, and the standard error of that."""
    errors = []
    for frame in (alone, both):
        labels = labels_of(frame, folds)
        inputs = inputs_of(frame.take(labels.row))
        held = irt.fit(inputs.value, labels.score, labels.weight, labels.fold).held
        errors.append(_errors(held, labels, frame))
    one, other = errors
    gain = np.array([one[name] - other[name] for name in one])
    return float(gain.mean()), float(gain.std() / np.sqrt(len(gain)))


def _errors(held: Array, labels: Labels, frame: Frame) -> dict[str, float]:
    """Sum the squared errors of each prompt's sure labels."""
    off = labels.proof * (labels.score - apply(platt(held, labels.score, labels.proof), held)) ** 2
    mine = labels.sure.any(axis=1)
    names, which = np.unique(labels.group[mine], return_inverse=True)
    sums = np.bincount(which, weights=np.where(labels.sure, off, 0)[mine].sum(axis=1))
    counts = np.bincount(which, weights=labels.sure[mine].sum(axis=1))
    return dict(zip(names.tolist(), (sums / counts).tolist(), strict=True))
