"""The SQL that prices attempts by the rates of `plan`, as `costs.list_cost` does one by one.

keys = [plan.Key(*row) for row in con.execute(plan_sql.keys("new")).fetchall()]
con.register("plan", plan.rates(book, keys))
con.execute(f"CREATE TABLE done AS {plan_sql.priced('new', 'plan')}")
"""

from __future__ import annotations

from typing import Final

from fairlead.ingest.aliases import RESIDENCY
from fairlead.ingest.plan import CLASSES
from fairlead.ingest.usage import CACHE_CREATION_1H

__all__ = ["costed", "counted", "keys", "priced", "usd"]

_TIER: Final = "CASE WHEN is_batch THEN 'batch' ELSE coalesce(nullif(service_tier, ''), 'standard') END"
_REGION: Final = f"coalesce(nullif(region, ''), nullif(regexp_extract(server_address, '{RESIDENCY}', 1), ''), '')"
_TOO_MUCH: Final = "1000000000000000000000"  # a million dollars
_SMALL: Final = "9000000000000000000"  # what 64 bits hold, with which the arithmetic is several times as fast
# What `counted` adds to the columns of an attempt.
_ADDED: Final = ("tier_", "region_", "day_", "us_", *(f"t_{name}" for name in CLASSES))


def keys(relation: str) -> str:
    """Give the query for the keys of a relation of attempts: a table, a view or a query in brackets."""
    return f"""
SELECT DISTINCT provider_name, model, tier_, region_, day_ FROM (
    SELECT provider_name, unnest([response_model, request_model]) AS model, {_TIER} AS tier_, {_REGION} AS region_,
        CAST(start_time AS DATE) AS day_
    FROM {relation}
)
WHERE model <> ''
"""


def priced(relation: str, plan: str) -> str:
    """Give the query for a relation's attempts with `list_cost_usd` and `price_source` filled in.

    `plan` names the table of rates for the keys of the relation.
    """
    return f"""
SELECT * EXCLUDE ({", ".join(_ADDED)}, cost_, cell_, source_) REPLACE (
    {usd("cost_")} AS list_cost_usd, CASE WHEN cost_ IS NOT NULL THEN source_ END AS price_source
)
FROM ({costed(relation, plan)})
"""


def costed(relation: str, plan: str) -> str:
    """Give the query for a relation's attempts with their counts, list cost in 1e-15 USD, price source and its cell."""
    free = "CAST(0 AS HUGEINT)"
    return f"""
SELECT * EXCLUDE (own_cost, own_source, own_cell, asked_cost, asked_source, asked_cell),
    {_chosen(free, free, "own_cost", "asked_cost")} AS cost_,
    {_chosen("NULL", "NULL", "own_cell", "asked_cell")} AS cell_,
    {_chosen("'gateway cache'", "'no tokens'", "own_source", "asked_source")} AS source_
FROM (
    SELECT counted.*, {total("own")} AS own_cost, own.source AS own_source, own.cell AS own_cell,
        {total("asked")} AS asked_cost, asked.cell AS asked_cell,
        asked.source || CASE WHEN response_model <> '' THEN ' (requested model)' ELSE '' END AS asked_source
    FROM ({counted(relation)}) AS counted
    {joined(plan, "own", "response_model")}
    {joined(plan, "asked", "request_model")}
)
"""


