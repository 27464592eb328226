"""The records of a Parquet file; a damaged file is refused whole, a value that Python cannot hold is one record's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from fairlead.errors import ReadError
from fairlead.ingest import quarantine as reasons
from fairlead.ingest.entry import Entry
from fairlead.ingest.quarantine import BadRecordError

__all__ = ["entries", "is_parquet"]

_ROWS: Final = 8192


def is_parquet(opened: IO[bytes]) -> bool:
    """Say whether an open file is Parquet, whatever its name, and go back to its beginning."""
    opened.seek(0)
    found = opened.read(4) == b"PAR1"
    opened.seek(0)
    return found


def entries(opened: IO[bytes]) -> Iterator[Entry]:
    """Give every row of a Parquet file as a record."""
    try:
        file = pq.ParquetFile(opened, page_checksum_verification=True)
        line = 0
        for batch in file.iter_batches(batch_size=_ROWS):
            for raw, record in _records(batch):
                line += 1
                yield Entry(line, None, raw, record)
    except (pa.ArrowException, OSError, ValueError, MemoryError) as fault:
        raise ReadError(f"not a readable Parquet file ({type(fault).__name__}); write it again") from fault


def _records(batch: pa.RecordBatch) -> Iterator[tuple[Any, dict[str, Any] | BadRecordError]]:
    try:
        found = batch.to_pylist()
    except (pa.ArrowException, ValueError, OverflowError):
        for index in range(batch.num_rows):
            record = _record(batch.slice(index, 1))
            yield record if isinstance(record, dict) else record.detail, record
        return
    yield from ((record, record) for record in found)


def _record(row: pa.RecordBatch) -> dict[str, Any] | BadRecordError:
    try:
        found: dict[str, Any] = row.to_pylist()[0]
    except UnicodeDecodeError:
        return BadRecordError(reasons.NOT_UTF8)
    except (pa.ArrowException, ValueError, OverflowError):
        return BadRecordError(reasons.OUT_OF_RANGE, "a value that is beyond its type")
    return found
