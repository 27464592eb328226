import numpy as np
import pytest

from fairlead.errors import UsageError
from fairlead.scoring.draw import uniform
from fairlead.scoring.policies import LeastConnections, ResponseTime, RoundRobin, make
from fairlead.testing import check_policy


@pytest.mark.parametrize(
    "policy", [RoundRobin(), LeastConnections(), LeastConnections(0.2), ResponseTime(), ResponseTime(0.2)], ids=repr
)
def test_policies_of_live_state_keep_the_contract(policy):
    check_policy(policy)


def test_a_round_gives_each_endpoint_one_turn_in_an_order_that_is_drawn_anew(given, live):
    turns, rounds = np.zeros(3), []
    for number in range(30):
        chances = RoundRobin().probabilities(given(view=live(turns=turns)))
        chosen = int(np.searchsorted(np.cumsum(chances), uniform(0, str(number)), side="right"))
        turns[chosen] += 1
        rounds.append(chosen)

    assert turns.tolist() == [10, 10, 10]
    assert len({tuple(rounds[at : at + 3]) for at in range(0, 30, 3)}) > 2


def test_whoever_may_not_serve_is_skipped_in_the_round(given, live):
    view = live(turns=[0.0, 5.0, 5.0])

    chances = RoundRobin().probabilities(given(view=view, eligible=[False, True, True]))

    assert chances.tolist() == [0.0, 0.5, 0.5]


def test_a_returning_endpoint_gets_its_admitted_share_and_the_rest_goes_where_it_would_without_it(given, live):
    view = live(turns=[0.0, 3.0, 4.0], admitted=[0.1, 1.0, 1.0])

    assert RoundRobin().probabilities(given(view=view)).tolist() == [0.1, 0.9, 0.0]


def test_when_all_are_returning_the_one_admitted_most_takes_what_is_left(given, live):
    view = live(turns=[0.0, 3.0, 4.0], admitted=[0.1, 0.2, 0.5])

    assert RoundRobin().probabilities(given(view=view)).tolist() == [0.1, 0.0, 0.9]
    alone = given(view=view, eligible=[True, False, False])
    assert RoundRobin().probabilities(alone).tolist() == [1.0, 0.0, 0.0]


def test_an_endpoint_that_fails_fast_is_not_idle(given, live):
    view = live(in_flight=[4.0, 3.0, 0.0], error_share=[0.0, 0.0, 0.9])

    assert LeastConnections().probabilities(given(view=view)).tolist() == [0.0, 1.0, 0.0]
    assert LeastConnections().scores(given(view=view)).tolist() == [-4.0, -3.0, -30.0]


def test_a_trace_of_errors_does_not_decide_between_idle_endpoints(given, live):
    view = live(error_share=[0.01, 0.1, 0.0])

    assert LeastConnections().probabilities(given(view=view)).tolist() == [1 / 3, 1 / 3, 1 / 3]


def test_endpoints_near_their_rate_limit_are_left_out_while_others_are_there(given, live):
    view = live(in_flight=[0.0, 2.0, 9.0], headroom=[0.05, np.nan, 0.5], latency_s=[1.0, 2.0, 9.0])

    assert LeastConnections(headroom=0.1).probabilities(given(view=view)).tolist() == [0.0, 1.0, 0.0]
    assert LeastConnections().probabilities(given(view=view)).tolist() == [1.0, 0.0, 0.0]
    assert ResponseTime(headroom=0.1).probabilities(given(view=view)).tolist() == [0.0, 1.0, 0.0]
    scarce = live(in_flight=[0.0, 2.0, 9.0], headroom=[0.05, 0.05, 0.05])
    assert LeastConnections(headroom=0.1).probabilities(given(view=scarce)).tolist() == [1.0, 0.0, 0.0]


def test_two_choices_are_what_drawing_two_endpoints_gives(given, live):
    rng = np.random.default_rng(0)
    wait = np.array([3.0, 1.0, 2.0, 2.0, 7.0])
    drawn = rng.random((100_000, 5)).argsort(axis=1)[:, :2]
    quicker = np.where(
        wait[drawn[:, 0]] == wait[drawn[:, 1]],
        drawn[np.arange(len(drawn)), rng.integers(2, size=len(drawn))],
        drawn[np.arange(len(drawn)), wait[drawn].argmin(axis=1)],
    )

    chances = ResponseTime().probabilities(given(5, view=live(5, latency_s=wait)))

    assert chances.tolist() == [0.1, 0.4, 0.25, 0.25, 0.0]
    assert np.bincount(quicker, minlength=5) / len(quicker) == pytest.approx(chances, abs=0.01)


def test_two_choices_by_passes_and_by_pairs_are_equal(given):
    rng = np.random.default_rng(0)
    many = {"latency_s": rng.integers(1, 9, (3000, 7)).astype(float), "eligible": rng.random((3000, 7)) < 0.7}
    many["eligible"][:, 0] = True
    few = {name: values[:20] for name, values in many.items()}

    passes = ResponseTime().probabilities(given(7, 3000, **many))
    pairs = ResponseTime().probabilities(given(7, 20, **few))

    assert np.array_equal(passes[:20], pairs)


def test_the_wait_is_seen_else_predicted_else_that_of_the_middle(given, live):
    seen = live(4, latency_s=[2.0, np.nan, np.nan, 8.0], in_flight=[1.0, 0.0, 0.0, 0.0])
    case = given(4, view=seen, latency_s=[5.0, 3.0, np.nan, 5.0])

    assert ResponseTime().scores(case).tolist() == [-4.0, -3.0, -3.0, -8.0]
    nothing = given(2, view=live(2), latency_s=[np.nan, np.nan])
    assert ResponseTime().probabilities(nothing).tolist() == [0.5, 0.5]


def test_what_the_choice_rests_on_is_said(given, live):
    said = {
        name: [make(name).explain(given(view=view)) for view in (None, live())]
        for name in ("round_robin", "least_connections", "response_time")
    }

    assert said == {
        "round_robin": [
            ["no live state: every eligible endpoint is as likely as another"],
            ["one of the eligible endpoints that had the fewest turns, by lot; the request is not looked at"],
        ],
        "least_connections": [
            ["no live state: every eligible endpoint is as likely as another"],
            ["fewest calls in flight, with failures charged as calls; the request is not looked at"],
        ],
        "response_time": [
            ["the quicker of two endpoints drawn at random, by predicted latency"],
            ["the quicker of two endpoints drawn at random, by observed latency x (calls in flight + 1)"],
        ],
    }


@pytest.mark.parametrize("name", ["least_connections", "response_time"])
@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan"), "much", None])
def test_headroom_must_be_a_share(name, value):
    with pytest.raises(UsageError, match=f"policy {name}: headroom must be a share from 0 to 1, not {value}"):
        make(name, {"headroom": value})
