import numpy as np
import pytest

from fairlead import evaluation
from fairlead.errors import EvidenceError, UsageError
from fairlead.evaluation import settings
from fairlead.evaluation.out_of_fold import out_of_fold


def test_the_status_quo_is_kept_at_least_cost(trained):
    here, made = trained

    tuned = evaluation.tune(here)

    assert tuned.policy == "intelligent"
    assert tuned.parameters["usd_price"] >= 0
    assert set(tuned.baselines) == {"best_single", "all_cheap", "category_table_usd_price"}
    assert {tuned.baselines["best_single"], tuned.baselines["all_cheap"]} <= set(made.endpoints)
    assert tuned.reason


@pytest.mark.parametrize("goal", ["best_single", "floor"])
def test_other_goals_give_a_policy_too(trained, goal):
    here, _ = trained

    tuned = evaluation.tune(here, goal=goal, floor=0.9)

    assert tuned.policy in {"intelligent", "weighted"}
    if tuned.policy == "weighted":
        assert tuned.parameters == {"weights": {tuned.baselines["best_single"]: 1.0}}


def test_a_goal_that_does_not_exist_is_wrong_use(trained):
    here, _ = trained

    with pytest.raises(UsageError, match="no goal named 'cheapest'; there are status_quo, best_single, floor"):
        evaluation.tune(here, goal="cheapest")


def test_the_choice_rests_on_training_requests_alone(trained):
    from fairlead.training.champions import champion_of
    from fairlead.training.registry import Registry

    here, _ = trained
    registry = Registry(here.registry)
    quality = champion_of(registry, "quality").predictor
    ids = set(quality.heads[0].oof_ids)

    from fairlead import features

    rows = features.join(here).rows.select("event_id", "start_time").rows()
    assert all(start.timestamp() <= quality.trained_until for event, start in rows if event in ids)


def test_a_budget_is_chosen_on_first_days_and_held_against_later_ones(trained):
    here, _ = trained
    evidence = out_of_fold(here).evidence()
    usd = 600 * float(evidence.logged_cost_usd.mean())

    tuned = evaluation.tune(here, goal="budget", usd_per_1000=usd)

    assert tuned.choice.cost_usd == pytest.approx(usd / 1000)
    assert tuned.choice.requests + tuned.confirmation.requests == len(evidence)
    assert tuned.parameters == tuned.choice.parameters
    assert tuned.lineage["goal"] == "budget"
    assert tuned.lineage["later_days"].startswith(tuned.confirmation.verdict)
    assert set(tuned.lineage) > set(tuned.baselines)


def test_a_wide_margin_can_be_promised_and_a_narrow_one_says_why_not(trained):
    here, _ = trained

    tuned = evaluation.tune(here, goal="margin", margin_points=30.0, confidence=0.9)

    assert tuned.choice.savings_share > 0
    assert (tuned.confirmation.savings_share is None) == (tuned.confirmation.verdict == "cannot tell")
    with pytest.raises(EvidenceError, match="no setting that saves keeps the logged quality to within 0 points"):
        evaluation.tune(here, goal="margin", margin_points=0.0, confidence=0.999)


def test_exploration_is_part_of_what_is_published_and_confirmed(trained):
    here, _ = trained

    tuned = evaluation.tune(here, explore=50)

    assert tuned.parameters == tuned.explores.parameters
    assert tuned.parameters["exploration"] > 0
    assert 0 < tuned.explores.typical <= 1


def test_the_frontier_rests_on_training_requests(trained):
    here, _ = trained

    found = settings.measure(out_of_fold(here).evidence())

    assert found.chosen_requests > found.confirmed_requests
    assert any(one.optimal for one in found.settings)


def test_out_of_fold_bounds_of_quality_are_those_that_are_served(trained):
    here, _ = trained

    found = out_of_fold(here)

    assert (found.quality_low <= found.quality).all()
    assert np.isfinite(found.latency_s).all()
    assert (found.latency_p90_s >= found.latency_s * 0.5).all()
