import math

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.errors import EvidenceError
from fairlead.evaluation.sequence import LEAST, Sequence

DAYS, A_DAY = 60, 100


def looked_every_day(rng: np.random.Generator, change: float = 0.0) -> tuple[bool, bool]:
    """Whether the sequence, and an ordinary interval, ever miss 0 on some day of sixty."""
    values = (rng.random((DAYS, A_DAY)) < 0.2) * rng.exponential(5.0, (DAYS, A_DAY)) - 1.0 + change
    state, sequence, ordinary = Sequence(expected=DAYS * A_DAY), False, False
    for day in range(DAYS):
        state = state.add(values[day])
        low, high = state.interval()
        sequence |= not low <= 0 <= high
        if state.n >= LEAST:
            half = 1.96 * math.sqrt(state.squares / (state.n - 1) / state.n)
            ordinary |= not state.mean - half <= 0 <= state.mean + half
    return sequence, ordinary


def test_looked_at_every_day_it_holds_its_level_where_an_ordinary_interval_does_not():
    runs = [looked_every_day(np.random.default_rng([3, seed])) for seed in range(400)]

    sequence, ordinary = np.mean(runs, axis=0)
    assert sequence <= 0.05
    assert ordinary > 0.15


def test_a_change_is_seen():
    assert all(looked_every_day(np.random.default_rng([4, seed]), change=0.3)[0] for seed in range(20))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.floats(-1e3, 1e3), max_size=40), min_size=1, max_size=12))
def test_day_by_day_and_all_at_once_are_the_same(days: list[list[float]]):
    at_once = Sequence(expected=1000).add(np.concatenate([np.array(day) for day in days]))
    state = Sequence(expected=1000)
    for day in days:
        state = msgspec.json.decode(msgspec.json.encode(state.add(np.array(day))), type=Sequence)

    assert (state.n, state.mean, state.squares) == pytest.approx((at_once.n, at_once.mean, at_once.squares), abs=1e-6)


def test_nothing_is_said_before_there_is_enough_or_of_what_is_no_number():
    assert Sequence(expected=10).add(np.ones(LEAST - 1)).interval() == (-math.inf, math.inf)
    assert Sequence(expected=10).add(np.ones(LEAST)).interval() == (1.0, 1.0)
    with pytest.raises(EvidenceError, match="missing or infinite"):
        Sequence(expected=10).add(np.array([math.nan]))
    with pytest.raises(EvidenceError, match=r"alpha in \(0, 1\)"):
        Sequence(expected=10, alpha=1.5)
