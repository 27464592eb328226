"""A cascade as a gateway runs it: `start` says whom to ask, `next` whether to take an answer or to ask on.

    step = cascade.start(request)
    while isinstance(step, Ask):
        answers += [described(gateway.call(name, prompt)) for name in step.endpoints]  # together, where several
        step = cascade.next(request, answers)
    return texts[step.endpoint]

Nothing is kept between the two: a step follows from the request, the answers' features and the seed alone, so it can
be replayed, and the probability of every path is exactly the product of its steps'.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
import numpy as np
from msgspec import Struct

from fairlead.errors import UsageError
from fairlead.scoring.cascade import plan
from fairlead.scoring.cascade.answer import Answer
from fairlead.scoring.cascade.rule import Seen, StoppingRule
from fairlead.scoring.draw import uniform
from fairlead.scoring.predict import Batch, Candidates, Predictor
from fairlead.scoring.request import Request
from fairlead.scoring.snapshot import Snapshot

__all__ = ["Accept", "Ask", "Cascade", "chances"]

Array = np.ndarray[Any, Any]
_NEVER: Final = -np.inf


class Ask(Struct, frozen=True, kw_only=True):
    """Ask these endpoints, together where there are several, then come back with all answers so far.

    `propensity` is the probability of this step, `path_propensity` of all steps up to it. `cost_usd` and `latency_s`
    are predicted for this step alone; null where they are not known.
    """

    endpoints: tuple[str, ...]
    propensity: float
    path_propensity: float
    step: int
    cost_usd: float | None
    latency_s: float | None


class Accept(Struct, frozen=True, kw_only=True):
    """Take this endpoint's answer.

    `quality` is its expected quality after all answers; `cost_usd` and `latency_s` are predicted for the whole path,
    with every answer that was paid for and the longest wait of those asked together.
    """

    endpoint: str
    propensity: float
    path_propensity: float
    step: int
    quality: float
    asked: tuple[str, ...]
    cost_usd: float | None
    latency_s: float | None


class _Step(Struct, frozen=True):
    """One step's options (sets of endpoints) with their probabilities, the one drawn, and qualities (K,)."""

    options: list[tuple[int, ...]]
    chances: Array
    drawn: int
    quality: Array


