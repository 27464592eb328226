import numpy as np
import pytest

from fairlead.errors import EvidenceError
from fairlead.evaluation import exploration
from fairlead.evaluation.exploration import Way, ess_share, exploration_for, priced
from fairlead.evaluation.overlap import effective_sample_size

BASE = {"usd_price": 10.0}


def test_the_expected_share_is_what_drawn_logs_have():
    rng = np.random.default_rng(0)
    logging, target = rng.dirichlet(np.ones(4), 20_000), rng.dirichlet(np.ones(4) * 0.3, 20_000)
    logging = 0.9 * logging + 0.025
    action = (rng.random(20_000)[:, None] > np.cumsum(logging, axis=1)).sum(axis=1)
    rows = np.arange(20_000)

    drawn = effective_sample_size(target[rows, action] / logging[rows, action]) / 20_000

    assert ess_share(target, logging) == pytest.approx(drawn, rel=0.03)


def test_what_is_never_drawn_can_never_be_told():
    target, logging = np.tile([0.5, 0.5, 0.0], (9, 1)), np.tile([1.0, 0.0, 0.0], (9, 1))

    assert ess_share(target, logging) == 0.0


def test_exploring_more_costs_more_and_tells_more(make_evidence):
    evidence = make_evidence()
    ways = [Way("epsilon", share, None) for share in (0.02, 0.1, 0.3)]

    found = priced(evidence, BASE, exploration.alternatives(evidence, BASE), ways)

    for values in ([one.loss for one in found], [one.typical for one in found]):
        assert values == sorted(values)
    assert found[0].loss > 0
    assert found[0].parameters == {"usd_price": 10.0, "temperature": 0.0, "exploration": 0.02, "top": 3}


def test_the_alternatives_are_neighbours_on_the_frontier_and_the_best_single(make_evidence):
    evidence = make_evidence()

    found = exploration.alternatives(evidence, BASE, reach=2)

    assert "best_single" in found
    assert 1 <= len(found) - 1 <= 5
    assert all(np.allclose(chances.sum(axis=1), 1) for chances in found.values())


def test_the_cheapest_way_that_tells_enough_is_taken(make_evidence):
    evidence = make_evidence()
    ways = priced(evidence, BASE, exploration.alternatives(evidence, BASE))

    little, much = (exploration_for(ways, ess, requests_a_day=200) for ess in (20, 400))

    assert little.typical * 1400 >= 20
    assert much.typical * 1400 >= 400
    assert little.loss <= much.loss
    assert all(one.loss >= much.loss for one in ways if one.typical * 1400 >= 400)


def test_what_no_exploration_reaches_says_how_long_it_would_take(make_evidence):
    evidence = make_evidence(n=500)
    ways = priced(evidence, BASE, exploration.alternatives(evidence, BASE))

    with pytest.raises(EvidenceError, match=r"no exploration makes 7 days of 10 requests count for 140 .* in \d+ days"):
        exploration_for(ways, 140, requests_a_day=10)
    with pytest.raises(EvidenceError, match="name at least one other policy"):
        priced(evidence, BASE, {})
