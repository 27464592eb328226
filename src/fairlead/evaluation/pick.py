"""Which of several policies to take: one whose quality is surely within 1 % of the best, or none.

The highest of several estimates is the luckiest one too. Here every policy is held against every other on the same
requests, paired, all comparisons together at 95 % (multiple comparisons with the best: Hsu 1984; Bonferroni). The
chance to pick a policy that is more than 1 % short of the best is then 5 % at most, whichever of the proven ones is
taken: so it may be the cheapest of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from statistics import NormalDist
from typing import Final

import numpy as np
from msgspec import Struct, structs

from fairlead.evaluation.intervals import Statistic

__all__ = ["TOLERANCE", "Pick", "pick", "words"]

TOLERANCE: Final = 0.01  # of a policy's own quality: how much better another may be


class Pick(Struct, frozen=True, kw_only=True):
    """The policy to take, and why; `policy` is None where the logs cannot tell which is best.

    `of_told` is the pick among those that the logs can tell of, `leader` the one of them with the highest estimate,
    `proven` those to which no other of them is more than 1 % better, `rivals` those that may be more than that better
    than the leader where none is proven, and `untold` those of which nothing is known.
    """

    policy: str | None
    why: str
    of_told: str | None = None
    leader: str | None = None
    proven: list[str] = []
    rivals: list[str] = []
    untold: list[str] = []


def pick(
    quality: Mapping[str, Statistic],
    cost: Mapping[str, float],
    untold: Collection[str] = (),
    *,
    tolerance: float = TOLERANCE,
    level: float = 0.95,
) -> Pick:
    """Pick among policies by their quality, one statistic each over the same requests; by mean `cost` among equals.

    `untold` names the policies that the logs cannot tell of: as long as there is one, it may be the best.

    >>> from fairlead.evaluation.intervals import mean
    >>> even = np.tile([0.7, 0.9], 500)
    >>> two = {"dear": mean("dear", even), "cheap": mean("cheap", even - 0.001)}
    >>> pick(two, {"dear": 2.0, "cheap": 1.0}).why
    "cheap: no other's quality is more than 1% better, and of the 2 of which that is sure it costs least"
    """
    if not quality or (len(quality) == 1 and untold):
        return _with_words(Pick(policy=None, why="", leader=next(iter(quality), None), untold=list(untold)), tolerance)
    leader = max(quality, key=lambda name: quality[name].value)
    rivals = {name: _rivals(quality, name, tolerance, level) for name in quality}
    proven = [name for name in quality if not rivals[name]]
    # A policy of unknown cost is not called cheap; the leader comes first among those of equal cost.
    chosen = min(proven, key=lambda name: (cost.get(name, math.inf), name != leader), default=None)
    found = Pick(
        policy=None if untold else chosen,
        why="",
        of_told=chosen,
        leader=leader,
        proven=proven,
        rivals=[] if chosen else rivals[leader],
        untold=list(untold),
    )
    return _with_words(found, tolerance)


def words(found: Pick, label: Callable[[str], str] = str, tolerance: float = TOLERANCE) -> str:
    """Say which policy it is or why there is none, with `label` to name the policies.

    >>> words(Pick(policy=None, why="", leader="a", rivals=["b"]), str.upper)
    'cannot tell which of A and B is best'
    """
    untold = _list([label(name) for name in found.untold])
    if found.of_told is None:
        open_names = [*([found.leader] if found.leader else []), *found.rivals, *found.untold]
        return f"cannot tell which of {_list([label(name) for name in open_names])} is best"
    sure = f"no other's quality is more than {tolerance:.0%} better"
    if len(found.proven) > 1:
        sure += f", and of the {len(found.proven)} of which that is sure it costs least"
    if not untold:
        return f"{label(found.of_told)}: {sure}"
    return f"cannot tell whether {untold} may be best; of the others it is {label(found.of_told)}: {sure}"


def _with_words(found: Pick, tolerance: float) -> Pick:
    return structs.replace(found, why=words(found, tolerance=tolerance))


def _rivals(quality: Mapping[str, Statistic], own: str, tolerance: float, level: float) -> list[str]:
    """Name the policies whose quality may exceed a policy's by more than the tolerance, the likeliest first."""
    others = [name for name in quality if name != own]
    z = NormalDist().inv_cdf(1 - (1 - level) / max(len(others), 1))
    held = quality[own].contributions * (1 + tolerance)
    upper = {}
    for name in others:
        gap = quality[name].contributions - held
        upper[name] = float(gap.mean()) + z * float(np.std(gap, ddof=1)) / math.sqrt(len(gap))
    return sorted((name for name in others if upper[name] >= 0), key=lambda name: -upper[name])


def _list(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
