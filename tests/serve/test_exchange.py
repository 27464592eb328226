import sys
import threading
import time

import pytest

from fairlead.errors import UsageError
from fairlead.scoring import Outcome
from fairlead.scoring.live import Live, Settings
from fairlead.serve import Exchange, connect

EVERY = Settings(jitter=0, refresh_s=0)
KEY = "fairlead:live:1:test"


def _soon(check, within_s=15.0):
    end = time.monotonic() + within_s
    while not check():
        assert time.monotonic() < end, "it never held"
        time.sleep(0.01)


class Machine:
    """One worker on a machine of its own: its clock has nothing to do with the others'."""

    def __init__(self, url, ahead_s=0.0, **how):
        self.live = Live(["a", "b"], EVERY, clock=lambda: time.monotonic() + ahead_s)
        # A busy test machine may well keep a thread waiting for longer than 20 ms.
        how = {"budget_s": 2.0, "pause_s": 0.2, "interval_s": 0.02} | how
        self.client = connect(url, how["budget_s"])
        self.exchange = Exchange(self.live, self.client, group="test", **how)

    def __enter__(self):
        self.exchange.start()
        return self

    def __exit__(self, *_):
        self.exchange.stop()
        self.client.close()

    def in_flight(self):
        return self.live.view().in_flight.tolist()


@pytest.mark.server
def test_machines_see_each_others_calls_and_ejections_whatever_their_clocks_say(redis):
    with Machine(redis.url) as first, Machine(redis.url, ahead_s=1e6) as second:
        first.live.begin("a", "r-1")
        second.live.begin("b", "r-2")
        _soon(lambda: first.in_flight() == second.in_flight() == [1, 1])

        for _ in range(5):
            first.live.end(Outcome(endpoint="b", status="error", duration_s=0.01))
        _soon(lambda: second.live.view().available.tolist() == [True, False])

        assert second.live.view().returns_in_s[1] == pytest.approx(30, abs=3)
        second.live.end(Outcome(endpoint="a", request_id="r-1"))  # began on the other machine
        _soon(lambda: first.in_flight() == second.in_flight() == [0, 1])


@pytest.mark.server
def test_a_server_that_dies_leaves_the_local_view_and_is_found_again(redis):
    with Machine(redis.url) as first, Machine(redis.url) as second:
        first.live.begin("a", "r-1")
        second.live.begin("b", "r-2")
        _soon(lambda: first.in_flight() == [1, 1])

        redis.kill()
        _soon(lambda: first.in_flight() == [1, 0] and second.in_flight() == [0, 1])
        assert "ConnectionError" in first.exchange.failure

        redis.start()
        _soon(lambda: first.in_flight() == second.in_flight() == [1, 1])
        assert first.exchange.failure is None


@pytest.mark.server
def test_a_server_that_hangs_leaves_the_local_view_and_nobody_waits(redis):
    with Machine(redis.url, budget_s=0.05) as first, Machine(redis.url, budget_s=0.05) as second:
        first.live.begin("a", "r-1")
        second.live.begin("b", "r-2")
        _soon(lambda: first.in_flight() == [1, 1])

        redis.hang()
        began = time.monotonic()
        for number in range(500):
            first.live.view()
            first.live.begin("a", f"s-{number}")
            first.live.end(Outcome(endpoint="a", request_id=f"s-{number}"))
        # redis-py by itself would have waited for a minute; each of these takes microseconds.
        assert time.monotonic() - began < 5
        _soon(lambda: first.in_flight() == [1, 0])
        assert "Timeout" in first.exchange.failure

        redis.go_on()
        _soon(lambda: first.in_flight() == second.in_flight() == [1, 1])


