"""The only door to DuckDB and the Parquet lake.

>>> import tempfile
>>> from pathlib import Path
>>> with tempfile.TemporaryDirectory() as folder:
...     con = open_lake(Path(folder)).connect()
...     query(con, "SELECT count(*) AS attempts FROM attempts").item()
...     con.close()
0
"""

from fairlead.store.connection import Connection, DatabaseError, load_prices, query
from fairlead.store.lake import Fault, Lake, open_lake
from fairlead.store.loading import Load, LoadResult
from fairlead.store.manifest import Counts, Segment, SourceFile

__all__ = [
    "Connection",
    "Counts",
    "DatabaseError",
    "Fault",
    "Lake",
    "Load",
    "LoadResult",
    "Segment",
    "SourceFile",
    "load_prices",
    "open_lake",
    "query",
]
