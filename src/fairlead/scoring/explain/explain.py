"""Explains one decision after the fact, from the snapshot and the policy that made it. Off the hot path."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import numpy as np

from fairlead.errors import UsageError
from fairlead.scoring.decision import Decision
from fairlead.scoring.explain.change import changes, policy_allows, slope
from fairlead.scoring.explain.explanation import Bound, Explanation, GroupShare, HeadShares
from fairlead.scoring.explain.groups import group_of
from fairlead.scoring.explain.learners import quality_shares
from fairlead.scoring.explain.quantity import Quantity, Rows, quantities
from fairlead.scoring.policies import Policy
from fairlead.scoring.predict import Batch, Candidates, Predictor
from fairlead.scoring.request import Request
from fairlead.scoring.router import Router

__all__ = ["explain"]

Array = np.ndarray[Any, Any]
_KINDS: Final = {"quality": "quality", "cost_usd": "price", "latency_s": "latency"}
_NOTHING: Final = Quantity(0.0, 0.0, {})


def explain(
    source: Router | Predictor,
    policy: Policy,
    request: Request,
    decision: Decision,
    *,
    exclusions: Sequence[tuple[str, str]] = (),
    candidates: Candidates | None = None,
) -> Explanation:
    """Explain a decision: what moved it away from the runner-up, which constraint bound, and what would turn it.

    `exclusions` are (endpoint, reason) pairs of what constraints left out. `candidates` (1, K) are what the decision
    saw, where live state or constraints had changed the predictions; without them they are predicted again. Shares
    are against the snapshot's reference request, the typical one of those it was trained on; a snapshot without one
    is compared with an empty request. Raises UsageError when the snapshot does not have the decision's endpoint.
    """
    predictor = source if isinstance(source, Predictor) else Predictor(source.snapshot)
    batch = Batch.of([request])
    seen = predictor.candidates(batch) if candidates is None else candidates
    if decision.endpoint not in seen.endpoints:
        raise UsageError(
            f"decision {decision.id}: the snapshot has no endpoint {decision.endpoint!r}; "
            f"explain it with the snapshot {decision.snapshot_sha256[:12]} that made it"
        )
    # Whatever kept an endpoint out of the decision, it is not among those that were ranked.
    eligible = np.isin(seen.endpoints, [ranked.endpoint for ranked in decision.ranked])
    seen = msgspec.structs.replace(seen, eligible=eligible[None, :])
    scores = policy.scores(seen)[0]
    chosen = seen.endpoints.index(decision.endpoint)
    allowed = policy_allows(policy, seen)
    other = _runner_up(seen, scores, allowed, chosen)
    rows = Rows.of(predictor, predictor.rows(batch), _reference(predictor))
    mine, heads = quantities(predictor, rows, chosen, request)
    theirs = quantities(predictor, rows, other, request)[0] if other is not None else {}
    if predictor.has_networks:  # then the forest's own quality is not what was decided on
        now, typical, shares = quality_shares(predictor, rows.request[0], rows.reference[0], request.text)
        for k, numbers in ((chosen, mine), (other, theirs)):
            if k is not None:
                own = {group: float(share[k]) for group, share in shares.items()}
                numbers["quality"] = Quantity(float(now[k]), float(typical[k]), own)
        heads = [head for head in heads if head.name != "quality"]
        heads.append(_joined(mine["quality"]))
    gap = 0.0 if other is None else float(scores[chosen] - scores[other])
    groups, start = _compared(policy, seen, (chosen, mine), (other, theirs)) if other is not None else ((), 0.0)
    return Explanation(
        request_id=request.id,
        decision_id=decision.id,
        policy=policy.name,
        endpoint=decision.endpoint,
        propensity=decision.propensity,
        runner_up=None if other is None else seen.endpoints[other],
        gap=gap,
        gap_at_reference=start,
        other=gap - start - sum(group.utility for group in groups),
        groups=groups,
        heads=tuple(heads),
        bounds=_bounds(seen, scores, allowed, chosen, exclusions),
        changes=() if other is None or gap < 0 else changes(policy, seen, chosen, other),
    )


def _joined(quality: Quantity) -> HeadShares:
    shares = {name: share for name, share in quality.shares.items() if share}
    return HeadShares(name="quality", link="identity", value=quality.value, reference=quality.reference, shares=shares)


def _reference(predictor: Predictor) -> Array:
    typical = getattr(predictor.snapshot, "reference", None)
    empty: Array = predictor.rows(Batch.of([Request(id="")]))[0]
    return empty if typical is None else np.asarray(typical, dtype=np.float64)


def _runner_up(seen: Candidates, scores: Array, allowed: Array, chosen: int) -> int | None:
    rivals = [k for k in np.flatnonzero(allowed).tolist() if k != chosen]
    return min(rivals, key=lambda k: (-scores[k], seen.endpoints[k]), default=None)


def _compared(
    policy: Policy,
    seen: Candidates,
    chosen: tuple[int, dict[str, Quantity]],
    other: tuple[int, dict[str, Quantity]],
) -> tuple[tuple[GroupShare, ...], float]:
    """Give each group's part in chosen less other, the weightiest first, and the difference at the reference."""
    found: dict[str, dict[str, float]] = {}
    start = 0.0
    for (k, numbers), sign in ((chosen, 1.0), (other, -1.0)):
        for name, kind in _KINDS.items():
            number = numbers.get(name, _NOTHING)
            weight = slope(policy, seen, k, kind)
            if kind == "price":  # its slope is that of a share of the price
                cost = float(seen.cost_usd[0, k])
                weight = weight / cost if np.isfinite(cost) and cost else 0.0
            weight = weight if kind == "quality" else -weight
            start += sign * weight * number.reference
            for column, share in number.shares.items():
                parts = found.setdefault(group_of(column), dict.fromkeys((*_KINDS, "utility"), 0.0))
                parts[name] += sign * share
                parts["utility"] += sign * weight * share
    groups = [GroupShare(group=group, **parts) for group, parts in found.items() if any(parts.values())]
    return tuple(sorted(groups, key=lambda group: (-abs(group.utility), group.group))), start


def _bounds(
    seen: Candidates, scores: Array, allowed: Array, chosen: int, exclusions: Sequence[tuple[str, str]]
) -> tuple[Bound, ...]:
    """Name the endpoints that scored better than the chosen one and could not be chosen, the costliest first."""
    reasons: dict[str, str] = {}
    for endpoint, reason in exclusions:
        reasons[endpoint] = f"{reasons[endpoint]}; {reason}" if endpoint in reasons else reason
    found = []
    for k, name in enumerate(seen.endpoints):
        lost = float(scores[k] - scores[chosen])
        if allowed[k] or not lost > 0:
            continue
        floor = f"its quality may be as low as {seen.quality_low[0, k]:.3f}, under the policy's floor"
        own = floor if seen.eligible[0, k] else "it was not eligible for this request"
        found.append(Bound(endpoint=name, reason=reasons.get(name, own), utility_forgone=lost))
    return tuple(sorted(found, key=lambda bound: (-bound.utility_forgone, bound.endpoint)))
