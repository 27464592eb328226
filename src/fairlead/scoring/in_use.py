"""A snapshot and the policy that goes with it, held together so that a swap cannot mix two of them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from hashlib import blake2b
from typing import Any

import msgspec
import numpy as np

from fairlead.scoring.decision import Decision, Kind, Why, rank
from fairlead.scoring.draw import pick, uniform
from fairlead.scoring.policies import Policy, make
from fairlead.scoring.predict import Batch, Candidates, Predictor
from fairlead.scoring.request import Request
from fairlead.scoring.snapshot import Snapshot

__all__ = ["InUse"]


class InUse:
    """What one decision reads: nothing of it changes while it is in use."""

    def __init__(self, snapshot: Snapshot, policy: Policy, seed: int, last_resort: str | None) -> None:
        self.snapshot, self.policy, self.seed, self.last_resort = snapshot, policy, seed, last_resort
        self.predictor = Predictor(snapshot)
        self.names = snapshot.endpoints
        self.order = sorted(range(len(self.names)), key=self.names.__getitem__)
        self.version = (snapshot.manifest.version, snapshot.sha256)
        # Ids of decisions differ between snapshots, seeds and settings of a policy.
        self._key = blake2b(f"{snapshot.sha256}\x1f{seed}\x1f{policy!r}".encode(), digest_size=32).digest()

    @classmethod
    def of(
        cls,
        snapshot: Snapshot,
        wanted: Policy | str | None,
        parameters: Mapping[str, Any] | None,
        seed: int,
        last_resort: str | None,
    ) -> InUse:
        """Take a snapshot into use with a policy, one by name, or the one that it was published with."""
        if wanted is None or isinstance(wanted, str):
            name = wanted or snapshot.manifest.policy
            own = snapshot.manifest.parameters if name == snapshot.manifest.policy else {}
            wanted = make(name, {**own, **(parameters or {})})
        return cls(snapshot, wanted, seed, last_resort)

    def decide(self, request: Request) -> Decision:
        """Choose among the endpoints that the request allows."""
        candidates = _restricted(self.predictor.candidates(Batch.of([request])), request)
        if not candidates.eligible.any():
            return self.without_a_choice(request, candidates, "no_eligible", "no endpoint is eligible")
        chances = self.policy.probabilities(candidates)[0]
        shares = chances.tolist()
        chosen = pick(shares, self.order, uniform(self.seed, request.id))
        return self._decision(request, candidates, shares, chosen, "policy", partial(self._why, candidates, chances))

    def without_a_choice(self, request: Request, candidates: Candidates, kind: Kind, reason: str) -> Decision:
        """Give the last resort, or an answer without an endpoint where none is named."""
        names = list(self.names)
        resort = self.last_resort
        place = names.index(resort) if resort in names else None
        shares = [1.0 if index == place else 0.0 for index in range(len(names))]
        said = f"{reason}; {f'the last resort {resort} is taken' if resort else 'no last resort is named'}"
        why = ((), (said,))
        decision = self._decision(
            request, candidates, shares, place, kind if resort is None else "last_resort", lambda: why
        )
        if place is None:
            decision.endpoint, decision.propensity = resort, 1.0
        return decision

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

    def _decision(
        self,
        request: Request,
        candidates: Candidates,
        shares: list[float],
        chosen: int | None,
        kind: Kind,
        why: Any,
    ) -> Decision:
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

    def _why(self, candidates: Candidates, chances: np.ndarray[Any, Any]) -> Why:
        scores = self.policy.scores(candidates)[0]
        return rank(candidates, chances, scores), tuple(self.policy.explain(candidates))


def _restricted(candidates: Candidates, request: Request) -> Candidates:
    if request.endpoints is None:
        return candidates
    allowed = candidates.eligible & np.isin(candidates.endpoints, request.endpoints)
    return msgspec.structs.replace(candidates, eligible=allowed)
