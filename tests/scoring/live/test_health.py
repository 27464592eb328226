import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.scoring.live import Settings
from fairlead.scoring.live.health import Health, Verdict

EXACT = Settings(jitter=0)


def _failed(health, now, times=1):
    for _ in range(times):
        health.ended("failure", begun_at=now, now=now)


def _ejected(now=1000.0, settings=EXACT):
    health = Health("a", settings)
    _failed(health, now, times=5)
    return health


def _returned(now=1000.0):
    health = _ejected(now)
    health.begun(now + 30)
    health.ended("success", begun_at=now + 30, now=now + 31)
    return health


def test_five_errors_in_a_row_eject_for_half_a_minute():
    health = Health("a", EXACT)
    _failed(health, 1000.0, times=4)
    assert health.available(1000.0)

    _failed(health, 1000.0)

    assert [health.available(at) for at in (1000.0, 1029.9, 1030.0)] == [False, False, True]
    assert health.returns_at() == 1030.0


def test_one_success_breaks_the_row():
    health = Health("a", Settings(jitter=0, success_share=0))
    for _ in range(20):
        _failed(health, 1000.0, times=4)
        health.ended("success", 1000.0, 1000.0)

    assert health.available(1000.0)


def test_too_few_successes_eject_but_not_among_a_handful_of_calls():
    health = Health("a", EXACT)
    for failed in (True, False, True, False):
        health.ended("failure" if failed else "success", 1000.0, 1000.0)
    assert health.available(1000.0)

    _failed(health, 1000.0)

    assert not health.available(1000.0)


def test_eighty_per_cent_of_successes_are_enough():
    health = Health("a", EXACT)
    for number in range(100):
        health.ended("failure" if number % 5 == 4 else "success", 1000.0, 1000.0 + number / 10)

    assert health.available(1010.0)


def test_errors_older_than_the_window_do_not_count():
    health = Health("a", EXACT)
    for number in range(8):  # one error and one success each minute
        health.ended("success", 1000.0 + 60 * number, 1000.0 + 60 * number)
        _failed(health, 1000.0 + 60 * number)

    assert health.available(1480.0)


@pytest.mark.parametrize("what", ["none", "limited"])
def test_what_is_not_the_endpoints_fault_ejects_nobody(what):
    health = Health("a", EXACT)
    for _ in range(100):
        health.ended(what, 1000.0, 1000.0, retry_after_s=0.0)

    assert health.available(1000.0)
    assert health.verdict.times == 0


def test_one_probe_goes_at_a_time():
    health = _ejected()
    assert health.available(1030.0)

    health.begun(1030.0)

    assert not health.available(1031.0)


def test_a_probe_that_fails_ejects_for_longer_each_time_up_to_the_most():
    health, now, lengths = _ejected(), 1000.0, []
    for _ in range(12):
        lengths.append(health.verdict.until - now)
        now = health.verdict.until + 1
        health.begun(now)
        _failed(health, now)

    assert lengths == [30, 60, 90, 120, 150, 180, 210, 240, 270, 300, 300, 300]


def test_a_probe_that_succeeds_brings_the_endpoint_back_slowly():
    health = _returned()

    assert health.available(1031.0)
    assert [health.admitted(at) for at in (1031.0, 1053.5, 1076.0, 9999.0)] == pytest.approx([0.1, 0.55, 1.0, 1.0])


def test_a_probe_whose_request_was_at_fault_lets_the_next_one_go():
    health = _ejected()
    health.begun(1030.0)

    health.ended("none", begun_at=1030.0, now=1031.0)

    assert health.available(1031.0)
    assert health.verdict.ejected


def test_a_probe_that_never_ends_does_not_hold_up_the_next_for_ever():
    health = _ejected()

    health.begun(1030.0)

    assert (health.available(1089.9), health.available(1090.0)) == (False, True)


def test_what_began_before_the_ejection_neither_prolongs_nor_ends_it():
    health = _ejected()

    _failed(health, 1000.0, times=50)
    health.ended("success", begun_at=999.0, now=1010.0)
    health.ended("failure", begun_at=999.0, now=1031.0)

    assert health.verdict == Verdict(health.verdict.id, 1000.0, True, 1030.0, 1)


