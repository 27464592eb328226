import numpy as np
import pytest

from fairlead.errors import EvidenceError, UsageError
from fairlead.evaluation import optimise
from fairlead.evaluation.confirm import confirm
from fairlead.evaluation.evidence import split
from fairlead.evaluation.goals import Goal
from fairlead.evaluation.optimise import choose

MARGIN = Goal(goal="margin", margin_points=2.0)


def budget(usd):
    return Goal(goal="budget", usd_per_1000=usd)


@pytest.mark.parametrize("bandit", [False, True], ids=["full", "logged"])
def test_a_margin_is_kept_and_saves(make_evidence, bandit):
    evidence = make_evidence(n=12_000, bandit=bandit)

    found = choose(evidence, MARGIN)

    assert found.savings_share > 0.1
    assert found.spare >= 0
    assert found.quality_change > -0.02
    assert set(found.parameters) == {"usd_price"}


def test_a_wider_margin_never_saves_less(make_evidence):
    evidence = make_evidence()

    saved = [choose(evidence, Goal(goal="margin", margin_points=points)).savings_share for points in (2, 4, 8)]

    assert saved == sorted(saved)


def test_a_margin_is_broken_in_at_most_its_share_of_samples(make_evidence):
    broken = tried = 0
    for seed in range(60):
        first, second = make_evidence(seed, n=1500), make_evidence(seed + 1000, n=1500)
        try:
            found = choose(first, MARGIN)
        except EvidenceError:
            continue
        tried += 1
        broken += second.change(second.choices(found.parameters)).value < -0.02

    assert tried > 20
    assert broken <= 0.1 * tried


def test_a_margin_that_cannot_be_kept_names_the_nearest_that_can(make_evidence):
    with pytest.raises(
        EvidenceError, match=r"within 0\.001 points with 95 % confidence.*a margin of \d.* could be kept"
    ):
        choose(make_evidence(n=400, gap=0.15), Goal(goal="margin", margin_points=0.001))


def test_where_the_logs_cannot_tell_nothing_is_promised(make_evidence):
    evidence = make_evidence(n=120, bandit=True)

    with pytest.raises(EvidenceError, match="the logs cannot tell"):
        choose(evidence, Goal(goal="margin", margin_points=50.0))


@pytest.mark.parametrize("bandit", [False, True], ids=["full", "logged"])
@pytest.mark.parametrize("usd", [1.5, 3.0, 7.0])
def test_a_budget_is_filled_to_the_cent_by_a_mix_of_two_neighbouring_prices(make_evidence, usd, bandit):
    evidence = make_evidence(bandit=bandit)
    prices = optimise.grid(evidence).tolist()

    found = choose(evidence, budget(usd))

    assert 1000 * found.cost_usd == pytest.approx(usd, rel=1e-9)
    low, high = (prices.index(found.parameters[name]) for name in ("usd_price", "usd_price_high"))
    assert high == low + 1
    assert 0 <= found.parameters["mix_share"] <= 1


def test_a_higher_budget_buys_no_worse_quality_by_prediction(make_evidence):
    evidence = make_evidence()
    said = evidence.candidates.quality

    quality = [(evidence.choices(choose(evidence, budget(usd)).parameters) * said).sum() for usd in (1.5, 3, 5, 8)]

    assert quality == sorted(quality)


def test_a_budget_that_nothing_meets_names_the_cheapest(make_evidence):
    with pytest.raises(EvidenceError, match=r"no setting costs 0\.5 USD .* the cheapest costs (0\.99|1)"):
        choose(make_evidence(), budget(0.5))


def test_a_budget_beyond_the_best_quality_is_not_spent(make_evidence):
    found = choose(make_evidence(), budget(100.0))

    assert found.parameters == {"usd_price": 0.0}
    assert "less than the budget" in found.reason


@pytest.mark.parametrize("bandit", [False, True], ids=["full", "logged"])
def test_a_latency_limit_is_kept_with_confidence(make_evidence, bandit):
    evidence = make_evidence(bandit=bandit, n=6000)
    limit = Goal(goal="latency", p95_s=4.0)

    found = choose(evidence, limit)
    free = {"usd_price": found.parameters["usd_price"]}
    slow = evidence.slow(4.0)

    assert evidence.of(slow, evidence.choices(free)).mean() > 0.05
    assert evidence.of(slow, evidence.choices(found.parameters)).mean() < 0.05
    assert found.spare >= 0


def test_a_latency_limit_that_nothing_keeps_names_what_the_fastest_can(make_evidence):
    with pytest.raises(EvidenceError, match=r"under 1 s with 95 % confidence.* the fastest keeps 2\.\d+ s .its 95th"):
        choose(make_evidence(), Goal(goal="latency", p95_s=1.0))


def test_without_durations_there_is_no_latency_goal(make_evidence):
    from msgspec.structs import replace

    evidence = make_evidence()

    with pytest.raises(EvidenceError, match="no call has a known duration"):
        choose(replace(evidence, latency_s=np.full(evidence.quality.shape, np.nan)), Goal(goal="latency", p95_s=4.0))


def test_other_goals_are_chosen_elsewhere(make_evidence):
    with pytest.raises(UsageError, match="'floor' is not chosen this way; margin, budget, latency are"):
        choose(make_evidence(), Goal(goal="floor"))


def test_days_are_split_between_two_of_them(make_evidence):
    evidence = make_evidence(days=10)

    first, later = split(evidence)

    assert len(first) + len(later) == len(evidence)
    assert first.time.max() < later.time.min()
    assert later.time.min() // 86400 > first.time.max() // 86400
    assert len(first) / len(evidence) == pytest.approx(0.7, abs=0.06)


def test_a_choice_is_confirmed_on_later_days(make_evidence):
    first, later = split(make_evidence(n=12_000))
    goal = Goal(goal="margin", margin_points=15.0)

    found = confirm(later, goal, choose(first, goal).parameters)

    assert found.verdict == "confirmed"
    assert found.requests == len(later)
    assert found.savings_share.low > 0
    assert found.p95_s.low <= found.p95_s.value <= found.p95_s.high


def test_a_promise_that_drift_breaks_is_seen_to_be_broken(make_evidence):
    first, later = split(make_evidence(n=12_000, drift=0.3))
    goal = Goal(goal="margin", margin_points=4.0)

    found = confirm(later, goal, choose(first, goal).parameters)

    assert found.verdict == "broken"
    assert found.reason.startswith("not so with 95 % confidence: quality is not worse")


def test_a_budget_that_is_just_filled_stays_open_and_says_as_far_as_it_goes(make_evidence):
    first, later = split(make_evidence(bandit=True))

    found = confirm(later, budget(3.0), choose(first, budget(3.0)).parameters)

    assert found.verdict == "open"
    assert "1,000 requests cost at most 3 USD" in found.reason
    assert 1000 * found.cost_usd.low < 3 < 1000 * found.cost_usd.high


def test_what_the_log_does_not_support_is_neither_confirmed_nor_broken(make_evidence):
    evidence = make_evidence(n=100, bandit=True)

    found = confirm(evidence, MARGIN, {"usd_price": 1e6})

    assert (found.verdict, found.savings_share) == ("cannot tell", None)
    assert "effective sample size" in found.reason
