"""What models/anomaly.toml declares: which measures are watched, and how rarely the wolf may be cried."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

from fairlead.errors import ModelError
from fairlead.training.anomaly.detect import LEVEL
from fairlead.training.anomaly.measures import MEASURES

__all__ = ["Plan"]


class Plan(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An anomaly predictor as declared; `name` is the file's."""

    method: Literal["baseline"]
    measures: Annotated[tuple[str, ...], Meta(min_length=1)] = tuple(measure.name for measure in MEASURES)
    false_discovery_rate: Annotated[float, Meta(gt=0, le=0.2)] = LEVEL
    name: str = ""

    def check(self, path: Path) -> None:
        """Raise ModelError when a measure is not one that can be watched."""
        known = [measure.name for measure in MEASURES]
        for measure in self.measures:
            if measure not in known:
                raise ModelError(f"{path}: no measure {measure!r}; known are {', '.join(known)}")
