import os
import threading
import time

import numpy as np
import pytest

from fairlead.scoring import Outcome, View
from fairlead.scoring.live import Limit, Live, Settings, available

EVERY = Settings(jitter=0, refresh_s=0)


def _fail(live, name, times=5):
    for _ in range(times):
        live.begin(name)
        live.end(Outcome(endpoint=name, status="error", error_class="server", duration_s=0.01))


def _fields(view):
    return {name: np.asarray(getattr(view, name)).tolist() for name in View.__struct_fields__}


def test_at_first_nothing_is_known(clock):
    assert str(_fields(Live(["a", "b"], clock=clock).view())) == str(_fields(View.unknown(2)))


def test_a_call_shows_at_once_and_is_gone_when_it_ends(clock):
    live = Live(["a", "b"], clock=clock)

    live.begin(1, "r-1")
    assert live.view().in_flight.tolist() == [0, 1]

    clock.now += 3
    live.end(Outcome(endpoint="b", request_id="r-1"))
    view = live.view()
    assert (view.in_flight.tolist(), view.turns.tolist()) == ([0, 0], [0, 1])
    assert view.latency_s.tolist() == pytest.approx([np.nan, 3.0], nan_ok=True)


def test_what_the_gateway_measured_counts_before_our_own_clock(clock):
    live = Live(["a"], clock=clock)
    live.begin(0, "r-1")
    clock.now += 9

    live.end(Outcome(endpoint="a", request_id="r-1", duration_s=2.0))

    assert live.view().latency_s.tolist() == [2.0]


def test_a_quick_failure_looks_like_a_time_out(clock):
    live = Live(["a", "b"], EVERY, clock)
    live.begin(1)

    live.end(Outcome(endpoint="b", status="error", error_class="server", duration_s=0.01))

    assert live.view().latency_s[1] == 30.0
    assert live.view().error_share.tolist() == [0, 1]


def test_the_share_of_errors_forgets(clock):
    live = Live(["a"], Settings(refresh_s=0, eject=False), clock)
    _fail(live, "a", 10)
    clock.now += 10
    for _ in range(10):
        live.end(Outcome(endpoint="a"))

    assert live.view().error_share[0] == pytest.approx(np.exp(-1) / (1 + np.exp(-1)))


def test_an_endpoint_that_fails_is_out_and_comes_back_through_a_probe(clock):
    live = Live(["a", "b"], EVERY, clock)

    _fail(live, "a")
    assert (live.view().available.tolist(), live.view().returns_in_s.tolist()) == ([False, True], [30, 0])

    clock.now += 30
    assert live.view().available.tolist() == [True, True]
    live.begin("a", "probe")
    assert live.view().available.tolist() == [False, True]
    live.end(Outcome(endpoint="a", request_id="probe"))
    assert (live.view().available.tolist(), live.view().admitted.tolist()) == ([True, True], [0.1, 1.0])
    clock.now += 45
    assert live.view().admitted.tolist() == [1.0, 1.0]


def test_where_all_have_failed_the_first_to_come_back_is_still_used(clock):
    live = Live(["a", "b"], EVERY, clock)
    _fail(live, "b")
    clock.now += 10
    _fail(live, "a")

    usable, forced = available(np.array([True, True]), live.view())

    assert (usable.tolist(), bool(forced)) == ([False, True], True)


def test_a_429_is_a_pause_and_no_error(clock):
    live = Live(["a"], EVERY, clock)
    live.begin(0, "r-1")

    live.end(Outcome(endpoint="a", request_id="r-1", status="error", error_class="rate_limit", retry_after_s=20))

    view = live.view()
    assert (view.available.tolist(), view.error_share.tolist(), view.headroom.tolist()) == ([False], [0], [0])
    assert view.returns_in_s.tolist() == [20]
    clock.now += 20
    assert live.view().available.tolist() == [True]


def test_headroom_is_what_headers_say_and_what_we_count(clock):
    limits = {"b": Limit(requests_per_minute=10, tokens_per_minute=10_000)}
    live = Live(["a", "b"], Settings(limits=limits, refresh_s=0), clock)
    live.end(Outcome(endpoint="a", headroom=0.4))
    live.begin("b", "r-1", tokens=2500)
    assert live.view().headroom.tolist() == [0.4, 0.75]

    live.end(Outcome(endpoint="b", request_id="r-1", input_tokens=4000, output_tokens=1000))

    assert live.view().headroom.tolist() == [0.4, 0.5]
    clock.now += 3600
    assert live.view().headroom.tolist() == pytest.approx([1, 1])


def test_the_same_outcome_again_with_its_quality_changes_nothing(clock):
    live = Live(["a"], EVERY, clock)
    live.begin(0, "r-1")
    live.end(Outcome(endpoint="a", request_id="r-1", duration_s=1.0))
    before = _fields(live.view())

    live.end(Outcome(endpoint="a", request_id="r-1", duration_s=99.0, quality=0.3))

    assert _fields(live.view()) == before


def test_a_call_that_never_ends_is_dropped(clock):
    live = Live(["a"], EVERY, clock)
    live.begin(0, "lost")

    clock.now += 601

    assert live.view().in_flight.tolist() == [0]