def counted(relation: str) -> str:
    """Give the query for a relation's attempts with the count of each class: `t_input`, `t_cache_read`, ..."""
    return f"""
SELECT * EXCLUDE (fresh_, said_, created_),
    fresh_ - t_input_audio - t_input_image AS t_input, said_ - t_output_audio - t_output_image AS t_output
FROM (
    SELECT *, least({_detail("input_image_tokens")}, fresh_ - t_input_audio) AS t_input_image,
        least({_detail("output_image_tokens")}, said_ - t_output_audio) AS t_output_image
    FROM (
        SELECT *, created_ - t_cache_creation_1h AS t_cache_creation,
            least({_detail("input_audio_tokens")}, fresh_) AS t_input_audio,
            least({_detail("output_audio_tokens")}, said_) AS t_output_audio
        FROM (
            SELECT *, least({_detail(CACHE_CREATION_1H)}, created_) AS t_cache_creation_1h,
                greatest({_count("input_tokens")} - t_cache_read - created_, 0) AS fresh_,
                greatest({_count("output_tokens")} - t_reasoning, 0) AS said_
            FROM (
                SELECT *, {_TIER} AS tier_, {_REGION} AS region_, CAST(start_time AS DATE) AS day_,
                    epoch_us(start_time) % 86400000000 AS us_,
                    {_count("cache_read_input_tokens")} AS t_cache_read,
                    {_count("cache_creation_input_tokens")} AS created_,
                    {_count("reasoning_output_tokens")} AS t_reasoning,
                    {_detail("web_search_requests")} AS t_web_search,
                    CAST(1 AS BIGINT) AS t_request
                FROM {relation}
            )
        )
    )
)
"""


def joined(plan: str, name: str, model: str) -> str:
    """Give the join of `counted` with the rates of a model, under a name."""
    return f"""\
LEFT JOIN {plan} AS {name} ON {name}.provider_name = counted.provider_name AND {name}.model = {model}
        AND {name}.service_tier = tier_ AND {name}.region = region_ AND {name}.day = day_
        AND us_ >= {name}.us_from AND us_ < {name}.us_until
        AND coalesce(input_tokens, 0) >= {name}.tokens_from AND coalesce(input_tokens, 0) < {name}.tokens_until"""


def total(name: str) -> str:
    """Give an attempt's cost by the rates under that name, in 1e-15 USD; null where a count or a price is missing."""
    fits = f"CAST({' + '.join(f't_{one}' for one in CLASSES)} AS DOUBLE) * {name}.dearest < 9e18"
    unsaid = [f"({side}_tokens IS NULL AND {name}.{side} IS DISTINCT FROM 0)" for side in ("input", "output")]
    unknown = [f"(t_{one} > 0 AND {name}.{one} IS NULL)" for one in CLASSES]
    small = " + ".join(f"t_{one} * coalesce({name}.{one}, 0)" for one in CLASSES)
    large = " + ".join(f"CAST(t_{one} AS HUGEINT) * coalesce({name}.{one}, 0)" for one in CLASSES)
    return f"""\
CASE WHEN {name}.us_from IS NULL OR {" OR ".join((*unsaid, *unknown))} THEN NULL
        WHEN {fits} THEN CAST({small} AS HUGEINT)
        ELSE {large} END"""


def usd(cost: str) -> str:
    """Give an amount of 1e-15 USD in dollars, the last digit rounded half to even as Python's Decimal does."""
    return f"CASE WHEN {cost} < {_SMALL} THEN {_rounded(f'CAST({cost} AS BIGINT)')} ELSE {_rounded(cost)} END"


def _rounded(cost: str) -> str:
    up = f"({cost} % 1000 > 500 OR ({cost} % 1000 = 500 AND ({cost} // 1000) % 2 = 1))"
    whole = f"CAST({cost} // 1000 + CAST({up} AS INTEGER) AS DECIMAL(18, 0))"
    return f"CAST({whole} * CAST(0.000000000001 AS DECIMAL(13, 12)) AS DECIMAL(18, 12))"


def _chosen(cached: str, nothing: str, own: str, asked: str) -> str:
    return f"""\
CASE WHEN gateway_cache_status IN ('hit', 'semantic_hit') THEN {cached}
        WHEN coalesce(input_tokens, 0) = 0 AND coalesce(output_tokens, 0) = 0 AND status <> 'ok' THEN
            CASE WHEN input_tokens IS NULL AND output_tokens IS NULL
                AND (error_class IN ('timeout', 'cancelled') OR status = 'cancelled') THEN NULL ELSE {nothing} END
        WHEN own_cost < {_TOO_MUCH} THEN {own}
        WHEN asked_cost < {_TOO_MUCH} THEN {asked} END"""


def _count(column: str) -> str:
    return f"CAST(coalesce({column}, 0) AS BIGINT)"


def _detail(name: str) -> str:
    return f"CAST(greatest(coalesce(usage_details['{name}'], 0), 0) AS BIGINT)"
