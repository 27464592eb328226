"""What each label counts for: less where a judge gave it, nothing where its tenant stands apart from all others."""

from __future__ import annotations

from typing import Any

import numpy as np
from msgspec import structs

from fairlead.training.frame import Frame
from fairlead.training.tenants import SetAside, guard

__all__ = ["trusted"]

Array = np.ndarray[Any, Any]


def trusted(frame: Frame) -> Frame:
    """Give the frame with its labels weighed, about 1 in the mean, and without those of tenants that were set aside.

    What was found is added to `said`.
    """
    quality = frame.targets["quality"]
    seen = np.flatnonzero(np.isfinite(quality))
    weight = np.ones(len(frame)) if frame.weight is None else frame.weight.astype(np.float64)
    said = list(frame.said)
    if frame.tenant is not None and len(np.unique(frame.tenant[seen])) > 1:
        found = guard(quality[seen], weight[seen], frame.route[seen], frame.endpoint[seen], frame.tenant[seen])
        weight[seen] = found.weight
        said += [_told(one, frame) for one in found.set_aside]
        gone = seen[found.weight <= 0]
        quality = quality.copy()
        quality[gone] = np.nan
        if frame.askable is not None:  # they did get a label
            frame = structs.replace(frame, askable=frame.askable & ~np.isin(np.arange(len(frame)), gone))
        seen = seen[found.weight > 0]
    if not len(seen):
        return frame
    weight /= weight[seen].mean()
    plain = np.ptp(weight[seen]) < 1e-9
    return structs.replace(
        frame,
        targets={**frame.targets, "quality": quality},
        weight=None if plain else np.where(np.isfinite(quality), weight, 0.0),
        said=tuple(said),
    )


def _told(one: SetAside, frame: Frame) -> str:
    who = "requests without a tenant" if one.tenant < 0 else f"tenant {frame.tenants[one.tenant]}"
    where = "" if one.endpoint < 0 else f" more at {frame.endpoints[one.endpoint]} than elsewhere"
    return (
        f"{who} set aside: its {one.labels} labels are {one.apart:+.2f} from what others said of the same routes and "
        f"endpoints{where} (p = {one.p:.1g}); nothing is learned from them"
    )
