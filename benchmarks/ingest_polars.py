"""What polars does with the log of benchmarks/spend_logs.py, twice: the same work as fairlead, and a lazy sketch of it.

`same_work` is given the same file as fairlead, with its bad lines, and does what fairlead does with it:

- reads lines as text, since a reader of JSON lines gives up the whole file over one bad line; a pass of
  `json_path_match` finds those that are no JSON object with an id, and only the others are decoded, with a schema;
- sets aside what has no id, time or tokens that can be, with its line number, a reason and a hash of the line;
- types moments and costs (decimals to 1e-12), prices by a join, takes each request once, hashes the ids of people
  (HMAC-SHA-256 of each different one), keeps what has no column as JSON, leaves out the cost of classes where the
  whole is what the prices give;
- writes a day at a time in order, zstd level 1, takes each file's SHA-256, and syncs file and folder.

It is spared what polars has no vectorised way for: a key that stands twice in a line, a field of the metadata that its
schema does not name, the same text everywhere the same value stands, prices that change within a day, and a commit.

`lazy` is what one writes when the file is known to be good: it is given a file without bad lines, keeps no other
field, hashes and syncs nothing, and takes the one value it needs out of the metadata without decoding it.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import time
from pathlib import Path
from typing import Any

import polars as pl
import spend_logs

TEXT, NUMBER, WHOLE = pl.String, pl.Float64, pl.Int64
TEXTS = (  # noqa: SIM905  one a line would fill the screen
    "request_id api_key startTime endTime completionStartTime model user team_id metadata request_tags model_group"
    " model_id custom_llm_provider session_id status litellm_call_id cache_hit api_base"
).split()
COUNTS = ("total_tokens", "prompt_tokens", "completion_tokens")
RECORD = {**dict.fromkeys(TEXTS, TEXT), **dict.fromkeys(COUNTS, WHOLE), "spend": NUMBER}
OTHERS = ("call_type", "organization_id", "cache_key", "end_user")
LEFT = ("user_api_key_alias", "applied_guardrails", "error_information", "cost_breakdown")  # of the metadata
METADATA = {
    "user_api_key_alias": TEXT,
    "applied_guardrails": pl.List(TEXT),
    "error_information": pl.Struct(dict.fromkeys(("error_code", "error_class", "llm_provider"), TEXT)),
    "usage_object": pl.Struct({"prompt_tokens_details": pl.Struct({"cached_tokens": WHOLE})}),
    "attempted_retries": WHOLE,
    "attempted_fallbacks": WHOLE,
    "original_model_group": TEXT,
    "cost_breakdown": pl.Struct(dict.fromkeys(("input_cost", "output_cost", "total_cost"), NUMBER)),
}
MONEY = pl.Decimal(18, 12)
TIMES = pl.col("startTime", "endTime", "completionStartTime").str.to_datetime("%F %T%.f%:z", strict=False)


def prices() -> pl.LazyFrame:
    """Give the price of each model, in USD a token."""
    rows = [(name, a, b, c) for _, name, a, b, c in spend_logs.MODELS]
    return pl.LazyFrame(rows, orient="row", schema={"name": TEXT} | dict.fromkeys(("in", "out", "read"), NUMBER))


def same_work(folder: Path, logs: list[Path]) -> dict[str, Any]:
    """Take a log to Parquet by day as fairlead does; see the top of this module for what is left out."""
    start = time.perf_counter()
    lines = pl.scan_lines(logs).with_row_index("number", 1)
    lines = lines.with_columns(good=pl.col("line").str.json_path_match("$.request_id").is_not_null())
    everything = _decoded(lines.filter("good")).collect(engine="streaming")
    sound = everything["startTime"].is_not_null() & (everything["prompt_tokens"] >= 0)
    bad = lines.filter(~pl.col("good")).select("number", "line").collect(engine="streaming")
    wrong = everything.filter(~sound.fill_null(False)).select("number", "line")
    frame = everything.lazy().drop("line").filter(sound).pipe(_priced).unique("request_id", keep="first")
    frame = frame.with_columns(user=_hashed(everything["user"])).sort("startTime").collect(engine="streaming")
    refused = pl.concat([bad.with_columns(reason=pl.lit("not_json")), wrong.with_columns(reason=pl.lit("wrong_type"))])
    hashes = [hashlib.sha256(line.encode()).hexdigest() for line in refused["line"]]
    out = folder / "polars"
    _written(refused.drop("line").with_columns(sha256=pl.Series(hashes, dtype=TEXT)), out / "quarantine")
    for (day,), part in frame.partition_by("day", as_dict=True).items():
        _written(part, out / f"day={day}")
    seconds = time.perf_counter() - start
    size = sum(path.stat().st_size for path in out.rglob("*.parquet"))
    read = everything.height + bad.height
    return {
        "seconds": seconds,
        "bytes_a_row": size / frame.height,
        "read": read,
        "stored": frame.height,
        "duplicates": int(sound.sum()) - frame.height,
        "quarantined": refused.height,
    }


def _decoded(lines: pl.LazyFrame) -> pl.LazyFrame:
    """Give the typed columns of lines that are JSON; the line stays beside them only where it may be refused."""
    record = pl.col("line").str.json_decode(pl.Struct(RECORD | dict.fromkeys(OTHERS, TEXT)))
    found = lines.with_columns(record.alias("record")).unnest("record").with_columns(TIMES)
    found = found.with_columns(inner=pl.col("metadata").str.json_decode(pl.Struct(METADATA))).drop("metadata", "good")
    usual = (pl.col("prompt_tokens") >= 0) & pl.col("startTime").is_not_null()
    inner = pl.col("inner").struct
    return found.with_columns(
        line=pl.when(~usual.fill_null(False)).then("line"),
        cached=inner.field("usage_object").struct.field("prompt_tokens_details").struct.field("cached_tokens"),
        attempt=inner.field("attempted_retries") + inner.field("attempted_fallbacks"),
        asked=inner.field("original_model_group"),
        tags=pl.col("request_tags").str.json_decode(pl.List(TEXT)),
    ).drop("request_tags")


def _priced(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Add the list cost, make the amounts decimals, and keep what has no column as JSON."""
    answer = pl.col("completion_tokens") * pl.col("out")
    plain = (pl.col("prompt_tokens") - pl.col("cached")) * pl.col("in")
    found = (
        frame.with_columns(name=pl.col("model").str.split("/").list.last(), day=pl.col("startTime").dt.date())
        .join(prices(), on="name", how="left")
        .with_columns(
            usd=(plain + pl.col("cached") * pl.col("read") + answer).cast(MONEY), spend=pl.col("spend").cast(MONEY)
        )
        .drop("in", "out", "read")
    )
    kept = pl.struct(*OTHERS, *(pl.col("inner").struct.field(name) for name in LEFT[:-1]))
    whole = pl.struct(*OTHERS, *(pl.col("inner").struct.field(name) for name in LEFT))
    agreed = pl.col("usd") == pl.col("spend")
    text = pl.when(agreed).then(kept.struct.json_encode()).otherwise(whole.struct.json_encode())
    return found.with_columns(attributes=text).drop("inner", *OTHERS)


