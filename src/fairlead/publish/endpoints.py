"""What is known of each endpoint beside its predictions: prices, limits, capabilities, region.

Limits and capabilities come from `data/models.csv`, the region from the endpoint's attempts, and what the project says
in `[tool.fairlead.endpoints."NAME"]` comes before both.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from fairlead import store
from fairlead.errors import UsageError
from fairlead.ingest import aliases, modelfile, prices
from fairlead.ingest.modelfile import CAPABILITIES, ModelBook
from fairlead.project import Project
from fairlead.scoring.manifest import Endpoint
from fairlead.training.predictor import TrainedPredictor

__all__ = ["EndpointSettings", "endpoints_in", "endpoints_of", "regions_of", "settings_of"]

_COUNTS: Final = ("context_window", "max_output_tokens")
# One region of all attempts that name one. Of two an endpoint has none: nobody could say where the next call goes.
_REGIONS: Final = """
select endpoint, any_value(region) as region from attempts
where endpoint is not null and region is not null and region <> ''
group by endpoint having count(distinct region) = 1 order by endpoint
"""


class EndpointSettings(Struct, frozen=True, kw_only=True):
    """What a project says of one endpoint; None where it says nothing."""

    region: str | None = None
    capabilities: tuple[str, ...] | None = None
    context_window: int | None = None
    max_output_tokens: int | None = None


def endpoints_of(
    predictor: TrainedPredictor,
    book: prices.PriceBook,
    *,
    models: ModelBook | None = None,
    regions: Mapping[str, str] | None = None,
    settings: Mapping[str, EndpointSettings] | None = None,
) -> list[Endpoint]:
    """Give a predictor's endpoints with the prices in force when it was trained, and what they can do.

    Raises UsageError when `settings` are of an endpoint that the predictor was not trained on.
    """
    moment = datetime.datetime.fromtimestamp(predictor.trained_until, datetime.UTC)
    told = settings or {}
    if unknown := sorted(set(told) - set(predictor.endpoints)):
        raise UsageError(
            f"[tool.fairlead.endpoints.{unknown[0]!r}]: no such endpoint in the logs; "
            f"there are {', '.join(predictor.endpoints)}"
        )
    found = []
    for name, provider, model in zip(predictor.endpoints, predictor.providers, predictor.models, strict=True):
        own = told.get(name, EndpointSettings())
        region = own.region or (regions or {}).get(name) or aliases.split(aliases.provider(provider), model)[0] or None
        rates = book.lookup(provider, model, moment, region=region)
        facts = models.lookup(provider, model) if models is not None else None
        known = {key: _first(getattr(own, key), getattr(facts, key, None)) for key in (*_COUNTS, "capabilities")}
        found.append(
            Endpoint(
                name=name,
                provider_name=provider,
                model=model,
                input_usd=_dollars(rates, "input"),
                output_usd=_dollars(rates, "output"),
                cache_read_usd=_dollars(rates, "cache_read"),
                price_source=None if rates is None else rates.source,
                region=region,
                context_window=known["context_window"],
                max_output_tokens=known["max_output_tokens"],
                capabilities=None if known["capabilities"] is None else list(known["capabilities"]),
            )
        )
    return found


def endpoints_in(project: Project, predictor: TrainedPredictor) -> list[Endpoint]:
    """Give a predictor's endpoints with all that the project's prices, catalogue, logs and settings know of them."""
    return endpoints_of(
        predictor,
        prices.of(project),
        models=modelfile.of(project),
        regions=regions_of(project),
        settings=settings_of(project),
    )


def regions_of(project: Project) -> dict[str, str]:
    """Give the region of each endpoint whose attempts all ran in one; the others are left out."""
    con = store.open_lake(project.lake).connect()
    try:
        return dict(store.query(con, _REGIONS).iter_rows())
    finally:
        con.close()


def settings_of(project: Project) -> dict[str, EndpointSettings]:
    """Read and check `[tool.fairlead.endpoints]`; UsageError names the endpoint and the key that is off."""
    given = project.settings.get("endpoints", {})
    place = f"{project.root / 'pyproject.toml'} [tool.fairlead.endpoints"
    if not isinstance(given, dict):
        raise UsageError(f"{place}]: expected a table for each endpoint")
    return {name: _settings(f"{place}.{name!r}]", table) for name, table in given.items()}


def _settings(where: str, table: Any) -> EndpointSettings:
    if not isinstance(table, dict):
        raise UsageError(f"{where}: expected a table of {', '.join(EndpointSettings.__struct_fields__)}")
    if unknown := sorted(set(table) - set(EndpointSettings.__struct_fields__)):
        raise UsageError(
            f"{where}: unknown key {unknown[0]!r}; known are {', '.join(EndpointSettings.__struct_fields__)}"
        )
    try:
        read = msgspec.convert(table, EndpointSettings)
    except msgspec.ValidationError as fault:
        raise UsageError(f"{where}: {fault}") from fault
    for key in _COUNTS:
        if getattr(read, key) is not None and getattr(read, key) < 1:
            raise UsageError(f"{where} {key}: expected a number of tokens from 1 up")
    if read.region is not None and not read.region.strip():
        raise UsageError(f"{where} region: expected the name of a region; leave the key out where it is not known")
    if unknown := sorted(set(read.capabilities or ()) - set(CAPABILITIES)):
        raise UsageError(f"{where} capabilities: unknown {unknown[0]!r}; known are {', '.join(CAPABILITIES)}")
    return msgspec.structs.replace(
        read, capabilities=None if read.capabilities is None else tuple(sorted(set(read.capabilities)))
    )


def _first(own: Any, listed: Any) -> Any:
    return listed if own is None else own


def _dollars(rates: prices.Rates | None, meter: str) -> float | None:
    found = None if rates is None else getattr(rates, meter)
    return None if found is None else float(found)
