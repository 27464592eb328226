"""A snapshot and the policy that goes with it, held together so that a swap cannot mix two of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from hashlib import blake2b
from typing import Any

import numpy as np
from msgspec import Struct

from fairlead.scoring.constraints import Constraints, Eligible
from fairlead.scoring.decision import Decision, Kind, Why, rank
from fairlead.scoring.draw import pick, uniform
from fairlead.scoring.live import Live, available
from fairlead.scoring.policies import Learner, Policy, make
from fairlead.scoring.predict import Candidates, Predictor
from fairlead.scoring.request import Request
from fairlead.scoring.snapshot import Snapshot
from fairlead.scoring.view import View

__all__ = ["InUse", "Wanted"]

Array = np.ndarray[Any, Any]


class Wanted(Struct, frozen=True, kw_only=True):
    """What a router was asked for, whatever snapshot it uses."""

    policy: Policy | str | None = None
    parameters: Mapping[str, Any] | None = None
    seed: int = 0
    last_resort: str | None = None
    strict: bool = False  # an endpoint of unknown capabilities has none


class InUse:
    """What one decision reads: nothing of it changes while it is in use."""

    def __init__(self, snapshot: Snapshot, policy: Policy, seed: int, last_resort: str | None, strict: bool) -> None:
        self.snapshot, self.policy, self.seed, self.last_resort = snapshot, policy, seed, last_resort
        self.predictor = Predictor(snapshot)
        self.names = snapshot.endpoints
        # The last resort is not the rules' to know: it may lie outside the snapshot, see `without_a_choice`.
        self.rules = Constraints(snapshot.manifest.endpoints, strict=strict)
        self.order = sorted(range(len(self.names)), key=self.names.__getitem__)
        self.version = (snapshot.manifest.version, snapshot.sha256)
        self.evaluate = getattr(policy, "evaluate", None)
        self.learner = policy if isinstance(policy, Learner) else None
        warm = getattr(policy, "warm", None)
        if warm is not None:
            warm()
        self.saved = _saved_by_cache(snapshot)
        if self.names:  # what has to be compiled, or read from a compiler's cache, is so before the first decision
            self.predictor.predict_many([Request(id="", text="warm")])
            self.predictor.predict(Request(id="", text="warm"))
        # Ids of decisions differ between snapshots, seeds and settings of a policy.
        self._key = blake2b(f"{snapshot.sha256}\x1f{seed}\x1f{policy!r}".encode(), digest_size=32).digest()

    @classmethod
    def of(cls, snapshot: Snapshot, wanted: Wanted) -> InUse:
        """Take a snapshot into use with a policy, one by name, or the one that it was published with."""
        policy = wanted.policy
        if policy is None or isinstance(policy, str):
            name = policy or snapshot.manifest.policy
            own = snapshot.manifest.parameters if name == snapshot.manifest.policy else {}
            policy = make(name, {**own, **(wanted.parameters or {})})
        return cls(snapshot, policy, wanted.seed, wanted.last_resort, wanted.strict)

    def decide(self, request: Request, view: View, live: Live, predicted: Array | None = None) -> Decision:
        """Choose among the endpoints that the request allows and that are there; `predicted` (7, K) saves asking."""
        eligible = self.rules.eligible(request, view)
        if eligible.status == "no_eligible":
            return self.without_a_choice(request, "no_eligible", "no endpoint is eligible")
        candidates = self._seen(request, eligible, view, live, predicted)
        if self.evaluate is not None:
            chances, scores = self.evaluate(candidates)
        else:
            chances, scores = self.policy.probabilities(candidates), None
        shares = chances[0].tolist()
        chosen = pick(shares, self.order, uniform(self.seed, request.id))
        why = partial(self.why, candidates, chances, scores, eligible.status)
        return self.decision(request, candidates, shares, chosen, "policy", why)

    def _seen(
        self, request: Request, eligible: Eligible, view: View, live: Live, predicted: Array | None
    ) -> Candidates:
        """Give what the policy sees: predictions, who may be chosen, the live state, and where the prompt is cached."""
        mask = eligible.mask
        if eligible.status == "unavailable":  # all of them are out: those that come back first are tried
            mask = available(mask, view)[0]
        known = self.predictor.predict(request) if predicted is None else predicted
        quality, quality_low, cost, cost_p90, latency, latency_p90, failure = known[:, None]
        incumbent = None
        if request.conversation is not None:
            incumbent = np.array([live.incumbent(request.conversation)])
            cost = np.maximum(cost - live.warm(request.conversation) * self.saved, 0.0)
        return Candidates(
            endpoints=self.names,
            quality=quality,
            quality_low=quality_low,
            cost_usd=cost,
            cost_p90_usd=cost_p90,
            latency_s=latency,
            latency_p90_s=latency_p90,
            eligible=mask[None, :],
            failure=failure if self.predictor.says_failure else None,
            view=view,
            incumbent=incumbent,
            routes=(request.route,),
        )

    def without_a_choice(self, request: Request, kind: Kind, reason: str) -> Decision:
        """Give the last resort, or an answer without an endpoint where none is named or it may not be asked."""
        resort = self.last_resort if self._may_be_asked(request) else None
        place = self.names.index(resort) if resort in self.names else None
        shares = [1.0 if index == place else 0.0 for index in range(len(self.names))]
        told = "no last resort is named"
        if self.last_resort:
            told = f"the last resort {self.last_resort} {'is taken' if resort else 'is not among the allowed'}"
        why = ((), (f"{reason}; {told}",))
        resolved: Kind = "last_resort" if resort else kind
        decision = self.decision(request, self.nothing_known(), shares, place, resolved, lambda: why)
        if place is None:
            decision.endpoint, decision.propensity = resort, 1.0
        return decision

    def _may_be_asked(self, request: Request) -> bool:
        """Whether the last resort lies within what the request allows: that is not ours to break."""
        known = next((one for one in self.snapshot.manifest.endpoints if one.name == self.last_resort), None)
        provider, region = (None, None) if known is None else (known.provider_name, known.region)
        return all(
            allowed is None or value in allowed
            for allowed, value in (
                (request.endpoints, self.last_resort),
                (request.providers, provider),
                (request.regions, region),
            )
        )

    def nothing_known(self) -> Candidates:
        """Give candidates of which nothing is predicted and none may be chosen."""
        nothing = np.full((1, len(self.names)), np.nan)
        return Candidates(
            endpoints=self.names,
            quality=nothing,
            quality_low=nothing,
            cost_usd=nothing,
            cost_p90_usd=nothing,
            latency_s=nothing,
            latency_p90_s=nothing,
            eligible=np.zeros(nothing.shape, dtype=bool),
        )

    def decision(
        self,
        request: Request,
        candidates: Candidates,
        shares: list[float],
        chosen: int | None,
        kind: Kind,
        why: Callable[[], Why],
    ) -> Decision:
        """Give the decision for the endpoint at the place that was chosen, with its id."""
        endpoint = None if chosen is None else self.names[chosen]
        propensity = 1.0 if chosen is None else shares[chosen]
        text = f"{request.id}\x1f{endpoint}\x1f{propensity!r}".encode("utf-8", "surrogatepass")
        return Decision(
            id=blake2b(text, digest_size=16, key=self._key).hexdigest(),
            request_id=request.id,
            endpoint=endpoint,
            propensity=propensity,
            policy=self.policy.name,
            kind=kind,
            snapshot_version=self.version[0],
            snapshot_sha256=self.version[1],
            candidates=candidates,
            chances=shares,
            why=why,
        )

    def why(self, candidates: Candidates, chances: Array, scores: Array | None, status: str) -> Why:
        """Put the endpoints in order and say in words what the choice rests on."""
        scores = self.policy.scores(candidates) if scores is None else scores
        reasons = self.policy.explain(candidates)
        if status == "unavailable":
            reasons.insert(0, "every eligible endpoint is ejected or asked to wait; the first to return is tried")
        return rank(candidates, chances[0], scores[0]), tuple(reasons)


def _saved_by_cache(snapshot: Snapshot) -> Array:
    """Give what a cached prompt token saves at each endpoint, in USD: (K,); 0 where a price is not known."""
    pairs = [(one.input_usd, one.cache_read_usd) for one in snapshot.manifest.endpoints]
    return np.array([0.0 if plain is None or cached is None else max(plain - cached, 0.0) for plain, cached in pairs])
