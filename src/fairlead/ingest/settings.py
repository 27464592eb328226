"""What a project's [tool.fairlead.ingest] says about taking logs in."""

from __future__ import annotations

from msgspec import Struct

from fairlead.errors import UsageError
from fairlead.ingest.columns import Columns
from fairlead.project import Project

__all__ = ["Settings", "read"]


class Settings(Struct, frozen=True, kw_only=True):
    """How logs are taken in."""

    source_instance: str | None = None
    trace_is_session: bool = False
    max_quarantined_share: float = 0.5
    columns: Columns = Columns()


_KNOWN = (*(name for name in Settings.__struct_fields__), "drop")


def read(project: Project) -> Settings:
    """Read and check the settings; UsageError names the key that is off."""
    given = project.settings.get("ingest", {})
    where = f"{project.root / 'pyproject.toml'} [tool.fairlead.ingest]"
    unknown = sorted(set(given) - set(_KNOWN))
    if unknown:
        raise UsageError(f"{where}: unknown key {unknown[0]!r}; known are {', '.join(sorted(_KNOWN))}")
    share = given.get("max_quarantined_share", Settings().max_quarantined_share)
    if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 <= share <= 1:
        raise UsageError(f"{where} max_quarantined_share: expected a share from 0 to 1")
    return Settings(
        source_instance=given.get("source_instance"),
        trace_is_session=bool(given.get("trace_is_session", False)),
        max_quarantined_share=float(share),
        columns=Columns.of(given, where),
    )