class Cascade:
    """Probe, look, then take the answer or ask a better endpoint.

    `usd_price` and `second_price` are the quality that a dollar and a second are worth, as in `intelligent`. With
    `exploration` each step chooses that share of requests evenly among all it could do. The same request id and seed
    give the same path. `restrict` says which endpoints requests may go to; by default those they name.
    """

    name = "cascade"

    def __init__(
        self,
        source: Snapshot | Predictor,
        rule: StoppingRule,
        usd_price: float = 0.0,
        second_price: float = 0.0,
        *,
        exploration: float = 0.0,
        seed: int = 0,
        restrict: Callable[[Candidates, Sequence[Request]], Candidates] | None = None,
    ) -> None:
        self.predictor = source if isinstance(source, Predictor) else Predictor(source)
        if self.predictor.snapshot.endpoints != rule.endpoints:
            raise UsageError("the stopping rule was learned for other endpoints than the snapshot's; learn it again")
        for what, value in (("usd_price", usd_price), ("second_price", second_price)):
            if not (np.isfinite(value) and value >= 0):
                raise UsageError(f"policy cascade: {what} must be a number from 0 up, not {value}")
        if not 0 <= exploration <= 1:
            raise UsageError(f"policy cascade: exploration must be a share from 0 to 1, not {exploration}")
        self.rule, self.usd_price, self.second_price = rule, usd_price, second_price
        self.exploration, self.seed, self._restrict = exploration, seed, restrict or _by_name

    def start(self, request: Request) -> Ask:
        """Say whom to ask first: probes, or one endpoint where no probe pays."""
        priced = self._priced(request)
        return self._ask(priced, self._first(request, priced), 1.0, 0)

    def next(self, request: Request, answers: Sequence[Answer]) -> Ask | Accept:
        """Take an answer or ask on, after all answers so far in the order in which they were asked.

        Raises UsageError when the answers are not those of this request's path: then no propensity would be true.
        """
        priced = self._priced(request)
        step, chance, taken, paid, waited, number = self._first(request, priced), 1.0, 0, 0.0, 0.0, 0
        while True:
            asked = step.options[step.drawn]
            own, before = float(step.chances[step.drawn]), chance
            chance *= own
            if taken and asked[0] in [self.rule.endpoints.index(one.endpoint) for one in answers[:taken]]:
                if taken < len(answers):
                    raise UsageError(f"request {request.id}: the path ended with {self.rule.endpoints[asked[0]]}")
                return Accept(
                    endpoint=self.rule.endpoints[asked[0]],
                    propensity=own,
                    path_propensity=chance,
                    step=number,
                    quality=float(step.quality[asked[0]]),
                    asked=tuple(one.endpoint for one in answers),
                    cost_usd=_known(paid),
                    latency_s=_known(waited),
                )
            if taken == len(answers) and taken:
                return self._ask(priced, step, before, number)
            paid += float(priced.cost_usd[0, list(asked)].sum())
            waited += float(priced.latency_s[0, list(asked)].max())
            given = answers[taken : taken + len(asked)]
            if {one.endpoint for one in given} != {self.rule.endpoints[k] for k in asked}:
                wanted = ", ".join(self.rule.endpoints[k] for k in asked)
                raise UsageError(f"request {request.id}: the answers of {wanted} are due; give them in their order")
            taken, number = taken + len(asked), number + 1
            step = self._after(request, priced, answers[:taken], number)

    def _priced(self, request: Request) -> plan.Priced:
        batch = Batch.of([request])
        seen = self._restrict(self.predictor.candidates(batch), [request])
        if not seen.eligible.any():
            raise UsageError(f"request {request.id}: none of {list(request.endpoints or ())} is in the snapshot")
        quality = np.where(seen.eligible, np.nan_to_num(seen.quality), np.nan)
        return plan.Priced(quality, seen.cost_usd, seen.latency_s, self.usd_price, self.second_price)

    def _first(self, request: Request, priced: plan.Priced) -> _Step:
        options = plan.opening(self.rule)
        return self._draw(request, 0, options, plan.first(self.rule, priced)[0], priced.quality[0])

    def _after(self, request: Request, priced: plan.Priced, answers: Sequence[Answer], number: int) -> _Step:
        places = {name: k for k, name in enumerate(self.rule.endpoints)}
        failed = {places[answer.endpoint] for answer in answers if answer.failed}
        came = [answer for answer in answers if not answer.failed]
        stage = self.rule.stage([answer.endpoint for answer in came])
        if stage is not None:
            route = self.rule.route_codes([request.route])
            worths, qualities = plan.after(self.rule, stage, priced, Seen.of(self.rule.endpoints, came), route)
            worth, quality = worths[0], qualities[0]
        else:
            # Nothing was learned of what follows here: the last answer that came is taken, else the next best asked.
            quality = priced.quality[0]
            last = places[came[-1].endpoint] if came else -1
            worth = np.where(np.isnan(quality), _NEVER, quality - priced.charge[0])
            worth = np.where(np.arange(len(places)) == last, 0.0, _NEVER) if came else worth
        worth = np.where(np.isin(np.arange(len(places)), list(failed)), _NEVER, worth)
        if not np.isfinite(worth).any():
            raise UsageError(f"request {request.id}: every endpoint it may go to has failed")
        return self._draw(request, number, [(k,) for k in range(len(places))], worth, quality)

    def _draw(
        self, request: Request, number: int, options: list[tuple[int, ...]], worth: Array, quality: Array
    ) -> _Step:
        order = plan.by_name(self.rule, options)
        shares = chances(worth[order][None, :], self.exploration)[0]
        edges = np.cumsum(shares)
        at = int(np.searchsorted(edges, uniform(self.seed, f"{request.id}\x1f{number}") * edges[-1], side="right"))
        drawn = min(at, int(np.flatnonzero(shares)[-1]))
        return _Step([options[one] for one in order], shares, drawn, quality)

    def _ask(self, priced: plan.Priced, step: _Step, before: float, number: int) -> Ask:
        asked, chance = step.options[step.drawn], float(step.chances[step.drawn])
        return Ask(
            endpoints=tuple(self.rule.endpoints[k] for k in asked),
            propensity=chance,
            path_propensity=before * chance,
            step=number,
            cost_usd=_known(float(priced.cost_usd[0, list(asked)].sum())),
            latency_s=_known(float(priced.latency_s[0, list(asked)].max())),
        )


def chances(worth: Array, exploration: float) -> Array:
    """Give each option's probability: the best one, mixed with an even share over all that are possible."""
    possible = np.isfinite(worth)
    best = np.zeros(worth.shape)
    best[np.arange(len(worth)), worth.argmax(axis=1)] = 1.0
    even = possible / np.maximum(possible.sum(axis=1, keepdims=True), 1)
    mixed: Array = (1 - exploration) * best + exploration * even
    return mixed


def _by_name(candidates: Candidates, requests: Sequence[Request]) -> Candidates:
    named = [request.endpoints or candidates.endpoints for request in requests]
    allowed = np.array([np.isin(candidates.endpoints, names) for names in named])
    return msgspec.structs.replace(candidates, eligible=candidates.eligible & allowed)


def _known(value: float) -> float | None:
    return value if np.isfinite(value) else None
