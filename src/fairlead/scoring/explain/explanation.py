"""What an explanation holds, as data and in words."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Struct

from fairlead.scoring.explain.change import Change

__all__ = ["Bound", "Explanation", "GroupShare", "HeadShares"]

_SHOWN = 6  # groups told in words; the data holds them all


class HeadShares(Struct, frozen=True, kw_only=True):
    """One predicted number in link space (logits or logarithms): `value` = `reference` + the sum of `shares`.

    Quality that networks have a say in is given as it is, "identity", with shares by group instead of by column.
    """

    name: str
    link: Literal["exp", "sigmoid", "identity"]
    value: float
    reference: float  # for the reference request
    shares: dict[str, float]  # those of 0 are left out


class GroupShare(Struct, frozen=True, kw_only=True):
    """How far one group of columns moved the chosen endpoint away from the runner-up, against the reference request.

    `quality` (0 to 1), `cost_usd` and `latency_s` are differences, chosen less runner-up; `utility` is what they are
    worth to the policy, in its own unit (quality, for `intelligent`), more speaking for the chosen one.
    """

    group: str
    quality: float
    cost_usd: float
    latency_s: float
    utility: float


class Bound(Struct, frozen=True, kw_only=True):
    """An endpoint that would have scored better than the chosen one, and what kept it out."""

    endpoint: str
    reason: str
    utility_forgone: float


class Explanation(Struct, frozen=True, kw_only=True):
    """Why one decision fell as it did.

    `gap` is the chosen endpoint's utility less the runner-up's: `gap_at_reference` + the groups' utilities + `other`
    (what the policy weighs beside quality, money and time). `heads` are the chosen endpoint's predicted numbers.
    `bounds` are endpoints that a mask or floor left out although they scored better, the costliest first. `changes`
    each are enough, alone, for the runner-up to win; none where the choice was drawn for exploration.
    """

    request_id: str
    decision_id: str
    policy: str
    endpoint: str
    propensity: float
    runner_up: str | None
    gap: float
    gap_at_reference: float
    other: float
    groups: tuple[GroupShare, ...]
    heads: tuple[HeadShares, ...]
    bounds: tuple[Bound, ...]
    changes: tuple[Change, ...]

    @property
    def bound(self) -> Bound | None:
        """The constraint that cost most utility; None where no endpoint that was left out scored better."""
        return self.bounds[0] if self.bounds else None

    def to_json(self) -> str:
        """Give the explanation as JSON."""
        return msgspec.json.encode(self).decode()

    def to_text(self) -> str:
        """Give the explanation in words, a line for each part of it."""
        lines = [self._first()]
        if self.runner_up is not None and self.groups:
            lines.append(f"On a typical request the difference would be {self.gap_at_reference:+.4f}. What moved it:")
            lines += [_group(group) for group in self.groups[:_SHOWN]]
            rest = sum(group.utility for group in self.groups[_SHOWN:])
            if len(self.groups) > _SHOWN:
                lines.append(f"  {f'{len(self.groups) - _SHOWN} more':<28} {rest:+.4f}")
            if abs(self.other) >= 5e-5:
                lines.append(f"  {'what else the policy weighs':<28} {self.other:+.4f}")
        lines += [f"{one.endpoint} scored {one.utility_forgone:.4f} better, but: {one.reason}." for one in self.bounds]
        if self.changes:
            lines.append(f"{self.runner_up} would win with any one of these:")
            lines += [f"  {change.text}" for change in self.changes]
        return "\n".join(lines)

    def _first(self) -> str:
        if self.runner_up is None:
            return f"{self.endpoint} was the only endpoint that this request could go to."
        if self.gap < 0:
            return (
                f"{self.endpoint} was drawn for exploration (probability {self.propensity:.3g}); {self.runner_up} "
                f"scores {-self.gap:.4f} better."
            )
        return f"{self.endpoint} was chosen: it scores {self.gap:.4f} better than {self.runner_up}."


def _group(group: GroupShare) -> str:
    parts = []
    if abs(group.quality) >= 5e-5:
        parts.append(f"quality {100 * group.quality:+.2f} points")
    if abs(group.cost_usd) >= 5e-9:
        parts.append(f"cost {group.cost_usd:+.3g} USD")
    if abs(group.latency_s) >= 5e-4:
        parts.append(f"latency {group.latency_s:+.3f} s")
    return f"  {group.group:<28} {group.utility:+.4f}" + (f"  ({', '.join(parts)})" if parts else "")
