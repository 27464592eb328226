import json
import threading
import time

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect


def _later(server, count=3):
    def decide():
        time.sleep(0.3)
        for number in range(count):
            server.post("/v1/decide", {"id": f"r-{number}", "text": "canary-4711", "route": "chat"})

    thread = threading.Thread(target=decide)
    thread.start()
    return thread


def _events(lines, until):
    found = []
    for line in lines:
        if line.startswith("event: "):
            found.append([line.removeprefix("event: ")])
        elif line.startswith("data: "):
            found[-1].append(json.loads(line.removeprefix("data: ")))
            if until(found):
                return found
    return found


def _decided(found):
    return sum(one[0] == "decision" for one in found) == 3 and found[-1][0] == "health"


def test_decisions_and_health_are_told_as_they_come(serving):
    server = serving()
    with server.http.stream("GET", "/v1/stream") as answer:
        thread = _later(server)
        found = _events(answer.iter_lines(), _decided)
        thread.join()

    assert answer.headers["content-type"] == "text/event-stream"
    assert found[0][0] == "health"
    assert [one["endpoint"] for one in found[0][1]["endpoints"]] == ["acme/small", "acme/large", "other/large"]
    decided = [event for kind, event in found if kind == "decision"]
    assert [one["request_id"] for one in decided] == ["r-0", "r-1", "r-2"]
    assert {one["route"] for one in decided} == {"chat"}
    assert "canary" not in str(found)


def test_a_websocket_tells_the_same_and_ends_when_the_server_drains(serving):
    server = serving()
    with connect(f"ws://127.0.0.1:{server.port}/v1/stream", proxy=None) as socket:
        thread = _later(server)
        found = [json.loads(socket.recv(timeout=10)) for _ in range(4)]
        thread.join()
        server.app.drain()
        rest = list(socket)

    kinds = [one["event"] for one in found]
    assert kinds[0] == "health"
    assert kinds.count("decision") >= 2
    assert len(rest) < 5


def test_a_websocket_elsewhere_or_without_a_key_is_refused(serving, house):
    for server, path in ((serving(), "/v1/decide"), (serving(guard=house.guard()), "/v1/stream")):
        with pytest.raises(InvalidStatus), connect(f"ws://127.0.0.1:{server.port}{path}", proxy=None):
            pass


def test_readers_that_have_gone_are_forgotten_and_too_many_are_refused(serving):
    server = serving(watchers=2)
    with server.http.stream("GET", "/v1/stream") as first, server.http.stream("GET", "/v1/stream") as second:
        lines = first.iter_lines(), second.iter_lines()
        assert [next(one) for one in lines] == ["event: health"] * 2
        third = server.http.get("/v1/stream")

    assert third.json()["error"]["code"] == "overloaded"
    until = time.monotonic() + 10
    while server.app.hub._readers:
        assert time.monotonic() < until, "readers were not forgotten"
        time.sleep(0.05)


def test_a_reader_that_does_not_keep_up_misses_events_and_is_told():
    from fairlead.serve.stream import _KEPT, _Reader

    async def run():
        reader = _Reader()
        for number in range(_KEPT + 7):
            reader.tell("decision", {"number": number})
        return reader

    import asyncio

    reader = asyncio.run(run())
    assert (len(reader.events), reader.missed) == (_KEPT, 7)
    assert reader.events[0][1] == {"number": 7}
