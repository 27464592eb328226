import numpy as np
import pytest
from msgspec.structs import replace

from fairlead import Intelligent, Weighted
from fairlead.errors import UsageError
from fairlead.scoring.policies import make
from fairlead.testing import ContractError, candidates, check_policy

MODELS = [f"provider/model-{index}" for index in range(7)]


@pytest.mark.parametrize(
    "policy",
    [
        Weighted(),
        Weighted({MODELS[0]: 3, MODELS[4]: 1}),
        Weighted({MODELS[1]: 1}, default=0.5),
        Weighted({MODELS[0]: 1e-310, MODELS[1]: 5e-310}),
        Weighted({MODELS[0]: 1e308, MODELS[1]: 1e308}, default=1e308),
        Intelligent(),
        Intelligent(usd_price=20),
        Intelligent(usd_price=5, second_price=0.01, quality_floor=0.6),
        Intelligent(usd_price=5, temperature=0.02, exploration=0.1),
        Intelligent(temperature=0.5, top=1),
        Intelligent(exploration=1.0, top=99),
        Intelligent(temperature=5e-324, exploration=0.1),
        Intelligent(usd_price=20, temperature=1e300),
        Intelligent(usd_price=1e300, quality_floor=0.5, temperature=0.1),
    ],
    ids=repr,
)
def test_every_policy_keeps_the_contract(policy):
    check_policy(policy)


def given(**arrays):
    one = candidates(np.random.default_rng(0), 1, 3)
    even = {"eligible": np.ones((1, 3), bool), "latency_s": np.ones((1, 3)), "cost_usd": np.ones((1, 3))}
    return replace(one, **{**even, **{name: np.array([values]) for name, values in arrays.items()}})


def test_the_price_of_a_dollar_decides_between_good_and_cheap():
    case = given(quality=[0.9, 0.85, 0.5], cost_usd=[0.01, 0.002, 0.0])

    chosen = [int(Intelligent(usd_price=price).probabilities(case).argmax()) for price in (0, 10, 500)]

    assert chosen == [0, 1, 2]


def test_seconds_have_a_price_too():
    case = given(quality=[0.9, 0.85, 0.5], latency_s=[30.0, 1.0, 1.0])

    assert Intelligent(second_price=0.01).probabilities(case).tolist() == [[0.0, 1.0, 0.0]]


def test_an_unknown_cost_is_charged_like_the_dearest():
    case = given(quality=[0.9, 0.89, 0.5], cost_usd=[np.nan, 0.001, 0.01])

    assert Intelligent(usd_price=10).probabilities(case).tolist() == [[0.0, 1.0, 0.0]]
    assert "charged the dearest" in " ".join(Intelligent(usd_price=10).explain(case))


def test_the_floor_leaves_out_the_doubtful_and_is_set_aside_when_all_are():
    case = given(quality=[0.9, 0.8, 0.7], quality_low=[0.5, 0.75, 0.65])

    assert Intelligent(quality_floor=0.7).probabilities(case).tolist() == [[0.0, 1.0, 0.0]]
    assert Intelligent(quality_floor=0.95).probabilities(case).tolist() == [[1.0, 0.0, 0.0]]
    assert "set aside" in " ".join(Intelligent(quality_floor=0.95).explain(case))


def test_equals_are_decided_by_name():
    case = given(quality=[0.5, 0.5, 0.5])

    assert Intelligent().probabilities(replace(case, endpoints=("c", "a", "b"))).tolist() == [[0.0, 1.0, 0.0]]


def test_exploration_spreads_over_the_best_few():
    case = given(quality=[0.9, 0.8, 0.1])

    got = Intelligent(exploration=0.2, top=2).probabilities(case)

    assert got.tolist() == [[pytest.approx(0.9), pytest.approx(0.1), 0.0]]


def test_the_temperature_says_how_much_better_is_how_much_likelier():
    case = given(quality=[0.9, 0.8, 0.1])

    got = Intelligent(temperature=0.1, top=2).probabilities(case)

    assert got[0] == pytest.approx([np.e / (1 + np.e), 1 / (1 + np.e), 0.0])