def test_a_call_that_had_to_go_there_all_the_same_and_succeeds_brings_it_back():
    health = _ejected()

    health.ended("success", begun_at=1010.0, now=1012.0)

    assert health.available(1012.0)
    assert health.admitted(1012.0) == 0.1


def test_old_errors_that_arrive_after_the_return_do_not_count():
    health = _returned()

    for _ in range(50):
        health.ended("failure", begun_at=1005.0, now=1032.0)

    assert health.available(1032.0)


def test_a_second_ejection_soon_after_is_longer_and_one_much_later_is_not():
    soon, later = _returned(), _returned()

    _failed(soon, 1100.0, times=5)
    _failed(later, 1031.0 + 120, times=5)

    assert soon.verdict.until - 1100.0 == 60
    assert later.verdict.until - 1151.0 == 30


def test_retry_after_is_honoured_to_the_second():
    health = Health("a", EXACT)

    health.ended("limited", 1000.0, 1000.0, retry_after_s=7.0)

    assert [health.available(at) for at in (1000.0, 1006.9, 1007.0)] == [False, False, True]
    assert health.returns_at() == 1007.0


def test_without_retry_after_the_pause_doubles_up_to_a_minute():
    health, pauses = Health("a", EXACT), []
    for number in range(9):
        now = 1000.0 * (number + 1)
        health.ended("limited", now, now)
        pauses.append(health.wait_until - now)

    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    health.ended("success", 99_000.0, 99_000.0)
    health.ended("limited", 99_001.0, 99_001.0)
    assert health.wait_until == 99_002.0


def test_a_server_error_that_asks_for_time_gets_it_and_counts():
    health = Health("a", EXACT)

    health.ended("failure", 1000.0, 1000.0, retry_after_s=7.0)

    assert not health.available(1006.0)
    _failed(health, 1007.0, times=4)
    assert health.verdict.ejected


@pytest.mark.parametrize(("asked", "until"), [(1e9, 4600.0), (float("nan"), 1001.0), (-5.0, 1001.0)])
def test_a_retry_after_that_makes_no_sense_is_bounded(asked, until):
    health = Health("a", EXACT)

    health.ended("limited", 1000.0, 1000.0, retry_after_s=asked)

    assert health.wait_until == until


def test_ejections_are_up_to_a_tenth_shorter_and_the_same_for_the_same_seed():
    lengths = [_ejected(settings=Settings(seed=seed)).verdict.until - 1000.0 for seed in range(50)]

    assert all(27 <= length <= 30 for length in lengths)
    assert len(set(lengths)) == 50
    assert _ejected(settings=Settings(seed=3)).verdict.until - 1000.0 == lengths[3]


def test_ejection_can_be_turned_off():
    health = _ejected(settings=Settings(eject=False))

    assert health.available(1000.0)
    assert not health.adopt(Verdict(id=1, at=1000.0, ejected=True, until=1030.0, times=1))


def test_the_newest_verdict_of_all_workers_holds():
    health = Health("a", EXACT)
    out = Verdict(id=1, at=1000.0, ejected=True, until=1030.0, times=1)
    back = Verdict(id=2, at=1031.0, ejected=False, until=1031.0, times=1)

    assert [health.adopt(one) for one in (out, out, back, out)] == [True, False, True, False]
    assert health.verdict == back


def test_a_verdict_that_comes_back_with_another_machines_time_is_not_news():
    health = _ejected()
    own = health.verdict

    echoed = Verdict(own.id, own.at + 0.1, True, own.until + 0.1, 1)

    assert not health.adopt(echoed)
    assert health.verdict == own


_ENDS = st.tuples(
    st.sampled_from(["success", "failure", "limited", "none"]), st.floats(0, 40), st.floats(0, 60), st.booleans()
)


@given(st.lists(_ENDS, max_size=60))
def test_whatever_happens_it_comes_back_in_time(ends):
    health, now = Health("a", Settings()), 1000.0
    for what, pause, age, begins in ends:
        now += pause
        if begins:
            health.begun(now)
        health.ended(what, begun_at=now - age, now=now)

        assert 0.1 <= health.admitted(now) <= 1
        assert health.verdict.until <= now + 300
        assert health.available(max(now + 60, health.returns_at()))
