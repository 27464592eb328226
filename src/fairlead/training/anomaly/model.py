"""The anomaly predictor: each measure's baseline, as data, and what it says of the newest hours."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from msgspec import Struct
from safetensors.numpy import load_file, save_file

from fairlead.errors import EvidenceError, ModelError
from fairlead.training.anomaly import baseline
from fairlead.training.anomaly.baseline import Baseline
from fairlead.training.anomaly.hours import Hours, Slice
from fairlead.training.anomaly.measures import MEASURES
from fairlead.training.anomaly.plan import Plan

__all__ = ["Usual", "fit", "read", "write"]

Array = np.ndarray[Any, Any]
_LEFT_OUT: Final = timedelta(days=1)  # the newest day may be what is to be found
_LEAST: Final = timedelta(days=3)
_PARTS: Final = ("expected", "calls", "variance", "spread", "tails")


class Usual(Struct, frozen=True, kw_only=True):
    """What is usual for each slice and measure, learned from the hours until `trained_until`."""

    plan: Plan
    trained_until: datetime
    hours: int
    slices: tuple[Slice, ...]
    baselines: dict[str, Baseline]

    @property
    def metrics(self) -> dict[str, float]:
        """How much wider than chance each measure is, over slices, at its longest span."""
        return {
            f"{name.replace(' ', '_')}.spread": float(np.mean(one.spread[-1])) for name, one in self.baselines.items()
        }


def fit(hours: Hours, plan: Plan) -> Usual:
    """Learn what is usual from all hours but the newest day's; EvidenceError when they are less than three days."""
    past = hours.until(hours.end - _LEFT_OUT)
    if len(past) * timedelta(hours=1) < _LEAST:
        raise EvidenceError(
            f"{len(hours)} hours of traffic are too few to know what is usual; four days are enough for a beginning"
        )
    watched = [measure for measure in MEASURES if measure.name in plan.measures]
    return Usual(
        plan=plan,
        trained_until=past.end,
        hours=len(past),
        slices=past.slices,
        baselines={measure.name: baseline.fit(past, measure) for measure in watched},
    )


def write(usual: Usual, folder: Path) -> None:
    """Write the files of an anomaly predictor: JSON, and the baselines as arrays."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {
        f"{name}.{part}": np.ascontiguousarray(getattr(one, part), dtype=np.float64)
        for name, one in usual.baselines.items()
        for part in _PARTS
    }
    save_file(arrays, folder / "arrays.safetensors")
    plain = msgspec.to_builtins(msgspec.structs.replace(usual, baselines={}))
    (folder / "anomaly.json").write_bytes(msgspec.json.encode(plain))


def read(folder: Path) -> Usual:
    """Read what `write` wrote; ModelError when it cannot be read."""
    try:
        usual = msgspec.json.decode((folder / "anomaly.json").read_bytes(), type=Usual)
        arrays = load_file(folder / "arrays.safetensors")
        baselines = {
            name: Baseline(measure=name, **{part: arrays[f"{name}.{part}"] for part in _PARTS})
            for name in usual.plan.measures
        }
    except (OSError, msgspec.MsgspecError, KeyError) as fault:
        raise ModelError(f"{folder}: the registered predictor cannot be read ({fault}); train again") from fault
    return msgspec.structs.replace(usual, baselines=baselines)
