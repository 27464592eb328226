from fairlead.scoring import Request, Router
from fairlead.serve.service import Service


def test_a_shadow_answers_what_the_gateway_chose_and_counts_that(serving):
    server = serving(shadow=True)

    told = [
        server.post("/v1/decide", {"id": f"r-{number}", "chosen": "other/large" if number % 2 else None}).json()
        for number in range(20)
    ]

    assert [one["endpoint"] for one in told] == [None, "other/large"] * 10
    assert {one["would"] for one in told} == {"acme/small", "acme/large"}
    states = {one["endpoint"]: one["in_flight"] for one in server.http.get("/v1/endpoints").json()["endpoints"]}
    assert states == {"acme/small": 0, "acme/large": 0, "other/large": 10}
    result = server.http.get("/v1/shadow").json()
    assert (result["decided"], result["compared"], result["agreed"]) == (20, 10, 0)
    assert sum(count for _, _, count in result["pairs"]) == 10
    assert 'fairlead_shadow_total{agreed="no"} 10' in server.http.get("/metrics").text
    assert server.http.get("/v1/snapshot").json()["shadow"] is True


def test_a_shadow_decides_what_the_server_would_have(published):
    live, hidden = Service(Router(published, seed=7)), Service(Router(published, seed=7), shadow=True)
    asked = [Request(id=f"r-{number}") for number in range(30)]

    own, would = live.decide(asked), hidden.decide(asked)

    assert [(one.id, one.endpoint, one.propensity) for one in own] == [
        (one.id, one.would, one.propensity) for one in would
    ]


def test_both_sides_are_added_up_over_the_same_requests():
    import numpy as np

    from fairlead.serve.bodies import Ask
    from fairlead.serve.shadow import Shadow, Side

    class Seen:
        endpoints = ("a", "b")
        cost_usd, quality, latency_s = np.array([[1.0, 3.0]]), np.array([[0.5, 0.75]]), np.array([[2.0, 4.0]])

    class Unknown(Seen):
        quality = np.array([[np.nan, 0.75]])

    class Chosen:
        def __init__(self, endpoint, candidates=Seen):
            self.endpoint, self.candidates = endpoint, candidates

    shadow = Shadow()
    asked = [Ask(chosen=name) for name in ("a", "b", "b", "elsewhere", None)]
    shadow.compare(asked, [Chosen("b"), Chosen("b"), Chosen("a", Unknown), Chosen("a"), Chosen(None)])

    result = shadow.result()

    assert (result.decided, result.compared, result.agreed, result.agreement_share) == (5, 4, 1, 0.25)
    assert result.gateway == Side(cost_usd=4.0, quality=0.625, latency_s=3.0)
    assert result.fairlead == Side(cost_usd=6.0, quality=0.75, latency_s=4.0)
