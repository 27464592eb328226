"""Writing a simulation: streamed to temporary files, renamed when whole, so that a reader never meets half a file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

import msgspec
import numpy as np
import polars as pl

from fairlead.evaluation.simulate.records import Run
from fairlead.evaluation.simulate.world import Floats

__all__ = ["replacing", "write_lines", "write_truth"]

_BATCH: Final = 512


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Open a temporary file beside `path` that takes its place when the block ends well, and vanishes when not."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_lines(path: Path, rows: Iterable[dict[str, Any]]) -> Iterator[int]:
    """Write one JSON object a line; yields how many are written, now and then, and leaves the file in place last."""
    encoder, buffer, count = msgspec.json.Encoder(), bytearray(), 0
    with replacing(path) as out:
        for row in rows:
            encoder.encode_into(row, buffer, -1)
            buffer += b"\n"
            count += 1
            if count % _BATCH == 0:
                out.write(buffer)
                buffer.clear()
                yield count
        out.write(buffer)
    yield count


def write_truth(path: Path, run: Run, duration_s: Floats) -> None:
    """Write what every endpoint would have answered to every request: one row for each of them."""
    n, k = run.chances.shape
    expected = run.world.expected

    def named(values: list[str]) -> pl.Series:
        place = pl.Series(np.tile(np.arange(k), n))
        return pl.Series(values).gather(place)

    def known(cells: Floats) -> pl.Series:
        return pl.Series(cells.ravel()).fill_nan(None)

    frame = pl.DataFrame(
        {
            "request_id": pl.Series(run.request_ids).gather(pl.Series(np.repeat(np.arange(n), k))),
            "endpoint": named([one.name for one in run.world.endpoints]),
            "provider_name": named([one.provider for one in run.world.endpoints]),
            "model": named([one.model for one in run.world.endpoints]),
            "quality": known(run.world.quality),
            "cost_usd": known(run.world.cost_usd),
            "duration_s": known(duration_s),
            "quality_expected": pl.Series([None] * (n * k), dtype=pl.Float64) if expected is None else known(expected),
        }
    )
    with replacing(path) as out:
        frame.write_parquet(out, compression="zstd", statistics=False)
