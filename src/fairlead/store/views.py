"""The SQL of the views over the segments."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from fairlead.schema import TABLES
from fairlead.store import layout

__all__ = ["FINAL_ATTEMPTS", "PRICES", "REQUESTS", "fresh", "table_view"]

_VERSIONED: Final = {name for name, struct in TABLES.items() if "source_updated_at" in struct.__struct_fields__}

# When a row of a table came to be known: an attempt once it is over, a later version of it once it was changed.
_ENDED: Final = "start_time + to_microseconds(CAST(round(1e6 * coalesce(duration_s, 0)) AS BIGINT))"
_KNOWN_AT: Final = {
    "attempts": f"greatest({_ENDED}, coalesce(source_updated_at, start_time))",
    "request_features": "start_time",
    "feedback": "greatest(time, coalesce(source_updated_at, time))",
    "decisions": "time",
    "usage": "greatest(bucket_end, coalesce(source_updated_at, bucket_end))",
    "quarantine": "ingested_at",
    "prices": "retrieved_at",
}

# Columns that a view has beside those of its table.
_EXTRA: Final = {
    "attempts": """,
    coalesce(deployment_id, provider_name || '/' || coalesce(response_model, request_model)) AS endpoint,
    coalesce(list_cost_usd, reported_cost_usd) AS cost_usd,
    coalesce(list_cost_usd, reported_cost_usd) IS NOT NULL AS cost_known,
    -- What was taken with a doubt: each of these is a row to look at, not one to leave out.
    list_filter([
        CASE WHEN start_time > ingested_at + INTERVAL 5 MINUTE THEN 'from_the_future' END,
        CASE WHEN list_cost_usd IS NULL AND coalesce(input_tokens, output_tokens) > 0 THEN 'unpriced' END,
        CASE WHEN abs(reported_cost_usd - list_cost_usd) > 0.02 * greatest(reported_cost_usd, list_cost_usd)
            THEN 'cost_differs' END
    ], lambda flag: flag IS NOT NULL) AS flags""",
}

# What the last attempt says for the whole request. One struct, so that its nulls are kept and not looked past.
# After a fallback `propensity` is still that of the decision, which was for `first_endpoint`.
_FINAL: Final = (  # noqa: SIM905  one a line would fill the screen
    "event_id response_id endpoint provider_name response_model deployment_id region service_tier status"
    " http_status_code error_type error_class error_origin finish_reason gateway_cache_status"
    " input_tokens cache_read_input_tokens cache_creation_input_tokens output_tokens reasoning_output_tokens"
    " decision_id policy_id policy_version router_name decision_cause experiment_id variant propensity is_exploration"
    " candidates"
).split()
# What is the same for all attempts of a request, or is taken from the first.
_FIRST: Final = (  # noqa: SIM905
    "trace_id conversation_id environment service_name agent_name prompt_name organization_id team_id project_id"
    " user_id end_user_id api_key_id tags route operation_name request_model request_stream request_max_tokens"
    " request_temperature prompt_sha256 input_chars"
).split()


def _packed(names: Sequence[str]) -> str:
    return "struct_pack(" + ", ".join(f"{name} := {name}" for name in names) + ")"


def _unpacked(names: Sequence[str], struct: str) -> str:
    return ", ".join(f"{struct}.{name}" for name in names)


# An attempt that answered is the final one even when a hedge was started after it.
_ORDER: Final = "(CASE WHEN status = 'ok' THEN 1 ELSE 0 END) * 4e15 + epoch_us(start_time)"

# Which attempt is each request's final one: what `requests` says of it too, at a tenth of the cost.
FINAL_ATTEMPTS: Final = f"""\
CREATE OR REPLACE VIEW final_attempts AS
SELECT source, request_id, arg_max(event_id, {_ORDER}) AS event_id
FROM attempts WHERE coalesce(attempt_kind, '') <> 'shadow'
GROUP BY source, request_id
"""

REQUESTS: Final = f"""\
CREATE OR REPLACE VIEW requests AS
WITH grouped AS (
    SELECT
        source, request_id,
        count(*) AS attempts,
        min(start_time) AS start_time,
        max(start_time + to_microseconds(CAST(round(1e6 * coalesce(duration_s, 0)) AS BIGINT))) AS end_time,
        bool_or(duration_s IS NOT NULL) AS timed,
        sum(cost_usd) AS cost_usd,
        bool_and(cost_known) AS cost_known,
        sum(reported_cost_usd) AS reported_cost_usd,
        sum(list_cost_usd) AS list_cost_usd,
        max(ingested_at) AS ingested_at,
        arg_min(endpoint, start_time) AS first_endpoint,
        arg_max({_packed((*_FINAL, "start_time", "time_to_first_chunk_s"))}, final_order) AS final,
        arg_min({_packed(_FIRST)}, start_time) AS first
    FROM (
        SELECT *, {_ORDER} AS final_order
        FROM attempts WHERE coalesce(attempt_kind, '') <> 'shadow'
    )
    GROUP BY source, request_id
)
SELECT
    request_id, source, CAST(start_time AS DATE) AS event_date, start_time, attempts,
    CASE WHEN timed THEN (epoch_us(end_time) - epoch_us(start_time)) / 1e6 END AS duration_s,
    (epoch_us(final.start_time) - epoch_us(start_time)) / 1e6 + final.time_to_first_chunk_s AS time_to_first_chunk_s,
    CAST(cost_usd AS DECIMAL(18, 12)) AS cost_usd, cost_known,
    CAST(reported_cost_usd AS DECIMAL(18, 12)) AS reported_cost_usd,
    CAST(list_cost_usd AS DECIMAL(18, 12)) AS list_cost_usd,
    first_endpoint, ingested_at,
    {_unpacked(_FINAL, "final")},
    {_unpacked(_FIRST, "first")}
