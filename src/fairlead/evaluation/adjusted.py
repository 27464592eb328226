"""Endpoints on equal terms: what each would have had if every request had gone to it, beside what it had.

A raw mean compares endpoints on different requests: whoever is given the hard ones looks worse than it is. With logged
propensities the doubly robust estimate of each endpoint's mean over all requests is shown (Robins, Rotnitzky and Zhao
1994); without them, or where too few were drawn to tell, the direct one: predictions averaged over all requests. The
predictions are the champion's, out of fold, for quality where there are any, else those of a category table by route,
fitted on other requests (direct standardisation).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Literal

import numpy as np
import polars as pl
from msgspec import Struct

from fairlead import store
from fairlead.project import Project
from fairlead.training import tables
from fairlead.training.champions import champion_of
from fairlead.training.predictor import TrainedPredictor
from fairlead.training.registry import Registry

__all__ = ["METRICS", "Adjusted", "adjusted", "rows_of"]

Array = np.ndarray[Any, Any]
METRICS: Final = ("quality", "cost_usd", "duration_s")
Method = Literal["doubly robust", "predicted", "by route"]
_LEAST: Final = 20  # requests of an endpoint
_ESS: Final = 100.0  # effective sample below which no interval is honest (LEARNING)
_KNOWN: Final = 0.95  # share of requests whose propensity must be known
_FOLDS: Final = 5
_SQL: Final = """
select
    requests.request_id, requests.event_id, requests.endpoint, coalesce(requests.route, '') as route,
    requests.propensity, labels.quality, requests.cost_usd::double as cost_usd, requests.duration_s
from requests left join labels using (request_id)
where requests.start_time >= $from and requests.start_time < $until and requests.endpoint is not null
    -- After a fallback the outcome is of two endpoints, and the propensity of the first.
    and requests.endpoint = requests.first_endpoint and requests.status = 'ok'
order by requests.request_id
"""


class Adjusted(Struct, frozen=True, kw_only=True):
    """One endpoint's mean of a metric: as it came (`raw`) and over all requests (`value`), and by which method.

    `low` and `high` bound `value` with 95 %; None where the log does not support an interval.
    """

    endpoint: str
    metric: str
    requests: int
    raw: float
    value: float
    low: float | None
    high: float | None
    method: Method


def rows_of(connection: store.Connection, start: datetime, until: datetime) -> pl.DataFrame:
    """Read the answered requests of a window with their outcomes; the connection needs `labels`."""
    return store.query(connection, _SQL, {"from": start, "until": until})


def adjusted(rows: pl.DataFrame, project: Project | None = None) -> list[Adjusted]:
    """Adjust every metric of every endpoint with enough requests, the busiest endpoint first.

    `rows` has what `rows_of` reads. The project is asked for the quality predictor in force.
    """
    champion = None
    if project is not None and rows["quality"].count():
        found = champion_of(Registry.of(project), "quality") if project.registry.is_dir() else None
        champion = found.predictor if found else None
    counted = rows.group_by("endpoint").len().sort("len", "endpoint", descending=[True, False])
    endpoints = counted.filter(pl.col("len") >= _LEAST)["endpoint"].to_list()
    kept = rows.filter(pl.col("endpoint").is_in(endpoints))
    results = []
    for metric in METRICS:
        known = kept.filter(pl.col(metric).is_not_null())
        if known.height >= _LEAST:
            held = _out_of_fold(champion) if champion and metric == "quality" else {}
            results += _metric(known, metric, endpoints, held)
    return results


def _metric(
    rows: pl.DataFrame, metric: str, endpoints: list[str], held: Mapping[str, dict[str, float]]
) -> list[Adjusted]:
    value = rows[metric].cast(pl.Float64).to_numpy()
    codes = {name: code for code, name in enumerate(endpoints)}
    endpoint = np.array([codes[name] for name in rows["endpoint"].to_list()])
    predicted = _by_route(value, rows["route"].to_list(), endpoint, len(endpoints))
    covered = 0
    for row, event in enumerate(rows["event_id"].to_list()):
        own = held.get(event)
        if own is not None:
            covered += 1
            for name, code in codes.items():
                predicted[row, code] = own.get(name, predicted[row, code])
    chance = rows["propensity"].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    logged = np.isfinite(chance) & (chance > 0)
    use = logged if logged.mean() >= _KNOWN else np.zeros(len(rows), dtype=bool)
    plain: Method = "predicted" if covered > len(rows) / 2 else "by route"
    found = []
    for name, code in codes.items():
        mine = endpoint == code
        if mine.sum() < _LEAST:
            continue
        weight = 1 / chance[mine & use]
        ess = float(weight.sum() ** 2 / (weight**2).sum()) if len(weight) else 0.0
        raw, count = float(value[mine].mean()), int(mine.sum())
        made: dict[str, Any] = {"endpoint": name, "metric": metric, "requests": count, "raw": raw}
        if ess < _ESS:
            mean = float(predicted[:, code].mean())
            found.append(Adjusted(**made, value=mean, low=None, high=None, method=plain))
            continue
        each = predicted[use, code].copy()
        own = mine[use]
        each[own] += (value[use][own] - each[own]) / chance[use][own]
        mean, error = float(each.mean()), float(each.std(ddof=1) / np.sqrt(len(each)))
        low, high = mean - 1.96 * error, mean + 1.96 * error
        found.append(Adjusted(**made, value=mean, low=low, high=high, method="doubly robust"))
    return found


def _by_route(value: Array, route: list[str], endpoint: Array, count: int) -> Array:
    """Predict each row at every endpoint (n, K) from other rows, by route."""
    names, codes = np.unique(np.array(route, dtype=object).astype(str), return_inverse=True)
    fold = np.random.default_rng(0).integers(0, _FOLDS, len(value))
    return tables.crossfit_all(value, codes.astype(np.float64), endpoint, (len(names) + 1, count), fold)


def _out_of_fold(champion: TrainedPredictor) -> dict[str, dict[str, float]]:
    """The champion's predictions of each request that it learned from, by event and endpoint, none having seen it."""
    head = next((head for head in champion.heads if head.plan.target == "quality"), None)
    if head is None or head.oof.shape[-1] != len(champion.endpoints):
        return {}
    return {
        event: dict(zip(champion.endpoints, row, strict=True))
        for event, row in zip(head.oof_ids, head.oof.tolist(), strict=True)
    }