def _hashed(users: pl.Series) -> pl.Expr:
    known = users.unique().drop_nulls().to_list()
    hashes = [hmac.digest(b"benchmark", one.encode(), "sha256").hex()[:32] for one in known]
    return pl.col("user").replace_strict(known, hashes, default=None, return_dtype=TEXT)


def _written(part: pl.DataFrame, folder: Path) -> None:
    """Write a file durably, under the name of its content."""
    folder.mkdir(parents=True, exist_ok=True)
    part.write_parquet(folder / "new.tmp", compression="zstd", compression_level=1)
    with (folder / "new.tmp").open("rb+") as written:
        name = hashlib.file_digest(written, "sha256").hexdigest()[:32]
        os.fsync(written.fileno())
    (folder / "new.tmp").rename(folder / f"{name}.parquet")
    descriptor = os.open(folder, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def lazy(folder: Path, logs: list[Path]) -> dict[str, Any]:
    """Take a log without bad lines to Parquet by day, with as little as can be done."""
    start = time.perf_counter()
    cached = pl.col("metadata").str.json_path_match("$.usage_object.prompt_tokens_details.cached_tokens").cast(WHOLE)
    answer = pl.col("completion_tokens") * pl.col("out")
    plain = (pl.col("prompt_tokens") - pl.col("cached")) * pl.col("in")
    frame = (
        pl.scan_ndjson(logs, schema=RECORD)
        .with_columns(TIMES, cached=cached)
        .filter(pl.col("prompt_tokens") >= 0, pl.col("startTime") > pl.datetime(2000, 1, 1, time_zone="UTC"))
        .with_columns(name=pl.col("model").str.split("/").list.last(), day=pl.col("startTime").dt.date())
        .join(prices(), on="name", how="left")
        .with_columns(usd=plain + pl.col("cached") * pl.col("read") + answer)
        .unique("request_id", keep="any")
        .sort("startTime")
        .drop("metadata", "in", "out", "read")
        .collect()
    )
    out = folder / "polars"
    for (day,), part in frame.partition_by("day", as_dict=True).items():
        (out / f"day={day}").mkdir(parents=True, exist_ok=True)
        part.write_parquet(out / f"day={day}" / "0.parquet", compression="zstd")
    seconds = time.perf_counter() - start
    size = sum(path.stat().st_size for path in out.rglob("*.parquet"))
    return {"seconds": seconds, "bytes_a_row": size / frame.height, "stored": frame.height}
