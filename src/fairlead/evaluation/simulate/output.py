"""Writing a simulation: streamed to temporary files, renamed when whole, so that a reader never meets half a file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

import msgspec
import numpy as np
import polars as pl

from fairlead.evaluation.simulate.load import Met
from fairlead.evaluation.simulate.records import Run
from fairlead.evaluation.simulate.truth import Truth
from fairlead.evaluation.simulate.world import Endpoint, Floats, Integers

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


def write_lines(path: Path, rows: Iterable[dict[str, Any] | str]) -> Iterator[int]:
    """Write one JSON object, or text, a line; yields how many now and then, and leaves the file in place last."""
    encoder, buffer, count = msgspec.json.Encoder(), bytearray(), 0
    with replacing(path) as out:
        for row in rows:
            if isinstance(row, str):
                buffer += row.encode()
            else:
                encoder.encode_into(row, buffer, -1)
            buffer += b"\n"
            count += 1
            if count % _BATCH == 0:
                out.write(buffer)
                buffer.clear()
                yield count
        out.write(buffer)
    yield count


def write_truth(path: Path, run: Run, truth: Truth, met: Met | None, scored: Floats) -> None:
    """Write what every endpoint would have answered to every request: one row for each of them."""
    n, k = run.chances.shape
    expected = run.world.expected
    place, row = pl.Series(np.tile(np.arange(k), n)), pl.Series(np.repeat(np.arange(n), k))

    def named(values: list[str]) -> pl.Series:
        return pl.Series(values).gather(place)

    def known(cells: Floats) -> pl.Series:
        return pl.Series(cells.ravel()).fill_nan(None)

    moments = run.attempts.start_us[run.attempts.number == 0]
    nothing = pl.Series([None], dtype=pl.Float64).new_from_index(0, n * k)
    frame = pl.DataFrame(
        {
            "request_id": pl.Series(run.request_ids).gather(row),
            "endpoint": named([one.name for one in run.world.endpoints]),
            "provider_name": named([one.provider for one in run.world.endpoints]),
            "model": named([one.model for one in run.world.endpoints]),
            "quality": known(truth.quality),
            "cost_usd": known(truth.cost_usd),
            "duration_s": known(truth.duration_s),
            "quality_expected": nothing if expected is None else known(expected),
            "available_share": nothing if truth.available_share is None else known(truth.available_share),
            "start_time": pl.Series(moments).cast(pl.Datetime("us", "UTC")).gather(row),
            "input_usd_per_million": _prices(run, moments, lambda one: one.input_usd),
            "output_usd_per_million": _prices(run, moments, lambda one: one.output_usd),
            "in_flight": nothing.cast(pl.Int64) if met is None else pl.Series(met.in_flight.ravel()),
            "feedback_share": known(scored),
        }
    )
    with replacing(path) as out:
        frame.write_parquet(out, compression="zstd", statistics=False)


def _prices(run: Run, moments: Integers, price: Callable[[Endpoint], float | None]) -> pl.Series:
    cells = np.empty(run.chances.shape)
    for place, changes in enumerate(run.timeline.prices):
        values = np.array([np.nan if (found := price(one)) is None else found for _, one in changes])
        cells[:, place] = values[np.searchsorted([begin for begin, _ in changes], moments, side="right") - 1]
    return pl.Series(cells.ravel()).fill_nan(None)
