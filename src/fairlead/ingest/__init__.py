"""From log files to rows of the lake: one reader a log format, a quarantine for what cannot be read."""

from fairlead.ingest.loader import Progress, load
from fairlead.ingest.sources import Options
from fairlead.ingest.verdict import LoadError
from fairlead.store import LoadResult

__all__ = ["LoadError", "LoadResult", "Options", "Progress", "load"]
