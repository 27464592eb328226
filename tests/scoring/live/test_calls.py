from fairlead.scoring.live.calls import Call, Calls


def test_a_call_is_in_flight_from_its_begin_to_its_end():
    calls = Calls(call_max_s=600, calls_max=10)
    calls.begin("r-1", Call(begun_at=1.0, tokens=7))

    assert len(calls) == 1
    assert calls.end("r-1") == Call(begun_at=1.0, tokens=7)
    assert (len(calls), calls.end("r-1")) == (0, None)


def test_a_request_that_begins_again_is_the_same_call():
    calls = Calls(call_max_s=600, calls_max=10)
    calls.begin("r-1", Call(begun_at=1.0))
    calls.begin("r-1", Call(begun_at=2.0))

    assert len(calls) == 1
    assert calls.end("r-1").begun_at == 2.0


def test_calls_without_an_id_end_in_the_order_they_began():
    calls = Calls(call_max_s=600, calls_max=10)
    for moment in (1.0, 2.0):
        calls.begin(None, Call(begun_at=moment))
    calls.begin("r-1", Call(begun_at=0.5))

    assert [calls.end(None).begun_at for _ in range(2)] == [1.0, 2.0]
    assert calls.end(None) is None
    assert len(calls) == 1


def test_a_call_that_never_ends_is_dropped_when_it_is_too_old():
    calls = Calls(call_max_s=600, calls_max=10)
    calls.begin(None, Call(begun_at=0.0))
    calls.begin("r-1", Call(begun_at=1.0))
    calls.begin("r-2", Call(begun_at=600.0))

    assert (calls.drop(now=600.0), calls.drop(now=602.0), len(calls)) == (0, 2, 1)
    assert calls.end(None) is None


def test_there_are_never_more_than_the_most():
    calls = Calls(call_max_s=600, calls_max=3)

    for number in range(100):
        calls.begin(None if number % 2 else str(number), Call(begun_at=float(number)))

    assert len(calls) == 3
    assert [calls.end(None).begun_at, calls.end("98").begun_at, calls.end(None).begun_at] == [97.0, 98.0, 99.0]


def test_another_worker_may_say_which_calls_ended():
    calls = Calls(call_max_s=600, calls_max=10)
    calls.begin("r-1", Call(begun_at=0.0, mark=5))
    calls.begin(None, Call(begun_at=1.0, mark=6))
    calls.begin("r-3", Call(begun_at=2.0, mark=7))

    ended = calls.end_marked({5, 6, 99})

    assert [call.begun_at for call in ended] == [0.0, 1.0]
    assert (len(calls), calls.end(None)) == (1, None)
