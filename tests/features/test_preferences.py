from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.features.preferences import abilities


def votes(ability: Any, n: int, tie: float = 0.5, seed: int = 0) -> list[tuple[str, str, float]]:
    rng = np.random.default_rng(seed)
    ability, out = np.asarray(ability, dtype=float), []
    for _ in range(n):
        one, other = rng.choice(len(ability), 2, replace=False)
        odds = np.exp([ability[other], np.log(tie) + (ability[one] + ability[other]) / 2, ability[one]])
        out.append((f"e{one}", f"e{other}", float(rng.choice([0.0, 0.5, 1.0], p=odds / odds.sum()))))
    return out


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), tie=st.floats(0.1, 2.0))
def test_abilities_are_found_whatever_the_share_of_ties(seed: int, tie: float):
    true = np.array([-1.0, 0.0, 0.3, 0.7])

    found = {one.endpoint: one.ability for one in abilities(votes(true, 3000, tie, seed))}

    assert np.allclose([found[f"e{k}"] for k in range(4)], true, atol=0.3)


def test_intervals_hold_the_truth_as_often_as_they_say():
    true = np.array([-0.5, 0.0, 0.5])
    held = []
    for seed in range(100):
        found = {one.endpoint: one for one in abilities(votes(true, 150, seed=seed))}
        held += [found[f"e{k}"].low <= 1 / (1 + np.exp(-true[k])) <= found[f"e{k}"].high for k in range(3)]

    assert np.mean(held) > 0.9


def test_what_never_lost_is_not_infinitely_good_and_few_votes_say_little():
    sure, unsure = (abilities([("a", "b", 1.0)] * n) for n in (200, 2))

    assert [one.endpoint for one in sure] == ["a", "b"]
    assert sure[0].low > 0.5
    assert unsure[0].low < 0.5 < unsure[0].preferred < sure[0].preferred < 1


def test_only_ties_make_equals_and_no_vote_makes_nothing():
    tied = abilities([("a", "b", 0.5)] * 20)

    assert [one.preferred for one in tied] == pytest.approx([0.5, 0.5])
    assert abilities([]) == []
    assert abilities([("a", "a", 1.0)]) == []