def test_only_eligible_endpoints_share_the_weights_and_all_of_them_where_none_has_one():
    case = given(eligible=[True, False, True])

    weights = {MODELS[0]: 1, MODELS[1]: 5, MODELS[2]: 3}
    assert Weighted(weights).probabilities(case).tolist() == [[0.25, 0.0, 0.75]]
    assert Weighted({MODELS[1]: 5}).probabilities(case).tolist() == [[0.5, 0.0, 0.5]]
    assert Weighted({MODELS[0]: 1}).probabilities(case).tolist() == [[1.0, 0.0, 0.0]]
    assert Weighted({MODELS[0]: 1}, default=1).probabilities(case).tolist() == [[0.5, 0.0, 0.5]]


def test_an_unknown_latency_is_charged_like_the_slowest_and_unknown_quality_is_none():
    case = given(quality=[0.9, np.nan, 0.7], latency_s=[np.nan, 1.0, 9.0])

    assert Intelligent(second_price=0.1).scores(case).tolist() == [[pytest.approx(0.0), -0.1, pytest.approx(-0.2)]]


@pytest.mark.parametrize(
    ("name", "parameters", "fault"),
    [
        ("intelligent", {"usd_price": -1}, "usd_price must be a number from 0 up"),
        ("intelligent", {"temperature": float("nan")}, "temperature must be"),
        ("intelligent", {"exploration": 2}, "exploration must be a share"),
        ("intelligent", {"price": 1}, "unexpected keyword argument 'price'"),
        ("intelligent", {"usd_price": "much"}, "policy intelligent"),
        ("intelligent", {"second_price": float("inf")}, "second_price must be a number from 0 up"),
        ("intelligent", {"top": 0}, "top must be a whole number from 1 up"),
        ("intelligent", {"top": 2.5}, "top must be a whole number from 1 up"),
        ("intelligent", {"top": float("inf")}, "policy intelligent"),
        ("intelligent", {"quality_floor": float("nan")}, "quality_floor must be a number, not nan"),
        ("intelligent", {"quality_floor": "high"}, "policy intelligent"),
        ("weighted", {"weights": {"a": -1}}, "the weight of 'a'"),
        ("weighted", {"weights": {"a": float("nan")}}, "the weight of 'a' must be a number from 0 up, not nan"),
        ("weighted", {"weights": {"a": 1}, "default": -1}, "default must be a number from 0 up, not -1"),
        ("weighted", {"weights": ["abc"]}, "policy weighted"),
        ("clever", {}, "no policy named .clever.; there are .*intelligent, .*weighted"),
    ],
)
def test_parameters_that_cannot_be_are_wrong_use(name, parameters, fault):
    with pytest.raises(UsageError, match=fault):
        make(name, parameters)


class Broken(Weighted):
    def __init__(self, how):
        super().__init__()
        self.how, self.calls = how, 0

    def probabilities(self, candidates):
        shares = super().probabilities(candidates).copy()
        self.calls += 1
        if self.how == "sums to one":
            return shares / 2
        if self.how == "never chooses an ineligible endpoint":
            return np.full(shares.shape, 1 / shares.shape[-1])
        if self.how == "gives the same answer again" and self.calls % 2 == 0:
            return Intelligent().probabilities(candidates)
        if self.how == "leaves its input unchanged":
            candidates.quality[...] = 0.0
        if self.how == "does not depend on the order of endpoints":
            first = np.zeros(shares.shape)
            np.put_along_axis(first, candidates.eligible.argmax(axis=-1)[..., None], 1.0, axis=-1)
            return first
        return shares


@pytest.mark.parametrize(
    "promise",
    [
        "sums to one",
        "never chooses an ineligible endpoint",
        "gives the same answer again",
        "leaves its input unchanged",
        "does not depend on the order of endpoints",
    ],
)
def test_the_contract_catches_who_breaks_it(promise):
    with pytest.raises(ContractError, match=promise):
        check_policy(Broken(promise))
