"""The gap between what a gateway reported and what its tokens cost, attempt by attempt.

Of an attempt only the total is known. So every mistake that is known of gateways is worked out for it, to the last
digit, and the gap is put down to the mistake that gives the very figure the gateway reported; the simplest first: one
mistake, then one about the prices with one about the tokens, then one about part of the tokens. Where several give
the same figure, that is what it says. A gap that fits none stays unexplained.
"""

from __future__ import annotations

from typing import Any, Final

from fairlead import store
from fairlead.reports.reconcile.mistakes import BOTH, MISTAKES, NOTHING, PARTS, change, total
from fairlead.reports.reconcile.sheets import AS_LISTED

__all__ = ["AGREED", "UNEXPLAINED", "explained"]

AGREED: Final = "agreed"
UNEXPLAINED: Final = "not explained"
_UNPRICED: Final = "no list price"
_FREE: Final = "a cost reported where the provider bills nothing"
_UNREPORTED: Final = "no cost reported"
_ENOUGH: Final = 50  # figures from which can be seen how many decimals a gateway rounds to
_SAME_FACTOR: Final = 20  # attempts that a factor has to hold for before it is taken for one

# A margin or a discount that a gateway was told to put on everything has few decimals, and then fits exactly.
_FACTOR: Final = "CAST(round(10000 * gaps.reported / nullif(gaps.listed, 0)) AS HUGEINT)"
_MULTIPLIED: Final = (
    f"gaps.listed > 0 AND gaps.reported > 0"
    f" AND abs(10000 * gaps.reported - {_FACTOR} * gaps.listed) <= 10000 * gaps.near"
)

# How far apart two figures of one source may be and still be the same: half of its last decimal, and a float's noise.
_TOLERANCES: Final = f"""
CREATE OR REPLACE TEMP TABLE tolerance AS
SELECT source, CASE
    WHEN count(reported) < {_ENOUGH} THEN 1500
    WHEN bool_and(reported % 100000000000 = 0) THEN 50000000000
    WHEN bool_and(reported % 1000000000 = 0) THEN 500000000
    WHEN bool_and(reported % 10000000 = 0) THEN 5000000
    ELSE 1500 END AS within
FROM charges GROUP BY source
"""
_FAR: Final = "abs(reported - listed) > within + listed // 1000000000000"


def explained(con: store.Connection) -> list[dict[str, Any]]:
    """Give what the gaps of `charges` are made of: provider, model, day, name, attempts and the units of money."""
    con.execute(_TOLERANCES)
    con.execute(_numbered())
    con.execute(_tested())
    return store.query(con, _summed()).to_dicts()


def _numbered() -> str:
    return f"""
CREATE OR REPLACE TEMP TABLE gaps AS
SELECT row_number() OVER () AS number, charges.*, within + listed // 1000000000000 AS near
FROM charges JOIN tolerance USING (source)
WHERE reported IS NOT NULL AND listed IS NOT NULL AND {_FAR}
"""


def _tested() -> str:
    mistakes = {NOTHING: "CAST(0 AS HUGEINT)"} | {name: change(formula, "sheet") for name, formula in MISTAKES.items()}
    listed = ", ".join(f"{{'name': '{name}', 'usd': {amount}}}" for name, amount in mistakes.items())
    return f"""
CREATE OR REPLACE TEMP TABLE found AS
WITH tested AS (
    SELECT number, sheet.sheet, near, reported - ({total("sheet")}) AS missing, [{listed}] AS thinkable
    FROM gaps JOIN sheet USING (cell)
),
matched AS (
    SELECT number, CASE WHEN sheet = '{AS_LISTED}' THEN '' ELSE sheet END AS sheet, mistake.name AS mistake
    FROM (
        SELECT number, sheet, unnest(list_filter(thinkable, lambda one: abs(one.usd - missing) <= near)) AS mistake
        FROM tested
    )
),
ranked AS (
    SELECT number, concat_ws(' and ', nullif(sheet, ''), nullif(mistake, '')) AS name,
        (sheet <> '')::INTEGER + (mistake <> '')::INTEGER + (mistake = '{BOTH}')::INTEGER AS rank
    FROM matched
)
SELECT number, list_sort(list_distinct(list(name))) AS names
FROM ranked
WHERE rank > 0
GROUP BY number, rank
QUALIFY rank = min(rank) OVER (PARTITION BY number)
"""


def _summed() -> str:
    parts = ", ".join(
        f"CASE WHEN {_whole(change(each, 'sheet'), change(most, 'sheet'))} THEN '{name}' END"
        for name, (each, most) in PARTS.items()
    )
    return f"""
WITH parts AS (
    SELECT number, list_filter([{parts}], lambda one: one IS NOT NULL) AS names
    FROM gaps JOIN sheet ON sheet.cell = gaps.cell AND sheet.sheet = '{AS_LISTED}'
    WHERE number NOT IN (SELECT number FROM found)
),
factors AS (
    SELECT source, {_FACTOR} AS factor
    FROM gaps WHERE {_MULTIPLIED} AND number NOT IN (SELECT number FROM found)
    GROUP BY ALL HAVING count(*) >= {_SAME_FACTOR}
),
named AS (
    SELECT gaps.provider, gaps.model, gaps.day, reported - listed AS gap, CASE
        WHEN len(found.names) > 0 THEN array_to_string(found.names[:3], ' or ')
        WHEN factors.factor IS NOT NULL THEN 'every cost multiplied by ' || factors.factor / 10000.0
        WHEN gaps.cell IS NULL THEN '{_FREE}'
        WHEN len(parts.names) > 0 THEN array_to_string(parts.names, ' or ')
        ELSE '{UNEXPLAINED}' END AS name,
        coalesce(len(found.names) = 1 OR factors.factor IS NOT NULL OR gaps.cell IS NULL
            OR len(parts.names) = 1, false) AS known
    FROM gaps LEFT JOIN found USING (number) LEFT JOIN parts USING (number)
    LEFT JOIN factors ON factors.source = gaps.source AND found.number IS NULL
        AND {_MULTIPLIED} AND factors.factor = {_FACTOR}
    UNION ALL
    SELECT provider, model, day, coalesce(reported, 0) - coalesce(listed, 0), CASE
        WHEN listed IS NULL THEN '{_UNPRICED}' WHEN reported IS NULL THEN '{_UNREPORTED}' ELSE '{AGREED}' END, true
    FROM charges JOIN tolerance USING (source)
    WHERE reported IS NULL OR listed IS NULL OR NOT ({_FAR})
)
SELECT provider, model, day, name, known, count(*) AS attempts, CAST(sum(gap) AS DECIMAL(38, 0)) AS units
FROM named GROUP BY ALL ORDER BY ALL
"""


def _whole(each: str, most: str) -> str:
    """Say in SQL whether a gap is a whole number of tokens of a class, some of them but not all."""
    tokens = f"CAST(round((reported - listed) / {each}) AS HUGEINT)"
    gap = "(reported - listed)"
    return (
        f"{each} <> 0 AND {gap} / nullif({each}, 0) > 0.5 AND {gap} / nullif({each}, 0) < {most} + 0.5"
        f" AND abs({tokens} * {each} - {gap}) <= near"
    )
