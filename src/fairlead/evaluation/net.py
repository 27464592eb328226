"""What saving costs: judges, shadow calls, the router itself, and prompt caches that a switch leaves cold.

All over the judged window, in dollars, as the logs and prices say; nothing is guessed where they say nothing. The cost
of exploring is in the policy's own choices already.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import polars as pl
from msgspec import Struct

from fairlead import features, store
from fairlead.evaluation.replay import Replay
from fairlead.project import Project
from fairlead.scoring.manifest import Endpoint

__all__ = ["Overheads", "overheads"]

Array = np.ndarray[Any, Any]
_JUDGES: Final = "select sum(evaluator_cost_usd)::double from feedback where time >= $from and time <= $until"
_SHADOW: Final = """
select sum(cost_usd)::double from attempts
where attempt_kind = 'shadow' and start_time >= $from and start_time <= $until
"""
_CACHED: Final = """
select request_id, sum(cache_read_input_tokens)::double as tokens from attempts
where cache_read_input_tokens > 0 and start_time >= $from and start_time <= $until
    and coalesce(attempt_kind, '') <> 'shadow'
group by request_id
"""


class Overheads(Struct, frozen=True, kw_only=True):
    """Dollars of the window that a saving has to pay for; `net_savings_usd` is what is left, None where unknown."""

    judges_usd: float
    shadow_usd: float
    router_usd: float
    cold_caches_usd: float
    gross_savings_usd: float | None = None
    net_savings_usd: float | None = None

    @property
    def total_usd(self) -> float:
        """All of them."""
        return self.judges_usd + self.shadow_usd + self.router_usd + self.cold_caches_usd


def overheads(
    project: Project, log: Replay, chances: Array, endpoints: list[Endpoint], saved_usd: float | None
) -> Overheads:
    """Add up what a policy's choices (n, K) would cost beside its calls.

    `saved_usd` is what it saves on the calls of the window. `[tool.fairlead.costs] router_usd_per_million` is what a
    million decisions cost; 0 unless it is said. A prompt cache is cold where the policy would have left the endpoint
    that read from it: then its tokens cost the full price of input there, as far as both prices are known.
    """
    window = {"from": log.start, "until": log.end}
    con = store.open_lake(project.lake).connect()
    try:
        features.make_views(con, features.rules_of(project))
        judges, shadow = (store.query(con, sql, window).item() or 0.0 for sql in (_JUDGES, _SHADOW))
        cached = store.query(con, _CACHED, window)
    finally:
        con.close()
    rate = float(project.settings.get("costs", {}).get("router_usd_per_million", 0.0))
    cold = _cold(log, chances, endpoints, cached)
    found = Overheads(
        judges_usd=float(judges), shadow_usd=float(shadow), router_usd=rate * len(log) / 1e6, cold_caches_usd=cold
    )
    if saved_usd is None:
        return found
    return Overheads(
        judges_usd=found.judges_usd,
        shadow_usd=found.shadow_usd,
        router_usd=found.router_usd,
        cold_caches_usd=cold,
        gross_savings_usd=saved_usd,
        net_savings_usd=saved_usd - found.total_usd,
    )


def _cold(log: Replay, chances: Array, endpoints: list[Endpoint], cached: pl.DataFrame) -> float:
    tokens_of = dict(cached.iter_rows())
    tokens = np.array([tokens_of.get(name, 0.0) for name in log.request_ids])
    saved = np.array([
        0.0 if end.input_usd is None or end.cache_read_usd is None else max(end.input_usd - end.cache_read_usd, 0.0)
        for end in endpoints
    ])  # fmt: skip
    placed = log.endpoint >= 0
    at = np.maximum(log.endpoint, 0)
    leaves = 1 - chances[np.arange(len(log)), at]
    return float((placed * leaves * tokens * saved[at]).sum())
