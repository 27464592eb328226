import math

import numpy as np
import pytest
from msgspec.structs import replace

from fairlead.errors import UsageError
from fairlead.scoring import Request, Router
from fairlead.scoring.policies import Intelligent, make
from fairlead.scoring.snapshot import Snapshot
from fairlead.testing import check_policy


@pytest.mark.parametrize(
    "policy",
    [
        Intelligent(failure_price=1, slo_price=0.5, slo_s=2, sticky=0.1, headroom=0.2),
        Intelligent(usd_price=2, usd_price_high=40, mix_share=0.3, slo_price=0.1, slo_s=2),
        Intelligent(
            usd_price=9,
            usd_price_high=50,
            mix_share=0.6,
            sticky=0.3,
            quality_floor=0.5,
            temperature=0.1,
            exploration=0.2,
            top=2,
        ),
    ],
    ids=repr,
)
def test_intelligent_with_everything_keeps_the_contract(policy):
    check_policy(policy)


def test_a_failure_has_a_price_by_prediction_else_by_what_was_seen(given, live):
    view = live(error_share=[0.0, 0.5, 0.5])

    policy = Intelligent(failure_price=1.0)
    seen = policy.scores(given(view=view))
    predicted = policy.scores(given(view=view, failure=[0.25, np.nan, 0.0]))
    replayed = policy.scores(given(failure=[0.25, np.nan, 0.0]))

    assert [seen.tolist(), predicted.tolist(), replayed.tolist()] == [[0.5, 0, 0], [0.25, 0, 0.5], [0.25, 0.5, 0.5]]


def test_only_the_part_of_the_tail_over_the_objective_has_a_price(given):
    case = given(latency_p90_s=[5.0, 10.0, np.nan], latency_s=[4.0, 4.0, 4.0])

    assert Intelligent(slo_price=0.2, slo_s=5).scores(case).tolist() == [0.5, 0.3, 0.3]


def test_a_conversation_stays_until_another_endpoint_is_better_by_more_than_that(given):
    case = given(1 + 1, 3, quality=[[0.8, 0.9]] * 3, incumbent=[0, 1, -1])

    assert Intelligent(sticky=0.2).probabilities(case).tolist() == [[1, 0], [0, 1], [0, 1]]
    assert Intelligent(sticky=0.05).probabilities(case).tolist() == [[0, 1], [0, 1], [0, 1]]
    assert Intelligent(sticky=0.2).probabilities(given(2, quality=[0.8, 0.9], incumbent=0)).tolist() == [1, 0]


def test_the_floor_comes_before_headroom_and_each_is_set_aside_when_nobody_is_left(given, live):
    case = given(quality=[0.9, 0.8, 0.7], quality_low=[0.3, 0.6, 0.6], view=live(headroom=[1.0, 0.0, 0.5]))

    policy = Intelligent(quality_floor=0.5, headroom=0.1)

    assert policy.probabilities(case).tolist() == [0, 0, 1]
    assert policy.probabilities(replace(case, view=live(headroom=[1.0, 0.0, 0.0]))).tolist() == [0, 1, 0]
    assert policy.probabilities(replace(case, quality_low=np.zeros(3))).tolist() == [1, 0, 0]


def test_the_second_best_serves_what_a_returning_best_may_not(given, live):
    case = given(quality=[0.9, 0.8, 0.7], view=live(admitted=[0.25, 1.0, 1.0]))

    assert Intelligent().probabilities(case).tolist() == [0.25, 0.75, 0.0]


def test_money_is_dearer_when_the_budget_runs_ahead(given, live):
    case = given(2, quality=[0.9, 0.8], cost_usd=[0.02, 0.0])

    chances = [Intelligent(usd_price=2).probabilities(replace(case, view=live(2, pace=pace))) for pace in (1, 2, 4)]

    assert [one.tolist() for one in chances] == [[1, 0], [1, 0], [0, 1]]


def test_between_two_neighbouring_paces_the_choice_is_drawn_so_that_spend_has_no_jump(given, live):
    case = given(2, quality=[0.9, 0.8], cost_usd=[0.02, 0.0])  # changes at a pace of 2.5
    paces = np.exp(np.linspace(math.log(2.2), math.log(2.8), 200))

    shares = [float(Intelligent(usd_price=2).probabilities(replace(case, view=live(2, pace=p)))[0]) for p in paces]

    assert [shares[0], shares[-1]] == [1, 0]
    assert max(np.abs(np.diff(shares))) < 0.02


