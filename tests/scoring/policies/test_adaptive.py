import numpy as np
import pytest
from hypothesis import given as cases
from hypothesis import settings
from hypothesis import strategies as st
from msgspec.structs import replace

from fairlead.errors import UsageError
from fairlead.scoring import Reward
from fairlead.scoring.policies import Adaptive, Intelligent, make
from fairlead.testing import candidates, check_policy, view
from fairlead.testing.draws import ARRAYS


class Clock:
    def __init__(self):
        self.now = 1e9

    def __call__(self):
        return self.now


def reward(endpoint, route="maths", **known):
    expected = {"expected_quality": 0.5, "expected_cost_usd": 1.0, "expected_latency_s": 1.0}
    return Reward(endpoint=endpoint, route=route, propensity=0.5, **{**expected, **known})


def test_adaptive_keeps_the_contract_before_and_after_it_has_learned():
    check_policy(Adaptive(usd_price=20, failure_price=0.2, sticky=0.05, pinned=["code"]), rewards_learned=20_000)


def test_adaptive_that_knows_no_routes_keeps_it_too():
    check_policy(Adaptive(routes=0, quality_floor=0.3), rewards_learned=2000)


def test_before_it_has_learned_it_is_intelligent_with_exploration(given):
    case = given(quality=[0.9, 0.8, 0.5], routes=("maths",))

    policy = Adaptive(exploration_cap=1.0, prior=50, noise=0.5)

    # Two unknowns of variance 0.25 x (1 / 50 + 1 / 50) each.
    odds = [1 / (1 + np.exp(1.702 * gap / np.sqrt(0.02))) / 3 for gap in (0.1, 0.4)]
    assert np.array_equal(policy.scores(case), Intelligent().scores(case))
    assert policy.probabilities(case).tolist() == pytest.approx([1 - sum(odds), *odds])
    assert Adaptive(exploration_cap=0).probabilities(case).tolist() == [1.0, 0.0, 0.0]


def test_doubt_falls_with_evidence_and_returns_when_it_fades(given):
    clock = Clock()
    case = given(2, 1, quality=[[0.8, 0.7]], routes=("maths",))
    policy = Adaptive(exploration_cap=1.0, half_life_s=3600, clock=clock)
    before = policy.probabilities(case)[0, 1]
    for _ in range(500):
        for endpoint, quality in (("a", 0.8), ("b", 0.7)):
            policy.learn(reward(endpoint, expected_quality=quality, quality=quality))
    known = policy.probabilities(case)[0, 1]
    clock.now += 3600 * 20

    assert known < before / 2
    assert policy.probabilities(case)[0, 1] == pytest.approx(before, rel=1e-2)


@settings(max_examples=60, deadline=None)
@cases(
    seed=st.integers(0, 2**32 - 1),
    cap=st.sampled_from([0.001, 0.02, 0.3]),
    noise=st.sampled_from([1e-6, 0.4, 1e6]),
    usd_price=st.sampled_from([0.0, 5.0]),
)
def test_exploring_never_loses_or_spends_more_than_the_cap(seed, cap, noise, usd_price):
    rng = np.random.default_rng(seed)
    case = candidates(rng, 20, 6)
    policy = Adaptive(noise=noise, exploration_cap=cap, usd_price=usd_price)

    chances, scores = policy.evaluate(case)

    known = policy.corrected(case)
    worth = np.where(case.eligible, scores, -np.inf)
    best = np.where((worth == worth.max(axis=1, keepdims=True)).cumsum(axis=1) == 1, worth == worth.max(1)[:, None], 0)
    rows, at = np.arange(len(best)), best.argmax(axis=1)
    loss = (chances * np.where(case.eligible, scores[rows, at][:, None] - scores, 0)).sum(axis=1)
    cost = np.nan_to_num(known.cost_usd)
    spent = (chances * np.maximum(cost - cost[rows, at][:, None], 0)).sum(axis=1)
    assert (loss <= cap * known.quality[rows, at] + 1e-12).all()
    assert (spent <= cap * cost[rows, at] + 1e-12).all()
    assert np.allclose(chances.sum(axis=1), 1)


def test_pinned_routes_do_not_explore(given):
    case = given(2, 2, quality=[[0.9, 0.8]] * 2, routes=("maths", "legal"))

    chances = Adaptive(pinned=["legal"]).probabilities(case)

    assert (chances[0, 1] > 0, chances[1].tolist()) == (True, [1.0, 0.0])


def test_a_route_learns_for_itself_and_a_little_for_the_others(given):
    policy = Adaptive(exploration_cap=0, prior=10, half_life=1e9)
    for _ in range(10):
        policy.learn(reward("a", quality=0.1))

    moved = policy.scores(given(2, 3, routes=("maths", "chat", None))) - 0.5

    # -0.4 seen ten times against a prior of ten: half of it for the endpoint, and a quarter more where it was seen.
    assert moved.tolist() == [[pytest.approx(-0.3), 0.0], [pytest.approx(-0.2), 0.0], [pytest.approx(-0.2), 0.0]]


