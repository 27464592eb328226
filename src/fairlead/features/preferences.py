"""Which endpoint's answers are preferred: abilities from comparisons of two, ties among them.

Bradley and Terry's model with Davidson's ties (1970): with abilities a and b, the first is preferred with odds exp(a),
the second exp(b), neither nu * exp((a + b) / 2). A weak normal prior keeps endpoints that never lost finite. Intervals
come from the curvature at the optimum, and say nothing of voters that are the same few people.

>>> wins = [("good", "poor", 1.0)] * 30 + [("good", "poor", 0.0)] * 10
>>> [(one.endpoint, round(one.preferred, 2)) for one in abilities(wins)]
[('good', 0.63), ('poor', 0.37)]
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from msgspec import Struct
from scipy.optimize import minimize

__all__ = ["Ability", "abilities"]

Array = np.ndarray[Any, Any]
PRIOR: Final = 0.25  # 1 / variance of an ability: four comparisons' worth against one of the same strength
Z95: Final = 1.959963984540054


class Ability(Struct, frozen=True, kw_only=True):
    """How an endpoint fares in comparisons.

    `preferred` is the chance that its answer is preferred to that of a middling endpoint, a tie counting half, with its
    95 % interval; `comparisons` is how many it was in.
    """

    endpoint: str
    comparisons: int
    ability: float
    preferred: float
    low: float
    high: float


def abilities(compared: Sequence[tuple[str, str, float]]) -> list[Ability]:
    """Fit comparisons (one endpoint, the other, 1 the one, 0 the other, 0.5 neither): best first; [] of none.

    Comparisons of an endpoint with itself say nothing and are left out. Values between are nearest to what they are.
    """
    seen = [(one, other, outcome) for one, other, outcome in compared if one != other]
    if not seen:
        return []
    names = sorted({name for one, other, _ in seen for name in (one, other)})
    place = {name: at for at, name in enumerate(names)}
    first = np.array([place[one] for one, _, _ in seen])
    second = np.array([place[other] for _, other, _ in seen])
    outcome = np.digitize([row[2] for row in seen], [0.25, 0.75])  # 0 the other, 1 neither, 2 the one
    k = len(names)
    found = minimize(_objective, np.zeros(k + 1), args=(first, second, outcome), jac=True, method="L-BFGS-B")
    spread = np.linalg.inv(_curvature(found.x, first, second, outcome))[:k, :k]
    ability = found.x[:k] - found.x[:k].mean()
    center = np.eye(k) - 1 / k
    error = np.sqrt(np.maximum(np.diag(center @ spread @ center), 0))
    count = np.bincount(first, minlength=k) + np.bincount(second, minlength=k)
    low, high = (_sigmoid(ability + side * Z95 * error) for side in (-1, 1))
    rows = zip(names, count, ability, _sigmoid(ability), low, high, strict=True)
    made = [
        Ability(endpoint=n, comparisons=int(c), ability=float(a), preferred=float(p), low=float(lo), high=float(hi))
        for n, c, a, p, lo, hi in rows
    ]
    return sorted(made, key=lambda one: (-one.ability, one.endpoint))


def _objective(x: Array, first: Array, second: Array, outcome: Array) -> tuple[float, Array]:
    """Negative log-posterior and gradient in abilities (K,) and the logarithm of nu."""
    k = len(x) - 1
    chance = _chances(x, first, second)
    rows = np.arange(len(outcome))
    value = -np.log(np.maximum(chance[rows, outcome], 1e-300)).sum() + 0.5 * PRIOR * (x**2).sum()
    gap = chance.copy()
    gap[rows, outcome] -= 1
    grad = PRIOR * x
    np.add.at(grad, first, gap[:, 2] + gap[:, 1] / 2)
    np.add.at(grad, second, gap[:, 0] + gap[:, 1] / 2)
    grad[k] += gap[:, 1].sum()
    return float(value), grad


def _chances(x: Array, first: Array, second: Array) -> Array:
    one, other = x[first], x[second]
    odds = np.column_stack([other, (one + other) / 2 + x[-1], one])
    odds -= odds.max(axis=1, keepdims=True)
    raised = np.exp(odds)
    chances: Array = raised / raised.sum(axis=1, keepdims=True)
    return chances


def _curvature(x: Array, first: Array, second: Array, outcome: Array) -> Array:
    """Second derivatives by differences of the gradient: K is small."""
    step, n = 1e-4, len(x)
    found = np.zeros((n, n))
    for at in range(n):
        moved = np.zeros(n)
        moved[at] = step
        up, down = (_objective(x + side * moved, first, second, outcome)[1] for side in (1, -1))
        found[at] = (up - down) / (2 * step)
    return (found + found.T) / 2


def _sigmoid(value: Array) -> Array:
    chance: Array = 1 / (1 + np.exp(-value))
    return chance