def test_a_mix_draws_between_two_prices_so_that_any_spend_between_theirs_can_be_met(given):
    case = given(3, quality=[0.9, 0.8, 0.5], cost_usd=[0.02, 0.01, 0.0])

    mixed = [Intelligent(usd_price=5, usd_price_high=20, mix_share=share).probabilities(case) for share in (0, 0.3, 1)]

    assert [one.tolist() for one in mixed] == [[1, 0, 0], [0.7, 0.3, 0], [0, 1, 0]]


def test_a_mix_moves_with_the_budgets_pace_and_is_ranked_at_its_mean_price(given, live):
    case = given(2, quality=[0.9, 0.8], cost_usd=[0.02, 0.0])
    policy = Intelligent(usd_price=1, usd_price_high=4, mix_share=0.5)  # the choice turns at a price of 5

    paced = [policy.probabilities(replace(case, view=live(2, pace=pace))).tolist() for pace in (0.5, 2, 8)]

    assert paced == [[1, 0], [0.5, 0.5], [0, 1]]
    assert policy.scores(case) == pytest.approx([0.9 - 2.5 * 0.02, 0.8])


def test_a_mix_needs_the_price_it_mixes_with():
    with pytest.raises(UsageError, match="mix_share needs usd_price_high"):
        make("intelligent", {"mix_share": 0.5})


def test_the_router_draws_a_mix_as_often_as_it_says(make_snapshot):
    mix = {"usd_price": 0, "usd_price_high": 1e6, "mix_share": 0.3}
    router = Router(Snapshot.from_bytes(make_snapshot(parameters=mix).to_bytes()))

    decisions = [router.decide(Request(text="x", route="maths", id=str(at))) for at in range(1000)]
    again = [router.decide(Request(text="x", route="maths", id=str(at))).endpoint for at in range(50)]

    assert {one.endpoint: round(one.propensity, 9) for one in decisions} == {"dear": 0.7, "cheap": 0.3}
    assert sum(one.endpoint == "cheap" for one in decisions) == pytest.approx(300, abs=60)
    assert again == [one.endpoint for one in decisions[:50]]
    assert any("0.3 of the draw goes by 1e+06 x USD" in reason for reason in decisions[0].reasons)


@pytest.mark.parametrize("pace", [math.nan, math.inf, 0.0, -1.0])
def test_a_pace_that_cannot_be_is_none(given, live, pace):
    case = given(quality=[0.9, 0.8, 0.7], view=live(pace=pace))

    assert Intelligent(usd_price=2).probabilities(case).tolist() == [1, 0, 0]


def test_everything_the_choice_rests_on_is_said(given, live):
    policy = Intelligent(usd_price=2, failure_price=3, slo_price=4, slo_s=5, sticky=0.1)

    said = policy.explain(given(1, 1, view=live(1, admitted=[0.5], pace=2.0), incumbent=[0]))

    assert said == [
        "highest predicted quality - 4 x USD - 0 x seconds - 3 x chance of failing - 4 x share over 5 s",
        "the conversation stays where it is unless another endpoint is better by 0.1",
        "an endpoint that has just returned gets only part of its traffic",
    ]


@pytest.mark.parametrize(
    ("parameters", "fault"),
    [
        ({"failure_price": -1}, "failure_price must be a number from 0 up, not -1"),
        ({"slo_price": math.inf}, "slo_price must be a number from 0 up, not inf"),
        ({"slo_s": 0}, "slo_s must be a number from 0.001 up, not 0"),
        ({"sticky": "yes"}, "sticky must be a number from 0 up, not yes"),
        ({"headroom": 2}, "headroom must be a share from 0 to 1, not 2"),
        ({"headroom": [1, 2]}, "headroom must be a share from 0 to 1"),
    ],
)
def test_a_parameter_that_cannot_be_names_itself_and_its_range(parameters, fault):
    with pytest.raises(UsageError, match=f"policy intelligent: {fault}"):
        make("intelligent", parameters)