def test_cost_and_latency_are_corrected_by_a_factor(given):
    policy = Adaptive(exploration_cap=0, prior=0.1, half_life=1e9)
    for _ in range(1000):
        policy.learn(reward("a", cost_usd=3.0, latency_s=0.5))

    known = policy.corrected(given(2, routes=("maths",)))

    assert known.cost_usd.tolist() == [pytest.approx(3.0, abs=1e-3), 1.0]
    assert [known.latency_s.tolist(), known.quality.tolist()] == [[pytest.approx(0.5, abs=1e-3), 1.0], [0.5, 0.5]]


def test_a_failed_call_without_a_quality_is_an_answer_of_no_quality(given):
    policy = Adaptive(exploration_cap=0, prior=1, half_life=1e9)
    policy.learn(reward("a", failed=True))
    policy.learn(reward("b", failed=False))

    assert policy.scores(given(2, routes=(None,))).tolist() == [pytest.approx(0.25), 0.5]


def test_what_was_learned_fades_with_newer_observations_and_with_time(given):
    clock = Clock()
    policy = Adaptive(exploration_cap=0, half_life=10, half_life_s=3600, prior=1, clock=clock)
    case = given(1, routes=("maths",))
    for _ in range(50):
        policy.learn(reward("a", quality=1.0))
    risen = policy.scores(case).item()
    for _ in range(50):
        policy.learn(reward("a", quality=0.0))
    fallen = policy.scores(case).item()
    clock.now += 3600 * 20

    assert (risen > 0.9, fallen < 0.1) == (True, True)
    assert policy.scores(case).item() == pytest.approx(0.5, abs=1e-3)


def test_rewards_may_come_late_and_in_any_order_and_old_ones_weigh_less(given):
    clock = Clock()
    told = [reward("a", quality=1.0, waited_s=3600.0), reward("a", quality=0.0, waited_s=0.0)]
    case = given(1, routes=("maths",))

    values = []
    for order in (told, told[::-1]):
        policy = Adaptive(exploration_cap=0, half_life=1e9, half_life_s=3600, prior=20, clock=clock)
        for one in order:
            policy.learn(one)
        values.append(policy.scores(case).item())

    assert values == [pytest.approx(values[0])] * 2
    assert values[0] < 0.5


def test_numbers_stay_sound_over_years(given):
    clock = Clock()
    policy = Adaptive(exploration_cap=0, half_life_s=60.0, prior=1, clock=clock)
    for _ in range(100):
        clock.now += 86400 * 30
        policy.learn(reward("a", quality=1.0))

    assert policy.scores(given(1, routes=("maths",))).item() == pytest.approx(0.875)
    assert all(np.isfinite(array).all() for array in policy.state().values())


def test_one_time_routes_do_not_wash_out_a_busy_one(given):
    policy = Adaptive(exploration_cap=0, routes=4, prior=5)
    for number in range(2000):
        policy.learn(reward("a", "busy", quality=1.0))
        policy.learn(reward("a", f"once-{number}", quality=0.5))

    busy, other = policy.scores(given(1, 2, routes=("busy", "never seen"))).ravel().tolist()

    assert busy > 0.95 > other


def test_when_columns_run_out_the_endpoint_of_least_evidence_gives_up_its_own(given):
    policy = Adaptive(exploration_cap=0, endpoints=2, prior=1)
    for endpoint, times in (("a", 9), ("b", 1), ("c", 3)):
        for _ in range(times):
            policy.learn(reward(endpoint, quality=1.0))

    moved = (policy.scores(given(3, routes=("maths",))) > 0.5).tolist()

    assert moved == [True, False, True]


def test_what_was_learned_survives_a_restart(given):
    clock = Clock()
    policy, again = Adaptive(clock=clock), Adaptive(clock=clock)
    for number in range(50):
        policy.learn(reward("ab"[number % 2], f"route-{number % 3}", quality=0.9, cost_usd=2.0))
    case = given(2, 2, routes=("route-1", None))

    again.restore(policy.state())

    assert np.array_equal(again.probabilities(case), policy.probabilities(case))
    assert {name: (array.dtype.kind, array.nbytes) for name, array in policy.state().items()} == {
        name: (array.dtype.kind, array.nbytes) for name, array in Adaptive().state().items()
    }


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        (lambda state: state.pop("sums"), "sums must be float64"),
        (lambda state: state.update(visits=np.zeros(3)), r"visits must be float64 \(256,\), not float64 \(3,\)"),
        (lambda state: state["sums"].fill(np.nan), "sums holds numbers that are not finite"),
    ],
)
def test_a_state_that_does_not_fit_is_refused_and_the_own_one_kept(given, damage, fault):
    policy, state = Adaptive(), Adaptive().state()
    policy.learn(reward("a", quality=1.0))
    before = policy.scores(given(1, routes=("maths",))).item()
    damage(state)

    with pytest.raises(UsageError, match=f"policy adaptive: state: {fault}"):
        policy.restore(state)

    assert policy.scores(given(1, routes=("maths",))).item() == pytest.approx(before)