@pytest.mark.server
@pytest.mark.parametrize(
    "write",
    [
        lambda client: client.set(KEY, "not a hash"),
        lambda client: client.hset(KEY, "stranger", b"garbage"),
        lambda client: client.hset(KEY, mapping={"stranger": "9" * 40 + ":x", "x" * 100: "1:x", "": ":"}),
        lambda client: client.hset(KEY, "stranger", b"x" * 1_000_000),
        lambda client: client.hset(KEY, mapping={str(number): "x" for number in range(2000)}),
    ],
    ids=["another type", "no moment", "odd moments", "a huge field", "thousands of fields"],
)
def test_garbage_under_our_key_is_removed(redis, write):
    with Machine(redis.url) as first, Machine(redis.url) as second:
        first.live.begin("a", "r-1")
        _soon(lambda: second.in_flight() == [1, 0])

        write(second.client)

        expected = {f"{one.live.node:x}".encode() for one in (first, second)}
        _soon(lambda: second.client.type(KEY) == b"hash" and set(second.client.hkeys(KEY)) == expected)
        _soon(lambda: second.in_flight() == [1, 0] and second.exchange.failure is None)


@pytest.mark.server
def test_a_message_that_no_worker_wrote_is_refused_and_counted(redis):
    first = Machine(redis.url)
    first.live.begin("a")
    seconds, _ = first.client.time()
    first.client.hset(KEY, "stranger", f"{seconds * 1000}:FLV1 and then garbage")

    assert first.exchange.step()

    assert (first.exchange.refused, first.in_flight()) == (1, [1, 0])
    first.client.close()


@pytest.mark.server
def test_a_worker_that_stops_is_forgotten(redis):
    with Machine(redis.url) as first:
        with Machine(redis.url) as second:
            second.live.begin("b")
            _soon(lambda: first.in_flight() == [0, 1])

        _soon(lambda: first.in_flight() == [0, 0])
        assert 0 < first.client.pttl(KEY) <= 10_000


@pytest.mark.server
def test_groups_do_not_hear_each_other(redis):
    first, other = Machine(redis.url), Machine(redis.url)
    other.exchange = Exchange(other.live, other.client, group="other", budget_s=2.0)
    first.live.begin("a")

    assert (first.exchange.step(), other.exchange.step()) == (True, True)

    assert other.in_flight() == [0, 0]
    first.client.close()
    other.client.close()


class Slow:
    """A client whose server takes its time."""

    def __init__(self, seconds, reply=()):
        self.seconds, self.reply, self.now = seconds, reply, 0.0

    def eval(self, *_):
        self.now += self.seconds
        return self.reply


@pytest.mark.parametrize(("seconds", "expected"), [(0.019, True), (0.021, False)])
def test_an_exchange_has_twenty_milliseconds(seconds, expected):
    client = Slow(seconds)
    exchange = Exchange(Live(["a"]), client)

    assert exchange.step(clock=lambda: client.now) is expected
    assert exchange.failure == (None if expected else "TimeoutError: took 21 ms of 20")


@pytest.mark.parametrize("reply", [None, 7, [1], [[b"x", b"y"]], [[1, None]], [[float("nan"), b"FLV1"]]])
def test_an_answer_that_makes_no_sense_leaves_the_local_view(reply):
    live = Live(["a"], EVERY)
    live.begin("a")
    client = Slow(0.0, reply)
    exchange = Exchange(live, client)

    exchange.step()

    assert live.view().in_flight.tolist() == [1]


def test_a_thread_goes_on_whatever_the_client_raises():
    class Broken:
        calls = 0

        def eval(self, *_):
            self.calls += 1
            raise MemoryError("no idea")

    client = Broken()
    exchange = Exchange(Live(["a"]), client, pause_s=0.001).start()
    _soon(lambda: client.calls > 3)

    exchange.stop()

    assert exchange.failure == "MemoryError: no idea"
    assert "fairlead-exchange" not in [thread.name for thread in threading.enumerate()]


def test_an_address_that_is_none_is_refused():
    with pytest.raises(UsageError, match="the address of Redis"):
        connect("localhost:6379")


def test_without_the_extra_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "redis", None)

    with pytest.raises(UsageError, match=r"pip install 'fairlead\[redis\]'"):
        connect("redis://localhost")
