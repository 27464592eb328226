import datetime

import numpy as np
import pytest

from fairlead.evaluation.evidence import Evidence
from fairlead.evaluation.reached import Feedback
from fairlead.evaluation.replay import Replay
from fairlead.scoring.predict import Batch, Candidates

NAMES = ("cheap", "middle", "dear")


def _evidence(seed=0, n=4000, gap=0.05, bandit=False, days=20, drift=0.0):
    """Half of the requests are easy, and the cheap endpoint does those as well; the dear one serves them all today.

    With `drift` the cheap endpoint gets so much worse in the last third of the days. The cheap one is slow.
    """
    rng = np.random.default_rng(seed)
    easy = rng.random(n) < 0.5
    time = np.sort(rng.random(n)) * days * 86400 + 1.75e9 // 86400 * 86400
    late = time > np.quantile(time, 0.68)
    true = np.column_stack([np.where(easy, 0.9, 0.9 - 4 * gap), np.where(easy, 0.9, 0.9 - gap), np.full(n, 0.9)])
    said = true + rng.normal(0, 0.01, (n, 3))
    true = true - np.column_stack([drift * late, np.zeros(n), np.zeros(n)])
    cost = np.tile([0.001, 0.003, 0.01], (n, 1))
    middle = np.tile([3.0, 1.5, 1.0], (n, 1))
    latency = middle * np.exp(rng.normal(0, 0.5, (n, 3)))
    quality = (rng.random((n, 3)) < true).astype(float)
    candidates = Candidates(
        endpoints=NAMES,
        quality=said,
        quality_low=said - 0.05,
        cost_usd=cost,
        cost_p90_usd=cost,
        latency_s=middle,
        latency_p90_s=middle * np.exp(0.5 * 1.2816),
        eligible=np.ones((n, 3), dtype=bool),
    )
    spent = cost * rng.uniform(0.8, 1.2, (n, 3))
    if not bandit:
        return Evidence(
            candidates=candidates,
            quality=quality,
            cost_usd=spent,
            latency_s=latency,
            time=time,
            logged_quality=quality[:, 2],
            logged_cost_usd=spent[:, 2],
        )
    chances = np.tile([0.2, 0.2, 0.6], (n, 1))
    action = np.array([rng.choice(3, p=[0.2, 0.2, 0.6]) for _ in range(n)])
    rows, share = np.arange(n), chances[np.arange(n), action]

    def stand_in(predicted, seen):
        out = predicted.copy()
        out[rows, action] += (seen[rows, action] - predicted[rows, action]) / share
        return out

    one = np.full((n, 3), np.nan)
    one[rows, action] = latency[rows, action]
    return Evidence(
        candidates=candidates,
        quality=stand_in(said, quality),
        cost_usd=stand_in(cost, spent),
        latency_s=one,
        time=time,
        logged_quality=quality[rows, action],
        logged_cost_usd=spent[rows, action],
        action=action,
        propensity=share,
    )


@pytest.fixture(scope="session")
def make_evidence():
    return _evidence


NOW = datetime.datetime(2026, 11, 1, tzinfo=datetime.UTC)


def _asked_by(callers, seed, days=1):
    """A case of requests (n,) of callers who are hard to please each in their own way; two endpoints, drawn evenly.

    It is given as what `case_of` takes; the requests are spread over so many days, in their order.
    """
    rng, n = np.random.default_rng(seed), len(callers)
    liking = rng.normal(0, 0.2, callers.max() + 1)[callers]
    endpoint = rng.integers(0, 2, n)
    quality = np.clip(np.where(endpoint == 1, 0.6, 0.5) + liking + rng.normal(0, 0.1, n), -1, 2)
    log = Replay(
        request_ids=[str(one) for one in range(n)],
        batch=Batch(text=np.zeros((n, 0), np.float32), scalars={}),
        endpoint=endpoint,
        propensity=np.full(n, 0.5),
        outcomes={"quality": quality} | {name: np.full(n, 0.1) for name in ("cost_usd", "latency_s", "failure")},
        time=NOW.timestamp() + np.arange(n) * days * 86_400 / n,
        group=np.arange(n).astype(str),
        waited_s=np.zeros(n),
        start=NOW,
        end=NOW,
        left_out=0,
    )
    said = np.full((n, 2), 0.55)
    predicted = Candidates(
        endpoints=("a", "b"), quality=said, quality_low=said, cost_usd=said, cost_p90_usd=said, latency_s=said,
        latency_p90_s=said, eligible=np.ones((n, 2), dtype=bool),
    )  # fmt: skip
    feedback = Feedback(old=np.ones(n, dtype=bool), keep=None, share=1.0, delay_s=0.0, too_young=0)
    return log, predicted, None, feedback, np.full(n, np.nan)


@pytest.fixture(scope="session")
def asked_by():
    return _asked_by
