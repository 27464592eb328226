import msgspec
import numpy as np
import pytest

from fairlead.scoring import Outcome, Request, Router, Weighted
from fairlead.scoring.live import Live, Settings
from fairlead.scoring.policies import Adaptive, Intelligent, LeastConnections, ResponseTime, RoundRobin

POLICIES = {
    "intelligent": lambda: Intelligent(usd_price=3, temperature=0.1, exploration=0.2, sticky=0.3),
    "adaptive": lambda: Adaptive(usd_price=3),
    "weighted": lambda: Weighted({"cheap": 3, "dear": 1}),
    "least_connections": LeastConnections,
    "round_robin": RoundRobin,
    "response_time": ResponseTime,
}


def _requests(count):
    routes = ("maths", "chat", None)
    return [
        Request(
            id=f"r-{number}",
            text="What is 2 + 2? " * (number % 5),
            route=routes[number % 3],
            conversation=f"c-{number % 4}" if number % 2 else None,
            endpoints=("unheard of",) if number % 11 == 10 else None,
        )
        for number in range(count)
    ]


def _router(snapshot, policy, **settings):
    router = Router(snapshot, policy(), live=Live(snapshot.endpoints, Settings(**settings), clock=lambda: 5.0))
    router.live.end(Outcome(endpoint="dear", request_id="before", duration_s=1.0, input_tokens=900))
    router.live.warmth.note("c-1", "dear", 5000)
    return router


def _told(decision):
    said = msgspec.to_builtins(decision.detail())
    del said["decided_us"]
    return said, decision.chances, decision.metadata()


@pytest.mark.parametrize("engine", ["numba", "numpy"])
@pytest.mark.parametrize("policy", POLICIES)
def test_requests_decided_together_get_the_decisions_they_get_one_by_one(snapshot, policy, engine, monkeypatch):
    monkeypatch.setenv("FAIRLEAD_ENGINE", engine)
    single, together = _router(snapshot, POLICIES[policy]), _router(snapshot, POLICIES[policy])

    alone = [single.decide(request) for request in _requests(40)]
    at_once = together.decide_many(_requests(40))

    assert [_told(one) for one in at_once] == [_told(one) for one in alone]
    assert together.live.view().in_flight.tolist() == single.live.view().in_flight.tolist()
    assert together.live.view().turns.tolist() == single.live.view().turns.tolist()


def test_a_limit_that_decisions_use_up_is_counted_between_them(snapshot):
    from fairlead.scoring.live.settings import Limit

    settings = {"limits": {"dear": Limit(requests_per_minute=20)}}
    policy = lambda: Intelligent(usd_price=0, headroom=0.5)  # noqa: E731
    single, together = _router(snapshot, policy, **settings), _router(snapshot, policy, **settings)

    alone = [single.decide(request) for request in _requests(40)]
    at_once = together.decide_many(_requests(40))

    assert [_told(one) for one in at_once] == [_told(one) for one in alone]
    assert {one.endpoint for one in at_once} == {"cheap", "dear", None}


def test_one_request_that_cannot_be_decided_leaves_the_others_theirs(snapshot):
    requests = [Request(id="r-1", route="maths"), Request(id="r-2", text=3), Request(id="r-3", route="maths")]

    decisions = Router(snapshot, last_resort="cheap").decide_many(requests)

    assert [one.kind for one in decisions] == ["policy", "last_resort", "policy"]
    assert [one.endpoint for one in decisions] == ["dear", "cheap", "dear"]


def test_a_decision_that_is_not_counted_leaves_no_call_in_flight(snapshot):
    router = Router(snapshot)

    router.decide_many(_requests(5), counted=False)
    router.decide_many(_requests(1), counted=False)

    assert router.live.view().in_flight.tolist() == [0, 0]


def test_predictions_for_many_are_those_for_each_to_the_bit(snapshot):
    from fairlead.scoring import Predictor

    for kind in ("numba", "numpy"):
        predictor = Predictor(snapshot, kind=kind)

        many = predictor.predict_many(_requests(7))

        assert np.array_equal(many, np.stack([predictor.predict(one) for one in _requests(7)], axis=1), equal_nan=True)
