import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.evaluation import estimators
from fairlead.evaluation.estimators import Logged
from fairlead.evaluation.intervals import mean
from fairlead.evaluation.pick import Pick, pick

CLOSE = np.array([0.72, 0.711, 0.70, 0.55, 0.52, 0.50])  # of six endpoints, each a policy of its own
EVEN = np.array([0.72, 0.72, 0.69, 0.60, 0.55, 0.50])


def logged(rng, n, true):
    """Draw a uniform log, and value each endpoint doubly robustly with a model that knows half of the truth."""
    k = len(true)
    hard = rng.normal(0, 0.15, n)
    chance = np.clip(true + hard[:, None], 0, 1)
    action = rng.integers(0, k, n)
    reward = (rng.random(n) < chance[np.arange(n), action]).astype(float)
    said = 0.6 + hard
    found = {}
    for arm in range(k):
        log = Logged(
            reward=reward,
            propensity=np.full(n, 1 / k),
            target=(action == arm).astype(float),
            predicted_logged=said,
            predicted_target=said,
        )
        found[str(arm)] = estimators.doubly_robust(log)
    return found


def test_a_wrong_pick_is_rare_where_the_highest_estimate_is_often_wrong():
    wrong = {"pick": 0, "leader": 0}
    for seed in range(400):
        found = pick(logged(np.random.default_rng([8, seed]), 5000, CLOSE), {})
        wrong["leader"] += CLOSE[int(found.leader)] < 0.99 * CLOSE.max()
        wrong["pick"] += found.policy is not None and CLOSE[int(found.policy)] < 0.99 * CLOSE.max()

    assert wrong["leader"] > 80
    assert wrong["pick"] <= 20


def test_with_enough_requests_there_is_a_pick_among_equals():
    picks = [pick(logged(np.random.default_rng([9, seed]), 100_000, EVEN), {}).policy for seed in range(30)]

    assert sum(one is not None for one in picks) >= 10
    assert set(picks) <= {None, "0", "1"}


def test_of_policies_that_are_as_good_the_cheapest_is_taken():
    even = np.tile([0.7, 0.9], 500)
    quality = {"dear": mean("", even), "cheap": mean("", even - 0.001), "bad": mean("", even - 0.5)}

    found = pick(quality, {"dear": 2.0, "cheap": 1.0, "bad": 0.1})
    unpriced = pick(quality, {"bad": 0.1})

    assert found == Pick(
        policy="cheap",
        why="cheap: no other's quality is more than 1% better, and of the 2 of which that is sure it costs least",
        of_told="cheap",
        leader="dear",
        proven=["dear", "cheap"],
    )
    assert unpriced.policy == "dear"


def test_what_cannot_be_told_apart_is_named():
    rng = np.random.default_rng(0)
    quality = {name: mean("", rng.random(100)) for name in "abc"} | {"bad": mean("", rng.random(100) - 3)}

    found = pick(quality, {})

    assert found.policy is None
    assert {found.leader, *found.rivals} == {"a", "b", "c"}
    assert found.why == f"cannot tell which of {found.leader}, {found.rivals[0]} and {found.rivals[1]} is best"


def test_a_policy_that_the_logs_cannot_tell_of_may_be_the_best():
    even = np.tile([0.7, 0.9], 500)

    found = pick({"a": mean("", even), "b": mean("", even - 0.2)}, {}, untold=["c"])
    alone = pick({"status_quo": mean("", even)}, {}, untold=["c", "d"])

    assert (found.policy, found.of_told, found.untold) == (None, "a", ["c"])
    assert found.why == (
        "cannot tell whether c may be best; of the others it is a: no other's quality is more than 1% better"
    )
    assert (alone.policy, alone.of_told) == (None, None)
    assert alone.why == "cannot tell which of status_quo, c and d is best"


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), k=st.integers(2, 6), n=st.integers(2, 80))
def test_more_policies_or_less_tolerance_never_make_a_pick_easier(seed, k, n):
    rng = np.random.default_rng(seed)
    quality = {str(one): mean("", rng.random(n) * rng.random() + rng.random()) for one in range(k)}

    found, strict = pick(quality, {}), pick(quality, {}, tolerance=0.0)
    fewer = pick(dict(list(quality.items())[:-1]), {})

    assert set(strict.proven) <= set(found.proven)
    assert set(found.proven) - {str(k - 1)} <= set(fewer.proven)
    assert found.policy is None or found.policy in found.proven
    assert (found.policy is None) == bool(found.rivals)
