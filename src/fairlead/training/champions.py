"""The registered version that is in force, as a predictor."""

from __future__ import annotations

from msgspec import Struct

from fairlead.training import predictor as files
from fairlead.training.entry import Rows
from fairlead.training.predictor import TrainedPredictor
from fairlead.training.registry import Registry

__all__ = ["Champion", "champion_of"]


class Champion(Struct, frozen=True, kw_only=True):
    """A predictor, and which registered version of it this is."""

    name: str
    version: int
    run_id: str
    predictor: TrainedPredictor
    rows: Rows | None = None


def champion_of(registry: Registry, name: str) -> Champion | None:
    """Give the champion of a name as a predictor; None when there is none yet."""
    found = registry.champion(name)
    if found is None:
        return None
    return Champion(
        name=found.name,
        version=found.version,
        run_id=found.run_id,
        predictor=files.read(found.folder),
        rows=found.rows,
    )
