"""Whether intervals are honest: simulated logs of a world whose truth is known, and one made of real outcomes."""

from pathlib import Path

import numpy as np
import pytest

from fairlead.evaluation import comparison, estimators, overlap
from fairlead.evaluation.estimators import Logged
from fairlead.evaluation.intervals import mean

REPLICATIONS = 600
REQUESTS = 1500
ROUTING = Path(__file__).parents[2] / "../shared/data/routing"

PULL = np.array([[0.9, -0.5], [0.4, 0.6], [-0.3, 0.9], [-0.8, 0.2], [0.1, -0.9]])
LIKING = np.array([0.2, 0.5, -0.1, 0.9, 0.1])


def world(rng, n, temperature):
    """Chances of a good answer, logging and target probabilities, costs: (n, 5) each."""
    x = rng.normal(size=(n, 2))
    chance = 1 / (1 + np.exp(-(x @ PULL.T + LIKING)))
    favour = np.exp(x @ PULL.T / temperature)
    logging = 0.9 * favour / favour.sum(axis=1, keepdims=True) + 0.02
    target = 0.95 * np.eye(5)[chance.argmax(axis=1)] + 0.01
    cost = np.array([1.0, 2.0, 3.0, 4.0, 8.0]) * np.exp(0.3 * x[:, :1])
    return chance, logging, target, cost


def draw(rng, probabilities):
    return (rng.random(len(probabilities))[:, None] > probabilities.cumsum(axis=1)[:, :-1]).sum(axis=1)


def covered(statistic, truth):
    estimate = statistic.estimate()
    return estimate.low <= truth <= estimate.high


def simulate(temperature, *, wrong=False):
    """Shares of replications whose 95 % interval holds the truth, by estimator, and the mean effective sample size."""
    chance, logging, target, cost = world(np.random.default_rng(1), 400_000, temperature)
    quality_truth = (target * chance).sum(axis=1).mean()
    saving_truth = 1 - (target * cost).sum() / (logging * cost).sum()
    hits = {"ips": 0, "snips": 0, "doubly_robust": 0, "direct": 0, "savings": 0}
    sizes = []
    for seed in range(REPLICATIONS):
        rng = np.random.default_rng([7, seed])
        chance, logging, target, cost = world(rng, REQUESTS, temperature)
        rows, action = np.arange(REQUESTS), draw(rng, logging)
        propensity = np.full(REQUESTS, 0.2) if wrong else logging[rows, action]
        shared = {"propensity": propensity, "target": target[rows, action]}
        model = 0.7 * chance + 0.1
        log = Logged(
            reward=(rng.random(REQUESTS) < chance[rows, action]).astype(float),
            predicted_logged=model[rows, action],
            predicted_target=(target * model).sum(axis=1),
            **shared,
        )
        spend = cost[rows, action] * rng.gamma(20, 1 / 20, REQUESTS)
        saving = comparison.savings_share(estimators.snips(Logged(reward=spend, **shared)), mean("cost", spend))
        sizes.append(overlap.effective_sample_size(log.weight))
        hits["savings"] += covered(saving, saving_truth)
        for name in ("ips", "snips", "doubly_robust", "direct"):
            hits[name] += covered(estimators.ESTIMATORS[name](log), quality_truth)
    return {name: count / REPLICATIONS for name, count in hits.items()}, float(np.mean(sizes))


@pytest.mark.parametrize("temperature", [0.5, 0.2])
def test_intervals_cover_the_truth_as_often_as_they_say(temperature):
    coverage, size = simulate(temperature)

    assert size >= 140
    for name in ("ips", "snips", "doubly_robust", "savings"):
        assert 0.92 <= coverage[name] <= 0.98, (name, coverage)


def test_the_direct_method_and_wrong_propensities_do_not_cover():
    right, _ = simulate(0.2)
    wrong, size = simulate(0.2, wrong=True)

    assert right["direct"] < 0.2
    assert size >= 140  # it looks as well supported as ever, which is why propensities must be logged
    assert max(wrong["ips"], wrong["snips"], wrong["doubly_robust"]) < 0.8, wrong


def test_on_real_outcomes_the_doubly_robust_interval_covers_and_is_not_biased():
    pl = pytest.importorskip("polars")
    path = ROUTING / "zeroeval/outcomes.parquet"
    if not path.exists():
        pytest.skip("../shared is absent: the estimators are not tried on real outcomes")
    known = pl.read_parquet(path).filter(
        pl.col("model").is_in(["gpt-4o-2024-08-06", "Yi-1.5-9B-Chat", "Qwen2-7B-Instruct"])
    )
    matrix = known.pivot(on="model", index=["dataset", "prompt_id"], values="quality").sort("dataset", "prompt_id")
    route = matrix["dataset"].rank("dense").to_numpy().astype(np.int64) - 1
    quality = matrix.drop("dataset", "prompt_id").to_numpy().astype(np.float64)
    means = np.array([quality[route == code].mean(axis=0) for code in range(3)])[route]
    logging = 0.1 + 0.7 * np.exp(means / 0.1) / np.exp(means / 0.1).sum(axis=1, keepdims=True)
    target = np.eye(3)[(means - [0.1, 0.0, 0.0]).argmax(axis=1)]
    truth, rows = (target * quality).sum(axis=1).mean(), np.arange(len(quality))

    values, hits = [], 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        kept = rng.integers(0, len(quality), 2000)
        action = draw(rng, logging[kept])
        log = Logged(
            reward=quality[kept, action],
            propensity=logging[kept, action],
            target=target[kept, action],
            predicted_logged=means[kept, action],
            predicted_target=(target * means).sum(axis=1)[kept],
        )
        values.append(estimators.doubly_robust(log).value)
        hits += covered(estimators.doubly_robust(log), truth)

    assert len(rows) == 2840
    assert abs(np.mean(values) - truth) < 2.6 * np.std(values) / np.sqrt(len(values))
    assert hits / 200 >= 0.9
