"""Predictions, live state and rewards as a policy may meet them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec
import numpy as np

from fairlead.scoring.outcome import Reward
from fairlead.scoring.predict import Candidates
from fairlead.scoring.view import View

__all__ = ["ARRAYS", "candidates", "first", "reordered", "rewards", "view"]

ARRAYS: Final = (
    "quality",
    "quality_low",
    "cost_usd",
    "cost_p90_usd",
    "latency_s",
    "latency_p90_s",
    "eligible",
)
_ROUTES: Final = ("maths", "chat", "code", None)


def candidates(rng: np.random.Generator, requests: int, endpoints: int, *, view: View | None = None) -> Candidates:
    """Draw predictions as a policy may meet them: some unknown, some not eligible, at least one eligible a request.

    With a `view`, half of the failures are predicted, and most requests have an incumbent.
    """
    shape = (requests, endpoints)
    quality, cost, latency = rng.random(shape), rng.lognormal(-6, 1, shape), rng.lognormal(0, 1, shape)
    for values in (quality, cost, latency):
        values[rng.random(shape) < 0.05] = np.nan
    eligible = rng.random(shape) < 0.8
    eligible[np.arange(requests), rng.integers(endpoints, size=requests)] = True
    return Candidates(
        endpoints=tuple(f"provider/model-{index}" for index in range(endpoints)),
        quality=quality,
        quality_low=quality * rng.random(shape),
        cost_usd=cost,
        cost_p90_usd=cost * 2,
        latency_s=latency,
        latency_p90_s=latency * 2,
        eligible=eligible,
        view=view,
        failure=None if view is None else np.where(rng.random(shape) < 0.5, rng.random(shape), np.nan),
        incumbent=None if view is None else rng.integers(-1, endpoints, size=requests),
        routes=tuple(_ROUTES[place] for place in rng.integers(len(_ROUTES), size=requests)),
    )


def view(rng: np.random.Generator, endpoints: int) -> View:
    """Draw live state of any kind: endpoints ejected, failing, unknown, returning, without headroom."""
    latency = rng.lognormal(0, 2, endpoints)
    latency[rng.random(endpoints) < 0.3] = np.nan
    return View(
        in_flight=rng.integers(0, 5, endpoints).astype(np.float64),
        latency_s=latency,
        error_share=np.where(rng.random(endpoints) < 0.5, 0.0, rng.random(endpoints)),
        headroom=np.where(rng.random(endpoints) < 0.3, 0.0, rng.random(endpoints)),
        turns=rng.integers(0, 3, endpoints).astype(np.float64),
        available=rng.random(endpoints) < 0.7,
        admitted=np.where(rng.random(endpoints) < 0.5, 1.0, rng.random(endpoints)),
        pace=float(rng.choice([1.0, rng.lognormal(0, 1)])),
    )


def rewards(rng: np.random.Generator, count: int) -> Iterator[Reward]:
    """Draw rewards from ever new routes and endpoints, out of order, most without a quality."""
    for number in range(count):
        kind = number % 7
        yield Reward(
            endpoint=f"provider/model-{number % 5 if kind else number}",
            route=_ROUTES[number % 3] if kind < 3 else None if kind == 3 else f"route-{number}",
            propensity=float(rng.random()),
            expected_quality=float(rng.random()) if kind != 4 else None,
            expected_cost_usd=0.001 if kind != 5 else None,
            expected_latency_s=1.0,
            quality=float(rng.random()) if kind < 3 else None,
            cost_usd=float(rng.lognormal(-6, 1)) if kind != 6 else None,
            latency_s=float(rng.lognormal(0, 1)),
            failed=kind == 2,
            waited_s=float(rng.exponential(600)),
        )


def reordered(given: Candidates, order: np.ndarray[Any, Any]) -> Candidates:
    """Give the same candidates with their endpoints in another order."""
    arrays = {name: getattr(given, name)[:, order] for name in ARRAYS}
    seen, incumbent = given.view, given.incumbent
    if seen is not None:
        moved = {name: value[order] for name, value in msgspec.structs.asdict(seen).items() if np.ndim(value)}
        seen = msgspec.structs.replace(seen, **moved)
    if incumbent is not None:
        incumbent = np.where(incumbent >= 0, np.argsort(order)[incumbent], -1)
    return msgspec.structs.replace(
        given,
        endpoints=tuple(given.endpoints[index] for index in order),
        view=seen,
        failure=None if given.failure is None else given.failure[:, order],
        incumbent=incumbent,
        **arrays,
    )


def first(given: Candidates) -> Candidates:
    """Give the first request alone."""
    arrays = {
        name: getattr(given, name)[:1] for name in (*ARRAYS, "failure", "incumbent") if getattr(given, name) is not None
    }
    return msgspec.structs.replace(given, routes=None if given.routes is None else given.routes[:1], **arrays)
