import numpy as np
import pytest

from fairlead.scoring import Outcome
from fairlead.scoring.live import Limit, Live, Settings
from fairlead.scoring.live.peers import ALONE, combine
from fairlead.scoring.live.wire import Row, fingerprint, unpack

EVERY = Settings(jitter=0, refresh_s=0)


def _workers(clock, many=3, endpoints=("a", "b"), settings=EVERY):
    return [Live(endpoints, settings, clock) for _ in range(many)]


def _talk(workers):
    told = [unpack(worker.share()) for worker in workers]
    for worker in workers:
        worker.hear(told)


def _fail(live, name):
    for _ in range(5):
        live.end(Outcome(endpoint=name, status="error", duration_s=0.01))


def test_alone_there_is_nothing_to_add():
    assert combine([], np.array([1, 2], np.uint64), EVERY, 0.0) == [ALONE, ALONE]


def test_calls_and_turns_of_all_workers_are_added_up(clock):
    first, second, third = workers = _workers(clock)
    first.begin("a")
    second.begin("a")
    third.begin("b")

    _talk(workers)

    for worker in workers:
        assert (worker.view().in_flight.tolist(), worker.view().turns.tolist()) == ([2, 1], [2, 1])


def test_latency_is_that_of_the_slowest_and_falls_for_all_alike(clock):
    first, second, third = workers = _workers(clock)
    first.end(Outcome(endpoint="a", duration_s=1.0))
    second.end(Outcome(endpoint="a", duration_s=8.0))

    _talk(workers)

    assert [worker.view().latency_s[0] for worker in workers] == [8.0] * 3
    assert np.isnan(third.view().latency_s[1])
    clock.now += 1
    assert [worker.view().latency_s[0] for worker in workers] == pytest.approx([8 * np.exp(-0.1)] * 3)


def test_errors_are_shared_by_calls_not_by_workers(clock):
    first, second, _ = workers = _workers(clock)
    first.end(Outcome(endpoint="a", status="error"))
    for _ in range(3):
        second.end(Outcome(endpoint="a"))

    _talk(workers)

    assert [worker.view().error_share[0] for worker in workers] == [0.25] * 3


def test_all_workers_use_up_one_limit(clock):
    settings = Settings(refresh_s=0, limits={"a": Limit(requests_per_minute=10)})
    first, second, _ = workers = _workers(clock, settings=settings)
    for _ in range(3):
        first.begin("a")
    second.begin("a")
    second.end(Outcome(endpoint="b", headroom=0.2))

    _talk(workers)

    assert [worker.view().headroom.tolist() for worker in workers] == [pytest.approx([0.6, 0.2])] * 3


def test_what_one_worker_ejects_is_out_for_all(clock):
    first, second, third = workers = _workers(clock)
    _fail(first, "a")

    _talk(workers)

    for worker in workers:
        assert (worker.view().available.tolist(), worker.view().returns_in_s.tolist()) == ([False, True], [30, 0])
    clock.now += 30
    _talk(workers)
    second.view()
    second.begin("a", "probe")
    _talk(workers)
    assert [worker.view().available[0] for worker in workers] == [False] * 3  # one probe for all
    second.end(Outcome(endpoint="a", request_id="probe"))
    _talk(workers)
    assert [(worker.view().available[0], worker.view().admitted[0]) for worker in workers] == [(True, 0.1)] * 3
    assert third.view().admitted[1] == 1.0


def test_workers_that_hear_each_other_do_not_prolong_an_ejection(clock):
    first, second, _ = workers = _workers(clock)
    _fail(first, "a")
    for _ in range(300):
        _talk(workers)
        clock.now += 0.1
        second.view()

    _talk(workers)

    assert [worker.view().available[0] for worker in workers] == [True] * 3


def test_a_pause_that_one_worker_was_asked_for_holds_for_all(clock):
    first, second, _ = workers = _workers(clock)
    first.end(Outcome(endpoint="b", status="error", error_class="rate_limit", retry_after_s=1.5))

    _talk(workers)

    assert second.view().available.tolist() == [True, False]
    clock.now += 1.6
    assert second.view().available.tolist() == [True, True]


def test_a_call_may_end_at_another_worker_than_it_began(clock):
    first, second, _ = workers = _workers(clock)
    _talk(workers)  # from here on they know of each other
    first.begin("a", "r-1")
    first.begin("a", "r-2")
    _talk(workers)

    second.end(Outcome(endpoint="a", request_id="r-1", duration_s=1.0))
    _talk(workers)
    first.view()
    _talk(workers)

    assert [worker.view().in_flight.tolist() for worker in workers] == [[1, 0]] * 3


def test_a_worker_that_is_silent_for_two_seconds_no_longer_counts(clock):
    first, second, _ = workers = _workers(clock)
    first.begin("a")
    _talk(workers)
    assert second.view().in_flight.tolist() == [1, 0]

    clock.now += 2

    assert second.view().in_flight.tolist() == [0, 0]


def test_workers_with_different_snapshots_share_what_both_know(clock):
    first, second = Live(["a", "b", "c"], EVERY, clock), Live(["c", "new", "b"], EVERY, clock)
    first.begin("b")
    _fail(first, "c")

    second.hear([unpack(first.share())])

    assert second.view().in_flight.tolist() == [0, 0, 1]
    assert second.view().available.tolist() == [False, True, True]


def test_what_a_worker_hears_of_itself_is_not_counted_twice(clock):
    live = Live(["a"], EVERY, clock)
    live.begin("a")

    live.hear([unpack(live.share())])

    assert live.view().in_flight.tolist() == [1]


def test_a_row_has_a_place_for_each_thing_a_worker_tells(clock):
    live = Live(["a"], EVERY, clock)

    peer = unpack(live.share())

    assert peer.rows.shape == (1, Row.FIELDS)
    assert peer.hashes.tolist() == [fingerprint("a")]
    assert np.array_equal(peer.rows[0], Row.NEW, equal_nan=True)
