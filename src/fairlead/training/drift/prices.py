"""Did a price change since the training, of a model that is in use?"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from fairlead import store
from fairlead.errors import StoreError
from fairlead.project import Project
from fairlead.training.drift.check import Check, unknown

__all__ = ["checks"]

_ALARM: Final = 5.0  # times dearer or cheaper: rather a mistake in the list than a price
_SQL: Final = """
with used as (
    select distinct provider_name, lower(coalesce(response_model, request_model)) as model
    from attempts where start_time >= $since
),
sheet as (
    select moment, provider_name, lower(model) as model, meter, max(price_usd_per_unit)::double as usd
    from prices, (select unnest([$since, $now]) as moment)
    where meter in ('input', 'output') and service_tier = 'standard' and min_input_tokens = 0 and region is null
        and utc_time_from is null and valid_from <= moment and (valid_to is null or valid_to > moment)
    group by all
)
select before.provider_name || '/' || before.model as name, before.meter, before.usd as before, later.usd as now
from sheet as before join sheet as later using (provider_name, model, meter) join used using (provider_name, model)
where before.moment = $since and later.moment = $now and before.usd > 0
order by abs(ln(greatest(later.usd, 1e-15) / before.usd)) desc, name, meter
"""


def checks(connection: store.Connection, project: Project, since: datetime, now: datetime) -> list[Check]:
    """Compare the prices in force at the training's end with those in force now; contract prices come first."""
    found: dict[tuple[str, str], tuple[float, float]] = {}
    for path in (project.prices, project.contract):
        if path.is_file():
            try:
                store.load_prices(connection, path)
                rows = store.query(connection, _SQL, {"since": since, "now": now})
            except StoreError as fault:
                return [unknown("prices", "prices", str(fault).splitlines()[0])]
            found |= {(row["name"], row["meter"]): (row["before"], row["now"]) for row in rows.iter_rows(named=True)}
    if not found:
        return [unknown("prices", "prices", "no price is known of the models in use; see data/README.md")]
    changed = {key: pair for key, pair in found.items() if abs(pair[1] / pair[0] - 1) > 1e-9}
    most = max((max(b / a, a / max(b, 1e-15)) for a, b in changed.values()), default=1.0)
    named = ", ".join(
        f"{name} {meter} x{now / before:.2f}" for (name, meter), (before, now) in list(changed.items())[:4]
    )
    said = (
        f"{len(changed)} of {len(found)} prices changed since the training: {named}; publish again" if changed else ""
    )
    return [
        Check(
            name="prices",
            group="prices",
            verdict="ok" if not changed else "alarm" if most > _ALARM else "retrain",
            reason=said or f"the {len(found)} prices of the models in use are those of the training",
            value=most,
            reference=1.0,
            limit=_ALARM,
        )
    ]
