"""The attempts of a span with what each costs by the list, in a table to ask about: `charges`."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import pyarrow as pa

from fairlead import store
from fairlead.ingest import aliases, plan, plan_sql
from fairlead.ingest.plan import CLASSES
from fairlead.ingest.prices import PriceBook
from fairlead.reports.reconcile import sheets

__all__ = ["UNITS_PER_PICO", "make", "moment"]

UNITS_PER_PICO: Final = 1000  # money here is counted in 1e-15 USD, a column of dollars in 1e-12

_CHARGES: Final = f"""
SELECT span.source, named.provider, named.model, span.day_ AS day, span.cell_ AS cell,
    CAST(span.reported_cost_usd * 1000000000000 AS HUGEINT) * {UNITS_PER_PICO} AS reported, span.cost_ AS listed,
    -- What a provider counts as a request: something was sent, and it was not answered from the gateway's cache.
    coalesce(span.gateway_cache_status, '') NOT IN ('hit', 'semantic_hit')
        AND (coalesce(span.input_tokens, 0) > 0 OR coalesce(span.output_tokens, 0) > 0) AS billable,
    {", ".join(f"span.t_{name}" for name in CLASSES)}
FROM ({{costed}}) AS span
JOIN named ON named.provider_name = span.provider_name
    AND named.raw IS NOT DISTINCT FROM coalesce(span.response_model, span.request_model)
"""


def make(con: store.Connection, book: PriceBook, since: datetime, until: datetime) -> None:
    """Make the tables `charges` (an attempt each), `sheet` (prices that may have been taken) and `named` (models).

    In `charges` money is in 1e-15 USD; `listed` is null where an attempt has no list price, `reported` where its
    gateway gave no cost. `model` is the name that bills and logs share.
    """
    span = f"(SELECT * FROM attempts WHERE start_time >= {moment(since)} AND start_time < {moment(until)})"
    wanted = [plan.Key(*row) for row in con.execute(plan_sql.keys(span)).fetchall()]
    rates, others = sheets.tables(book, wanted)
    for name, table in (("listed_rates", rates), ("sheet", others), ("named", _names(con))):
        con.register("incoming", table)
        con.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT * FROM incoming")
        con.unregister("incoming")
    costed = plan_sql.costed(span, "listed_rates")
    con.execute(f"CREATE OR REPLACE TEMP TABLE charges AS {_CHARGES.format(costed=costed)}")


def moment(value: datetime) -> str:
    """Give a moment as SQL."""
    return f"TIMESTAMPTZ '{value.isoformat()}'"


def _names(con: store.Connection) -> pa.Table:
    """Give what bills and logs both call the providers and models, for each as it is written."""
    found = con.execute(
        "SELECT DISTINCT provider_name, coalesce(response_model, request_model) FROM attempts"
        " UNION SELECT DISTINCT provider_name, model FROM usage"
    ).fetchall()
    sellers = [aliases.provider(provider) for provider, _ in found]
    models = [raw and aliases.family(seller, raw) for seller, (_, raw) in zip(sellers, found, strict=True)]
    columns = ([provider for provider, _ in found], [raw for _, raw in found], sellers, models)
    names = ("provider_name", "raw", "provider", "model")
    return pa.table({name: pa.array(column, pa.string()) for name, column in zip(names, columns, strict=True)})
