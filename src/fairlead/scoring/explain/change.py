"""What would have to change for the runner-up to win: solved where utility is linear, then checked by deciding again.

Utility is linear in a price, a latency, a quality and in the two shadow prices, so each change has a closed form. A
policy whose utility bends there (an objective for the tail) gives a change that does not turn the decision when it is
made again; such a one is left out.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec
import numpy as np
from msgspec import Struct

from fairlead.scoring.policies import Policy
from fairlead.scoring.predict import Candidates

__all__ = ["Change", "changes", "moved", "slope"]

Array = np.ndarray[Any, Any]
Kind = Literal["price", "latency", "quality", "usd_price", "second_price"]
_STEP: Final = 1e-3
_PAST: Final = 1e-6  # how far past the tie a change is checked, as a share of it
_NUMBERS: Final = {
    "quality": ("quality", "quality_low"),
    "price": ("cost_usd", "cost_p90_usd"),
    "latency": ("latency_s", "latency_p90_s"),
}


class Change(Struct, frozen=True, kw_only=True):
    """One change that is enough for the runner-up to win.

    `price`: its price falls by more than the share `by` (0 to 1). `latency`: it is faster by more than `by` seconds.
    `quality`: it is better by more than `by` (0 to 1). `usd_price`, `second_price`: the policy's own price of a dollar
    or a second lies between `low` and `high` (null: no end).
    """

    kind: Kind
    text: str
    by: float | None = None
    low: float | None = None
    high: float | None = None


def moved(candidates: Candidates, k: int, kind: str, by: float) -> Candidates:
    """Give the candidates of one request with endpoint `k` cheaper by a share, faster by seconds or better."""
    fields = {}
    for name in _NUMBERS[kind]:
        values = np.array(getattr(candidates, name), dtype=np.float64)
        values[..., k] = values[..., k] * (1 - by) if kind == "price" else values[..., k] + _sign(kind) * by
        fields[name] = values
    return msgspec.structs.replace(candidates, **fields)


def slope(policy: Policy, candidates: Candidates, k: int, kind: str) -> float:
    """Give how fast endpoint `k`'s score rises with a change of that kind; 0 where it does not."""
    before, after = (policy.scores(moved(candidates, k, kind, by))[0, k] for by in (0.0, _STEP))
    found = float(after - before) / _STEP
    return found if np.isfinite(found) else 0.0


def changes(policy: Policy, candidates: Candidates, chosen: int, other: int) -> tuple[Change, ...]:
    """Find the changes that let endpoint `other` win over `chosen`, which scores no less."""
    scores = policy.scores(candidates)[0]
    gap = float(scores[chosen] - scores[other])
    most = {"price": 1.0, "latency": candidates.latency_s[0, other], "quality": 1 - candidates.quality[0, other]}
    name, found = candidates.endpoints[other], []
    for kind, words in (
        ("price", "{name} cheaper by more than {share:.3g} %"),
        ("quality", "{name} better by more than {share:.3g} points of quality"),
        ("latency", "{name} faster by more than {by:.3g} s"),
    ):
        steep = slope(policy, candidates, other, kind)
        by = gap / steep if steep > 0 else np.inf
        past = by + _PAST * max(by, _PAST)
        if past < most[kind] and _wins(policy, moved(candidates, other, kind, past), other):
            found.append(Change(kind=kind, by=by, text=words.format(name=name, share=100 * by, by=by)))  # type: ignore[arg-type]
    for parameter, unit in (("usd_price", "dollar"), ("second_price", "second")):
        span = _span(policy, candidates, other, parameter)
        if span is not None:
            text = _between(unit, getattr(policy, parameter), *span)
            found.append(Change(kind=parameter, low=span[0], high=span[1], text=text))  # type: ignore[arg-type]
    return tuple(found)


def _span(policy: Policy, candidates: Candidates, k: int, parameter: str) -> tuple[float, float | None] | None:
    """Find between which values of a price `k` wins over everyone: where its line lies above all others."""
    now = getattr(policy, parameter, None)
    if not isinstance(now, (int, float)) or not hasattr(policy, "repriced"):
        return None
    scores, later = (_with(policy, parameter, value).scores(candidates)[0] for value in (now, now + 1.0))
    rise = later - scores
    low, high = 0.0, np.inf
    for j in np.flatnonzero(policy_allows(policy, candidates)).tolist():
        lead, gain = scores[k] - scores[j], rise[k] - rise[j]
        if j == k or (gain == 0 and lead >= 0):
            continue
        if gain == 0:
            return None
        at = float(now - lead / gain)
        low, high = (max(low, at), high) if gain > 0 else (low, min(high, at))
    if not low < high:
        return None
    inside = low + max(low, 1.0) if np.isinf(high) else (low + high) / 2
    wins = _wins(_with(policy, parameter, inside), candidates, k)
    return (low, None if np.isinf(high) else high) if wins else None


def policy_allows(policy: Policy, candidates: Candidates) -> Array:
    """Say which endpoints may be chosen: the policy's own floors on top of eligibility. (K,)."""
    allowed = getattr(policy, "allowed", None)
    found: Array = np.asarray(allowed(candidates) if callable(allowed) else candidates.eligible, dtype=bool)
    both: Array = found[0] & candidates.eligible[0]
    return both


def _wins(policy: Policy, candidates: Candidates, k: int) -> bool:
    chances = policy.probabilities(candidates)[0]
    others = np.delete(chances, k)
    return bool(chances[k] > others.max(initial=0.0))


def _with(policy: Policy, parameter: str, value: float) -> Policy:
    found: Policy = policy.repriced(**{parameter: value})  # type: ignore[attr-defined]
    return found


def _between(unit: str, now: float, low: float, high: float | None) -> str:
    if high is None:
        return f"a price of a {unit} above {low:.4g} (now {now:.4g})"
    if low == 0:
        return f"a price of a {unit} below {high:.4g} (now {now:.4g})"
    return f"a price of a {unit} between {low:.4g} and {high:.4g} (now {now:.4g})"


def _sign(kind: str) -> int:
    return 1 if kind == "quality" else -1
