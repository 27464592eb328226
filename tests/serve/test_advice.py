import asyncio
import time

import pytest

from fairlead.errors import UsageError
from fairlead.scoring import Outcome, Router
from fairlead.scoring.builtin import builtin
from fairlead.serve.advice import Advice, ask_of
from fairlead.serve.bodies import Ask


def _run(call):
    return asyncio.run(call())


def test_a_server_and_a_router_here_give_the_same_decision(serving, published):
    server = serving(Router(published, seed=0))
    ask = Ask(id="r-1", text="Is 7 prime?", want=("metadata",))

    async def both():
        there = Advice(url=server.url, timeout_ms=5000)
        answers = [await one.decide(ask) for one in (there, Advice(snapshot=str(published)))]
        await there.observe(Outcome(endpoint="acme/small", request_id="r-1", duration_s=0.5))
        await there.close()
        return [(one.id, one.endpoint, one.propensity, one.metadata) for one in answers]

    there, here = _run(both)
    assert there == here
    assert next(one.latency_s for one in server.service.endpoints().endpoints) == 0.5


@pytest.mark.parametrize("endpoints", [("nobody/knows",), ()])
def test_a_last_resort_is_no_decision(serving, endpoints):
    server = serving()  # which names acme/large as its last resort

    async def ask():
        advice = Advice(url=server.url, timeout_ms=5000)
        answer = await advice.decide(Ask(endpoints=endpoints))
        await advice.close()
        return answer

    assert _run(ask) is None


def test_calls_that_fail_together_count_once_and_three_in_a_row_are_followed_by_a_rest(upstream, caplog):
    upstream.answers = [(503, {}, [b"{}"])] * 30

    async def ask():
        advice = Advice(url=upstream.url, timeout_ms=2000)
        first = await asyncio.gather(*(advice.decide(Ask()) for _ in range(4)))
        asked = len(upstream.asked)
        second = [await advice.decide(Ask()) for _ in range(6)]
        await advice.observe(Outcome(endpoint="acme/small"))
        rested = len(upstream.asked)
        await asyncio.sleep(0.3)
        third = await advice.decide(Ask())
        await advice.close()
        return [*first, *second, third], asked, rested, len(upstream.asked)

    answers, together, rested, at_last = _run(ask)
    assert answers == [None] * 11
    assert (together, rested, at_last) == (4, 6, 7)
    assert [record.message for record in caplog.records if record.name == "fairlead"] == [
        f"no decision ({upstream.url}/v1/decide: answered 503 (no reason given)); the gateway chooses alone"
    ]


def test_an_answer_that_came_while_this_loop_was_held_up_is_taken(serving):
    server = serving()

    async def ask():
        advice = Advice(url=server.url, timeout_ms=300)
        await advice.decide(Ask())
        asked = asyncio.ensure_future(advice.decide(Ask(id="r-2")))
        for _ in range(4):  # until it was sent
            await asyncio.sleep(0)
        await asyncio.sleep(0.001)
        time.sleep(0.5)  # somebody else's work
        answer = await asked
        await advice.close()
        return answer

    assert _run(ask).request_id == "r-2"


def test_several_event_loops_may_ask_one_after_the_other(serving):
    server = serving()
    advice = Advice(url=server.url, timeout_ms=5000)

    async def ask():
        answer = await advice.decide(Ask())
        await advice.close()
        return answer.kind

    assert [_run(ask), _run(ask)] == ["policy", "policy"]


def test_what_a_body_does_not_say_is_left_open():
    assert ask_of({}, id="r").text == ""
    assert ask_of({"input": "embed me"}, id="r").text == "embed me"
    assert ask_of({"messages": "?", "tools": 3, "max_tokens": True}, id="r", route="", team=None).max_tokens is None
    assert ask_of({"messages": [1, {"role": "user", "content": None}]}, id="r").turn == 1
    assert len(ask_of({"prompt": "x" * 600_000}, id="r", route="y" * 300).text) == 500_000


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({}, "set FAIRLEAD_URL"),
        ({"FAIRLEAD_URL": "http://x", "FAIRLEAD_SNAPSHOT": "y"}, "and not both"),
        ({"FAIRLEAD_URL": "http://x", "FAIRLEAD_TIMEOUT_MS": "soon"}, "FAIRLEAD_TIMEOUT_MS is 'soon'"),
        ({"FAIRLEAD_URL": "http://x", "FAIRLEAD_TIMEOUT_MS": "0"}, "FAIRLEAD_TIMEOUT_MS is 0"),
    ],
)
def test_settings_that_are_off_are_named(settings, fault):
    with pytest.raises(UsageError, match=fault):
        Advice.from_environment(settings)


def test_a_router_that_is_given_is_used_as_it_is():
    router = Router(builtin(["a", "b"]))

    answer = _run(lambda: Advice(snapshot=router).decide(Ask()))

    assert answer.endpoint == "a"
