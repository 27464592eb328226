import pytest

from fairlead import evaluation
from fairlead.errors import UsageError


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
