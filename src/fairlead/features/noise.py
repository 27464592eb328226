"""What each judge is worth: its habits and its noise, from requests that people or tests scored too.

A judge's score is taken for `intercept + bias of the endpoint + slope * truth + noise`, where truth is the score of
people and tests on the same request. Dividing that out leaves a score that is right in the mean (Rogan and Gladen 1978,
for scores of two values); `reliability`, the squared correlation with the truth, is what it tells beside a trusted one.
A bias by endpoint is how a judge that favours answers of its own kind shows.
"""

from __future__ import annotations

import math
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

import numpy as np
from msgspec import Struct

__all__ = ["Noise", "noise_of", "told"]

LEAST: Final = 30  # requests that both scored, below which the judge is taken as its kind is
STRENGTH: Final = 10.0  # requests that what was believed before counts for: no habits, the weight of its kind
BIAS_STRENGTH: Final = 20.0  # the same for the bias of one endpoint
TRUSTED: Final = 9.0  # the weight of people and tests
Z90: Final = 1.645


class Noise(Struct, frozen=True, kw_only=True):
    """How a judge differs from people and tests on the `n` requests that both scored.

    `agreement` is the squared correlation that was seen, `reliability` what is believed of it; `useful` is false where
    a one-sided 95 % interval of the slope holds 0: then nothing shows that the judge knows good from bad. `bias` has
    what is added at each endpoint.
    """

    judge: str
    n: int
    slope: float = 1.0
    intercept: float = 0.0
    agreement: float = math.nan
    reliability: float = 1 / 3
    useful: bool = True
    bias: dict[str, float] = {}

    @property
    def known(self) -> bool:
        """Whether enough requests were scored twice."""
        return self.n >= LEAST


def noise_of(con: Any, doubly_scored: str) -> list[Noise]:
    """Read every judge's noise; the connection needs `evaluator_scores`."""
    judged = "from feedback_scores where weighed_as not in ('human', 'code') and score is not null limit 1"
    if not con.execute(f"select 1 {judged}").fetchall():
        return []  # most logs have no judge, and the search for requests that two scored is not free
    rows = con.execute(doubly_scored).fetchall()
    return [_noise(judge, list(found)) for judge, found in groupby(rows, key=itemgetter(0))]


def told(one: Noise) -> str:
    """Say in words what is known of a judge.

    >>> told(Noise(judge="llm good gpt", n=12))
    '12 requests scored by people or tests too, 30 are needed; it counts as its kind does'
    """
    if not one.known:
        return f"{one.n} requests scored by people or tests too, {LEAST} are needed; it counts as its kind does"
    if not one.useful:
        return f"on {one.n} requests nothing shows that it knows good from bad; it is left out"
    biases = sorted(one.bias.items(), key=lambda item: -abs(item[1]))[:1]
    most = "".join(f", most for {endpoint} ({value:+.2f})" for endpoint, value in biases if abs(value) >= 0.02)
    return (
        f"agrees with people and tests on {one.n} requests, r {one.agreement**0.5:.2f}; "
        f"says {one.intercept:.2f} for a 0 and {one.intercept + one.slope:.2f} for a 1{most}; "
        f"counts for {one.reliability:.2f} of one of theirs"
    )


def _noise(judge: str, rows: list[tuple[Any, ...]]) -> Noise:
    sums = np.array([row[3:] for row in rows], dtype=np.float64)
    n, score, truth, score2, truth2, both = sums.sum(axis=0).tolist()
    prior = min(float(rows[0][2]) / TRUSTED, 1.0)
    if n < LEAST:
        return Noise(judge=judge, n=int(n), reliability=prior)
    mean, true = score / n, truth / n
    varied, spread, together = score2 / n - mean**2, truth2 / n - true**2, both / n - mean * true
    if spread < 1e-9 or varied < 1e-9:  # one of the two always says the same
        return Noise(judge=judge, n=int(n), agreement=0.0, reliability=0.0, useful=False)
    raw = together / spread
    agreement = min(max(together**2 / (varied * spread), 0.0), 1.0)
    fair = max(1 - (1 - agreement) * (n - 1) / (n - 2), 0.0)  # what noise alone would explain is taken off
    error = math.sqrt(max(varied / spread - raw**2, 0.0) / (n - 2))
    slope = (n * raw + STRENGTH) / (n + STRENGTH)
    intercept = n * (mean - slope * true) / (n + STRENGTH)
    own = sums[:, 1] - intercept * sums[:, 0] - slope * sums[:, 2]
    bias = own / (sums[:, 0] + BIAS_STRENGTH)
    return Noise(
        judge=judge,
        n=int(n),
        slope=slope,
        intercept=intercept,
        agreement=agreement,
        reliability=(n * fair + STRENGTH * prior) / (n + STRENGTH),
        useful=raw - Z90 * error > 0,
        bias={row[1]: float(value) for row, value in zip(rows, bias, strict=True)},
    )