FROM grouped
"""

_PRICE_COLUMNS: Final = (  # noqa: SIM905
    "provider_name model region service_tier min_input_tokens utc_time_from utc_time_to utc_weekdays valid_from"
    " catalog catalog_version retrieved_at"
).split()
_FEES: Final = ("web_search", "request")  # paid by the request
_METERS: Final = (
    *("input", "output", "cache_read", "cache_creation", "cache_creation_1h", "reasoning"),
    *("input_audio", "output_audio", "input_image", "output_image"),
    *_FEES,
)

# `{path}` is filled in by whoever makes the view.
PRICES: Final = f"""\
CREATE OR REPLACE VIEW prices AS
WITH wide AS (
    SELECT * FROM read_csv('{{path}}', header = true, all_varchar = true, nullstr = '')
    -- A file written by hand may do without most columns.
    UNION ALL BY NAME
    SELECT {", ".join(f"NULL::VARCHAR AS {name}" for name in (*_PRICE_COLUMNS, *_METERS))} WHERE false
),
long AS (UNPIVOT wide ON {", ".join(_METERS)} INTO NAME meter VALUE usd_per_million)
SELECT
    provider_name, model, region, coalesce(service_tier, 'standard') AS service_tier, meter,
    CASE WHEN meter IN {_FEES} THEN 'request' ELSE 'token' END AS unit,
    CAST(CAST(usd_per_million AS DECIMAL(18, 9)) * 0.000001 AS DECIMAL(24, 15)) AS price_usd_per_unit,
    coalesce(CAST(min_input_tokens AS BIGINT), 0) AS min_input_tokens,
    utc_time_from, utc_time_to, utc_weekdays,
    coalesce(CAST(valid_from AS TIMESTAMPTZ), TIMESTAMPTZ '1970-01-01') AS valid_from,
    -- A newer sheet of prices ends the whole of the older one, with its steps and meters.
    min(coalesce(CAST(valid_from AS TIMESTAMPTZ), TIMESTAMPTZ '1970-01-01')) OVER (
        PARTITION BY provider_name, lower(model), region, service_tier
        ORDER BY CAST(valid_from AS TIMESTAMPTZ) NULLS FIRST GROUPS BETWEEN 1 FOLLOWING AND 1 FOLLOWING
    ) AS valid_to,
    catalog, catalog_version, CAST(retrieved_at AS TIMESTAMPTZ) AS retrieved_at
FROM long
"""


def table_view(
    table: str,
    key: str | None,
    files: Sequence[str],
    updated: Sequence[str],
    by_name: bool,
    as_of: datetime | None = None,
) -> str:
    """Give the view of a table over its segments, or over what was known of it at `as_of`.

    Only keys that the `updated` segments hold can have more than one version, so only those are ranked.
    """
    everything = f"(SELECT {layout.logical(table)} FROM {_scan(files, by_name)})"
    if as_of is not None:
        everything = f"(SELECT * FROM {everything} WHERE {_KNOWN_AT[table]} <= TIMESTAMPTZ '{as_of.isoformat()}')"
    rows = f"SELECT * FROM {everything}"
    if key and updated:
        keys = f"SELECT {key} FROM (SELECT {layout.logical(table)} FROM {_scan(updated, by_name)})"
        rows = f"""\
SELECT * FROM {everything} WHERE {key} NOT IN ({keys})
    UNION ALL
    SELECT * FROM {everything} WHERE {key} IN ({keys})
    QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY {_newest(table)}) = 1"""
    return f"CREATE OR REPLACE VIEW {table} AS\nSELECT *{_EXTRA.get(table, '')}\nFROM (\n    {rows}\n)"


def fresh(table: str, key: str, files: Sequence[str]) -> str:
    """Give the query for which rows of the relation `incoming` are new, or newer than what the segments hold.

    `incoming` has the columns that `layout.identity` speaks of, `source_updated_at` and `ordinal`. The answer has the
    ordinals, and whether a version of the record was stored before.
    """
    name, part = layout.identity(table, key)
    version = "epoch_us(source_updated_at)" if table in _VERSIONED else "CAST(NULL AS BIGINT)"
    best = f"""\
    SELECT {name} AS name, coalesce(arg_max(ordinal, {version}), min(ordinal)) AS ordinal, max({version}) AS version
    FROM incoming GROUP BY 1"""
    if not files:
        return f"SELECT ordinal, false AS again FROM ({best}) ORDER BY ordinal"
    return f"""\
WITH best AS ({best}),
known AS (
    SELECT {name} AS name, max({version}) AS version FROM {_scan(files, True)}
    WHERE {part} IN (SELECT {part} FROM incoming) GROUP BY 1
)
SELECT ordinal, known.name IS NOT NULL AS again FROM best LEFT JOIN known USING (name)
WHERE known.name IS NULL OR best.version > coalesce(known.version, -1) ORDER BY ordinal"""


def _newest(table: str) -> str:
    return "source_updated_at DESC NULLS LAST, ingested_at DESC" if table in _VERSIONED else "ingested_at DESC"


def _scan(files: Sequence[str], by_name: bool) -> str:
    quoted = ", ".join("'" + name.replace("'", "''") + "'" for name in files)
    return f"read_parquet([{quoted}], hive_partitioning = false, union_by_name = {str(by_name).lower()})"