def test_a_new_snapshot_may_make_it_forget(given):
    policy = Adaptive(exploration_cap=0)
    policy.learn(reward("a", quality=1.0))

    policy.forget()

    assert policy.scores(given(1, routes=("maths",))).item() == 0.5


def test_it_follows_when_the_best_endpoint_changes_at_half_time(given):
    rng, clock = np.random.default_rng(0), Clock()
    policy = Adaptive(clock=clock, half_life=100, prior=20, exploration_cap=0.05)
    case = given(3, quality=[0.8, 0.7, 0.7], routes=("maths",))
    waiting, chosen = [], []
    for number in range(4000):
        clock.now += 1.0
        true = (0.8, 0.7, 0.7) if number < 2000 else (0.5, 0.7, 0.85)
        chances = policy.probabilities(case)
        at = int(np.searchsorted(np.cumsum(chances), rng.random(), side="right").clip(0, 2))
        chosen.append(at)
        if rng.random() < 0.5:
            quality = float(rng.random() < true[at])
            told = reward("abc"[at], expected_quality=(0.8, 0.7, 0.7)[at], quality=quality, waited_s=50.0)
            waiting.append((number + 50, told))
        while waiting and waiting[0][0] <= number:
            policy.learn(waiting.pop(0)[1])

    shares = [np.bincount(chosen[start : start + 1000], minlength=3) / 1000 for start in (1000, 3000)]
    assert shares[0][0] > 0.7
    assert shares[1][2] > 0.7


def test_what_feedback_changed_is_said(given):
    policy = Adaptive(prior=1, half_life=1e9, pinned=["legal"])
    policy.learn(reward("b", "maths", quality=1.0))

    said = policy.explain(given(2, 1, routes=("maths",)))

    assert said[1:] == [
        "feedback moved the predicted quality of b by +0.375",
        "others are explored, at an expected loss of at most 1.0%",
    ]
    assert "the route is pinned: no exploration" in policy.explain(given(2, 1, routes=("legal",)))


@pytest.mark.parametrize(
    ("parameters", "fault"),
    [
        ({"noise": 0}, "noise must be a number from 1e-06 up, not 0"),
        ({"exploration_cap": 2}, "exploration_cap must be a share from 0 to 1, not 2"),
        ({"half_life": 0}, "half_life must be a number from 1 up, not 0"),
        ({"half_life_s": float("nan")}, "half_life_s must be a number from 1 up, not nan"),
        ({"prior": 0}, "prior must be a number from 0.1 up, not 0"),
        ({"routes": -1}, "routes must be a whole number from 0 to 65536, not -1"),
        ({"endpoints": 0}, "endpoints must be a whole number from 1 to 1024, not 0"),
        ({"pinned": "legal"}, "pinned must be a list of routes, not 'legal'"),
        ({"temperature": 1}, "temperature is intelligent's; set noise and exploration_cap instead"),
        ({"usd_price": -1}, "usd_price must be a number from 0 up, not -1"),
        ({"price": 1}, "unexpected keyword argument 'price'"),
    ],
)
def test_a_parameter_that_cannot_be_names_itself_and_its_range(parameters, fault):
    with pytest.raises(UsageError, match=rf"policy adaptive: .*{fault}"):
        make("adaptive", parameters)


def test_live_state_is_heeded_as_by_intelligent():
    rng = np.random.default_rng(3)
    case = candidates(rng, 40, 5, view=view(rng, 5))
    plain = {"usd_price": 5.0, "failure_price": 0.5, "headroom": 0.3, "sticky": 0.1}

    chances = Adaptive(exploration_cap=0, **plain).probabilities(case)

    assert np.allclose(chances, Intelligent(**plain).probabilities(case))


@cases(seed=st.integers(0, 2**32 - 1), endpoints=st.integers(1, 9), cap=st.sampled_from([0.0, 0.01, 1.0]))
def test_one_request_gets_what_it_gets_among_many(seed, endpoints, cap):
    rng = np.random.default_rng(seed)
    policy = Adaptive(exploration_cap=cap, usd_price=20, prior=5, pinned=["code"], clock=lambda: 0.0)
    case = candidates(rng, 6, endpoints, view=view(rng, endpoints) if seed % 2 else None)
    for at in range(40):
        endpoint = case.endpoints[int(rng.integers(endpoints))]
        policy.learn(reward(endpoint, ("maths", "code", None)[at % 3], quality=float(rng.random()), cost_usd=2.0))

    together = policy.evaluate(case)

    names = [*ARRAYS, *(["failure", "incumbent"] if case.view is not None else [])]
    for row in range(6):
        one = slice(row, row + 1)
        alone = policy.evaluate(
            replace(case, routes=case.routes[one], **{name: getattr(case, name)[one] for name in names})
        )
        for mine, all_of in zip(alone, together, strict=True):
            np.testing.assert_allclose(mine[0], all_of[row], rtol=1e-9, atol=1e-12)
