"""What models/demand.toml declares: how far ahead, for whom, and how sure."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

from fairlead.errors import ModelError
from fairlead.training.demand.windows import STEP

__all__ = ["Gate", "Horizon", "Plan"]

_SPAN: Final = re.compile(r"(\d+)([mhd])")
_MINUTES: Final = {"m": 1, "h": 60, "d": 1440}


class Gate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a new fit must reach to replace the champion: its error as a share of the better naive forecast's."""

    metric: Literal["wape"] = "wape"
    at_most: Annotated[float, Meta(gt=0)] = 1.02


class Horizon(Struct, frozen=True):
    """How far ahead, as written and in windows of ten minutes."""

    name: str
    windows: int


class Plan(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A demand predictor as declared; `name` is the file's."""

    method: Literal["forecast"]
    horizons: Annotated[tuple[str, ...], Meta(min_length=1)] = ("10m", "1h", "24h")
    coverage: Annotated[float, Meta(ge=0.5, lt=1)] = 0.9
    gate: Gate = Gate()
    name: str = ""

    def spans(self, path: Path | None = None) -> list[Horizon]:
        """Give the horizons in windows; ModelError when one is not whole windows of ten minutes, up to a week."""
        found = []
        for text in self.horizons:
            said: Any = _SPAN.fullmatch(text)
            minutes = int(said[1]) * _MINUTES[said[2]] if said else 0
            windows, rest = divmod(minutes, int(STEP.total_seconds()) // 60)
            if rest or not 1 <= windows <= 7 * 144:
                raise ModelError(
                    f"{path or self.name}: horizon {text!r} is not in whole windows of ten minutes, up to a week; "
                    'write "10m", "1h" or "24h"'
                )
            found.append(Horizon(text, windows))
        return found
