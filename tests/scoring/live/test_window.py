from hypothesis import given
from hypothesis import strategies as st

from fairlead.scoring.live.window import Window


def test_what_is_older_than_the_window_does_not_count():
    window = Window(30)
    for second in range(60):
        window.add(failed=second < 40, now=second)

    calls, failed = window.totals(59)

    assert (27 <= calls <= 30, 7 <= failed <= 10) == (True, True)


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 20)), max_size=200))
def test_it_counts_what_a_list_would_to_a_tenth_of_the_window(calls):
    window, now, kept = Window(30), 0.0, []
    for failed, pause in calls:
        now += pause
        window.add(failed=failed, now=now)
        kept.append((now, failed))

    counted, failures = window.totals(now)

    for width, few in ((27.0, True), (30.0, False)):
        inside = [failed for at, failed in kept if at > now - width]
        assert (counted >= len(inside)) if few else (counted <= len(inside) + 0)
        assert (failures >= sum(inside)) if few else (failures <= sum(inside))
