import asyncio
import socket
import threading
import time

import pytest

from fairlead.scoring import Request
from fairlead.serve.gather import Gather
from fairlead.serve.refusals import RefusedError
from fairlead.serve.settings import Limits


class Slow:
    """Decides after so many seconds, and remembers what came together."""

    def __init__(self, one_s=0.0):
        self.one_s, self.together = one_s, []

    def __call__(self, requests):
        time.sleep(self.one_s * len(requests))
        self.together.append(len(requests))
        return [request.id for request in requests]


def _all(gather, count):
    async def run():
        return await asyncio.gather(*(gather.ask(Request(id=str(n))) for n in range(count)), return_exceptions=True)

    return asyncio.run(run())


def test_requests_of_one_turn_are_decided_together_and_each_gets_its_own():
    decide = Slow()

    answers = _all(Gather(decide, Limits(together=16)), 40)

    assert answers == [str(number) for number in range(40)]
    assert decide.together == [16, 16, 8]


def test_one_request_waits_for_no_other():
    decide = Slow()

    assert _all(Gather(decide, Limits()), 1) == ["0"]
    assert decide.together == [1]


def test_what_cannot_be_answered_in_time_is_refused_at_once():
    gather = Gather(Slow(0.001), Limits(wait_s=0.02, together=8))
    for _ in range(20):  # learns how long a decision takes
        _all(gather, 16)

    began = time.perf_counter()
    answers = _all(gather, 500)
    took_s = time.perf_counter() - began

    refused = [one for one in answers if isinstance(one, RefusedError)]
    assert {one.code for one in refused} == {"overloaded"}
    assert 400 < len(refused) < 500
    assert took_s < 0.4  # of the half second that deciding all of them would have taken
    assert _all(gather, 1) == ["0"]


def test_a_sender_that_has_gone_is_passed_over():
    async def run():
        gather = Gather(Slow(), Limits())
        first, second = (asyncio.ensure_future(gather.ask(Request(id=name))) for name in ("a", "b"))
        await asyncio.sleep(0)
        first.cancel()
        return await second

    assert asyncio.run(run()) == "b"


def test_a_fault_in_deciding_leaves_nobody_waiting():
    answers = _all(Gather(lambda requests: 1 / 0, Limits()), 3)

    assert [one.code for one in answers] == ["overloaded"] * 3


@pytest.mark.server
def test_a_server_sheds_what_it_cannot_answer_and_serves_the_rest(serving):
    server = serving(wait_s=0.05, together=4)
    decide = server.service.decide

    def slowly(requests):
        time.sleep(0.002 * len(requests))
        return decide(requests)

    server.app.gather._decide = slowly
    body = b"POST /v1/decide HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
    got = []
    threads = [threading.Thread(target=lambda: got.append(server.raw(body * 5, silent_s=3.0))) for _ in range(60)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()

    answered = b"".join(got)
    assert answered.count(b"HTTP/1.1 200 ") + answered.count(b"HTTP/1.1 503 ") == 300
    assert answered.count(b"HTTP/1.1 503 ") == answered.count(b"retry-after: 1") == answered.count(b'"overloaded"') > 0
    assert answered.count(b"HTTP/1.1 200 ") > 0
    assert server.post("/v1/decide", {}).status_code == 200


@pytest.mark.server
def test_more_connections_than_are_allowed_are_refused_and_those_there_go_on(serving):
    server = serving(connections=3)
    body = b"POST /v1/decide HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
    held = [socket.create_connection(("127.0.0.1", server.port), timeout=5) for _ in range(3)]
    for one in held:
        one.sendall(body)
        assert one.recv(4096).startswith(b"HTTP/1.1 200")

    for sent in (body, b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"):
        refused = server.raw(sent)
        assert refused.startswith(b"HTTP/1.1 503 ")
        assert b'"overloaded"' in refused
        assert b"connection: close" in refused

    held[0].sendall(body)
    assert held[0].recv(4096).startswith(b"HTTP/1.1 200")
    for one in held:
        one.close()
