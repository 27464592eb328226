"""One request in, one decision out: `Router(snapshot).decide(request)`."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct

from fairlead.errors import FairleadError, UsageError
from fairlead.scoring.policies import Policy, make
from fairlead.scoring.predict import Batch, Candidates, Predictor
from fairlead.scoring.request import Request
from fairlead.scoring.snapshot import Snapshot, open_published

__all__ = ["Decision", "Ranked", "Router", "uniform"]


class Ranked(Struct, frozen=True, kw_only=True):
    """One endpoint as a decision saw it; null where nothing is known."""

    endpoint: str
    propensity: float
    score: float
    quality: float | None
    quality_low: float | None
    cost_usd: float | None
    cost_p90_usd: float | None
    latency_s: float | None
    latency_p90_s: float | None


class Decision(Struct, frozen=True, kw_only=True):
    """Which endpoint, with which probability, and why. Echo `id` and `propensity` into the gateway's log."""

    id: str
    request_id: str
    endpoint: str
    propensity: float
    policy: str
    snapshot_version: int
    snapshot_sha256: str
    ranked: tuple[Ranked, ...]
    reasons: tuple[str, ...]
    decided_us: float

    def metadata(self) -> dict[str, Any]:
        """Give what a gateway should write into its own log (LiteLLM: `metadata.spend_logs_metadata`)."""
        return {
            "decision_id": self.id,
            "request_id": self.request_id,
            "propensity": self.propensity,
            "policy_id": self.policy,
            "policy_version": str(self.snapshot_version),
            "is_exploration": self.ranked[0].endpoint != self.endpoint,
            "candidates": [{"arm": ranked.endpoint, "propensity": ranked.propensity} for ranked in self.ranked],
        }

    def to_json(self) -> str:
        """Give the decision as JSON."""
        return msgspec.json.encode(self).decode()


class Router:
    """Decides from a snapshot; the same request id and seed always give the same decision.

    `snapshot` is a Snapshot or the folder it is published in. `policy` is a policy, or the name of one (default: the
    one the snapshot was published with, at its operating point).
    """

    def __init__(
        self,
        snapshot: Snapshot | Path | str,
        policy: Policy | str | None = None,
        *,
        parameters: dict[str, Any] | None = None,
        seed: int = 0,
    ) -> None:
        self._wanted, self._parameters, self.seed = policy, parameters, seed
        self.refused: str | None = None  # why the newest snapshot is not the one in use
        if isinstance(snapshot, Snapshot):
            self._use(snapshot)
        else:
            opened, self.refused = open_published(Path(snapshot))
            self._use(opened)

    @property
    def snapshot(self) -> Snapshot:
        """The snapshot in use."""
        return self._state[0].snapshot

    @property
    def policy(self) -> Policy:
        """The policy in use."""
        return self._state[1]

    def reload(self, folder: Path | str) -> bool:
        """Take the snapshot published in `folder`; False keeps the one in use and says why in `refused`."""
        try:
            fresh, self.refused = open_published(Path(folder))
            if fresh.manifest.version < self.snapshot.manifest.version:
                older = f"version {fresh.manifest.version} is older than {self.snapshot.manifest.version}"
                self.refused = f"{self.refused}; the last good one is not used: {older}" if self.refused else older
                return False
            self._use(fresh)
        except FairleadError as refusal:
            self.refused = str(refusal)
            return False
        return self.refused is None

    def decide(self, request: Request) -> Decision:
        """Choose an endpoint; UsageError when the request allows none of the snapshot's."""
        started = time.perf_counter_ns()
        predictor, policy = self._state  # read once: a swap in between must not mix two snapshots
        candidates = _restrict(predictor.candidates(Batch.of([request])), [request])
        return _decision(request, candidates, policy, predictor.snapshot, self.seed, started)

    def probabilities(self, batch: Batch, allowed: np.ndarray[Any, Any] | None = None) -> np.ndarray[Any, Any]:
        """Give what `decide` would choose with which probability for a batch of requests: (n, K)."""
        predictor, policy = self._state
        candidates = predictor.candidates(batch)
        if allowed is not None:
            candidates = msgspec.structs.replace(candidates, eligible=candidates.eligible & allowed)
        return policy.probabilities(candidates)

    def _use(self, snapshot: Snapshot) -> None:
        wanted = self._wanted
        if wanted is None or isinstance(wanted, str):
            name = wanted or snapshot.manifest.policy
            own = snapshot.manifest.parameters if name == snapshot.manifest.policy else {}
            wanted = make(name, {**own, **(self._parameters or {})})
        self._state = (Predictor(snapshot), wanted)


def uniform(seed: int, request_id: str) -> float:
    """Give the number in [0, 1) that decides a request's draw; it depends on nothing else.

    >>> uniform(0, "r-1") == uniform(0, "r-1"), 0 <= uniform(0, "r-1") < 1
    (True, True)
    """
    digest = hashlib.blake2b(f"{seed}\x1f{request_id}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) / float(1 << 53)


def _restrict(candidates: Candidates, requests: Sequence[Request]) -> Candidates:
    eligible = candidates.eligible.copy()
    for row, request in enumerate(requests):
        if request.endpoints is not None:
            eligible[row] &= np.isin(candidates.endpoints, request.endpoints)
    return msgspec.structs.replace(candidates, eligible=eligible)


def _decision(
    request: Request, candidates: Candidates, policy: Policy, snapshot: Snapshot, seed: int, started: int
) -> Decision:
    if not candidates.eligible.any():
        raise UsageError(
            f"request {request.id}: none of {list(request.endpoints or ())} is in the snapshot; "
            f"it has {', '.join(candidates.endpoints)}"
        )
    chances = policy.probabilities(candidates)[0]
    scores = policy.scores(candidates)[0]
    # The draw goes over the endpoints by name, so that their order in the snapshot does not matter.
    by_name = np.argsort(np.array(candidates.endpoints))
    edges = np.cumsum(chances[by_name])
    drawn = int(np.searchsorted(edges, uniform(seed, request.id) * edges[-1], side="right"))
    chosen = int(by_name[min(drawn, len(by_name) - 1)])
    order = sorted(
        np.flatnonzero(candidates.eligible[0]).tolist(),
        key=lambda k: (-chances[k], -scores[k], candidates.endpoints[k]),
    )
    return Decision(
        id=hashlib.blake2b(
            f"{snapshot.sha256}{seed}{policy.name}{request.id}".encode("utf-8", "surrogatepass"), digest_size=16
        ).hexdigest(),
        request_id=request.id,
        endpoint=candidates.endpoints[chosen],
        propensity=float(chances[chosen]),
        policy=policy.name,
        snapshot_version=snapshot.manifest.version,
        snapshot_sha256=snapshot.sha256,
        ranked=tuple(_ranked(candidates, index, float(chances[index]), float(scores[index])) for index in order),
        reasons=tuple(policy.explain(candidates)),
        decided_us=(time.perf_counter_ns() - started) / 1000,
    )


def _ranked(candidates: Candidates, index: int, chance: float, score: float) -> Ranked:
    numbers = {
        name: (None if np.isnan(value) else float(value))
        for name in ("quality", "quality_low", "cost_usd", "cost_p90_usd", "latency_s", "latency_p90_s")
        for value in (getattr(candidates, name)[0, index],)
    }
    return Ranked(endpoint=candidates.endpoints[index], propensity=chance, score=score, **numbers)
