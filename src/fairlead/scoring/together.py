"""Several requests decided in one go: what deciding one after the other would choose at that moment, in half the time.

Processors are slow at new code and new data: the pieces of a decision take half as long when each is done for many
requests before the next. So a server gathers what arrives at the same time, see `serve.gather`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from fairlead.scoring.decision import Decision
from fairlead.scoring.draw import pick, uniform
from fairlead.scoring.in_use import InUse
from fairlead.scoring.live import Live
from fairlead.scoring.predict import Candidates
from fairlead.scoring.request import Request
from fairlead.scoring.view import View

__all__ = ["decide", "independent"]

Array = np.ndarray[Any, Any]


def independent(now: InUse, view: View, live: Live) -> bool:
    """Say whether a decision changes nothing that the next one rests on.

    It does where the policy counts calls or is not known not to, where rate limits are counted, and where an endpoint
    is ejected or coming back, as the next call may be its probe.
    """
    if getattr(now.policy, "counts_calls", True) or live.settings.limits:
        return False
    return bool(view.available.all() and (view.admitted >= 1).all())


def decide(now: InUse, requests: Sequence[Request], predicted: Array, view: View, live: Live) -> list[Decision]:
    """Choose for requests whose decisions are independent: `predicted` is (7, n, K)."""
    asked = [now.rules.eligible(request, view) for request in requests]
    chosen = [place for place, one in enumerate(asked) if one.status != "no_eligible"]
    if len(chosen) < len(requests):
        predicted = predicted[:, chosen]
    decided = iter(
        _choose(
            now, [requests[place] for place in chosen], [asked[place].mask for place in chosen], predicted, view, live
        )
        if chosen
        else ()
    )
    return [
        now.without_a_choice(request, "no_eligible", "no endpoint is eligible")
        if one.status == "no_eligible"
        else next(decided)
        for request, one in zip(requests, asked, strict=True)
    ]


def _choose(
    now: InUse, requests: Sequence[Request], masks: Sequence[Array], predicted: Array, view: View, live: Live
) -> list[Decision]:
    quality, quality_low, cost, cost_p90, latency, latency_p90, failure = predicted
    incumbent = None
    if any(request.conversation is not None for request in requests):
        incumbent, cost = _conversations(now, requests, cost, live)
    candidates = Candidates(
        endpoints=now.names,
        quality=quality,
        quality_low=quality_low,
        cost_usd=cost,
        cost_p90_usd=cost_p90,
        latency_s=latency,
        latency_p90_s=latency_p90,
        eligible=np.array(masks),
        failure=failure if now.predictor.says_failure else None,
        view=view,
        incumbent=incumbent,
        routes=tuple([request.route for request in requests]),
    )
    scores: Array | None = None
    if now.evaluate is not None:
        chances, scores = now.evaluate(candidates)
    else:
        chances = now.policy.probabilities(candidates)
    shares, decisions = chances.tolist(), []
    for place, request in enumerate(requests):
        own = slice(place, place + 1)
        seen = _row(candidates, own, request)
        why = partial(now.why, seen, chances[own], None if scores is None else scores[own], "ok")
        at = pick(shares[place], now.order, uniform(now.seed, request.id))
        decisions.append(now.decision(request, seen, shares[place], at, "policy", why))
    return decisions


def _conversations(now: InUse, requests: Sequence[Request], cost: Array, live: Live) -> tuple[Array, Array]:
    """Give who served each conversation last, and what each request costs where its prompt is cached."""
    incumbent, cost = np.full(len(requests), -1), cost.copy()
    for place, request in enumerate(requests):
        if request.conversation is not None:
            incumbent[place] = live.incumbent(request.conversation)
            cost[place] = np.maximum(cost[place] - live.warm(request.conversation) * now.saved, 0.0)
    return incumbent, cost


def _row(candidates: Candidates, own: slice, request: Request) -> Candidates:
    """Give the candidates of one request, as deciding it alone would have seen them."""
    alone = request.conversation is None or candidates.incumbent is None
    return Candidates(
        endpoints=candidates.endpoints,
        quality=candidates.quality[own],
        quality_low=candidates.quality_low[own],
        cost_usd=candidates.cost_usd[own],
        cost_p90_usd=candidates.cost_p90_usd[own],
        latency_s=candidates.latency_s[own],
        latency_p90_s=candidates.latency_p90_s[own],
        eligible=candidates.eligible[own],
        failure=None if candidates.failure is None else candidates.failure[own],
        view=candidates.view,
        incumbent=None if alone or candidates.incumbent is None else candidates.incumbent[own],
        routes=(request.route,),
    )
