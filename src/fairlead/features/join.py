"""Joins features to attempts as of each request's start: what was not known then is not seen.

Training and publishing ask the same function, at each request's start and at now.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Final

import polars as pl
from msgspec import Struct

from fairlead import store
from fairlead.errors import FeatureError
from fairlead.features import pushed
from fairlead.features.labels import make_views, rules_of
from fairlead.features.noise import Noise
from fairlead.features.preferences import Ability, abilities
from fairlead.features.tables import FeatureTable, build_tables, read_folder
from fairlead.project import Project
from fairlead.scoring.predict import SCALARS
from fairlead.scoring.request import TEXT_FEATURES

__all__ = ["Joined", "join"]

_ATTEMPTS: Final = """
select
    attempts.event_id, attempts.request_id, attempts.attempt_index, attempts.endpoint, attempts.provider_name,
    coalesce(attempts.response_model, attempts.request_model) as model, attempts.start_time, attempts.status,
    attempts.time_to_first_chunk_s as ttft_s, attempts.region,
    -- Whether the call failed its caller; a call that was cancelled, refused for its key or answered from a cache says
    -- nothing of the endpoint.
    case
        when attempts.status = 'cancelled' or attempts.error_class in ('auth', 'budget', 'cancelled')
            or attempts.gateway_cache_status in ('hit', 'semantic_hit') then null
        when attempts.status <> 'ok' or lower(attempts.finish_reason) in
            ('length', 'max_tokens', 'content_filter', 'refusal', 'safety', 'error') then 1.0
        else 0.0
    end as failed,
    -- Whose labels these are: one tenant's may not move what the others are told.
    coalesce(attempts.team_id, attempts.api_key_id, attempts.organization_id) as tenant,
    coalesce(attempts.is_final, attempts.event_id = last.final_event_id) as final,
    attempts.propensity, attempts.input_tokens, attempts.output_tokens, attempts.duration_s,
    cast(attempts.cost_usd as double) as cost_usd, attempts.prompt_sha256, attempts.policy_id, attempts.policy_version,
    case when final then labels.quality end as quality,
    case when final then labels.measured end as quality_measured,
    case when final then labels.weight end as quality_weight,
    case when final then labels.trusted end as quality_trusted,
    case when final then labels.final_at end as quality_at,
    attempts.start_time + label_rules.maturity <= label_horizon.moment as label_mature{columns}
from {attempts} as attempts
cross join label_rules
cross join label_horizon
left join (select source, request_id, event_id as final_event_id from final_attempts) as last
    on attempts.source = last.source and attempts.request_id = last.request_id