def test_a_view_never_changes_afterwards(clock):
    live = Live(["a", "b"], EVERY, clock)
    view = live.view()
    before = str(_fields(view))

    live.begin(0, "r-1")
    _fail(live, "b")
    clock.now += 100
    live.view()

    assert str(_fields(view)) == before
    with pytest.raises(ValueError, match="read-only"):
        view.in_flight[0] = 7


def test_what_is_unheard_of_is_passed_over(clock):
    live = Live(["a"], EVERY, clock)

    live.begin("unheard of")
    live.begin(7)
    live.begin(-1)
    live.end(Outcome(endpoint="unheard of"))

    assert str(_fields(live.view())) == str(_fields(View.unknown(1)))


def test_another_snapshot_keeps_the_state_of_what_stays(clock):
    live = Live(["a", "b", "c"], EVERY, clock)
    live.begin("b", "r-1")
    _fail(live, "c")
    for _ in range(4):
        live.begin("a")

    live.resize(["new", "c", "b"])

    view = live.view()
    assert live.endpoints == ("new", "c", "b")
    assert (view.in_flight.tolist(), view.available.tolist()) == ([0, 0, 1], [True, False, True])
    assert view.turns.tolist() == [1, 5, 1]  # the new one starts level, so that nobody sends it everything
    live.end(Outcome(endpoint="b", request_id="r-1"))
    live.end(Outcome(endpoint="a"))
    assert live.view().in_flight.tolist() == [0, 0, 0]


def test_a_view_can_be_had_in_the_order_of_another_snapshot(clock):
    live = Live(["a", "b"], clock=clock)
    live.begin("b", "r-1")

    view = live.view(("b", "new", "a"))

    assert (view.in_flight.tolist(), view.available.tolist()) == ([1, 0, 0], [True] * 3)
    assert live.view(("a", "b")) is live.view()


def test_without_endpoints_there_is_an_empty_view(clock):
    live = Live([], clock=clock)

    assert live.view().in_flight.tolist() == []


def test_an_endpoint_that_comes_back_is_not_sent_the_turns_it_missed(clock):
    live = Live(["a", "b", "c"], EVERY, clock)
    _fail(live, "a")
    for _ in range(50):
        live.begin("b")
        live.begin("c")

    clock.now += 30

    assert live.view().turns.tolist() == [50, 50, 50]
    live.begin("a", "probe")
    live.end(Outcome(endpoint="a", request_id="probe"))
    for _ in range(50):
        live.begin("b")
        live.begin("c")
    clock.now += 20  # half-way through its slow start
    assert live.view().turns.tolist() == [100, 100, 100]
    clock.now += 60  # and after it
    assert live.view().turns.tolist() == [100, 100, 100]


def test_a_conversation_is_warm_where_its_last_turn_succeeded(clock):
    live = Live(["a", "b"], clock=clock)
    live.begin("b", "r-1", tokens=900, conversation="c-1")
    assert live.incumbent("c-1") == -1

    live.end(Outcome(endpoint="b", request_id="r-1", input_tokens=1000))
    live.begin("a", "r-2", tokens=900, conversation="c-1")
    live.end(Outcome(endpoint="a", request_id="r-2", status="error", error_class="server"))

    assert (live.incumbent("c-1"), live.warm("c-1").tolist()) == (1, [0, 1000])


def test_decay_is_at_most_twenty_milliseconds_old(clock):
    live = Live(["a"], clock=clock)
    live.end(Outcome(endpoint="a", duration_s=8.0))
    live.view()
    first = live.view()
    clock.now += 0.019
    assert live.view() is first

    clock.now += 0.002

    assert live.view().latency_s[0] == pytest.approx(8 * np.exp(-0.0021), rel=1e-4)


def test_several_threads_leave_nothing_in_flight():
    live, faults, stop = Live(["a", "b", "c"]), [], threading.Event()

    def work(number):
        try:
            for turn in range(400):
                live.begin(turn % 3, f"{number}-{turn}")
                view = live.view()
                assert len(view.in_flight) == len(view.available) == 3
                assert (view.in_flight >= 0).all()
                live.end(Outcome(endpoint="abc"[turn % 3], request_id=f"{number}-{turn}", duration_s=0.1))
        except Exception as fault:
            faults.append(fault)

    def swap():
        while not stop.is_set():
            live.resize(["a", "b", "c"])
            time.sleep(0.001)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    swapper = threading.Thread(target=swap)
    for thread in [*threads, swapper]:
        thread.start()
    for thread in threads:
        thread.join()
    stop.set()
    swapper.join()

    assert faults == []
    assert (live.view().in_flight.tolist(), live.view().turns.sum()) == ([0, 0, 0], 1600)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_starts_without_its_parents_calls():
    live = Live(["a"])
    live.begin(0, "the parent's")

    child = os.fork()
    if child == 0:
        live.begin(0, "the child's")
        os._exit(int(live.view().in_flight[0] != 1))
    _, status = os.waitpid(child, 0)

    assert (status, live.view().in_flight.tolist()) == (0, [1])
