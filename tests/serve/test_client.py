import asyncio

import pytest

from fairlead.errors import UnavailableError
from fairlead.scoring import Outcome, Request, Router
from fairlead.serve import AsyncClient, Client, InProcess
from fairlead.serve.bodies import Opinion

REQUESTS = [
    Request(id="r-1", text="Hello", route="chat", tags={"a": 1, "b": None}, needs=()),
    Request(id="r-2", embedding=(0.5, 1.0), max_tokens=10, tools=1),
    Request(id="r-3", endpoints=("acme/large",)),
    Request(id="r-4", endpoints=()),
]


def _same(answer):
    return (answer.id, answer.request_id, answer.endpoint, answer.propensity, answer.kind, answer.policy_version)


def test_a_server_and_a_router_in_process_answer_the_same(serving, published):
    server = serving()
    own = InProcess(Router(published, seed=7, last_resort="acme/large"))

    async def ask():
        async with AsyncClient(server.url) as client:
            await client.observe(Outcome(endpoint="acme/large", duration_s=1.0))
            return [await client.decide(one) for one in REQUESTS], await client.decide_many(REQUESTS)

    with Client(server.url) as client:
        single, many = [client.decide(one) for one in REQUESTS], client.decide_many(REQUESTS * 100)
        client.observe(Outcome(endpoint="acme/small", duration_s=1.0))
        names = [one.endpoint for one in client.endpoints().endpoints]
        version = client.snapshot().version

    expected = [_same(one) for one in own.decide_many(REQUESTS)]
    assert [_same(one) for one in single] == expected
    assert [_same(one) for one in many] == expected * 100
    assert [[_same(one) for one in some] for some in asyncio.run(ask())] == [expected] * 2
    assert (names, version) == ([one.endpoint for one in own.endpoints().endpoints], own.snapshot().version)
    assert [one.endpoint for one in single] == [expected[0][2], expected[1][2], "acme/large", None]


def test_where_nobody_answers_the_default_is_taken_or_it_says_so():
    with Client("http://127.0.0.1:9", default="acme/small") as client:
        alone, many = client.decide(Request(id="r-1")), client.decide_many([Request(id="r-2")] * 3)

    assert (alone.endpoint, alone.kind, alone.request_id) == ("acme/small", "last_resort", "r-1")
    assert [one.endpoint for one in many] == ["acme/small"] * 3
    assert "no answer" in alone.reasons[0]
    with (
        Client("http://127.0.0.1:9") as client,
        pytest.raises(UnavailableError, match="see that `fairlead serve` runs"),
    ):
        client.decide(Request())


def test_a_server_that_sheds_is_as_good_as_none(serving, monkeypatch):
    server = serving()
    monkeypatch.setattr(type(server.app.gather), "has_room", False)

    with Client(server.url, default="acme/small") as client:
        assert client.decide(Request()).endpoint == "acme/small"
    with Client(server.url) as client, pytest.raises(UnavailableError, match=r"503 \(overloaded\)"):
        client.decide(Request())


def test_a_client_sends_its_key_and_keeps_feedback(serving, house, tmp_path):
    _, key = house.new("g", "gateway")
    server = serving(guard=house.guard(), spool=tmp_path / "spool")

    with Client(server.url, key=key) as client:
        assert client.decide(Request()).kind == "policy"
        assert len(client.feedback(Opinion(target_id="r-1", score=True))) == 32
    with Client(server.url) as client, pytest.raises(UnavailableError, match="401"):
        client.decide(Request())