left join labels_now as labels on attempts.request_id = labels.request_id
{joins}
order by attempts.start_time, attempts.event_id
"""
_SAID: Final = "select exists(from feedback_scores where score is not null), exists(from preferences)"
_NEWEST: Final = "select (select moment from label_horizon), (select max(ingested_at) from attempts)"


class Joined(Struct, frozen=True, kw_only=True):
    """Attempts with their features.

    `rows` has one row an attempt, with its request's label as `quality`. `request_columns` and `state_columns` name
    the features that describe the request and the endpoint; `table_of` says which file a column came from. `text`
    stays one list column. `state_now` has a row an endpoint: the state columns as of now. `horizon` is the newest
    moment that the lake knows of, `loaded_until` when its newest attempt was loaded; None in an empty lake. `judges`
    says what is known of each judge: `quality` is without its habits, `quality_measured` is so too and may leave 0 to
    1, which makes it right in the mean, `quality_weight` is what it tells beside the word of a person or a test, and
    `quality_trusted` whether one of them spoke.
    `preferred` is how endpoints fare where two answers were compared.
    """

    rows: pl.DataFrame
    request_columns: list[str]
    state_columns: list[str]
    table_of: dict[str, str]
    state_now: pl.DataFrame
    horizon: datetime | None = None
    loaded_until: datetime | None = None
    judges: list[Noise] = []
    preferred: list[Ability] = []


def join(
    project: Project,
    as_of: datetime | None = None,
    loaded_until: datetime | None = None,
    states: Collection[str] | None = None,
    only: str = "",
) -> Joined:
    """Build the features and join them to every attempt, as of its start, and the label of its request.

    With `as_of` everything is as it was known at that moment: what came later, attempts and feedback alike, changes
    nothing. The label stands at the final attempt of a request. Where it is missing it is unknown, never bad; while
    `label_mature` is false it may still come. With `loaded_until` attempts that were loaded later are left out, however
    old they are, so that what was learned from once can be found again. `states` names the tables of endpoints to join,
    None for all: each costs a search for every attempt. `only` is a condition in SQL on the attempts to join; features
    and labels are made of all of them just the same.
    """
    con = store.open_lake(project.lake).connect(as_of=as_of)
    try:
        judges = make_views(con, rules_of(project))
        said = con.execute(_SAID).fetchall()[0]  # of nothing, all attempts would be searched for what it speaks of
        con.execute(f"create or replace temp table labels_now as select * from labels{'' if said[0] else ' limit 0'}")
        compared = con.execute("select one, other, outcome from compared").fetchall() if said[1] else []
        tables = list(build_tables(con, read_folder(project.features)))
        columns = {table.name: _columns(con, table) for table in tables}
        of_request = [table for table in tables if table.of_request]
        of_endpoint = [
            table
            for table in tables
            if not table.of_request and columns[table.name] and (states is None or table.name in states)
        ]
        table_of = _owners(tables, columns)
        horizon, newest = store.query(con, _NEWEST).row(0)
        pushes = pushed.read(project)
        more = pushed.COLUMNS if pushes else {}
        rows = store.query(con, _select(of_request, of_endpoint, columns, _where(loaded_until, only), more))
        return Joined(
            rows=pushed.fill(rows, pushes).drop(*more),
            request_columns=[name for table in of_request for name in columns[table.name]],
            state_columns=[name for table in of_endpoint for name in columns[table.name]],
            table_of=table_of,
            state_now=store.query(con, _now(of_endpoint, columns)),
            horizon=horizon,
            loaded_until=newest,
            judges=judges,
            preferred=abilities(compared),
        )
    finally:
        con.close()


def _columns(con: Any, table: FeatureTable) -> list[str]:
    names = [row[0] for row in con.sql(f'describe "{table.name}"').fetchall()]
    kept = [name for name in names if name not in (*table.grain, "as_of")]
    attempts = _ATTEMPTS.format(columns="", joins="", attempts="attempts")
    own = [row[0] for row in con.sql(f"describe {attempts}").fetchall()]
    for name in kept:
        if name in own:  # else an outcome would be learned from as if it were known before the call
            raise FeatureError(f"{table.path}: column {name!r} is one of the attempts' own; rename it")
    if table.of_request:
        for name in kept:
            if name not in (*SCALARS, "text", "embedding", *TEXT_FEATURES) and not name.startswith("tag_"):
                raise FeatureError(
                    f"{table.path}: a request carries no {name!r}, so a gateway could not send it; use one of "
                    f"{', '.join(name for name in SCALARS if name not in own)}, or name it tag_... and send it in "
                    "Request.tags"
                )
    return kept


def _owners(tables: list[FeatureTable], columns: dict[str, list[str]]) -> dict[str, str]:
    owner: dict[str, str] = {}
    for table in tables:
        for name in columns[table.name]:
            if name in owner:
                raise FeatureError(f"{table.path}: column {name!r} is also in features/{owner[name]}.sql; rename one")
            owner[name] = table.name
    return owner


def _select(
    of_request: list[FeatureTable],
    of_endpoint: list[FeatureTable],
    columns: dict[str, list[str]],
    where: str,
    more: Mapping[str, str],
) -> str:
    chosen = [f'attempts.{column} as "{name}"' for name, column in more.items()]
    chosen += [f'"{table.name}"."{name}"' for table in (*of_request, *of_endpoint) for name in columns[table.name]]
    joins = [f'left join "{table.name}" using (event_id)' for table in of_request]
    joins += [
        f'asof left join "{table.name}" on attempts.endpoint = "{table.name}".endpoint '
        f'and attempts.start_time >= "{table.name}".as_of'
        for table in of_endpoint
    ]
    attempts = f"(select * from attempts where {where})" if where else "attempts"
    return _ATTEMPTS.format(columns="".join(f", {name}" for name in chosen), joins="\n".join(joins), attempts=attempts)


def _where(loaded_until: datetime | None, only: str) -> str:
    loaded = "" if loaded_until is None else f"ingested_at <= timestamptz '{loaded_until.isoformat()}'"
    return " and ".join(f"({part})" for part in (loaded, only) if part)


def _now(of_endpoint: list[FeatureTable], columns: dict[str, list[str]]) -> str:
    chosen = "".join(f', "{table.name}"."{name}"' for table in of_endpoint for name in columns[table.name])
    newest = "".join(
        f' left join (select * from "{table.name}" qualify row_number() over '
        f'(partition by endpoint order by as_of desc) = 1) as "{table.name}" using (endpoint)'
        for table in of_endpoint
    )
    return f"select endpoint{chosen} from (select distinct endpoint from attempts) as known{newest} order by endpoint"
